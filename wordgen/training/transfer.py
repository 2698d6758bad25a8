"""What one sees while a text is fetched or read: a bar with megabytes, speed and time left.

Where the output is no terminal, there are plain lines instead.
"""

import time
from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

_SECONDS_BETWEEN_LINES = 10
_MEGABYTE = 1_000_000


class TransferDisplay:
    """Told again and again how much of a file is here; one file after another."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._file = ""
        self._bar: Progress | None = None
        self._began = self._said = 0.0
        self._kept = 0

    def tell(self, file: str, done: int, total: int) -> None:
        if file != self._file:
            self._begin(file, done, total)
        elif self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done)
        elif done < total and time.monotonic() - self._said > _SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            self._say(f"{_megabytes(done, total)} of {file}{self._pace(done, total)}")
        if done == total:
            self.close()
            self._say(f"Fetched {file}, {_megabytes(total, total)}.")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._file = None, ""

    def _begin(self, file: str, done: int, total: int) -> None:
        self.close()
        self._file, self._kept = file, done
        self._began = self._said = time.monotonic()
        if not self._console.is_terminal:
            self._say(f"Fetching {file}: {_megabytes(done, total)} are here.")
            return
        self._bar = bytes_bar(self._console, f"Fetching {file}", total, done)
        self._bar.start()

    def _pace(self, done: int, total: int) -> str:
        speed = (done - self._kept) / max(1e-9, time.monotonic() - self._began)
        return f", {speed / _MEGABYTE:.2f} MB/s, {(total - done) / speed:,.0f} s left" if speed > 0 else ""

    def _say(self, sentence: str) -> None:
        self._console.print(sentence, style="dim", markup=False, highlight=False)


class Bar(Progress):
    """The cursor waits on an empty line below it: what Ctrl-C writes there pushes no part of the bar up."""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield Text("")


def bytes_bar(console: Console, doing: str, total: int | None = None, done: int = 0) -> Progress:
    """How many bytes of a text have gone by; nothing where there is no terminal. What was done before is no speed."""
    return _bar(console, doing, total, done, DownloadColumn(), TransferSpeedColumn())


def tokens_bar(console: Console, doing: str, total: int) -> Progress:
    """How many tokens of a text have gone by; nothing where there is no terminal."""
    return _bar(console, doing, total, 0, MofNCompleteColumn(), TextColumn("tokens"))


def _bar(console: Console, doing: str, total: int | None, done: int, *columns: ProgressColumn) -> Progress:
    shown = (TextColumn("{task.description}"), BarColumn(), *columns, TimeRemainingColumn(compact=True))
    bar = Bar(*shown, console=console, transient=True, disable=not console.is_terminal)
    bar.add_task(escape(doing), total=total, completed=done)
    return bar


def _megabytes(done: int, total: int) -> str:
    whole = f"{total / _MEGABYTE:,.1f} MB"
    return whole if done == total else f"{done / _MEGABYTE:,.1f} of {whole}"
