"""The runs that are found are those that a search place by place finds."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordgen.evaluation import novelty as verbatim
from wordgen.evaluation.novelty import longest_matches


def plain_longest(text: list[int], other: list[int], at: int) -> tuple[int, int]:
    """The longest run from a place on, and where it stands first."""
    best = (0, 0)
    for place in range(len(other)):
        length = 0
        while (
            at + length < len(text)
            and place + length < len(other)
            and text[at + length] >= 0
            and text[at + length] == other[place + length]
        ):
            length += 1
        if length > best[0]:
            best = (length, place)
    return best


TEXTS = st.lists(st.integers(-1, 4), max_size=40)
OTHERS = st.lists(st.integers(0, 9), max_size=80) | st.lists(st.sampled_from([1, 1, 1, 2]), max_size=80)


@settings(max_examples=300)
@given(text=TEXTS, other=OTHERS, at_once=st.sampled_from([1, 3, 7, 1000]))
def test_it_is_the_plain_search(text: list[int], other: list[int], at_once: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verbatim, "_AT_ONCE", at_once)
        found = longest_matches(np.array(text, np.int64), np.array(other, np.uint8))
    for at in range(len(text)):
        length, place = plain_longest(text, other, at)
        assert found.lengths[at] == length
        if length:
            assert found.places[at] == place


@given(text=TEXTS, other=OTHERS)
def test_large_ids_are_found_as_small_ones_are(text: list[int], other: list[int]):
    much = 4_000_000
    small = longest_matches(np.array(text, np.int64), np.array(other, np.uint8))
    large_text = np.array([each + much if each >= 0 else each for each in text], np.int64)
    large = longest_matches(large_text, np.array(other, np.uint32) + much)
    assert small.lengths.tolist() == large.lengths.tolist()
    assert small.places.tolist() == large.places.tolist()


def test_a_million_tokens_are_searched_in_a_moment():
    dice = np.random.default_rng(1)
    other = (dice.zipf(1.2, 1_000_000) % 8000).astype(np.uint16)
    text = np.concatenate([other[500:600].astype(np.int64), dice.zipf(1.2, 2900) % 8000])
    began = time.process_time()
    found = longest_matches(text, other)
    assert time.process_time() - began < 5  # half a second, where place by place it would be hours
    assert (found.lengths[0], found.places[0]) == (100, 500)
