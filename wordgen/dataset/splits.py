"""Which unit belongs to which split: arithmetic, the same in every run, unless the corpus says it.

The units are taken in short blocks of neighbours, so a carried state still meets connected text, and of
every twenty blocks one goes to valid and one to test, so both are spread over the whole text. Which of
the twenty drifts from period to period: at a fixed place it would meet the titles of a book of fables,
and nothing but titles.
"""

import numpy as np
from numpy.typing import NDArray

_TRAIN, _VALID, _TEST = range(3)
_PERIOD = 20
_DRIFT = 7  # shares no factor with the period, so every place has its turn
_VALID_BLOCK, _TEST_BLOCK = 9, 19
_MOST_PERIODS = 25
FEWEST_UNITS = 3


def splits_of(numbers: NDArray[np.int64], units: int) -> NDArray[np.uint8]:
    """The splits of the units with these numbers, of `units` in all, as places in SPLITS."""
    splits = np.full(len(numbers), _TRAIN, np.uint8)
    if units < _PERIOD:  # too few for a twentieth: one unit each, as late as possible
        splits[numbers == units - 1] = _TEST
        splits[numbers == units - 2] = _VALID
        return splits
    block_length = max(1, units // (_PERIOD * _MOST_PERIODS))
    period, place = np.divmod(numbers // block_length, _PERIOD)
    block = (place + _DRIFT * period) % _PERIOD
    splits[block == _VALID_BLOCK] = _VALID
    splits[block == _TEST_BLOCK] = _TEST
    return splits
