"""How a run goes: whole or not at all, and nothing else with it."""

import difflib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from wordgen.errors import BundleError, StorageError
from wordgen.files import told_plainly
from wordgen.run_folder import SAVED_MODELS, is_run_name
from wordgen.run_lock import being_trained, is_in_training
from wordgen.saved.listing import leaves_traces_of_a_run, saved_runs

_REMOVED = ".removed."


def removable(names: Sequence[str]) -> list[Path]:
    """The folders of runs of just these names; what must stay is refused before anything goes."""
    return [_removable(name) for name in dict.fromkeys(names)]


def _removable(name: str) -> Path:
    if not is_run_name(name):
        raise BundleError(f"'{name[:100]}' is no name of a run: give names as the list has them, without any folder.")
    folder = SAVED_MODELS / name
    if folder.is_symlink():
        raise BundleError(f"{folder} is a link to another place, which is left alone: remove the link itself by hand.")
    if not folder.is_dir():
        raise BundleError(f"There is no run '{name}' in {SAVED_MODELS}, by its full name.{_near(name)}")
    if not leaves_traces_of_a_run(folder):
        raise BundleError(f"{folder} holds nothing of a run, so it is left alone: remove it by hand.")
    if is_in_training(folder):
        raise being_trained(name)
    return folder


def _near(name: str) -> str:
    names = [run.name for run in saved_runs("name")]
    beginning = [each for each in names if each.startswith(name)]
    near = beginning or difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {near[0]}?" if near else ""


def remove(folder: Path) -> None:
    """At once it is no run any more, then its files go: half of a run is never seen as one."""
    _finish_what_was_broken_off()
    with told_plainly(folder):
        out_of_sight = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_REMOVED))
        try:
            folder.rename(out_of_sight / folder.name)
        except OSError:
            out_of_sight.rmdir()
            raise
    try:
        shutil.rmtree(out_of_sight)
    except OSError as error:
        raise StorageError(
            f"{folder.name} is no run any more, but not all of it can be deleted ({error.strerror}): "
            f"delete {out_of_sight} by hand."
        ) from error


def _finish_what_was_broken_off() -> None:
    """Delete what a removal that was killed has left."""
    for left in SAVED_MODELS.glob(f"{_REMOVED}*"):
        if not os.path.islink(left):
            shutil.rmtree(left, ignore_errors=True)
