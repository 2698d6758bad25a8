import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.generation.choosing import draw, forbid, likeliest, odds_changes, warm
from wordgen.generation.settings import GenerationSettings
from wordgen.text.vocabulary import START, UNKNOWN

ODDS = np.array([0.5, 0.25, 0.125, 0.125])
ONE_IN_A_THOUSAND = 16.27  # what chi-squared with three degrees of freedom exceeds so seldom


def dice(rows: int) -> list[np.random.Generator]:
    return [np.random.default_rng([7, row]) for row in range(rows)]


def chi_squared(drawn: np.ndarray) -> float:
    expected = len(drawn) * ODDS
    return float(((np.bincount(drawn, minlength=4) - expected) ** 2 / expected).sum())


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def test_drawn_frequencies_match_the_odds():
    drawn = draw(np.tile(np.log(ODDS), (4000, 1)), dice(4000))
    assert chi_squared(drawn) < ONE_IN_A_THOUSAND


def test_the_check_of_frequencies_can_fail():
    drawn = draw(np.tile(np.log(ODDS[::-1]), (4000, 1)), dice(4000))
    assert chi_squared(drawn) > ONE_IN_A_THOUSAND


def test_a_row_does_not_depend_on_its_neighbours():
    logits = np.random.default_rng(1).normal(size=(5, 9))
    together = draw(logits, dice(5))
    one_by_one = [draw(logits[row : row + 1], [dice(5)[row]])[0] for row in range(5)]
    assert together.tolist() == one_by_one


def test_forbidden_symbols_are_never_drawn_and_the_rest_keeps_its_proportions():
    changed = forbid([0, 2])(np.log(ODDS)[None])
    np.testing.assert_allclose(softmax(changed)[0], [0, 2 / 3, 0, 1 / 3])


def test_unknown_and_start_are_forbidden_always():
    logits = np.zeros((1, 6))
    for change in odds_changes(GenerationSettings(temperature=1e6)):
        logits = change(logits)
    odds = softmax(logits)[0]
    assert odds[UNKNOWN] == odds[START] == 0
    np.testing.assert_allclose(odds[2:], 0.25)


def test_temperature_sharpens_and_flattens_the_odds():
    logits = np.log(ODDS)[None]
    np.testing.assert_allclose(softmax(warm(0.5)(logits))[0], ODDS**2 / (ODDS**2).sum())
    np.testing.assert_allclose(softmax(warm(1e6)(logits))[0], 0.25, atol=1e-5)


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=4, max_size=30, unique=True), st.integers(0, 100))
def test_temperature_near_zero_is_greedy(values: list[float], seed: int):
    logits = np.array([values])
    best = np.sort(logits[0])[-2:]
    cold = warm(1e-6)(logits)
    if best[1] - best[0] > 1e-3:
        assert draw(cold, [np.random.default_rng(seed)]) == likeliest(logits)


@pytest.mark.parametrize("temperature", [1e-6, 1.0, 1e6])
@given(values=st.lists(st.floats(-1e30, 1e30), min_size=4, max_size=9))
def test_no_logits_and_no_temperature_give_nonsense(values: list[float], temperature: float):
    logits = np.array([values])
    for change in odds_changes(GenerationSettings(temperature=temperature)):
        logits = change(logits)
    drawn = draw(logits, dice(1))
    assert drawn[0] not in (UNKNOWN, START)
    assert 0 <= drawn[0] < len(values)
