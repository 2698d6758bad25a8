"""One process at a time trains a run: it holds a lock in its folder, which the system takes from it when it ends."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wordgen.errors import SettingError
from wordgen.files import told_plainly

LOCK = "training.lock"


@contextmanager
def in_training(folder: Path) -> Iterator[None]:
    """Hold the lock of a run for the time that it learns; where another process has it, say so."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=0)
    with told_plainly(folder):
        try:
            lock.acquire()
        except Timeout:
            raise being_trained(folder.name) from None
    try:
        yield
    finally:
        with suppress(OSError):
            (folder / LOCK).unlink(missing_ok=True)
        lock.release()


def is_in_training(folder: Path) -> bool:
    """Whether a process trains this run right now; what a killed one left behind does not count."""
    from filelock import FileLock, Timeout

    if not (folder / LOCK).is_file():
        return False
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:  # a folder of another user's: nobody here can change it either
        return False
    lock.release()
    return False


def being_trained(name: str) -> SettingError:
    return SettingError(f"The run '{name}' is being trained right now: wait for its end, or stop that with Ctrl-C.")
