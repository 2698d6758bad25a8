"""Keeps marks of our own apart from the same characters in somebody's text.

Symbols carry a joiner mark, and some names are reserved. A text may hold any of these literally, so
what comes from a text is protected on its way into a symbol and restored on its way out. The escape
sign is a private-use character, itself escaped where a text brings it along.
"""

import re

JOINER = "\uffed"  # ￭, as in OpenNMT's tokenizer
UNKNOWN_TOKEN = "UNKNOWN_TOKEN"
START_TOKEN = "START_TOKEN"
END_TOKEN = "END_TOKEN"
RESERVED = (UNKNOWN_TOKEN, START_TOKEN, END_TOKEN)
BYTES = tuple(f"<0x{value:02X}>" for value in range(256))
"""One byte of a word that is spelled out."""
WORD_END = "</w>"
"""The end of such a word."""
OTHER_FORM = "<'’>"
"""The apostrophes of the next word have the form that the text has less often."""

_NAMES = frozenset((*RESERVED, *BYTES, WORD_END, OTHER_FORM))
_ESCAPE = "\ue000"
_RESTORED = {"e": _ESCAPE, "j": JOINER, "n": ""}
_ESCAPED = re.compile(_ESCAPE + "(.)", re.DOTALL)


def protect(piece: str) -> str:
    """A piece of text as it may stand in a symbol."""
    if piece in _NAMES:
        return f"{_ESCAPE}n{piece}"
    if _ESCAPE in piece or JOINER in piece:
        return piece.replace(_ESCAPE, _ESCAPE + "e").replace(JOINER, _ESCAPE + "j")
    return piece


def restore(piece: str) -> str:
    """The text that a protected piece stands for."""
    if _ESCAPE not in piece:
        return piece
    return _ESCAPED.sub(lambda found: _RESTORED.get(found[1], found[0]), piece)
