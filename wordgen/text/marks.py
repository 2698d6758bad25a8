"""The parts of tokens: joiner marks, escapes, special tokens, line breaks, apostrophes, and bytes of spelled words."""

import codecs
import re
from collections import Counter
from collections.abc import Mapping

JOINER = "\uffed"  # ￭, as in OpenNMT's tokenizer
UNKNOWN_TOKEN = "UNKNOWN_TOKEN"
START_TOKEN = "START_TOKEN"
END_TOKEN = "END_TOKEN"
RESERVED = (UNKNOWN_TOKEN, START_TOKEN, END_TOKEN)
BYTES = tuple(f"<0x{value:02X}>" for value in range(256))
"""The tokens for the bytes of a word that is spelled out."""
WORD_END = "</w>"
"""The token for the end of a word that is spelled out."""
OTHER_FORM = "<'’>"
"""The mark before a word whose apostrophes have the form that is less frequent in the text."""

_NAMES = frozenset((*RESERVED, *BYTES, WORD_END, OTHER_FORM))
_ESCAPE = "\ue000"
_RESTORED = {"e": _ESCAPE, "j": JOINER, "n": ""}
_ESCAPED = re.compile(_ESCAPE + "(.)", re.DOTALL)


def protect(piece: str) -> str:
    """Escape a piece of text, so that it can be part of a token and is not mistaken for a mark or a special token."""
    if piece in _NAMES:
        return f"{_ESCAPE}n{piece}"
    if _ESCAPE in piece or JOINER in piece:
        return piece.replace(_ESCAPE, _ESCAPE + "e").replace(JOINER, _ESCAPE + "j")
    return piece


def restore(piece: str) -> str:
    """Return the text that an escaped piece represents. This is the inverse of `protect`."""
    if _ESCAPE not in piece:
        return piece
    return _ESCAPED.sub(lambda found: _RESTORED.get(found[1], found[0]), piece)


LINE_BREAK = "\n"
TYPED, PRINTED = "'", "’"


def as_typed(text: str) -> str:
    """Return the text with typewriter apostrophes. The length and all positions stay the same."""
    return text.replace(PRINTED, TYPED)


def other_form(token: str) -> str | None:
    """Return the word with its apostrophes in the other form, or None if it has no apostrophe or both forms.

    A single apostrophe that touches no other token is not a word, so the result is None. Where tokens are characters,
    each form therefore stays a separate token.
    """
    if (TYPED in token) == (PRINTED in token) or not (JOINER in token or is_word(token)):
        return None
    return token.replace(TYPED, PRINTED) if TYPED in token else as_typed(token)


def in_one_form(counts: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Merge the two apostrophe forms of each word into one token.

    Returns the merged counts, and for each merged token how often it had the other form. The more frequent form is
    kept. It is found separately for apostrophes in words and for those on their own (most of them are quotation marks),
    because many texts print the one and type the other.
    """
    balance = Counter[bool]()
    for token, count in counts.items():
        if other_form(token) is not None:
            balance[is_word(token)] += count if PRINTED in token else -count
    merged, others = Counter[str](), Counter[str]()
    for token, count in counts.items():
        other = other_form(token)
        common = PRINTED if balance[is_word(token)] > 0 else TYPED
        if other is not None and common not in token:
            merged[other] += count
            others[other] += count
        else:
            merged[token] += count
    return dict(merged), dict(others)


def is_word(token: str) -> bool:
    return any(map(str.isalnum, token))


SPELLING = (*BYTES, WORD_END)
"""All tokens that a vocabulary needs to spell words out."""
SPECIAL_WITH_SPELLING = len(RESERVED) + len(SPELLING)
"""The number of special tokens in a vocabulary that spells words out."""
_VALUES = {token: value for value, token in enumerate(BYTES)}


def spell(token: str) -> list[str]:
    """Return the tokens that spell a token: one for each of its UTF-8 bytes, then WORD_END."""
    return [*(BYTES[value] for value in token.encode("utf-8", "surrogatepass")), WORD_END]


def byte_of(token: str) -> int | None:
    """Return the value of a token that represents a byte, or None for any other token."""
    return _VALUES.get(token)


def spelled(values: bytes) -> str:
    """Return the token that the bytes spell.

    It is never UNKNOWN, START or END. Bytes that are not valid UTF-8 become the replacement character U+FFFD.
    """
    token = values.decode("utf-8", "replace")
    return protect(token) if token in RESERVED else token


def may_follow(values: bytes) -> frozenset[str]:
    """Return the spelling tokens that may follow the bytes of a word so far, if the word is to be valid UTF-8.

    Only the first byte of a character restricts its second byte. All later bytes have the same range.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(values)
    begun, _ = decoder.getstate()  # the bytes of the incomplete character at the end
    if not begun:
        end = (WORD_END,) if values else ()
        return frozenset((*BYTES[:0x80], *BYTES[0xC2:0xF5], *end))
    if len(begun) > 1:
        return frozenset(BYTES[0x80:0xC0])
    low = {0xE0: 0xA0, 0xF0: 0x90}.get(begun[0], 0x80)
    high = {0xED: 0x9F, 0xF4: 0x8F}.get(begun[0], 0xBF)
    return frozenset(BYTES[low : high + 1])
