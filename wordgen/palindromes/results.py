"""The results of runs, and of all random seeds of a cell together: figures, a table, and sentences.

The progress of a run, its observer and its limits are here, too: neither workers nor the study import TensorFlow for
them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, isfinite
from pathlib import Path
from typing import Literal

from wordgen.errors import BundleError, in_a_sentence, reason_of
from wordgen.files import read_regular, sealed, unsealed, write_whole
from wordgen.model.architecture import Cell
from wordgen.palindromes.settings import DIGITS, LearningSettings, StudyRun, StudySettings, first_length
from wordgen.run.names import STUDY_RESULT
from wordgen.sweep.results import Spread
from wordgen.training.settings import parse_duration
from wordgen.training.typed_json import from_json, to_json

_LARGEST_RESULT = 2**27
_SOLVED_AFTER = 5
_LENGTHEN_FROM, _LENGTHEN_BY = 0.98, 1.5
"""A curriculum makes the palindromes longer if this share of the answers since the last point was right."""

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


@dataclass
class Progress:
    """How far a run is. All further steps follow from this and from the weights."""

    step: int = 0
    seconds: float = 0.0
    """The training time, over all starts of the run."""
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    """The summed loss, accuracy and gradient norm of the steps since the last point of the curve."""
    curve: list[Point] = field(default_factory=list)
    gradients_before: Sequence[float] = ()
    """The norm of the gradient at each time step, before the first step of the training."""

    @property
    def steps_since_point(self) -> int:
        return self.step - (self.curve[-1].step if self.curve else 0)

    @property
    def solved(self) -> bool:
        """Whether there was no mistake at the last five points, on the validation set and in the steps between.

        The validation set alone is too small: most of the runs without a mistake on it made one in 4,096 palindromes.
        """
        last = self.curve[-_SOLVED_AFTER:]
        return len(last) == _SOLVED_AFTER and all(point.valid_accuracy == point.accuracy == 1 for point in last)

    def length(self, run: StudyRun, settings: LearningSettings) -> int:
        """Return the length of the palindromes in the next step. It follows from the last point of the curve."""
        if not self.curve:
            return first_length(run, settings)
        last = self.curve[-1]
        return min(run.length, ceil(last.length * _LENGTHEN_BY)) if last.accuracy >= _LENGTHEN_FROM else last.length


class RunObserver:
    """Receives the progress of a run. Override the methods you need."""

    def begun(self, progress: Progress) -> None:
        """The training begins or continues."""

    def stepped(self, progress: Progress) -> None:
        """A step is done."""

    def measured(self, point: Point) -> None:
        """The curve has a new point."""

    def warned(self, sentence: str) -> None:
        """Something has gone wrong that does not end the run."""


@dataclass(frozen=True)
class Limits:
    """When a run ends that is not solved."""

    steps: int
    seconds: float | None = None
    """The training time over all starts of the run. None if there is no time budget."""
    time_budget: str | None = None
    """The time budget of the whole study, as the user gave it."""


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
    def all_right(self) -> bool:
        return self.accuracy == 1

    @property
    def steps_to_all_right(self) -> int | None:
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
            had = 0.0 if self.time_budget is None else parse_duration("--time-budget", self.time_budget)
            return self.steps >= settings.steps or (settings.budget is not None and settings.budget <= had)
        return True


def save_result(folder: Path, result: RunResult) -> None:
    write_whole(folder / STUDY_RESULT, sealed(to_json(result)))


def load_result(folder: Path) -> RunResult | None:
    """Return the result of a run, or None if the run has not ended. Raise BundleError if the file is damaged."""
    try:
        return from_json(RunResult, unsealed(read_regular(folder / STUDY_RESULT, _LARGEST_RESULT)), STUDY_RESULT)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise BundleError(
            f"{folder / STUDY_RESULT} is damaged ({reason_of(error)}): remove the folder {folder} to have it trained "
            "anew."
        ) from error


@dataclass(frozen=True)
class Averaged:
    """The runs of a cell at one length with all random seeds."""

    cell: Cell
    length: int
    runs: tuple[RunResult, ...]

    @property
    def parameters(self) -> int:
        return self.runs[0].parameters

    @property
    def accuracy(self) -> Spread:
        return Spread.of(run.accuracy for run in self.runs)

    @property
    def loss(self) -> Spread:
        """The loss of the runs that did not diverge."""
        return Spread.of(run.loss for run in self.runs if isfinite(run.loss))

    @property
    def seconds(self) -> Spread:
        return Spread.of(run.seconds for run in self.runs)

    @property
    def steps(self) -> Spread:
        return Spread.of(run.steps for run in self.runs)

    @property
    def all_right(self) -> int:
        """The number of random seeds with no mistake on the test set."""
        return sum(run.all_right for run in self.runs)

    @property
    def steps_to_all_right(self) -> Spread:
        """See `RunResult.steps_to_all_right`. No values if a random seed made a mistake on the test set."""
        steps = Spread.of(run.steps_to_all_right for run in self.runs if run.all_right)
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
            "all_right": self.all_right,
            "accuracy": self.accuracy.to_mapping(),
            "loss": self.loss.to_mapping(),
            "steps_to_100_percent": self.steps_to_all_right.to_mapping(),
            "steps": self.steps.to_mapping(),
            "seconds": self.seconds.to_mapping(),
            "note": self.note,
        }


def averaged(results: Iterable[RunResult]) -> list[Averaged]:
    """Group the results by length, the shortest first, and by cell. The cells keep the order of the results."""
    groups: dict[tuple[int, Cell], list[RunResult]] = {}
    for result in results:
        groups.setdefault((result.length, result.cell), []).append(result)
    ordered = sorted(groups.items(), key=lambda group: group[0][0])
    return [Averaged(cell, length, tuple(runs)) for (length, cell), runs in ordered]


def shown_accuracy(spread: Spread) -> str:
    """Return mean ± standard deviation in percent, without the deviation if all values are 100%."""
    off = "" if spread.deviation is None or spread.mean == 1 else f" ± {100 * spread.deviation:.1f}"
    return f"{shown_share(spread.mean)}{off}%"


def shown_share(share: float) -> str:
    """Return a share in percent, without the sign. It is rounded down, so only 1 becomes 100."""
    return "100" if share == 1 else f"{min(99.9, floor(1000 * share + 1e-9) / 10):.1f}"


_COLUMNS: dict[str, Callable[[Averaged], str]] = {
    "length": lambda each: f"{each.length}",
    "cell": lambda each: each.cell,
    "parameters": lambda each: f"{each.parameters:,}",
    "accuracy": lambda each: shown_accuracy(each.accuracy),
    "loss": lambda each: each.loss.shown(3),
    "all right": lambda each: f"{each.all_right} of {len(each.runs)}",
    "steps to 100%": lambda each: each.steps_to_all_right.shown(0),
    "steps": lambda each: each.steps.shown(0),
    "seconds": lambda each: each.seconds.shown(0),
}
COLUMNS = tuple(_COLUMNS)


def as_rows(averages: Sequence[Averaged]) -> list[tuple[str, ...]]:
    """Return a row of texts for each cell and length: the columns of COLUMNS, and a note as the last one."""
    return [(*(show(each) for show in _COLUMNS.values()), each.note) for each in averages]


def summary_of(averages: Sequence[Averaged]) -> str:
    """Return a sentence for each cell: the lengths at which it made no mistake, and its accuracy at the others."""
    if not averages:
        return "No run has ended yet."
    palindromes = averages[0].runs[0].test_palindromes
    first = (
        f"Accuracy is the share of {palindromes:,} new palindromes whose last digit is predicted. Guessing reaches "
        f"{100 // DIGITS}%."
    )
    cells = dict.fromkeys(each.cell for each in averages)
    return " ".join([first, *(_of_cell(cell, [each for each in averages if each.cell == cell]) for cell in cells)])


def _of_cell(cell: str, averages: Sequence[Averaged]) -> str:
    perfect = [f"{each.length}" for each in averages if each.all_right == len(each.runs)]
    parts = []
    if perfect:
        parts.append(f"100% at length {in_a_sentence(perfect)} with every random seed")
    others = [each for each in averages if each.all_right < len(each.runs)]
    parts += [f"{shown_share(each.accuracy.mean)}% at length {each.length}" for each in others]
    return f"{cell.upper()}: {', '.join(parts)}."
