"""The screen, which may go away: a training goes on when its log's disk is full or its reader has left."""

import sys
from typing import Any, TextIO, cast

from rich.console import Console


def screen(stream: TextIO | None = None) -> Console:
    return Console(file=cast(TextIO, _Forgiving(sys.stdout if stream is None else stream)))


class _Forgiving:
    """A stream whose failures are no reason to end a training; nothing is shown any more, that is all."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            return
