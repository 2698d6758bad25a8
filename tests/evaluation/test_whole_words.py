"""Words out of tokens: the same word alike everywhere, half a word nowhere."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.evaluation.samples import PASSAGE_END, WholeWords, memory_of_words
from wordgen.text.vocabulary import END, START, UNKNOWN, Vocabulary

SPELLS = Vocabulary.from_counts({"sea": 3, "road": 2}, 1000, 2, spelling=True)
PLAIN = Vocabulary.from_counts({"sea": 3, "road": 2}, 1000, 2)
SEA, ROAD = SPELLS.id_of("sea"), SPELLS.id_of("road")
SPELLED = [SPELLS.ids_of(word) for word in ("oak", "ash", "elm", "yew tree", "夜")]
ALL_SPELLED = [each for word in SPELLED for each in word]


def words(ids: Sequence[int], whole_words: WholeWords | None = None) -> list[int]:
    return (whole_words or WholeWords(SPELLS)).of(np.array(ids, np.uint16)).numbers.tolist()


@given(st.lists(st.sampled_from([[SEA], [ROAD], [END], *SPELLED]), max_size=40), st.integers(0, 3))
def test_each_word_has_the_number_that_it_has_elsewhere(text: list[list[int]], half: int):
    ids = [token for word in text for token in word] + SPELLED[0][:half]
    whole_words = WholeWords(SPELLS)
    known = dict(zip(map(tuple, SPELLED), words(ALL_SPELLED, whole_words), strict=True))
    found = whole_words.of(np.array(ids, np.uint16))
    assert found.numbers.tolist() == [known.get(tuple(word), word[0]) for word in text]
    assert len(set(known.values())) == len(SPELLED)
    assert min(known.values()) >= len(SPELLS)
    assert [ids[a:b] for a, b in zip(found.begins[:-1], found.begins[1:], strict=True)] == text


def test_without_spelling_the_ids_are_the_words():
    ids = np.array([START, 3, 4, END], np.uint8)
    found = WholeWords(PLAIN).of(ids)
    assert found.numbers is ids
    assert list(found.begins) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("vocabulary", [PLAIN, SPELLS])
def test_passages_end_and_every_unknown_is_a_word_of_its_own(vocabulary: Vocabulary):
    sea, whole_words = vocabulary.id_of("sea"), WholeWords(vocabulary)
    ids = np.array([START, sea, UNKNOWN, END, START, UNKNOWN, sea, END])
    first, unknown, end, other, second, last = whole_words.to_compare(ids).tolist()
    assert (first, second, end, last) == (sea, sea, PASSAGE_END, PASSAGE_END)
    (third,) = whole_words.to_compare(np.array([UNKNOWN])).tolist()
    assert len({unknown, other, third}) == 3
    assert min(unknown, other, third) >= len(vocabulary)


def test_a_spelled_word_is_no_unknown_one():
    whole_words = WholeWords(SPELLS)
    unknown = whole_words.to_compare(np.array([UNKNOWN, UNKNOWN])).tolist()
    spelled = words(ALL_SPELLED, whole_words)
    assert not set(unknown) & set(spelled)
    assert not set(whole_words.to_compare(np.array([UNKNOWN])).tolist()) & {*unknown, *spelled}


def test_memory_is_needed_for_spelling_alone():
    assert memory_of_words(10**6, PLAIN) == 0
    assert memory_of_words(10**6, SPELLS) > 10**7
