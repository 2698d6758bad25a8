"""A run with a time budget settles its steps once, ends with them, and keeps both when it is killed and resumed."""

import json
import shutil
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.helpers.forked import ForkedProcess, forked_alone
from tests.helpers.workers import wait_for
from wordgen.cli.main import main
from wordgen.training.plan import Schedule
from wordgen.training.settings import TrainingSettings

SMALL = ["--corpus", "spells", "--layers", "1", "--units", "32", "--name", "run"]
BUDGET = ["--precision", "float32", "--time-budget", "12s"]

pytestmark = pytest.mark.slow


def training(room: Path, *more: str) -> AbstractContextManager[ForkedProcess]:
    return forked_alone("-m", "wordgen", "train", *more, room=room)


def trained(room: Path, *more: str) -> str:
    """What the command shows, which ends well."""
    with training(room, *more) as process:
        shown, complaint = process.communicate(timeout=200)
    assert process.returncode == 0, complaint
    return shown


def position(room: Path, step: int) -> dict[str, object]:
    path = room / "saved_models" / "run" / "checkpoints" / f"step-{step:012d}" / "position.json"
    return json.loads(path.read_text())["position"]


def newest_step(room: Path) -> int:
    """-1 where there is none yet."""
    places = (room / "saved_models/run/checkpoints").glob("step-*")
    return max((int(each.name.removeprefix("step-")) for each in places), default=-1)


def test_it_is_about_as_long_as_the_budget_and_told_what_would_have_given_it_more(tmp_path: Path):
    slow = ["--batch-size", "2", "--learning-rate", "0.00005"]  # some epochs, and each a little better
    began = time.monotonic()
    shown = trained(tmp_path, *SMALL, *slow, *BUDGET)
    assert 5 < time.monotonic() - began < 70  # machines are noisy: it is neither at once nor for ever
    assert "The time budget of 12s is enough for" in shown
    assert "Done (time budget used up)" in shown
    told = " ".join(shown.split())
    assert "still improving when the run ended. For a better model, train a new run with --time-budget 24s." in told


def test_killed_and_resumed_it_keeps_its_steps_and_its_schedule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    cosine = ["--schedule", "cosine", "--patience", "1000", "--checkpoint-every", "40"]
    with training(tmp_path, *SMALL, *cosine, *BUDGET) as process:
        wait_for(lambda: newest_step(tmp_path) > 0, [process])
        process.kill()
    step = newest_step(tmp_path)
    settled = position(tmp_path, step)["last_step"]
    assert isinstance(settled, int)
    assert settled > step > 0
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--resume", "run", "--epochs", "1000000"]) == 2
    assert "has a time budget of 12s" in capsys.readouterr().err
    with forked_alone("-c", RECORDER, room=tmp_path) as process:
        shown, complaint = process.communicate(timeout=200)
    assert process.returncode == 0, complaint
    rates = {int(number): float(rate) for number, rate in (line.split() for line in shown.splitlines())}
    assert list(rates) == list(range(step + 1, settled + 1))
    schedule = Schedule(TrainingSettings(schedule="cosine"), 40, settled)
    assert rates == {number: schedule.rate(number, []) for number in rates}
    assert rates[settled] == pytest.approx(0.001 * 0.02)


RECORDER = """
import math

import wordgen
from wordgen.api import resume_with
from wordgen.training import loop

loop._TOLERATED = math.inf  # so that a busy machine does not shorten the run

class Rates(wordgen.Observer):
    def stepped(self, report):
        print(report.step, report.learning_rate)

resume_with("run", None, [Rates()])
"""


def test_a_budget_that_is_over_before_the_first_step_is_refused(tmp_path: Path):
    with training(tmp_path, *SMALL, "--time-budget", "0.2s") as process:
        _, complaint = process.communicate(timeout=200)
    assert process.returncode == 2, complaint
    assert "--time-budget 0.2s is too short" in complaint
    assert not list((tmp_path / "saved_models").glob("*"))


def test_a_dry_run_measures_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    shown = trained(tmp_path, *SMALL, "--dry-run")
    for part in ("parameters", "tokens/s", "GiB in use", "one epoch", "480 steps", "No model was trained"):
        assert part in shown, part
    assert not (tmp_path / "saved_models").exists()
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--dry-run", "--resume"]) == 2
    assert "--dry-run plans a new run" in capsys.readouterr().err


def other_precision() -> str:
    """The one that `auto` does not take here."""
    facts = Path("/proc/cpuinfo")
    flags = facts.read_text().split() if facts.exists() else []
    return "float32" if {"avx512_bf16", "amx_bf16"} & set(flags) else "bfloat16"


@pytest.fixture(scope="module")
def begun_by_resume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch that was to go on, and was not there."""
    room = tmp_path_factory.mktemp("begun")
    shown = trained(room, *SMALL, "--epochs", "1", "--precision", other_precision(), "--resume")
    assert "epoch 1:" in shown
    return room


def test_a_name_that_is_to_go_on_begins_where_there_is_no_such_run(
    begun_by_resume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(shutil.copytree(begun_by_resume, tmp_path / "room"))
    assert main(["train", *SMALL, "--epochs", "1", "--precision", other_precision(), "--resume"]) == 0
    assert "epoch 1:" not in capsys.readouterr().out
    assert main(["train", "--resume", "--name", "nobody"]) == 2


def test_a_run_keeps_its_precision(
    begun_by_resume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Also where the hardware would have another."""
    room = shutil.copytree(begun_by_resume, tmp_path / "room")
    kept = other_precision()
    report = json.loads((room / "saved_models" / "run" / "report.json").read_text())
    assert report["settings"]["precision"] == kept
    another = "float32" if kept == "bfloat16" else "bfloat16"
    monkeypatch.chdir(room)
    assert main(["train", "--resume", "run", "--epochs", "2", "--precision", another]) == 2
    assert f"began with --precision {kept}, not {another}" in capsys.readouterr().err
    assert f"in {kept}" in trained(room, "--resume", "run", "--epochs", "2", "--precision", "auto")
