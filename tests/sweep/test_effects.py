"""The effects of settings: how much is chance, and what is told of them."""

import random
from dataclasses import replace
from itertools import product
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.made_up_sweeps import Figures, result, sweep_with
from wordgen.evaluation.measurement import student_quantile, student_tail
from wordgen.sweep.effects import chance_of, effects_of, half_width, what_mattered
from wordgen.sweep.planning import Network, Sweep


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


CLEAR: Figures = {
    ("lstm", 96): [100.0, 101.0, 99.0],
    ("lstm", 160): [80.0, 80.8, 79.2],
    ("gru", 96): [100.5, 99.5, 100.0],
    ("gru", 160): [80.0, 79.5, 80.5],
}


def sentence(settings: tuple[str, ...], figures: Figures) -> str:
    sweep, results = sweep_with(settings, figures)
    return what_mattered(results, effects_of(sweep, results))


def test_what_mattered_most_comes_first_and_what_did_not_is_named():
    told = sentence(("cell", "units"), CLEAR)
    assert told.startswith("The best network is lstm 160, with a validation perplexity of 80.0 ± 0.8 over 3 random ")
    assert "The units mattered most: 160 instead of 96 lowers validation perplexity by 20% (± 1." in told
    assert ", on average of 2 pairs of networks." in told
    assert "The cell (0.0% ± " in told
    assert ") made no difference beyond chance." in told
    assert "standard deviation of 0.8% (n = 12 runs; 1.0% for the network that varies most)" in told


def test_of_one_random_seed_it_says_that_chance_is_unknown_and_claims_nothing():
    told = sentence(("cell", "units"), {values: seeds[:1] for values, seeds in CLEAR.items()})
    assert "Each network has only one random seed, so any difference may be chance: give more random_seeds." in told
    assert "Units: 160 instead of 96 lowers validation perplexity by 20%, on average" in told
    assert "mattered" not in told
    assert "±" not in told


def test_a_best_value_that_depends_on_another_setting_is_said_to():
    figures: Figures = {
        ("sgd", 0.001): [300.0, 303.0],
        ("sgd", 1.0): [90.0, 91.0],
        ("adam", 0.001): [80.0, 81.0],
        ("adam", 1.0): [400.0, 404.0],
        ("rmsprop", 0.001): [85.0, 84.0],
        ("rmsprop", 1.0): [500.0, 505.0],
    }
    told = sentence(("optimizer", "learning_rate"), figures)
    assert "The best optimizer depends on the learning rate: adam with 0.001, sgd with 1.0." in told
    assert "mattered" not in told  # of neither alone


def test_networks_that_differ_in_several_settings_are_not_compared_for_one():
    told = sentence(("cell", "units"), {("lstm", 96): [100.0, 101.0], ("gru", 160): [80.0, 81.0]})
    assert "lowers" not in told
    assert "made no difference" not in told
    assert "depends" not in told


def test_what_was_lost_on_the_way_is_not_taken_for_worse_as_what_diverged_is():
    figures: Figures = {
        ("sgd", 0.001): [300.0, 303.0],
        ("sgd", 1.0): [90.0, 91.0],
        ("adam", 0.001): [80.0, 81.0],
        ("adam", 1.0): [None, None],
    }
    sweep, results = sweep_with(("optimizer", "learning_rate"), figures)
    assert "depends on the learning rate: adam with 0.001, sgd with 1.0" in what_mattered(
        results, effects_of(sweep, results)
    )
    lost = [
        replace(each, runs=tuple(replace(run, state="failed", note="killed") for run in each.runs)) for each in results
    ]
    assert "depends" not in what_mattered(lost, effects_of(sweep, lost))


def test_of_all_pairs_of_values_one_that_is_beyond_chance_is_told_before_one_that_is_not():
    figures: Figures = {
        (0.001,): [100.0, 100.5, 99.5, 100.0],
        (0.01,): [90.0, 90.5, 89.5, 90.0],
        (0.1,): [None, None, None, 89.0],
    }
    told = sentence(("learning_rate",), {**figures, (1.0,): [95.0, 102.0, 88.0, 95.0]})
    assert "made no difference" not in told
    assert "The learning rate mattered: 0.01 instead of 0.001 lowers" in told


def test_where_settings_mattered_together_none_mattered_most():
    figures: Figures = {
        (optimizer, rate, cell): [value * factor, value * factor * 1.005]
        for (optimizer, rate), value in {
            ("sgd", 0.001): 300.0, ("sgd", 1.0): 90.0, ("adam", 0.001): 80.0, ("adam", 1.0): 400.0,
        }.items()
        for cell, factor in (("lstm", 1.0), ("gru", 1.1))
    }  # fmt: skip
    told = sentence(("optimizer", "learning_rate", "cell"), figures)
    assert "depends on the learning rate" in told
    assert "The cell mattered: lstm instead of gru" in told
    assert "mattered most" not in told


def test_what_had_more_steps_is_not_told_as_a_cause():
    figures: Figures = {
        ("lstm", 100): [100.0, 101.0, 99.0],
        ("lstm", 50): [71.0, 71.5, 70.5],
        ("gru", 100): [90.0, 91.0, 89.0],
        ("gru", 50): [64.0, 64.5, 63.5],
    }
    told = sentence(("cell", "seq_len"), figures)
    assert "Seq len: with 50 instead of 100, validation perplexity is lower by 29% (± " in told
    assert (
        "on average of 2 pairs of networks, but there are also 1,680 steps instead of 840 and 24 s instead of 12 s, so "
        "this sweep does not show which of these is the cause." in told
    )
    assert (
        "The cell mattered: gru instead of lstm lowers validation perplexity" in told
    )  # but not that it mattered most
    alone = sentence(("seq_len",), {(length,): figures["lstm", length][:1] for length in (50, 100)})
    assert "Seq len: with 50 instead of 100, validation perplexity is lower by 29%, but there are also 1,680" in alone


def test_more_epochs_are_no_more_than_what_was_set():
    told = sentence(("epochs",), {(10,): [100.0, 101.0, 99.0], (20,): [80.0, 81.0, 79.0]})
    assert "The epochs mattered: 20 instead of 10 lowers validation perplexity by 20%" in told
    assert "steps" not in told


def test_of_a_network_with_one_random_seed_nothing_is_claimed():
    told = sentence(("cell",), {("lstm",): [80.0, 80.1, 79.9], ("gru",): [100.0, None, None]})
    assert "Cell: lstm instead of gru lowers validation perplexity by 20%. Only one random seed of a network" in told
    assert "mattered" not in told
    assert "beyond chance" not in told


def test_a_network_that_varies_much_makes_its_own_differences_uncertain_and_no_others():
    steady: Figures = {("a",): [100.0, 100.2, 99.8], ("b",): [90.0, 90.2, 89.8], ("c",): [60.0, 90.0, 120.0]}
    assert "The cell mattered: b instead of a lowers validation perplexity by 10%" in sentence(("cell",), steady)
    assert "34.8% for the network that varies most" in sentence(("cell",), steady)


def test_networks_of_different_recipes_are_compared_as_such_where_they_learned_the_same_text():
    sweep, results = sweep_with(("recipe",), {("short",): [30.0, 30.2], ("book",): [40.0, 40.2]})
    assert "The recipe mattered: short instead of book" in what_mattered(results, effects_of(sweep, results))
    characters = [replace(results[0], text="another"), results[1]]
    told = what_mattered(characters, effects_of(sweep, characters))
    assert "best network" not in told
    assert "mattered" not in told
    assert "The recipe cannot be compared, because perplexities of different texts" in told


def test_perplexities_of_different_texts_are_not_compared():
    told = sentence(("corpus", "units"), {(name, units): [ppl + units, ppl] for name, units, ppl in (
        ("spells", 1, 30.0), ("spells", 2, 30.5), ("lotr", 1, 80.0), ("lotr", 2, 80.5))})  # fmt: skip
    assert "best network" not in told
    assert "The corpus cannot be compared, because perplexities of different texts" in told
    assert "The units (" in told


def test_a_network_without_results_leaves_the_others_comparable():
    figures = {**CLEAR, ("rnn", 160): [None, None, None], ("rnn", 96): [150.0, 151.0, 149.0]}
    told = sentence(("cell", "units"), figures)
    assert "160 instead of 96 lowers validation perplexity by 20% (± " in told
    assert "on average of 2 pairs" in told


def test_runs_that_may_have_needed_more_epochs_are_counted():
    falling, flat = ([60.0, 50.0, 40.0], [50.0, 40.0, 40.5])
    networks = [
        result(Network(name, {"cell": name}), [40.0], curve) for name, curve in (("rnn", falling), ("gru", flat))
    ]
    ended = []
    for each, curve in zip(networks, (falling, flat), strict=True):
        (run,) = each.runs
        figures = replace(run.figures, valid=tuple(curve), at_last_epoch=True)
        ended.append(replace(each, runs=(replace(run, figures=figures),)))
    sweep = Sweep("cells", "", {}, tuple(each.network for each in networks), (1,))
    assert "In 1 of 2 runs the perplexity was still falling in the last epoch" in what_mattered(
        ended, effects_of(sweep, ended)
    )
    assert "still falling" not in what_mattered(networks, effects_of(sweep, networks))


def test_where_the_rate_falls_a_perplexity_that_falls_at_the_end_is_no_warning():
    curve = (60.0, 41.8, 39.3, 38.5)
    network = result(Network("rnn", {"cell": "rnn"}), [38.5], list(curve))
    (run,) = network.runs
    sweep = Sweep("cells", "", {}, (network.network,), (1,))
    for rate_stays in (True, False):
        figures = replace(run.figures, valid=curve, at_last_epoch=True, rate_stays=rate_stays)
        ended = [replace(network, runs=(replace(run, figures=figures),))]
        assert ("still falling" in what_mattered(ended, effects_of(sweep, ended))) is rate_stays


def test_where_nothing_has_ended_nothing_is_said():
    assert sentence(("cell",), {("rnn",): [None], ("lstm",): [None]}).startswith("No run has finished yet")


@pytest.mark.parametrize("shift", [0.5, 10.0, 1000.0])
def test_shares_do_not_depend_on_how_high_perplexities_are(shift: float):
    scaled = {values: [each * shift for each in seeds if each is not None] for values, seeds in CLEAR.items()}
    after = sentence(("cell", "units"), scaled).partition("The units")[2]
    assert after == sentence(("cell", "units"), CLEAR).partition("The units")[2]
