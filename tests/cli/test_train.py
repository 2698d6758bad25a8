"""Training by the real command: what one sees, what is left behind, and real signals."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Command, command_environment, run_command
from tests.curves import events
from wordgen.training.tensorboard import (
    BITS,
    DISTINCT,
    EPOCH_TIME,
    GRADIENT_NORM,
    LEARNING_RATE,
    LONGEST_COPY,
    LOSS,
    PERPLEXITY,
    PLAN,
    REPORT,
    SAMPLES,
    SPEED,
)

SMALL = ["--corpus", "spells", "--layers", "1", "--units", "32"]


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    room = tmp_path_factory.mktemp("screen")
    ended = run_command("train", *SMALL, "--epochs", "2", "--name", "small", cwd=room)
    return room, ended


def test_the_screen_tells_the_whole_story(screen: tuple[Path, subprocess.CompletedProcess[str]]):
    _, ended = screen
    assert ended.returncode == 0
    shown = " ".join(ended.stdout.split())
    for part in ("Plan for small", "9,559 to train on", "UNKNOWN share", "parameters", "GiB", "40 steps of 16 x 15"):
        assert part in shown
    assert re.search(r"epoch 1/2 step 1/40 loss [\d.]+ ppl [\d,.]+", shown)
    assert re.search(r"epoch 2: perplexity train [\d.]+, valid [\d.]+", shown)
    assert "Word frequencies alone" in shown
    assert "wordgen generate --model small --seed" in shown


def test_tensorflow_keeps_quiet(screen: tuple[Path, subprocess.CompletedProcess[str]]):
    assert screen[1].stderr == ""


@pytest.mark.parametrize("more", [[], ["--tokenizer", "characters"], ["--vocab-size", "4"]])
def test_the_line_to_try_works(more: list[str], command: Command, tmp_path: Path):
    ended = command("train", *SMALL, "--epochs", "1", *more)
    line = next(line for line in ended.stdout.split("\n") if "Let it write" in line)
    words = shlex.split(line.split(":", 1)[1])
    assert words[:4] == ["python", "-m", "wordgen", "generate"]
    written = command(*words[3:])
    assert written.returncode == 0, written.stderr
    if "--seed" in words:
        assert written.stdout.startswith(words[words.index("--seed") + 1])


def test_the_report_lies_beside_the_bundle(screen: tuple[Path, subprocess.CompletedProcess[str]]):
    folder = screen[0] / "saved_models" / "small"
    report = json.loads((folder / "report.json").read_text())
    assert report["settings"]["corpus"] == "spells"
    assert report["parameters"] > 0
    assert [epoch["epoch"] for epoch in report["epochs"]] == [1, 2]
    assert report["valid_perplexity"] == min(epoch["valid_perplexity"] for epoch in report["epochs"])
    assert report["ended"] == "all epochs done"
    assert {path.name.partition(".out.")[0] for path in folder.iterdir()} == {
        "config.json", "vocabulary.json", "weights.safetensors", "report.json", "train", "valid", "checkpoints",
        "copy_index", "unknown_words.json", "report.html", "events",
    }  # fmt: skip


def test_tensorboard_gets_curves_and_samples(screen: tuple[Path, subprocess.CompletedProcess[str]]):
    found: dict[str, set[str]] = {}
    for part in ("train", "valid", "."):
        found[part] = set(events(screen[0] / "saved_models" / "small" / part).Tags()["tensors"])
    assert found["train"] == {PERPLEXITY, BITS, LOSS, LEARNING_RATE, GRADIENT_NORM, SPEED, EPOCH_TIME}
    assert found["valid"] == {PERPLEXITY, BITS, DISTINCT, LONGEST_COPY}
    samples = {
        f"{SAMPLES}/{mode} {begins}" for mode in ("greedy", "sampled") for begins in ("begun anew", "from After")
    }
    assert found["."] == {*samples, PLAN, REPORT, "_hparams_/session_start_info"}


def test_programs_get_one_object_a_line(command: Command, tmp_path: Path):
    ended = command("train", *SMALL, "--epochs", "2", "--name", "told", "--log-format", "json")
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    events = [line["event"] for line in lines]
    assert [event for event in events if event in ("planned", "begun", "epoch", "ended", "page")] == [
        "planned", "begun", "epoch", "epoch", "ended", "page",
    ]  # fmt: skip
    assert events.index("begun") < events.index("step") < events.index("epoch")
    report = json.loads((tmp_path / "saved_models" / "told" / "report.json").read_text())
    epochs = [{key: value for key, value in line.items() if key not in ("event", "time")} for line in lines
              if line["event"] == "epoch"]  # fmt: skip
    assert epochs == report["epochs"]
    assert lines[-2]["valid_perplexity"] == report["valid_perplexity"]
    guide = (ROOT / "docs" / "watching.md").read_text(encoding="utf-8")
    assert {*events, *(field for line in lines for field in line)} <= set(re.findall(r"`([a-z_0-9]+)`", guide))


def test_quiet_is_quiet(command: Command):
    ended = command("train", *SMALL, "--epochs", "1", "--quiet", "--tokenizer", "characters")
    assert ended.returncode == 0
    assert ended.stdout == ended.stderr == ""


def test_overwrite_replaces_a_run(command: Command, tmp_path: Path):
    for units in ("8", "12"):
        ended = command("train", *SMALL[:4], "--epochs", "1", "--name", "again", "--units", units, "--overwrite")
        assert ended.returncode == 0, ended.stderr
    config = json.loads((tmp_path / "saved_models" / "again" / "config.json").read_text())
    assert config["architecture"]["units"] == 12
    assert [path.name for path in (tmp_path / "saved_models").iterdir()] == ["again"]


@pytest.fixture
def ended_run(screen: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path) -> Path:
    """A copy of the room in which a training has come to its end, to go on in."""
    shutil.copytree(screen[0], tmp_path, dirs_exist_ok=True)
    return tmp_path / "saved_models" / "small"


def test_a_run_that_has_ended_says_the_same_again_and_at_once(
    screen: tuple[Path, subprocess.CompletedProcess[str]], ended_run: Path, command: Command
):
    before = {path: path.read_bytes() for path in ended_run.rglob("*") if path.is_file()}
    again = command("train", "--resume")
    assert (again.returncode, again.stderr) == (0, "")
    assert "Starting TensorFlow" not in again.stdout
    assert again.stdout.split("Plan for small")[1].split("Done")[0].strip() in screen[1].stdout
    assert "Done (all epochs done)" in again.stdout
    assert again.stdout.split("Best valid")[1] == screen[1].stdout.split("Best valid")[1]
    report = json.loads((ended_run / "report.json").read_text())
    assert {**report, "seconds": 0} == {**json.loads(before.pop(ended_run / "report.json")), "seconds": 0}
    after = {path: path.read_bytes() for path in ended_run.rglob("*") if path.is_file()}
    after.pop(ended_run / "report.json")
    assert after == before


def test_a_run_whose_last_checkpoint_is_damaged_has_not_ended(ended_run: Path, command: Command):
    before = (ended_run / "weights.safetensors").read_bytes()
    (ended_run / "checkpoints" / "step-000000000080" / "state.safetensors").write_bytes(b"broken")
    again = command("train", "--resume", "small")
    assert again.returncode == 0, again.stderr
    assert " ".join(again.stdout.split()).count("is damaged") == 1
    assert "epoch 2:" in again.stdout
    assert (ended_run / "weights.safetensors").read_bytes() == before


def test_a_run_that_has_lost_its_copy_index_has_that_to_write(ended_run: Path, command: Command):
    shutil.rmtree(ended_run / "copy_index")
    assert command("train", "--resume", "small").returncode == 0
    assert (ended_run / "copy_index").is_dir()


def test_a_text_that_was_folded_is_written_on_from_any_form(tmp_path: Path, command: Command):
    (tmp_path / "wide.txt").write_text("ＴＶを見る！ﾃﾚﾋﾞは楽しい。\n" * 60, encoding="utf-8")
    options = ["--fold-width", "--layers", "1", "--units", "8", "--epochs", "1", "--name", "wide"]
    ended = command("train", "--corpus", "wide.txt", *options)
    assert ended.returncode == 0, ended.stderr
    assert "420 wide and narrow letters and signs folded" in " ".join(ended.stdout.split())
    for seed in ("ＴＶを見る！ﾃﾚﾋﾞ", "TVを見る!テレビ"):
        written = command("generate", "--seed", seed, "--length", "3", "--json")
        assert written.stdout.startswith("{"), written.stderr
        told = json.loads(written.stdout)
        assert told["unknown"] == []
        assert told["text"].startswith("TVを見る!テレビ")
    resumed = command("train", "--resume", "wide", "--epochs", "2")
    assert resumed.returncode == 0, resumed.stderr
    refused = command("train", "--resume", "wide", "--epochs", "3", "--no-fold-width")
    assert refused.returncode == 2
    assert "was begun with --fold-width True" in refused.stderr


def test_a_text_may_come_through_a_pipe_and_the_run_can_be_resumed(tmp_path: Path, command: Command):
    text = "\n\n".join(f"The road went on and on, said number {n}." for n in range(200)).encode("utf-16")
    options = ["--layers", "1", "--units", "8", "--epochs", "1", "--name", "piped"]
    begun = subprocess.run(
        [sys.executable, "-m", "wordgen", "train", "--corpus", "-", *options],
        cwd=tmp_path, env=command_environment(), input=text, capture_output=True, check=False,
    )  # fmt: skip
    assert begun.returncode == 0, begun.stderr
    assert b"read as UTF-16" in begun.stdout
    (kept,) = (tmp_path / "data" / "standard-input").rglob("*.txt")
    assert kept.read_bytes() == text
    resumed = command("train", "--resume", "piped", "--epochs", "2")
    assert resumed.returncode == 0, resumed.stderr


def test_several_files_are_learned_together(tmp_path: Path, command: Command):
    for name in ("one", "two"):
        (tmp_path / f"{name}.txt").write_text("\n\n".join(f"Number {n} in {name}." for n in range(200)))
    options = ["--layers", "1", "--units", "8", "--epochs", "1", "--name", "both"]
    assert command("train", "--corpus", "one.txt", "two.txt", *options).returncode == 0
    report = json.loads((tmp_path / "saved_models" / "both" / "report.json").read_text())
    assert report["settings"]["corpus"] == ["one.txt", "two.txt"]
    assert command("train", "--resume", "both", "--epochs", "2").returncode == 0


def test_the_commands_it_tells_are_those_that_work_here(command: Command):
    """In a checkout there is no command `wordgen`, and whoever came by `python -m` goes on so."""
    assert "Example: python -m wordgen train --corpus" in command("train", "--help").stdout
    assert "see python -m wordgen score --help" in " ".join(command("--help").stdout.split())
    assert "See python -m wordgen train --help" in command("train").stderr
