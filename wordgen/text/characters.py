"""Any script, one character a symbol: spelling is learned too, and nothing is unknown for long."""

from functools import cache

from wordgen.text.escapes import protect, restore

_symbol = cache(protect)  # one text in memory for all places where a character stands


def tokenize(text: str) -> list[str]:
    return [_symbol(character) for character in text]


def piece(symbol: str, previous: str | None) -> str:
    """What a symbol adds to the text: itself."""
    return restore(symbol)
