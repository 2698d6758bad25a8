"""Words that are spelled out of bytes while a text is written: they go on until they are whole, and count as one."""

from collections.abc import Sequence
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from wordgen.generation.odds import NO_SYMBOL, LogOdds, OddsChange, Past
from wordgen.text.escapes import BYTES, WORD_END
from wordgen.text.spelling import may_follow
from wordgen.text.vocabulary import Vocabulary

_LONGEST_SPELLED = 200


class SpellingIds:
    """The ids of bytes and of the end of a word, as a vocabulary has them."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.size = len(vocabulary)
        self.word_end = vocabulary.id_of(WORD_END)
        self.values = {vocabulary.id_of(symbol): value for value, symbol in enumerate(BYTES)}
        """The byte that an id stands for."""
        self.all = np.array([*self.values, self.word_end])
        self._masks: dict[frozenset[str], NDArray[np.bool_]] = {}
        self._id_of = vocabulary.id_of

    def word_so_far(self, ids: Sequence[int]) -> bytes:
        """The bytes at the end of some symbols."""
        word = list(takewhile(lambda value: value is not None, (self.values.get(each) for each in reversed(ids))))
        return bytes(value for value in reversed(word) if value is not None)

    def words(self, ids: Sequence[int]) -> list[tuple[int, ...]] | None:
        """The symbols of each word; nothing where the last is not whole yet."""
        words: list[tuple[int, ...]] = []
        word: list[int] = []
        for each in ids:
            word.append(each)
            if each not in self.values:
                words.append(tuple(word))
                word = []
        return None if word else words

    def last_words(self, ids: Sequence[int], count: int) -> Sequence[int]:
        """The symbols of the last so many words; nothing within a word, or where there are fewer."""
        if ids[-1] in self.values:
            return []
        begin = len(ids)
        for _ in range(count):
            begin -= 1
            while begin > 0 and ids[begin - 1] in self.values:
                begin -= 1
            if begin < 0:
                return []
        return ids[begin:]

    def forbidden_after(self, word: bytes) -> NDArray[np.bool_]:
        """What must not come behind some bytes of a word; outside of words only a first byte may come of the bytes."""
        allowed = may_follow(word)
        if allowed not in self._masks:
            forbidden = np.full(self.size, bool(word))
            forbidden[self.all] = True
            forbidden[[self._id_of(symbol) for symbol in allowed]] = False
            self._masks[allowed] = forbidden
        return self._masks[allowed]


def spell_well(spelling: SpellingIds) -> OddsChange:
    """A word that is spelled out goes on until it is whole, and with bytes that are text."""

    def change(log_odds: LogOdds, past: Past) -> LogOdds:
        changed = log_odds.copy()
        for row, last in enumerate(past.symbols[:, -_LONGEST_SPELLED:].tolist()):
            changed[row, spelling.forbidden_after(spelling.word_so_far(last))] = -np.inf
        return changed

    return change


def forbid_repeated_words(n: int, spelling: SpellingIds) -> OddsChange:
    """`forbid_repeated_ngrams` where words may be spelled out: each counts as one, and what is begun may be ended."""

    def change(log_odds: LogOdds, past: Past) -> LogOdds:
        changed = log_odds.copy()
        for row, symbols in enumerate(past.symbols.tolist()):
            words = spelling.words([symbol for symbol in symbols if symbol != NO_SYMBOL])
            if words is None or len(words) < n:
                continue
            last = words[len(words) - n + 1 :]
            for place in range(len(words) - n + 1):
                if words[place : place + n - 1] == last:
                    changed[row, words[place + n - 1][0]] = -np.inf
        return changed

    return change
