"""Kneser-Ney smoothing: hand calculations, a naive model with dictionaries, and probabilities that sum to 1."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordgen.evaluation.measurement import unigram_loss
from wordgen.evaluation.text_loss import ngram_loss
from wordgen.generation.prediction import NgramModel
from wordgen.generation.sampling import NO_TOKEN
from wordgen.text.vocabulary import END, START, UNKNOWN

A, B, C = 3, 4, 5


def prob(model: NgramModel, context: Sequence[int], token: int) -> float:
    return float(np.exp(model.log_probs(np.array([START, *context, token]))[-1]))


def test_bigrams_match_hand_calculation():
    # a a b a; the first token is no target. Bigrams: aa 1, ab 1, ba 1. No count is 2, so the discounts are the default:
    # 1/2, 1, 3/2. A unigram counts the different tokens before it: a 2 (a and b), b 1 (a), together 3. Their discounts
    # are 1 and 1/2.
    # Four tokens are possible (UNKNOWN, END, a, b). The discounts, 1.5/3 = 1/2, give 1/8 to each.
    #   a: (2 - 1)/3 + 1/8 = 11/24      b: (1 - 1/2)/3 + 1/8 = 7/24      UNKNOWN and END: 3/24
    model = NgramModel(np.array([A, A, B, A]), vocabulary_size=5, order=2)
    # a has two followers, once each: their discounts are (1/2 + 1/2)/2 = 1/2.
    assert prob(model, [A], A) == pytest.approx((1 - 1 / 2) / 2 + 1 / 2 * 11 / 24)
    assert prob(model, [A], B) == pytest.approx((1 - 1 / 2) / 2 + 1 / 2 * 7 / 24)
    assert prob(model, [A], END) == pytest.approx(1 / 2 * 3 / 24)
    # b has one follower, once: its discount is 1/2.
    assert prob(model, [B], A) == pytest.approx((1 - 1 / 2) / 1 + 1 / 2 * 11 / 24)
    # UNKNOWN does not occur: only unigrams count.
    assert prob(model, [UNKNOWN], B) == pytest.approx(7 / 24)


def test_trigrams_match_hand_calculation():
    # Two passages, "a b" and "a". E is END; after two E at the beginning, the stream is E E | a b E a E.
    # Trigrams: EEa, Eab, abE, bEa, EaE, once each, so the discounts are the default.
    # Bigrams count the different tokens before them: Ea 2 (E, b), ab 1, bE 1, aE 1. Unigrams: a 1 (E), b 1 (a),
    # E 2 (b, a), together 4.
    #   unigrams: the discounts are (1/2 + 1/2 + 1)/4 = 1/2, 1/8 for each of four tokens:
    #            a 1/8 + 1/8 = 2/8, b 2/8, E (2 - 1)/4 + 1/8 = 3/8, UNKNOWN 1/8
    #   after E: only a, 2 of 2; discount 1/2: a (2 - 1)/2 + 1/8 = 5/8
    #   after a: b and E, 1 of 2 each; discounts 1/2: b 1/4 + 1/8 = 3/8, E 1/4 + 3/16 = 7/16
    model = NgramModel(np.array([START, A, B, END, START, A, END]), vocabulary_size=5, order=3)
    # b and E follow E a, once each: their discounts are 1/2.
    assert prob(model, [END, A], B) == pytest.approx(1 / 4 + 1 / 2 * 3 / 8)
    assert prob(model, [END, A], END) == pytest.approx(1 / 4 + 1 / 2 * 7 / 16)
    # Only E follows a b: discount 1/2. Only E follows b: discount 1/2, times 3/8.
    assert prob(model, [A, B], END) == pytest.approx(1 / 2 + 1 / 2 * (1 / 2 + 1 / 2 * 3 / 8))
    # b a does not occur: the followers of a count.
    assert prob(model, [B, A], B) == pytest.approx(3 / 8)
    # A text begins as after END.
    assert prob(model, [], A) == prob(model, [END, END], A) == pytest.approx(1 / 2 + 1 / 2 * 5 / 8)


def test_unigram_discounts_match_hand_calculation():
    # Three tokens occur once, two twice, one three times, one four times: n = 3, 2, 1, 1 and Y = 3/(3 + 2 * 2) = 3/7.
    #   discounts: 1 - 2Y * 2/3 = 3/7      2 - 3Y * 1/2 = 19/14      3 - 4Y * 1/1 = 9/7
    # There are 14 tokens. The discounts, (3 * 3/7 + 2 * 19/14 + 2 * 9/7)/14 = 23/49, are shared by nine tokens.
    counts = {3: 1, 4: 1, 5: 1, 6: 2, 7: 2, 8: 3, 9: 4}
    text = [START, *(token for token, count in counts.items() for _ in range(count))]
    model = NgramModel(np.array(text), vocabulary_size=10, order=1)
    discounts = {1: 3 / 7, 2: 19 / 14, 3: 9 / 7, 4: 9 / 7}
    for token, count in counts.items():
        assert prob(model, [A, B], token) == pytest.approx((count - discounts[count]) / 14 + 23 / 49 / 9)
    assert prob(model, [], END) == pytest.approx(23 / 49 / 9)


@given(st.lists(st.integers(END, 8), max_size=60), st.integers(1, 6), st.lists(st.integers(END, 8), max_size=8))
def test_next_probs_equal_probabilities_of_single_tokens(train: list[int], order: int, context: list[int]):
    model = NgramModel(np.array([START, *train]), 9, order)
    next_probs = model.next_probs(np.array(context, np.int64))
    assert next_probs.tolist() == pytest.approx(
        [0 if token == START else prob(model, context, token) for token in range(9)]
    )
    assert next_probs.sum() == pytest.approx(1)
    padded = np.array([NO_TOKEN, NO_TOKEN, *context], np.int64)
    assert model.next_probs(padded).tolist() == next_probs.tolist()


def test_negative_discount_falls_back_to_default():
    # One token occurs once, one twice, three 3 times, one 4 times: Y = 1/3, and the discount 2 - 3Y * 3/1 would be -1.
    counts = {3: 1, 4: 2, 5: 3, 6: 3, 7: 3, 8: 4}
    text = [START, *(token for token, count in counts.items() for _ in range(count))]
    model = NgramModel(np.array(text), vocabulary_size=9, order=1)
    left_over = (1 / 2 + 1 + 4 * 3 / 2) / 16
    assert prob(model, [], 4) == pytest.approx((2 - 1) / 16 + left_over / 8)


def naive_prob(train: Sequence[int], size: int, order: int, context: Sequence[int], token: int) -> float:
    """Return the same probability by recursion over dictionaries."""
    stream = [END] * (order - 1) + [other for other in train if other != START]
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
            discounts = [0, *(times - (times + 1) * y * n[times + 1] / n[times] for times in (1, 2, 3))]
            if min(discounts[1:]) > 0:
                return discounts[min(count, 3)]
        return [0, 0.5, 1, 1.5][min(count, 3)]

    counts_after: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for of_length in counts.values():
        for ngram, count in of_length.items():
            counts_after[ngram[:-1]].append(count)

    def interpolated(before: tuple[int, ...]) -> float:
        shorter = interpolated(before[1:]) if before else 1 / (size - 1)
        following = counts_after.get(before)
        if not following:
            return shorter
        length = len(before) + 1
        count = counts[length][(*before, token)]
        left_over = sum(discount(length, each) for each in following)
        return (count - discount(length, count) + left_over * shorter) / sum(following)

    padded = [END] * (order - 1) + [other for other in context if other != START]
    return interpolated(tuple(padded[len(padded) - order + 1 :]))


SIZE = 7
TEXTS = st.lists(st.sampled_from([UNKNOWN, START, END, A, B, C, 6]), min_size=2, max_size=120)
CONTEXTS = st.lists(st.sampled_from([UNKNOWN, START, END, A, B, C, 6]), max_size=7)


@settings(deadline=None)
@given(train=TEXTS, context=CONTEXTS, order=st.integers(1, 5), large=st.booleans())
def test_model_equals_naive_model(train: list[int], context: list[int], order: int, large: bool):
    size = 4_000_000 if large else SIZE  # five such ids have more than 64 bits
    offset = size - SIZE
    train, context = ([token + offset if token > END else token for token in ids] for ids in (train, context))
    model = NgramModel(np.array(train), size, order)
    for token in (UNKNOWN, END, A + offset, size - 1):
        assert prob(model, context, token) == pytest.approx(naive_prob(train, size, order, context, token), rel=1e-9)


@settings(deadline=None)
@given(train=TEXTS, context=CONTEXTS, order=st.integers(1, 6))
def test_probabilities_sum_to_one(train: list[int], context: list[int], order: int):
    model = NgramModel(np.array(train), SIZE, order)
    assert sum(prob(model, context, token) for token in range(SIZE) if token != START) == pytest.approx(1)


def test_probabilities_sum_to_one_with_estimated_discounts():
    rng = np.random.default_rng(1)
    train = (rng.zipf(1.3, size=3000) % 60 + 2).astype(np.uint8)
    model = NgramModel(train, 62)
    for context in (train[100:105], train[7:12], rng.integers(2, 62, 5)):
        all_probs = [prob(model, context.tolist(), token) for token in range(62) if token != START]
        assert sum(all_probs) == pytest.approx(1)
        assert min(all_probs) > 0


def test_perplexity_of_repeated_cycle_is_near_one():
    cycle = np.array(list(range(3, 13)) * 500, np.uint8)
    assert 1 < ngram_loss(NgramModel(cycle, 13), cycle[:200]).perplexity < 1.01


def test_bigrams_predict_pairs_better_than_unigrams():
    firsts = np.random.default_rng(2).integers(3, 23, 4000)
    text = np.stack([firsts, firsts + 20], axis=1).ravel().astype(np.uint8)  # the second of two tokens is never new
    unigram, bigram = (ngram_loss(NgramModel(text[:6000], 43, order), text[6000:]).perplexity for order in (1, 2))
    assert unigram == pytest.approx(unigram_loss(text[:6000], text[6000:], 43).perplexity, rel=0.02)
    assert bigram == pytest.approx(20**0.5, rel=0.05)


@pytest.mark.parametrize(("ids", "targets"), [([START, A, END, START, END], 3), ([A, END, B], 2), ([A], 0)])
def test_start_and_first_token_are_not_predicted(ids: list[int], targets: int):
    assert ngram_loss(NgramModel(np.array([START, A, B, END]), 6), np.array(ids)).tokens == targets


def test_empty_training_text_gives_uniform_probabilities():
    assert prob(NgramModel(np.array([A]), 6), [A], B) == pytest.approx(1 / 5)


def test_uniform_tokens_have_perplexity_of_their_number():
    text = np.random.default_rng(3).integers(3, 259, 20_000).astype(np.uint16)
    assert ngram_loss(NgramModel(text[:15_000], 259, order=1), text[15_000:]).perplexity == pytest.approx(256, rel=0.02)
