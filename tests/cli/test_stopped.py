"""Training by the real command that is stopped by real signals, or killed."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Command, command_environment

SMALL = ["--corpus", "spells", "--layers", "1", "--units", "32"]


def start_long_training(room: Path, *more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "wordgen",
            "train",
            *SMALL,
            "--epochs",
            "100000",
            "--patience",
            "100000",
            "--name",
            "long",
            *more,
        ],
        cwd=room,
        env=command_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: "subprocess.Popen[str]", words: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(f"it ended before it said '{words}'")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_cleanly_and_keeps_the_best(tmp_path: Path, number: int):
    with start_long_training(tmp_path) as process:
        wait_for(process, "epoch 2:")
        process.send_signal(number)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopping after this step" in out
    assert "Stopped as you asked" in out
    assert "wordgen train --resume long" in out
    assert error == ""
    assert (tmp_path / "saved_models" / "long" / "weights.safetensors").exists()
    assert json.loads((tmp_path / "saved_models" / "long" / "report.json").read_text())["ended"] == "stopped"


def test_stopped_in_its_first_epoch_it_keeps_what_it_has(tmp_path: Path):
    with start_long_training(tmp_path) as process:
        wait_for(process, "step 1/40")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert (tmp_path / "saved_models" / "long" / "config.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_before_it_begins_it_leaves_nothing(tmp_path: Path, number: int):
    with start_long_training(tmp_path) as process:
        wait_for(process, "Starting TensorFlow")
        time.sleep(0.3)
        process.send_signal(number)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == ""
    assert "No model of this run is kept" in out
    assert not (tmp_path / "saved_models").exists()


def train_one_epoch(command: Command, tmp_path: Path) -> bytes:
    assert command("train", *SMALL, "--epochs", "1", "--name", "long").returncode == 0
    return (tmp_path / "saved_models" / "long" / "weights.safetensors").read_bytes()


def test_stopped_in_its_first_epoch_it_does_not_replace_a_whole_run(command: Command, tmp_path: Path):
    before = train_one_epoch(command, tmp_path)
    with start_long_training(tmp_path, "--overwrite") as process:
        wait_for(process, "step 1/40")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the run that it would have replaced is back" in " ".join(out.split())
    assert (tmp_path / "saved_models" / "long" / "weights.safetensors").read_bytes() == before
    assert [path.name for path in (tmp_path / "saved_models").iterdir()] == ["long"]


def test_killed_before_its_first_model_the_run_before_can_still_write(command: Command, tmp_path: Path):
    before = train_one_epoch(command, tmp_path)
    with start_long_training(tmp_path, "--overwrite") as process:
        wait_for(process, "Starting TensorFlow")
        process.kill()
    assert command("generate", "--model", "long", "--length", "3").returncode == 0
    assert command("generate", "--length", "3").returncode == 0
    with start_long_training(tmp_path, "--overwrite") as process:
        wait_for(process, "Starting TensorFlow")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert (tmp_path / "saved_models" / "long" / "weights.safetensors").read_bytes() == before


def test_killed_at_any_time_the_model_is_whole(tmp_path: Path):
    """The weights are written after each epoch of a few hundredths of a second, so a kill often meets a save."""
    from wordgen.bundle import load_bundle

    for delay in (0.0, 0.013, 0.029, 0.041):
        with start_long_training(tmp_path, "--overwrite") as process:
            wait_for(process, "epoch 3:")
            time.sleep(delay)
            process.kill()
        assert load_bundle(tmp_path / "saved_models" / "long").architecture.units == 32
