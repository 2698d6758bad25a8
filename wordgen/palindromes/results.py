"""The results of runs, and of all random seeds of a cell together: figures, a table, sentences and plots.

There is one plot of accuracy by length. For each length there are plots of the training, and of the gradient at each
time step.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10
from pathlib import Path
from statistics import fmean, geometric_mean
from typing import TYPE_CHECKING, Any, Literal

from wordgen.errors import BundleError, in_a_sentence, reason_of
from wordgen.files import from_checksummed_json, read_regular_file, to_checksummed_json, write_atomically
from wordgen.model.architecture import Cell
from wordgen.palindromes.settings import DIGITS, StudyRun, StudySettings
from wordgen.run.names import STUDY_RESULT
from wordgen.sweep.results import COLOURS, LineStyle, Spread, draw_grid, draw_mean_and_range, write_picture
from wordgen.training.settings import parse_time_budget
from wordgen.training.typed_json import from_json, to_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_RESULT_BYTES = 2**27

Ended = Literal["solved", "all steps done", "the time is up", "diverged"]


@dataclass(frozen=True)
class Point:
    """A point of the curves: means over the steps since the last point, and a measurement on the validation set."""

    step: int
    length: int
    """The length of the palindromes in these steps. A curriculum makes it longer."""
    loss: float
    accuracy: float
    gradient_norm: float
    valid_loss: float
    valid_accuracy: float


@dataclass(frozen=True)
class RunResult:
    cell: Cell
    length: int
    random_seed: int
    parameters: int
    ended: Ended
    time_budget: str | None
    """The time budget of the study, if the run ended because of it."""
    steps: int
    seconds: float
    """The time of training and measuring, over all starts."""
    test_palindromes: int
    accuracy: float
    """On the test set: the share of palindromes whose last digit was predicted."""
    loss: float
    """On the test set, in nats."""
    curve: tuple[Point, ...]
    gradients_before: tuple[float, ...]
    """The norm of the gradient at each time step, before the first step of the training."""
    gradients_after: tuple[float, ...]
    """The same after the training."""

    @property
    def run(self) -> StudyRun:
        return StudyRun(self.cell, self.length, self.random_seed)

    @property
    def is_perfect(self) -> bool:
        return self.accuracy == 1

    @property
    def steps_to_perfect(self) -> int | None:
        """The step from which on all points have an accuracy of 100% on the validation set. None if there is none."""
        found = None
        for point in reversed(self.curve):
            if point.valid_accuracy < 1:
                break
            found = point.step
        return found

    def is_over(self, settings: StudySettings) -> bool:
        """Return whether the run has nothing left to do with these steps and this time budget."""
        if self.ended == "all steps done":
            return self.steps >= settings.steps
        if self.ended == "the time is up":
            earlier_budget = parse_time_budget(self.time_budget) or 0.0
            return self.steps >= settings.steps or (settings.budget is not None and settings.budget <= earlier_budget)
        return True


def save_result(folder: Path, result: RunResult) -> None:
    write_atomically(folder / STUDY_RESULT, to_checksummed_json(to_json(result)))


def load_result(folder: Path) -> RunResult | None:
    """Return the result of a run, or None if the run has not ended. Raise BundleError if the file is damaged."""
    try:
        return from_json(
            RunResult, from_checksummed_json(read_regular_file(folder / STUDY_RESULT, _MAX_RESULT_BYTES)), STUDY_RESULT
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise BundleError(
            f"{folder / STUDY_RESULT} is damaged ({reason_of(error)}): remove the folder {folder} to have it trained "
            "anew."
        ) from error


@dataclass(frozen=True)
class RunGroup:
    """The runs of a cell at one length with all random seeds."""

    cell: Cell
    length: int
    runs: tuple[RunResult, ...]

    @property
    def parameters(self) -> int:
        return self.runs[0].parameters

    def spread(self, of: Literal["accuracy", "loss", "steps", "seconds"]) -> Spread:
        """Return one figure of all runs. A run that diverged has no loss."""
        return Spread.of(value for run in self.runs if isfinite(value := getattr(run, of)))

    @property
    def perfect_runs(self) -> int:
        """The number of random seeds with no mistake on the test set."""
        return sum(run.is_perfect for run in self.runs)

    @property
    def steps_to_perfect(self) -> Spread:
        """See `RunResult.steps_to_perfect`. No values if a random seed made a mistake on the test set."""
        steps = Spread.of(run.steps_to_perfect for run in self.runs if run.is_perfect)
        return steps if len(steps.values) == len(self.runs) else Spread(())

    @property
    def note(self) -> str:
        """How many runs had no time left, diverged, or did not reach the full length. Empty if none."""
        ends = [run.ended for run in self.runs]
        early: tuple[Ended, ...] = ("the time is up", "diverged")
        notes = [f"{ends.count(end)} of {len(ends)}: {end}" for end in early if end in ends]
        reached = [run.curve[-1].length for run in self.runs if run.curve and run.curve[-1].length < self.length]
        if reached:
            notes.append(f"{len(reached)} of {len(ends)}: curriculum at {', '.join(map(str, reached))} digits")
        return "; ".join(notes)

    def to_mapping(self) -> dict[str, object]:
        return {
            "length": self.length,
            "cell": self.cell,
            "parameters": self.parameters,
            "random_seeds": [run.random_seed for run in self.runs],
            "perfect_runs": self.perfect_runs,
            "accuracy": self.spread("accuracy").to_mapping(),
            "loss": self.spread("loss").to_mapping(),
            "steps_to_100_percent": self.steps_to_perfect.to_mapping(),
            "steps": self.spread("steps").to_mapping(),
            "seconds": self.spread("seconds").to_mapping(),
            "note": self.note,
        }


def group_runs(results: Iterable[RunResult]) -> list[RunGroup]:
    """Group the results by length, the shortest first, and by cell. The cells keep the order of the results."""
    groups: dict[tuple[int, Cell], list[RunResult]] = {}
    for result in results:
        groups.setdefault((result.length, result.cell), []).append(result)
    ordered = sorted(groups.items(), key=lambda group: group[0][0])
    return [RunGroup(cell, length, tuple(runs)) for (length, cell), runs in ordered]


def _shown_accuracy(spread: Spread) -> str:
    """Return mean ± standard deviation in percent, without the deviation if all values are 100%."""
    deviation = "" if spread.deviation is None or spread.mean == 1 else f" ± {100 * spread.deviation:.1f}"
    return f"{shown_share(spread.mean)}{deviation}%"


def shown_share(share: float) -> str:
    """Return a share in percent, without the sign. It is rounded down, so only 1 becomes 100."""
    return "100" if share == 1 else f"{min(99.9, floor(1000 * share + 1e-9) / 10):.1f}"


COLUMNS: dict[str, Callable[[RunGroup], str]] = {
    "length": lambda each: f"{each.length}",
    "cell": lambda each: each.cell,
    "parameters": lambda each: f"{each.parameters:,}",
    "accuracy": lambda each: _shown_accuracy(each.spread("accuracy")),
    "loss": lambda each: each.spread("loss").shown(3),
    "all right": lambda each: f"{each.perfect_runs} of {len(each.runs)}",
    "steps to 100%": lambda each: each.steps_to_perfect.shown(0),
    "steps": lambda each: each.spread("steps").shown(0),
    "seconds": lambda each: each.spread("seconds").shown(0),
    "note": lambda each: each.note,
}
"""The columns of the table."""


def summary_of(groups: Sequence[RunGroup]) -> str:
    """Return a sentence for each cell: the lengths at which it made no mistake, and its accuracy at the others."""
    if not groups:
        return "No run has ended yet."
    palindromes = groups[0].runs[0].test_palindromes
    first = (
        f"Accuracy is the share of {palindromes:,} new palindromes whose last digit is predicted. Guessing reaches "
        f"{100 // DIGITS}%."
    )
    cells = dict.fromkeys(each.cell for each in groups)
    return " ".join([first, *(_of_cell(cell, [each for each in groups if each.cell == cell]) for cell in cells)])


def _of_cell(cell: str, groups: Sequence[RunGroup]) -> str:
    perfect = [f"{each.length}" for each in groups if each.perfect_runs == len(each.runs)]
    parts = [f"100% at length {in_a_sentence(perfect)} with every random seed"] if perfect else []
    others = [each for each in groups if each.perfect_runs < len(each.runs)]
    parts += [f"{shown_share(each.spread('accuracy').mean)}% at length {each.length}" for each in others]
    return f"{cell.upper()}: {', '.join(parts)}."


Curve = Literal["valid_accuracy", "valid_loss"]
ACCURACY = "accuracy"
"""The name of the plot of accuracy by length, without its ending."""
_CELL_STYLES: dict[Cell, tuple[str, LineStyle, str]] = {
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
    groups = group_runs(results)
    write_picture(folder, ACCURACY, lambda: draw_accuracy(groups))
    for length in dict.fromkeys(each.length for each in groups):
        of_length = [each for each in groups if each.length == length]
        write_picture(folder, name_of_length(length), lambda drawn=of_length: draw_length(drawn))


def draw_accuracy(groups: Sequence[RunGroup]) -> "Figure":
    """Return a plot of accuracy by length. A line is the mean over the random seeds, a band their range."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    figure = Figure(figsize=(8.0, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for cell, style in _CELL_STYLES.items():
        cell_groups = [each for each in groups if each.cell == cell]
        if cell_groups:
            columns = [[100 * value for value in each.spread("accuracy").values] for each in cell_groups]
            _draw_line(axes, cell, [each.length for each in cell_groups], columns, marker=style[2])
    lengths = sorted({each.length for each in groups})
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


def draw_length(groups: Sequence[RunGroup]) -> "Figure":
    """Return the plots of one length: accuracy and loss by step, and the gradient before and after the training."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 6.8), layout="constrained")
    (accuracy, loss), (before, after) = figure.subplots(2, 2)
    for each in groups:
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
    figure.suptitle(f"Palindromes of {groups[0].length} digits", x=0.01, ha="left", fontsize=11)
    _finish(figure, accuracy, loss, before, after)
    return figure


def _draw_curve(axes: "Axes", each: RunGroup, of: Curve, factor: float) -> None:
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
    colour, line_style, single = _CELL_STYLES[cell]
    marker = marker or (single if len(xs) == 1 else "")
    style = {"color": colour, "linestyle": line_style, "marker": marker, "markersize": 5, "label": cell}
    draw_mean_and_range(axes, xs, columns, mean, **style)


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
