"""HTML put together so that text can never become markup: what is not `Markup` is escaped, wherever it goes in."""

import html
import re
from collections.abc import Iterable

_NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What an HTML page cannot hold: control characters, and halves of characters."""
_WITHOUT_END = frozenset({"meta"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Content = str | Iterable["Content"]
"""Text, Markup, or any number of both."""


def escaped(text: str) -> Markup:
    return Markup(html.escape(_NO_TEXT.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))))


def joined(*content: Content) -> Markup:
    """Pieces one after another, each escaped unless it is Markup."""
    return Markup("".join(_pieces(content)))


def element(tag: str, *content: Content, **attributes: str | float | None) -> Markup:
    """An element; `class_` is written as class, `aria_label` as aria-label, and what is None is left out."""
    given = (f' {_attribute(name)}="{escaped(str(value))}"' for name, value in attributes.items() if value is not None)
    opened = f"<{tag}{''.join(given)}>"
    return Markup(opened) if tag in _WITHOUT_END else Markup(f"{opened}{joined(*content)}</{tag}>")


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _pieces(content: Iterable[Content]) -> Iterable[str]:
    for piece in content:
        if isinstance(piece, Markup):
            yield piece
        elif isinstance(piece, str):
            yield escaped(piece)
        else:
            yield from _pieces(piece)
