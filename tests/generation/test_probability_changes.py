"""Sampling: what each change of the probabilities leaves, the order of the changes, and the random draws."""

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
    draw_changes,
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


def probs_after(change: ProbabilityChange, *probs: float, past: Past = NOTHING) -> list[float]:
    with np.errstate(divide="ignore"):
        return probability_of(change(np.log(np.array([probs or PROBS], np.float32)), past))[0].round(5).tolist()


def past(*tokens: int, written: int | None = None) -> Past:
    return Past(np.array([tokens], np.intp), len(tokens) if written is None else written)


def generators(rows: int, seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, row]) for row in range(rows)]


def all_changes(settings: GenerationSettings) -> list[ProbabilityChange]:
    return [*probability_changes(settings, KINDS, followers_of_4), *draw_changes(settings)]


def followers_of_4(tokens: Sequence[int]) -> NDArray[np.int64]:
    """Return the followers in a training text in which only 4 has followers: 3 and 6."""
    return np.array([3, 6] if tokens[-1] == 4 else [], np.int64)


def apply_all(changes: Sequence[ProbabilityChange], log_probs: LogProbs, past: Past) -> LogProbs:
    """Apply changes, until a text has no possible token left."""
    for change in changes:
        if not possible(log_probs).all():
            break
        log_probs = change(log_probs, past)
    return log_probs


def test_log_probs_are_normalized():
    np.testing.assert_allclose(np.exp(log_probs(np.array([[1.0, 1.0], [1e4, 0.0]]))), [[0.5, 0.5], [1, 0]])


def test_forbid_removes_tokens():
    assert probs_after(partial(forbid, ids=[0, 2])) == [0, 0.66667, 0, 0.33333]


def test_forbid_before_removes_end_of_short_texts():
    change = partial(forbid_before, written=3, ids=[1])
    assert probs_after(change, past=past(5, 5, 5, written=2))[1] == 0
    assert probs_after(change, past=past(5, 5, 5, written=3))[1] == 0.4


def test_empty_passages_are_forbidden():
    assert np.exp(forbid_empty_passages(np.zeros((1, 4), np.float32), past(5, END))).tolist() == [[1, 1, 0, 1]]
    assert np.exp(forbid_empty_passages(np.zeros((1, 4), np.float32), NOTHING)).tolist() == [[1, 1, 0, 1]]
    assert np.exp(forbid_empty_passages(np.zeros((1, 4), np.float32), past(END, 5))).tolist() == [[1, 1, 1, 1]]


def test_temperature_changes_sharpness():
    assert probs_after(partial(apply_temperature, temperature=0.5)) == (PROBS**2 / (PROBS**2).sum()).round(5).tolist()
    assert probs_after(partial(apply_temperature, temperature=1e6)) == [0.25] * 4
    assert probs_after(partial(apply_temperature, temperature=1e-6)) == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("k", "kept"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (4, [0, 1, 2, 3]), (5, [0, 1, 2, 3]), (10**9, [0, 1, 2, 3])]
)
def test_top_k_keeps_k_most_probable_tokens(k: int, kept: list[int]):
    assert np.flatnonzero(probs_after(partial(keep_top_k, k=k))).tolist() == kept


def test_top_k_prefers_lower_ids_of_equally_probable_tokens():
    assert probs_after(partial(keep_top_k, k=2), 0.25, 0.25, 0.25, 0.25) == [0.5, 0.5, 0, 0]
    assert probs_after(partial(keep_top_k, k=3), 0.1, 0.2, 0.2, 0.5)[0] == 0
    assert probs_after(partial(keep_top_k, k=2), 0.1, 0.2, 0.2, 0.5) == [0, 0.28571, 0, 0.71429]


@pytest.mark.parametrize(
    ("p", "kept"), [(0, [1]), (0.39, [1]), (0.41, [1, 2]), (0.69, [1, 2]), (0.71, [1, 2, 3]), (0.91, [0, 1, 2, 3])]
)
def test_top_p_keeps_fewest_tokens_that_reach_p(p: float, kept: list[int]):
    assert np.flatnonzero(probs_after(partial(keep_top_p, p=p))).tolist() == kept


@pytest.mark.parametrize(
    ("share", "kept"), [(0.2, [0, 1, 2, 3]), (0.26, [1, 2, 3]), (0.51, [1, 2]), (0.76, [1]), (1, [1])]
)
def test_min_p_keeps_tokens_relative_to_most_probable(share: float, kept: list[int]):
    assert np.flatnonzero(probs_after(partial(keep_min_p, share=share))).tolist() == kept


@given(LOGITS, st.floats(0, 0.999))
def test_top_p_matches_sorting(logits: NDArray[np.float32], p: float):
    probs = np.exp(log_probs(logits))
    kept = np.isfinite(keep_top_p(log_probs(logits), NOTHING, p=p))
    for row in range(len(probs)):
        least_kept, most_left = probs[row, kept[row]].min(), probs[row, ~kept[row]].max(initial=0)
        assert least_kept >= most_left
        assert probs[row, kept[row]].sum() >= p - 1e-5
        assert probs[row, kept[row]].sum() - least_kept <= p + 1e-5


def test_repetition_penalty_applies_to_words_only():
    change = partial(penalize_repetition, penalty=2.0, words=np.array([False, True, True, True]))
    weights = np.array([0.1, 0.4**2, 0.3, 0.2])
    assert probs_after(change, past=past(0, 1, NO_TOKEN)) == (weights / weights.sum()).round(5).tolist()
    far_back = past(1, *[0] * 64)
    assert probs_after(change, past=far_back) == PROBS.tolist()


def test_repeated_ngrams_are_forbidden():
    repetitive = past(3, 1, 2, 3, 0, 3)  # 1 and 0 followed 3
    assert np.flatnonzero(probs_after(partial(forbid_repeated_ngrams, n=2), past=repetitive)).tolist() == [2, 3]
    assert np.flatnonzero(
        probs_after(partial(forbid_repeated_ngrams, n=1), 0.2, 0.2, 0.2, 0.2, 0.2, past=repetitive)
    ).tolist() == [4]
    assert np.flatnonzero(probs_after(partial(forbid_repeated_ngrams, n=3), past=past(0, 3, 1, 0, 3))).tolist() == [
        0,
        2,
        3,
    ]
    assert probs_after(partial(forbid_repeated_ngrams, n=7), past=repetitive) == PROBS.tolist()


def test_padding_before_a_text_is_no_ngram():
    assert probs_after(partial(forbid_repeated_ngrams, n=2), past=past(NO_TOKEN, NO_TOKEN, 3)) == PROBS.tolist()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(1, 4))
def test_exactly_the_repeated_ngrams_are_forbidden(tokens: list[int], n: int):
    change = partial(forbid_repeated_ngrams, n=n)
    forbidden = np.flatnonzero(np.isinf(change(np.zeros((1, 4), np.float32), past(*tokens))))
    ngrams = {tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)}
    tail = tokens[len(tokens) - n + 1 :]
    assert set(forbidden.tolist()) == {s for s in range(4) if (*tail, s) in ngrams and len(tail) == n - 1}


def test_forbid_copies_removes_followers_in_training_text():
    def followers(tokens: Sequence[int]) -> NDArray[np.int64]:
        return np.array([0, 3] if list(tokens) == [1, 2] else [], np.int64)

    change = partial(forbid_copies, most=2, followers=followers)
    assert np.flatnonzero(probs_after(change, past=past(5, 1, 2))).tolist() == [1, 2]
    assert probs_after(change, past=past(1, 2, 5)) == PROBS.tolist()
    assert probs_after(change, past=past(2)) == PROBS.tolist()


@given(LOGITS)
def test_top_k_of_1_is_greedy(logits: NDArray[np.float32]):
    probs = log_probs(logits)
    top = keep_top_k(probs, NOTHING, k=1)
    assert draw(top, generators(len(top))).tolist() == probs.argmax(axis=1).tolist()


@given(LOGITS, st.integers(0, 100))
def test_temperature_near_zero_is_greedy(logits: NDArray[np.float32], seed: int):
    probs = log_probs(logits)
    top_two = np.sort(probs, axis=1)[:, -2:]
    cold = apply_temperature(probs, NOTHING, temperature=1e-6)
    not_tied = top_two[:, 1] - top_two[:, 0] > 1e-3
    assert (draw(cold, generators(len(probs), seed)) == probs.argmax(axis=1))[not_tied].all()


ALL_SETTINGS = {
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
def test_changes_are_applied_in_documented_order(logits: NDArray[np.float32], tokens: list[int]):
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
    changes = all_changes(GenerationSettings(**ALL_SETTINGS))  # pyright: ignore[reportArgumentType]
    past_tokens = Past(np.array([tokens] * len(logits), np.intp).reshape(len(logits), -1), len(tokens))
    left, expected = (apply_all(each, log_probs(logits), past_tokens) for each in (changes, documented))
    np.testing.assert_array_equal(left, expected)


@given(LOGITS)
def test_default_settings_only_forbid_and_apply_temperature(logits: NDArray[np.float32]):
    settings = GenerationSettings()
    documented = [partial(forbid, ids=[UNKNOWN, START]), partial(apply_temperature, temperature=settings.temperature)]
    left, expected = (apply_all(each, log_probs(logits), NOTHING) for each in (all_changes(settings), documented))
    np.testing.assert_array_equal(left, expected)


def test_temperature_is_applied_before_top_p():
    """The two most probable tokens have 0.83 of the probability at temperature 0.5, and only 0.7 at temperature 1."""
    logits = np.log(np.array([[1e-9, 1e-9, 1e-9, *PROBS, 1e-9]], np.float32))
    for change in all_changes(GenerationSettings(temperature=0.5, top_p=0.8)):
        logits = change(logits, NOTHING)
    assert np.flatnonzero(probability_of(logits)[0] > 0).tolist() == [4, 5]


def test_start_and_unknown_are_forbidden():
    for allowed in (False, True):
        changed = np.zeros((1, 8), np.float32)
        for change in all_changes(GenerationSettings(allow_unknown=allowed)):
            changed = change(changed, NOTHING)
        forbidden = set(np.flatnonzero(np.isinf(changed[0])).tolist())
        assert forbidden == ({START} if allowed else {UNKNOWN, START})


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
def test_extreme_settings_leave_valid_probabilities(
    logits: NDArray[np.float32], extremes: dict[str, float], tokens: list[int]
):
    settings = GenerationSettings(**extremes)  # pyright: ignore[reportArgumentType]
    past_tokens = Past(np.array([tokens] * 2, np.intp).reshape(2, -1), len(tokens))
    changed = log_probs(logits)
    for change in probability_changes(settings, KINDS):
        changed = change(changed, past_tokens)
    assert not np.isnan(changed).any()
    if not possible(changed).all():
        assert settings.no_repeat_ngram == 1
        return
    for change in draw_changes(settings):
        before, changed = changed, change(changed, past_tokens)
        assert not np.isnan(changed).any()
        assert possible(changed).all()
        assert (np.isinf(before) <= np.isinf(changed)).all()
    drawn = draw(changed, generators(2))
    assert np.isfinite(changed[np.arange(2), drawn]).all()


@pytest.mark.parametrize(
    "settings",
    [{}, {"temperature": 1.0}, {"temperature": 1.5, "top_k": 4}, {"temperature": 1.0, "top_p": 0.85}, {"min_p": 0.3}],
)
def test_draw_frequencies_match_probabilities(settings: dict[str, float]):
    """Chi-squared test over 20,000 draws, at a significance level of 0.001."""
    logits = np.log(np.array([[0.05, 0.05, 0.1, 0.3, 0.2, 0.15, 0.1, 0.05]], np.float32))
    for change in all_changes(GenerationSettings(**settings)):  # pyright: ignore[reportArgumentType]
        logits = change(logits, NOTHING)
    draws, rng = 20_000, np.random.default_rng(7)
    counts = np.bincount(draw(np.repeat(logits, draws, axis=0), [rng] * draws), minlength=8)
    expected = probability_of(logits)[0] * draws
    kept = expected > 0
    assert counts[~kept].sum() == 0
    chi_squared = ((counts - expected)[kept] ** 2 / expected[kept]).sum()
    critical = {1: 10.83, 2: 13.82, 3: 16.27, 4: 18.47, 5: 20.52, 6: 22.46, 7: 24.32}  # by degrees of freedom
    assert chi_squared < critical[int(kept.sum()) - 1]


def test_rows_are_drawn_independently():
    probs = log_probs(np.random.default_rng(1).normal(size=(4, 8)))
    together = draw(probs, generators(4))
    separately = [int(draw(probs[row : row + 1], generators(4)[row : row + 1])[0]) for row in range(4)]
    assert together.tolist() == separately
