"""Locks: only one process at a time trains a run, works on a sweep, or makes and replaces folders of runs.

The system releases the lock of a process when the process ends, also if it was killed.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from wordgen.errors import SettingError
from wordgen.files import as_storage_error

LOCK = "training.lock"
SWEEP_LOCK = "sweep.lock"
_FOLDERS_LOCK = ".folders.lock"
_SECONDS_TO_CHANGE_FOLDERS = 60
_SECONDS_TO_TAKE_OVER = 60
_SECONDS_OF_A_LOOK = 0.5
"""Seconds to wait for the lock of a run or sweep.

A process that only checks whether the lock is held holds it for a moment, too.
"""


def in_training(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock of a run while it is trained. Raise a SettingError if another process holds it."""
    return _holding(folder / LOCK, being_trained(folder.name))


def taking_over(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock of a run as `in_training` does, but wait up to 60 seconds for a process that is about to end."""
    return _holding(folder / LOCK, being_trained(folder.name), _SECONDS_TO_TAKE_OVER)


def at_work_on_sweep(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock of a sweep, or of a study of palindromes, while its runs are trained.

    Raise a SettingError if another process holds it.
    """
    return _holding(folder / SWEEP_LOCK, being_swept(folder.name))


def changing_folders(place: Path) -> AbstractContextManager[None]:
    """Hold the lock that a process needs to make, replace or remove folders of runs in the folder `place`.

    Wait up to 60 seconds for other processes, then raise a SettingError.
    """
    busy = SettingError(f"Another process is still making or removing a run in {place}: try again in a moment.")
    return _holding(place / _FOLDERS_LOCK, busy, _SECONDS_TO_CHANGE_FOLDERS)


def is_in_training(folder: Path) -> bool:
    """Return whether a process trains this run now. The lock file that a killed process left does not count."""
    return _is_held(folder / LOCK)


def is_sweep_at_work(folder: Path) -> bool:
    """Return whether a process works on this sweep now."""
    return _is_held(folder / SWEEP_LOCK)


def being_trained(name: str) -> SettingError:
    return SettingError(f"Another process trains the run '{name}' now: wait until it ends, or stop it with Ctrl-C.")


def being_swept(name: str) -> SettingError:
    return SettingError(f"Another process runs the sweep '{name}' now: wait until it ends, or stop it with Ctrl-C.")


@contextmanager
def _holding(path: Path, otherwise: SettingError, seconds: float = _SECONDS_OF_A_LOOK) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=seconds, poll_interval=0.02)
    with as_storage_error(path.parent):
        try:
            lock.acquire()
        except Timeout:
            raise otherwise from None
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
