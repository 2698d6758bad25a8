"""The words of a training set that its vocabulary does not know, each with the tokens around it.

When a model generates UNKNOWN, one of these words replaces it. Of a large text only some occurrences are kept, taken
evenly from the whole text.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.text.vocabulary import END, JOINER, UNKNOWN, UNKNOWN_TOKEN, Vocabulary

MOST_KEPT = 20_000
_LOOKED_AT = 3
"""The number of tokens before a word that decide whether the word begins a sentence."""
_STOPS = frozenset(".!?…。！？")
_QUOTES = frozenset("\"'“”‘’«»「」『』()[]*_-—")

Numbers = NDArray[np.integer]


@dataclass(frozen=True)
class UnknownWords:
    """Unknown words and the places where they occur."""

    words: tuple[str, ...] = ()
    """The different words, as the tokenizer gave them."""
    places: tuple[tuple[int, int, int, bool], ...] = ()
    """For each place: the id before the word (END at the beginning of a passage), the index of the word in `words`, the
    id after it (END at the end of a passage), and whether a sentence begins with the word."""

    def __bool__(self) -> bool:
        return bool(self.places)

    def to_json(self) -> dict[str, object]:
        return {"words": list(self.words), "places": [[*place[:3], int(place[3])] for place in self.places]}

    @classmethod
    def from_json(cls, value: Any, vocabulary: Vocabulary) -> "UnknownWords":
        """Read the result of `to_json`. Invalid content raises ValueError, KeyError or TypeError."""
        words, places = value["words"], value["places"]
        if not all(isinstance(word, str) and word and vocabulary.id_of(word) == UNKNOWN for word in words):
            raise ValueError("not a list of words that the vocabulary does not know")
        for before, word, behind, begins in places:
            if not all(type(each) is int for each in (before, word, behind, begins)) or begins not in (0, 1):
                raise ValueError("not a list of places")
            if not (0 <= word < len(words) and 0 <= min(before, behind) <= max(before, behind) < len(vocabulary)):
                raise ValueError("places that do not fit the words or the vocabulary")
        return cls(tuple(words), tuple((before, word, behind, bool(n)) for before, word, behind, n in places))


def begins_sentence(before: Sequence[str]) -> bool:
    """Return whether a sentence begins after these tokens of a passage.

    It does at the beginning of the passage and after a full stop or similar mark. Quotation marks may come in between.
    """
    for token in reversed(before[-_LOOKED_AT:]):
        letters = set(token.replace(JOINER, ""))
        if letters <= _STOPS | _QUOTES and letters & _STOPS:
            return True
        if not letters <= _QUOTES:
            return False
    return len(before) < _LOOKED_AT


_Place = tuple[int, str, int, bool]
"""The id before a word, the word, the id after it, and whether a sentence begins with the word."""


def unknown_words(passages: Iterable[Numbers], tokens: Sequence[str], vocabulary: Vocabulary) -> UnknownWords:
    """Collect the unknown words of passages whose tokens are given as numbers (indices into `tokens`).

    The token UNKNOWN in the text itself is not collected, because the original word is not known. The result is empty
    if the vocabulary spells words out.
    """
    if vocabulary.spells:
        return UnknownWords()
    ids = np.array([vocabulary.id_of(token) for token in tokens], np.int64)
    unknown = (ids == UNKNOWN) & np.array([token != UNKNOWN_TOKEN for token in tokens], np.bool_)
    kept = _thinned(_places(passage, ids, unknown, tokens) for passage in passages)
    numbers: dict[str, int] = {}
    places = tuple((left, numbers.setdefault(word, len(numbers)), right, begins) for left, word, right, begins in kept)
    return UnknownWords(tuple(numbers), places)


def _places(passage: Numbers, ids: Numbers, unknown: NDArray[np.bool_], tokens: Sequence[str]) -> Iterator[_Place]:
    for at in np.flatnonzero(unknown[passage]).tolist():
        before: list[int] = passage[max(0, at - _LOOKED_AT) : at].tolist()
        left = int(ids[before[-1]]) if before else END
        right = int(ids[passage[at + 1]]) if at + 1 < len(passage) else END
        yield left, tokens[int(passage[at])], right, begins_sentence([tokens[each] for each in before])


def _thinned(passages: Iterable[Iterator[_Place]]) -> list[_Place]:
    """Return all places, or every second, fourth, ... place if there are more than MOST_KEPT."""
    kept: list[_Place] = []
    seen, apart = 0, 1
    for places in passages:
        for place in places:
            if seen % apart == 0:
                kept.append(place)
                if len(kept) > MOST_KEPT:
                    kept, apart = kept[::2], 2 * apart
            seen += 1
    return kept
