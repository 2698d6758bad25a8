"""What is written onto the screen, and what is said when that fails."""

import sys
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from wordgen.errors import StorageError

if TYPE_CHECKING:
    from rich.console import RenderableType

_WIDTH_IN_A_FILE = 110


def show(text: str) -> None:
    """Onto standard output, at once."""
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(f"The text cannot be written out: {error.strerror}.") from error


def plain(text: str) -> str:
    """Without control characters: names and texts may hold anything, and a terminal would obey it."""
    return "".join(each if each == "\n" or unicodedata.category(each)[0] != "C" else "?" for each in text)


def tell(sentence: str) -> None:
    """Beside the output, for the user alone."""
    print(sentence, file=sys.stderr)


def screen_width() -> int:
    """In columns; wide enough where there is no screen."""
    from rich.console import Console

    console = Console()
    return console.width if console.is_terminal else max(console.width, _WIDTH_IN_A_FILE)


def on_screen(parts: "Iterator[RenderableType] | Sequence[RenderableType]") -> str:
    """With colours and at the screen's width, or wide enough where it is none."""
    from rich.console import Console

    console = Console()
    console.width = screen_width()
    console.begin_capture()
    for part in parts:
        written = plain(part) if isinstance(part, str) else part
        console.print(written, highlight=False, soft_wrap=isinstance(part, str), markup=False)
    return "\n".join(line.rstrip() for line in console.end_capture().split("\n"))
