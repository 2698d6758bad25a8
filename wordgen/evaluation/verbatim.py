"""What of a text stands word for word in another that may be large, and where."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 1 << 20
Ids = NDArray[np.integer[Any]]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Matches:
    """For each place of a text the longest run from there on that stands in another one."""

    lengths: Numbers
    places: Numbers
    """Where it stands there, for the first time."""


def longest_matches(text: Ids, other: Ids) -> Matches:
    """Search for all runs of a text in another; what is less than 0 is a break and stands nowhere.

    The runs of one word are looked up in the whole other text, those of two words where the first word was found, and
    so on: soon little is left to look at. The other text is taken in parts, so memory does not grow with it.
    """
    lengths = np.zeros(len(text), np.int64)
    places = np.zeros(len(text), np.int64)
    for begin in range(0, len(other), _AT_ONCE):
        _lengthen(lengths, places, text, other, np.arange(begin, min(begin + _AT_ONCE, len(other))))
    return Matches(lengths, places)


def _lengthen(lengths: Numbers, places: Numbers, text: Ids, other: Ids, there: Numbers) -> None:
    """Look at the runs that begin at some places of the other text, and note those that are longer than what was known.

    A run is the one that is a word shorter, and its last word. All that are alike have one number, here and there.
    """
    words = 1 + int(text.max(initial=0))
    here = np.arange(len(text))
    numbers_here, numbers_there = np.zeros(len(here), np.int64), np.zeros(len(there), np.int64)
    length = 0
    while True:
        here, numbers_here = _go_on(here, numbers_here, text, length, words)
        there, numbers_there = _go_on(there, numbers_there, other, length, words)
        if not (len(here) and len(there)):
            return
        length += 1
        keys, numbers_here = np.unique(numbers_here, return_inverse=True)
        at = np.minimum(np.searchsorted(keys, numbers_there), len(keys) - 1)
        found = keys[at] == numbers_there
        there, numbers_there = there[found], at[found]
        first = np.full(len(keys), -1)
        first[numbers_there[::-1]] = there[::-1]
        stands = first[numbers_here] >= 0
        here, numbers_here = here[stands], numbers_here[stands]
        longer = lengths[here] < length
        lengths[here[longer]] = length
        places[here[longer]] = first[numbers_here[longer]]


def _go_on(places: Numbers, numbers: Numbers, text: Ids, length: int, words: int) -> tuple[Numbers, Numbers]:
    """The runs of a length that can go on for a word, with a key for the longer one that is the number of no other."""
    inside = places + length < len(text)
    places, numbers = places[inside], numbers[inside]
    following = text[places + length].astype(np.int64)
    can_match = (following >= 0) & (following < words)
    return places[can_match], numbers[can_match] * words + following[can_match]
