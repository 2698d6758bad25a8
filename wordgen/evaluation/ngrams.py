"""What counting can do: an interpolated modified Kneser-Ney model (Chen & Goodman 1998), in sorted arrays.

The odds of a symbol after a context of some symbols are its count in that context, less a discount; what the discounts
leave over goes to the odds after the context that is one symbol shorter, and at the end to all symbols alike:

    odds(w | context) = (count(context w) - discount) / total(context) + left over(context) * odds(w | shorter context)

Only the longest n-grams count how often they stand in the text. Each shorter one counts how many different symbols
stand before it there, for it is asked only where the longer ones know nothing.

Everything is done for all places of a text at once. A context has a number, its place in a sorted array of keys, and so
does the one that is a symbol longer: its key is made of the shorter one's number and the symbol before it. So a key
fits into 64 bits whatever the order is.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.evaluation.measures import Loss
from wordgen.text.vocabulary import END, START

ORDER = 5
ORDER_OF_CHARACTERS = 7
"""Five characters are hardly a word: with seven, counting does better, and with more it does not."""
_BYTES_A_SYMBOL = 40  # and order, at the peak, measured with five orders
_NOT_SEEN = -1
_USUAL_DISCOUNTS = (0.5, 1.0, 1.5)
"""Where a text is too small to tell its own."""
Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]


def order_for(tokenizer: str) -> int:
    """Of the n-grams that a model with this tokenizer is compared with."""
    return ORDER_OF_CHARACTERS if tokenizer == "characters" else ORDER


def memory_for(symbols: int, order: int) -> int:
    """Bytes that learning from so many symbols takes, roughly."""
    return _BYTES_A_SYMBOL * order * symbols


class NgramModel:
    """Learns the ids of a text as one stream, and gives odds to those of another.

    START is left out: it always stands behind an END, so it tells nothing that END does not, and is never predicted.
    END is a symbol like any other, so the end of a unit is part of the context at the beginning of the next, as it is
    in the state of a network. Before a text stand as many ENDs as a context can hold. The odds of all symbols but
    START sum to one after any context.
    """

    def __init__(self, train: NDArray[np.integer[Any]], vocabulary_size: int, order: int = ORDER) -> None:
        self._size = vocabulary_size
        self.order = order
        self._levels = _counted(_Stream(train, order), vocabulary_size, order)

    def loss(self, ids: NDArray[np.integer[Any]]) -> Loss:
        """What predicting a text costs."""
        return Loss.of(-self.log_odds(ids), ids)

    def log_odds(self, ids: NDArray[np.integer[Any]]) -> Floats:
        """Of every symbol of a text after those before it, but for START, and the first where it begins without one."""
        stream = _Stream(ids, self.order)
        odds = np.full(len(stream.targets), 1 / (self._size - 1))
        contexts = np.zeros(len(stream.targets), np.int64)
        for before, level in enumerate(self._levels, 1):
            odds = level.odds(contexts, stream.targets, odds)
            if before < self.order:
                keys = np.where(contexts == _NOT_SEEN, _NOT_SEEN, contexts * self._size + stream.behind(before))
                contexts = _places(self._levels[before].context_keys, keys)
        return np.log(odds)


class _Stream:
    """A text as one row of symbols: which of them are predicted, and what stands before each."""

    def __init__(self, ids: NDArray[np.integer[Any]], order: int) -> None:
        begin = np.full(order - 1, END, np.int64)
        self._symbols: Numbers = np.concatenate([begin, ids[ids != START].astype(np.int64)])
        self._first = len(begin) + (len(ids) > 0 and ids[0] != START)
        self.targets: Numbers = self._symbols[self._first :]

    def behind(self, distance: int) -> Numbers:
        """For each target the symbol so far before it."""
        return self._symbols[self._first - distance : len(self._symbols) - distance]


@dataclass(frozen=True)
class _Level:
    """All n-grams of one order."""

    size: int
    """Of the vocabulary."""
    context_keys: Numbers
    """For each context, sorted: the number of the one that is a symbol shorter, and the symbol before that."""
    keys: Numbers
    """For each n-gram, sorted: the number of its context, and its last symbol."""
    counts: Numbers
    discounts: Floats
    """What is taken off a count of 0, 1, 2, and 3 or more."""
    totals: Numbers
    """For each context the sum of its counts."""
    left_over: Floats
    """For each context the share that the discounts leave to the next shorter one."""

    @classmethod
    def of(cls, size: int, context_keys: Numbers, keys: Numbers, counts: Numbers) -> "_Level":
        discounts = _discounts(counts)
        contexts = keys // size
        totals = np.bincount(contexts, counts, len(context_keys))
        taken = np.bincount(contexts, discounts[np.minimum(counts, 3)], len(context_keys))
        return cls(size, context_keys, keys, counts, discounts, totals.astype(np.int64), taken / totals)

    def odds(self, contexts: Numbers, symbols: Numbers, shorter: Floats) -> Floats:
        """Of symbols after contexts, from the odds after the shorter ones; those are all there is for an unseen one."""
        seen = contexts != _NOT_SEEN
        contexts, symbols = contexts[seen], symbols[seen]
        places = _places(self.keys, contexts * self.size + symbols)
        counts = np.where(places == _NOT_SEEN, 0, self.counts[places])
        own = (counts - self.discounts[np.minimum(counts, 3)]) / self.totals[contexts]
        odds = shorter.copy()
        odds[seen] = own + self.left_over[contexts] * shorter[seen]
        return odds


def _counted(stream: _Stream, size: int, order: int) -> list[_Level]:
    """The levels from single symbols up to whole n-grams; none of a text without targets."""
    levels: list[_Level] = []
    if not len(stream.targets):
        return levels
    contexts = np.zeros(len(stream.targets), np.int64)
    context_keys = np.zeros(1, np.int64)  # that of no symbols
    waiting: tuple[Numbers, Numbers, Numbers] | None = None
    for length in range(1, order + 1):
        keys, first, grams, counts = np.unique(
            contexts * size + stream.targets, return_index=True, return_inverse=True, return_counts=True
        )
        if waiting is not None:
            # Each different n-gram of this order is one more symbol that stands before the n-gram within it.
            shorter_context_keys, shorter_keys, shorter_grams = waiting
            before = np.bincount(shorter_grams[first], minlength=len(shorter_keys))
            levels.append(_Level.of(size, shorter_context_keys, shorter_keys, before))
        if length == order:
            levels.append(_Level.of(size, context_keys, keys, counts))
            break
        waiting = (context_keys, keys, grams)
        context_keys, contexts = np.unique(contexts * size + stream.behind(length), return_inverse=True)
    return levels


def _discounts(counts: Numbers) -> Floats:
    """What to take off a count of 0, 1, 2, and 3 or more, by how many n-grams have the counts 1 to 4."""
    _, ones, twos, threes, fours = np.bincount(np.minimum(counts, 5), minlength=5)[:5].tolist()
    if ones and twos and threes and fours:
        y = ones / (ones + 2 * twos)
        told = (1 - 2 * y * twos / ones, 2 - 3 * y * threes / twos, 3 - 4 * y * fours / threes)
        if min(told) > 0:
            return np.array([0.0, *told])
    return np.array([0.0, *_USUAL_DISCOUNTS])


def _places(keys: Numbers, wanted: Numbers) -> Numbers:
    """Where each wanted key stands among sorted ones."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, _NOT_SEEN)
