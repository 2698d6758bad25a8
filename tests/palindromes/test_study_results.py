"""What came out, kept and read again, averaged and told: nothing is called 100% that is not."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.made_up_palindromes import run_result
from wordgen.errors import BundleError
from wordgen.palindromes.results import (
    COLUMNS,
    Averaged,
    averaged,
    curves_by_step,
    load_result,
    save_result,
    shown_share,
    summary_of,
)
from wordgen.palindromes.settings import StudySettings
from wordgen.run.names import STUDY_RESULT
from wordgen.sweep.report import table_lines

figures = st.floats(0, 1)


@given(st.lists(figures, min_size=1, max_size=4), st.lists(st.floats(allow_nan=False), min_size=9, max_size=9))
def test_read_again_it_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, accuracies: list[float], norms: list[float]
):
    folder = tmp_path_factory.mktemp("run")
    result = run_result(accuracies=accuracies, norms=norms)
    save_result(folder, result)
    assert load_result(folder) == result


def test_a_run_that_has_not_ended_has_no_result(tmp_path: Path):
    assert load_result(tmp_path) is None
    assert load_result(tmp_path / "nowhere") is None


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_every_changed_byte_is_noticed(tmp_path_factory: pytest.TempPathFactory, place: int, change: int):
    folder = tmp_path_factory.mktemp("run")
    save_result(folder, run_result())
    content = bytearray((folder / STUDY_RESULT).read_bytes())
    content[place % len(content)] ^= change
    (folder / STUDY_RESULT).write_bytes(content)
    with pytest.raises(BundleError, match=r"is damaged \(.*\): remove the folder"):
        load_result(folder)


@given(figures)
def test_100_percent_is_told_of_nothing_else(share: float):
    assert (shown_share(share) == "100") == (share == 1)
    assert float(shown_share(share)) <= 99.9 or share == 1
    assert shown_share(4095 / 4096) == "99.9"
    assert shown_share(0.57) == "57.0"


def test_runs_of_one_cell_and_length_are_averaged_and_the_shortest_come_first():
    results = [run_result("rnn", 20, 1), run_result("rnn", 10, 1), run_result("lstm", 10, 1), run_result("lstm", 10, 2)]
    groups = [(each.length, each.cell, len(each.runs)) for each in averaged(results)]
    assert groups == [(10, "rnn", 1), (10, "lstm", 2), (20, "rnn", 1)]


def test_the_figures_of_a_table_are_means_over_random_seeds():
    both = Averaged("lstm", 10, (run_result(accuracies=(0.5, 1.0, 1.0)), run_result(accuracies=(0.4, 0.6))))
    told = dict(zip(*table_lines(COLUMNS, [both]), strict=True))
    assert told["accuracy"] == "80.0 ± 28.3%"
    assert told["all right"] == "1 of 2"
    assert told["steps to 100%"] == "-"
    alone = Averaged("lstm", 10, both.runs[:1])
    told = dict(zip(*table_lines(COLUMNS, [alone]), strict=True))
    assert (told["steps to 100%"], told["accuracy"]) == ("100", "100%")
    json.dumps(both.to_mapping(), allow_nan=False)
    assert both.note == ""
    early = dataclasses.replace(both.runs[0].curve[0], length=7)
    stuck = dataclasses.replace(both.runs[0], curve=(early,))
    assert Averaged("lstm", 10, (stuck,)).note == "1 of 1: curriculum at 7 digits"


def test_a_run_that_diverged_is_a_note_and_has_no_loss():
    gone = dataclasses.replace(run_result(ended="diverged", accuracies=(0.1,)), loss=float("nan"))
    group = Averaged("lstm", 10, (gone,))
    told = dict(zip(*table_lines(COLUMNS, [group]), strict=True))
    assert (told["loss"], told["note"]) == ("-", "1 of 1: diverged")
    assert group.to_mapping()["loss"] is None


def test_the_sentence_says_plainly_which_lengths_were_learned_whole():
    results = [
        run_result("rnn", 10, 1, (0.2, 0.35)), run_result("lstm", 10, 1), run_result("lstm", 20, 1),
        run_result("lstm", 50, 1), run_result("lstm", 50, 2, (0.5,)),
    ]  # fmt: skip
    told = summary_of(averaged(results))
    assert "RNN: 35.0% at length 10." in told
    assert "LSTM: 100% at length 10 and 20 with every random seed, 75.0% at length 50." in told
    assert "4,096 new palindromes" in told
    assert summary_of([]) == "No run has ended yet."


def test_one_solved_early_keeps_its_accuracy_in_the_mean_and_one_that_was_cut_short_leaves_it():
    solved = run_result(accuracies=(0.5, 1.0), ended="solved")
    long = run_result(accuracies=(0.1, 0.2, 0.3))
    assert curves_by_step([solved, long], "valid_accuracy") == {50: [0.5, 0.1], 100: [1.0, 0.2], 150: [1.0, 0.3]}
    cut = run_result(accuracies=(0.5, 0.6), ended="the time is up")
    assert curves_by_step([cut, long], "valid_accuracy") == {50: [0.5, 0.1], 100: [0.6, 0.2]}


@pytest.mark.parametrize(
    ("ended", "budget", "chosen", "over"),
    [
        ("solved", None, {"steps": 9000}, True),
        ("diverged", None, {"steps": 9000}, True),
        ("all steps done", None, {"steps": 150}, True),
        ("all steps done", None, {"steps": 151}, False),
        ("the time is up", "10m", {"time_budget": "10m"}, True),
        ("the time is up", "10m", {"time_budget": "600s"}, True),
        ("the time is up", "10m", {"time_budget": "11m"}, False),
        ("the time is up", "10m", {}, False),
        ("the time is up", "10m", {"steps": 150}, True),
    ],
)
def test_a_run_goes_on_where_it_is_given_more(ended, budget, chosen, over):
    result = run_result(ended=ended, time_budget=budget, accuracies=(0.1, 0.2, 0.3))
    assert result.steps == 150
    assert result.is_over(StudySettings(**chosen)) is over
