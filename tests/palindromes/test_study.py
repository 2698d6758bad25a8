"""The study of palindromes with real workers, which are stopped and killed."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.commands import command_environment
from tests.helpers.playground import wait_until
from wordgen.cli.flags import settings_from
from wordgen.cli.main import main
from wordgen.cli.palindromes import PlainLines, palindromes_parser
from wordgen.palindromes.settings import StudySettings
from wordgen.palindromes.study import Row, job_of, study_rows
from wordgen.palindromes.trainer import PalindromeRun
from wordgen.palindromes.worker import Event, EventWriter, Job, JobReader, Limits, Worker, train
from wordgen.run.folder import is_in_training
from wordgen.run.names import SAVED_MODELS
from wordgen.training.typed_json import to_json

OPTIONS = (
    "--lengths 4 --cells lstm --random-seeds 1 2 --steps 100000 --units 8 --batch-size 16 --optimizer rmsprop "
    "--measure-every 10 --no-stop-when-solved"
)
FLAGS = OPTIONS.split()
STUDY = settings_from(StudySettings, palindromes_parser("x").parse_args(FLAGS))
FIRST_RUN, SECOND_RUN = "lstm-4-1", "lstm-4-2"


def results() -> dict[str, Any]:
    return json.loads((STUDY.folder / "results.json").read_text())


def without_seconds(value: Any) -> Any:
    """The value without the measured seconds, which differ each time."""
    if isinstance(value, list):
        return [without_seconds(each) for each in value]
    if isinstance(value, dict):
        return {name: without_seconds(each) for name, each in value.items() if name != "seconds"}
    return value


def kill_workers_of(monkeypatch: pytest.MonkeyPatch, *runs: str) -> None:
    """Kill the worker as soon as it gets one of these runs."""
    send_job = Worker.send_job

    def send_job_and_kill(worker: Worker, job: Job) -> None:
        send_job(worker, job)
        if job.run.name in runs:
            worker.kill()

    monkeypatch.setattr(Worker, "send_job", send_job_and_kill)


def interrupt_after_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C once a run has trained for a step."""
    sent: list[int] = []

    def interrupt(watcher: PlainLines, rows: Sequence[Row]) -> None:
        if not sent and max(row.step for row in rows) > 0:
            sent.append(os.getpid())
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(PlainLines, "updated", interrupt)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send Ctrl-C to itself alone on Windows")
def test_study_after_ctrl_c_and_kill_equals_uninterrupted_runs(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    kill_workers_of(monkeypatch, FIRST_RUN)
    interrupt_after_first_step(monkeypatch)
    assert main(["palindromes", *FLAGS, "--at-once", "1"]) == 130
    output = " ".join(capsys.readouterr().out.split())
    assert f"{FIRST_RUN}: its process was killed by signal 9; see" in output
    command = f"python -m wordgen palindromes {OPTIONS}"
    assert f"Stopped. All progress is saved. Continue the study: {command}" in output
    first, second = study_rows(STUDY)
    assert (first.state, first.step, second.state) == ("waiting", 0, "waiting")
    assert 0 < second.step < STUDY.steps
    assert not is_in_training(second.folder)

    longer = replace(STUDY, steps=second.step + 25)
    for row in (first, second):  # this process continues both runs
        train(job_of(row, longer), EventWriter(io.StringIO()).write, lambda: False)
    assert main(["palindromes", *OPTIONS.replace("100000", str(longer.steps)).split(), "--json"]) == 0
    stdout, stderr = capsys.readouterr()
    assert "begins" not in stderr
    assert json.loads(stdout) == {**results(), "stopped": False}
    never_stopped = [
        PalindromeRun(row.run, STUDY.learning, in_empty_folder / row.run.name, lambda event: None).train(
            Limits(longer.steps)
        )
        for row in (first, second)
    ]
    expected = [
        {"name": name, **to_json(run)} for name, run in zip((FIRST_RUN, SECOND_RUN), never_stopped, strict=True)
    ]
    assert without_seconds(results()["runs"]) == without_seconds(expected)
    check_result_files(longer)
    check_conflicting_commands_are_refused(capsys)


def check_result_files(study: StudySettings) -> None:
    figures = results()
    assert [len(run["gradients_before"]) for run in figures["runs"]] == [3, 3]
    steps = [*range(10, study.steps, 10), study.steps]
    assert [[point["step"] for point in run["curve"]] for run in figures["runs"]] == [steps, steps]
    (average,) = figures["averages"]
    assert (average["length"], average["cell"], average["parameters"]) == (4, "lstm", 698)
    table = (study.folder / "results.md").read_text()
    assert "| 4 | lstm | 698 |" in table
    assert figures["summary"] in table
    for name in ("accuracy", "length-4"):
        assert (study.folder / f"{name}.png").stat().st_size > 0
        assert (study.folder / f"{name}.svg").stat().st_size > 0


def check_conflicting_commands_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(path for path in SAVED_MODELS.rglob("*") if not path.name.endswith(".lock"))
    assert main(["palindromes", *FLAGS, "--units", "9"]) == 2
    assert "The study palindromes began with --units 8, not --units 9" in capsys.readouterr().err
    assert main(["train", "--corpus", "spells", "--name", "palindromes", "--overwrite"]) == 2
    assert "contains several runs" in capsys.readouterr().err
    assert main(["sweep", "cells", "--name", "palindromes"]) == 2
    assert "There is already a study of palindromes 'palindromes'" in capsys.readouterr().err
    assert sorted(path for path in SAVED_MODELS.rglob("*") if not path.name.endswith(".lock")) == before


def test_study_reports_killed_workers_and_continues(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    kill_workers_of(monkeypatch, FIRST_RUN, SECOND_RUN)
    assert main(["palindromes", *FLAGS, "--at-once", "1"]) == 75
    output = " ".join(capsys.readouterr().out.split())
    assert f"{FIRST_RUN} begins. {FIRST_RUN}: its process was killed by signal 9" in output
    assert f"{SECOND_RUN} begins. {SECOND_RUN}: its process was killed by signal 9" in output
    log = STUDY.folder / "logs" / "worker-1.log"
    assert f"2 runs failed ({FIRST_RUN}: its process was killed by signal 9; see {log})." in output
    assert results()["runs"] == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists child processes in /proc")
def test_worker_ends_when_study_is_killed(in_empty_folder: Path):
    command = [sys.executable, "-m", "wordgen", "palindromes", *FLAGS, "--at-once", "1"]
    with subprocess.Popen(command, env=command_environment(), stdout=subprocess.PIPE, text=True) as study:
        assert study.stdout is not None
        assert any(line.startswith(f"{FIRST_RUN} begins") for line in study.stdout)
        (worker,) = map(int, Path(f"/proc/{study.pid}/task/{study.pid}/children").read_text().split())
        study.kill()
    wait_until(lambda: not is_running(worker), seconds=100)


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_worker_begins_no_run_after_job_stream_ends(in_empty_folder: Path):
    read_end, write_end = os.pipe()
    exits: list[str] = []
    job, second = (job_of(row, STUDY) for row in study_rows(STUDY))
    with os.fdopen(write_end, "w") as writing, os.fdopen(read_end) as reading:
        jobs = JobReader(reading, lambda: exits.append("exit"))
        jobs.started.set()
        print(json.dumps(to_json(job)), file=writing, flush=True)
        assert jobs.next() == job
        assert not jobs.ended.is_set()
        print(json.dumps(to_json(second)), file=writing, flush=True)
        writing.close()
        wait_until(jobs.ended.is_set)
        assert jobs.next() is None  # no other run begins, although one waits
    assert exits == []
    JobReader(io.StringIO(""), lambda: exits.append("exit"))
    wait_until(lambda: exits == ["exit"])  # the stream ended before a start


def test_worker_continues_after_its_study_was_killed():
    """It still has to save a checkpoint."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    output = os.fdopen(write_end, "w")
    EventWriter(output).write(Event("begun", step=0))
    with pytest.raises(BrokenPipeError):
        output.close()


def test_error_in_a_run_is_reported_as_event(in_empty_folder: Path):
    row, _ = study_rows(STUDY)
    row.folder.parent.mkdir(parents=True)
    row.folder.touch()  # a file instead of the folder
    events: list[Event] = []
    train(job_of(row, STUDY), events.append, lambda: False)
    assert events[0].kind == "failed"
    assert str(row.folder) in events[0].sentence
