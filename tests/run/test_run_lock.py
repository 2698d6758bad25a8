import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.bundles import make_bundle
from tests.helpers.commands import command_environment
from wordgen.errors import SettingError
from wordgen.model.bundle import save_bundle
from wordgen.run.folder import LOCK, in_training, is_in_training, made_new, resumed, taking_over
from wordgen.run.names import SAVED_MODELS

pytestmark = pytest.mark.usefixtures("in_empty_folder")
RUN = SAVED_MODELS / "tale"


@pytest.fixture(autouse=True)
def model(in_empty_folder: Path) -> None:
    save_bundle(make_bundle(), RUN)


def test_a_run_is_in_training_for_as_long_as_its_process_has_it():
    assert not is_in_training(RUN)
    with resumed(RUN):
        assert is_in_training(RUN)
    assert not is_in_training(RUN)
    with made_new(SAVED_MODELS / "new", overwrite=False) as folder:
        assert is_in_training(folder.path)
        save_bundle(make_bundle(), folder.path)
    assert not (folder.path / LOCK).exists()


def test_what_is_trained_by_another_is_left_alone():
    with in_training(RUN):
        before = sorted(path.name for path in RUN.iterdir())
        for other in (resumed(RUN), made_new(RUN, overwrite=True)):
            with pytest.raises(SettingError, match="trains the run 'tale' now"), other:
                pass
        assert sorted(path.name for path in RUN.iterdir()) == before
        assert is_in_training(RUN)


@contextmanager
def other_training(seconds: float) -> "Iterator[subprocess.Popen[str]]":
    """A process that trains the run for some seconds. It has the lock when the block begins."""
    program = f"""
import time
from pathlib import Path
from wordgen.run.folder import in_training
with in_training(Path({str(RUN)!r})):
    print("has it", flush=True)
    time.sleep({seconds})
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], env=command_environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "has it\n"
        yield process


def test_a_killed_training_keeps_no_lock():
    with other_training(100) as process:
        assert is_in_training(RUN)
        process.send_signal(signal.SIGKILL)
    assert (RUN / LOCK).exists()
    assert not is_in_training(RUN)
    with resumed(RUN):
        assert is_in_training(RUN)
    assert not (RUN / LOCK).exists()


def test_a_process_that_is_about_to_leave_a_run_is_waited_for():
    with other_training(0.7) as process, taking_over(RUN):
        assert process.wait(10) == 0


def test_only_one_at_a_time_holds_a_lock_whose_file_comes_and_goes():
    """A waiting thread opens the file before the one that holds the lock removes it."""
    holding, most_at_once = [0], 0

    def hold() -> None:
        nonlocal most_at_once
        for _ in range(30):
            with taking_over(RUN):
                holding[0] += 1
                most_at_once = max(most_at_once, holding[0])
                time.sleep(0.001)
                holding[0] -= 1

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most_at_once == 1
    assert not (RUN / LOCK).exists()
