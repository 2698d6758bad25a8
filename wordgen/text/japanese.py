"""Japanese: TinySegmenter, whose symbols put end to end are the text again."""

from functools import cache

from wordgen.text.escapes import protect, restore
from wordgen.text.lines import tokenize_lines


def tokenize(text: str) -> list[str]:
    # Lines are split first: TinySegmenter would fuse a line break into a word.
    return tokenize_lines(text, _line_symbols)


def piece(symbol: str, previous: str | None) -> str:
    """What a symbol adds to the text; Japanese has no spaces to care for."""
    return restore(symbol)


def _line_symbols(line: str) -> list[str]:
    return [protect(symbol) for symbol in _segmenter().tokenize(line)]


@cache
def _segmenter():  # noqa: ANN202 - the package has no types
    from tinysegmenter import TinySegmenter

    return TinySegmenter()
