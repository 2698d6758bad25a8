"""The plot of a sweep: texts do not overlap, networks look different, and files are reproducible."""

from itertools import combinations, product
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from tests.helpers.sweeps import network_result
from wordgen.sweep.planning import Network
from wordgen.sweep.results import MAX_LINES, NetworkResult, draw_curves, write_curves

NAMES = [f"{cell} {layers} x {units}" for cell, layers, units in product(("lstm", "gru", "rnn"), (1, 2), (64, 160))]


def results(names: list[str], highest: float = 90.0) -> list[NetworkResult]:
    return [
        network_result(Network(name, {}), [30.0 + n, 30.6 + n, 31.0 + n], [highest, 70.0 + n, 50.0, 40.0 + n])
        for n, name in enumerate(names)
    ]


def visible_texts(figure: Figure) -> list[Text]:
    """All visible texts of a plot, which is drawn first."""
    FigureCanvasAgg(figure).draw()
    (axes,), (legend,) = figure.axes, figure.legends
    texts = [axes.xaxis.label, axes.yaxis.label, legend.get_title(), *legend.get_texts(), axes._left_title]  # pyright: ignore[reportAttributeAccessIssue]
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        texts += [tick.label1 for tick in ticks if low <= tick.get_loc() <= high]
    return [each for each in texts if each.get_text().strip()]


@pytest.mark.parametrize(
    ("names", "highest"),
    [
        (NAMES[:1], 90.0),
        (NAMES[:5], 800.0),
        (NAMES, 90.0),
        (NAMES, 1e6),
        (["2 x 128 LSTM, twice the seq len", "1 x 128 LSTM"], 90.0),
    ],
)
def test_texts_do_not_overlap_or_leave_the_plot(names: list[str], highest: float):
    figure = draw_curves("Cells, units and layers on the bundled fables", results(names, highest))
    texts = visible_texts(figure)
    boxes = [(each.get_text(), each.get_window_extent()) for each in texts]
    for (first, box), (other, other_box) in combinations(boxes, 2):
        assert not box.overlaps(other_box), f"{first} overlaps {other}"
    for text, box in boxes:
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, text
    assert min(float(each.get_fontsize()) for each in texts) >= 9


def test_legend_is_beside_curves_and_leaves_half_the_width():
    figure = draw_curves("Cells", results(NAMES))
    visible_texts(figure)
    (legend,), (axes,) = figure.legends, figure.axes
    assert not legend.get_window_extent().overlaps(axes.get_window_extent())
    assert axes.get_window_extent().width > figure.bbox.width / 2
    labels = [each.get_text() for each in legend.get_texts()]
    assert labels[0] == "lstm 1 x 64:  30.5 ± 0.5"
    assert [label.split(":")[0] for label in labels] == NAMES


def test_lines_look_different_and_title_counts_omitted_ones():
    names = [f"units {n}" for n in range(MAX_LINES + 3)]
    (axes,) = draw_curves("Units", results(names)).axes
    styles = {(line.get_color(), str(line.get_linestyle()), str(line._dash_pattern)) for line in axes.get_lines()}  # pyright: ignore[reportAttributeAccessIssue]
    assert len(styles) == len(axes.get_lines()) == MAX_LINES
    assert axes.get_title(loc="left") == f"Units ({MAX_LINES} of {MAX_LINES + 3} networks)"


def test_line_is_the_mean_and_band_covers_all_random_seeds():
    network = network_result(Network("a", {}), [10.0, 20.0], [40.0])
    (axes,) = draw_curves("", [network]).axes
    (line,) = axes.get_lines()
    assert list(line.get_ydata()) == [40.0, 15.0]  # pyright: ignore[reportArgumentType]
    heights = {float(height) for _, height in np.asarray(axes.collections[0].get_paths()[0].vertices)}
    assert {min(heights), max(heights)} == {10.0, 40.0}


def test_mean_ends_with_the_shortest_run():
    runs = [network_result(Network("a", {}), [30.0], curve).runs[0] for curve in ([90.0, 60.0], [80.0])]
    (line,) = draw_curves("", [NetworkResult(Network("a", {}), {}, "", 1000, tuple(runs), 10)]).axes[0].get_lines()
    assert list(line.get_ydata()) == [85.0, 45.0]  # pyright: ignore[reportArgumentType]


def test_high_perplexities_have_a_logarithmic_axis():
    assert draw_curves("", results(NAMES, 1e5)).axes[0].get_yscale() == "log"
    assert draw_curves("", results(NAMES[:2], 60.0)).axes[0].get_yscale() == "linear"


def test_plot_files_are_reproducible(tmp_path: Path):
    contents = []
    for _ in range(2):
        write_curves(tmp_path, "Cells & <units>", results(NAMES[:3]))
        contents.append([(tmp_path / name).read_bytes() for name in ("curves.png", "curves.svg")])
    assert contents[0] == contents[1]
    png, svg = contents[0]
    assert png.startswith(b"\x89PNG")
    texts = {each.text for each in ElementTree.fromstring(svg).iter() if each.text and each.text.strip()}
    assert {"Cells & <units>", "epoch", "validation perplexity", f"{NAMES[2]}:  32.5 ± 0.5"} <= texts
    assert len(png) + len(svg) < 200_000


def test_names_are_not_read_as_formulas_or_left_out(tmp_path: Path):
    networks = [network_result(Network(name, {}), [30.0, 31.0]) for name in ("_small", r"$\nope$ and $5")]
    write_curves(tmp_path, r"What $\nope$ does", networks)
    texts = {each.text for each in ElementTree.parse(tmp_path / "curves.svg").iter() if each.text and each.text.strip()}
    assert {r"What $\nope$ does", "_small:  30.5 ± 0.7", r"$\nope$ and $5:  30.5 ± 0.7"} <= texts


def test_sweep_without_results_has_a_plot(tmp_path: Path):
    write_curves(tmp_path, "Nothing", [network_result(Network("a", {}), [None])])
    assert (tmp_path / "curves.png").stat().st_size > 0
