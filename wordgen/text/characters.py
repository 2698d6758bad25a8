"""Any script, one character a symbol: spelling is learned too, and nothing is unknown for long."""

from wordgen.text.escapes import protect, restore


def tokenize(text: str) -> list[str]:
    return [protect(character) for character in text]


def piece(symbol: str, previous: str | None) -> str:
    """What a symbol adds to the text: itself."""
    return restore(symbol)
