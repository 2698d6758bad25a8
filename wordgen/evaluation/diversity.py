"""How much texts differ, within themselves and from each other."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wordgen.evaluation.whole_words import UNIT_END, Numbers

REPEATED = 4
"""So many words in a row that stand again are a repetition: three, as "in front of", are often an idiom."""
_BLEU_ORDER = 4


class Texts:
    """Several texts as one row of words, with the end of a unit behind each."""

    def __init__(self, texts: Sequence[Numbers]) -> None:
        self.count = len(texts)
        lengths = [len(text) + 1 for text in texts]
        self.words: Numbers = np.full(sum(lengths), UNIT_END, np.int64)
        self._owners = np.repeat(np.arange(len(texts)), lengths)
        for text, end in zip(texts, np.cumsum(lengths).tolist(), strict=True):
            self.words[end - len(text) - 1 : end - 1] = text
        ends = np.flatnonzero(self.words == UNIT_END)
        places = np.arange(len(self.words))
        self.rooms: Numbers = ends[np.searchsorted(ends, places)] - places
        """How many words stand from each place to the end of its unit, which no n-gram goes over."""

    def in_each(self, places: NDArray[np.bool_]) -> Numbers:
        """How many of some places are in each text."""
        return np.bincount(self._owners[places], minlength=self.count)

    def ngrams(self, n: int) -> tuple[Numbers, Numbers]:
        """A number for each n-gram, the same for those that are alike, and the text that it stands in."""
        places = np.flatnonzero(self.rooms >= n)
        if not len(places):
            return places, places
        _, numbers = np.unique(self.words[places[:, None] + np.arange(n)], axis=0, return_inverse=True)
        return numbers.reshape(-1), self._owners[places]


def distinct(texts: Texts, n: int) -> float | None:
    """The share of n-grams that are different ones; nothing where there are none."""
    numbers, _ = texts.ngrams(n)
    return len(np.unique(numbers)) / len(numbers) if len(numbers) else None


def repetition(texts: Texts) -> float | None:
    """The share of n-grams of REPEATED words that stood in the same text before."""
    numbers, owners = texts.ngrams(REPEATED)
    return 1 - len(_pairs(numbers, owners)[0]) / len(numbers) if len(numbers) else None


def self_bleu(texts: Texts) -> float | None:
    """BLEU of each text against all others, the counts of all added up: 1 where each stands in the others.

    For n up to four: the share of n-grams that another text has, none counted more often than one other text has it;
    and of these four shares the geometric mean. Where no n-gram of a length is shared, half a one counts as shared, and
    of the next such length a quarter, as BLEU's usual smoothing has it. The texts are of one length, so none is
    punished for being short.
    """
    if texts.count < 2:
        return None
    logarithms: list[float] = []
    unshared = 1
    for n in range(1, _BLEU_ORDER + 1):
        numbers, owners = texts.ngrams(n)
        if not len(numbers):
            break
        shared: float = _shared(numbers, owners)
        if not shared:
            unshared *= 2
            shared = 1 / unshared
        logarithms.append(math.log(shared / len(numbers)))
    return math.exp(sum(logarithms) / len(logarithms)) if logarithms else None


def _shared(numbers: Numbers, owners: Numbers) -> int:
    """How many n-grams stand in another text as well, none counted more often than one other text has it."""
    kinds, counts = _pairs(numbers, owners)
    order = np.lexsort((counts, kinds))
    kinds, counts = kinds[order], counts[order]
    last = np.append(kinds[1:] != kinds[:-1], True)  # of each kind the text that has most of it
    most = counts[last][np.cumsum(last) - last]
    second = np.append(0, np.where(kinds[1:] == kinds[:-1], counts[:-1], 0))
    return int(np.minimum(counts, np.where(last, second, most)).sum())


def _pairs(numbers: Numbers, owners: Numbers) -> tuple[Numbers, Numbers]:
    """Each n-gram once for each text that has it, and how often that has it."""
    pairs, counts = np.unique(np.stack([numbers, owners]), axis=1, return_counts=True)
    return pairs[0], counts
