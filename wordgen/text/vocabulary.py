"""Which symbols have an id, and which id that is."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from wordgen.errors import CorpusError
from wordgen.text.escapes import RESERVED

UNKNOWN, START, END = range(3)


class Vocabulary:
    """The three special symbols, then the symbols of the training text from common to rare."""

    def __init__(self, counted_symbols: Iterable[tuple[str, int]]) -> None:
        """Takes symbols with how often each stood in the training text, the special ones first."""
        pairs = list(counted_symbols)
        self.symbols = tuple(symbol for symbol, _ in pairs)
        self.counts = tuple(count for _, count in pairs)
        self._ids = {symbol: number for number, symbol in enumerate(self.symbols)}
        if self.symbols[:3] != RESERVED or len(self._ids) != len(self.symbols):
            raise ValueError("a vocabulary begins with the special symbols and holds each symbol once")

    @classmethod
    def from_counts(cls, counts: Mapping[str, int], size: int, min_count: int) -> "Vocabulary":
        """The `size` commonest symbols that occur at least `min_count` times; equals in code-point order."""
        ordinary = [(s, n) for s, n in counts.items() if n >= min_count and s not in RESERVED]
        ordinary.sort(key=lambda pair: (-pair[1], pair[0]))
        kept = ordinary[: size - len(RESERVED)]
        if not kept:
            raise CorpusError(
                f"No word of the text occurs {min_count} times, so there is nothing to learn: "
                "take more text, or --min-count 1."
            )
        unknown = sum(counts.values()) - sum(n for _, n in kept)
        unknown -= counts.get(RESERVED[START], 0) + counts.get(RESERVED[END], 0)
        ends = counts.get(RESERVED[END], 0)
        special = [(RESERVED[UNKNOWN], unknown), (RESERVED[START], 0), (RESERVED[END], ends)]
        return cls([*special, *kept])

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.to_json() == other.to_json()

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def id_of(self, symbol: str) -> int:
        return self._ids.get(symbol, UNKNOWN)

    def digest(self) -> str:
        """The same for the same symbols in the same order."""
        return hashlib.sha256("\0".join(self.symbols).encode()).hexdigest()

    def to_json(self) -> list[list[Any]]:
        return [[symbol, count] for symbol, count in zip(self.symbols, self.counts, strict=True)]
