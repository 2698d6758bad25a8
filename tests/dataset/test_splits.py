from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wordgen.corpora.published import SPLITS, Split
from wordgen.dataset.splits import FEWEST_UNITS, splits_of


def all_splits(units: int) -> list[Split]:
    return [SPLITS[split] for split in splits_of(np.arange(units), units)]


def shares(units: int) -> dict[str, float]:
    counted = Counter(all_splits(units))
    return {split: counted[split] / units for split in ("train", "valid", "test")}


@given(st.integers(FEWEST_UNITS, 3000))
def test_no_split_is_empty_and_most_is_for_training(units: int):
    found = shares(units)
    assert found["valid"] > 0
    assert found["test"] > 0
    assert found["train"] >= 1 / 3


@given(st.integers(400, 100_000))
def test_ninety_five_five(units: int):
    found = shares(units)
    assert abs(found["valid"] - 0.05) < 0.01
    assert abs(found["test"] - 0.05) < 0.01


@given(st.integers(1000, 20_000))
def test_every_tenth_of_the_text_has_its_part(units: int):
    splits = all_splits(units)
    for tenth in range(10):
        assert set(splits[tenth * units // 10 : (tenth + 1) * units // 10]) == {"train", "valid", "test"}


@given(st.integers(2, 40), st.integers(2000, 5000))
def test_no_rhythm_of_the_text_fills_a_split(rhythm: int, units: int):
    """A book that repeats title, story, moral must not validate on its titles alone."""
    counted = Counter(unit % rhythm for unit, split in enumerate(all_splits(units)) if split == "valid")
    assert max(counted.values()) < 0.75 * counted.total()


def test_the_split_is_this_one_for_ever():
    """Runs of different versions must be comparable: a change here is a change of every figure."""
    splits = all_splits(60)
    assert [unit for unit in range(60) if splits[unit] == "valid"] == [9, 22, 55]
    assert [unit for unit in range(60) if splits[unit] == "test"] == [19, 32, 45]


@given(st.integers(FEWEST_UNITS, 3000), st.integers(0, 2999), st.integers(1, 500))
def test_a_part_of_the_units_has_the_splits_it_has_in_the_whole(units: int, first: int, count: int):
    some = np.arange(min(first, units - 1), min(first + count, units))
    assert [SPLITS[split] for split in splits_of(some, units)] == all_splits(units)[some[0] : some[-1] + 1]
