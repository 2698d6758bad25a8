"""A run with a time budget computes its number of steps once, and keeps it when it is killed and resumed."""

import json
import re
import shutil
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.helpers.forked import ForkedProcess, forked_process
from tests.helpers.workers import wait_for
from wordgen.cli.main import main
from wordgen.run.record import load_record
from wordgen.training.plan import Schedule
from wordgen.training.settings import TrainingSettings

SMALL = ["--corpus", "spells", "--layers", "1", "--units", "32", "--name", "run"]
BUDGET = ["--precision", "float32", "--time-budget", "12s"]

pytestmark = pytest.mark.slow


def start_training(folder: Path, *more: str) -> AbstractContextManager[ForkedProcess]:
    return forked_process("-m", "wordgen", "train", *more, cwd=folder)


def train(folder: Path, *more: str) -> str:
    """Train successfully and return the standard output."""
    with start_training(folder, *more) as process:
        stdout, stderr = process.communicate(timeout=200)
    assert process.returncode == 0, stderr
    return stdout


def position(folder: Path, step: int) -> dict[str, object]:
    path = folder / "saved_models" / "run" / "checkpoints" / f"step-{step:012d}" / "position.json"
    return json.loads(path.read_text())["position"]


def newest_step(folder: Path) -> int:
    """Return the step of the newest checkpoint, or -1 if there is none."""
    checkpoints = (folder / "saved_models/run/checkpoints").glob("step-*")
    return max((int(each.name.removeprefix("step-")) for each in checkpoints), default=-1)


def test_run_ends_with_time_budget(tmp_path: Path):
    start = time.monotonic()
    output = " ".join(train(tmp_path, *SMALL, "--batch-size", "2", "--patience", "1000", *BUDGET).split())
    assert time.monotonic() - start < 70  # wide, because machines are noisy
    ends = re.findall(r"is enough for ([\d,]+) steps|the run ends after step ([\d,]+) to keep its time budget", output)
    last_step = int("".join(ends[-1]).replace(",", ""))
    assert "Done (time budget used up)" in output
    assert load_record(tmp_path / "saved_models" / "run").epochs[-1].step == last_step


def test_resume_after_kill_keeps_step_count_and_schedule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    cosine = ["--schedule", "cosine", "--patience", "1000", "--checkpoint-every", "40"]
    with start_training(tmp_path, *SMALL, *cosine, *BUDGET) as process:
        wait_for(lambda: newest_step(tmp_path) > 0, [process])
        process.kill()
    step = newest_step(tmp_path)
    last_step = position(tmp_path, step)["last_step"]
    assert isinstance(last_step, int)
    assert last_step > step > 0
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--resume", "run", "--epochs", "1000000"]) == 2
    assert "has a time budget of 12s" in capsys.readouterr().err
    with forked_process("-c", RESUME_AND_PRINT_RATES, cwd=tmp_path) as process:
        stdout, stderr = process.communicate(timeout=200)
    assert process.returncode == 0, stderr
    rates = {int(number): float(rate) for number, rate in (line.split() for line in stdout.splitlines())}
    assert list(rates) == list(range(step + 1, last_step + 1))
    schedule = Schedule(TrainingSettings(schedule="cosine"), 40, last_step)
    assert rates == {number: schedule.rate(number, []) for number in rates}
    assert rates[last_step] == pytest.approx(0.001 * 0.02)


RESUME_AND_PRINT_RATES = """
import math

import wordgen
from wordgen.api import resume_with
from wordgen.training import loop

loop._BUDGET_TOLERANCE = math.inf  # a busy machine must not shorten the run

class Rates(wordgen.Observer):
    def stepped(self, report):
        print(report.step, report.learning_rate)

resume_with("run", None, [Rates()])
"""


def test_too_short_time_budget_is_refused(tmp_path: Path):
    with start_training(tmp_path, *SMALL, "--time-budget", "0.2s") as process:
        _, stderr = process.communicate(timeout=200)
    assert process.returncode == 2, stderr
    assert "--time-budget 0.2s is too short" in stderr
    assert not list((tmp_path / "saved_models").glob("*"))


def test_dry_run_shows_plan_and_writes_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    output = train(tmp_path, *SMALL, "--dry-run")
    for part in ("parameters", "tokens/s", "GiB in use", "one epoch", "480 steps", "No model was trained"):
        assert part in output, part
    assert not (tmp_path / "saved_models").exists()
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--dry-run", "--resume"]) == 2
    assert "--dry-run plans a new run" in capsys.readouterr().err


def other_precision() -> str:
    """Return the precision that `auto` does not choose on this machine."""
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    return "float32" if {"avx512_bf16", "amx_bf16"} & set(flags) else "bfloat16"


@pytest.fixture(scope="module")
def started_with_resume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch that --resume has started, because no run had its name."""
    folder = tmp_path_factory.mktemp("started")
    output = train(folder, *SMALL, "--epochs", "1", "--precision", other_precision(), "--resume")
    assert "epoch 1:" in output
    return folder


def test_resume_with_settings_starts_run_only_if_it_is_missing(
    started_with_resume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(shutil.copytree(started_with_resume, tmp_path / "folder"))
    assert main(["train", *SMALL, "--epochs", "1", "--precision", other_precision(), "--resume"]) == 0
    assert "epoch 1:" not in capsys.readouterr().out
    assert main(["train", "--resume", "--name", "nobody"]) == 2


def test_resume_keeps_precision(
    started_with_resume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Also if another precision is the default on this machine."""
    folder = shutil.copytree(started_with_resume, tmp_path / "folder")
    precision = other_precision()
    report = json.loads((folder / "saved_models" / "run" / "report.json").read_text())
    assert report["settings"]["precision"] == precision
    another = "float32" if precision == "bfloat16" else "bfloat16"
    monkeypatch.chdir(folder)
    assert main(["train", "--resume", "run", "--epochs", "2", "--precision", another]) == 2
    assert f"began with --precision {precision}, not --precision {another}" in capsys.readouterr().err
    assert f"in {precision}" in train(folder, "--resume", "run", "--epochs", "2", "--precision", "auto")
