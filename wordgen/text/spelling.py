"""Words outside the vocabulary, spelled out: the UTF-8 bytes of a symbol one by one, and a mark where it ends.

So any text can be written and read back, whatever the vocabulary knows. The marks a symbol carries of its spacing
are spelled along, so the word stands where it stood.
"""

from wordgen.text.escapes import BYTES, RESERVED, WORD_END, protect

SPELLING = (*BYTES, WORD_END)
"""All symbols that spelling needs of a vocabulary."""
SPECIAL_WITH_SPELLING = len(RESERVED) + len(SPELLING)
"""How many symbols of a vocabulary that spells are no words."""
_VALUES = {symbol: value for value, symbol in enumerate(BYTES)}


def spell(symbol: str) -> list[str]:
    return [*(BYTES[value] for value in symbol.encode("utf-8", "surrogatepass")), WORD_END]


def byte_of(symbol: str) -> int | None:
    """The value of a symbol that stands for a byte."""
    return _VALUES.get(symbol)


def spelled(values: bytes) -> str:
    """The symbol that some bytes spell: never one of our own names; what is no text becomes a sign of that."""
    symbol = values.decode("utf-8", "replace")
    return protect(symbol) if symbol in RESERVED else symbol


def may_follow(values: bytes) -> frozenset[str]:
    """Which symbols of the spelling may come behind the bytes of a word so far, for it to be text in the end."""
    whole = values and not _begun_character(values)
    return frozenset(_next_bytes(values)) | (frozenset((WORD_END,)) if whole else frozenset())


def _next_bytes(values: bytes) -> tuple[str, ...]:
    """By the table of well-formed UTF-8: only the first two bytes of a character say what may come next."""
    begun = _begun_character(values)
    if not begun:
        return (*BYTES[:0x80], *BYTES[0xC2:0xF5])
    if len(begun) > 1:
        return BYTES[0x80:0xC0]
    first = begun[0]
    low = {0xE0: 0xA0, 0xF0: 0x90}.get(first, 0x80)
    high = {0xED: 0x9F, 0xF4: 0x8F}.get(first, 0xBF)
    return BYTES[low : high + 1]


def _begun_character(values: bytes) -> bytes:
    """The last bytes of a word that are not a whole character yet."""
    for length in range(1, min(3, len(values)) + 1):
        first = values[-length]
        if first >= 0xC0:
            needed = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
            return values[-length:] if length < needed else b""
        if first < 0x80:
            return b""
    return b""
