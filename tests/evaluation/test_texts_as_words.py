"""Words out of tokens, how varied texts are, and the sequences that the training text has."""

import time
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordgen.evaluation import novelty as verbatim
from wordgen.evaluation.novelty import (
    PASSAGE_END,
    Texts,
    WholeWords,
    distinct,
    longest_matches,
    memory_of_words,
    repetition,
    self_bleu,
)
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


E = PASSAGE_END
TEXTS = st.lists(st.lists(st.sampled_from([E, 3, 4, 5, 6]), max_size=30), min_size=1, max_size=5)


def texts_of(*texts: list[int]) -> Texts:
    return Texts([np.array(text, np.int64) for text in texts])


def spoken(*texts: str) -> Texts:
    numbers: dict[str, int] = {}
    return texts_of(*([numbers.setdefault(word, len(numbers)) for word in text.split()] for text in texts))


def plain_ngrams(text: list[int], n: int) -> list[tuple[int, ...]]:
    runs = [tuple(text[at : at + n]) for at in range(len(text) - n + 1)]
    return [run for run in runs if E not in run]


def test_distinct_by_hand():
    # a b a b | a c in two texts: six tokens of three kinds; pairs ab ba ab, ac: four of three kinds.
    texts = texts_of([3, 4, 3, 4], [3, 5])
    assert distinct(texts, 1) == pytest.approx(3 / 6)
    assert distinct(texts, 2) == pytest.approx(3 / 4)
    # With a passage's end in the first, b a is no pair of it any more: ab, ab, ac.
    assert distinct(texts_of([3, 4, E, 3, 4], [3, 5]), 2) == pytest.approx(2 / 3)
    assert distinct(texts_of([3], [E, E]), 2) is None


def test_repetition_by_hand():
    # a b c d x a b c d y: seven runs of four, and the sixth (abcd) stood before.
    assert repetition(texts_of([3, 4, 5, 6, 7, 3, 4, 5, 6, 8])) == pytest.approx(1 / 7)
    # In another text it is no repetition, nor where a passage ends in between.
    assert repetition(texts_of([3, 4, 5, 6], [3, 4, 5, 6])) == 0
    assert repetition(texts_of([3, 4, 5, 6, E, 3, 4, E, 5, 6])) == 0
    assert repetition(texts_of([3, 4, 5, 6, E, 3, 4, 5, 6])) == pytest.approx(1 / 2)
    assert repetition(texts_of([3, 4, 5], [])) is None


@given(texts=TEXTS)
def test_they_are_plain_counts(texts: list[list[int]]):
    for n in (1, 2):
        every = [run for text in texts for run in plain_ngrams(text, n)]
        expected = len(set(every)) / len(every) if every else None
        assert distinct(texts_of(*texts), n) == expected
    fours = [plain_ngrams(text, 4) for text in texts]
    total = sum(map(len, fours))
    again = sum(len(each) - len(set(each)) for each in fours)
    assert repetition(texts_of(*texts)) == (pytest.approx(again / total) if total else None)


def test_self_bleu_by_hand():
    # a b c d and a b d c. Each has all four tokens of the other, of three pairs ab alone, and nothing longer:
    # 8/8, 2/6, half a one of 4, a quarter of 2.
    expected = (8 / 8 * 2 / 6 * 0.5 / 4 * 0.25 / 2) ** (1 / 4)
    assert self_bleu(texts_of([3, 4, 5, 6], [3, 4, 6, 5])) == pytest.approx(expected)
    # a a a b, a b c d, a a e f: how often a counts is by the one that has most of it besides. a: 2 + 1 + 2 of 3, 1, 2;
    # b: 1 + 1; the rest none: 7 of 12. Pairs: aa 1 of 2, ab 1; ab 1; aa 1: 4 of 9. Three and four in a row: none.
    expected = (7 / 12 * 4 / 9 * 0.5 / 6 * 0.25 / 3) ** (1 / 4)
    assert self_bleu(texts_of([3, 3, 3, 4], [3, 4, 5, 6], [3, 3, 7, 8])) == pytest.approx(expected)


def test_self_bleu_is_sacrebleus():
    """Those of sacrebleu 2.6.0: corpus_score, tokenize="none", each text with all others as its references."""
    sentences = (
        "the cat sat on the mat and slept",
        "the dog sat on the mat and barked",
        "a cat slept on the dog all day",
    )
    assert self_bleu(spoken(*sentences)) == pytest.approx(0.44382310300587065)
    assert self_bleu(spoken("a b c d e f", "a c b e d g", "f d b a h c")) == pytest.approx(0.05411131924584982)


def test_texts_that_are_alike_have_all_of_it_and_one_alone_has_none():
    assert self_bleu(texts_of([3, 4, 5, 6], [3, 4, 5, 6])) == pytest.approx(1)
    assert self_bleu(texts_of([3, 4, 5, 6])) is None
    assert self_bleu(texts_of([E], [])) is None
    # No passage is long enough for four in a row: the geometric mean is that of what there is.
    assert self_bleu(texts_of([3, 4, 5], [3, 4, 5, E])) == pytest.approx(1)


@given(texts=TEXTS)
def test_shared_ngrams_are_clipped_as_a_plain_count_does_it(texts: list[list[int]]):
    precisions, smooth = [], 1
    for n in range(1, 5):
        counts = [Counter(plain_ngrams(text, n)) for text in texts]
        total = sum(sum(each.values()) for each in counts)
        if not total:
            break
        shared = sum(
            min(count, max((other[run] for j, other in enumerate(counts) if j != i), default=0))
            for i, each in enumerate(counts)
            for run, count in each.items()
        )
        if not shared:
            smooth *= 2
        precisions.append((shared or 1 / smooth) / total)
    expected = np.prod(precisions) ** (1 / len(precisions)) if precisions and len(texts) > 1 else None
    found = self_bleu(texts_of(*texts))
    assert found == (None if expected is None else pytest.approx(expected))


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


WORD_LISTS = st.lists(st.integers(-1, 4), max_size=40)
OTHERS = st.lists(st.integers(0, 9), max_size=80) | st.lists(st.sampled_from([1, 1, 1, 2]), max_size=80)


@settings(max_examples=300)
@given(text=WORD_LISTS, other=OTHERS, at_once=st.sampled_from([1, 3, 7, 1000]))
def test_it_is_the_plain_search(text: list[int], other: list[int], at_once: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verbatim, "_AT_ONCE", at_once)
        found = longest_matches(np.array(text, np.int64), np.array(other, np.uint8))
    for at in range(len(text)):
        length, place = plain_longest(text, other, at)
        assert found.lengths[at] == length
        if length:
            assert found.places[at] == place


@given(text=WORD_LISTS, other=OTHERS)
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
