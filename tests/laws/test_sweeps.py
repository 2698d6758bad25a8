"""A sweep that was stopped and killed, and its runs too, has the table of one that never was, to the digit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData  # pyright: ignore

from tests.helpers.commands import command_environment
from tests.helpers.curves import curve, events
from wordgen.sweep.sweeping import last_process
from wordgen.training.tensorboard import PERPLEXITY

FILE = """
about = "Two cells, for a law."

[settings]
corpus = "spells"
layers = 1
units = 12
batch_size = 8
epochs = 5
patience = 5
copy_index = false
checkpoint_every = "30"

[grid]
cell = ["rnn", "gru"]
"""
FOLDER = Path("saved_models", "two")
RUNS = ("rnn-1", "gru-1")

pytestmark = pytest.mark.slow


def start(room: Path) -> "subprocess.Popen[str]":
    (room / "two.toml").write_text(FILE)
    return subprocess.Popen(
        [sys.executable, "-m", "wordgen", "sweep", "two.toml", "--at-once", "2"],
        cwd=room,
        env=command_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def results(room: Path) -> dict[str, Any]:
    return json.loads((room / FOLDER / "results.json").read_text())


def log(room: Path, run: str) -> Path:
    return room / FOLDER / "logs" / f"{run}.log"


def times_told(room: Path, run: str, event: str) -> int:
    return log(room, run).read_text().count(f'"event": "{event}"') if log(room, run).exists() else 0


def until_told(room: Path, run: str, event: str, times: int) -> None:
    ends = time.monotonic() + 120
    while times_told(room, run, event) < times:
        assert time.monotonic() < ends, f"{run} has not come to {event}"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("whole")
    with start(room) as sweep:
        out, errors = sweep.communicate(timeout=200)
    assert (sweep.returncode, errors) == (0, "")
    assert "The best network is " in out
    return room


def test_it_leaves_table_figures_curves_and_runs_that_can_write(never_stopped: Path):
    told = results(never_stopped)
    assert told["command"] == "python -m wordgen sweep two.toml"
    assert [run["epochs"] for run in told["runs"]] == [5, 5]
    best = told["networks"][0]
    assert best["valid_perplexity"]["mean"] < told["networks"][1]["valid_perplexity"]["mean"]
    assert best["test_perplexity"]["mean"] == pytest.approx(best["valid_perplexity"]["mean"], rel=0.2)
    assert (
        f"| {best['name']} | {best['valid_perplexity']['mean']:.1f} |"
        in (never_stopped / FOLDER / "results.md").read_text()
    )
    for name in ("curves.png", "curves.svg", "rnn-1/weights.safetensors", "gru-1/report.html"):
        assert (never_stopped / FOLDER / name).stat().st_size > 0
    for run in told["runs"]:
        told_to_tensorboard = [
            value for _, value in curve(never_stopped / "saved_models" / run["name"] / "valid", PERPLEXITY)
        ]
        assert told_to_tensorboard == pytest.approx(run["valid_perplexities"])


def test_the_hparams_tab_has_the_settings_of_each_run(never_stopped: Path):
    for run, cell in (("rnn-1", "rnn"), ("gru-1", "gru")):
        summary = events(never_stopped / FOLDER / run).SummaryMetadata("_hparams_/session_start_info")
        told: Any = HParamsPluginData.FromString(summary.plugin_data.content).session_start_info
        assert told.group_name == f"two/{run}"
        assert told.hparams["cell"].string_value == cell
        assert told.hparams["random_seed"].number_value == 1


def test_the_same_command_again_starts_nothing_and_says_the_same(never_stopped: Path):
    before = without_times(results(never_stopped))
    starts = [times_told(never_stopped, run, "started") for run in RUNS]
    with start(never_stopped) as sweep:
        sweep.communicate(timeout=100)
    assert sweep.returncode == 0
    assert starts == [1, 1] == [times_told(never_stopped, run, "started") for run in RUNS]
    assert without_times(results(never_stopped)) == before


def test_stopped_killed_and_its_runs_killed_it_is_the_same_to_the_digit(never_stopped: Path, tmp_path: Path):
    with start(tmp_path) as sweep:
        for run in RUNS:
            until_told(tmp_path, run, "epoch", 1)
        sweep.send_signal(signal.SIGINT)
        out, _ = sweep.communicate(timeout=100)
    assert sweep.returncode == 130
    assert "Continue the sweep:  python -m wordgen sweep two.toml" in out
    assert not (tmp_path / FOLDER / "results.json").exists()
    assert [times_told(tmp_path, run, "ended") for run in RUNS] == [1, 1]  # they stopped well, with checkpoints

    with start(tmp_path) as sweep:
        until_told(tmp_path, "gru-1", "step", 1 + times_told(tmp_path, "gru-1", "step"))
        victim = last_process(log(tmp_path, "gru-1"))
        assert victim is not None
        os.kill(victim.id, signal.SIGKILL)
        out, _ = sweep.communicate(timeout=100)
    assert sweep.returncode == 75
    assert "1 run was lost" in out
    lost = next(run for run in results(tmp_path)["runs"] if run["network"] == "gru")
    assert (lost["status"], lost["note"]) == ("interrupted", "killed by signal 9")
    assert [network["counted"] for network in results(tmp_path)["networks"]] == [1, 0]

    with start(tmp_path) as sweep:
        until_told(tmp_path, "gru-1", "begun", 3)
        sweep.kill()
    left_over = last_process(log(tmp_path, "gru-1"))
    with start(tmp_path) as sweep:
        out, errors = sweep.communicate(timeout=100)
    assert (sweep.returncode, errors) == (0, "")
    assert left_over is not None
    assert not Path(f"/proc/{left_over.id}").exists() or sys.platform != "linux"
    assert without_times(results(tmp_path)) == without_times(results(never_stopped))


def without_times(told: Any) -> Any:
    """All figures but those that a clock says."""
    if isinstance(told, list):
        return [without_times(each) for each in told]
    if isinstance(told, dict):
        return {name: without_times(value) for name, value in told.items() if name not in ("seconds", "date")}
    return told
