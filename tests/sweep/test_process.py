"""The processes of a sweep: which are its own."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.playground import wait_until
from wordgen.errors import StorageError
from wordgen.sweep import sweeping
from wordgen.sweep.planning import PlannedRun, PlannedSweep
from wordgen.sweep.sweeping import STARTED

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="the system does not tell what a process does")


@pytest.fixture
def run(in_empty_folder: Path, planned: PlannedSweep, monkeypatch: pytest.MonkeyPatch) -> PlannedRun:
    monkeypatch.setattr(sweeping, "_SECONDS_TO_LEAVE", 0.5)
    run = planned.runs[0]
    run.log.parent.mkdir(parents=True)
    return run


def command(name: str) -> list[str]:
    """The arguments of a process that seems to train a run and does nothing."""
    return ["-c", "import time; print('begun', flush=True); time.sleep(60)", "train", "--name", name]


@contextmanager
def at_work(log: Path, started: Sequence[str], running: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that holds a log. The log says with which arguments it was started, and that it has begun."""
    with log.open("ab") as file:
        sweeping.hold(file.fileno())
        other = subprocess.Popen([sys.executable, *running], stdout=file)
        event = {"event": STARTED, "time": 1.0, "process": other.pid, "command": started}
        file.write(json.dumps(event).encode() + b"\n")
    try:
        wait_until(lambda: b"begun\n" in log.read_bytes())
        yield other
    finally:
        other.kill()
        other.wait()


def test_the_process_that_an_earlier_sweep_has_left_is_ended(run: PlannedRun):
    with at_work(run.log, command(run.name), command(run.name)) as left_over:
        sweeping.end_what_is_left_over(run)
        assert left_over.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize("more", ["2", "/epochs.txt"])
def test_a_process_that_has_got_the_number_since_is_left_alone(run: PlannedRun, more: str):
    """The number in the log is by now that of another process. Its command has the name of the run in a longer word."""
    with at_work(run.log, command(run.name), command(run.name + more)) as other:
        with pytest.raises(StorageError, match="is still training my/rnn-units-16-1 and does not end"):
            sweeping.end_what_is_left_over(run)
        assert other.poll() is None
