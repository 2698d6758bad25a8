"""`wordgen train`: its output and its files. Some tests share one process that trains."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers.commands import ROOT, Command, run_command
from tests.helpers.tensorboard import tags
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


class TrainedFolder(NamedTuple):
    folder: Path
    result: "subprocess.CompletedProcess[str]"


SMALL = ["--corpus", "spells", "--layers", "1", "--units", "32"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedFolder:
    folder = tmp_path_factory.mktemp("trained")
    result = run_command("train", *SMALL, "--epochs", "2", "--name", "small", cwd=folder)
    return TrainedFolder(folder, result)


def test_output_has_plan_progress_perplexity_and_next_command(trained: TrainedFolder):
    result = trained.result
    assert (result.returncode, result.stderr) == (0, "")
    output = " ".join(result.stdout.split())
    for part in ("Plan for small", "9,559 for training", "UNKNOWN share", "parameters", "GiB", "40 steps of 16 x 15"):
        assert part in output
    assert re.search(r"epoch 1/2 step 1/40 loss [\d.]+ ppl [\d,.]+", output)
    assert re.search(r"epoch 2: perplexity train [\d.,]+, valid [\d.,]+", output)
    assert "Word frequencies alone" in output
    assert "wordgen generate --model small --seed" in output


def generate_arguments(output: str) -> list[str]:
    """Return the arguments of the `generate` command in the output of `train`."""
    line = next(line for line in output.split("\n") if "Write text:" in line)
    arguments = shlex.split(line.split(":", 1)[1])
    assert arguments[:4] == ["python", "-m", "wordgen", "generate"]
    return arguments[3:]


def test_printed_generate_command_works(trained: TrainedFolder, finished_run: Path, capsys: pytest.CaptureFixture[str]):
    arguments = generate_arguments(trained.result.stdout)
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith(arguments[arguments.index("--seed") + 1])


@pytest.mark.usefixtures("in_empty_folder")
@pytest.mark.parametrize("flags", [["--tokenizer", "characters"], ["--vocab-size", "4"]])
def test_quiet_prints_nothing_and_resume_prints_summary(flags: list[str], capsys: pytest.CaptureFixture[str]):
    """With characters, no token is UNKNOWN, so there is no warning. With 4 tokens, none can be a seed."""
    small = ["--corpus", "spells", "--layers", "1", "--units", "8", "--epochs", "1"]
    assert main(["train", *small, "--quiet", "--name", "run", *flags]) == 0
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == "" or flags[0] == "--vocab-size"
    assert main(["train", "--resume", "run"], "python -m wordgen") == 0
    arguments = generate_arguments(capsys.readouterr().out)
    assert main(arguments) == 0
    if "--seed" in arguments:
        assert capsys.readouterr().out.startswith(arguments[arguments.index("--seed") + 1])


def test_folder_of_run_has_report_and_bundle(trained: TrainedFolder):
    folder = trained.folder / "saved_models" / "small"
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


def test_tensorboard_has_curves_and_samples(trained: TrainedFolder):
    folder = trained.folder / "saved_models" / "small"
    assert tags(folder / "train") == {PERPLEXITY, BITS, LOSS, LEARNING_RATE, GRADIENT_NORM, SPEED, EPOCH_TIME}
    assert tags(folder / "valid") == {PERPLEXITY, BITS, DISTINCT, LONGEST_COPY}
    samples = {
        f"{SAMPLES}/{mode} {begins}"
        for mode in ("greedy", "sampled")
        for begins in ("without prompt", "with prompt After")
    }
    assert tags(folder) == {*samples, PLAN, REPORT, "_hparams_/session_start_info"}


def test_log_format_json_is_one_object_per_line(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["train", *SMALL, "--epochs", "2", "--name", "small", "--log-format", "json"]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    lines = [json.loads(line) for line in output.out.splitlines()]
    kinds = [line["event"] for line in lines]
    assert [kind for kind in kinds if kind in ("planned", "begun", "epoch", "ended", "page")] == [
        "planned", "begun", "epoch", "epoch", "ended", "page",
    ]  # fmt: skip
    assert kinds.index("begun") < kinds.index("step") < kinds.index("epoch")
    report = json.loads((in_empty_folder / "saved_models" / "small" / "report.json").read_text())
    epochs = [{key: value for key, value in line.items() if key not in ("event", "time")} for line in lines
              if line["event"] == "epoch"]  # fmt: skip
    assert epochs == report["epochs"]
    assert lines[-2]["valid_perplexity"] == min(epoch["valid_perplexity"] for epoch in epochs)
    guide = (ROOT / "docs" / "watching.md").read_text(encoding="utf-8")
    assert {*kinds, *(field for line in lines for field in line)} <= set(re.findall(r"`([a-z_0-9]+)`", guide))


@pytest.fixture
def finished_run(trained: TrainedFolder, in_empty_folder: Path) -> Path:
    """A copy of the finished run, to be changed."""
    shutil.copytree(trained.folder, in_empty_folder, dirs_exist_ok=True)
    return in_empty_folder / "saved_models" / "small"


def test_overwrite_replaces_a_run(finished_run: Path):
    options = ["--layers", "1", "--units", "12", "--epochs", "1"]
    assert main(["train", "--corpus", "spells", *options, "--name", "small", "--overwrite"]) == 0
    assert json.loads((finished_run / "config.json").read_text())["architecture"]["units"] == 12
    assert [path.name for path in finished_run.parent.iterdir()] == ["small"]


def test_resume_of_finished_run_prints_same_summary(trained: TrainedFolder, finished_run: Path, command: Command):
    before = {path: path.read_bytes() for path in finished_run.rglob("*") if path.is_file()}
    resumed = command("train", "--resume")
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert "Starting TensorFlow" not in resumed.stdout
    assert resumed.stdout.split("Plan for small")[1].split("Done")[0].strip() in trained.result.stdout
    assert "Done (all epochs done)" in resumed.stdout
    assert resumed.stdout.split("Best valid")[1] == trained.result.stdout.split("Best valid")[1]
    report = json.loads((finished_run / "report.json").read_text())
    assert {**report, "seconds": 0} == {**json.loads(before.pop(finished_run / "report.json")), "seconds": 0}
    after = {path: path.read_bytes() for path in finished_run.rglob("*") if path.is_file()}
    after.pop(finished_run / "report.json")
    assert after == before


def test_resume_repeats_steps_after_damaged_checkpoint(finished_run: Path, capsys: pytest.CaptureFixture[str]):
    before = (finished_run / "weights.safetensors").read_bytes()
    (finished_run / "checkpoints" / "step-000000000080" / "state.safetensors").write_bytes(b"broken")
    assert main(["train", "--resume", "small"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert output.count("is damaged") == 1
    assert "epoch 2:" in output
    assert (finished_run / "weights.safetensors").read_bytes() == before


def test_resume_writes_missing_copy_index(finished_run: Path):
    shutil.rmtree(finished_run / "copy_index")
    assert main(["train", "--resume", "small"]) == 0
    assert (finished_run / "copy_index").is_dir()


def test_fold_width_applies_to_prompts_and_resumed_runs(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    (in_empty_folder / "wide.txt").write_text("ＴＶを見る！ﾃﾚﾋﾞは楽しい。\n" * 60, encoding="utf-8")
    options = ["--fold-width", "--layers", "1", "--units", "8", "--epochs", "1", "--name", "wide"]
    assert main(["train", "--corpus", "wide.txt", *options]) == 0
    assert "replaced 420 wide and narrow characters by the usual forms" in " ".join(capsys.readouterr().out.split())
    for seed in ("ＴＶを見る！ﾃﾚﾋﾞ", "TVを見る!テレビ"):
        assert main(["generate", "--seed", seed, "--length", "3", "--json"]) == 0
        text = json.loads(capsys.readouterr().out)
        assert text["unknown"] == []
        assert text["text"].startswith("TVを見る!テレビ")
    assert main(["train", "--resume", "wide", "--epochs", "2"]) == 0
    assert main(["train", "--resume", "wide", "--epochs", "3", "--no-fold-width"]) == 2
    assert "began with --fold-width, not --no-fold-width:" in capsys.readouterr().err


def test_corpus_from_standard_input_is_kept_for_resume(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    text = "\n\n".join(f"The road went on and on, said number {n}." for n in range(200)).encode("utf-16")
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "wb") as sender:
        sender.write(text)  # fits into the buffer of the pipe
    options = ["--layers", "1", "--units", "8", "--epochs", "1", "--name", "piped"]
    with os.fdopen(read_end, encoding="utf-8") as standard_input, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", standard_input)
        assert main(["train", "--corpus", "-", *options]) == 0
    assert "read as UTF-16" in capsys.readouterr().out
    (saved,) = (in_empty_folder / "data" / "standard-input").rglob("*.txt")
    assert saved.read_bytes() == text
    assert main(["train", "--resume", "piped", "--epochs", "2"]) == 0


def test_printed_commands_begin_as_user_called_wordgen(command: Command, capsys: pytest.CaptureFixture[str]):
    """A checkout has no command `wordgen`."""
    assert "See python -m wordgen train --help" in command("train").stderr
    assert main(["train", "--help"], "python -m wordgen") == 0
    assert "Example: python -m wordgen train --corpus" in capsys.readouterr().out
    assert main(["--help"], "python -m wordgen") == 0
    assert "see python -m wordgen score --help" in " ".join(capsys.readouterr().out.split())
