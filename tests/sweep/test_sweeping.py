"""The processes of a sweep and their logs: which are its own, and what is read from a log while it is written."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.playground import wait_until
from wordgen.errors import StorageError
from wordgen.sweep import sweeping
from wordgen.sweep.planning import PlannedRun, PlannedSweep
from wordgen.sweep.results import Progress
from wordgen.sweep.sweeping import STARTED, Log, StartedProcess, last_process


def line(event: str, time: float, **more: Any) -> str:
    return json.dumps({"event": event, "time": time, **more}) + "\n"


BEGUN = line("begun", 100.0, first_step=11, last_step=110)
STEP = line("step", 110.0, epoch=2, step=30, first=False)
EPOCH = line("epoch", 120.0, epoch=2, step=60, best=True, valid_perplexity=31.5)


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def test_it_tells_how_far_a_run_is_and_how_long_it_takes_at_most(tmp_path: Path):
    log = Log(tmp_path / "a.log", progress := Progress(9))
    log.follow()
    append(tmp_path / "a.log", BEGUN)
    log.follow()
    assert progress.seconds_left is None
    append(tmp_path / "a.log", line("step", 106.0, epoch=1, step=14, first=True))
    log.follow()
    assert progress.seconds_left is None  # what the first took says nothing of the others
    append(tmp_path / "a.log", STEP)
    log.follow()
    assert (progress.epoch, progress.step, progress.best) == (2, 30, None)
    assert progress.seconds_left == pytest.approx(80 * 4 / 16)  # 16 steps in 4 seconds, and 80 are left
    append(tmp_path / "a.log", line("shortened", 110.0, last_step=62))
    log.follow()
    assert progress.seconds_left == pytest.approx(32 * 4 / 16)
    append(tmp_path / "a.log", EPOCH + line("epoch", 130.0, epoch=3, step=90, best=False, valid_perplexity=33.0))
    log.follow()
    assert (progress.epoch, progress.best) == (3, 31.5)


def test_half_a_line_is_read_when_it_is_whole(tmp_path: Path):
    log = Log(tmp_path / "a.log", progress := Progress(9))
    append(tmp_path / "a.log", BEGUN + STEP[:20])
    log.follow()
    assert progress.step == 0
    append(tmp_path / "a.log", STEP[20:])
    log.follow()
    assert progress.step == 30


def test_what_was_said_of_earlier_starts_is_over(tmp_path: Path):
    append(tmp_path / "a.log", BEGUN + STEP + "Error: Gone.\n")
    log = Log(tmp_path / "a.log", progress := Progress(9, best=40.0))
    log.follow()
    assert (progress.step, progress.best, log.complaint) == (0, 40.0, None)


def test_other_lines_are_passed_over_but_the_last_error_is_kept(tmp_path: Path):
    log = Log(tmp_path / "a.log", progress := Progress(9))
    append(
        tmp_path / "a.log", "a note\n[1, 2]\n{}\nnull\n" + line("epoch", 1.0) + "Error: First.\nError: It diverged.\n"
    )
    log.follow()
    assert log.complaint == "It diverged."
    assert progress.step == 0


def test_the_process_of_the_last_start_is_known(tmp_path: Path):
    assert last_process(tmp_path / "a.log") is None
    first, last = (line(STARTED, float(n), process=11 * n, command=["train", str(n)]) for n in (1, 2))
    append(tmp_path / "a.log", first + BEGUN + last + STEP)
    assert last_process(tmp_path / "a.log") == StartedProcess(22, ("train", "2"))
    append(tmp_path / "a.log", '{"event": "started", "proc')  # killed in the middle of it
    assert last_process(tmp_path / "a.log") == StartedProcess(22, ("train", "2"))


needs_proc = pytest.mark.skipif(not Path("/proc").is_dir(), reason="the system does not tell what a process does")


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


@needs_proc
def test_the_process_that_an_earlier_sweep_has_left_is_ended(run: PlannedRun):
    with at_work(run.log, command(run.name), command(run.name)) as left_over:
        sweeping.end_what_is_left_over(run)
        assert left_over.wait(10) == -signal.SIGTERM


@needs_proc
@pytest.mark.parametrize("more", ["2", "/epochs.txt"])
def test_a_process_that_has_got_the_number_since_is_left_alone(run: PlannedRun, more: str):
    """The number in the log is by now that of another process. Its command has the name of the run in a longer word."""
    with at_work(run.log, command(run.name), command(run.name + more)) as other:
        with pytest.raises(StorageError, match="is still training my/rnn-units-16-1 and does not end"):
            sweeping.end_what_is_left_over(run)
        assert other.poll() is None
