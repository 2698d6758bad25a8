"""Lock, make, replace, find and remove the folders of runs and sweeps in saved_models/.

The system releases the lock of a process when the process ends, also if it was killed.
"""

import difflib
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from wordgen.errors import BundleError, SettingError, StorageError, WordgenError, WorkerLostError, reason_of
from wordgen.files import as_storage_error, is_unfinished, make_folder
from wordgen.model.base import Base, shipped_bases
from wordgen.model.bundle import CONFIG, UNKNOWN_WORDS, VOCABULARY, WEIGHTS, is_bundle
from wordgen.run.commands import first_training
from wordgen.run.names import (
    EVALUATION,
    LOGS,
    PALINDROMES,
    REPORT,
    SET_ASIDE_SUFFIX,
    SWEEP_PLAN,
    SWEEP_RESULTS,
    argument_for,
    is_run_name,
    models_folder,
    name_of,
    run_exists,
    run_name,
    unused_path,
)
from wordgen.training.checkpoint import FOLDER as CHECKPOINTS
from wordgen.training.checkpoint import has_checkpoint

LOCK = "training.lock"
SWEEP_LOCK = "sweep.lock"
_FOLDERS_LOCK = ".folders.lock"
_FOLDERS_LOCK_TIMEOUT_SECONDS = 60
_LOCK_TIMEOUT_SECONDS = 0.5
"""Seconds to wait for the lock of a run or sweep.

A process that only checks whether the lock is held holds it for a moment, too.
"""


def training_lock(folder: Path, seconds: float = _LOCK_TIMEOUT_SECONDS) -> AbstractContextManager[None]:
    """Hold the lock of a run while it is trained. Raise a SettingError if another process holds it for so long."""
    return _hold_lock(folder / LOCK, already_training_error(name_of(folder)), seconds)


def sweep_lock(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock of a sweep or a study. Raise a SettingError if another process holds it."""
    return _hold_lock(folder / SWEEP_LOCK, sweep_running_error(folder.name))


def folders_lock(parent: Path) -> AbstractContextManager[None]:
    """Hold the lock that a process needs to make, replace or remove folders of runs in the folder `parent`.

    Wait up to 60 seconds for other processes, then raise a SettingError.
    """
    error = SettingError(f"Another process is still making or removing a run in {parent}: try again in a moment.")
    return _hold_lock(parent / _FOLDERS_LOCK, error, _FOLDERS_LOCK_TIMEOUT_SECONDS)


def is_in_training(folder: Path) -> bool:
    """Return whether a process trains this run now. The lock file that a killed process left does not count."""
    return _is_held(folder / LOCK)


def is_sweep_running(folder: Path) -> bool:
    """Return whether a process works on this sweep now."""
    return _is_held(folder / SWEEP_LOCK)


def already_training_error(name: str) -> SettingError:
    return SettingError(f"Another process trains the run '{name}' now: wait until it ends, or stop it with Ctrl-C.")


def sweep_running_error(name: str) -> SettingError:
    return SettingError(f"Another process runs the sweep '{name}' now: wait until it ends, or stop it with Ctrl-C.")


@contextmanager
def _hold_lock(path: Path, error: SettingError, seconds: float = _LOCK_TIMEOUT_SECONDS) -> Generator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=seconds, poll_interval=0.02)
    with as_storage_error(path.parent):
        try:
            lock.acquire()
        except Timeout:
            raise error from None
    try:
        yield
    finally:
        # Remove the file while the lock is held. Then a process that has opened the file, but gets its lock only after
        # the release, finds that the file has no name any more, and opens a new one (filelock does this).
        with suppress(OSError):
            path.unlink(missing_ok=True)
        lock.release()


def _is_held(path: Path) -> bool:
    from filelock import FileLock, Timeout

    if not path.is_file():
        return False
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:  # the folder belongs to another user, so no process of this user can train in it
        return False
    lock.release()
    return False


_MAX_PATH_CHARACTERS = 4000
_REMOVED = ".removed."
_RUN_FILES = {CONFIG, VOCABULARY, WEIGHTS, UNKNOWN_WORDS, REPORT, EVALUATION, CHECKPOINTS, LOCK, "train", "valid"}
_SWEEP_FILES = (SWEEP_PLAN, SWEEP_RESULTS, SWEEP_LOCK, LOGS, PALINDROMES)


def holds_runs(folder: Path) -> bool:
    """Return whether the folder belongs to a sweep or a study of palindromes, or has runs named FOLDER/RUN in it."""
    try:
        return _has_sweep_files(folder) or any(folder.glob(f"*/{REPORT}"))
    except OSError:  # not a valid path (such as a name of 300 letters), or no permission
        return False


def _has_sweep_files(folder: Path) -> bool:
    return any((folder / each).exists() for each in _SWEEP_FILES)


def is_run_folder(folder: Path) -> bool:
    """Return whether the folder belongs to a run and is in saved_models or in a sweep, but not in another run."""
    return has_run_files(folder) and (folder.parent == models_folder() or is_folder_of_runs(folder.parent))


def is_folder_of_runs(folder: Path) -> bool:
    """Return whether the folder has runs in it, those of a sweep or others, and does not belong to a run."""
    return holds_runs(folder) and not has_run_files(folder)


def is_sweep_folder(folder: Path) -> bool:
    """Return whether the folder belongs to a sweep or a study of palindromes.

    A folder that only `train --name FOLDER/RUN` has made does not.
    """
    return is_folder_of_runs(folder) and _has_sweep_files(folder)


def has_run_files(folder: Path) -> bool:
    """Return whether the folder belongs to a run. An empty one does: the run ended before it wrote anything."""
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError:
        return False
    return not names or bool(names & _RUN_FILES)


def folder_for(name: str, *, overwrite: bool) -> Path:
    """Return the folder for a new run of this name. Raise a SettingError if the name is in use or not allowed."""
    folder = models_folder() / name
    if not overwrite and _is_name_in_use(folder):
        raise _name_in_use_error(folder)
    if name in shipped_bases():
        raise SettingError(
            f"--name cannot be '{name}', the name of a base that comes with wordgen: choose another --name."
        )
    if holds_runs(folder):
        raise SettingError(f"'{name}' contains several runs, which --overwrite never replaces: choose another --name.")
    if "/" in name and run_exists(folder.parent.name):
        raise SettingError(f"'{folder.parent.name}' is a run and cannot contain another run: choose another --name.")
    return folder


class RunFolder:
    """The folder of a run while it is trained."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_kept = True
        """Whether the run stays at its end. If not, the older run that it would have replaced is restored."""

    @property
    def replaces_older_run(self) -> bool:
        """Whether an older run of the same name is set aside until this one has a model."""
        return self.set_aside_path.exists()

    @property
    def set_aside_path(self) -> Path:
        return self.path.with_name(self.path.name + SET_ASIDE_SUFFIX)


@contextmanager
def new_run_folder(path: Path, *, overwrite: bool, numbered: bool = False) -> Generator[RunFolder]:
    """Make an empty folder for a run and hold its lock during the training.

    With `overwrite`, an older run of the same name is set aside until the new one has a complete model. If the new run
    ends without a model, its folder is removed and the older run is restored. But everything stays if the new run was
    interrupted and can be resumed from a checkpoint.

    With `numbered`, a number is added to a name that is in use.
    """
    with _removed_if_empty(path.parent), ExitStack() as stack:
        with folders_lock(path.parent):
            folder = RunFolder(unused_path(path) if numbered else path)
            with as_storage_error(folder.path):
                _make_empty(folder, overwrite=overwrite)
            stack.enter_context(training_lock(folder.path))
        try:
            yield folder
        except BaseException as error:
            refused = isinstance(error, WordgenError) and not isinstance(error, WorkerLostError | StorageError)
            if refused or not has_checkpoint(folder.path):
                _keep_one_run(folder)
            raise
        _keep_one_run(folder)


@contextmanager
def reserved_name(corpus: str) -> Generator[str]:
    """Reserve a default name for a run that another process will make. Until then an empty folder holds the name."""
    models = models_folder()
    with _removed_if_empty(models), ExitStack() as stack:
        with folders_lock(models):
            folder = models / run_name(None, corpus)
            stack.enter_context(_removed_if_empty(folder))
        yield folder.name


@contextmanager
def _removed_if_empty(folder: Path) -> Generator[None]:
    """Make a folder. At the end of the block, remove it and its parents again if they are new and empty."""
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    make_folder(folder)
    try:
        yield
    finally:
        with suppress(OSError):
            for each in new:
                each.rmdir()


def _make_empty(folder: RunFolder, *, overwrite: bool) -> None:
    path = folder.path
    if overwrite and is_in_training(path):
        raise already_training_error(path.name)
    if _is_name_in_use(path) and not (overwrite and has_run_files(path)):
        raise _name_in_use_error(path)
    if is_bundle(path):
        shutil.rmtree(folder.set_aside_path, ignore_errors=True)
        path.rename(folder.set_aside_path)
    elif path.exists():
        shutil.rmtree(path)
    try:
        path.mkdir()
    except OSError:
        if folder.replaces_older_run:
            folder.set_aside_path.rename(path)
        raise


def _is_name_in_use(folder: Path) -> bool:
    """Return whether the folder holds more than the remains of a process that was killed before it wrote a record."""
    if not folder.is_dir():
        return folder.exists()
    return is_in_training(folder) or any(path.name != LOCK and not is_unfinished(path) for path in folder.iterdir())


@contextmanager
def resumed_run_folder(path: Path) -> Generator[RunFolder]:
    """Hold the lock of a run while it is resumed. Its folder stays even if the training fails."""
    folder = RunFolder(path)
    with ExitStack() as stack:
        with folders_lock(path.parent):
            stack.enter_context(training_lock(path))
        try:
            yield folder
        finally:
            if is_bundle(path) or not folder.is_kept:
                _keep_one_run(folder)


def _keep_one_run(folder: RunFolder) -> None:
    """Keep one of two runs of the same name: the new one if it has a model, or else the older one.

    The lock of the run must still be held.
    """
    with folders_lock(folder.path.parent):
        if folder.is_kept and is_bundle(folder.path):
            shutil.rmtree(folder.set_aside_path, ignore_errors=True)
            return
        shutil.rmtree(folder.path, ignore_errors=True)
        if folder.replaces_older_run:
            folder.set_aside_path.rename(folder.path)


def _name_in_use_error(folder: Path) -> SettingError:
    if not has_run_files(folder):
        return SettingError(f"{folder} does not belong to a run, so it is not replaced: choose another --name.")
    return SettingError(
        f"A run '{name_of(folder)}' already exists: choose another --name, or use --overwrite to replace the run."
    )


def find_model(model: str | Path | None = None) -> Path:
    """Return the folder of a trained model.

    `model` is a path, the name of a run or its beginning, or the name of a base that comes with wordgen. The default is
    the newest run with a model. Raise a BundleError if there is no such model.
    """
    if model is None:
        return _newest()
    if not str(model) or len(str(model)) > _MAX_PATH_CHARACTERS:
        raise BundleError("--model must be the name of a run or the folder of a model.")
    # If a run was killed before its first model, the run that it would have replaced is still set aside.
    for folder in (Path(model), models_folder() / model, models_folder() / f"{model}{SET_ASIDE_SUFFIX}"):
        if is_bundle(folder):
            return folder
    bases = shipped_bases()
    if str(model) in bases:
        return bases[str(model)].folder
    trained = trained_models()
    beginning = [folder for folder in trained if name_of(folder).startswith(str(model))]
    if beginning:
        return max(beginning, key=saved_at)
    if holds_runs(models_folder() / model):
        example = min((models_folder() / model).glob(f"*/{REPORT}"), default=None)
        hint = "" if example is None else f", for example {name_of(example.parent)}"
        raise BundleError(f"'{model}' is a folder of runs: give one of its runs{hint}.")
    names = [name_of(folder) for folder in trained]
    similar = difflib.get_close_matches(str(model), [*names, *bases], n=1)
    if any(os.path.lexists(each) for each in (model, models_folder() / model)):
        raise BundleError(f"{model} contains no trained model: {CONFIG} is missing.")
    hint = f"Did you mean {similar[0]}?" if similar else f"Trained models: {', '.join(names) or 'none'}."
    raise BundleError(f"There is no model '{str(model)[:100]}', neither as a folder nor in {models_folder()}/. {hint}")


def find_base(model: str) -> Base:
    """Return the model that a new run begins from: `model` is the name of a shipped base or run, or a folder."""
    folder = find_model(model)
    shipped = {base.folder: base for base in shipped_bases().values()}
    if folder.resolve() in shipped:
        return shipped[folder.resolve()]
    return Base(argument_for(folder), folder)


def find_run(run: str | None = None) -> Path:
    """Return the folder of a run to resume, given its name or its path. The default is the run with the newest record.

    Raise a BundleError if there is no such run in saved_models.
    """
    reports = [report for folder in run_folders() for report in folder.glob(REPORT)]
    if run is None:
        if not reports:
            raise BundleError(f"There is no run in {models_folder()}/ that could be resumed: train a new run.")
        return max(reports, key=lambda report: report.stat().st_mtime).parent
    path = Path(run)
    for name in (str(path), path.name, "/".join(path.parts[-2:])):
        folder = models_folder() / name
        if is_run_name(name) and run_exists(name) and (name == str(path) or _is_same_folder(folder, path)):
            return folder
    existing = ", ".join(sorted(name_of(report.parent) for report in reports)) or "none"
    raise BundleError(f"There is no run '{run[:100]}' to resume. Existing runs: {existing}.")


def _is_same_folder(one: Path, other: Path) -> bool:
    with suppress(OSError):
        return one.samefile(other)
    return False


def trained_models() -> list[Path]:
    """Return the folders of all runs that have a model and belong to no sweep, sorted by name."""
    return [folder for folder in run_folders() if is_bundle(folder)]


def run_folders(folder: Path | None = None) -> Iterator[Path]:
    """Yield the folders of all runs in saved_models that belong to no sweep, or of all runs in a folder of runs."""
    models = models_folder()
    for each in sorted(folders_in(folder or models)):
        if has_run_files(each):
            yield each
        elif folder is None and is_folder_of_runs(each) and not is_sweep_folder(each):
            yield from run_folders(each)


def _saved_folders() -> list[Path]:
    """Return all paths in saved_models. Raise a BundleError if it cannot be read."""
    try:
        return list(models_folder().iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise BundleError(
            f"{models_folder()} cannot be read: {reason_of(error)}. Change its permissions, or work in another folder."
        ) from error


def folders_in(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        found = _saved_folders() if folder == models_folder() else folder.iterdir()
        yield from (path for path in found if path.is_dir() and not path.name.startswith("."))


def _newest() -> Path:
    trained = trained_models()
    if not trained:
        raise BundleError(
            f"There is no trained model in {models_folder()}/. Train one first: "
            f"{first_training('python train.py')} (or {first_training('wordgen train')})."
        )
    return max(trained, key=saved_at)


def saved_at(folder: Path) -> float:
    """Return when the weights were last written, in seconds since 1970, or 0 if there are none."""
    try:
        return (folder / WEIGHTS).stat().st_mtime
    except OSError:  # there are none, or none that may be read
        return 0.0


def removable_folders(names: Sequence[str]) -> list[Path]:
    """Return the folders of the runs and sweeps with exactly these names.

    Raise an error if one of them does not exist or must stay: then none is removed. If `names` has a sweep and one of
    its runs, only the folder of the sweep is returned.
    """
    folders = [_removable(name) for name in dict.fromkeys(names)]
    return [folder for folder in folders if folder.parent not in folders]


def _removable(name: str) -> Path:
    if not is_run_name(name):
        raise BundleError(f"'{name[:100]}' is not the name of a run: give a name from the list, without a folder.")
    folder = models_folder() / name
    for path in (folder.parent, folder):
        if path != models_folder() and path.is_symlink():
            raise BundleError(f"{path} is a link to another place, so it is not deleted: delete the link yourself.")
    if not folder.is_dir():
        raise BundleError(f"There is no run with the full name '{name}' in {models_folder()}/.{_suggestion(name)}")
    if not is_run_folder(folder) and not is_folder_of_runs(folder):
        raise BundleError(f"{folder} is not the folder of a run, so it is not deleted: delete it yourself.")
    _check_not_in_use(folder)
    return folder


def _suggestion(name: str) -> str:
    names = sorted(path.name for path in folders_in(models_folder()) if is_run_folder(path) or is_folder_of_runs(path))
    beginning = [each for each in names if each.startswith(name)]
    similar = beginning or difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {similar[0]}?" if similar else ""


def _check_not_in_use(folder: Path) -> None:
    sweep = folder if is_folder_of_runs(folder) else folder.parent
    if sweep != models_folder() and is_sweep_running(sweep):
        raise sweep_running_error(sweep.name)
    for each in (folder, *folders_in(folder)):
        if is_in_training(each):
            raise already_training_error(name_of(each))


def remove(folder: Path) -> None:
    """Remove the folder of a run or sweep, and what a removal that was killed has left behind.

    The folder is first moved to a hidden folder in one step, and then its files are deleted. So a half-deleted run
    never appears as a run. The folder around a run is removed, too, if nothing else was in it.
    """
    models = models_folder()
    with ExitStack() as stack:
        for parent in dict.fromkeys((models, folder.parent)):
            stack.enter_context(folders_lock(parent))
        stack.enter_context(as_storage_error(folder))
        for leftover in models.glob(f"{_REMOVED}*"):
            if not leftover.is_symlink():
                shutil.rmtree(leftover, ignore_errors=True)
        _check_not_in_use(folder)  # it may have begun while the user was asked
        trash = Path(tempfile.mkdtemp(dir=models, prefix=_REMOVED))
        try:
            folder.rename(trash / folder.name)
        except OSError:
            trash.rmdir()
            raise
    if folder.parent != models:
        with suppress(OSError):  # it still has other runs, or files of a sweep
            folder.parent.rmdir()
    try:
        shutil.rmtree(trash)
    except FileNotFoundError:  # another process has deleted it
        pass
    except OSError as error:
        raise StorageError(
            f"{name_of(folder)} is removed from the list, but some of its files cannot be deleted ({error.strerror}): "
            f"delete {trash} yourself."
        ) from error
