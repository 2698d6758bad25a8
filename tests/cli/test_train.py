"""Training by the real command: what one sees, what is left behind, and real signals."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Command, command_environment

SMALL = ["--corpus", "spells", "--layers", "1", "--units", "32"]


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    room = tmp_path_factory.mktemp("screen")
    ended = subprocess.run(
        [sys.executable, "-m", "wordgen", "train", *SMALL, "--epochs", "2", "--name", "small"],
        cwd=room,
        env=command_environment(),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return room, ended


def test_the_screen_tells_the_whole_story(screen: tuple[Path, subprocess.CompletedProcess[str]]):
    _, ended = screen
    assert ended.returncode == 0
    shown = " ".join(ended.stdout.split())
    for part in ("Plan for small", "9,559 to train on", "UNKNOWN share", "parameters", "GiB", "40 steps of 16 x 15"):
        assert part in shown
    assert re.search(r"epoch 1/2 step 1/40 loss [\d.]+ ppl [\d,.]+ [\d,]+ tokens/s", shown)
    assert re.search(r"epoch 2: perplexity train [\d.]+, valid [\d.]+", shown)
    assert "Word frequencies alone" in shown
    assert "python generate.py --model small --seed" in shown


def test_tensorflow_keeps_quiet(screen: tuple[Path, subprocess.CompletedProcess[str]]):
    assert screen[1].stderr == ""


def test_the_line_to_try_works(screen: tuple[Path, subprocess.CompletedProcess[str]]):
    room, ended = screen
    line = next(line for line in ended.stdout.split("\n") if "python generate.py" in line)
    arguments = line.split("python generate.py ")[1].split()
    written = subprocess.run(
        [sys.executable, "-m", "wordgen", "generate", *arguments],
        cwd=room,
        env=command_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert written.returncode == 0
    assert written.stdout.startswith(arguments[-3])


def test_the_report_lies_beside_the_bundle(screen: tuple[Path, subprocess.CompletedProcess[str]]):
    folder = screen[0] / "saved_models" / "small"
    report = json.loads((folder / "report.json").read_text())
    assert report["settings"]["corpus"] == "spells"
    assert report["parameters"] > 0
    assert [epoch["epoch"] for epoch in report["epochs"]] == [1, 2]
    assert report["valid_perplexity"] == min(epoch["valid_perplexity"] for epoch in report["epochs"])
    assert report["ended"] == "all epochs done"
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "vocabulary.json", "weights.safetensors", "report.json", "train", "valid",
    }  # fmt: skip


def test_tensorboard_gets_curves_and_samples(screen: tuple[Path, subprocess.CompletedProcess[str]]):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: dict[str, set[str]] = {}
    for part in ("train", "valid"):
        events = EventAccumulator(str(screen[0] / "saved_models" / "small" / part)).Reload()
        found[part] = set(events.Tags()["tensors"])
    assert found["train"] == {"loss", "perplexity", "learning_rate", "gradient_norm", "tokens_per_second"}
    assert found["valid"] == {"perplexity", "sample/greedy", "sample/sample"}


def test_quiet_is_quiet(command: Command):
    ended = command("train", *SMALL, "--epochs", "1", "--quiet")
    assert ended.returncode == 0
    assert ended.stdout == ended.stderr == ""


def test_overwrite_replaces_a_run(command: Command, tmp_path: Path):
    for units in ("8", "12"):
        ended = command("train", *SMALL, "--epochs", "1", "--name", "again", "--units", units, "--overwrite")
        assert ended.returncode == 0, ended.stderr
    config = json.loads((tmp_path / "saved_models" / "again" / "config.json").read_text())
    assert config["architecture"]["units"] == 12
    assert [path.name for path in (tmp_path / "saved_models").iterdir()] == ["again"]


def start_long_training(room: Path) -> "subprocess.Popen[str]":
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
    assert "Stopped as you asked" in out
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


def test_stopped_before_it_begins_it_leaves_nothing(tmp_path: Path):
    with start_long_training(tmp_path) as process:
        wait_for(process, "Starting TensorFlow")
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert not (tmp_path / "saved_models" / "long").exists() or (tmp_path / "saved_models/long/config.json").exists()


def test_killed_while_it_saves_again_and_again_the_model_is_always_whole(tmp_path: Path):
    from wordgen.bundle import load_bundle

    with start_long_training(tmp_path) as process:
        wait_for(process, "epoch 3:")
        process.kill()
    load_bundle(tmp_path / "saved_models" / "long")
