"""Kneser-Ney against cases worked by hand, against a plain one with dictionaries, and against its own laws."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordgen.evaluation.measurement import unigram_loss
from wordgen.evaluation.text_loss import ngram_loss
from wordgen.generation.prediction import NgramModel, memory_of_ngrams, order_for
from wordgen.generation.sampling import NO_TOKEN
from wordgen.text.vocabulary import END, START, UNKNOWN

A, B, C = 3, 4, 5


def probs(model: NgramModel, context: Sequence[int], token: int) -> float:
    return float(np.exp(model.log_probs(np.array([START, *context, token]))[-1]))


def test_bigrams_by_hand():
    # a a b a, where the first is no target. Bigrams: aa 1, ab 1, ba 1. None is 2, so the usual discounts: 1/2, 1, 3/2.
    # Single tokens count what stands before them: a 2 (a and b), b 1 (a), 3 in all; taken off are 1 and 1/2.
    # Four tokens may come (UNKNOWN, END, a, b), each 1/4. Left over is 1.5/3 = 1/2, which gives each 1/8.
    #   a: (2 - 1)/3 + 1/8 = 11/24      b: (1 - 1/2)/3 + 1/8 = 7/24      UNKNOWN and END: 3/24
    model = NgramModel(np.array([A, A, B, A]), vocabulary_size=5, order=2)
    # After a, which has 2 followers once each: left over is (1/2 + 1/2)/2 = 1/2.
    assert probs(model, [A], A) == pytest.approx((1 - 1 / 2) / 2 + 1 / 2 * 11 / 24)
    assert probs(model, [A], B) == pytest.approx((1 - 1 / 2) / 2 + 1 / 2 * 7 / 24)
    assert probs(model, [A], END) == pytest.approx(1 / 2 * 3 / 24)
    # After b, which a alone follows, once: left over is 1/2.
    assert probs(model, [B], A) == pytest.approx((1 - 1 / 2) / 1 + 1 / 2 * 11 / 24)
    # After UNKNOWN, which was never seen, single tokens are all there is to go by.
    assert probs(model, [UNKNOWN], B) == pytest.approx(7 / 24)


def test_trigrams_by_hand():
    # Two units, "a b" and "a": with E for END and two of it in front, the stream is E E | a b E a E.
    # Trigrams: EEa, Eab, abE, bEa, EaE, once each, so the discounts are the usual ones.
    # Bigrams count what stands before: Ea 2 (E, b), ab 1, bE 1, aE 1. Tokens: a 1 (E), b 1 (a), E 2 (b, a), 4 in all.
    #   tokens: left over (1/2 + 1/2 + 1)/4 = 1/2, to each of four 1/8:
    #            a 1/8 + 1/8 = 2/8, b 2/8, E (2 - 1)/4 + 1/8 = 3/8, UNKNOWN 1/8
    #   after E: a alone, 2 of 2: left over 1/2: a (2 - 1)/2 + 1/8 = 5/8
    #   after a: b and E, 1 of 2 each: left over 1/2: b 1/4 + 1/8 = 3/8, E 1/4 + 3/16 = 7/16
    model = NgramModel(np.array([START, A, B, END, START, A, END]), vocabulary_size=5, order=3)
    # After E a stand b and E, once each: left over 1/2.
    assert probs(model, [END, A], B) == pytest.approx(1 / 4 + 1 / 2 * 3 / 8)
    assert probs(model, [END, A], END) == pytest.approx(1 / 4 + 1 / 2 * 7 / 16)
    # After a b stands E: left over 1/2; and after b stands E alone: left over 1/2 of 3/8.
    assert probs(model, [A, B], END) == pytest.approx(1 / 2 + 1 / 2 * (1 / 2 + 1 / 2 * 3 / 8))
    # b a was never seen, so what follows on a counts.
    assert probs(model, [B, A], B) == pytest.approx(3 / 8)
    # A text that begins is one that goes on behind an END.
    assert probs(model, [], A) == probs(model, [END, END], A) == pytest.approx(1 / 2 + 1 / 2 * 5 / 8)


def test_single_tokens_are_their_counts_less_what_the_counts_of_counts_say():
    # Three tokens stand once, two twice, one three times, one four times: n = 3, 2, 1, 1 and Y = 3/(3 + 2 * 2) = 3/7.
    #   discounts: 1 - 2Y * 2/3 = 3/7      2 - 3Y * 1/2 = 19/14      3 - 4Y * 1/1 = 9/7
    # Of 14 tokens (3 * 3/7 + 2 * 19/14 + 2 * 9/7)/14 = 23/49 is left over, to each of nine.
    counts = {3: 1, 4: 1, 5: 1, 6: 2, 7: 2, 8: 3, 9: 4}
    text = [START, *(token for token, count in counts.items() for _ in range(count))]
    model = NgramModel(np.array(text), vocabulary_size=10, order=1)
    taken = {1: 3 / 7, 2: 19 / 14, 3: 9 / 7, 4: 9 / 7}
    for token, count in counts.items():
        assert probs(model, [A, B], token) == pytest.approx((count - taken[count]) / 14 + 23 / 49 / 9)
    assert probs(model, [], END) == pytest.approx(23 / 49 / 9)


@given(st.lists(st.integers(END, 8), max_size=60), st.integers(1, 6), st.lists(st.integers(END, 8), max_size=8))
def test_the_probabilities_of_all_next_tokens_are_those_of_each(train: list[int], order: int, context: list[int]):
    model = NgramModel(np.array([START, *train]), 9, order)
    found = model.next_probs(np.array(context, np.int64))
    assert found.tolist() == pytest.approx(
        [0 if token == START else probs(model, context, token) for token in range(9)]
    )
    assert found.sum() == pytest.approx(1)
    padded = np.array([NO_TOKEN, NO_TOKEN, *context], np.int64)
    assert model.next_probs(padded).tolist() == found.tolist()


def test_counts_of_counts_that_make_no_sense_are_not_believed():
    # Of one token each 1, 2 and 4 times, and three of them 3 times: Y = 1/3, and 2 - 3Y * 3/1 would be -1.
    counts = {3: 1, 4: 2, 5: 3, 6: 3, 7: 3, 8: 4}
    text = [START, *(token for token, count in counts.items() for _ in range(count))]
    model = NgramModel(np.array(text), vocabulary_size=9, order=1)
    left_over = (1 / 2 + 1 + 4 * 3 / 2) / 16
    assert probs(model, [], 4) == pytest.approx((2 - 1) / 16 + left_over / 8)


def plain_probs(train: Sequence[int], size: int, order: int, context: Sequence[int], token: int) -> float:
    """The same by dictionaries and recursion, one token at a time."""
    stream = [END] * (order - 1) + [each for each in train if each != START]
    first = order - 1 + (train[0] != START)
    counts: dict[int, Counter[tuple[int, ...]]] = {
        order: Counter(tuple(stream[end - order + 1 : end + 1]) for end in range(first, len(stream)))
    }
    for length in range(order - 1, 0, -1):
        counts[length] = Counter(ngram[1:] for ngram in counts[length + 1])

    def discount(length: int, count: int) -> float:
        n = [sum(each == times for each in counts[length].values()) for times in range(5)]
        if min(n[1:]) > 0:
            y = n[1] / (n[1] + 2 * n[2])
            own = [0, *(times - (times + 1) * y * n[times + 1] / n[times] for times in (1, 2, 3))]
            if min(own[1:]) > 0:
                return own[min(count, 3)]
        return [0, 0.5, 1, 1.5][min(count, 3)]

    followers: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for of_length in counts.values():
        for ngram, count in of_length.items():
            followers[ngram[:-1]].append(count)

    def interpolated(before: tuple[int, ...]) -> float:
        shorter = interpolated(before[1:]) if before else 1 / (size - 1)
        own = followers.get(before)
        if not own:
            return shorter
        length = len(before) + 1
        count = counts[length][(*before, token)]
        left_over = sum(discount(length, each) for each in own)
        return (count - discount(length, count) + left_over * shorter) / sum(own)

    whole = [END] * (order - 1) + [each for each in context if each != START]
    return interpolated(tuple(whole[len(whole) - order + 1 :]))


SIZE = 7
TEXTS = st.lists(st.sampled_from([UNKNOWN, START, END, A, B, C, 6]), min_size=2, max_size=120)
CONTEXTS = st.lists(st.sampled_from([UNKNOWN, START, END, A, B, C, 6]), max_size=7)


@settings(deadline=None)
@given(train=TEXTS, context=CONTEXTS, order=st.integers(1, 5), large=st.booleans())
def test_it_is_the_plain_one_with_dictionaries(train: list[int], context: list[int], order: int, large: bool):
    size = 4_000_000 if large else SIZE  # with which five tokens are far more than 64 bits
    higher = size - SIZE
    train, context = ([each + higher if each > END else each for each in ids] for ids in (train, context))
    model = NgramModel(np.array(train), size, order)
    for token in (UNKNOWN, END, A + higher, size - 1):
        assert probs(model, context, token) == pytest.approx(plain_probs(train, size, order, context, token), rel=1e-9)


@settings(deadline=None)
@given(train=TEXTS, context=CONTEXTS, order=st.integers(1, 6))
def test_the_probabilities_of_all_tokens_sum_to_one(train: list[int], context: list[int], order: int):
    model = NgramModel(np.array(train), SIZE, order)
    assert sum(probs(model, context, token) for token in range(SIZE) if token != START) == pytest.approx(1)


def test_the_probabilities_sum_to_one_where_the_text_tells_its_own_discounts():
    dice = np.random.default_rng(1)
    train = (dice.zipf(1.3, size=3000) % 60 + 2).astype(np.uint8)
    model = NgramModel(train, 62)
    for context in (train[100:105], train[7:12], dice.integers(2, 62, 5)):
        every = [probs(model, context.tolist(), token) for token in range(62) if token != START]
        assert sum(every) == pytest.approx(1)
        assert min(every) > 0


def test_what_always_comes_again_is_hardly_a_surprise():
    cycle = np.array(list(range(3, 13)) * 500, np.uint8)
    assert 1 < ngram_loss(NgramModel(cycle, 13), cycle[:200]).perplexity < 1.01


def test_a_text_with_an_order_is_better_told_by_more_of_it():
    firsts = np.random.default_rng(2).integers(3, 23, 4000)
    text = np.stack([firsts, firsts + 20], axis=1).ravel().astype(np.uint8)  # every other token follows from the last
    one, two = (ngram_loss(NgramModel(text[:6000], 43, order), text[6000:]).perplexity for order in (1, 2))
    assert one == pytest.approx(unigram_loss(text[:6000], text[6000:], 43).perplexity, rel=0.02)
    assert two == pytest.approx(20**0.5, rel=0.05)


@pytest.mark.parametrize(("ids", "targets"), [([START, A, END, START, END], 3), ([A, END, B], 2), ([A], 0)])
def test_every_token_is_predicted_but_start_and_a_first_one_without_it(ids: list[int], targets: int):
    assert ngram_loss(NgramModel(np.array([START, A, B, END]), 6), np.array(ids)).tokens == targets


def test_a_text_of_nothing_leaves_all_tokens_alike():
    assert probs(NgramModel(np.array([A]), 6), [A], B) == pytest.approx(1 / 5)


def test_counting_letters_looks_back_further_than_counting_words():
    assert (order_for("english"), order_for("japanese"), order_for("characters")) == (5, 5, 7)
    assert memory_of_ngrams(1000, 7) == 7 * memory_of_ngrams(1000, 1)


def test_bytes_that_are_all_common():
    text = np.random.default_rng(3).integers(3, 259, 20_000).astype(np.uint16)
    assert ngram_loss(NgramModel(text[:15_000], 259, order=1), text[15_000:]).perplexity == pytest.approx(256, rel=0.02)
