from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from wordgen.dataset.splits import FEWEST_UNITS, split_of


def shares(units: int) -> dict[str, float]:
    counted = Counter(split_of(unit, units) for unit in range(units))
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
    for tenth in range(10):
        part = range(tenth * units // 10, (tenth + 1) * units // 10)
        assert {split_of(unit, units) for unit in part} == {"train", "valid", "test"}


@given(st.integers(2, 40), st.integers(2000, 5000))
def test_no_rhythm_of_the_text_fills_a_split(rhythm: int, units: int):
    """A book that repeats title, story, moral must not validate on its titles alone."""
    counted = Counter(unit % rhythm for unit in range(units) if split_of(unit, units) == "valid")
    assert max(counted.values()) < 0.75 * counted.total()


def test_the_split_is_this_one_for_ever():
    """Runs of different versions must be comparable: a change here is a change of every figure."""
    assert [unit for unit in range(60) if split_of(unit, 60) == "valid"] == [9, 22, 55]
    assert [unit for unit in range(60) if split_of(unit, 60) == "test"] == [19, 32, 45]
