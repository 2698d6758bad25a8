"""Which symbols have an id, and which id that is."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wordgen.errors import CorpusError
from wordgen.text.apostrophes import in_one_form, other_form
from wordgen.text.escapes import JOINER, OTHER_FORM, RESERVED
from wordgen.text.spelling import SPECIAL_WITH_SPELLING, SPELLING, spell

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
    def from_counts(
        cls,
        counts: Mapping[str, int],
        size: int,
        min_count: int,
        *,
        spelling: bool = False,
        one_apostrophe: bool = False,
        base: "BaseVocabulary | None" = None,
    ) -> "Vocabulary":
        """The `size` commonest tokens that occur at least `min_count` times; equals in code-point order.

        With `spelling`, the bytes are among them, and what is left out is spelled instead of unknown. With
        `one_apostrophe`, words that differ in the form of their apostrophes alone are one symbol. With a base, tokens
        that it knows need to occur `base.min_count` times only, and its commonest words come last.
        """
        counts, others = in_one_form(counts) if one_apostrophe else (counts, {})
        room = size - (SPECIAL_WITH_SPELLING if spelling else len(RESERVED))

        def least(token: str) -> int:
            return min_count if base is None or base.vocabulary.nearest(token) is None else base.min_count

        ordinary = [(s, n) for s, n in counts.items() if s not in RESERVED and n >= least(s)]
        ordinary.sort(key=_common_first)
        kept = ordinary[:room]
        marked = sum(others.get(s, 0) for s, _ in kept[: room - 1])
        if marked and marked >= min_count:
            kept = sorted([*kept[: room - 1], (OTHER_FORM, marked)], key=_common_first)
        more = [] if base is None else base.words_besides(counts, room - len(kept))
        if not kept and not spelling:
            raise CorpusError(
                f"No word of the text occurs {min_count} times, so there is nothing to learn: "
                "take more text, or --min-count 1."
            )
        left_out = {s: n for s, n in counts.items() if s not in RESERVED[START:]}
        for symbol, _ in kept:
            left_out.pop(symbol, None)
        special = {RESERVED[UNKNOWN]: sum(left_out.values()), RESERVED[START]: 0}
        special[RESERVED[END]] = counts.get(RESERVED[END], 0)
        if spelling:
            special[RESERVED[UNKNOWN]] = left_out.pop(RESERVED[UNKNOWN], 0)  # one that the text brought along
            special |= dict.fromkeys(SPELLING, 0)
            for symbol, count in left_out.items():
                for each in spell(symbol):
                    special[each] += count
        return cls([*special.items(), *kept, *((word, 0) for word in more)])

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.to_json() == other.to_json()

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    @property
    def spells(self) -> bool:
        """Whether words that it does not know are spelled out."""
        return SPELLING[0] in self._ids

    @property
    def special(self) -> int:
        """How many symbols are no words: UNKNOWN, START, END, and what spells."""
        return SPECIAL_WITH_SPELLING if self.spells else len(RESERVED)

    def id_of(self, symbol: str) -> int:
        """The id of a symbol that is one of the vocabulary's own, in either form of its apostrophes; else UNKNOWN."""
        number = self._ids.get(symbol)
        if number is None and (other := other_form(symbol)) is not None:
            number = self._ids.get(other)
        return UNKNOWN if number is None else number

    def nearest(self, symbol: str) -> int | None:
        """Its id; else that of the same word with other joiner marks or capitals; nothing where there is none."""
        if symbol in self._ids:
            return self._ids[symbol]
        return next((number for each in _variants(symbol) if (number := self.id_of(each)) != UNKNOWN), None)

    def ids_of(self, symbol: str) -> list[int]:
        """What any symbol becomes: its id, with a mark before it if its apostrophes are of the other form; or the ids
        of its spelling, or UNKNOWN."""
        number = self.id_of(symbol)
        if symbol in self._ids or not (self.spells or number):
            return [number]
        if number:
            return [self._ids[OTHER_FORM], number] if OTHER_FORM in self._ids else [number]
        return [self._ids[each] for each in spell(symbol)]

    def digest(self) -> str:
        """The same for the same symbols in the same order."""
        return hashlib.sha256("\0".join(self.symbols).encode()).hexdigest()

    def to_json(self) -> list[list[Any]]:
        return [[symbol, count] for symbol, count in zip(self.symbols, self.counts, strict=True)]


def _common_first(counted: tuple[str, int]) -> tuple[int, str]:
    return -counted[1], counted[0]


@dataclass(frozen=True)
class BaseVocabulary:
    """The words of a trained model that a new run begins from, and which of them the new run takes over."""

    vocabulary: Vocabulary
    min_count: int
    """How often a word that it knows must occur in the new text."""
    words: int
    """How many of its commonest words are taken over that the new text does not have."""

    def words_besides(self, counts: Mapping[str, int], most: int) -> list[str]:
        ordinary = self.vocabulary.symbols[self.vocabulary.special :][: self.words]
        return [word for word in ordinary if word not in counts and word != OTHER_FORM][: max(0, most)]


def _variants(token: str) -> Iterator[str]:
    """The token itself, then with other joiner marks, then each of these with other capitals."""
    word = token.strip(JOINER)
    marked = (token, word, JOINER + word, word + JOINER, JOINER + word + JOINER)
    yield from marked
    for other in dict.fromkeys((word.lower(), word.capitalize(), word.upper())):
        yield from (other, JOINER + other, other + JOINER)
