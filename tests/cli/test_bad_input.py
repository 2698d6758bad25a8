"""Bad input gets one clear sentence and exit code 2, never a traceback, and leaves nothing behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.commands import Command, command_environment
from tests.helpers.forked import forked_process
from wordgen.cli.main import main


def assert_one_sentence(error: str, *parts: str) -> None:
    lines = error.strip().split("\n")
    assert len(lines) == 1, error
    assert lines[0].startswith("Error: ")
    assert "Traceback" not in error
    for part in parts:
        assert part in error


@pytest.mark.usefixtures("in_empty_folder")
@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["train", "--corpus", "lotrr"], ["no corpus 'lotrr'", "Did you mean lotr?"]),
        (["train"], ["--corpus", "See wordgen train --help"]),
        (["train", "--corpus", "lotr", "--layers", "many"], ["--layers", "invalid int value: 'many'"]),
        (["train", "--corpus", "lotr", "--layers", "0"], ["--layers must be at least 1 and at most 64, not 0."]),
        (["train", "--corpus", "lotr", "--dropout", "1"], ["--dropout must be at least 0 and below 1"]),
        (["train", "--corpus", "lotr", "--learning-rate", "nan"], ["--learning-rate must be", "above 0"]),
        (["train", "--corpus", "lotr", "--cell", "qrnn"], ["--cell", "'qrnn'", "lstm"]),
        (["train", "--corpus", "lotr", "--lay", "2"], ["--lay"]),
        (["train", "--corpus", "lotr", "--name", "../out"], ["--name cannot be '../out'"]),
        (["train", "--corpus", "spells", "--batch-size", "5000"], ["Too little text", "5000 x 15 needs 75,001"]),
        (
            ["train", "--corpus", "spells", "--units", "60000", "--layers", "60"],
            ["GiB of memory for training, but only", "--force-memory"],
        ),
        (["train", "--corpus", "-", "--distribute", "multiworker"], ["put the text into a file"]),
        (["train", "--resume", "one", "--name", "two"], ["--resume one names the run already: leave out --name two."]),
        (["generate"], ["no trained model", "python train.py --corpus lotr"]),
        (["train", "--corpus", "x" * 300], ["There is no corpus"]),
        (["train", "--corpus", "lotr", "--random-seed", "9" * 400], ["--random-seed must be at least 0"]),
        (["generate", "--model", "x" * 300], ["There is no model"]),
        (["generate", "--model", ""], ["--model must be the name of a run"]),
        (["generate", "--model", "nowhere"], ["There is no model 'nowhere'"]),
        (["generate", "--mode", "wild"], ["--mode", "'wild'"]),
        (["generate", "--temperature", "0"], ["--temperature must be above 0", "--mode greedy"]),
        (["generate", "--temperature", "-1"], ["--temperature must be at least 1e-06"]),
        (["generate", "--length", "-3"], ["--length must be at least 1"]),
        (["sing"], ["'sing'"]),
        (["corpora", "show"], ["required: NAME"]),
        (["corpora", "show", "lotr", "--passage", "word"], ["--passage", "'word'", "paragraph"]),
        (["evaluate"], ["no trained model", "python train.py --corpus lotr"]),
        (["evaluate", "nowhere"], ["There is no model 'nowhere'"]),
        (["evaluate", "--model", "nowhere"], ["There is no model 'nowhere'"]),
        (["evaluate", "one", "--model", "two"], ["MODEL and --model", "leave one of them out"]),
        (["train", "--corpus", "lotr", "--layer", "2"], ["--layer 2", "Did you mean --layers?"]),
    ],
)
def test_bad_arguments_get_one_sentence(arguments: list[str], parts: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(arguments) == 2
    assert_one_sentence(capsys.readouterr().err, *parts)
    assert not Path("saved_models").exists()


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "is empty"),
        (b"\x00\x01\x02", "is not a text"),
        (b"\xff\xfe\xfd abc", "is not UTF-16 text"),
        (b"one\n", "at least 3"),
        (b"One road goes on.\n\nOne road ends.\n\nOne more.\n\nOne last.\n", "needs 481"),
    ],
)
def test_unusable_text_is_refused(in_empty_folder: Path, content: bytes, part: str, capsys: pytest.CaptureFixture[str]):
    (in_empty_folder / "odd.txt").write_bytes(content)
    assert main(["train", "--corpus", "odd.txt"]) == 2
    assert_one_sentence(capsys.readouterr().err, part)


def test_process_prints_one_sentence_and_debug_a_traceback(command: Command, capsys: pytest.CaptureFixture[str]):
    result = command("train", "--corpus", "nowhere")
    assert result.returncode == 2
    assert result.stdout == ""
    assert_one_sentence(result.stderr, "no corpus 'nowhere'")
    assert main(["train", "--corpus", "nowhere", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_train_py_and_generate_py_name_themselves_in_errors(tmp_path: Path):
    for script in ("train.py", "generate.py"):
        path = Path(__file__).parents[2] / script
        result = subprocess.run(
            [sys.executable, path, "--model-that", "x"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert result.returncode == 2
        assert f"See python {script} --help" in result.stderr


@pytest.mark.parametrize("name", ["vocabulary.json", "weights.safetensors", "config.json"])
def test_damaged_model_is_refused(trained_copy: Path, name: str, capsys: pytest.CaptureFixture[str]):
    path = trained_copy / "saved_models" / "small" / name
    path.write_bytes(path.read_bytes()[:100])
    assert main(["generate", "--model", "small"]) == 2
    assert_one_sentence(capsys.readouterr().err, "is damaged", name)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["other.txt is empty: give a file with text."]),
        (b" \n\n", ["other.txt is empty"]),
        (b"\x00\x01\x02", ["is not a text"]),
        ("夜の海\n".encode(), ["small knows no word of other.txt", "the language of its training text"]),
        (None, ["There is no text file 'other.txt'", "--split must be valid, test, a text file"]),
    ],
)
def test_evaluate_refuses_unusable_text(
    trained_copy: Path, content: bytes | None, parts: list[str], capsys: pytest.CaptureFixture[str]
):
    if content is not None:
        (trained_copy / "other.txt").write_bytes(content)
    assert main(["evaluate", "small", "--split", "other.txt"]) == 2
    assert_one_sentence(capsys.readouterr().err, *parts)


def test_evaluate_reports_missing_or_changed_training_text(trained_copy: Path, capsys: pytest.CaptureFixture[str]):
    path = trained_copy / "saved_models" / "small" / "report.json"
    report = json.loads(path.read_text())
    path.write_text(json.dumps({**report, "settings": {**report["settings"], "corpus": "gone.txt"}}))
    assert main(["evaluate"]) == 2
    assert_one_sentence(
        capsys.readouterr().err, "training text of small cannot be found", "no corpus 'gone.txt'", "--split"
    )
    path.write_text(json.dumps({**report, "settings": {**report["settings"], "corpus": "fables"}}))
    assert main(["evaluate"]) == 2
    assert_one_sentence(capsys.readouterr().err, "The text of fables has changed since small was trained")
    path.unlink()
    assert main(["evaluate"]) == 2
    assert_one_sentence(capsys.readouterr().err, "has no report.json", "--split my-book.txt")


def test_newer_bundle_format_is_refused(trained_copy: Path, capsys: pytest.CaptureFixture[str]):
    path = trained_copy / "saved_models" / "small" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    assert main(["generate"]) == 2
    assert_one_sentence(capsys.readouterr().err, "format 99")


def test_train_refuses_name_of_existing_run(trained_copy: Path, capsys: pytest.CaptureFixture[str]):
    before = (trained_copy / "saved_models" / "small" / "weights.safetensors").read_bytes()
    assert main(["train", "--corpus", "spells", "--name", "small"]) == 2
    assert_one_sentence(capsys.readouterr().err, "A run 'small' already exists", "--overwrite")
    assert (trained_copy / "saved_models" / "small" / "weights.safetensors").read_bytes() == before


def test_train_reports_that_saved_models_is_a_file(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    (in_empty_folder / "saved_models").write_text("in the way")
    assert main(["train", "--corpus", "spells"]) == 2
    assert_one_sentence(capsys.readouterr().err, "Cannot write to saved_models")


def test_train_reports_read_only_folder(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    in_empty_folder.chmod(0o500)
    if os.geteuid() == 0:  # root can write everywhere

        def raise_permission_error(*arguments: object, **options: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "mkdir", raise_permission_error)
    assert main(["train", "--corpus", "spells"]) == 2
    assert_one_sentence(capsys.readouterr().err, "Permission denied")


MAIN_WITH_FILE_SIZE_LIMIT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))
from wordgen.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_failed_write_of_weights_keeps_older_run(trained_copy: Path):
    """The process may not write a file over 120 kB. Only the weights are larger."""
    before = {path.name: path.read_bytes() for path in (trained_copy / "saved_models" / "small").glob("*.*")}
    options = "--corpus spells --layers 1 --units 48 --epochs 2 --name small --overwrite"
    with forked_process("-c", MAIN_WITH_FILE_SIZE_LIMIT, "train", *options.split(), cwd=trained_copy) as process:
        stdout, stderr = process.communicate(timeout=200)
    assert process.returncode == 2
    assert "epoch 2" in stdout  # the training continues
    assert "The model cannot be saved yet" in stdout
    assert_one_sentence(stderr, "Cannot write to", "File too large")
    after = {path.name: path.read_bytes() for path in (trained_copy / "saved_models" / "small").glob("*.*")}
    assert after == before
    assert os.listdir(trained_copy / "saved_models") == ["small"]


def test_diverged_training_reports_step_and_leaves_no_files(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    options = ["--layers", "1", "--units", "8", "--cell", "rnn", "--optimizer", "sgd", "--learning-rate", "1e30"]
    assert main(["train", "--corpus", "spells", *options, "--clip", "0", "--quiet"]) == 2
    *warning, error = capsys.readouterr().err.splitlines()
    assert " ".join(warning).startswith("Warning: 18% of the words in the validation set are UNKNOWN")
    assert_one_sentence(error, "The training diverged in epoch 1, step", "--learning-rate")
    assert not (in_empty_folder / "saved_models").exists()


@pytest.mark.parametrize("options", [[], ["--json"], ["--count", "2"]])
def test_generate_reports_full_disk(
    options: list[str], trained_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with open("/dev/full", "w") as full_device:
        monkeypatch.setattr(sys, "stdout", full_device)
        assert main(["generate", "--length", "5", *options]) == 2
    *_, sentence = capsys.readouterr().err.strip().split("\n")
    assert_one_sentence(sentence, "output cannot be written: No space left")


def run_in_shell(command_line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command_line], cwd=folder, env=command_environment(), capture_output=True, text=True, check=False
    )


def test_closed_pipe_is_no_error(trained_copy: Path):
    for arguments in ("generate --length 400", "generate --count 3 --json", "generate --help"):
        command_line = f"{sys.executable} -m wordgen {arguments} | head -c 1 > /dev/null; exit ${{PIPESTATUS[0]}}"
        result = run_in_shell(command_line, trained_copy)
        assert result.returncode == 0
        assert not [line for line in result.stderr.split("\n") if line and not line.startswith("Writing with")]


@pytest.mark.parametrize(
    "command",
    [
        "train --corpus spells --layers 1 --units 8 --epochs 1 --name unseen | head -n 2 > /dev/null",
        "train --resume small > /dev/full",  # has ended: shows its results again and does not train
    ],
)
def test_training_continues_without_readable_output(command: str, trained_copy: Path):
    command_line = f"{sys.executable} -m wordgen {command}; exit ${{PIPESTATUS[0]}}"
    result = run_in_shell(command_line, trained_copy)
    assert (result.returncode, result.stderr) == (0, "")
    for report in (trained_copy / "saved_models").glob("*/report.json"):
        assert json.loads(report.read_text())["ended"] == "all epochs done"
    assert (trained_copy / "saved_models" / "unseen").exists() == ("unseen" in command)


def test_ascii_output_encoding_does_not_fail(trained_copy: Path):
    result = subprocess.run(
        [sys.executable, "-m", "wordgen", "generate", "--length", "4", "--json",
         "--seed", b"The caster \xff \xe3\x81\x82"],
        cwd=trained_copy, env=command_environment(PYTHONIOENCODING="ascii", PYTHONUTF8="0"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "The caster" in result.stdout
