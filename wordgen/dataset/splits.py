"""Which unit belongs to which split: arithmetic, the same in every run.

The units are taken in short blocks of neighbours, so a carried state still meets connected text, and of
every twenty blocks one goes to valid and one to test, so both are spread over the whole text. Which of
the twenty drifts from period to period: at a fixed place it would meet the titles of a book of fables,
and nothing but titles.
"""

from typing import Literal

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")

_PERIOD = 20
_DRIFT = 7  # shares no factor with the period, so every place has its turn
_VALID_BLOCK, _TEST_BLOCK = 9, 19
_MOST_PERIODS = 25
FEWEST_UNITS = 3


def split_of(unit: int, units: int) -> Split:
    """The split of unit number `unit` of `units`."""
    if units < _PERIOD:  # too few for a twentieth: one unit each, as late as possible
        return {units - 1: "test", units - 2: "valid"}.get(unit, "train")  # pyright: ignore[reportReturnType]
    block_length = max(1, units // (_PERIOD * _MOST_PERIODS))
    period, place = divmod(unit // block_length, _PERIOD)
    block = (place + _DRIFT * period) % _PERIOD
    return "valid" if block == _VALID_BLOCK else "test" if block == _TEST_BLOCK else "train"
