"""A sweep that was stopped and killed gives exactly the same results as an uninterrupted sweep."""

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
from tests.helpers.tensorboard import curve, events
from wordgen.sweep.sweeping import last_started_process
from wordgen.training.tensorboard import PERPLEXITY

FILE = """
about = "Two cells."

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


def start(folder: Path) -> "subprocess.Popen[str]":
    (folder / "two.toml").write_text(FILE)
    return subprocess.Popen(
        [sys.executable, "-m", "wordgen", "sweep", "two.toml", "--at-once", "2"],
        cwd=folder,
        env=command_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / FOLDER / "results.json").read_text())


def log(folder: Path, run: str) -> Path:
    return folder / FOLDER / "logs" / f"{run}.log"


def count_events(folder: Path, run: str, event: str) -> int:
    return log(folder, run).read_text().count(f'"event": "{event}"') if log(folder, run).exists() else 0


def wait_for_events(folder: Path, run: str, event: str, times: int) -> None:
    deadline = time.monotonic() + 120
    while count_events(folder, run, event) < times:
        assert time.monotonic() < deadline, f"{run} has no event {event}"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    with start(folder) as sweep:
        stdout, stderr = sweep.communicate(timeout=200)
    assert (sweep.returncode, stderr) == (0, "")
    assert "The best network is " in stdout
    return folder


def test_sweep_writes_table_results_curves_and_runs(uninterrupted: Path):
    saved = results(uninterrupted)
    assert saved["command"] == "python -m wordgen sweep two.toml"
    assert [run["epochs"] for run in saved["runs"]] == [5, 5]
    best = saved["networks"][0]
    assert best["valid_perplexity"]["mean"] < saved["networks"][1]["valid_perplexity"]["mean"]
    assert best["test_perplexity"]["mean"] == pytest.approx(best["valid_perplexity"]["mean"], rel=0.2)
    assert (
        f"| {best['name']} | {best['valid_perplexity']['mean']:.1f} |"
        in (uninterrupted / FOLDER / "results.md").read_text()
    )
    for name in ("curves.png", "curves.svg", "rnn-1/weights.safetensors", "gru-1/report.html"):
        assert (uninterrupted / FOLDER / name).stat().st_size > 0
    for run in saved["runs"]:
        logged = [value for _, value in curve(uninterrupted / "saved_models" / run["name"] / "valid", PERPLEXITY)]
        assert logged == pytest.approx(run["valid_perplexities"])


def test_hparams_tab_has_settings_of_each_run(uninterrupted: Path):
    for run, cell in (("rnn-1", "rnn"), ("gru-1", "gru")):
        summary = events(uninterrupted / FOLDER / run).SummaryMetadata("_hparams_/session_start_info")
        session: Any = HParamsPluginData.FromString(summary.plugin_data.content).session_start_info
        assert session.group_name == f"two/{run}"
        assert session.hparams["cell"].string_value == cell
        assert session.hparams["random_seed"].number_value == 1


def test_repeated_command_starts_no_run_and_gives_same_results(uninterrupted: Path):
    before = without_seconds_and_dates(results(uninterrupted))
    starts = [count_events(uninterrupted, run, "started") for run in RUNS]
    with start(uninterrupted) as sweep:
        sweep.communicate(timeout=100)
    assert sweep.returncode == 0
    assert starts == [1, 1] == [count_events(uninterrupted, run, "started") for run in RUNS]
    assert without_seconds_and_dates(results(uninterrupted)) == before


def test_results_after_stop_and_kills_equal_uninterrupted_sweep(uninterrupted: Path, tmp_path: Path):
    with start(tmp_path) as sweep:
        for run in RUNS:
            wait_for_events(tmp_path, run, "epoch", 1)
        sweep.send_signal(signal.SIGINT)
        stdout, _ = sweep.communicate(timeout=100)
    assert sweep.returncode == 130
    assert "Continue the sweep:  python -m wordgen sweep two.toml" in stdout
    assert not (tmp_path / FOLDER / "results.json").exists()
    assert [count_events(tmp_path, run, "ended") for run in RUNS] == [1, 1]  # both stopped with a checkpoint

    with start(tmp_path) as sweep:
        wait_for_events(tmp_path, "gru-1", "step", 1 + count_events(tmp_path, "gru-1", "step"))
        victim = last_started_process(log(tmp_path, "gru-1"))
        assert victim is not None
        os.kill(victim.id, signal.SIGKILL)
        stdout, _ = sweep.communicate(timeout=100)
    assert sweep.returncode == 75
    assert "1 run was lost" in stdout
    lost = next(run for run in results(tmp_path)["runs"] if run["network"] == "gru")
    assert (lost["status"], lost["note"]) == ("interrupted", "killed by signal 9")
    assert [network["completed_runs"] for network in results(tmp_path)["networks"]] == [1, 0]

    with start(tmp_path) as sweep:
        wait_for_events(tmp_path, "gru-1", "begun", 3)
        sweep.kill()
    leftover = last_started_process(log(tmp_path, "gru-1"))
    with start(tmp_path) as sweep:
        _, stderr = sweep.communicate(timeout=100)
    assert (sweep.returncode, stderr) == (0, "")
    assert leftover is not None
    assert not Path(f"/proc/{leftover.id}").exists() or sys.platform != "linux"
    assert without_seconds_and_dates(results(tmp_path)) == without_seconds_and_dates(results(uninterrupted))


def without_seconds_and_dates(value: Any) -> Any:
    if isinstance(value, list):
        return [without_seconds_and_dates(each) for each in value]
    if isinstance(value, dict):
        return {
            name: without_seconds_and_dates(each) for name, each in value.items() if name not in ("seconds", "date")
        }
    return value
