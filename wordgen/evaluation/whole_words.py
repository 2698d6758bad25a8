"""Texts as one number a word, where a vocabulary may spell words in several symbols."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.generation.choosing import SpellingIds
from wordgen.text.vocabulary import END, START, UNKNOWN, Vocabulary

UNIT_END = -1
"""Stands between units: no run of words goes over it."""
_BYTES_A_SYMBOL = 50  # at the peak, of a text in which words are spelled
Ids = NDArray[np.integer[Any]]
Numbers = NDArray[np.int64]


def memory_for(symbols: int, vocabulary: Vocabulary) -> int:
    """Bytes that finding the words of so many symbols takes, roughly: none where each symbol is a word."""
    return _BYTES_A_SYMBOL * symbols if vocabulary.spells else 0


@dataclass(frozen=True)
class Words:
    """A text word by word."""

    numbers: Ids
    """Of each word: its id, or where it is spelled a number beyond all ids, the same wherever it stands."""
    begins: Sequence[int] | Numbers
    """Where each begins among the symbols of the text; the last is where the last word ends."""


class WholeWords:
    """Numbers words, the same word alike in all texts; half a spelled word at the end of a text is none."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._letters = np.zeros(len(vocabulary), np.bool_)
        self._spells = vocabulary.spells
        if vocabulary.spells:
            self._letters[list(SpellingIds(vocabulary).values)] = True
        self._spelled: dict[bytes, int] = {}
        self._next = len(vocabulary)

    def of(self, ids: Ids) -> Words:
        """Of a text that begins with a whole word."""
        if not self._spells:
            return Words(ids, range(len(ids) + 1))
        ends = np.flatnonzero(~self._letters[ids]) + 1
        begins = np.concatenate([np.zeros(1, np.int64), ends])
        numbers = ids[begins[:-1]].astype(np.int64)
        lengths = np.diff(begins)
        for length in np.unique(lengths[lengths > 1]).tolist():
            of_length = np.flatnonzero(lengths == length)
            numbers[of_length] = self._numbered(ids[begins[of_length, None] + np.arange(length)])
        return Words(numbers, begins)

    def to_compare(self, ids: Ids) -> Numbers:
        """The words of a text that is looked at: UNIT_END between units, START left out.

        Each UNKNOWN is a word that stands nowhere else. It is unknown because the training text has it next to never:
        what it is part of is new, and counts as such where words are spelled. Were it left out, of a held-out text only
        the set phrases would remain, and it would seem a copy beside texts of a model. So does a word that a model puts
        in for UNKNOWN.
        Where a small vocabulary leaves out words that are not rare, a held-out text is a little less new than it seems.
        """
        words = self.of(ids[ids != START]).numbers.astype(np.int64)
        words[words == END] = UNIT_END
        unknown = words == UNKNOWN
        words[unknown] = np.arange(self._next, self._next + unknown.sum())
        self._next += int(unknown.sum())
        return words

    def _numbered(self, spelled: Ids) -> Numbers:
        """Of words of the same length, one a row."""
        different, rows = np.unique(spelled.astype(np.uint32), axis=0, return_inverse=True)
        return np.array([self._number(word.tobytes()) for word in different], np.int64)[rows.reshape(-1)]

    def _number(self, spelled: bytes) -> int:
        if spelled not in self._spelled:
            self._spelled[spelled] = self._next
            self._next += 1
        return self._spelled[spelled]
