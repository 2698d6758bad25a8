"""Words from tokens, the diversity of texts, and the longest sequences that another text also has."""

import time
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordgen.evaluation import novelty as novelty_module
from wordgen.evaluation.novelty import (
    PASSAGE_END,
    Texts,
    WholeWords,
    distinct,
    longest_matches,
    repetition,
    self_bleu,
)
from wordgen.text.vocabulary import END, START, UNKNOWN, Vocabulary

SPELLING = Vocabulary.from_counts({"sea": 3, "road": 2}, 1000, 2, spelling=True)
NO_SPELLING = Vocabulary.from_counts({"sea": 3, "road": 2}, 1000, 2)
SEA, ROAD = SPELLING.id_of("sea"), SPELLING.id_of("road")
SPELLED_WORDS = [SPELLING.ids_of(word) for word in ("oak", "ash", "elm", "yew tree", "夜")]
SPELLED_TEXT = [token for word in SPELLED_WORDS for token in word]


def word_numbers(ids: Sequence[int], whole_words: WholeWords) -> list[int]:
    return whole_words.split(np.array(ids, np.uint16)).numbers.tolist()


@given(st.lists(st.sampled_from([[SEA], [ROAD], [END], *SPELLED_WORDS]), max_size=40), st.integers(0, 3))
def test_equal_words_have_equal_numbers_in_all_texts(text: list[list[int]], incomplete: int):
    ids = [token for word in text for token in word] + SPELLED_WORDS[0][:incomplete]
    whole_words = WholeWords(SPELLING)
    numbers = dict(zip(map(tuple, SPELLED_WORDS), word_numbers(SPELLED_TEXT, whole_words), strict=True))
    words = whole_words.split(np.array(ids, np.uint16))
    assert words.numbers.tolist() == [numbers.get(tuple(word), word[0]) for word in text]
    assert len(set(numbers.values())) == len(SPELLED_WORDS)
    assert min(numbers.values()) >= len(SPELLING)
    assert [ids[a:b] for a, b in zip(words.begins[:-1], words.begins[1:], strict=True)] == text


def test_words_are_ids_without_spelling():
    ids = np.array([START, 3, 4, END], np.uint8)
    words = WholeWords(NO_SPELLING).split(ids)
    assert words.numbers is ids
    assert list(words.begins) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("vocabulary", [NO_SPELLING, SPELLING])
def test_each_unknown_becomes_a_unique_word(vocabulary: Vocabulary):
    sea, whole_words = vocabulary.id_of("sea"), WholeWords(vocabulary)
    ids = np.array([START, sea, UNKNOWN, END, START, UNKNOWN, sea, END])
    sea_1, unknown_1, end_1, unknown_2, sea_2, end_2 = whole_words.comparable_words(ids).tolist()
    assert (sea_1, sea_2, end_1, end_2) == (sea, sea, PASSAGE_END, PASSAGE_END)
    (unknown_3,) = whole_words.comparable_words(np.array([UNKNOWN])).tolist()
    assert len({unknown_1, unknown_2, unknown_3}) == 3
    assert min(unknown_1, unknown_2, unknown_3) >= len(vocabulary)


def test_spelled_words_and_unknowns_have_different_numbers():
    whole_words = WholeWords(SPELLING)
    unknown = whole_words.comparable_words(np.array([UNKNOWN, UNKNOWN])).tolist()
    spelled = word_numbers(SPELLED_TEXT, whole_words)
    assert not set(unknown) & set(spelled)
    assert not set(whole_words.comparable_words(np.array([UNKNOWN])).tolist()) & {*unknown, *spelled}


E = PASSAGE_END
TEXTS = st.lists(st.lists(st.sampled_from([E, 3, 4, 5, 6]), max_size=30), min_size=1, max_size=5)


def texts_of(*texts: list[int]) -> Texts:
    return Texts([np.array(text, np.int64) for text in texts])


def texts_of_words(*texts: str) -> Texts:
    numbers: dict[str, int] = {}
    return texts_of(*([numbers.setdefault(word, len(numbers)) for word in text.split()] for text in texts))


def naive_ngrams(text: list[int], n: int) -> list[tuple[int, ...]]:
    ngrams = [tuple(text[at : at + n]) for at in range(len(text) - n + 1)]
    return [ngram for ngram in ngrams if E not in ngram]


def test_distinct_matches_hand_calculation():
    # a b a b | a c in two texts: six tokens of three kinds; pairs ab ba ab, ac: four of three kinds.
    texts = texts_of([3, 4, 3, 4], [3, 5])
    assert distinct(texts, 1) == pytest.approx(3 / 6)
    assert distinct(texts, 2) == pytest.approx(3 / 4)
    # The end of a passage in the first text separates b and a. Pairs: ab, ab, ac.
    assert distinct(texts_of([3, 4, E, 3, 4], [3, 5]), 2) == pytest.approx(2 / 3)
    assert distinct(texts_of([3], [E, E]), 2) is None


def test_repetition_matches_hand_calculation():
    # a b c d x a b c d y: seven 4-grams, and the sixth (abcd) occurred before.
    assert repetition(texts_of([3, 4, 5, 6, 7, 3, 4, 5, 6, 8])) == pytest.approx(1 / 7)
    # A 4-gram of another text, or one that is interrupted by the end of a passage, is no repetition.
    assert repetition(texts_of([3, 4, 5, 6], [3, 4, 5, 6])) == 0
    assert repetition(texts_of([3, 4, 5, 6, E, 3, 4, E, 5, 6])) == 0
    assert repetition(texts_of([3, 4, 5, 6, E, 3, 4, 5, 6])) == pytest.approx(1 / 2)
    assert repetition(texts_of([3, 4, 5], [])) is None


@given(texts=TEXTS)
def test_distinct_and_repetition_match_naive_counts(texts: list[list[int]]):
    for n in (1, 2):
        ngrams = [ngram for text in texts for ngram in naive_ngrams(text, n)]
        expected = len(set(ngrams)) / len(ngrams) if ngrams else None
        assert distinct(texts_of(*texts), n) == expected
    by_text = [naive_ngrams(text, 4) for text in texts]
    total = sum(map(len, by_text))
    repeated = sum(len(ngrams) - len(set(ngrams)) for ngrams in by_text)
    assert repetition(texts_of(*texts)) == (pytest.approx(repeated / total) if total else None)


def test_self_bleu_matches_hand_calculation():
    # a b c d and a b d c. Each has all four tokens of the other, of three pairs only ab, and no longer n-gram. No match
    # counts as half a match of 4 trigrams, then as a quarter of a match of 2 4-grams.
    expected = (8 / 8 * 2 / 6 * 0.5 / 4 * 0.25 / 2) ** (1 / 4)
    assert self_bleu(texts_of([3, 4, 5, 6], [3, 4, 6, 5])) == pytest.approx(expected)
    # a a a b, a b c d, a a e f: a counts at most as often as in the other text with the most a: 2 + 1 + 2 of 3, 1, 2;
    # b: 1 + 1; c, d, e and f: 0. Together 7 of 12. Pairs: aa 1 of 2, ab 1; ab 1; aa 1: 4 of 9. No longer n-grams.
    expected = (7 / 12 * 4 / 9 * 0.5 / 6 * 0.25 / 3) ** (1 / 4)
    assert self_bleu(texts_of([3, 3, 3, 4], [3, 4, 5, 6], [3, 3, 7, 8])) == pytest.approx(expected)


def test_self_bleu_matches_sacrebleu():
    """From sacrebleu 2.6.0: corpus_score, tokenize="none", each text with all others as its references."""
    sentences = (
        "the cat sat on the mat and slept",
        "the dog sat on the mat and barked",
        "a cat slept on the dog all day",
    )
    assert self_bleu(texts_of_words(*sentences)) == pytest.approx(0.44382310300587065)
    assert self_bleu(texts_of_words("a b c d e f", "a c b e d g", "f d b a h c")) == pytest.approx(0.05411131924584982)


def test_self_bleu_of_equal_texts_is_1_and_of_one_text_none():
    assert self_bleu(texts_of([3, 4, 5, 6], [3, 4, 5, 6])) == pytest.approx(1)
    assert self_bleu(texts_of([3, 4, 5, 6])) is None
    assert self_bleu(texts_of([E], [])) is None
    # No passage has a 4-gram: the geometric mean is over shorter n-grams.
    assert self_bleu(texts_of([3, 4, 5], [3, 4, 5, E])) == pytest.approx(1)


@given(texts=TEXTS)
def test_self_bleu_matches_naive_clipped_counts(texts: list[list[int]]):
    precisions, smoothing = [], 1
    for n in range(1, 5):
        counts = [Counter(naive_ngrams(text, n)) for text in texts]
        total = sum(own.total() for own in counts)
        if not total:
            break
        shared = sum(
            min(count, max((other[ngram] for j, other in enumerate(counts) if j != i), default=0))
            for i, own in enumerate(counts)
            for ngram, count in own.items()
        )
        if not shared:
            smoothing *= 2
        precisions.append((shared or 1 / smoothing) / total)
    expected = np.prod(precisions) ** (1 / len(precisions)) if precisions and len(texts) > 1 else None
    assert self_bleu(texts_of(*texts)) == (None if expected is None else pytest.approx(expected))


def naive_longest_match(text: list[int], other: list[int], at: int) -> tuple[int, int]:
    """Return the length of the longest match that begins at `at`, and its first position in the other text."""
    best = (0, 0)
    for position in range(len(other)):
        length = 0
        while (
            at + length < len(text)
            and position + length < len(other)
            and text[at + length] >= 0
            and text[at + length] == other[position + length]
        ):
            length += 1
        if length > best[0]:
            best = (length, position)
    return best


WORD_LISTS = st.lists(st.integers(-1, 4), max_size=40)
OTHERS = st.lists(st.integers(0, 9), max_size=80) | st.lists(st.sampled_from([1, 1, 1, 2]), max_size=80)


@settings(max_examples=300)
@given(text=WORD_LISTS, other=OTHERS, chunk_size=st.sampled_from([1, 3, 7, 1000]))
def test_longest_matches_equal_naive_search(text: list[int], other: list[int], chunk_size: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(novelty_module, "_POSITIONS_AT_ONCE", chunk_size)
        matches = longest_matches(np.array(text, np.int64), np.array(other, np.uint8))
    for at in range(len(text)):
        length, position = naive_longest_match(text, other, at)
        assert matches.lengths[at] == length
        if length:
            assert matches.places[at] == position


@given(text=WORD_LISTS, other=OTHERS)
def test_longest_matches_do_not_depend_on_size_of_ids(text: list[int], other: list[int]):
    offset = 4_000_000
    small = longest_matches(np.array(text, np.int64), np.array(other, np.uint8))
    large_text = np.array([number + offset if number >= 0 else number for number in text], np.int64)
    large = longest_matches(large_text, np.array(other, np.uint32) + offset)
    assert small.lengths.tolist() == large.lengths.tolist()
    assert small.places.tolist() == large.places.tolist()


def test_longest_matches_search_million_tokens_in_seconds():
    rng = np.random.default_rng(1)
    other = (rng.zipf(1.2, 1_000_000) % 8000).astype(np.uint16)
    text = np.concatenate([other[500:600].astype(np.int64), rng.zipf(1.2, 2900) % 8000])
    began = time.process_time()
    matches = longest_matches(text, other)
    assert time.process_time() - began < 5  # usually half a second; a naive search takes hours
    assert (matches.lengths[0], matches.places[0]) == (100, 500)
