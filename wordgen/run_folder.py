"""The folders of runs in saved_models/: made, replaced, found again."""

import difflib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from wordgen.base import Base, shipped_bases
from wordgen.bundle import CONFIG, WEIGHTS, is_bundle, load_bundle
from wordgen.errors import BundleError, SettingError, StorageError, WordgenError, WorkerLostError, reason_of
from wordgen.files import is_unfinished, make_folder, told_plainly
from wordgen.generation.trained import TrainedModel
from wordgen.run_lock import LOCK, SWEEP_LOCK, being_trained, changing_folders, in_training, is_in_training
from wordgen.run_names import (
    LOGS,
    REPORT,
    SAVED_MODELS,
    SET_ASIDE,
    SWEEP_RESULTS,
    free_path,
    is_run,
    is_run_name,
    name_of,
    run_name,
)
from wordgen.training.checkpoint import has_checkpoint

_LONGEST_PATH = 4000


def holds_runs(folder: Path) -> bool:
    """Whether a folder is a sweep's: it holds several runs, or will, or has what came out of them."""
    of_a_sweep = (SWEEP_RESULTS, SWEEP_LOCK, LOGS)
    try:
        return any((folder / each).exists() for each in of_a_sweep) or any(folder.glob(f"*/{REPORT}"))
    except OSError:  # no path at all, as a name of 300 letters, or a folder that may not be looked into
        return False


def folder_for(name: str, *, overwrite: bool) -> Path:
    """Where the run of this name will lie; a name in use is refused."""
    folder = SAVED_MODELS / name
    if not overwrite and _is_in_use(folder):
        raise _in_use(name)
    if name in shipped_bases():
        raise SettingError(f"--name cannot be '{name}': a base that comes with wordgen is called so.")
    if holds_runs(folder):
        raise SettingError(f"'{name}' holds several runs, which --overwrite never replaces: take another --name.")
    if "/" in name and is_run(folder.parent.name):
        raise SettingError(f"'{folder.parent.name}' is a run, and no run can lie in it: take another --name.")
    return folder


class RunFolder:
    """The folder of a run while it trains."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept = True

    @property
    def replaces(self) -> bool:
        """Whether an older run of the same name waits for this one's first model."""
        return self.aside.exists()

    @property
    def aside(self) -> Path:
        return self.path.with_name(self.path.name + SET_ASIDE)

    def give_up(self) -> None:
        """Let the run that this one would have replaced come back."""
        self.kept = False


@contextmanager
def made_new(path: Path, *, overwrite: bool, numbered: bool = False) -> Iterator[RunFolder]:
    """Make the folder of a run, empty, for the time of its training; `numbered` adds a number to a name in use.

    A run that it replaces is set aside until the new one has a whole model, and comes back if that
    never happens; a folder in which no model came to be is removed. But where a run was cut short that can go on
    from a checkpoint, everything stays.
    """
    not_there = [each for each in (path.parent, *path.parent.parents) if not each.exists()]
    make_folder(path.parent)
    with ExitStack() as ending:
        ending.callback(_remove_empty, not_there)
        with changing_folders(path.parent):
            folder = RunFolder(free_path(path) if numbered else path)
            with told_plainly(folder.path):
                _make(folder, overwrite=overwrite)
            ending.enter_context(in_training(folder.path))
        try:
            yield folder
        except BaseException as error:
            refused = isinstance(error, WordgenError) and not isinstance(error, WorkerLostError | StorageError)
            if refused or not has_checkpoint(folder.path):
                _settle(folder)
            raise
        _settle(folder)


@contextmanager
def reserved_name(corpus: str) -> Iterator[str]:
    """A name by default for a run that another process will make; until it does, an empty folder keeps it free."""
    not_there = [each for each in (SAVED_MODELS,) if not each.exists()]
    make_folder(SAVED_MODELS)
    with ExitStack() as ending:
        ending.callback(_remove_empty, not_there)
        with changing_folders(SAVED_MODELS), told_plainly(SAVED_MODELS):
            folder = SAVED_MODELS / run_name(None, corpus)
            folder.mkdir()
        ending.callback(_remove_empty, [folder])
        yield folder.name


def _remove_empty(folders: Sequence[Path]) -> None:
    """The innermost first; one that holds anything stays."""
    with suppress(OSError):
        for each in folders:
            each.rmdir()


def _make(folder: RunFolder, *, overwrite: bool) -> None:
    if overwrite:
        _set_aside(folder)
    elif _is_in_use(folder.path):
        raise _in_use(name_of(folder.path))
    elif folder.path.exists():
        shutil.rmtree(folder.path)
    try:
        folder.path.mkdir()
    except OSError:
        if folder.replaces:
            folder.aside.rename(folder.path)
        raise


def _is_in_use(folder: Path) -> bool:
    """Whether a folder is there that is more than what a process left that was killed before it wrote a report."""
    if not folder.is_dir():
        return folder.exists()
    return is_in_training(folder) or any(path.name != LOCK and not is_unfinished(path) for path in folder.iterdir())


@contextmanager
def resumed(path: Path) -> Iterator[RunFolder]:
    """The folder of a run for the time that it goes on; it stays whatever happens."""
    folder = RunFolder(path)
    with ExitStack() as ending:
        with changing_folders(path.parent):
            ending.enter_context(in_training(path))
        ending.callback(_settle_resumed, folder)
        yield folder


def _settle_resumed(folder: RunFolder) -> None:
    if is_bundle(folder.path) or not folder.kept:
        _settle(folder)


def _settle(folder: RunFolder) -> None:
    """One of two runs of a name remains: the new one if it has a model. Its lock is still held."""
    with changing_folders(folder.path.parent):
        if folder.kept and is_bundle(folder.path):
            shutil.rmtree(folder.aside, ignore_errors=True)
            return
        shutil.rmtree(folder.path, ignore_errors=True)
        if folder.replaces:
            folder.aside.rename(folder.path)


def _set_aside(folder: RunFolder) -> None:
    if is_in_training(folder.path):
        raise being_trained(folder.path.name)
    if is_bundle(folder.path):
        shutil.rmtree(folder.aside, ignore_errors=True)
        folder.path.rename(folder.aside)
    elif folder.path.exists():
        shutil.rmtree(folder.path)


def _in_use(name: str) -> SettingError:
    return SettingError(f"There is a run '{name}' already: take another --name, or --overwrite to replace it.")


def find_model(model: str | Path | None = None) -> Path:
    """The folder of a trained model: a path, a run's name or its beginning, or a base that comes with wordgen.

    Where nothing is given, it is the newest run's.
    """
    if model is None:
        return _newest()
    if not str(model) or len(str(model)) > _LONGEST_PATH:
        raise BundleError("--model must be a run's name or a model's folder.")
    # A run that was killed before its first model leaves the one that it would have replaced set aside.
    for folder in (Path(model), SAVED_MODELS / model, SAVED_MODELS / f"{model}{SET_ASIDE}"):
        if is_bundle(folder):
            return folder
    bases = shipped_bases()
    if str(model) in bases:
        return bases[str(model)].folder
    trained = trained_models()
    beginning = [folder for folder in trained if folder.name.startswith(str(model))]
    if beginning:
        return max(beginning, key=saved_at)
    if holds_runs(SAVED_MODELS / model):
        one = min((SAVED_MODELS / model).glob(f"*/{REPORT}"), default=None)
        such = "" if one is None else f", as {name_of(one.parent)}"
        raise BundleError(f"'{model}' is a sweep of several runs: take one of them{such}.")
    names = [folder.name for folder in trained]
    near = difflib.get_close_matches(str(model), [*names, *bases], n=1)
    if any(os.path.lexists(each) for each in (model, SAVED_MODELS / model)):
        raise BundleError(f"{model} holds no trained model: {CONFIG} is missing.")
    hint = f"Did you mean {near[0]}?" if near else f"Trained so far: {', '.join(names) or 'none'}."
    raise BundleError(f"There is no model '{str(model)[:100]}', neither as a folder nor in {SAVED_MODELS}. {hint}")


def find_base(model: str) -> Base:
    """The model that a new run begins from: a base that comes with wordgen, a run's name or a model's folder."""
    folder = find_model(model)
    if folder.resolve() in (base.folder for base in shipped_bases().values()):
        return Base(folder.name, folder)
    return Base(name_of(folder) if SAVED_MODELS in folder.parents else str(folder), folder)


def find_run(run: str | None = None) -> Path:
    """The folder of a run that can be gone on with, by its name; the newest when nothing is given."""
    reports = (report for folder in saved_folders() for report in folder.glob(REPORT))
    runs = sorted(reports, key=lambda report: report.stat().st_mtime)
    if run is None:
        if not runs:
            raise BundleError(f"There is no run in {SAVED_MODELS} here that could be resumed.")
        return runs[-1].parent
    names = {report.parent.name for report in runs}
    name = Path(run).name
    within = "/".join(Path(run).parts[-2:])
    if within != f"{SAVED_MODELS}/{name}" and is_run_name(within) and is_run(within):
        return SAVED_MODELS / within
    if name not in names:
        raise BundleError(f"There is no run '{run[:100]}' to resume. There are: {', '.join(sorted(names)) or 'none'}.")
    return SAVED_MODELS / name


def load(model: str | Path | None = None) -> TrainedModel:
    """A trained model by its folder or its run's name; the newest one when nothing is given."""
    folder = find_model(model)
    return TrainedModel(load_bundle(folder), folder)


def trained_models() -> list[Path]:
    """The folders of all runs that have a model, by name."""
    return sorted(folder for folder in saved_folders() if is_bundle(folder))


def saved_folders() -> list[Path]:
    """All that lies in saved_models; where that may not be read, a sentence."""
    try:
        return list(SAVED_MODELS.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise BundleError(
            f"{SAVED_MODELS} cannot be read: {reason_of(error)}. Change its permissions, or work in another folder."
        ) from error


def _newest() -> Path:
    trained = trained_models()
    if not trained:
        raise BundleError(
            f"There is no trained model in {SAVED_MODELS} here. Train one first: "
            "python train.py --corpus lotr (or wordgen train --corpus lotr)."
        )
    return max(trained, key=saved_at)


def saved_at(folder: Path) -> float:
    """When its weights were written last."""
    weights = folder / WEIGHTS
    return weights.stat().st_mtime if weights.exists() else 0.0
