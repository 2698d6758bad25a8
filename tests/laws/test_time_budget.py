"""A run with a time budget settles its steps once, ends with them, and keeps both when it is killed and resumed."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import command_environment, run_command
from wordgen.training.schedule import Schedule
from wordgen.training.settings import TrainingSettings

SMALL = ["--corpus", "spells", "--layers", "1", "--units", "32", "--precision", "float32", "--name", "run"]
COSINE = ["--schedule", "cosine", "--patience", "1000"]

pytestmark = pytest.mark.slow


def position(room: Path, step: int) -> dict[str, object]:
    path = room / "saved_models" / "run" / "checkpoints" / f"step-{step:012d}" / "position.json"
    return json.loads(path.read_text())["position"]


def newest_step(room: Path) -> int:
    """-1 where there is none yet."""
    places = (room / "saved_models/run/checkpoints").glob("step-*")
    return max((int(each.name.removeprefix("step-")) for each in places), default=-1)


def test_it_is_about_as_long_as_the_budget(tmp_path: Path):
    began = time.monotonic()
    ended = run_command("train", *SMALL, *COSINE, "--time-budget", "30s", cwd=tmp_path)
    took = time.monotonic() - began
    assert ended.returncode == 0, ended.stderr
    assert 15 < took < 80  # machines are noisy; that it is neither at once nor for ever is what counts here
    assert "Steps that 30s are enough for" in ended.stdout
    assert "Done (the time is up)" in ended.stdout


def test_one_that_was_still_getting_better_is_told_what_would_have_given_it_more(tmp_path: Path):
    slow = ["--batch-size", "2", "--learning-rate", "0.00005"]  # some epochs, and each a little better
    ended = run_command("train", *SMALL, *slow, "--time-budget", "30s", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    told = " ".join(ended.stdout.split())
    assert "still getting better when it ended. For a better one train anew with --time-budget 60s." in told


def test_killed_and_resumed_it_keeps_its_steps_and_its_schedule(tmp_path: Path):
    command = [sys.executable, "-m", "wordgen", "train", *SMALL, *COSINE, "--time-budget", "40s"]
    checkpoints = tmp_path / "saved_models" / "run" / "checkpoints"
    with subprocess.Popen(
        [*command, "--checkpoint-every", "40"], cwd=tmp_path, env=command_environment(), stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None and not (checkpoints.exists() and newest_step(tmp_path) > 0):
            time.sleep(0.01)
        process.kill()
    step = newest_step(tmp_path)
    settled = position(tmp_path, step)["last_step"]
    assert isinstance(settled, int)
    assert settled > step > 0
    longer = run_command("train", "--resume", "run", "--epochs", "1000000", cwd=tmp_path)
    assert longer.returncode == 2
    assert "has a time budget of 40s" in longer.stderr
    resumed = subprocess.run(
        [sys.executable, "-c", RECORDER], cwd=tmp_path, env=command_environment(), capture_output=True, text=True,
        timeout=200, check=True,
    )  # fmt: skip
    rates = {int(number): float(rate) for number, rate in (line.split() for line in resumed.stdout.splitlines())}
    assert list(rates) == list(range(step + 1, settled + 1))
    schedule = Schedule(TrainingSettings(schedule="cosine"), 40, settled)
    assert rates == {number: schedule.rate(number, []) for number in rates}
    assert rates[settled] == pytest.approx(0.001 * 0.02)


RECORDER = """
import wordgen
from wordgen.runs import resume_with

class Rates(wordgen.Observer):
    def stepped(self, report):
        print(report.step, report.learning_rate)

resume_with("run", None, [Rates()])
"""


def test_a_budget_that_is_over_before_the_first_step_is_refused(tmp_path: Path):
    ended = run_command("train", *SMALL, "--time-budget", "1s", cwd=tmp_path)
    assert ended.returncode == 2
    assert "--time-budget 1s is too short" in ended.stderr
    assert not list((tmp_path / "saved_models").glob("*"))


def test_a_dry_run_measures_and_leaves_nothing(tmp_path: Path):
    ended = run_command("train", *SMALL, "--dry-run", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    for part in ("parameters", "tokens/s", "GiB in use", "an epoch", "480 steps", "Nothing was learned"):
        assert part in ended.stdout, part
    assert not (tmp_path / "saved_models").exists()
    assert run_command("train", "--dry-run", "--resume", cwd=tmp_path).returncode == 2


def test_a_name_that_is_to_go_on_begins_where_there_is_no_such_run(tmp_path: Path):
    command = ("train", *SMALL, "--epochs", "1", "--resume")
    first = run_command(*command, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "epoch 1:" in first.stdout
    again = run_command(*command, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "epoch 1:" not in again.stdout
    assert run_command("train", "--resume", "--name", "nobody", cwd=tmp_path).returncode == 2


def test_a_run_keeps_its_precision(tmp_path: Path):
    begun = run_command("train", *SMALL[:-4], "--precision", "bfloat16", "--name", "run", "--epochs", "1", cwd=tmp_path)
    assert begun.returncode == 0, begun.stderr
    assert "in bfloat16" in begun.stdout
    refused = run_command("train", "--resume", "run", "--epochs", "2", "--precision", "float32", cwd=tmp_path)
    assert "begun with --precision bfloat16 and not float32" in refused.stderr
    resumed = run_command("train", "--resume", "run", "--epochs", "2", "--precision", "auto", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "in bfloat16" in resumed.stdout
    auto = run_command("train", *SMALL[:-4], "--name", "auto", "--epochs", "1", cwd=tmp_path)
    assert auto.returncode == 0
    report = json.loads((tmp_path / "saved_models" / "auto" / "report.json").read_text())
    assert report["settings"]["precision"] in ("float32", "bfloat16")
    assert f"in {report['settings']['precision']}" in auto.stdout
