"""List and compare the runs and sweeps in saved_models.

What is known of each comes from its small files: no weights are read.
"""

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from wordgen.errors import BundleError, SettingError
from wordgen.evaluation.measurement import PARTS, Loss, Measurement, Part
from wordgen.files import read_json
from wordgen.generation.copies import COPY_INDEX, CopyIndex
from wordgen.model.architecture import Architecture, shown_layers
from wordgen.model.bundle import CONFIG, VOCABULARY, WEIGHTS, load_bundle, read_config
from wordgen.run.folder import (
    find_model,
    folders_in,
    is_in_training,
    is_run_folder,
    is_sweep_folder,
    is_sweep_running,
    run_folders,
)
from wordgen.run.names import (
    LOGS,
    PALINDROMES,
    REPORT,
    SET_ASIDE_SUFFIX,
    STUDY_RESULT,
    STUDY_RUNS,
    SWEEP_PLAN,
    SWEEP_RESULTS,
    SWEEP_TABLE,
    argument_for,
    is_run_name,
    models_folder,
    name_of,
)
from wordgen.run.record import DIVERGED, STOPPED, RunRecord, load_record
from wordgen.run.settings import RUN_SPECIFIC_SETTINGS
from wordgen.training.reports import EpochReport

Status = Literal["training now", "finished", "interrupted", "diverged", "only a model", "set aside", "broken"]
Order = Literal["age", "name", "corpus", "valid", "test", "size"]

_MAX_JSON_BYTES = 1 << 26
_MODEL_FILES = (CONFIG, VOCABULARY, WEIGHTS)


@dataclass(frozen=True)
class SavedRun:
    """A run in saved_models, as its files describe it."""

    folder: Path
    status: Status
    note: str
    """A remark on the status in a few words, or an empty string."""
    corpus: str | None
    architecture: Architecture | None
    record: RunRecord | None
    """The record of the run. None if it is missing or cannot be read."""
    bytes: int
    """The size of all files in the folder."""
    saved_at: float
    """When the weights were saved, or without weights the record, or else the folder (seconds since 1970)."""

    @property
    def name(self) -> str:
        return name_of(self.folder)

    @property
    def sweep(self) -> str | None:
        """The name of the sweep that the run belongs to. None if it belongs to no sweep."""
        return self.folder.parent.name if "/" in self.name and is_sweep_folder(self.folder.parent) else None

    @property
    def network(self) -> str | None:
        """The network in words. None if it is not known."""
        if self.architecture is None:
            return None
        return shown_layers(self.architecture) + (", tied" if self.architecture.tied else "")

    @property
    def epochs(self) -> int | None:
        return None if self.record is None else len(self.record.epochs)

    @property
    def best(self) -> EpochReport | None:
        """The validation of the saved model. None if it is not known."""
        return None if self.record is None else self.record.best

    @property
    def best_label(self) -> str | None:
        """The epoch of the model in words, and if it was validated within the epoch also the step."""
        return None if self.best is None else self.best.label

    @property
    def command_argument(self) -> str:
        return argument_for(self.folder)

    @property
    def has_model(self) -> bool:
        """Whether the run has a model that can generate text."""
        return self.status != "broken" and all((self.folder / name).is_file() for name in _MODEL_FILES)

    @property
    def can_be_resumed(self) -> bool:
        return self.record is not None and self.status == "interrupted" and _is_saved(self.folder)

    def measured(self, part: Part) -> Measurement | None:
        """Return the measurement of the saved model on the validation or test set. None if it was not measured."""
        return None if self.record is None else self.record.measured.get(part)

    def perplexity(self, part: Part) -> float | None:
        """Return the perplexity of the model on the validation or test set. None if it is not known.

        On the validation set it is known from the training, also without a measurement.
        """
        found = self.measured(part)
        if found is not None:
            return found.loss.perplexity
        return self.best.valid_perplexity if part == "valid" and self.best is not None else None

    def to_mapping(self) -> dict[str, object]:
        content = {
            "name": self.name,
            "folder": str(self.folder),
            "sweep": self.sweep,
            "status": self.status,
            "note": self.note,
            "corpus": self.corpus,
            "architecture": None if self.architecture is None else self.architecture.to_mapping(),
            "epochs": self.epochs,
            "best_epoch": None if self.best is None else self.best.epoch,
            "best_step": None if self.best is None else self.best.step,
            **self._figures("valid"),
            **self._figures("test"),
            "bytes": self.bytes,
            "saved_at": datetime.fromtimestamp(self.saved_at, UTC).isoformat(timespec="seconds"),
        }
        return {name: None if value in (math.inf, -math.inf) else value for name, value in content.items()}

    def _figures(self, part: Part) -> dict[str, float | None]:
        found = self.measured(part)
        return {
            f"{part}_perplexity": self.perplexity(part),
            f"{part}_perplexity_margin": None if found is None else found.loss.margin,
            f"{part}_bits_per_character": None if found is None else found.loss.bits_per(found.characters),
        }


def saved_runs(order: Order = "age", folder: Path | None = None) -> list[SavedRun]:
    """Return all runs in saved_models that belong to no sweep, or all in a folder of runs.

    The order puts the newest ("age"), the best ("valid", "test") or the largest ("size") first, or is alphabetical.
    """
    return ordered(map(read_run, run_folders(folder)), order)


def ordered(runs: Iterable[SavedRun], order: Order) -> list[SavedRun]:
    return sorted(runs, key=lambda run: _sort_key(run, order))


def _sort_key(run: SavedRun, order: Order) -> tuple[bool, Any]:
    """Return the sort key of a run. Runs for which the value is not known come last."""
    values: Mapping[Order, Any] = {
        "age": -run.saved_at,
        "name": run.name,
        "corpus": run.corpus,
        "valid": run.perplexity("valid"),
        "test": run.perplexity("test"),
        "size": -run.bytes,
    }
    return values[order] is None, values[order]


def find_saved_run(name: str | None = None) -> SavedRun:
    """Return the run of this name in any state, even broken. Other arguments are looked up as `find_model` does it."""
    if name is not None and is_run_name(name) and is_run_folder(models_folder() / name):
        return read_run(models_folder() / name)
    return read_run(find_model(name))


def check_files(run: SavedRun) -> SavedRun:
    """Read all files of the model and return the run.

    If the model is damaged, the status of the returned run is "broken", and its note says why. A run that has no model
    or that is being trained is not checked.
    """
    if not run.has_model or run.status == "training now":
        return run
    try:
        bundle = load_bundle(run.folder)
        if (run.folder / COPY_INDEX).is_dir():
            CopyIndex(run.folder / COPY_INDEX, bundle.vocabulary)
    except BundleError as error:
        return replace(run, status="broken", note=str(error))
    return run


def read_run(folder: Path) -> SavedRun:
    """Return what is known of the run in a folder. Problems raise no errors: the status and the note report them."""
    record = architecture = corpus = None
    with suppress(BundleError):
        record = load_record(folder)
    with suppress(BundleError, SettingError):
        architecture, text = read_config(folder)
        corpus = text.corpus
    status, note = _status(folder, record, config_can_be_read=architecture is not None)
    if record is not None:
        architecture, corpus = record.architecture, record.text.corpus
    return SavedRun(folder, status, note, corpus, architecture, record, size_of(folder), _saved_at(folder))


def _status(folder: Path, record: RunRecord | None, *, config_can_be_read: bool) -> tuple[Status, str]:
    """Return the status of a run and a remark on it."""
    if is_in_training(folder):
        return "training now", ""
    if folder.name.endswith(SET_ASIDE_SUFFIX):
        return "set aside", "the run that replaces it has no model yet"
    if record is None and (folder / REPORT).exists():
        return "broken", f"{REPORT} cannot be read"
    if record is not None and record.ended in (None, STOPPED):
        return "interrupted", "can be resumed" if _is_saved(folder) else f"can be resumed only in {models_folder()}/"
    missing = [name for name in _MODEL_FILES if not (folder / name).is_file()]
    if record is None and missing == list(_MODEL_FILES):
        return "broken", "no report and no model"
    if missing:
        return "broken", f"{missing[0]} is missing"
    if not config_can_be_read:
        return "broken", f"{CONFIG} cannot be read"
    if record is None:
        return "only a model", ""
    return ("diverged", "its best model is kept") if record.ended == DIVERGED else ("finished", "")


def _is_saved(folder: Path) -> bool:
    """Return whether the folder of a run is in saved_models, or there in a sweep."""
    parent = folder.parent.resolve()
    return models_folder().resolve() in (parent, parent.parent)


def size_of(path: Path) -> int:
    """Return the size of a file or folder in bytes. Symbolic links are not followed."""
    with suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            return path.lstat().st_size
        return sum(size_of(Path(each)) for each in os.scandir(path))
    return 0


def _saved_at(folder: Path) -> float:
    for path in (folder / WEIGHTS, folder / REPORT, folder):
        with suppress(OSError):
            return path.stat().st_mtime
    return 0.0


SweepStatus = Literal["training now", "finished", "interrupted"]


@dataclass(frozen=True)
class SavedSweep:
    """A sweep or a study of palindromes in saved_models, as its files describe it."""

    folder: Path
    runs: tuple[SavedRun, ...]
    """The runs that have begun, the newest first. Empty for a study of palindromes."""
    status: SweepStatus

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def corpora(self) -> list[str]:
        return sorted({run.corpus for run in self.runs if run.corpus is not None})

    @property
    def best(self) -> SavedRun | None:
        """The run with the lowest validation perplexity.

        None if no run has one yet, or if the runs do not all use the same tokens of the same text.
        """
        measured = [(score, run) for run in self.runs if (score := run.perplexity("valid")) is not None]
        texts = {run.record.dataset.fingerprint for _, run in measured if run.record is not None}
        return min(measured, key=lambda each: each[0])[1] if len(texts) == 1 else None

    @property
    def table(self) -> Path | None:
        """The file with the results in words. None until the sweep has ended."""
        return self.folder / SWEEP_TABLE if (self.folder / SWEEP_TABLE).is_file() else None

    @cached_property
    def bytes(self) -> int:
        return size_of(self.folder)

    @property
    def saved_at(self) -> float:
        return max((run.saved_at for run in self.runs), default=_saved_at(self.folder))

    @property
    def number_of_runs(self) -> int:
        """The number of runs that have begun, also of a study of palindromes."""
        return len(self.runs) or len(_runs_of_a_study(self.folder))


def saved_sweeps() -> list[SavedSweep]:
    """Return all sweeps in saved_models, the newest first."""
    sweeps = [read_sweep(folder) for folder in folders_in(models_folder()) if is_sweep_folder(folder)]
    return sorted(sweeps, key=lambda sweep: -sweep.saved_at)


def find_sweep(name: str) -> SavedSweep:
    folder = models_folder() / name
    if is_run_name(name) and "/" not in name and is_sweep_folder(folder):
        return read_sweep(folder)
    names = ", ".join(sweep.name for sweep in saved_sweeps()) or "none"
    raise BundleError(f"There is no sweep '{name[:100]}' in {models_folder()}. Existing sweeps: {names}.")


def read_sweep(folder: Path) -> SavedSweep:
    runs = tuple(run for run in saved_runs(folder=folder) if run.folder.name not in (LOGS, STUDY_RUNS))
    return SavedSweep(folder, runs, _sweep_status(folder, runs))


def _runs_of_a_study(folder: Path) -> list[Path]:
    """Return the folders of the runs of a study of palindromes, which have no model; none for a sweep."""
    return list(folders_in(folder / STUDY_RUNS)) if (folder / PALINDROMES).is_file() else []


def _sweep_status(folder: Path, runs: Sequence[SavedRun]) -> SweepStatus:
    if is_sweep_running(folder):
        return "training now"
    unfinished = any(run.can_be_resumed for run in runs)
    unfinished = unfinished or not all((run / STUDY_RESULT).is_file() for run in _runs_of_a_study(folder))
    is_complete = (folder / SWEEP_RESULTS).is_file() and not unfinished and not _missing_runs(folder, runs)
    return "finished" if is_complete else "interrupted"


def _missing_runs(folder: Path, runs: Iterable[SavedRun]) -> set[str]:
    """Return the names of the runs of a sweep's plan that have not begun.

    A run that has ended may have no folder: it diverged before it had a model, or the user has deleted it.
    """
    planned = {name for name in _list_in(folder / SWEEP_PLAN) if isinstance(name, str)}
    results = [row for row in _list_in(folder / SWEEP_RESULTS) if isinstance(row, dict)]
    ended = {str(row.get("name")) for row in results if row.get("status") == "finished" or row.get("note") == DIVERGED}
    return planned.difference((run.folder.name for run in runs), (name.rpartition("/")[2] for name in ended))


def _list_in(path: Path) -> list[Any]:
    """Return the list "runs" of a JSON file; an empty list if it cannot be read."""
    with suppress(OSError, ValueError):
        content = read_json(path, _MAX_JSON_BYTES)
        if isinstance(content, dict) and isinstance(content.get("runs"), list):
            return content["runs"]
    return []


CommonGround = Literal["tokens", "text", "nothing"]
"""What the runs have in common: the same tokens of the same text, only the text, or neither."""
Measure = Literal["perplexity", "bits per character"]


@dataclass(frozen=True)
class Figure:
    """One figure of several runs, measured on the same set."""

    part: Part
    measure: Measure
    values: tuple[float | None, ...]
    """One value for each run, or None if it is not known."""
    margins: tuple[float | None, ...]
    """Half the width of the 95% confidence interval of each value, or None if it is not known."""
    better: frozenset[int]
    """The indices of the best runs. Empty if the runs cannot be compared, or if another run may be as good."""
    no_difference: frozenset[int] = frozenset()
    """The indices of the run with the lowest value and of the runs whose difference from it may be chance.

    Empty if no other run is that close, or if the runs cannot be compared.
    """

    @property
    def name(self) -> str:
        """The name in JSON."""
        return f"{self.part}_{self.measure.replace(' ', '_')}"


@dataclass(frozen=True)
class Comparison:
    runs: tuple[SavedRun, ...]
    common_ground: CommonGround
    settings: dict[str, tuple[object, ...]]
    """The settings that differ between the runs: by name, one value for each run."""
    figures: tuple[Figure, ...]

    @property
    def unknown_shares(self) -> tuple[float, ...]:
        """For each run the share of words in its validation set that are not in its vocabulary."""
        return tuple(each.dataset.splits["valid"].unknown_share for each in _records(self.runs))

    @property
    def unmeasured(self) -> list[SavedRun]:
        """The runs that have not been measured on the test set."""
        return [run for run in self.runs if run.perplexity("test") is None]

    def to_mapping(self) -> dict[str, Any]:
        return {
            "runs": [run.to_mapping() for run in self.runs],
            "in_common": self.common_ground,
            "settings": {name: list(values) for name, values in self.settings.items()},
            "better": {figure.name: self._names(figure.better) for figure in self.figures},
            "no_difference": {figure.name: self._names(figure.no_difference) for figure in self.figures},
        }

    def _names(self, indices: Iterable[int]) -> list[str]:
        return [self.runs[at].name for at in sorted(indices)]


def compare(runs: Sequence[SavedRun]) -> Comparison:
    """Compare runs by their settings and figures. Raise a BundleError if the record of a run cannot be read."""
    records = _records(runs)
    common_ground = _find_common_ground(records)
    return Comparison(tuple(runs), common_ground, _differences(records), tuple(_figures(runs, common_ground)))


def _records(runs: Sequence[SavedRun]) -> list[RunRecord]:
    for run in runs:
        if run.record is None:
            raise BundleError(f"{run.name} has no report that can be read, so it cannot be compared: leave it out.")
    return [run.record for run in runs if run.record is not None]


def _find_common_ground(records: Sequence[RunRecord]) -> CommonGround:
    if len({record.dataset.fingerprint for record in records}) == 1:
        return "tokens"
    return "text" if all(_text_and_sets(record) == _text_and_sets(records[0]) for record in records) else "nothing"


def _text_and_sets(record: RunRecord) -> object:
    """Return a value that is equal for two runs on the same text with the same training, validation and test sets."""
    return record.text.corpus, [
        (name, statistics.passages, statistics.characters) for name, statistics in record.dataset.splits.items()
    ]


def _differences(records: Sequence[RunRecord]) -> dict[str, tuple[object, ...]]:
    names = (each.name for each in fields(records[0].settings) if each.name not in RUN_SPECIFIC_SETTINGS)
    values = {name: tuple(getattr(record.settings, name) for record in records) for name in names}
    return {
        name: run_values for name, run_values in values.items() if any(value != run_values[0] for value in run_values)
    }


_Value = tuple[float | None, float | None, Loss | None]
"""The value of a figure of one run, half the width of its 95% confidence interval, and the loss that it comes from."""


def _figures(runs: Sequence[SavedRun], common_ground: CommonGround) -> Iterator[Figure]:
    for part in PARTS:
        perplexities, bits = list[_Value](), list[_Value]()
        for run in runs:
            if (found := run.measured(part)) is None:
                perplexities.append((run.perplexity(part), None, None))
                bits.append((None, None, None))
            else:
                loss, characters = found.loss, found.characters
                perplexities.append((loss.perplexity, loss.margin, loss))
                bits.append((loss.bits_per(characters), loss.margin_per(characters), loss))
        yield _figure(part, "perplexity", perplexities, common_ground == "tokens")
        yield _figure(part, "bits per character", bits, common_ground != "nothing")


def _figure(part: Part, measure: Measure, of_runs: Sequence[_Value], comparable: bool) -> Figure:
    values, margins, _ = zip(*of_runs, strict=True)
    best = _indices_of_lowest(values) if comparable else frozenset()
    alike = {
        at for at, each in enumerate(of_runs) if best and _differ_by_more_than_chance(of_runs[min(best)], each) is False
    } - best
    better, no_difference = (frozenset(), best | alike) if alike else (best, frozenset())
    return Figure(part, measure, values, margins, better, no_difference)


def _differ_by_more_than_chance(one: _Value, other: _Value) -> bool | None:
    """Return whether two runs differ by more than chance, or None if that is not known.

    If both runs have the same tokens, their losses are compared passage by passage. Otherwise the difference must be
    larger than the root of the sum of the squares of both uncertainties.
    """
    (value, margin, loss), (other_value, other_margin, other_loss) = one, other
    paired = None if loss is None or other_loss is None else loss.differs(other_loss)
    if paired is not None or value is None or other_value is None or margin is None or other_margin is None:
        return paired
    return abs(value - other_value) > math.hypot(margin, other_margin)


def _indices_of_lowest(values: Sequence[float | None]) -> frozenset[int]:
    """Return the indices of the lowest value. Empty if fewer than two values are known, or if all are equal."""
    known = [value for value in values if value is not None]
    if len(known) < 2 or min(known) == max(known):
        return frozenset()
    return frozenset(at for at, value in enumerate(values) if value == min(known))
