"""One process at a time trains a run, works on a sweep, or makes and replaces folders of runs.

It holds a lock, which goes with it however it ends.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wordgen.errors import SettingError
from wordgen.files import told_plainly

LOCK = "training.lock"
SWEEP_LOCK = "sweep.lock"
_FOLDERS_LOCK = ".folders.lock"
_SECONDS_TO_CHANGE_FOLDERS = 60
_SECONDS_OF_A_LOOK = 0.5
"""Whoever looks whether a lock is held, holds it for a moment."""


@contextmanager
def in_training(folder: Path) -> Iterator[None]:
    """Hold the lock of a run for the time that it learns; where another process has it, say so."""
    with _holding(folder / LOCK, being_trained(folder.name)):
        yield


@contextmanager
def at_work_on_sweep(folder: Path) -> Iterator[None]:
    """Hold the lock of a sweep while its runs learn; where another process has it, say so."""
    with _holding(folder / SWEEP_LOCK, being_swept(folder.name)):
        yield


@contextmanager
def changing_folders(place: Path) -> Iterator[None]:
    """Be the only process that makes, replaces or removes folders of runs in this place; others wait for their turn."""
    busy = SettingError(f"Another process is still making or removing a run in {place}: try again in a moment.")
    with _holding(place / _FOLDERS_LOCK, busy, _SECONDS_TO_CHANGE_FOLDERS):
        yield


def is_in_training(folder: Path) -> bool:
    """Whether a process trains this run right now; what a killed one left behind does not count."""
    return _is_held(folder / LOCK)


def is_sweep_at_work(folder: Path) -> bool:
    """Whether a process works on this sweep right now."""
    return _is_held(folder / SWEEP_LOCK)


def being_trained(name: str) -> SettingError:
    return SettingError(f"The run '{name}' is being trained right now: wait for its end, or stop that with Ctrl-C.")


def being_swept(name: str) -> SettingError:
    return SettingError(f"The sweep '{name}' is at work right now: wait for its end, or stop that with Ctrl-C.")


@contextmanager
def _holding(path: Path, otherwise: SettingError, seconds: float = _SECONDS_OF_A_LOOK) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=seconds, poll_interval=0.02)
    with told_plainly(path.parent):
        try:
            lock.acquire()
        except Timeout:
            raise otherwise from None
    try:
        yield
    finally:
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
    except OSError:  # a folder of another user's: nobody here can change it either
        return False
    lock.release()
    return False
