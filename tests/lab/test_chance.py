"""What is called chance is chance: known quantiles, and few false alarms where nothing matters."""

import random
from itertools import product
from math import exp, log

import numpy as np
import pytest

from tests.made_up_sweeps import sweep_with
from wordgen.lab.chance import pooled, student_quantile, student_share
from wordgen.lab.effects import effects_of
from wordgen.lab.mattered import what_mattered


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
    assert student_quantile(share, freedom) == pytest.approx(quantile, abs=0.0006)
    assert student_share(quantile, freedom) == pytest.approx(share, abs=1e-4)


def test_chance_is_what_random_seeds_differ_by_within_a_network():
    groups = [[1.0, 2.0, 6.0], [10.0, 12.0], [5.0]]
    chance = pooled(groups)
    assert chance is not None
    assert chance.freedom == 3
    variance = (2 * np.var(groups[0], ddof=1) + np.var(groups[1], ddof=1)) / 3
    assert chance.deviation == pytest.approx(variance**0.5)
    assert pooled([[1.0], [2.0]]) is None
    assert pooled([]) is None


def simulated(dice: random.Random, units_lower_by: float) -> dict[tuple[str, int], list[float]]:
    """Three random seeds each, whose log perplexities vary by 0.03."""
    return {
        (cell, units): [exp(log(100) - units_lower_by * (units == 160) + dice.gauss(0, 0.03)) for _ in range(3)]
        for cell, units in product(("rnn", "lstm", "gru"), (96, 160))
    }


def test_where_nothing_matters_a_twentieth_of_all_sweeps_at_most_says_that_something_does():
    dice = random.Random(1)
    alarms = 0
    for _ in range(400):
        effects = effects_of(*sweep_with(("cell", "units"), simulated(dice, 0)))
        alarms += any(each.beyond_chance for each in effects.differences) or bool(effects.interplays)
    assert alarms <= 0.05 * 400


def test_what_matters_is_found_and_its_size_lies_within_what_is_told():
    dice = random.Random(2)
    covered = 0
    for _ in range(100):
        sweep, results = sweep_with(("cell", "units"), simulated(dice, 0.2))
        effects = effects_of(sweep, results)
        first = effects.differences[0]
        assert (first.setting, first.lower, first.higher) == ("units", 160, 96)
        assert first.beyond_chance
        assert first.may_be_off is not None
        covered += abs(first.by - 0.2) < first.may_be_off
        assert "The units mattered most: 160 instead of 96 lowers" in what_mattered(results, effects)
    assert covered >= 95
