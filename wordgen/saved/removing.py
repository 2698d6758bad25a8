"""How a run goes, or a sweep: whole or not at all, and nothing else with it."""

import difflib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from wordgen.errors import BundleError, StorageError
from wordgen.files import told_plainly
from wordgen.run_lock import being_swept, being_trained, changing_folders, is_in_training, is_sweep_at_work
from wordgen.run_names import SAVED_MODELS, is_run_name, name_of
from wordgen.saved.listing import folders_in, is_run_folder, is_sweep_folder, saved_runs
from wordgen.saved.sweeps import saved_sweeps

_REMOVED = ".removed."


def removable(names: Sequence[str]) -> list[Path]:
    """The folders of runs and sweeps of just these names; what must stay is refused before anything goes."""
    folders = [_removable(name) for name in dict.fromkeys(names)]
    return [folder for folder in folders if folder.parent not in folders]


def _removable(name: str) -> Path:
    if not is_run_name(name):
        raise BundleError(f"'{name[:100]}' is no name of a run: give names as the list has them, without any folder.")
    folder = SAVED_MODELS / name
    _check_no_link(folder)
    if not folder.is_dir():
        raise BundleError(f"There is no run '{name}' in {SAVED_MODELS}, by its full name.{_near(name)}")
    if not is_run_folder(folder) and not is_sweep_folder(folder):
        raise BundleError(f"{folder} holds nothing of a run, so it is left alone: remove it by hand.")
    _check_no_work(folder)
    return folder


def _check_no_link(folder: Path) -> None:
    """A run of a sweep's lies in the sweep's folder, which may be a link as well."""
    for path in (folder.parent, folder):
        if path != SAVED_MODELS and path.is_symlink():
            raise BundleError(f"{path} is a link to another place, and left alone: remove the link itself by hand.")


def _check_no_work(folder: Path) -> None:
    sweep = folder if is_sweep_folder(folder) else folder.parent
    if sweep != SAVED_MODELS and is_sweep_at_work(sweep):
        raise being_swept(sweep.name)
    for each in (folder, *folders_in(folder)):
        if is_in_training(each):
            raise being_trained(name_of(each))


def _near(name: str) -> str:
    names = [run.name for run in saved_runs("name")] + [sweep.name for sweep in saved_sweeps()]
    beginning = [each for each in names if each.startswith(name)]
    near = beginning or difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {near[0]}?" if near else ""


def remove(folder: Path) -> None:
    """At once it is no run any more, then its files go: half of a run is never seen as one."""
    _finish_what_was_broken_off()
    with changing_folders(folder.parent), told_plainly(folder):
        _check_no_work(folder)  # while the user was asked it may have been begun
        out_of_sight = Path(tempfile.mkdtemp(dir=SAVED_MODELS, prefix=_REMOVED))
        try:
            folder.rename(out_of_sight / folder.name)
        except OSError:
            out_of_sight.rmdir()
            raise
    try:
        shutil.rmtree(out_of_sight)
    except FileNotFoundError:  # another process has finished it
        pass
    except OSError as error:
        raise StorageError(
            f"{name_of(folder)} is no run any more, but not all of it can be deleted ({error.strerror}): "
            f"delete {out_of_sight} by hand."
        ) from error


def _finish_what_was_broken_off() -> None:
    """Delete what a removal that was killed has left."""
    for left in SAVED_MODELS.glob(f"{_REMOVED}*"):
        if not os.path.islink(left):
            shutil.rmtree(left, ignore_errors=True)
