"""What lies in saved_models: of each run what its files say, without its weights being read."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from wordgen.architecture import Architecture, shown_layers
from wordgen.bundle import CONFIG, UNKNOWN_WORDS, VOCABULARY, WEIGHTS, load_bundle, read_config
from wordgen.errors import BundleError, SettingError, WordgenError
from wordgen.generation.copies import COPY_INDEX, CopyIndex
from wordgen.page.facts import Facts, Score
from wordgen.page.measured import as_json, read_measured
from wordgen.run_folder import find_model, holds_runs, saved_folders
from wordgen.run_lock import LOCK, is_in_training
from wordgen.run_names import REPORT, SAVED_MODELS, is_run_name, is_set_aside, name_of
from wordgen.training.checkpoint import FOLDER as CHECKPOINTS
from wordgen.training.report_file import read_report

Status = Literal["training now", "finished", "interrupted", "diverged", "only a model", "set aside", "broken"]
Order = Literal["age", "name", "corpus", "valid", "test", "size"]

_OF_A_MODEL = (CONFIG, VOCABULARY, WEIGHTS)
_TRACES = {*_OF_A_MODEL, UNKNOWN_WORDS, REPORT, CHECKPOINTS, LOCK, "train", "valid"}
_UNREADABLE = (
    WordgenError,
    OSError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class SavedRun:
    folder: Path
    status: Status
    note: str
    """What else one should know of its status, in a few words."""
    corpus: str | None
    architecture: Architecture | None
    facts: Facts | None
    """What its report says, where that can be read."""
    bytes: int
    """All of its files together."""
    saved_at: float
    """When its model came to be; or its report, where it has none."""

    @property
    def name(self) -> str:
        return name_of(self.folder)

    @property
    def sweep(self) -> str | None:
        """The one that it belongs to."""
        return self.folder.parent.name if "/" in self.name else None

    @property
    def network(self) -> str | None:
        """In words."""
        if self.architecture is None:
            return None
        return shown_layers(self.architecture) + (", tied" if self.architecture.tied else "")

    @property
    def epochs(self) -> int | None:
        return None if self.facts is None else len(self.facts.epochs)

    @property
    def best_epoch(self) -> int | None:
        return None if self.facts is None or self.facts.best is None else self.facts.best.number

    @property
    def called(self) -> str:
        """How a command finds it."""
        return self.name if SAVED_MODELS in (self.folder.parent, self.folder.parent.parent) else str(self.folder)

    @property
    def has_model(self) -> bool:
        """Whether it can write."""
        return self.status != "broken" and all((self.folder / name).is_file() for name in _OF_A_MODEL)

    @property
    def can_be_resumed(self) -> bool:
        return self.facts is not None and self.status == "interrupted"

    def score(self, part: str) -> Score:
        """What was measured of its model on a part of the text, as far as that is known."""
        if self.facts is None:
            return Score(None, None)
        measured = self.facts.measured.get(part)
        if measured is not None:
            return measured.model
        return Score(self.facts.best.valid if part == "valid" and self.facts.best else None, None)

    def to_mapping(self) -> dict[str, Any]:
        valid, test = self.score("valid"), self.score("test")
        told = {
            "name": self.name,
            "folder": str(self.folder),
            "sweep": self.sweep,
            "status": self.status,
            "note": self.note,
            "corpus": self.corpus,
            "architecture": None if self.architecture is None else self.architecture.to_mapping(),
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "valid_perplexity": valid.perplexity,
            "valid_perplexity_off": valid.perplexity_off,
            "valid_bits_per_character": valid.bits_per_character,
            "test_perplexity": test.perplexity,
            "test_perplexity_off": test.perplexity_off,
            "test_bits_per_character": test.bits_per_character,
            "bytes": self.bytes,
            "saved_at": datetime.fromtimestamp(self.saved_at, UTC).isoformat(timespec="seconds"),
        }
        return as_json(told)


def saved_runs(order: Order = "age", folder: Path = SAVED_MODELS) -> list[SavedRun]:
    """All runs in saved_models, or of a sweep there; the newest first, the best, the largest, or by the alphabet."""
    return ordered((look_at(each) for each in sorted(folders_in(folder)) if leaves_traces_of_a_run(each)), order)


def ordered(runs: Iterable[SavedRun], order: Order) -> list[SavedRun]:
    return sorted(runs, key=lambda run: _rank(run, order))


def _rank(run: SavedRun, order: Order) -> tuple[bool, Any]:
    """What is not known comes last."""
    values: Mapping[Order, Any] = {
        "age": -run.saved_at,
        "name": run.name,
        "corpus": run.corpus,
        "valid": run.score("valid").perplexity,
        "test": run.score("test").perplexity,
        "size": -run.bytes,
    }
    return values[order] is None, values[order]


def find_saved(name: str | None = None) -> SavedRun:
    """A run by its name, whatever state it is in; else as a model is found."""
    if name is not None and is_run_name(name) and is_run_folder(SAVED_MODELS / name):
        return look_at(SAVED_MODELS / name)
    return look_at(find_model(name))


def checked(run: SavedRun) -> SavedRun:
    """The same once all that its model consists of has been read: a damaged one is broken, and its note says why."""
    if not run.has_model or run.status == "training now":
        return run
    try:
        bundle = load_bundle(run.folder)
        if (run.folder / COPY_INDEX).is_dir():
            CopyIndex(run.folder / COPY_INDEX, bundle.vocabulary)
    except BundleError as error:
        return replace(run, status="broken", note=str(error))
    return run


def is_run_folder(folder: Path) -> bool:
    """Whether a folder is a run's, even if that was broken off, and not one within a run's."""
    return leaves_traces_of_a_run(folder) and (folder.parent == SAVED_MODELS or is_sweep_folder(folder.parent))


def is_sweep_folder(folder: Path) -> bool:
    """Whether a folder is no run's but holds those of several."""
    return holds_runs(folder) and not leaves_traces_of_a_run(folder)


def leaves_traces_of_a_run(folder: Path) -> bool:
    """Whether a folder is a run's, even if that was broken off; an empty one is where a run had no time at all."""
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError:
        return False
    return not names or bool(names & _TRACES)


def look_at(folder: Path) -> SavedRun:
    """Whatever is wrong with a run is told in its note."""
    facts = _facts(folder)
    architecture, corpus = _of_the_model(folder)
    if facts is not None:
        architecture, corpus = facts.architecture, facts.corpus
    status, note = _status(folder, facts, model_can_be_read=architecture is not None)
    return SavedRun(folder, status, note, corpus, architecture, facts, size_of(folder), _saved_at(folder))


def _facts(folder: Path) -> Facts | None:
    """Without what was measured, where that is what cannot be understood."""
    for measured in (read_measured(folder), None):
        with suppress(*_UNREADABLE):
            facts = Facts.of(folder.name, read_report(folder), measured)
            _check_kinds(facts)
            return facts
    return None


def _check_kinds(facts: Facts) -> None:
    """Files that somebody has changed may have anything in their places."""
    if not isinstance(facts.corpus, str) or not isinstance(facts.fingerprint, str):
        raise ValueError("a name is no text")
    curves = [value for epoch in facts.epochs for value in (epoch.number, epoch.place, epoch.train, epoch.valid)]
    scores = [measured.model for measured in facts.measured.values()]
    given = [value for score in scores for value in astuple(score) if value is not None]
    if not all(isinstance(value, int | float) for value in (*curves, *given, facts.seconds)):
        raise ValueError("a figure is no number")


def _of_the_model(folder: Path) -> tuple[Architecture | None, str | None]:
    with suppress(BundleError, SettingError):
        architecture, text = read_config(folder)
        return architecture, text.corpus
    return None, None


def _status(folder: Path, facts: Facts | None, *, model_can_be_read: bool) -> tuple[Status, str]:
    if is_in_training(folder):
        return "training now", ""
    if is_set_aside(folder):
        return "set aside", "its successor has no model yet"
    missing = [name for name in _OF_A_MODEL if not (folder / name).is_file()]
    if facts is None:
        return _status_without_report(folder, missing, model_can_be_read=model_can_be_read)
    ended = facts.report.get("ended")
    if ended in (None, "stopped"):
        return "interrupted", "can be resumed"
    if missing:
        return "broken", f"{missing[0]} is missing"
    if not _can_be_understood(folder):
        return "broken", f"{CONFIG} cannot be read"
    return ("diverged", "its best model is kept") if ended == "diverged" else ("finished", "")


def _status_without_report(folder: Path, missing: list[str], *, model_can_be_read: bool) -> tuple[Status, str]:
    if (folder / REPORT).exists():
        return "broken", f"{REPORT} cannot be read"
    if missing:
        return "broken", "it has no report and no model" if len(missing) == 3 else f"{missing[0]} is missing"
    return ("only a model", "") if model_can_be_read else ("broken", f"{CONFIG} cannot be read")


def _can_be_understood(folder: Path) -> bool:
    return _of_the_model(folder)[0] is not None


def size_of(path: Path) -> int:
    """In bytes; what a link points to belongs elsewhere."""
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


def folders_in(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        found = saved_folders() if folder == SAVED_MODELS else folder.iterdir()
        yield from (path for path in found if path.is_dir() and not path.name.startswith("."))
