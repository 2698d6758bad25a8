"""The plots can be read: no words overlap, each cell has a look of its own, and they are the same each time."""

from itertools import combinations, product
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from tests.helpers.made_up_palindromes import run_result
from wordgen.model.architecture import Cell
from wordgen.palindromes.results import RunResult, averaged, draw_accuracy, draw_length, write_plots

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
