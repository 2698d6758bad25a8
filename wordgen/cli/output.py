"""What is written onto the screen, and what is said when that fails."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from wordgen.errors import StorageError
from wordgen.printing import plain

if TYPE_CHECKING:
    from rich.console import RenderableType

_WIDTH_IN_A_FILE = 110


def show(text: str) -> None:
    """Onto standard output, at once."""
    put(plain(text))


def put(text: str) -> None:
    """The same as it is: for programs, and for what is plain already."""
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(f"The text cannot be written out: {error.strerror}.") from error


def tell(sentence: str) -> None:
    """Beside the output, for the user alone; where nobody can read it, that is no reason to end."""
    with suppress(OSError):
        print(plain(sentence), file=sys.stderr, flush=True)


class WordWrap:
    """Takes a text in pieces and gives it back for a screen of so many columns, with a line break before each word
    that would not fit whole. What is not followed by white space yet is held back, for more of that word may come."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._column = 0
        self._held = ""

    def take(self, piece: str) -> str:
        from rich.cells import cell_len

        whole = self._held + piece
        last_space = max((place for place, each in enumerate(whole) if each.isspace()), default=-1)
        whole, self._held = whole[: last_space + 1], whole[last_space + 1 :]
        shown = ""
        for word, space in re.findall(r"(\S*)(\s*)", whole):
            if self._column and self._column + cell_len(word) > self._width:
                shown = shown.rstrip(" ") + "\n"
                self._column = 0
            shown += word + space
            self._column = cell_len(space.rpartition("\n")[2]) + (0 if "\n" in space else self._column + cell_len(word))
        return shown


def wrapped(text: str) -> str:
    """A text as a terminal shows it without breaking its words; as it is where there is no terminal."""
    return WordWrap(screen_width()).take(text + "\n")[:-1] if sys.stdout.isatty() else text


def screen_width() -> int:
    """In columns; wide enough where there is no screen."""
    from wordgen.training.screen import screen

    console = screen()
    return console.width if console.is_terminal else max(console.width, _WIDTH_IN_A_FILE)


def on_screen(parts: "Iterator[RenderableType] | Sequence[RenderableType]") -> str:
    """With colours and at the screen's width, or wide enough where it is none."""
    from wordgen.training.screen import screen

    console = screen()
    console.width = screen_width()
    console.begin_capture()
    for part in parts:
        console.print(part, highlight=False, soft_wrap=isinstance(part, str), markup=False)
    return "\n".join(line.rstrip() for line in console.end_capture().split("\n"))
