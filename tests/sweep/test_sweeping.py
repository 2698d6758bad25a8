"""The processes of a sweep, and their logs, which are read while they are written."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.helpers.playground import wait_until
from tests.helpers.saved_runs import make_run
from wordgen.cli.sweep import PlainLines
from wordgen.errors import StorageError
from wordgen.run.listing import saved_sweeps
from wordgen.run.names import SWEEP_RESULTS
from wordgen.sweep import sweeping
from wordgen.sweep.planning import PlannedRun, PlannedSweep
from wordgen.sweep.results import Progress, Row
from wordgen.sweep.sweeping import STARTED, LogReader, StartedProcess, last_started_process


def log_line(event: str, time: float, **more: Any) -> str:
    return json.dumps({"event": event, "time": time, **more}) + "\n"


BEGUN_LINE = log_line("begun", 100.0, first_step=11, last_step=110)
STEP_LINE = log_line("step", 110.0, epoch=2, step=30, first=False)
EPOCH_LINE = log_line("epoch", 120.0, epoch=2, step=60, best=True, valid_perplexity=31.5)


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def test_log_gives_progress_and_time_left(tmp_path: Path):
    log = LogReader(tmp_path / "a.log", progress := Progress(9))
    log.read_new_lines()
    append(tmp_path / "a.log", BEGUN_LINE)
    log.read_new_lines()
    assert progress.seconds_left is None
    append(tmp_path / "a.log", log_line("step", 106.0, epoch=1, step=14, first=True))
    log.read_new_lines()
    assert progress.seconds_left is None  # the first step is slower than the others
    append(tmp_path / "a.log", STEP_LINE)
    log.read_new_lines()
    assert (progress.epoch, progress.step, progress.best) == (2, 30, None)
    assert progress.seconds_left == pytest.approx(80 * 4 / 16)  # 16 steps in 4 seconds, and 80 are left
    append(tmp_path / "a.log", log_line("shortened", 110.0, last_step=62))
    log.read_new_lines()
    assert progress.seconds_left == pytest.approx(32 * 4 / 16)
    append(
        tmp_path / "a.log", EPOCH_LINE + log_line("epoch", 130.0, epoch=3, step=90, best=False, valid_perplexity=33.0)
    )
    log.read_new_lines()
    assert (progress.epoch, progress.best) == (3, 31.5)


def test_incomplete_line_is_read_when_complete(tmp_path: Path):
    log = LogReader(tmp_path / "a.log", progress := Progress(9))
    append(tmp_path / "a.log", BEGUN_LINE + STEP_LINE[:20])
    log.read_new_lines()
    assert progress.step == 0
    append(tmp_path / "a.log", STEP_LINE[20:])
    log.read_new_lines()
    assert progress.step == 30


def test_log_of_earlier_starts_is_ignored(tmp_path: Path):
    append(tmp_path / "a.log", BEGUN_LINE + STEP_LINE + "Error: Gone.\n")
    log = LogReader(tmp_path / "a.log", progress := Progress(9, best=40.0))
    log.read_new_lines()
    assert (progress.step, progress.best, log.error_message) == (0, 40.0, None)


def test_other_lines_are_ignored_except_the_last_error(tmp_path: Path):
    log = LogReader(tmp_path / "a.log", progress := Progress(9))
    append(
        tmp_path / "a.log",
        "a note\n[1, 2]\n{}\nnull\n" + log_line("epoch", 1.0) + "Error: First.\nError: It diverged.\n",
    )
    log.read_new_lines()
    assert log.error_message == "It diverged."
    assert progress.step == 0


def test_last_process_is_that_of_the_last_start(tmp_path: Path):
    assert last_started_process(tmp_path / "a.log") is None
    first, last = (log_line(STARTED, float(n), process=11 * n, command=["train", str(n)]) for n in (1, 2))
    append(tmp_path / "a.log", first + BEGUN_LINE + last + STEP_LINE)
    assert last_started_process(tmp_path / "a.log") == StartedProcess(22, ("train", "2"))
    append(tmp_path / "a.log", '{"event": "started", "proc')  # killed while it wrote this line
    assert last_started_process(tmp_path / "a.log") == StartedProcess(22, ("train", "2"))


def test_stopped_sweep_whose_logs_are_deleted_is_interrupted(
    in_empty_folder: Path, planned: PlannedSweep, monkeypatch: pytest.MonkeyPatch
):
    def stop(rows: Sequence[Row], *_: object) -> bool:
        make_run(rows[0].run.name)
        rows[0].run.log.parent.mkdir()
        return True

    monkeypatch.setattr(sweeping, "_train", stop)
    assert sweeping.run_sweep(planned, "my.toml", 1, 1, PlainLines(Console())).stopped
    shutil.rmtree(planned.runs[0].log.parent)
    assert [(sweep.name, sweep.status, sweep.number_of_runs) for sweep in saved_sweeps()] == [("my", "interrupted", 1)]
    (planned.folder / SWEEP_RESULTS).write_text("{}")
    assert saved_sweeps()[0].status == "interrupted"


needs_proc = pytest.mark.skipif(not Path("/proc").is_dir(), reason="the system has no /proc")


@pytest.fixture
def run(in_empty_folder: Path, planned: PlannedSweep) -> PlannedRun:
    run = planned.runs[0]
    run.log.parent.mkdir(parents=True)
    return run


def command(name: str) -> list[str]:
    """The arguments of a process that looks like the training of a run but only sleeps."""
    return ["-c", "import time; print('begun', flush=True); time.sleep(600)", "train", "--name", name]


@contextmanager
def running_process(log: Path, started: Sequence[str], running: Sequence[str]) -> Generator["subprocess.Popen[bytes]"]:
    """A process that holds a log, with the arguments `running`. The log says that it was started with `started`."""
    with log.open("ab") as file:
        sweeping.lock_file(file.fileno())
        process = subprocess.Popen([sys.executable, *running], stdout=file)
        event = {"event": STARTED, "time": 1.0, "process": process.pid, "command": started}
        file.write(json.dumps(event).encode() + b"\n")
    try:
        wait_until(lambda: b"begun\n" in log.read_bytes())
        yield process
    finally:
        process.kill()
        process.wait()


@needs_proc
def test_process_of_an_earlier_sweep_is_ended(run: PlannedRun):
    with running_process(run.log, command(run.name), command(run.name)) as left_over:
        sweeping.stop_leftover_process(run)
        assert left_over.wait(60) == -signal.SIGTERM


@needs_proc
@pytest.mark.parametrize("suffix", ["2", "/epochs.txt"])
def test_other_process_with_same_id_is_not_ended(run: PlannedRun, suffix: str, monkeypatch: pytest.MonkeyPatch):
    """The process id in the log now belongs to a process whose run name only begins with that of the run."""
    monkeypatch.setattr(sweeping, "_SECONDS_TO_EXIT", 0.5)
    with running_process(run.log, command(run.name), command(run.name + suffix)) as process:
        with pytest.raises(StorageError, match="is still training my/rnn-units-16-1 and does not end"):
            sweeping.stop_leftover_process(run)
        assert process.poll() is None
