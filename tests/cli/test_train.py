"""Training by the command: what one sees and what is left behind, by a real process and in this one."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.commands import ROOT, Command, run_command
from tests.helpers.curves import events
from wordgen.cli.main import main
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
    for part in ("Plan for small", "9,559 for training", "UNKNOWN share", "parameters", "GiB", "40 steps of 16 x 15"):
        assert part in shown
    assert re.search(r"epoch 1/2 step 1/40 loss [\d.]+ ppl [\d,.]+", shown)
    assert re.search(r"epoch 2: perplexity train [\d.]+, valid [\d.]+", shown)
    assert "Word frequencies alone" in shown
    assert "wordgen generate --model small --seed" in shown


def test_tensorflow_keeps_quiet(screen: tuple[Path, subprocess.CompletedProcess[str]]):
    assert screen[1].stderr == ""


def words_to_try(told: str) -> list[str]:
    """The arguments of the command that is told at the end."""
    line = next(line for line in told.split("\n") if "Write text:" in line)
    words = shlex.split(line.split(":", 1)[1])
    assert words[:4] == ["python", "-m", "wordgen", "generate"]
    return words[3:]


def test_the_line_to_try_works(
    screen: tuple[Path, subprocess.CompletedProcess[str]], ended_run: Path, capsys: pytest.CaptureFixture[str]
):
    words = words_to_try(screen[1].stdout)
    assert main(words) == 0
    assert capsys.readouterr().out.startswith(words[words.index("--seed") + 1])


@pytest.mark.usefixtures("in_empty_folder")
@pytest.mark.parametrize("more", [["--tokenizer", "characters"], ["--vocab-size", "4"]])
def test_quiet_is_quiet_and_what_it_would_have_told_can_be_asked_for(
    more: list[str], capsys: pytest.CaptureFixture[str]
):
    """With letters as tokens, and where no token can be a seed. Of letters none is UNKNOWN, so nothing is warned of."""
    small = ["--corpus", "spells", "--layers", "1", "--units", "8", "--epochs", "1"]
    assert main(["train", *small, "--quiet", "--name", "run", *more]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "" or more[0] == "--vocab-size"
    assert main(["train", "--resume", "run"], "python -m wordgen") == 0
    words = words_to_try(capsys.readouterr().out)
    assert main(words) == 0
    if "--seed" in words:
        assert capsys.readouterr().out.startswith(words[words.index("--seed") + 1])


def test_the_report_lies_beside_the_bundle(screen: tuple[Path, subprocess.CompletedProcess[str]]):
    folder = screen[0] / "saved_models" / "small"
    report = json.loads((folder / "report.json").read_text())
    assert report["settings"]["corpus"] == "spells"
    assert [epoch["epoch"] for epoch in report["epochs"]] == [1, 2]
    best = min(report["epochs"], key=lambda epoch: epoch["valid_perplexity"])
    assert report["best_epoch"] == best["epoch"]
    assert report["ended"] == "all epochs done"
    assert {path.name.partition(".out.")[0] for path in folder.iterdir()} == {
        "config.json", "vocabulary.json", "weights.safetensors", "report.json", "train", "valid", "checkpoints",
        "copy_index", "unknown_words.json", "report.html", "evaluation.json", "events",
    }  # fmt: skip


def test_tensorboard_gets_curves_and_samples(screen: tuple[Path, subprocess.CompletedProcess[str]]):
    found: dict[str, set[str]] = {}
    for part in ("train", "valid", "."):
        found[part] = set(events(screen[0] / "saved_models" / "small" / part).Tags()["tensors"])
    assert found["train"] == {PERPLEXITY, BITS, LOSS, LEARNING_RATE, GRADIENT_NORM, SPEED, EPOCH_TIME}
    assert found["valid"] == {PERPLEXITY, BITS, DISTINCT, LONGEST_COPY}
    samples = {
        f"{SAMPLES}/{mode} {begins}"
        for mode in ("greedy", "sampled")
        for begins in ("without prompt", "with prompt After")
    }
    assert found["."] == {*samples, PLAN, REPORT, "_hparams_/session_start_info"}


def test_programs_get_one_object_a_line(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["train", *SMALL, "--epochs", "2", "--name", "told", "--log-format", "json"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    lines = [json.loads(line) for line in told.out.splitlines()]
    events = [line["event"] for line in lines]
    assert [event for event in events if event in ("planned", "begun", "epoch", "ended", "page")] == [
        "planned", "begun", "epoch", "epoch", "ended", "page",
    ]  # fmt: skip
    assert events.index("begun") < events.index("step") < events.index("epoch")
    report = json.loads((in_empty_folder / "saved_models" / "told" / "report.json").read_text())
    epochs = [{key: value for key, value in line.items() if key not in ("event", "time")} for line in lines
              if line["event"] == "epoch"]  # fmt: skip
    assert epochs == report["epochs"]
    assert lines[-2]["valid_perplexity"] == min(epoch["valid_perplexity"] for epoch in epochs)
    guide = (ROOT / "docs" / "watching.md").read_text(encoding="utf-8")
    assert {*events, *(field for line in lines for field in line)} <= set(re.findall(r"`([a-z_0-9]+)`", guide))


@pytest.fixture
def ended_run(screen: tuple[Path, subprocess.CompletedProcess[str]], in_empty_folder: Path) -> Path:
    """A copy of the room in which a training has come to its end, to go on in."""
    shutil.copytree(screen[0], in_empty_folder, dirs_exist_ok=True)
    return in_empty_folder / "saved_models" / "small"


def test_overwrite_replaces_a_run(ended_run: Path):
    options = ["--layers", "1", "--units", "12", "--epochs", "1"]
    assert main(["train", "--corpus", "spells", *options, "--name", "small", "--overwrite"]) == 0
    assert json.loads((ended_run / "config.json").read_text())["architecture"]["units"] == 12
    assert [path.name for path in ended_run.parent.iterdir()] == ["small"]


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


def test_a_run_whose_last_checkpoint_is_damaged_has_not_ended(ended_run: Path, capsys: pytest.CaptureFixture[str]):
    before = (ended_run / "weights.safetensors").read_bytes()
    (ended_run / "checkpoints" / "step-000000000080" / "state.safetensors").write_bytes(b"broken")
    assert main(["train", "--resume", "small"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert told.count("is damaged") == 1
    assert "epoch 2:" in told
    assert (ended_run / "weights.safetensors").read_bytes() == before


def test_a_run_that_has_lost_its_copy_index_has_that_to_write(ended_run: Path):
    shutil.rmtree(ended_run / "copy_index")
    assert main(["train", "--resume", "small"]) == 0
    assert (ended_run / "copy_index").is_dir()


def test_a_text_that_was_folded_is_written_on_from_any_form(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    (in_empty_folder / "wide.txt").write_text("ＴＶを見る！ﾃﾚﾋﾞは楽しい。\n" * 60, encoding="utf-8")
    options = ["--fold-width", "--layers", "1", "--units", "8", "--epochs", "1", "--name", "wide"]
    assert main(["train", "--corpus", "wide.txt", *options]) == 0
    assert "replaced 420 wide and narrow characters by the usual forms" in " ".join(capsys.readouterr().out.split())
    for seed in ("ＴＶを見る！ﾃﾚﾋﾞ", "TVを見る!テレビ"):
        assert main(["generate", "--seed", seed, "--length", "3", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["unknown"] == []
        assert told["text"].startswith("TVを見る!テレビ")
    assert main(["train", "--resume", "wide", "--epochs", "2"]) == 0
    assert main(["train", "--resume", "wide", "--epochs", "3", "--no-fold-width"]) == 2
    assert "began with --fold-width True" in capsys.readouterr().err


def test_a_text_may_come_through_a_pipe_and_the_run_can_be_resumed(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    text = "\n\n".join(f"The road went on and on, said number {n}." for n in range(200)).encode("utf-16")
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "wb") as sending:
        sending.write(text)  # a pipe holds more than that
    options = ["--layers", "1", "--units", "8", "--epochs", "1", "--name", "piped"]
    with os.fdopen(ours, encoding="utf-8") as standard_input, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", standard_input)
        assert main(["train", "--corpus", "-", *options]) == 0
    assert "read as UTF-16" in capsys.readouterr().out
    (kept,) = (in_empty_folder / "data" / "standard-input").rglob("*.txt")
    assert kept.read_bytes() == text
    assert main(["train", "--resume", "piped", "--epochs", "2"]) == 0


def test_the_commands_it_tells_are_those_that_work_here(command: Command):
    """In a checkout there is no command `wordgen`, and whoever came by `python -m` goes on so."""
    assert "Example: python -m wordgen train --corpus" in command("train", "--help").stdout
    assert "see python -m wordgen score --help" in " ".join(command("--help").stdout.split())
    assert "See python -m wordgen train --help" in command("train").stderr
