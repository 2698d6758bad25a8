"""The learning curves of a sweep in one picture: a colour a network, its mean as a line, its random seeds as a band."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from wordgen.files import write_whole
from wordgen.lab.results import NetworkResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

PNG, SVG = "curves.png", "curves.svg"

# Those of Okabe and Ito, which colour-blind eyes tell apart; yellow is left out, for it is hardly seen on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00")
_STROKES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
MOST_LINES = len(_COLOURS) * len(_STROKES)
_WIDTH_IN_INCHES = 8.0
_DOTS_PER_INCH = 120
_LOGARITHMIC_FROM = 3.0
"""Where the highest that is drawn is so many times the lowest."""


def write_curves(folder: Path, title: str, results: Sequence[NetworkResult]) -> None:
    """curves.png and curves.svg; the same results give the same files."""
    import matplotlib as mpl

    # Text stays text in the SVG, whatever stands in it, and its inner names are the same each time.
    plain: Any = {"svg.fonttype": "none", "svg.hashsalt": "wordgen", "font.size": 10, "text.parse_math": False}
    with mpl.rc_context(plain):
        figure = draw(title, results)
        for name, described in ((PNG, {"Software": None}), (SVG, {"Date": None})):
            content = BytesIO()
            figure.savefig(content, format=name[-3:], dpi=_DOTS_PER_INCH, metadata=described)
            write_whole(folder / name, content.getvalue())


def draw(title: str, results: Sequence[NetworkResult]) -> "Figure":
    """The first networks, as many as can be told apart, in the order of the legend."""
    from matplotlib.figure import Figure  # with no window and no state that others could share

    drawn = [result for result in results if result.valid is not None][:MOST_LINES]
    height = max(4.5, 1.2 + 0.24 * len(drawn))
    figure = Figure(figsize=(_WIDTH_IN_INCHES, height), layout="constrained")
    axes = figure.add_subplot()
    lines = [
        _draw_network(axes, result, _COLOURS[number % len(_COLOURS)], _STROKES[number // len(_COLOURS)])
        for number, result in enumerate(drawn)
    ]
    measured = sum(result.valid is not None for result in results)
    some = f" ({len(drawn)} of {measured} networks)" if measured > len(drawn) else ""
    axes.set_title(title + some, loc="left", fontsize=11)
    _draw_axes(axes, drawn)
    if drawn:
        figure.legend(
            lines,
            [f"{result.network.name}:  {result.valid.shown()}" for result in drawn if result.valid is not None],
            loc="outside right upper",
            title="best valid perplexity,\nmean ± standard deviation",
            alignment="left",
            frameon=False,
            fontsize=9,
            title_fontsize=9,
            handlelength=2.6,
        )
    return figure


def _draw_network(axes: "Axes", result: NetworkResult, colour: str, stroke: Any) -> "Line2D":
    """The mean goes as far as all random seeds do; where fewer are left it would jump."""
    curves = [each.found.valid for each in result.counted]
    shared = min(len(curve) for curve in curves)
    epochs = range(1, shared + 1)
    columns = [[curve[place] for curve in curves] for place in range(shared)]
    means = [fmean(column) for column in columns]
    (line,) = axes.plot(epochs, means, color=colour, linestyle=stroke, linewidth=1.8, marker="o" if shared == 1 else "")
    if len(curves) > 1:
        lowest, highest = [min(column) for column in columns], [max(column) for column in columns]
        axes.fill_between(epochs, lowest, highest, color=colour, alpha=0.15, linewidth=0)
    return line


def _draw_axes(axes: "Axes", drawn: Sequence[NetworkResult]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axes.set_xlabel("epoch")
    axes.set_ylabel("valid perplexity")
    axes.grid(visible=True, which="both", color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    values = [value for result in drawn for each in result.counted for value in each.found.valid]
    if not values or max(values) < _LOGARITHMIC_FROM * min(values):
        return
    axes.set_yscale("log")
    decades = max(values) / min(values)
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 1.5, 2, 3, 5, 7) if decades < 30 else (1, 3)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
