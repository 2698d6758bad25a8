"""One process at a time trains a run or works on a sweep: it holds a lock, which goes with it however it ends."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wordgen.errors import SettingError
from wordgen.files import told_plainly

LOCK = "training.lock"
SWEEP_LOCK = "sweep.lock"


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
def _holding(path: Path, otherwise: SettingError) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=0)
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
