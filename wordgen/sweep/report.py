"""The files of a sweep: results.json, the table results.md, and the curves of all networks in one picture.

A study of palindromes writes its table and pictures with the same functions.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from itertools import product
from math import nan
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from wordgen import __version__
from wordgen.files import write_atomically
from wordgen.run.names import SWEEP_RESULTS, SWEEP_TABLE
from wordgen.sweep.results import NetworkResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class HasNote(Protocol):
    @property
    def note(self) -> str: ...


Result = TypeVar("Result", bound=HasNote)


def table_lines(columns: Mapping[str, Callable[[Result], str]], results: Sequence[Result]) -> list[Sequence[str]]:
    """Return the lines of a table: its head, and one for each result. The last column has notes, if there are any."""
    head = (*columns, "note") if any(each.note for each in results) else tuple(columns)
    rows = [(*(show(each) for show in columns.values()), each.note) for each in results]
    return [head, *(row[: len(head)] for row in rows)]


def markdown_table(head: Sequence[str], *rows: Sequence[str]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def provenance_of(command: str) -> dict[str, str]:
    """Return the part of the content of results.json that says where the results are from."""
    return {"command": command, "date": datetime.now(UTC).date().isoformat(), "wordgen": __version__}


def write_results(folder: Path, content: Mapping[str, object], *parts: str) -> None:
    """Write results.json with this content, and results.md with where it is from and these parts.

    The command may contain the name of a folder that is not valid UTF-8. Its bytes are written as escapes.
    """
    figures = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)
    origin = f"`{content['command']}`, {content['date']}, wordgen {content['wordgen']}."
    write_atomically(folder / SWEEP_RESULTS, figures.encode(errors="backslashreplace"))
    write_atomically(folder / SWEEP_TABLE, ("\n\n".join([origin, *parts]) + "\n").encode(errors="backslashreplace"))


LineStyle = str | tuple[int, tuple[float, float]]
"""The style of a line: its name, or the offset and lengths of dashes and gaps."""

# The colours of Okabe and Ito, which colour-blind people can distinguish, without yellow: it is hard to see on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00")
_LINE_STYLES: tuple[LineStyle, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
MOST_LINES = len(COLOURS) * len(_LINE_STYLES)
_WIDTH_IN_INCHES = 8.0
_DOTS_PER_INCH = 120
_LOGARITHMIC_FROM = 3.0
"""The perplexity axis is logarithmic if the highest value is at least this many times the lowest."""


def write_curves(folder: Path, title: str, results: Sequence[NetworkResult]) -> None:
    """Write curves.png and curves.svg into a folder. Equal results give identical files."""
    write_picture(folder, "curves", lambda: draw(title, results))


def write_picture(
    folder: Path, name: str, draw: Callable[[], "Figure"], formats: Sequence[Literal["png", "svg"]] = ("png", "svg")
) -> None:
    """Write the figure that `draw` returns as NAME.png and NAME.svg. Equal figures give identical files.

    `draw` is called with the settings of matplotlib that all pictures share.
    """
    import matplotlib as mpl

    # The SVG keeps text as text and has the same ids each time. Text is never parsed as a formula.
    rc_settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "wordgen", "font.size": 10, "text.parse_math": False}
    with mpl.rc_context(rc_settings):
        figure = draw()
        for kind in formats:
            content = BytesIO()
            metadata: Any = {"Software" if kind == "png" else "Date": None}
            figure.savefig(content, format=kind, dpi=_DOTS_PER_INCH, metadata=metadata)
            write_atomically(folder / f"{name}.{kind}", content.getvalue())


def draw_mean_and_range(
    axes: "Axes",
    xs: Sequence[float],
    columns: Sequence[Sequence[float]],
    mean: Callable[[Sequence[float]], float] = fmean,
    **style: Any,
) -> None:
    """Draw the mean of each column as a line, and the range from its lowest to its highest value as a band.

    A column has the values of all random seeds at one place. The line has a gap where a column is empty.
    """
    means = [mean(column) if column else nan for column in columns]
    axes.plot(xs, means, linewidth=1.8, **style)
    if any(len(column) > 1 for column in columns):
        lowest, highest = ([of(column, default=nan) for column in columns] for of in (min, max))
        axes.fill_between(xs, lowest, highest, color=style["color"], alpha=0.15, linewidth=0)


def draw_grid(axes: "Axes", which: Literal["major", "both"] = "major") -> None:
    axes.grid(visible=True, which=which, color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def draw(title: str, results: Sequence[NetworkResult]) -> "Figure":
    """Return a figure with the curves of the first networks. The legend has them in the same order.

    There are at most MOST_LINES curves, because more could not be distinguished.
    """
    from matplotlib.figure import Figure  # unlike pyplot, opens no window and has no shared state

    measured = [result for result in results if result.completed_runs]
    drawn = measured[:MOST_LINES]
    height = max(4.5, 1.2 + 0.24 * len(drawn))
    figure = Figure(figsize=(_WIDTH_IN_INCHES, height), layout="constrained")
    axes = figure.add_subplot()
    for result, (line_style, colour) in zip(drawn, product(_LINE_STYLES, COLOURS), strict=False):
        _draw_network(axes, result, colour, line_style)
    some = f" ({len(drawn)} of {len(measured)} networks)" if len(measured) > len(drawn) else ""
    axes.set_title(title + some, loc="left", fontsize=11)
    _draw_axes(axes, drawn)
    if drawn:
        figure.legend(
            axes.get_lines(),
            [f"{result.network.name}:  {result.valid.shown()}" for result in drawn],
            loc="outside right upper",
            title="best validation perplexity,\nmean ± standard deviation",
            alignment="left",
            frameon=False,
            fontsize=9,
            title_fontsize=9,
            handlelength=2.6,
        )
    return figure


def _draw_network(axes: "Axes", result: NetworkResult, colour: str, line_style: LineStyle) -> None:
    """Draw the line and the band of a network.

    The line ends at the last epoch that all random seeds have. With fewer of them the mean would jump.
    """
    columns = list(zip(*(each.figures.valid for each in result.completed_runs), strict=False))
    marker = "o" if len(columns) == 1 else ""
    draw_mean_and_range(axes, range(1, len(columns) + 1), columns, color=colour, linestyle=line_style, marker=marker)


def _draw_axes(axes: "Axes", drawn: Sequence[NetworkResult]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axes.set_xlabel("epoch")
    axes.set_ylabel("validation perplexity")
    draw_grid(axes, "both")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    values = [value for result in drawn for each in result.completed_runs for value in each.figures.valid]
    if not values or max(values) < _LOGARITHMIC_FROM * min(values):
        return
    axes.set_yscale("log")
    decades = max(values) / min(values)
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 1.5, 2, 3, 5, 7) if decades < 30 else (1, 3)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
