"""The screen, which may go away: a training goes on when its log's disk is full or its reader has left."""

import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from wordgen.printing import plain


class Screen(Console):
    """A console that writes no control characters but its own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)


def screen(stream: TextIO | None = None) -> Screen:
    return Screen(file=cast(TextIO, _Forgiving(sys.stdout if stream is None else stream)))


def hide_native_notes() -> None:
    """Keep what TensorFlow's native code writes to standard error off the screen, past Python's own.

    It tells at length how the network between the workers fares. A TF_CPP_MIN_LOG_LEVEL of one's own shows it.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    sys.stderr.flush()
    ours = os.dup(sys.stderr.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    sys.stderr = open(ours, "w", buffering=1, encoding=sys.stderr.encoding, errors="replace")  # noqa: SIM115


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
        except UnicodeEncodeError as error:  # a sample may have letters that the screen has not
            return self._stream.write(text.encode(error.encoding, "replace").decode(error.encoding))

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            return
