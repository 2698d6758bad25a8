"""The settings of the study of palindromes, and the networks that follow from them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from wordgen.errors import SettingError
from wordgen.model.architecture import Architecture, Cell
from wordgen.run.names import models_folder, run_name
from wordgen.settings import Settings, flag_name, setting
from wordgen.training.settings import OptimizerName, parse_time_budget

DIGITS = 10
CELLS: tuple[Cell, ...] = ("rnn", "gru", "lstm")
"""The simplest first."""
_CURRICULUM_FROM = 10
"""The length with which a curriculum begins."""
_MAX_RUNS = 1000

Encoding = Literal["one-hot", "number"]
Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class ComparisonSettings(Settings):
    """The runs of a study, and their limits. They may change when a study continues."""

    lengths: int | tuple[int, ...] = setting(
        (10, 20, 40), at_least=2, at_most=5000, help="the numbers of digits of the palindromes", scope="run"
    )
    cells: Cell | tuple[Cell, ...] = setting(CELLS, help="the kinds of recurrent layers to compare", scope="run")
    random_seeds: int | tuple[int, ...] = setting(
        (1, 2, 3),
        at_least=0,
        at_most=2**31 - 1,
        help="each cell is trained on each length once with each of these random seeds",
        scope="run",
    )
    steps: int = setting(2000, at_least=1, at_most=10_000_000, help="the maximum number of steps of a run", scope="run")
    time_budget: str | None = setting(
        None,
        help="the time for the whole study, for example 20m or 1h; all runs share the time that is left (by "
        "default there is no limit)",
        scope="run",
    )
    name: str = setting("palindromes", help="the name of the study's folder in saved_models/", scope="run")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("lengths", "cells", "random_seeds"):
            if getattr(self, name) == ():
                raise SettingError(f"{flag_name(name)} needs one value or more.")
        parse_time_budget(self.time_budget)
        if "/" in run_name(self.name, ""):
            raise SettingError(f"--name cannot be '{self.name}': the name of a study has no /.")
        runs = len(self.all_lengths) * len(self.all_cells) * len(self.all_random_seeds)
        if runs > _MAX_RUNS:
            raise SettingError(
                f"That would be {runs:,} runs, but a study has at most {_MAX_RUNS:,}: take fewer --lengths or "
                "--random-seeds."
            )

    @property
    def all_lengths(self) -> tuple[int, ...]:
        """The lengths without repetitions, the shortest first."""
        return tuple(sorted(set(_as_tuple(self.lengths))))

    @property
    def all_cells(self) -> tuple[Cell, ...]:
        """The cells without repetitions, the simplest first."""
        return tuple(cell for cell in CELLS if cell in _as_tuple(self.cells))

    @property
    def all_random_seeds(self) -> tuple[int, ...]:
        return tuple(sorted(set(_as_tuple(self.random_seeds))))

    @property
    def budget(self) -> float | None:
        """The time budget in seconds. None if there is none."""
        return parse_time_budget(self.time_budget)


@dataclass(frozen=True, kw_only=True)
class LearningSettings(Settings):
    """The network and its training. All runs of a study share these settings, also when it continues."""

    units: int = setting(
        64, at_least=1, at_most=8192, help="the number of units of the recurrent layer", scope="network"
    )
    encoding: Encoding = setting(
        "one-hot",
        help="the input for a digit: one-hot is ten inputs, one of which is 1; number is a single input",
        scope="network",
    )
    forget_bias: float | None = setting(
        None,
        at_least=-20,
        at_most=20,
        help="the first bias of the gate that keeps the state, in LSTM and GRU; 1 is usual for an LSTM (by default "
        "each unit draws one, so that it remembers for 2 digits up to the whole length)",
        scope="network",
    )
    batch_size: int = setting(
        64, at_least=1, at_most=100_000, help="the number of palindromes in a step", scope="learning"
    )
    optimizer: OptimizerName = setting("adam", help="the rule that updates the weights", scope="learning")
    learning_rate: float = setting(0.003, above=0, at_most=1e30, help="the size of the updates", scope="learning")
    clip: float = setting(
        1.0,
        at_least=0,
        help="the maximum norm of the gradient of all weights; a longer gradient is scaled down to it; 0 never clips",
        scope="learning",
    )
    curriculum: bool = setting(
        False,
        help="begin with 10 digits, and make the palindromes half as long again whenever 98% of the answers are right",
        scope="learning",
    )
    measure_every: int = setting(
        50, at_least=1, at_most=1_000_000, help="the number of steps between two points of the curves", scope="learning"
    )
    stop_when_solved: bool = setting(
        True,
        help="end a run after five points of the curves in a row without a mistake, on the validation set and in the "
        "steps between",
        scope="learning",
    )


@dataclass(frozen=True, kw_only=True)
class StudySettings(LearningSettings, ComparisonSettings):
    """All settings of a study."""

    @property
    def folder(self) -> Path:
        return models_folder() / self.name

    @property
    def learning(self) -> LearningSettings:
        return LearningSettings.part_of(self)


@dataclass(frozen=True)
class StudyRun:
    """One run of a study: a cell, the length of its palindromes, and a random seed."""

    cell: Cell
    length: int
    random_seed: int

    @property
    def name(self) -> str:
        return f"{self.cell}-{self.length}-{self.random_seed}"


def first_length(run: StudyRun, settings: LearningSettings) -> int:
    """Return the length of the palindromes in the first step of a run."""
    return min(run.length, _CURRICULUM_FROM) if settings.curriculum else run.length


def architecture_of(cell: Cell, settings: LearningSettings) -> Architecture:
    """Return a network with one recurrent layer. Its word vectors encode the digits and are not trained."""
    width = DIGITS if settings.encoding == "one-hot" else 1
    return Architecture(vocabulary_size=DIGITS, embedding=width, layers=1, units=settings.units, cell=cell, tied=False)


def trainable_parameters(cell: Cell, settings: LearningSettings) -> int:
    """Return the number of trainable parameters.

    For an LSTM with n units, d inputs and k = 10 digits, it is 4n(d + n + 1) + k(n + 1).
    """
    architecture = architecture_of(cell, settings)
    return architecture.parameters - DIGITS * architecture.embedding


def _as_tuple(values: Item | tuple[Item, ...]) -> tuple[Item, ...]:
    return values if isinstance(values, tuple) else (values,)
