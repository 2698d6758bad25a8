"""Apostrophes in two forms, as a typewriter has them (') and as books print them (’): one word, whatever its form.

A vocabulary knows each word in one form, the commoner one of the training text. Where the text has the other, a mark
stands before the word, so the text comes back as it was. A text that keeps to one form needs no mark.
"""

from collections import Counter
from collections.abc import Mapping

from wordgen.text.escapes import JOINER

TYPED, PRINTED = "'", "’"


def as_typed(text: str) -> str:
    """The same text with typewriter apostrophes; no character changes its place."""
    return text.replace(PRINTED, TYPED)


def other_form(symbol: str) -> str | None:
    """The same word with its apostrophes in the other form; nothing where it has none, or both forms at once.

    A single character that touches nothing is no word: as the letters of a text have it, each form is its own.
    """
    if (TYPED in symbol) == (PRINTED in symbol) or not (JOINER in symbol or _is_word(symbol)):
        return None
    return symbol.replace(TYPED, PRINTED) if TYPED in symbol else as_typed(symbol)


def in_one_form(counts: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Counted symbols with each word in one form; and how often each stood in the other.

    Apostrophes in words and those by themselves (most of them quotation marks) have a common form each: many texts
    print the one and type the other.
    """
    balance = Counter[bool]()
    for symbol, count in counts.items():
        if other_form(symbol) is not None:
            balance[_is_word(symbol)] += count if PRINTED in symbol else -count
    merged, others = Counter[str](), Counter[str]()
    for symbol, count in counts.items():
        other = other_form(symbol)
        common = PRINTED if balance[_is_word(symbol)] > 0 else TYPED
        if other is not None and common not in symbol:
            merged[other] += count
            others[other] += count
        else:
            merged[symbol] += count
    return dict(merged), dict(others)


def _is_word(symbol: str) -> bool:
    return any(map(str.isalnum, symbol))
