"""The results of a study of palindromes: saved, averaged, summarised and plotted."""

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
    RunGroup,
    RunResult,
    curves_by_step,
    draw_accuracy,
    draw_length,
    group_runs,
    load_result,
    save_result,
    shown_share,
    summary_of,
    write_plots,
)
from wordgen.palindromes.settings import StudySettings
from wordgen.run.names import STUDY_RESULT
from wordgen.sweep.results import table_lines

SHARES = st.floats(0, 1)


@given(st.lists(SHARES, min_size=1, max_size=4), st.lists(st.floats(allow_nan=False), min_size=9, max_size=9))
def test_saved_result_is_read_back_unchanged(
    tmp_path_factory: pytest.TempPathFactory, accuracies: list[float], norms: list[float]
):
    folder = tmp_path_factory.mktemp("run")
    result = run_result(accuracies=accuracies, norms=norms)
    save_result(folder, result)
    assert load_result(folder) == result


def test_unfinished_run_has_no_result(tmp_path: Path):
    assert load_result(tmp_path) is None
    assert load_result(tmp_path / "nowhere") is None


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_any_changed_byte_is_detected(tmp_path_factory: pytest.TempPathFactory, place: int, change: int):
    folder = tmp_path_factory.mktemp("run")
    save_result(folder, run_result())
    content = bytearray((folder / STUDY_RESULT).read_bytes())
    content[place % len(content)] ^= change
    (folder / STUDY_RESULT).write_bytes(content)
    with pytest.raises(BundleError, match=r"is damaged \(.*\): remove the folder"):
        load_result(folder)


@given(SHARES)
def test_only_full_accuracy_is_shown_as_100_percent(share: float):
    assert (shown_share(share) == "100") == (share == 1)
    assert float(shown_share(share)) <= 99.9 or share == 1
    assert shown_share(4095 / 4096) == "99.9"
    assert shown_share(0.57) == "57.0"


def test_runs_are_averaged_by_length_and_cell():
    results = [run_result("rnn", 20, 1), run_result("rnn", 10, 1), run_result("lstm", 10, 1), run_result("lstm", 10, 2)]
    groups = [(each.length, each.cell, len(each.runs)) for each in group_runs(results)]
    assert groups == [(10, "rnn", 1), (10, "lstm", 2), (20, "rnn", 1)]


def test_table_has_means_over_random_seeds():
    both = RunGroup("lstm", 10, (run_result(accuracies=(0.5, 1.0, 1.0)), run_result(accuracies=(0.4, 0.6))))
    row = dict(zip(*table_lines(COLUMNS, [both]), strict=True))
    assert row["accuracy"] == "80.0 ± 28.3%"
    assert row["all right"] == "1 of 2"
    assert row["steps to 100%"] == "-"
    solved = RunGroup("lstm", 10, both.runs[:1])
    row = dict(zip(*table_lines(COLUMNS, [solved]), strict=True))
    assert (row["steps to 100%"], row["accuracy"]) == ("100", "100%")
    json.dumps(both.to_mapping(), allow_nan=False)
    assert both.note == ""
    first_point = dataclasses.replace(both.runs[0].curve[0], length=7)
    stuck = dataclasses.replace(both.runs[0], curve=(first_point,))
    assert RunGroup("lstm", 10, (stuck,)).note == "1 of 1: curriculum at 7 digits"


def test_diverged_run_has_a_note_and_no_loss():
    diverged = dataclasses.replace(run_result(ended="diverged", accuracies=(0.1,)), loss=float("nan"))
    group = RunGroup("lstm", 10, (diverged,))
    row = dict(zip(*table_lines(COLUMNS, [group]), strict=True))
    assert (row["loss"], row["note"]) == ("-", "1 of 1: diverged")
    assert group.to_mapping()["loss"] is None


def test_summary_names_lengths_learned_with_every_seed():
    results = [
        run_result("rnn", 10, 1, (0.2, 0.35)), run_result("lstm", 10, 1), run_result("lstm", 20, 1),
        run_result("lstm", 50, 1), run_result("lstm", 50, 2, (0.5,)),
    ]  # fmt: skip
    summary = summary_of(group_runs(results))
    assert "RNN: 35.0% at length 10." in summary
    assert "LSTM: 100% at length 10 and 20 with every random seed, 75.0% at length 50." in summary
    assert "4,096 new palindromes" in summary
    assert summary_of([]) == "No run has ended yet."


def test_curve_means_keep_solved_runs_but_not_stopped_runs():
    solved = run_result(accuracies=(0.5, 1.0), ended="solved")
    long = run_result(accuracies=(0.1, 0.2, 0.3))
    assert curves_by_step([solved, long], "valid_accuracy") == {50: [0.5, 0.1], 100: [1.0, 0.2], 150: [1.0, 0.3]}
    stopped = run_result(accuracies=(0.5, 0.6), ended="the time is up")
    assert curves_by_step([stopped, long], "valid_accuracy") == {50: [0.5, 0.1], 100: [0.6, 0.2]}


@pytest.mark.parametrize(
    ("ended", "time_budget", "settings", "expected"),
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
def test_run_continues_with_more_steps_or_time(ended, time_budget, settings, expected):
    result = run_result(ended=ended, time_budget=time_budget, accuracies=(0.1, 0.2, 0.3))
    assert result.steps == 150
    assert result.is_over(StudySettings(**settings)) is expected


CELLS: tuple[Cell, ...] = ("rnn", "gru", "lstm")


def results(*lengths: int, cells: tuple[Cell, ...] = CELLS) -> list[RunResult]:
    runs = []
    for length, cell, seed in product(lengths, cells, (1, 2)):
        reach = {"rnn": 0.3, "gru": 0.8, "lstm": 0.95}[cell]
        norms = [seed * reach ** (length - 1 - step) for step in range(1, length)]
        runs.append(run_result(cell, length, seed, (0.1, 0.2 * seed, reach), norms=norms))
    return runs


def visible_texts(figure: Figure) -> list[Text]:
    """All visible texts of a plot, which is drawn first."""
    FigureCanvasAgg(figure).draw()
    texts = [*figure.legends[0].get_texts(), *figure.texts]
    for axes in figure.axes:
        texts += [axes.xaxis.label, axes.yaxis.label, axes._left_title]  # pyright: ignore[reportAttributeAccessIssue]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    if figure._suptitle is not None:  # pyright: ignore[reportAttributeAccessIssue]
        texts.append(figure._suptitle)  # pyright: ignore[reportAttributeAccessIssue]
    return [each for each in dict.fromkeys(texts) if each.get_text().strip()]


@pytest.mark.parametrize(
    ("lengths", "cells"), [((5,), CELLS), ((10, 20, 40), CELLS), ((10, 50, 100, 200, 500), ("lstm",))]
)
def test_texts_of_accuracy_plot_do_not_overlap(lengths: tuple[int, ...], cells: tuple[Cell, ...]):
    check_texts(draw_accuracy(group_runs(results(*lengths, cells=cells))))


@pytest.mark.parametrize(("length", "cells"), [(2, ("lstm",)), (10, CELLS), (500, CELLS)])
def test_texts_of_length_plot_do_not_overlap(length: int, cells: tuple[Cell, ...]):
    texts = check_texts(draw_length(group_runs(results(length, cells=cells))))
    assert not [each for each in texts if "$" in each]
    assert "10⁰" in texts


def check_texts(figure: Figure) -> set[str]:
    """Check that no texts overlap or leave the plot, and return them."""
    boxes = [(each.get_text(), each.get_window_extent()) for each in visible_texts(figure)]
    for (first, box), (other, other_box) in combinations(boxes, 2):
        assert not box.overlaps(other_box), f"{first} overlaps {other}"
    for text, box in boxes:
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, text
    return {text for text, _ in boxes}


def test_cell_has_the_same_line_style_in_every_plot():
    styles = []
    for figure in (draw_accuracy(group_runs(results(10, 20))), draw_length(group_runs(results(10)))):
        lines = [line for line in figure.axes[0].get_lines() if line.get_label() in CELLS]
        styles.append({line.get_label(): (line.get_color(), str(line._dash_pattern)) for line in lines})  # pyright: ignore[reportAttributeAccessIssue]
    assert styles[0] == styles[1]
    assert len(set(styles[0].values())) == len(CELLS)


def test_plot_lines_are_means_and_norms_share_a_log_axis():
    accuracy, _, before, after = draw_length(group_runs(results(10, cells=("lstm",)))).axes
    (line,) = (line for line in accuracy.get_lines() if line.get_label() == "lstm")
    assert list(line.get_xdata()) == [50, 100, 150]  # pyright: ignore[reportArgumentType]
    assert np.allclose(line.get_ydata(), [10, 30, 95])  # pyright: ignore[reportArgumentType]
    (norms,) = before.get_lines()
    assert np.allclose(norms.get_ydata(), [2**0.5 * 0.95 ** (9 - step) for step in range(1, 10)])  # pyright: ignore[reportArgumentType]
    assert list(norms.get_xdata()) == list(range(1, 10))  # pyright: ignore[reportArgumentType]
    assert before.get_yscale() == after.get_yscale() == "log"
    assert before.get_ylim() == after.get_ylim()


def test_line_ends_where_the_gradient_underflows():
    vanished = run_result("rnn", 6, norms=[0.0, 1e-44, 1e-30, 1e-10, 1.0])
    _, _, before, _ = draw_length(group_runs([vanished])).axes
    drawn = np.asarray(before.get_lines()[0].get_ydata(), float)
    assert np.isnan(drawn).tolist() == [True, True, False, False, False]
    means = draw_length(group_runs([run_result("rnn", 2, seed, norms=[norm]) for seed, norm in ((1, 1e-8), (2, 1e-2))]))
    assert list(means.axes[2].get_lines()[0].get_ydata()) == pytest.approx([1e-5])  # pyright: ignore[reportArgumentType]
    no_gradients = run_result("rnn", 3, norms=[0.0, float("inf")])
    FigureCanvasAgg(draw_length(group_runs([no_gradients]))).draw()


def test_plot_files_are_reproducible(tmp_path: Path):
    names = [f"{name}.{kind}" for name in ("accuracy", "length-10") for kind in ("png", "svg")]
    contents = []
    for _ in range(2):
        write_plots(tmp_path, results(10))
        contents.append([(tmp_path / name).read_bytes() for name in names])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert contents[0] == contents[1]
    texts = {each.text for each in ElementTree.fromstring(contents[0][3]).iter() if each.text and each.text.strip()}
    assert {"Palindromes of 10 digits", "gradient before training", "gradient after training", "lstm", "rnn"} <= texts
    assert sum(map(len, contents[0])) < 1_000_000
