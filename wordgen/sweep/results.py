"""How far the runs of a sweep are, the results of each network, and the files with the results, table and curves.

A study of palindromes writes its table and pictures with the same functions.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from itertools import product
from math import nan
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from wordgen import __version__
from wordgen.errors import BundleError, SettingError, WordgenError
from wordgen.evaluation.settings import Watcher
from wordgen.evaluation.text_loss import network_loss
from wordgen.files import write_atomically
from wordgen.generation.prediction import NumpyNetwork
from wordgen.model.bundle import is_bundle, load_bundle
from wordgen.run.evaluate import Origin, text_to_measure
from wordgen.run.names import SWEEP_RESULTS, SWEEP_TABLE, run_exists
from wordgen.run.record import DIVERGED, STOPPED, RunRecord, load_record
from wordgen.run.settings import RUN_SPECIFIC_SETTINGS, as_flag
from wordgen.sweep.planning import Network, PlannedRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Result = TypeVar("Result")
RunStatus = Literal["missing", "interrupted", "finished", "diverged"]
State = Literal["waiting", "training", "stopped", "done", "diverged", "failed"]


@dataclass(frozen=True)
class RunFigures:
    """The state and the figures of a run, from its report."""

    status: RunStatus
    valid: tuple[float, ...] = ()
    """The validation perplexity of each epoch."""
    best: float | None = None
    seconds: float = 0.0
    """The time of all epochs, also of those before the run was resumed."""
    test: float | None = None
    has_reached_last_epoch: bool = False
    """Whether the run has completed its last planned epoch."""
    steps: int = 0
    """The number of steps up to the end of the last completed epoch."""
    has_constant_rate: bool = True
    """Whether the learning rate did not fall."""


def figures_of(run: PlannedRun) -> RunFigures:
    """Return the state and the figures of a run.

    Raises SettingError if the folder belongs to a run that was begun with other settings or with another text.
    """
    if not run_exists(run.name):
        return RunFigures("missing")
    record = load_record(run.folder)
    _check_same(run, record)
    best = None if record.best is None else record.best.valid_perplexity
    return RunFigures(
        _status(record.ended, best, run.plan.architecture.vocabulary_size),
        valid=tuple(epoch.valid_perplexity for epoch in record.epochs),
        best=best,
        seconds=record.training_seconds,
        has_reached_last_epoch=len(record.epochs) == run.settings.epochs,
        steps=record.epochs[-1].step if record.epochs else 0,
        has_constant_rate=record.has_constant_rate,
    )


def _status(ended: str | None, best: float | None, vocabulary_size: int) -> RunStatus:
    """Return the status of a run.

    It counts as diverged, too, if its best perplexity is above the size of the vocabulary: the model is then worse than
    a guess that gives each token the same probability, even if its loss is still a number.
    """
    if ended in (None, STOPPED):
        return "interrupted"
    return "diverged" if ended == DIVERGED or (best is not None and best > vocabulary_size) else "finished"


def _check_same(run: PlannedRun, record: RunRecord) -> None:
    advice = "Give the sweep another --name, or move the folder away."
    began = record.settings.to_mapping()
    for name, wanted in run.settings.to_mapping().items():
        may_differ = name in RUN_SPECIFIC_SETTINGS or name == "recipe" or (name == "precision" and wanted == "auto")
        if not may_differ and began[name] != wanted:
            raise SettingError(
                f"{run.folder} was started with {as_flag(name, began[name])}, but the sweep has "
                f"{as_flag(name, wanted)}. {advice}"
            )
    if record.dataset.fingerprint != run.plan.dataset.fingerprint:
        raise SettingError(f"{run.folder} was started with another text of {run.plan.text.corpus}. {advice}")


def perplexity_on_test_set(run: PlannedRun) -> float | None:
    """Return the perplexity of the run's model, or None if there is no model or the test set cannot be used."""
    if not is_bundle(run.folder):
        return None
    try:
        bundle = load_bundle(run.folder)
        text = text_to_measure(Origin.of_folder(run.folder), bundle, "test", Watcher())
        return network_loss(NumpyNetwork(bundle.architecture, bundle.weights), text.ids).perplexity
    except WordgenError:  # for example a test set that is too short
        return None


@dataclass(frozen=True)
class Spread:
    """One figure of a network, with a value for each random seed that has one. There may be none."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread":
        return cls(tuple(float(value) for value in values if value is not None))

    @property
    def mean(self) -> float:
        return fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """The standard deviation between the random seeds, or None if there is only one."""
        return stdev(self.values) if len(self.values) > 1 else None

    def shown(self, digits: int = 1) -> str:
        """Return mean ± standard deviation, or a dash if there are no values."""
        if not self.values:
            return "-"
        figures = [self.mean] if self.deviation is None else [self.mean, self.deviation]
        return " ± ".join(f"{each:,.{digits}f}" if each < 1e9 else f"{each:.1e}" for each in figures)

    def to_mapping(self) -> dict[str, object] | None:
        if not self.values:
            return None
        return {"mean": self.mean, "deviation": self.deviation, "values": list(self.values)}


@dataclass
class Progress:
    """How far a run is, according to its log."""

    epochs: int
    """The planned number of epochs. The run may end earlier."""
    epoch: int = 0
    """The current epoch."""
    step: int = 0
    best: float | None = None
    """The lowest validation perplexity so far, or None if there is none yet."""
    _first_step: int = 1
    _last_step: int = 0
    _began: float = 0.0
    _now: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """The seconds up to the last planned step at the current speed, or None if it is not known yet."""
        done = self.step - self._first_step + 1
        if done < 1 or not self._last_step or self._now <= self._began:
            return None
        return (self._last_step - self.step) * (self._now - self._began) / done

    def update(self, event: dict[str, Any]) -> None:
        self._now = float(event["time"])
        match event["event"]:
            case "begun":
                self._first_step, self._last_step = int(event["first_step"]), int(event["last_step"])
                self._began = self._now
            case "shortened":
                self._last_step = int(event["last_step"])
            case "step":
                self.epoch, self.step = int(event["epoch"]), int(event["step"])
                if event["first"]:  # the first step builds the graph, so its time does not count
                    self._began, self._first_step = self._now, self.step + 1
            case "epoch" | "validated":
                self.epoch, self.step = int(event["epoch"]), int(event["step"])
                if event["best"]:
                    self.best = float(event["valid_perplexity"])
            case _:
                pass


@dataclass
class Row:
    """A run and its state in the sweep."""

    run: PlannedRun
    figures: RunFigures
    state: State
    note: str = ""
    """Why the run has no figures, or was not trained to its end. An empty string if all is well."""
    progress: Progress | None = None
    """None if the run has no process at the moment."""
    began: float = 0.0

    @property
    def best(self) -> float | None:
        """The lowest validation perplexity so far, or None if there is none yet."""
        return self.figures.best if self.progress is None else self.progress.best

    @property
    def is_completed(self) -> bool:
        """Whether the run came to its end and has a model."""
        return self.state == "done" and self.figures.best is not None

    def to_mapping(self) -> dict[str, object]:
        figures = self.figures
        return {
            "name": self.run.name,
            "network": self.run.network.name,
            "random_seed": self.run.random_seed,
            "status": figures.status,
            "note": self.note,
            "valid_perplexity": figures.best,
            "test_perplexity": figures.test,
            "valid_perplexities": list(figures.valid),
            "epochs": len(figures.valid),
            "seconds": figures.seconds,
        }


def row_of(run: PlannedRun) -> Row:
    """Return a run with its state. Call this before any run of the sweep is started or resumed.

    Raises BundleError if the report cannot be read, and SettingError if the folder belongs to another run.
    """
    try:
        figures = figures_of(run)
    except BundleError as error:
        raise BundleError(
            f"{str(error).rstrip('.')}. Delete the folder {run.folder} to train this run again."
        ) from error
    if figures.status == "diverged":
        return Row(run, figures, "diverged", DIVERGED)
    return Row(run, figures, "done" if figures.status == "finished" else "waiting")


@dataclass(frozen=True)
class NetworkResult:
    network: Network
    settings: Mapping[str, Any]
    """All settings, also those from a recipe."""
    text: str
    """The fingerprint of the dataset. It is equal for networks with the same tokens of the same text."""
    parameters: int
    runs: tuple[Row, ...]
    """One run for each random seed, also those that failed or diverged."""
    steps_per_epoch: int

    @property
    def completed_runs(self) -> list[Row]:
        return [each for each in self.runs if each.is_completed]

    @property
    def diverged(self) -> bool:
        """Whether the training diverged with every random seed."""
        return all(each.state == "diverged" for each in self.runs)

    @property
    def valid(self) -> Spread:
        return Spread.of(each.figures.best for each in self.completed_runs)

    @property
    def test(self) -> Spread:
        return Spread.of(each.figures.test for each in self.completed_runs)

    @property
    def epochs(self) -> Spread:
        return Spread.of(len(each.figures.valid) for each in self.completed_runs)

    @property
    def seconds(self) -> Spread:
        return Spread.of(each.figures.seconds for each in self.completed_runs)

    @property
    def steps(self) -> float:
        """The most steps that the network could train for: those of all its planned epochs.

        With a time budget, it is the mean number of steps that the runs had time for.
        """
        if self.settings.get("time_budget") is None:
            return float(self.steps_per_epoch * self.settings["epochs"])
        return fmean(each.figures.steps for each in self.completed_runs)

    @property
    def note(self) -> str:
        """What happened to the runs that do not count. An empty string if all count."""
        notes = [each.note or each.figures.status for each in self.runs if not each.is_completed]
        return "; ".join(f"{notes.count(note)} of {len(self.runs)} {note}" for note in dict.fromkeys(notes))

    def to_mapping(self) -> dict[str, object]:
        return {
            "name": self.network.name,
            "settings": dict(self.network.settings),
            "parameters": self.parameters,
            "completed_runs": len(self.completed_runs),
            "note": self.note,
            "valid_perplexity": self.valid.to_mapping(),
            "test_perplexity": self.test.to_mapping(),
            "epochs": self.epochs.to_mapping(),
            "seconds": self.seconds.to_mapping(),
        }


def results_of(rows: Sequence[Row]) -> list[NetworkResult]:
    """Return the results of all networks.

    If all networks were trained on the same text, they are sorted by their mean validation perplexity, the best first.
    Otherwise they keep the order of the sweep file. Networks without figures come last.
    """
    networks: dict[str, list[Row]] = {}
    for row in rows:
        networks.setdefault(row.run.network.name, []).append(row)
    results = [_result(each) for each in networks.values()]
    comparable = len({result.text for result in results}) == 1

    def rank(result: NetworkResult) -> tuple[bool, float]:
        return not result.completed_runs, result.valid.mean if result.completed_runs and comparable else 0

    return sorted(results, key=rank)


def _result(rows: Sequence[Row]) -> NetworkResult:
    run = rows[0].run
    return NetworkResult(
        run.network,
        run.settings.to_mapping(),
        run.plan.dataset.fingerprint,
        run.plan.architecture.parameters,
        tuple(rows),
        run.plan.steps_per_epoch,
    )


COLUMNS: dict[str, Callable[[NetworkResult], str]] = {
    "network": lambda result: result.network.name,
    "validation perplexity": lambda result: result.valid.shown(),
    "test perplexity": lambda result: result.test.shown(),
    "epochs": lambda result: result.epochs.shown(0),
    "seconds": lambda result: result.seconds.shown(0),
    "parameters": lambda result: f"{result.parameters:,}",
    "runs": lambda result: f"{len(result.completed_runs)}",
    "note": lambda result: result.note,
}
"""The columns of the table."""


def table_lines(columns: Mapping[str, Callable[[Result], str]], results: Sequence[Result]) -> list[tuple[str, ...]]:
    """Return the lines of a table: its head, and one for each result. The last column is left out if it is empty."""
    lines = [tuple(columns), *(tuple(show(each) for show in columns.values()) for each in results)]
    return lines if any(line[-1] for line in lines[1:]) else [line[:-1] for line in lines]


def markdown_table(head: Sequence[str], *rows: Sequence[str]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def provenance_of(command: str) -> dict[str, str]:
    """Return the entries of results.json that say where the results are from."""
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
MAX_LINES = len(COLOURS) * len(_LINE_STYLES)
_WIDTH_IN_INCHES = 8.0
_DOTS_PER_INCH = 120
_LOGARITHMIC_FROM = 3.0
"""The perplexity axis is logarithmic if the highest value is at least this many times the lowest."""


def write_curves(folder: Path, title: str, results: Sequence[NetworkResult]) -> None:
    """Write curves.png and curves.svg into a folder. Equal results give identical files."""
    write_picture(folder, "curves", lambda: draw_curves(title, results))


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


def draw_curves(title: str, results: Sequence[NetworkResult]) -> "Figure":
    """Return a figure with the curves of the first networks. The legend has them in the same order.

    There are at most MAX_LINES curves, because more could not be distinguished.
    """
    from matplotlib.figure import Figure  # unlike pyplot, opens no window and has no shared state

    measured = [result for result in results if result.completed_runs]
    drawn = measured[:MAX_LINES]
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
    ratio = max(values) / min(values)
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 1.5, 2, 3, 5, 7) if ratio < 30 else (1, 3)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
