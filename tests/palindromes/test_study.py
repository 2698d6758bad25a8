"""The study as its users run it: with real workers, stopped and killed, and the figures of runs that never were."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.commands import command_environment
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
ONE, OTHER = "lstm-4-1", "lstm-4-2"
PATIENCE = 100
"""Seconds."""


def until(happened: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < ends, what
        time.sleep(0.01)


def results() -> dict[str, Any]:
    return json.loads((STUDY.folder / "results.json").read_text())


def without_times(told: Any) -> Any:
    """All figures but those that a clock says."""
    if isinstance(told, list):
        return [without_times(each) for each in told]
    if isinstance(told, dict):
        return {name: without_times(value) for name, value in told.items() if name != "seconds"}
    return told


def kill_the_workers_of(monkeypatch: pytest.MonkeyPatch, *runs: str) -> None:
    """Each of these runs is lost: its worker is killed as soon as it has it."""
    begin = Worker.begin

    def begin_and_kill(worker: Worker, job: Job) -> None:
        begin(worker, job)
        if job.run.name in runs:
            worker.kill()

    monkeypatch.setattr(Worker, "begin", begin_and_kill)


def stop_after_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C, once a run has trained for a step."""
    pressed: list[int] = []

    def looked(watcher: PlainLines, rows: Sequence[Row]) -> None:
        if not pressed and max(row.step for row in rows) > 0:
            pressed.append(os.getpid())
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(PlainLines, "looked", looked)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there a process cannot send Ctrl-C to itself alone")
def test_stopped_and_with_a_worker_killed_it_ends_with_the_figures_of_runs_that_never_were(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    kill_the_workers_of(monkeypatch, ONE)
    stop_after_a_step(monkeypatch)
    assert main(["palindromes", *FLAGS, "--at-once", "1"]) == 130
    out = " ".join(capsys.readouterr().out.split())
    assert f"{ONE}: its process was killed by signal 9; see" in out
    command = f"python -m wordgen palindromes {OPTIONS}"
    assert f"Stopped. All progress is saved. Continue the study: {command}" in out
    one, other = study_rows(STUDY)
    assert (one.state, one.step, other.state) == ("waiting", 0, "waiting")
    assert 0 < other.step < STUDY.steps
    assert not is_in_training(other.folder)

    longer = replace(STUDY, steps=other.step + 25)
    for row in (one, other):  # as another process goes on with them: this one
        train(job_of(row, longer), EventWriter(io.StringIO()).write, lambda: False)
    assert main(["palindromes", *OPTIONS.replace("100000", str(longer.steps)).split(), "--json"]) == 0
    told, errors = capsys.readouterr()
    assert "begins" not in errors
    assert json.loads(told) == {**results(), "stopped": False}
    never_stopped = [
        PalindromeRun(row.run, STUDY.learning, in_empty_folder / row.run.name, lambda event: None).train(
            Limits(longer.steps)
        )
        for row in (one, other)
    ]
    expected = [{"name": name, **to_json(run)} for name, run in zip((ONE, OTHER), never_stopped, strict=True)]
    assert without_times(results()["runs"]) == without_times(expected)
    check_figures_table_and_plots(longer)
    check_other_settings_and_other_work_are_refused(capsys)


def check_figures_table_and_plots(study: StudySettings) -> None:
    told = results()
    assert [len(run["gradients_before"]) for run in told["runs"]] == [3, 3]
    steps = [*range(10, study.steps, 10), study.steps]
    assert [[point["step"] for point in run["curve"]] for run in told["runs"]] == [steps, steps]
    (average,) = told["averages"]
    assert (average["length"], average["cell"], average["parameters"]) == (4, "lstm", 698)
    table = (study.folder / "results.md").read_text()
    assert "| 4 | lstm | 698 |" in table
    assert told["summary"] in table
    for name in ("accuracy", "length-4"):
        assert (study.folder / f"{name}.png").stat().st_size > 0
        assert (study.folder / f"{name}.svg").stat().st_size > 0


def check_other_settings_and_other_work_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(path for path in SAVED_MODELS.rglob("*") if not path.name.endswith(".lock"))
    assert main(["palindromes", *FLAGS, "--units", "9"]) == 2
    assert "The study palindromes began with --units 8, and not with --units 9" in capsys.readouterr().err
    assert main(["train", "--corpus", "spells", "--name", "palindromes", "--overwrite"]) == 2
    assert "contains several runs" in capsys.readouterr().err
    assert main(["sweep", "cells", "--name", "palindromes"]) == 2
    assert "There is already a study of palindromes 'palindromes'" in capsys.readouterr().err
    assert sorted(path for path in SAVED_MODELS.rglob("*") if not path.name.endswith(".lock")) == before


def test_runs_whose_workers_are_lost_are_named_and_the_others_go_on(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    kill_the_workers_of(monkeypatch, ONE, OTHER)
    assert main(["palindromes", *FLAGS, "--at-once", "1"]) == 75
    out = " ".join(capsys.readouterr().out.split())
    assert f"{ONE} begins. {ONE}: its process was killed by signal 9" in out
    assert f"{OTHER} begins. {OTHER}: its process was killed by signal 9" in out
    log = STUDY.folder / "logs" / "worker-1.log"
    assert f"2 runs failed ({ONE}: its process was killed by signal 9; see {log})." in out
    assert results()["runs"] == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a process's children in /proc")
def test_a_worker_whose_study_was_killed_leaves(in_empty_folder: Path):
    command = [sys.executable, "-m", "wordgen", "palindromes", *FLAGS, "--at-once", "1"]
    with subprocess.Popen(command, env=command_environment(), stdout=subprocess.PIPE, text=True) as study:
        assert study.stdout is not None
        assert any(line.startswith(f"{ONE} begins") for line in study.stdout)
        (worker,) = map(int, Path(f"/proc/{study.pid}/task/{study.pid}/children").read_text().split())
        study.kill()
    until(lambda: not is_at_work(worker), "the worker has left")


def is_at_work(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_worker_reads_jobs_and_where_their_stream_ends_it_stops(in_empty_folder: Path):
    ours, theirs = os.pipe()
    left: list[str] = []
    job, other = (job_of(row, STUDY) for row in study_rows(STUDY))
    with os.fdopen(theirs, "w") as writing, os.fdopen(ours) as reading:
        jobs = JobReader(reading, lambda: left.append("left"))
        jobs.started.set()
        print(json.dumps(to_json(job)), file=writing, flush=True)
        assert jobs.next() == job
        assert not jobs.ended.is_set()
        print(json.dumps(to_json(other)), file=writing, flush=True)
        writing.close()
        until(jobs.ended.is_set, "the stream has ended")
        assert jobs.next() is None  # it begins no other run, even where one waits
    assert left == []
    JobReader(io.StringIO(""), lambda: left.append("left"))
    until(lambda: left == ["left"], "without a start it leaves at once")


def test_an_error_in_a_run_is_an_event_and_not_the_end_of_the_worker(in_empty_folder: Path):
    row, _ = study_rows(STUDY)
    row.folder.parent.mkdir(parents=True)
    row.folder.touch()  # a file is in the place of the folder of the run
    events: list[Event] = []
    train(job_of(row, STUDY), events.append, lambda: False)
    assert events[0].kind == "failed"
    assert str(row.folder) in events[0].sentence
