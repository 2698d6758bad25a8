"""Functions that print the output of commands, and bars and lines that show the progress of long work."""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import repeat
from typing import TYPE_CHECKING, TextIO

from wordgen.errors import StorageError, pluralized, replace_controls

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.padding import Padding
    from rich.progress import Progress
    from rich.table import Table
    from rich.text import Text

_WIDTH_IN_A_FILE = 110
STOPPING_MESSAGE = "Stopping after these steps ... (press Ctrl-C again to stop at once)"


def print_sanitized(text: str) -> None:
    """Print a text to standard output, with control characters replaced. Raise StorageError if it cannot be written."""
    print_output(replace_controls(text))


def print_output(text: str) -> None:
    """Print a text to standard output unchanged: for programs, or if its control characters are already replaced."""
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(f"The output cannot be written: {error.strerror}.") from error


def flush_or_discard(stream: TextIO) -> OSError | None:
    """Flush a stream. If it cannot be written, discard the rest, so that Python does not fail when it exits.

    Return the error, if there was one.
    """
    try:
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None


def print_json(content: object) -> None:
    """Print a value as one line of JSON to standard output. JSON has no infinity and no NaN: they become null."""
    finite = json.loads(json.dumps(content), parse_constant=lambda constant: None)
    print_output(json.dumps(finite, ensure_ascii=False) + "\n")


def print_message(sentence: str) -> None:
    """Print a sentence to standard error, with control characters replaced, and ignore a write error."""
    with suppress(OSError):
        print(replace_controls(sentence), file=sys.stderr, flush=True)


class WordWrap:
    """Breaks a text that comes in pieces into lines of at most `width` columns, without breaking words.

    A line break goes before each word that does not fit on the line. A word is held back until it is complete, or
    longer than a line: such a word stays whole. So a text without spaces, such as Japanese, is shown while it grows.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._column = 0
        self._pending = ""
        self._is_within_long_word = False

    def feed(self, piece: str) -> str:
        from rich.cells import cell_len

        shown = ""
        for part, space in re.findall(r"(\S*)(\s*)", piece):
            self._pending += part
            length = cell_len(self._pending)
            if not (space or self._is_within_long_word or length > self._width):
                continue
            if self._column and not self._is_within_long_word and self._column + length > self._width:
                shown = shown.rstrip(" ") + "\n"
                self._column = 0
            shown += self._pending + space
            self._column = cell_len(space.rpartition("\n")[2]) + (0 if "\n" in space else self._column + length)
            self._pending, self._is_within_long_word = "", not space
        return shown


def wrapped(text: str) -> str:
    """Return a text with line breaks that fit the terminal, or unchanged if standard output is not one."""
    return WordWrap(screen_width()).feed(text + "\n")[:-1] if sys.stdout.isatty() else text


def screen_width() -> int:
    """Return the width of the screen in columns. Without a terminal it is at least `_WIDTH_IN_A_FILE`."""
    from wordgen.training.screen import screen

    console = screen()
    return console.width if console.is_terminal else max(console.width, _WIDTH_IN_A_FILE)


def render(parts: "Iterator[RenderableType] | Sequence[RenderableType]") -> str:
    """Return the parts as text for standard output, as wide as `screen_width`.

    A terminal gets colours. Strings are not wrapped, and white space at the end of lines is removed.
    """
    from wordgen.training.screen import screen

    console = screen()
    console.width = screen_width()
    console.begin_capture()
    for part in parts:
        console.print(part, highlight=False, soft_wrap=isinstance(part, str), markup=False)
    return "\n".join(line.rstrip() for line in console.end_capture().split("\n"))


def paragraph(text: str, style: str = "") -> "Text":
    """Return a text that is wrapped at the edge of the screen."""
    from rich.text import Text

    return Text(text, style)


def with_blank_lines(content: "RenderableType") -> "Padding":
    """Return the content with an empty line above and below it."""
    from rich.padding import Padding

    return Padding(content, (1, 0))


def table(
    heads: Sequence[str],
    rows: "Iterable[Iterable[str | Text]]",
    *,
    left: Collection[str] = ("",),
    styles: Iterable[str | None] = repeat(None),
) -> "Table":
    """Return a table without lines. The columns with the heads in `left` have words, and all others have figures.

    Strings are shown as they are, without markup. `styles` has the style of each row.
    """
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, padding=(0, 2, 0, 0))
    for head in heads:
        shown.add_column(Text(head), justify="left" if head in left else "right")
    for row, style in zip(rows, styles, strict=False):
        shown.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row), style=style)
    return shown


def results_table(heads: Sequence[str], *rows: Sequence[str]) -> "Table":
    """Return a table of the results of a sweep or a study."""
    return table(heads, rows, left=("network", "cell", "note"))


def facts(rows: Iterable[Sequence[str]]) -> "Table":
    """Return a table without heads. Each row begins with a name, and the cells after it say what it stands for."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    shown.add_column(no_wrap=True)
    for row in rows:
        shown.add_row(*map(Text, row))
    return shown


def section(title: str, content: "RenderableType") -> "Iterator[RenderableType]":
    """Yield a bold title, the content below it, and an empty line."""
    yield paragraph(title, "bold")
    yield content
    yield ""


def finished_in_words(finished: int, runs: int) -> str:
    return f"{finished} of {pluralized(runs, 'run')} {'is' if finished == 1 else 'are'} finished"


class ProgressLines:
    """Base class of watchers that print the progress of many runs as plain lines."""

    def __init__(self, console: "Console") -> None:
        self._console = console

    def stopping(self) -> None:
        self._print_line(STOPPING_MESSAGE)

    def close(self) -> None:
        """Do nothing: lines need no end."""

    def _print_line(self, sentence: str) -> None:
        self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)


_SECONDS_BEFORE_A_BAR = 0.5  # work that ends sooner needs no bar
_SECONDS_BETWEEN_LINES = 10


class TokenProgress:
    """Shows how many tokens are done: as a bar on a terminal, otherwise as a line from time to time."""

    def __init__(self, doing: str, done: str) -> None:
        """`doing` and `done` are words for the work, for example "Scoring" (on the bar) and "Scored" (in lines)."""
        self._doing, self._done = doing, done
        self._terminal = sys.stderr.isatty()
        self._seconds_before_output = _SECONDS_BEFORE_A_BAR if self._terminal else _SECONDS_BETWEEN_LINES
        self._last_output_at = time.monotonic()
        self._bar: Progress | None = None

    def __call__(self, done: int, tokens: int) -> None:
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done)
        elif time.monotonic() - self._last_output_at < self._seconds_before_output:
            return
        elif self._terminal:
            from wordgen.training.screen import screen, tokens_bar

            self._bar = tokens_bar(screen(sys.stderr), self._doing, tokens)
            self._bar.start()
        else:
            self._last_output_at = time.monotonic()
            print_message(f"{self._done} {done:,} of {tokens:,} tokens.")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def download_progress() -> Generator[Callable[[str, int, int], None]]:
    """Show a download on standard error. The function takes the file, the bytes so far, and all bytes."""
    from wordgen.training.screen import TransferDisplay, screen

    with closing(TransferDisplay(screen(sys.stderr))) as display:
        yield display.update


@contextmanager
def reading_progress(name: str) -> Generator[Callable[[int, int], None]]:
    """Show how much of a text has been read. The function takes the bytes so far and all bytes."""
    from wordgen.training.screen import bytes_bar, screen

    with bytes_bar(screen(sys.stderr), f"Reading {name}") as bar:
        yield lambda done, total: bar.update(bar.task_ids[0], completed=done, total=total)
