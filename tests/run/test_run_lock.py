import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.bundles import make_bundle
from tests.helpers.commands import command_environment
from wordgen.errors import SettingError
from wordgen.model.bundle import save_bundle
from wordgen.run.folder import (
    LOCK,
    is_in_training,
    new_run_folder,
    resumed_run_folder,
    training_lock,
)
from wordgen.run.names import SAVED_MODELS

pytestmark = pytest.mark.usefixtures("in_empty_folder")
RUN = SAVED_MODELS / "tale"


@pytest.fixture(autouse=True)
def model(in_empty_folder: Path) -> None:
    save_bundle(make_bundle(), RUN)


def test_run_is_in_training_while_a_process_holds_its_lock():
    assert not is_in_training(RUN)
    with resumed_run_folder(RUN):
        assert is_in_training(RUN)
    assert not is_in_training(RUN)
    with new_run_folder(SAVED_MODELS / "new", overwrite=False) as folder:
        assert is_in_training(folder.path)
        save_bundle(make_bundle(), folder.path)
    assert not (folder.path / LOCK).exists()


def test_run_in_training_is_neither_resumed_nor_replaced():
    with training_lock(RUN):
        before = sorted(path.name for path in RUN.iterdir())
        for attempt in (resumed_run_folder(RUN), new_run_folder(RUN, overwrite=True)):
            with pytest.raises(SettingError, match="trains the run 'tale' now"), attempt:
                pass
        assert sorted(path.name for path in RUN.iterdir()) == before
        assert is_in_training(RUN)


@contextmanager
def locked_by_another_process(seconds: float) -> "Generator[subprocess.Popen[str]]":
    """A process that holds the lock of the run for some seconds. It has the lock when the block begins."""
    program = f"""
import time
from pathlib import Path
from wordgen.run.folder import training_lock
with training_lock(Path({str(RUN)!r})):
    print("locked", flush=True)
    time.sleep({seconds})
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], env=command_environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process


def test_killed_process_releases_the_lock():
    with locked_by_another_process(100) as process:
        assert is_in_training(RUN)
        process.send_signal(signal.SIGKILL)
    assert (RUN / LOCK).exists()
    assert not is_in_training(RUN)
    with resumed_run_folder(RUN):
        assert is_in_training(RUN)
    assert not (RUN / LOCK).exists()


def test_taking_over_waits_for_the_lock():
    with locked_by_another_process(0.7) as process, training_lock(RUN, 60):
        assert process.wait(60) == 0


def test_one_thread_at_a_time_holds_the_lock():
    """Although a waiting thread opens the lock file before the thread that holds the lock removes it."""
    holders, most_at_once = 0, 0

    def hold() -> None:
        nonlocal holders, most_at_once
        for _ in range(30):
            with training_lock(RUN, 60):
                holders += 1
                most_at_once = max(most_at_once, holders)
                time.sleep(0.001)
                holders -= 1

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most_at_once == 1
    assert not (RUN / LOCK).exists()
