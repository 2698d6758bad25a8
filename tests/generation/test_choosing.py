"""What changes the probabilities: on probabilities that are known, with what must be left."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from wordgen.generation.sampling import (
    NO_TOKEN,
    LogProbs,
    Past,
    ProbabilityChange,
    TokenKinds,
    apply_temperature,
    draw,
    forbid,
    forbid_before,
    forbid_copies,
    forbid_empty_passages,
    forbid_repeated_ngrams,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    log_probs,
    penalize_repetition,
    possible,
    probability_changes,
)
from wordgen.generation.settings import GenerationSettings
from wordgen.text.vocabulary import END, START, UNKNOWN

PROBS = np.array([0.1, 0.4, 0.3, 0.2])
NOTHING = Past(np.empty((1, 0), np.intp), 0)
KINDS = TokenKinds(np.array([False] * 3 + [True] * 5), NO_TOKEN)
LOGITS = arrays(np.float32, st.tuples(st.integers(1, 3), st.just(8)), elements=st.floats(-50, 50, width=32))


def probability_of(changed: LogProbs) -> NDArray[np.float64]:
    probs = np.exp(changed.astype(np.float64) - changed.max(axis=1, keepdims=True))
    return probs / probs.sum(axis=1, keepdims=True)


def after(change: ProbabilityChange, *probs: float, past: Past = NOTHING) -> list[float]:
    with np.errstate(divide="ignore"):
        return probability_of(change(np.log(np.array([probs or PROBS], np.float32)), past))[0].round(5).tolist()


def past(*tokens: int, written: int | None = None) -> Past:
    return Past(np.array([tokens], np.intp), len(tokens) if written is None else written)


def dice(number: int, seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, row]) for row in range(number)]


def all_changes(settings: GenerationSettings) -> list[ProbabilityChange]:
    changes, draw_changes = probability_changes(settings, KINDS, followers_of_4)
    return [*changes, *draw_changes]


def followers_of_4(run: Sequence[int]) -> NDArray[np.int64]:
    """In a training text in which 3 and 6 follow a 4, and nothing follows anything else."""
    return np.array([3, 6] if run[-1] == 4 else [], np.int64)


def after_all(changes: Sequence[ProbabilityChange], log_probs: LogProbs, past: Past) -> LogProbs:
    """What is left; nothing is drawn from texts in which nothing may come."""
    for change in changes:
        if not possible(log_probs).all():
            break
        log_probs = change(log_probs, past)
    return log_probs


def test_log_probabilities_are_logarithms_of_probabilities_that_sum_to_one():
    np.testing.assert_allclose(np.exp(log_probs(np.array([[1.0, 1.0], [1e4, 0.0]]))), [[0.5, 0.5], [1, 0]])


def test_forbidden_tokens_are_never_left():
    assert after(partial(forbid, ids=[0, 2])) == [0, 0.66667, 0, 0.33333]


def test_an_end_may_be_forbidden_at_first():
    change = partial(forbid_before, written=3, ids=[1])
    assert after(change, past=past(5, 5, 5, written=2))[1] == 0
    assert after(change, past=past(5, 5, 5, written=3))[1] == 0.4


def test_passages_with_nothing_in_them_are_not_written():
    assert np.exp(forbid_empty_passages(np.zeros((1, 4), np.float32), past(5, END))).tolist() == [[1, 1, 0, 1]]
    assert np.exp(forbid_empty_passages(np.zeros((1, 4), np.float32), NOTHING)).tolist() == [[1, 1, 0, 1]]
    assert np.exp(forbid_empty_passages(np.zeros((1, 4), np.float32), past(END, 5))).tolist() == [[1, 1, 1, 1]]


def test_temperature_sharpens_and_flattens():
    assert after(partial(apply_temperature, temperature=0.5)) == (PROBS**2 / (PROBS**2).sum()).round(5).tolist()
    assert after(partial(apply_temperature, temperature=1e6)) == [0.25] * 4
    assert after(partial(apply_temperature, temperature=1e-6)) == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("k", "kept"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (4, [0, 1, 2, 3]), (5, [0, 1, 2, 3]), (10**9, [0, 1, 2, 3])]
)
def test_top_k_keeps_the_k_likeliest(k: int, kept: list[int]):
    assert np.flatnonzero(after(partial(keep_top_k, k=k))).tolist() == kept


def test_of_equally_likely_tokens_top_k_keeps_the_commoner():
    assert after(partial(keep_top_k, k=2), 0.25, 0.25, 0.25, 0.25) == [0.5, 0.5, 0, 0]
    assert after(partial(keep_top_k, k=3), 0.1, 0.2, 0.2, 0.5)[0] == 0
    assert after(partial(keep_top_k, k=2), 0.1, 0.2, 0.2, 0.5) == [0, 0.28571, 0, 0.71429]


@pytest.mark.parametrize(
    ("p", "kept"), [(0, [1]), (0.39, [1]), (0.41, [1, 2]), (0.69, [1, 2]), (0.71, [1, 2, 3]), (0.91, [0, 1, 2, 3])]
)
def test_top_p_keeps_the_fewest_that_reach_p(p: float, kept: list[int]):
    assert np.flatnonzero(after(partial(keep_top_p, p=p))).tolist() == kept


@pytest.mark.parametrize(
    ("share", "kept"), [(0.2, [0, 1, 2, 3]), (0.26, [1, 2, 3]), (0.51, [1, 2]), (0.76, [1]), (1, [1])]
)
def test_min_p_keeps_what_has_a_share_of_the_likeliest(share: float, kept: list[int]):
    assert np.flatnonzero(after(partial(keep_min_p, share=share))).tolist() == kept


@given(LOGITS, st.floats(0, 0.999))
def test_top_p_is_what_sorting_says(logits: NDArray[np.float32], p: float):
    probs = np.exp(log_probs(logits))
    kept = np.isfinite(keep_top_p(log_probs(logits), NOTHING, p=p))
    for row in range(len(probs)):
        least_kept, most_left = probs[row, kept[row]].min(), probs[row, ~kept[row]].max(initial=0)
        assert least_kept >= most_left
        assert probs[row, kept[row]].sum() >= p - 1e-5
        assert probs[row, kept[row]].sum() - least_kept <= p + 1e-5


def test_repeated_words_lose_probabilities_and_punctuation_does_not():
    change = partial(penalize_repetition, penalty=2.0, words=np.array([False, True, True, True]))
    weights = np.array([0.1, 0.4**2, 0.3, 0.2])
    assert after(change, past=past(0, 1, NO_TOKEN)) == (weights / weights.sum()).round(5).tolist()
    long_ago = past(1, *[0] * 64)
    assert after(change, past=long_ago) == PROBS.tolist()


def test_an_n_gram_never_comes_twice():
    stands = past(3, 1, 2, 3, 0, 3)  # 3 was followed by 1 and by 0
    assert np.flatnonzero(after(partial(forbid_repeated_ngrams, n=2), past=stands)).tolist() == [2, 3]
    assert np.flatnonzero(
        after(partial(forbid_repeated_ngrams, n=1), 0.2, 0.2, 0.2, 0.2, 0.2, past=stands)
    ).tolist() == [4]
    assert np.flatnonzero(after(partial(forbid_repeated_ngrams, n=3), past=past(0, 3, 1, 0, 3))).tolist() == [0, 2, 3]
    assert after(partial(forbid_repeated_ngrams, n=7), past=stands) == PROBS.tolist()


def test_what_stands_before_a_shorter_text_is_no_n_gram():
    assert after(partial(forbid_repeated_ngrams, n=2), past=past(NO_TOKEN, NO_TOKEN, 3)) == PROBS.tolist()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(1, 4))
def test_forbidden_n_grams_are_those_that_stand(tokens: list[int], n: int):
    change = partial(forbid_repeated_ngrams, n=n)
    forbidden = np.flatnonzero(np.isinf(change(np.zeros((1, 4), np.float32), past(*tokens)))[:])
    standing = {tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)}
    tail = tokens[len(tokens) - n + 1 :]
    assert set(forbidden.tolist()) == {s for s in range(4) if (*tail, s) in standing and len(tail) == n - 1}


def test_copies_are_cut_short():
    def followers(run: Sequence[int]) -> NDArray[np.int64]:
        return np.array([0, 3] if list(run) == [1, 2] else [], np.int64)

    change = partial(forbid_copies, most=2, followers=followers)
    assert np.flatnonzero(after(change, past=past(5, 1, 2))).tolist() == [1, 2]
    assert after(change, past=past(1, 2, 5)) == PROBS.tolist()
    assert after(change, past=past(2)) == PROBS.tolist()


@given(LOGITS)
def test_top_k_1_is_greedy(logits: NDArray[np.float32]):
    probs = log_probs(logits)
    one = keep_top_k(probs, NOTHING, k=1)
    assert draw(one, dice(len(one))).tolist() == probs.argmax(axis=1).tolist()


@given(LOGITS, st.integers(0, 100))
def test_temperature_near_zero_is_greedy(logits: NDArray[np.float32], seed: int):
    probs = log_probs(logits)
    best = np.sort(probs, axis=1)[:, -2:]
    cold = apply_temperature(probs, NOTHING, temperature=1e-6)
    clear = best[:, 1] - best[:, 0] > 1e-3
    assert (draw(cold, dice(len(probs), seed)) == probs.argmax(axis=1))[clear].all()


STACKED = {
    "temperature": 0.5,
    "top_k": 5,
    "top_p": 0.8,
    "min_p": 0.1,
    "repetition_penalty": 1.5,
    "no_repeat_ngram": 2,
    "max_copy": 3,
    "stop": "end",
    "at_least": 4,
}


@given(LOGITS, st.lists(st.integers(0, 7), max_size=8))
def test_the_order_is_fixed(logits: NDArray[np.float32], tokens: list[int]):
    documented = [
        partial(forbid, ids=[UNKNOWN, START]),
        partial(forbid_before, written=4, ids=[END]),
        partial(penalize_repetition, penalty=1.5, words=KINDS.words),
        partial(forbid_repeated_ngrams, n=2),
        partial(forbid_copies, most=3, followers=followers_of_4),
        partial(apply_temperature, temperature=0.5),
        partial(keep_top_k, k=5),
        partial(keep_top_p, p=0.8),
        partial(keep_min_p, share=0.1),
    ]
    changes = all_changes(GenerationSettings(**STACKED))  # pyright: ignore[reportArgumentType]
    stands = Past(np.array([tokens] * len(logits), np.intp).reshape(len(logits), -1), len(tokens))
    left, expected = (after_all(each, log_probs(logits), stands) for each in (changes, documented))
    np.testing.assert_array_equal(left, expected)


@given(LOGITS)
def test_by_default_nothing_but_forbidding_and_temperature_is_done(logits: NDArray[np.float32]):
    settings = GenerationSettings()
    documented = [partial(forbid, ids=[UNKNOWN, START]), partial(apply_temperature, temperature=settings.temperature)]
    left, expected = (after_all(each, log_probs(logits), NOTHING) for each in (all_changes(settings), documented))
    np.testing.assert_array_equal(left, expected)


def test_the_order_matters_and_is_the_documented_one():
    """Top-p sees what temperature has made: at 0.5 the two likeliest have 0.83 of the probability, at 1 only 0.7."""
    logits = np.log(np.array([[1e-9, 1e-9, 1e-9, *PROBS, 1e-9]], np.float32))
    for change in all_changes(GenerationSettings(temperature=0.5, top_p=0.8)):
        logits = change(logits, NOTHING)
    assert np.flatnonzero(probability_of(logits)[0] > 0).tolist() == [4, 5]


def test_unknown_and_start_are_never_written_and_unknown_may_be_allowed():
    for allowed in (False, True):
        changed = np.zeros((1, 8), np.float32)
        for change in all_changes(GenerationSettings(allow_unknown=allowed)):
            changed = change(changed, NOTHING)
        never = set(np.flatnonzero(np.isinf(changed[0])).tolist())
        assert never == ({START} if allowed else {UNKNOWN, START})
        assert END not in never


EXTREMES = st.fixed_dictionaries(
    {
        "temperature": st.sampled_from([1e-6, 0.7, 1.0, 1e6]),
        "top_k": st.sampled_from([0, 1, 3, 7, 8, 10**9]),
        "top_p": st.sampled_from([0.0, 1e-9, 0.5, 1 - 1e-12, 1.0]),
        "min_p": st.sampled_from([0.0, 1e-300, 0.5, 1.0]),
        "repetition_penalty": st.sampled_from([1e-9, 1.0, 100.0]),
        "no_repeat_ngram": st.sampled_from([0, 1, 3, 1000]),
        "allow_unknown": st.booleans(),
    }
)


@given(
    arrays(np.float32, (2, 8), elements=st.floats(-(2.0**60), 2.0**60, width=32)),
    EXTREMES,
    st.lists(st.integers(0, 7), max_size=6),
)
def test_no_extremes_give_nonsense(logits: NDArray[np.float32], extremes: dict[str, float], tokens: list[int]):
    settings = GenerationSettings(**extremes)  # pyright: ignore[reportArgumentType]
    changes, draw_changes = probability_changes(settings, KINDS)
    stands = Past(np.array([tokens] * 2, np.intp).reshape(2, -1), len(tokens))
    changed = log_probs(logits)
    for change in changes:
        changed = change(changed, stands)
    assert not np.isnan(changed).any()
    if not possible(changed).all():
        assert settings.no_repeat_ngram == 1
        return
    for change in draw_changes:
        before, changed = changed, change(changed, stands)
        assert not np.isnan(changed).any()
        assert possible(changed).all()
        assert (np.isinf(before) <= np.isinf(changed)).all()
    drawn = draw(changed, dice(2))
    assert np.isfinite(changed[np.arange(2), drawn]).all()


@pytest.mark.parametrize(
    "settings",
    [{}, {"temperature": 1.0}, {"temperature": 1.5, "top_k": 4}, {"temperature": 1.0, "top_p": 0.85}, {"min_p": 0.3}],
)
def test_drawn_frequencies_are_the_probabilities(settings: dict[str, float]):
    """Chi-squared over 20,000 draws; the bounds are those that chance passes once in a thousand times."""
    logits = np.log(np.array([[0.05, 0.05, 0.1, 0.3, 0.2, 0.15, 0.1, 0.05]], np.float32))
    for change in all_changes(GenerationSettings(**settings)):  # pyright: ignore[reportArgumentType]
        logits = change(logits, NOTHING)
    draws, die = 20_000, np.random.default_rng(7)
    counts = np.bincount(draw(np.repeat(logits, draws, axis=0), [die] * draws), minlength=8)
    expected = probability_of(logits)[0] * draws
    possible_ones = expected > 0
    assert counts[~possible_ones].sum() == 0
    distance = ((counts - expected)[possible_ones] ** 2 / expected[possible_ones]).sum()
    bounds = {1: 10.83, 2: 13.82, 3: 16.27, 4: 18.47, 5: 20.52, 6: 22.46, 7: 24.32}
    assert distance < bounds[int(possible_ones.sum()) - 1]


def test_dice_of_one_row_are_nobody_elses():
    probs = log_probs(np.random.default_rng(1).normal(size=(4, 8)))
    together = draw(probs, dice(4))
    alone = [int(draw(probs[row : row + 1], dice(4)[row : row + 1])[0]) for row in range(4)]
    assert together.tolist() == alone
