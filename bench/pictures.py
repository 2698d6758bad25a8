"""The pictures of what was measured, as SVG: the same figures give the same files."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import curves, growth
from wordgen.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Two of those of Okabe and Ito, which colour-blind eyes tell apart.
_BLUE, _ORANGE = "#0072B2", "#D55E00"
_LEAST_SPAN = 2.0
"""An axis goes at least so many times up and down from its middle, so that a small change looks small."""
_WHAT = {"seq_len": "seq len", "batch_size": "batch size", "corpus": "corpus, MB"}


def draw_growth(found: Mapping[str, Any], path: Path) -> None:
    """For each sweep time (blue, on the left) and memory (orange, on the right), on logarithmic axes."""
    measured = [sweep for sweep in growth.SWEEPS if growth.points_of(dict(found), sweep)]
    if not measured:
        return
    figure = _figure(9.0, 2.6 * -(-len(measured) // 2))
    for number, sweep in enumerate(measured, start=1):
        axes = figure.add_subplot(-(-len(measured) // 2), 2, number)
        points = growth.points_of(dict(found), sweep)
        values = [value for value, _ in points]
        _line(axes, values, [told["cpu"] for _, told in points], _BLUE)
        axes.set_xlabel(_WHAT.get(sweep, sweep))
        axes.set_ylabel("CPU s to the first step" if sweep == "corpus" else "CPU µs a token", color=_BLUE)
        beside = axes.twinx()
        _line(beside, values, [told["peak_mb"] for _, told in points], _ORANGE)
        beside.set_ylabel("MB above the import", color=_ORANGE)
    _write(figure, path)


def draw_curves(found: Mapping[str, Any], path: Path) -> None:
    """Valid perplexity over CPU seconds: a part for each text, wordgen blue, PyTorch orange."""
    drawn = {key: kept for key, kept in found.items() if kept["ours"].get("points") and kept[curves.PEER].get("points")}
    if not drawn:
        return
    figure = _figure(8.0, 3.4 * len(drawn))
    for number, kept in enumerate(drawn.values(), start=1):
        axes = figure.add_subplot(len(drawn), 1, number)
        names = {"ours": (f"wordgen, recipe {kept['recipe']}", _BLUE), curves.PEER: ("PyTorch's example", _ORANGE)}
        for name, (label, colour) in names.items():
            points = kept[name]["points"]
            cpu, valid = ([point[kind] for point in points] for kind in ("cpu", "valid"))
            axes.plot(cpu, valid, color=colour, marker="o", markersize=3.5, label=label)
        axes.set_yscale("log")
        axes.set_title(kept["corpus"], loc="left", fontsize=11)
        axes.set_xlabel("CPU seconds from the start of the process")
        axes.set_ylabel("valid perplexity")
        axes.set_xlim(left=0)
        axes.grid(visible=True, which="both", color="#dddddd", linewidth=0.6)
        axes.legend(frameon=False)
    _write(figure, path)


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure  # with no window and no state that others could share

    return Figure(figsize=(width, height), layout="constrained")


def _line(axes: "Axes", xs: list[float], ys: list[float], colour: str) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    axes.loglog(xs, ys, color=colour, marker="o", markersize=3.5)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    middle = (min(ys) * max(ys)) ** 0.5
    axes.set_ylim(min(*ys, middle / _LEAST_SPAN) / 1.2, max(*ys, middle * _LEAST_SPAN) * 1.2)
    axes.xaxis.set_major_locator(FixedLocator(xs))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))


def _short(value: float) -> str:
    """20,000 as 20k."""
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:,g}"


def _write(figure: "Figure", path: Path) -> None:
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "wordgen"}):
        content = BytesIO()
        figure.savefig(content, format="svg", metadata={"Date": None})  # pyright: ignore[reportArgumentType]
        write_whole(path, content.getvalue())
