"""The effects of settings: how much is chance, and how they are summarised."""

import random
from dataclasses import replace
from itertools import product
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.sweeps import Figures, network_result, sweep_with
from wordgen.evaluation.measurement import student_quantile, student_tail
from wordgen.sweep.effects import effects_of, half_width, measure_seed_variation, summarize_effects
from wordgen.sweep.planning import Network, Sweep


@pytest.mark.parametrize(
    ("freedom", "share", "quantile"),
    [  # from tables of Student's t-distribution
        (1, 0.975, 12.706),
        (2, 0.975, 4.303),
        (10, 0.975, 2.228),
        (10, 0.9995, 4.587),
        (30, 0.95, 1.697),
        (1000, 0.975, 1.962),
    ],
)
def test_student_quantiles_equal_tables(freedom: int, share: float, quantile: float):
    assert student_quantile(1 - share, freedom) == pytest.approx(quantile, abs=0.0006)
    assert student_tail(quantile, freedom) == pytest.approx(1 - share, abs=1e-4)


@given(st.floats(1, 1e6), st.floats(1e-9, 0.49))
def test_student_quantile_inverts_student_tail(freedom: float, tail: float):
    assert student_tail(student_quantile(tail, freedom), freedom) == pytest.approx(tail, rel=1e-9)


def test_chance_is_the_deviation_within_networks():
    groups = [[1.0, 2.0, 6.0], [10.0, 12.0], [5.0]]
    chance = measure_seed_variation(groups)
    assert chance is not None
    variance = (2 * np.var(groups[0], ddof=1) + np.var(groups[1], ddof=1)) / 3
    assert chance.deviation == pytest.approx(variance**0.5)
    assert chance.largest_deviation == pytest.approx(np.std(groups[0], ddof=1))
    assert measure_seed_variation([[1.0], [2.0]]) is None
    assert measure_seed_variation([]) is None


def test_half_width_is_that_of_welch():
    """Welch's t-test, which equals Student's t-test for equal deviations and equally many random seeds."""
    first, second = [1.0, 2.0, 3.0], [11.0, 12.0, 13.0]
    assert half_width([(1, first), (1, second)], 1) == pytest.approx(2.776 * (2 / 3) ** 0.5, abs=1e-3)
    nearly_constant = [11.0, 11.0001, 10.9999]
    assert half_width([(1, first), (1, nearly_constant)], 1) == pytest.approx(4.303 / 3**0.5, abs=1e-3)
    assert half_width([(1, first), (1, second)], 20) > half_width([(1, first), (1, second)], 2)
    assert half_width([(1, [1.0, 1.0]), (1, [2.0, 2.0])], 5) == 0


def simulated(
    random_generator: random.Random, lower_by: float = 0, wide: float = 0.02, units: tuple[int, ...] = (96, 160)
) -> dict[tuple[str, int], list[float]]:
    """Perplexities of three random seeds per network, whose logarithms have a standard deviation of 0.02.

    The first network has the deviation `wide`. Networks with the second of `units` are lower by `lower_by`.
    """
    networks = list(product(("rnn", "lstm", "gru"), units))
    spreads = {network: wide if place == 0 else 0.02 for place, network in enumerate(networks)}
    return {
        network: [
            exp(log(100) - lower_by * (network[1] == units[1]) + random_generator.gauss(0, spread)) for _ in range(3)
        ]
        for network, spread in spreads.items()
    }


@pytest.mark.parametrize(
    ("wide", "units"), [(0.02, (96, 160)), (0.10, (96, 160)), (0.25, (64, 96, 128, 160))], ids=["equal", "10%", "25%"]
)
def test_false_alarms_are_in_at_most_5_percent_of_sweeps(wide: float, units: tuple[int, ...]):
    random_generator = random.Random(1)
    alarms = 0
    for _ in range(400):
        effects = effects_of(*sweep_with(("cell", "units"), simulated(random_generator, wide=wide, units=units)))
        alarms += any(each.is_significant for each in effects.differences) or bool(effects.interactions)
    assert alarms <= 0.05 * 400


def test_effect_is_found_within_its_interval():
    random_generator = random.Random(2)
    covered = 0
    for _ in range(100):
        sweep, results = sweep_with(("cell", "units"), simulated(random_generator, 0.2, wide=0.05))
        effects = effects_of(sweep, results)
        difference = effects.differences[0]
        assert (difference.setting, difference.lower.value, difference.higher.value) == ("units", 160, 96)
        assert difference.is_significant
        assert difference.margin_in_nats is not None
        covered += abs(difference.difference_in_nats - 0.2) < difference.margin_in_nats
        assert "The units mattered most: 160 instead of 96 lowers" in summarize_effects(results, effects)
    assert covered >= 95


CLEAR: Figures = {
    ("lstm", 96): [100.0, 101.0, 99.0],
    ("lstm", 160): [80.0, 80.8, 79.2],
    ("gru", 96): [100.5, 99.5, 100.0],
    ("gru", 160): [80.0, 79.5, 80.5],
}


def summary(settings: tuple[str, ...], figures: Figures) -> str:
    sweep, results = sweep_with(settings, figures)
    return summarize_effects(results, effects_of(sweep, results))


def test_summary_names_main_effect_first_and_then_no_effect():
    text = summary(("cell", "units"), CLEAR)
    assert text.startswith("The best network is lstm 160, with a validation perplexity of 80.0 ± 0.8 over 3 random ")
    assert "The units mattered most: 160 instead of 96 lowers validation perplexity by 20% (± 1." in text
    assert ", on average of 2 pairs of networks." in text
    assert "The cell (0.0% ± " in text
    assert ") made no difference beyond chance." in text
    assert "standard deviation of 0.8% (n = 12 runs; 1.0% for the network that varies most)" in text


def test_one_random_seed_gives_no_claims():
    text = summary(("cell", "units"), {values: seeds[:1] for values, seeds in CLEAR.items()})
    assert "Each network has only one random seed, so any difference may be chance: give more random_seeds." in text
    assert "Units: 160 instead of 96 lowers validation perplexity by 20%, on average" in text
    assert "mattered" not in text
    assert "±" not in text


def test_no_setting_matters_most_if_the_chance_of_another_is_unknown():
    figures: Figures = {
        ("lstm", 96): [100.0, 101.0],
        ("lstm", 160): [80.0, 80.8],
        ("gru", 96): [50.0, None],
        ("gru", 160): [None, 45.0],
    }
    text = summary(("cell", "units"), figures)
    assert "The units mattered: 160 instead of 96 lowers" in text
    assert "Only one random seed of a network has a result, so this may be chance." in text


def test_interaction_of_two_settings_is_named():
    figures: Figures = {
        ("sgd", 0.001): [300.0, 303.0],
        ("sgd", 1.0): [90.0, 91.0],
        ("adam", 0.001): [80.0, 81.0],
        ("adam", 1.0): [400.0, 404.0],
        ("rmsprop", 0.001): [85.0, 84.0],
        ("rmsprop", 1.0): [500.0, 505.0],
    }
    text = summary(("optimizer", "learning_rate"), figures)
    assert "The best optimizer depends on the learning rate: adam with 0.001, sgd with 1.0." in text
    assert "mattered" not in text  # neither setting matters alone


def test_interaction_with_a_setting_that_some_networks_do_not_set():
    """The value of such a setting is None, which is a value like any other."""
    figures: Figures = {
        (None, 1): [80.0, 81.0],
        (None, 2): [400.0, 404.0],
        (100, 1): [300.0, 303.0],
        (100, 2): [90.0, 91.0],
    }
    text = summary(("sampled_output", "layers"), figures)
    assert "The best sampled output depends on the layers: the default with 1, 100 with 2." in text


def test_networks_with_several_differences_are_not_compared():
    text = summary(("cell", "units"), {("lstm", 96): [100.0, 101.0], ("gru", 160): [80.0, 81.0]})
    assert "lowers" not in text
    assert "made no difference" not in text
    assert "depends" not in text


def test_failed_runs_do_not_count_as_worse_like_diverged_ones():
    figures: Figures = {
        ("sgd", 0.001): [300.0, 303.0],
        ("sgd", 1.0): [90.0, 91.0],
        ("adam", 0.001): [80.0, 81.0],
        ("adam", 1.0): [None, None],
    }
    sweep, results = sweep_with(("optimizer", "learning_rate"), figures)
    assert "depends on the learning rate: adam with 0.001, sgd with 1.0" in summarize_effects(
        results, effects_of(sweep, results)
    )
    lost = [
        replace(each, runs=tuple(replace(run, state="failed", note="killed") for run in each.runs)) for each in results
    ]
    assert "depends" not in summarize_effects(lost, effects_of(sweep, lost))


def test_pair_of_values_beyond_chance_comes_first():
    figures: Figures = {
        (0.001,): [100.0, 100.5, 99.5, 100.0],
        (0.01,): [90.0, 90.5, 89.5, 90.0],
        (0.1,): [None, None, None, 89.0],
    }
    text = summary(("learning_rate",), {**figures, (1.0,): [95.0, 102.0, 88.0, 95.0]})
    assert "made no difference" not in text
    assert "The learning rate mattered: 0.01 instead of 0.001 lowers" in text


def test_no_main_effect_is_named_with_an_interaction():
    figures: Figures = {
        (optimizer, rate, cell): [value * factor, value * factor * 1.005]
        for (optimizer, rate), value in {
            ("sgd", 0.001): 300.0, ("sgd", 1.0): 90.0, ("adam", 0.001): 80.0, ("adam", 1.0): 400.0,
        }.items()
        for cell, factor in (("lstm", 1.0), ("gru", 1.1))
    }  # fmt: skip
    text = summary(("optimizer", "learning_rate", "cell"), figures)
    assert "depends on the learning rate" in text
    assert "The cell mattered: lstm instead of gru" in text
    assert "mattered most" not in text


def test_setting_that_changes_steps_is_not_named_as_cause():
    figures: Figures = {
        ("lstm", 100): [100.0, 101.0, 99.0],
        ("lstm", 50): [71.0, 71.5, 70.5],
        ("gru", 100): [90.0, 91.0, 89.0],
        ("gru", 50): [64.0, 64.5, 63.5],
    }
    text = summary(("cell", "seq_len"), figures)
    assert "Seq len: with 50 instead of 100, validation perplexity is lower by 29% (± " in text
    assert (
        "on average of 2 pairs of networks, but there are also 1,680 steps instead of 840 and 24 s instead of 12 s, so "
        "this sweep does not show which of these is the cause." in text
    )
    assert "The cell mattered: gru instead of lstm lowers validation perplexity" in text  # not "mattered most"
    alone = summary(("seq_len",), {(length,): figures["lstm", length][:1] for length in (50, 100)})
    assert "Seq len: with 50 instead of 100, validation perplexity is lower by 29%, but there are also 1,680" in alone


def test_epochs_are_named_as_cause_of_more_steps():
    text = summary(("epochs",), {(10,): [100.0, 101.0, 99.0], (20,): [80.0, 81.0, 79.0]})
    assert "The epochs mattered: 20 instead of 10 lowers validation perplexity by 20%" in text
    assert "steps" not in text


def test_network_with_one_random_seed_gives_no_claims():
    text = summary(("cell",), {("lstm",): [80.0, 80.1, 79.9], ("gru",): [100.0, None, None]})
    assert "Cell: lstm instead of gru lowers validation perplexity by 20%. Only one random seed of a network" in text
    assert "mattered" not in text
    assert "beyond chance" not in text


def test_unstable_network_does_not_hide_other_differences():
    figures: Figures = {("a",): [100.0, 100.2, 99.8], ("b",): [90.0, 90.2, 89.8], ("c",): [60.0, 90.0, 120.0]}
    assert "The cell mattered: b instead of a lowers validation perplexity by 10%" in summary(("cell",), figures)
    assert "34.8% for the network that varies most" in summary(("cell",), figures)


def test_recipes_are_compared_only_on_the_same_text():
    sweep, results = sweep_with(("recipe",), {("short",): [30.0, 30.2], ("book",): [40.0, 40.2]})
    assert "The recipe mattered: short instead of book" in summarize_effects(results, effects_of(sweep, results))
    characters = [replace(results[0], text="another"), results[1]]
    text = summarize_effects(characters, effects_of(sweep, characters))
    assert "best network" not in text
    assert "mattered" not in text
    assert "The recipe cannot be compared, because perplexities of different texts" in text


def test_perplexities_of_different_texts_are_not_compared():
    text = summary(("corpus", "units"), {(name, units): [ppl + units, ppl] for name, units, ppl in (
        ("spells", 1, 30.0), ("spells", 2, 30.5), ("lotr", 1, 80.0), ("lotr", 2, 80.5))})  # fmt: skip
    assert "best network" not in text
    assert "The corpus cannot be compared, because perplexities of different texts" in text
    assert "The units (" in text


def test_network_without_results_leaves_others_comparable():
    figures = {**CLEAR, ("rnn", 160): [None, None, None], ("rnn", 96): [150.0, 151.0, 149.0]}
    text = summary(("cell", "units"), figures)
    assert "160 instead of 96 lowers validation perplexity by 20% (± " in text
    assert "on average of 2 pairs" in text


def test_runs_that_were_still_improving_are_counted():
    falling, flat = ([60.0, 50.0, 40.0], [50.0, 40.0, 40.5])
    results = [
        network_result(Network(name, {"cell": name}), [40.0], curve)
        for name, curve in (("rnn", falling), ("gru", flat))
    ]
    at_last_epoch = []
    for each, curve in zip(results, (falling, flat), strict=True):
        (run,) = each.runs
        figures = replace(run.figures, valid=tuple(curve), has_reached_last_epoch=True)
        at_last_epoch.append(replace(each, runs=(replace(run, figures=figures),)))
    sweep = Sweep("cells", "", {}, tuple(each.network for each in results), (1,))
    assert "In 1 of 2 runs the perplexity was still falling in the last epoch" in summarize_effects(
        at_last_epoch, effects_of(sweep, at_last_epoch)
    )
    assert "still falling" not in summarize_effects(results, effects_of(sweep, results))


def test_falling_learning_rate_gives_no_still_falling_warning():
    curve = (60.0, 41.8, 39.3, 38.5)
    result = network_result(Network("rnn", {"cell": "rnn"}), [38.5], list(curve))
    (run,) = result.runs
    sweep = Sweep("cells", "", {}, (result.network,), (1,))
    for has_constant_rate in (True, False):
        figures = replace(run.figures, valid=curve, has_reached_last_epoch=True, has_constant_rate=has_constant_rate)
        results = [replace(result, runs=(replace(run, figures=figures),))]
        assert ("still falling" in summarize_effects(results, effects_of(sweep, results))) is has_constant_rate


def test_sweep_without_finished_runs_has_no_findings():
    assert summary(("cell",), {("rnn",): [None], ("lstm",): [None]}).startswith("No run has finished yet")


@pytest.mark.parametrize("shift", [0.5, 10.0, 1000.0])
def test_shares_do_not_depend_on_level_of_perplexity(shift: float):
    scaled = {values: [each * shift for each in seeds if each is not None] for values, seeds in CLEAR.items()}
    after = summary(("cell", "units"), scaled).partition("The units")[2]
    assert after == summary(("cell", "units"), CLEAR).partition("The units")[2]
