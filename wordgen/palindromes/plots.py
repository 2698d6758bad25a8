"""The plots of a study: accuracy by length; and for each length the training, and the gradient at each time step."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from math import isfinite, log10
from pathlib import Path
from statistics import fmean, geometric_mean
from typing import TYPE_CHECKING, Any, Literal

from wordgen.model.architecture import Cell
from wordgen.palindromes.results import Averaged, RunResult, averaged
from wordgen.palindromes.settings import DIGITS
from wordgen.sweep.curves import COLOURS, Stroke, draw_grid, draw_mean_and_range, write_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = Literal["valid_accuracy", "valid_loss"]
ACCURACY = "accuracy"
"""The name of the plot of accuracy by length, without its ending."""
_LOOKS: dict[Cell, tuple[str, Stroke, str]] = {
    "rnn": (COLOURS[1], (0, (1, 1.2)), "s"),
    "gru": (COLOURS[2], (0, (4, 1.5)), "^"),
    "lstm": (COLOURS[0], "-", "o"),
}
"""The colour, line style and marker of each cell."""
_LOWEST_NORM = 1e-38
"""Smaller numbers are inexact in float32, and are not drawn."""
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_LOGARITHMIC_FROM = 8
"""The axis of lengths is logarithmic if the longest length is at least this many times the shortest one."""


def name_of_length(length: int) -> str:
    """Return the name of the plot of one length, without its ending."""
    return f"length-{length}"


def write_plots(folder: Path, results: Sequence[RunResult]) -> None:
    """Write all plots as PNG and SVG into a folder. Equal results give identical files."""
    averages = averaged(results)
    write_picture(folder, ACCURACY, lambda: draw_accuracy(averages))
    for length in dict.fromkeys(each.length for each in averages):
        of_length = [each for each in averages if each.length == length]
        write_picture(folder, name_of_length(length), lambda drawn=of_length: draw_length(drawn))


def draw_accuracy(averages: Sequence[Averaged]) -> "Figure":
    """Return a plot of accuracy by length. A line is the mean over the random seeds, a band their range."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    figure = Figure(figsize=(8.0, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for cell, look in _LOOKS.items():
        own = [each for each in averages if each.cell == cell]
        if own:
            columns = [[100 * value for value in each.accuracy.values] for each in own]
            _draw_line(axes, cell, [each.length for each in own], columns, marker=look[2])
    lengths = sorted({each.length for each in averages})
    if lengths[-1] >= _LOGARITHMIC_FROM * lengths[0]:
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(lengths))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}")
    axes.set_title("Palindromes: accuracy of the last digit", loc="left", fontsize=11)
    axes.set_xlabel("length of the palindromes")
    axes.set_ylabel("accuracy (%)")
    _draw_guessing(axes)
    _finish(figure, axes)
    return figure


def draw_length(averages: Sequence[Averaged]) -> "Figure":
    """Return the plots of one length: accuracy and loss by step, and the gradient before and after the training."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 6.8), layout="constrained")
    (accuracy, loss), (before, after) = figure.subplots(2, 2)
    for each in averages:
        _draw_curve(accuracy, each, "valid_accuracy", 100)
        _draw_curve(loss, each, "valid_loss", 1)
        _draw_norms(before, each.cell, [run.gradients_before for run in each.runs])
        _draw_norms(after, each.cell, [run.gradients_after for run in each.runs])
    _label(accuracy, "accuracy of the last digit", "step", "accuracy (%)")
    _label(loss, "loss", "step", "nats")
    _label(before, "gradient before training", "time step", "norm")
    _label(after, "gradient after training", "time step", "norm")
    _draw_guessing(accuracy)
    loss.set_ylim(bottom=0)
    _share_norms(before, after)
    figure.suptitle(f"Palindromes of {averages[0].length} digits", x=0.01, ha="left", fontsize=11)
    _finish(figure, accuracy, loss, before, after)
    return figure


def _draw_curve(axes: "Axes", each: Averaged, of: Curve, factor: float) -> None:
    curve = curves_by_step(each.runs, of)
    columns = [[factor * value for value in values] for values in curve.values()]
    _draw_line(axes, each.cell, list(curve), columns)


def curves_by_step(runs: Sequence[RunResult], of: Curve) -> dict[int, list[float]]:
    """Return the values of all runs at each step at which all have one. A solved run keeps its last value."""
    drawn = [run for run in runs if run.curve]
    found: dict[int, list[float]] = {}
    for step in sorted({point.step for run in drawn for point in run.curve}):
        values = [value for run in drawn if (value := _value_at(run, step, of)) is not None]
        if len(values) == len(drawn):
            found[step] = values
    return found


def _value_at(run: RunResult, step: int, of: Curve) -> float | None:
    """Return the value of the last point up to a step.

    Return None before the first point, and after the last point of a run that was not solved.
    """
    number = bisect_right(run.curve, step, key=lambda point: point.step)
    if number == 0 or (step > run.curve[-1].step and run.ended != "solved"):
        return None
    return getattr(run.curve[number - 1], of)


def _draw_norms(axes: "Axes", cell: Cell, norms: Sequence[Sequence[float]]) -> None:
    """Draw the norms by time step. `norms` has those of one random seed in each row.

    The line has a gap where float32 cannot represent all norms exactly.
    """
    columns = [
        column if all(isfinite(norm) and norm > _LOWEST_NORM for norm in column) else ()
        for column in zip(*norms, strict=True)
    ]
    _draw_line(axes, cell, range(1, len(columns) + 1), columns, geometric_mean)


def _draw_line(
    axes: "Axes",
    cell: Cell,
    xs: Sequence[int],
    columns: Sequence[Sequence[float]],
    mean: Callable[[Sequence[float]], float] = fmean,
    marker: str = "",
) -> None:
    colour, stroke, single = _LOOKS[cell]
    marker = marker or (single if len(xs) == 1 else "")
    look = {"color": colour, "linestyle": stroke, "marker": marker, "markersize": 5, "label": cell}
    draw_mean_and_range(axes, xs, columns, mean, **look)


def _label(axes: "Axes", title: str, x: str, y: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _share_norms(*both: "Axes") -> None:
    """Give both plots the same logarithmic axis, so that they can be compared."""
    from matplotlib.ticker import LogLocator, NullLocator

    lines: list[Any] = [line for axes in both for line in axes.get_lines()]
    norms = [float(value) for line in lines for value in line.get_ydata() if value > 0]  # NaN is left out, too
    if not norms:
        return
    for axes in both:
        axes.set_yscale("log")
        axes.set_ylim(min(norms) / 3, 3 * max(norms))
        axes.yaxis.set_major_locator(LogLocator(numticks=8))
        axes.yaxis.set_major_formatter(lambda norm, _: f"10{str(round(log10(norm))).translate(_RAISED)}")
        axes.yaxis.set_minor_locator(NullLocator())


def _draw_guessing(axes: "Axes") -> None:
    axes.axhline(100 / DIGITS, color="#777777", linewidth=1, linestyle=(0, (1, 3)), label="guessing")
    axes.set_ylim(0, 104)


def _finish(figure: "Figure", *every: "Axes") -> None:
    for axes in every:
        draw_grid(axes)
    lines, labels = every[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9, handlelength=2.6)
