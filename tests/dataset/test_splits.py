from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.corpus.catalogue import SPLITS, Split
from wordgen.dataset.splits import FEWEST_PASSAGES, Shares, splits_of
from wordgen.errors import SettingError
from wordgen.text.settings import TextSettings

USUAL: Shares = (0.05, 0.05)
SHARES = st.tuples(st.floats(0.005, 0.5), st.floats(0.005, 0.5)).filter(lambda each: sum(each) <= 0.9)


def all_splits(passages: int, of: Shares = USUAL) -> list[Split]:
    return [SPLITS[split] for split in splits_of(np.arange(passages), passages, of)]


def shares(passages: int, of: Shares = USUAL) -> dict[str, float]:
    counted = Counter(all_splits(passages, of))
    return {split: counted[split] / passages for split in ("train", "valid", "test")}


@given(st.integers(FEWEST_PASSAGES, 3000))
def test_no_split_is_empty_and_most_is_for_training(passages: int):
    found = shares(passages)
    assert found["valid"] > 0
    assert found["test"] > 0
    assert found["train"] >= 1 / 3


@given(st.integers(400, 100_000))
def test_ninety_five_five(passages: int):
    found = shares(passages)
    assert abs(found["valid"] - 0.05) < 0.01
    assert abs(found["test"] - 0.05) < 0.01


@given(st.integers(1000, 20_000))
def test_every_tenth_of_the_text_has_its_part(passages: int):
    splits = all_splits(passages)
    for tenth in range(10):
        assert set(splits[tenth * passages // 10 : (tenth + 1) * passages // 10]) == {"train", "valid", "test"}


@given(st.integers(2, 40), st.integers(2000, 5000))
def test_no_rhythm_of_the_text_fills_a_split(rhythm: int, passages: int):
    """A book that repeats title, story, moral must not validate on its titles alone."""
    counted = Counter(passage % rhythm for passage, split in enumerate(all_splits(passages)) if split == "valid")
    assert max(counted.values()) < 0.75 * counted.total()


def test_the_split_is_this_one_for_ever():
    """Runs of different versions must be comparable: a change here is a change of every figure."""
    splits = all_splits(60)
    assert [passage for passage in range(60) if splits[passage] == "valid"] == [9, 22, 55]
    assert [passage for passage in range(60) if splits[passage] == "test"] == [19, 32, 45]


@given(st.integers(FEWEST_PASSAGES, 3000), st.integers(0, 2999), st.integers(1, 500))
def test_a_part_of_the_passages_has_the_splits_it_has_in_the_whole(passages: int, first: int, count: int):
    some = np.arange(min(first, passages - 1), min(first + count, passages))
    assert [SPLITS[split] for split in splits_of(some, passages)] == all_splits(passages)[some[0] : some[-1] + 1]


@given(st.integers(FEWEST_PASSAGES, 3000), SHARES)
def test_no_split_is_empty_whatever_its_share(passages: int, of: Shares):
    assert set(all_splits(passages, of)) == {"train", "valid", "test"}


@given(st.integers(500, 100_000), SHARES)
def test_each_split_has_the_share_that_it_is_given(passages: int, of: Shares):
    found = shares(passages, of)
    for split, share in zip(("valid", "test"), of, strict=True):
        assert abs(found[split] - share) < 0.01, split


@given(st.integers(2000, 20_000), st.floats(0.05, 0.5), st.floats(0.05, 0.4))
def test_every_tenth_of_the_text_has_its_part_of_any_share(passages: int, valid: float, test: float):
    splits = all_splits(passages, (valid, test))
    for tenth in range(10):
        assert set(splits[tenth * passages // 10 : (tenth + 1) * passages // 10]) == {"train", "valid", "test"}


@given(st.integers(FEWEST_PASSAGES, 3000), SHARES, st.floats(0.005, 0.2))
def test_the_validation_share_does_not_change_the_test_set(passages: int, of: Shares, less: float):
    """A larger validation set takes passages only from the training set, so test figures can be compared."""
    if passages < 20:
        return
    one, other = all_splits(passages, (less, of[1])), all_splits(passages, of)
    assert [split == "test" for split in one] == [split == "test" for split in other]


@pytest.mark.parametrize(("valid", "test"), [(0.0, 0.1), (0.1, 0.6), (0.001, 0.1)])
def test_a_share_out_of_bounds_is_refused(valid: float, test: float):
    with pytest.raises(SettingError, match=r"--(validation|test)-share must be at least 0\.005 and at most 0\.5"):
        TextSettings(validation_share=valid, test_share=test)


def test_something_is_left_to_train_on():
    with pytest.raises(SettingError, match="together take 95% of the text: leave at least 10% for training"):
        TextSettings(validation_share=0.5, test_share=0.45)
