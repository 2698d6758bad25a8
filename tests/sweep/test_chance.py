"""What is called chance is chance: known quantiles, and few false alarms where nothing matters."""

import random
from itertools import product
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.made_up_sweeps import sweep_with
from wordgen.evaluation.measurement import student_quantile, student_tail
from wordgen.sweep.effects import chance_of, effects_of, half_width
from wordgen.sweep.mattered import what_mattered


@pytest.mark.parametrize(
    ("freedom", "share", "quantile"),
    [  # from tables of Student's t
        (1, 0.975, 12.706),
        (2, 0.975, 4.303),
        (10, 0.975, 2.228),
        (10, 0.9995, 4.587),
        (30, 0.95, 1.697),
        (1000, 0.975, 1.962),
    ],
)
def test_students_t_is_that_of_the_tables(freedom: int, share: float, quantile: float):
    assert student_quantile(1 - share, freedom) == pytest.approx(quantile, abs=0.0006)
    assert student_tail(quantile, freedom) == pytest.approx(1 - share, abs=1e-4)


@given(st.floats(1, 1e6), st.floats(1e-9, 0.49))
def test_the_quantile_of_students_t_is_where_its_tail_begins(freedom: float, tail: float):
    assert student_tail(student_quantile(tail, freedom), freedom) == pytest.approx(tail, rel=1e-9)


def test_chance_is_what_random_seeds_differ_by_within_a_network():
    groups = [[1.0, 2.0, 6.0], [10.0, 12.0], [5.0]]
    chance = chance_of(groups)
    assert chance is not None
    variance = (2 * np.var(groups[0], ddof=1) + np.var(groups[1], ddof=1)) / 3
    assert chance.deviation == pytest.approx(variance**0.5)
    assert chance.widest == pytest.approx(np.std(groups[0], ddof=1))
    assert chance_of([[1.0], [2.0]]) is None
    assert chance_of([]) is None


def test_a_difference_may_be_off_as_welch_has_it():
    """With equal spreads and as many random seeds that is Student's t of both together."""
    one, other = [1.0, 2.0, 3.0], [11.0, 12.0, 13.0]
    assert half_width([(1, one), (1, other)], 1) == pytest.approx(2.776 * (2 / 3) ** 0.5, abs=1e-3)
    hardly = [11.0, 11.0001, 10.9999]
    assert half_width([(1, one), (1, hardly)], 1) == pytest.approx(4.303 / 3**0.5, abs=1e-3)
    assert half_width([(1, one), (1, other)], 20) > half_width([(1, one), (1, other)], 2)
    assert half_width([(1, [1.0, 1.0]), (1, [2.0, 2.0])], 5) == 0


def simulated(
    dice: random.Random, lower_by: float = 0, wide: float = 0.02, units: tuple[int, ...] = (96, 160)
) -> dict[tuple[str, int], list[float]]:
    """Three random seeds each, whose log perplexities vary by 0.02, and in one network by something else.

    Those of the second of `units` are lower.
    """
    networks = list(product(("rnn", "lstm", "gru"), units))
    spreads = {network: wide if place == 0 else 0.02 for place, network in enumerate(networks)}
    return {
        network: [exp(log(100) - lower_by * (network[1] == units[1]) + dice.gauss(0, spread)) for _ in range(3)]
        for network, spread in spreads.items()
    }


@pytest.mark.parametrize(
    ("wide", "units"), [(0.02, (96, 160)), (0.10, (96, 160)), (0.25, (64, 96, 128, 160))], ids=["equal", "10%", "25%"]
)
def test_where_nothing_matters_a_twentieth_of_all_sweeps_at_most_says_that_something_does(
    wide: float, units: tuple[int, ...]
):
    dice = random.Random(1)
    alarms = 0
    for _ in range(400):
        effects = effects_of(*sweep_with(("cell", "units"), simulated(dice, wide=wide, units=units)))
        alarms += any(each.beyond_chance for each in effects.differences) or bool(effects.interplays)
    assert alarms <= 0.05 * 400


def test_what_matters_is_found_and_its_size_lies_within_what_is_told():
    dice = random.Random(2)
    covered = 0
    for _ in range(100):
        sweep, results = sweep_with(("cell", "units"), simulated(dice, 0.2, wide=0.05))
        effects = effects_of(sweep, results)
        first = effects.differences[0]
        assert (first.setting, first.lower.value, first.higher.value) == ("units", 160, 96)
        assert first.beyond_chance
        assert first.may_be_off is not None
        covered += abs(first.by - 0.2) < first.may_be_off
        assert "The units mattered most: 160 instead of 96 lowers" in what_mattered(results, effects)
    assert covered >= 95
