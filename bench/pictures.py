"""Draws results as SVG. Equal figures give identical files."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import curves, growth
from wordgen.sweep.results import COLOURS, write_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _ORANGE = COLOURS[:2]
_MIN_SPAN = 2.0
"""An axis goes at least to this many times its middle value, and as far down, so that a small change looks small."""
_WHAT = {"seq_len": "seq len", "batch_size": "batch size", "corpus": "corpus, MB"}


def draw_growth(found: dict[str, Any], folder: Path, name: str) -> None:
    """Draw time (blue, on the left) and memory (orange, on the right) of each sweep, with logarithmic axes."""
    measured = {sweep: points for sweep in growth.SWEEPS if (points := growth.points_of(found, sweep))}
    if measured:
        write_picture(folder, name, lambda: _growth(measured), ("svg",))


def _growth(measured: Mapping[str, list[tuple[float, dict[str, Any]]]]) -> "Figure":
    from matplotlib.figure import Figure

    rows = -(-len(measured) // 2)
    figure = Figure(figsize=(9.0, 2.6 * rows), layout="constrained")
    for number, (sweep, points) in enumerate(measured.items(), start=1):
        axes = figure.add_subplot(rows, 2, number)
        values = [value for value, _ in points]
        _line(axes, values, [result["cpu"] for _, result in points], _BLUE)
        axes.set_xlabel(_WHAT.get(sweep, sweep))
        axes.set_ylabel("CPU s to the first step" if sweep == "corpus" else "CPU µs a token", color=_BLUE)
        beside = axes.twinx()
        _line(beside, values, [result["peak_mb"] for _, result in points], _ORANGE)
        beside.set_ylabel("MB above the import", color=_ORANGE)
    return figure


def draw_curves(found: Mapping[str, Any], folder: Path, name: str) -> None:
    """Draw validation perplexity against CPU seconds: a part for each text, wordgen blue, PyTorch orange."""
    drawn = [each for each in found.values() if each["ours"].get("points") and each[curves.PEER].get("points")]
    if drawn:
        write_picture(folder, name, lambda: _curves(drawn), ("svg",))


def _curves(drawn: list[Any]) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    figure = Figure(figsize=(8.0, 3.4 * len(drawn)), layout="constrained")
    for number, found in enumerate(drawn, start=1):
        axes = figure.add_subplot(len(drawn), 1, number)
        names = {"ours": (f"wordgen, recipe {found['recipe']}", _BLUE), curves.PEER: ("PyTorch's example", _ORANGE)}
        for name, (label, colour) in names.items():
            cpu, valid = ([point[kind] for point in found[name]["points"]] for kind in ("cpu", "valid"))
            axes.plot(cpu, valid, color=colour, marker="o", markersize=3.5, label=label)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        axes.set_title(found["corpus"], loc="left", fontsize=11)
        axes.set_xlabel("CPU seconds from the start of the process")
        axes.set_ylabel("validation perplexity")
        axes.set_xlim(left=0)
        axes.grid(visible=True, color="#dddddd", linewidth=0.6)
        axes.legend(frameon=False)
    return figure


def _line(axes: "Axes", xs: list[float], ys: list[float], colour: str) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    axes.loglog(xs, ys, color=colour, marker="o", markersize=3.5)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    middle = (min(ys) * max(ys)) ** 0.5
    axes.set_ylim(min(*ys, middle / _MIN_SPAN) / 1.2, max(*ys, middle * _MIN_SPAN) * 1.2)
    axes.xaxis.set_major_locator(FixedLocator(xs))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))


def _short(value: float) -> str:
    """Return a number as an axis has it, for example 20,000 as 20k."""
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:,g}"
