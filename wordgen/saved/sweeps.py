"""The sweeps in saved_models: each a folder with the runs of several networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from wordgen.errors import BundleError
from wordgen.run_lock import is_sweep_at_work
from wordgen.run_names import LOGS, SAVED_MODELS, SWEEP_RESULTS, SWEEP_TABLE, is_run_name
from wordgen.saved.listing import SavedRun, folders_in, is_sweep_folder, saved_runs, size_of

SweepStatus = Literal["at work now", "finished", "broken off"]


@dataclass(frozen=True)
class SavedSweep:
    folder: Path
    runs: tuple[SavedRun, ...]
    """Those that have begun; the newest first."""
    status: SweepStatus

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def corpora(self) -> list[str]:
        return sorted({run.corpus for run in self.runs if run.corpus is not None})

    @property
    def best(self) -> SavedRun | None:
        """The run with the lowest valid perplexity, where all learned the same symbols of the same text."""
        measured = [(score, run) for run in self.runs if (score := run.score("valid").perplexity) is not None]
        texts = {run.facts.fingerprint for _, run in measured if run.facts is not None}
        return min(measured, key=lambda each: each[0])[1] if len(texts) == 1 else None

    @property
    def table(self) -> Path | None:
        """What came out, in words, once it has come to its end."""
        return self.folder / SWEEP_TABLE if (self.folder / SWEEP_TABLE).is_file() else None

    @cached_property
    def bytes(self) -> int:
        return size_of(self.folder)

    @property
    def saved_at(self) -> float:
        return max((run.saved_at for run in self.runs), default=0.0)


def saved_sweeps() -> list[SavedSweep]:
    """The newest first."""
    sweeps = [look_at_sweep(folder) for folder in folders_in(SAVED_MODELS) if is_sweep_folder(folder)]
    return sorted(sweeps, key=lambda sweep: -sweep.saved_at)


def find_sweep(name: str) -> SavedSweep:
    folder = SAVED_MODELS / name
    if is_run_name(name) and "/" not in name and is_sweep_folder(folder):
        return look_at_sweep(folder)
    names = ", ".join(sweep.name for sweep in saved_sweeps()) or "none"
    raise BundleError(f"There is no sweep '{name[:100]}' in {SAVED_MODELS}. There are: {names}.")


def look_at_sweep(folder: Path) -> SavedSweep:
    runs = tuple(run for run in saved_runs(folder=folder) if run.folder.name != LOGS)
    return SavedSweep(folder, runs, _status(folder, runs))


def _status(folder: Path, runs: Sequence[SavedRun]) -> SweepStatus:
    if is_sweep_at_work(folder):
        return "at work now"
    whole = (folder / SWEEP_RESULTS).is_file() and not any(run.can_be_resumed for run in runs)
    return "finished" if whole else "broken off"
