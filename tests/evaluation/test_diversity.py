"""Distinct n-grams, repetition and self-BLEU, against cases worked by hand, plain counts, and sacrebleu."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.evaluation.samples import PASSAGE_END, Texts, distinct, repetition, self_bleu

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
