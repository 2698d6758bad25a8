"""The words of a training text that its vocabulary does not know, each with the symbols around it.

A model that writes UNKNOWN puts one of them in its place. Of a large text only some are kept, taken evenly from all of
it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.text.escapes import JOINER, UNKNOWN_TOKEN
from wordgen.text.vocabulary import END, UNKNOWN, Vocabulary

MOST_KEPT = 20_000
_LOOKED_AT = 3
"""So many symbols before a word say whether it begins a sentence."""
_STOPS = frozenset(".!?…。！？")
_QUOTES = frozenset("\"'“”‘’«»「」『』()[]*_-—")

Numbers = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class UnknownWords:
    words: tuple[str, ...] = ()
    """Different ones, as the tokenizer gave them."""
    places: tuple[tuple[int, int, int, bool], ...] = ()
    """Where they stood: the id before (END at the beginning of a unit), the number of the word, the id behind (END at
    the end of a unit), and whether a sentence began there."""

    def __bool__(self) -> bool:
        return bool(self.places)

    def to_json(self) -> dict[str, Any]:
        return {"words": list(self.words), "places": [[*place[:3], int(place[3])] for place in self.places]}

    @classmethod
    def from_json(cls, value: Any, vocabulary: Vocabulary) -> "UnknownWords":
        """What `to_json` gave; anything else is a ValueError."""
        words, places = value["words"], value["places"]
        if not all(isinstance(word, str) and word and vocabulary.id_of(word) == UNKNOWN for word in words):
            raise ValueError("not a list of words that the vocabulary does not know")
        for before, word, behind, begins in places:
            if not all(type(each) is int for each in (before, word, behind, begins)) or begins not in (0, 1):
                raise ValueError("not a list of places")
            if not (0 <= word < len(words) and 0 <= min(before, behind) <= max(before, behind) < len(vocabulary)):
                raise ValueError("places of other words, or of another vocabulary")
        return cls(tuple(words), tuple((before, word, behind, bool(n)) for before, word, behind, n in places))


def begins_sentence(before: Sequence[str]) -> bool:
    """Whether a sentence begins behind these symbols of a unit: nothing, or a stop and at most quotation marks."""
    for symbol in reversed(before[-_LOOKED_AT:]):
        letters = set(symbol.replace(JOINER, ""))
        if letters <= _STOPS | _QUOTES and letters & _STOPS:
            return True
        if not letters <= _QUOTES:
            return False
    return len(before) < _LOOKED_AT


@dataclass(frozen=True)
class _Place:
    before: int
    word: str
    behind: int
    begins: bool


def unknown_words(units: Iterable[Numbers], symbols: Sequence[str], vocabulary: Vocabulary) -> UnknownWords:
    """Of units whose symbols are numbered. Where a text itself says UNKNOWN, no word is known."""
    if vocabulary.spells:
        return UnknownWords()
    ids = np.array([vocabulary.id_of(symbol) for symbol in symbols], np.int64)
    unknown = (ids == UNKNOWN) & np.array([symbol != UNKNOWN_TOKEN for symbol in symbols], np.bool_)
    kept = _thinned(_places(unit, ids, unknown, symbols) for unit in units)
    numbers: dict[str, int] = {}
    places = tuple((p.before, numbers.setdefault(p.word, len(numbers)), p.behind, p.begins) for p in kept)
    return UnknownWords(tuple(numbers), places)


def _places(unit: Numbers, ids: Numbers, unknown: NDArray[np.bool_], symbols: Sequence[str]) -> Iterator[_Place]:
    for at in np.flatnonzero(unknown[unit]).tolist():
        before: list[int] = unit[max(0, at - _LOOKED_AT) : at].tolist()
        left = int(ids[before[-1]]) if before else END
        right = int(ids[unit[at + 1]]) if at + 1 < len(unit) else END
        yield _Place(left, symbols[int(unit[at])], right, begins_sentence([symbols[each] for each in before]))


def _thinned(units: Iterable[Iterator[_Place]]) -> list[_Place]:
    """All places, or every second, fourth ... if there are more than MOST_KEPT."""
    kept: list[_Place] = []
    seen, apart = 0, 1
    for places in units:
        for place in places:
            if seen % apart == 0:
                kept.append(place)
                if len(kept) > MOST_KEPT:
                    kept, apart = kept[::2], 2 * apart
            seen += 1
    return kept
