"""The results of a study, kept, averaged and told: nothing is called 100% that is not. The plots can be read."""

import dataclasses
import json
from itertools import combinations, product
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from tests.helpers.made_up_palindromes import run_result
from wordgen.errors import BundleError
from wordgen.model.architecture import Cell
from wordgen.palindromes.results import (
    COLUMNS,
    Averaged,
    RunResult,
    averaged,
    curves_by_step,
    draw_accuracy,
    draw_length,
    load_result,
    save_result,
    shown_share,
    summary_of,
    write_plots,
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


CELLS: tuple[Cell, ...] = ("rnn", "gru", "lstm")


def results(*lengths: int, cells: tuple[Cell, ...] = CELLS) -> list[RunResult]:
    made = []
    for length, cell, seed in product(lengths, cells, (1, 2)):
        reach = {"rnn": 0.3, "gru": 0.8, "lstm": 0.95}[cell]
        norms = [seed * reach ** (length - 1 - step) for step in range(1, length)]
        made.append(run_result(cell, length, seed, (0.1, 0.2 * seed, reach), norms=norms))
    return made


def words_of(figure: Figure) -> list[Text]:
    """All words of a picture that has been drawn."""
    FigureCanvasAgg(figure).draw()
    words = [*figure.legends[0].get_texts(), *figure.texts]
    for axes in figure.axes:
        words += [axes.xaxis.label, axes.yaxis.label, axes._left_title]  # pyright: ignore[reportAttributeAccessIssue]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            words += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    if figure._suptitle is not None:  # pyright: ignore[reportAttributeAccessIssue]
        words.append(figure._suptitle)  # pyright: ignore[reportAttributeAccessIssue]
    return [each for each in dict.fromkeys(words) if each.get_text().strip()]


@pytest.mark.parametrize(
    ("lengths", "cells"), [((5,), CELLS), ((10, 20, 40), CELLS), ((10, 50, 100, 200, 500), ("lstm",))]
)
def test_no_words_of_the_accuracies_overlap(lengths: tuple[int, ...], cells: tuple[Cell, ...]):
    check_words(draw_accuracy(averaged(results(*lengths, cells=cells))))


@pytest.mark.parametrize(("length", "cells"), [(2, ("lstm",)), (10, CELLS), (500, CELLS)])
def test_no_words_of_a_length_overlap_and_powers_of_ten_are_written_as_they_are_read(
    length: int, cells: tuple[Cell, ...]
):
    words = check_words(draw_length(averaged(results(length, cells=cells))))
    assert not [each for each in words if "$" in each]
    assert "10⁰" in words


def check_words(figure: Figure) -> set[str]:
    """All words of a picture, once none of them overlap and none leave it."""
    boxes = [(each.get_text(), each.get_window_extent()) for each in words_of(figure)]
    for (one, box), (other, another) in combinations(boxes, 2):
        assert not box.overlaps(another), f"{one} overlaps {other}"
    for text, box in boxes:
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, text
    return {text for text, _ in boxes}


def test_each_cell_has_a_look_of_its_own_and_the_same_one_in_every_plot():
    looks = []
    for figure in (draw_accuracy(averaged(results(10, 20))), draw_length(averaged(results(10)))):
        lines = [line for line in figure.axes[0].get_lines() if line.get_label() in CELLS]
        looks.append({line.get_label(): (line.get_color(), str(line._dash_pattern)) for line in lines})  # pyright: ignore[reportAttributeAccessIssue]
    assert looks[0] == looks[1]
    assert len(set(looks[0].values())) == len(CELLS)


def test_the_lines_are_the_means_and_the_norms_have_one_logarithmic_axis():
    accuracy, _, before, after = draw_length(averaged(results(10, cells=("lstm",)))).axes
    (line,) = (line for line in accuracy.get_lines() if line.get_label() == "lstm")
    assert list(line.get_xdata()) == [50, 100, 150]  # pyright: ignore[reportArgumentType]
    assert np.allclose(line.get_ydata(), [10, 30, 95])  # pyright: ignore[reportArgumentType]
    (norms,) = before.get_lines()
    assert np.allclose(norms.get_ydata(), [2**0.5 * 0.95 ** (9 - step) for step in range(1, 10)])  # pyright: ignore[reportArgumentType]
    assert list(norms.get_xdata()) == list(range(1, 10))  # pyright: ignore[reportArgumentType]
    assert before.get_yscale() == after.get_yscale() == "log"
    assert before.get_ylim() == after.get_ylim()


def test_where_float32_has_no_gradient_any_more_the_line_ends():
    vanished = run_result("rnn", 6, norms=[0.0, 1e-44, 1e-30, 1e-10, 1.0])
    _, _, before, _ = draw_length(averaged([vanished])).axes
    drawn = np.asarray(before.get_lines()[0].get_ydata(), float)
    assert np.isnan(drawn).tolist() == [True, True, False, False, False]
    means = draw_length(averaged([run_result("rnn", 2, seed, norms=[norm]) for seed, norm in ((1, 1e-8), (2, 1e-2))]))
    assert list(means.axes[2].get_lines()[0].get_ydata()) == pytest.approx([1e-5])  # pyright: ignore[reportArgumentType]
    nothing = run_result("rnn", 3, norms=[0.0, float("inf")])
    FigureCanvasAgg(draw_length(averaged([nothing]))).draw()


def test_all_files_are_whole_and_the_same_each_time(tmp_path: Path):
    names = [f"{name}.{kind}" for name in ("accuracy", "length-10") for kind in ("png", "svg")]
    contents = []
    for _ in range(2):
        write_plots(tmp_path, results(10))
        contents.append([(tmp_path / name).read_bytes() for name in names])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert contents[0] == contents[1]
    words = {each.text for each in ElementTree.fromstring(contents[0][3]).iter() if each.text and each.text.strip()}
    assert {"Palindromes of 10 digits", "gradient before training", "gradient after training", "lstm", "rnn"} <= words
    assert sum(map(len, contents[0])) < 1_000_000
