"""What one sees while it takes long: how much is fetched, read, predicted. It stands beside the output."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wordgen.cli.output import tell

if TYPE_CHECKING:
    from rich.progress import Progress

_SECONDS_BEFORE_A_BAR = 0.5  # what is done by then needs none
_SECONDS_BETWEEN_LINES = 10


class SymbolProgress:
    """How many symbols have gone by: a bar on a terminal, else a line now and then."""

    def __init__(self, doing: str, done: str, *, terminal: bool, silence: float) -> None:
        """With a word for what is being done, one for what is done, and so many seconds of silence.

        These are before the bar, or before each line.
        """
        self._doing, self._done = doing, done
        self._terminal = terminal
        self._silence = silence
        self._said = time.monotonic()
        self._bar: Progress | None = None

    @classmethod
    def here(cls, doing: str, done: str) -> "SymbolProgress":
        """As it suits standard error."""
        if sys.stderr.isatty():
            return cls(doing, done, terminal=True, silence=_SECONDS_BEFORE_A_BAR)
        return cls(doing, done, terminal=False, silence=_SECONDS_BETWEEN_LINES)

    def __call__(self, done: int, symbols: int) -> None:
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done)
        elif time.monotonic() - self._said < self._silence:
            return
        elif self._terminal:
            self._bar = _bar(self._doing, done, symbols)
        else:
            self._said = time.monotonic()
            tell(f"{self._done} {done:,} of {symbols:,} symbols.")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar(doing: str, done: int, symbols: int) -> "Progress":
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    from wordgen.training.screen import screen
    from wordgen.training.transfer import Bar

    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TextColumn("symbols"), TimeRemainingColumn())
    bar = Bar(*columns, console=screen(sys.stderr), transient=True)
    bar.add_task("", total=symbols, completed=done)
    bar.start()
    return bar


@contextmanager
def fetching() -> Iterator[Callable[[str, int, int], None]]:
    """Shows how a text is fetched, beside the output."""
    from wordgen.training.screen import screen
    from wordgen.training.transfer import TransferDisplay

    display = TransferDisplay(screen(sys.stderr))
    try:
        yield display.tell
    finally:
        display.close()


@contextmanager
def reading(name: str) -> Iterator[Callable[[int, int], None]]:
    """Shows how far a text has been read, beside the output, where that is a terminal."""
    from wordgen.training.screen import screen
    from wordgen.training.transfer import bytes_bar

    with bytes_bar(screen(sys.stderr), f"Reading {name}") as bar:
        yield lambda done, total: bar.update(bar.task_ids[0], completed=done, total=total)
