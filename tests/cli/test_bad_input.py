"""Bad input gets one clear sentence and exit code 2, never a traceback, and leaves nothing behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.commands import Command, command_environment
from tests.helpers.forked import forked_alone
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
        (["corpora", "show", "lotrr"], ["no corpus 'lotrr'", "Did you mean lotr?"]),
        (["corpora", "show", "lotr", "--passage", "word"], ["--passage", "'word'", "paragraph"]),
        (["corpora", "add", "mine", "nowhere.txt"], ["no file or folder nowhere.txt"]),
        (["evaluate"], ["no trained model", "python train.py --corpus lotr"]),
        (["evaluate", "nowhere"], ["There is no model 'nowhere'"]),
        (["evaluate", "--model", "nowhere"], ["There is no model 'nowhere'"]),
        (["evaluate", "one", "--model", "two"], ["MODEL and --model", "leave one of them out"]),
        (["evaluate", "--spilt", "test"], ["--spilt", "Did you mean --split?"]),
        (["train", "--corpus", "lotr", "--layer", "2"], ["--layer 2", "Did you mean --layers?"]),
    ],
)
def test_it_says_what_is_wrong(arguments: list[str], parts: list[str], capsys: pytest.CaptureFixture[str]):
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
    ],
)
def test_a_file_that_cannot_be_learned(
    in_empty_folder: Path, content: bytes, part: str, capsys: pytest.CaptureFixture[str]
):
    (in_empty_folder / "odd.txt").write_bytes(content)
    assert main(["train", "--corpus", "odd.txt"]) == 2
    assert_one_sentence(capsys.readouterr().err, part)


def test_a_short_text_says_how_much_is_needed(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    (in_empty_folder / "short.txt").write_text("One road goes on.\n\nOne road ends.\n\nOne more.\n\nOne last.\n")
    assert main(["train", "--corpus", "short.txt"]) == 2
    assert_one_sentence(capsys.readouterr().err, "needs 481")


def test_the_real_command_says_it_too_and_debug_shows_where(command: Command):
    ended = command("train", "--corpus", "nowhere")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert_one_sentence(ended.stderr, "no corpus 'nowhere'")
    debugged = command("train", "--corpus", "nowhere", "--debug")
    assert debugged.returncode == 2
    assert "Traceback" in debugged.stderr


def test_the_scripts_at_the_top_are_the_same_commands(tmp_path: Path):
    for script in ("train.py", "generate.py"):
        path = Path(__file__).parents[2] / script
        ended = subprocess.run(
            [sys.executable, path, "--model-that", "x"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 2
        assert f"See python {script} --help" in ended.stderr


@pytest.mark.parametrize("name", ["vocabulary.json", "weights.safetensors", "config.json"])
def test_a_damaged_model(room: Path, name: str, capsys: pytest.CaptureFixture[str]):
    path = room / "saved_models" / "small" / name
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
def test_a_text_that_no_model_can_be_measured_on(
    room: Path, content: bytes | None, parts: list[str], capsys: pytest.CaptureFixture[str]
):
    if content is not None:
        (room / "other.txt").write_bytes(content)
    assert main(["evaluate", "small", "--split", "other.txt"]) == 2
    assert_one_sentence(capsys.readouterr().err, *parts)


def test_a_model_whose_corpus_cannot_be_found_again(room: Path, capsys: pytest.CaptureFixture[str]):
    path = room / "saved_models" / "small" / "report.json"
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


def test_a_model_of_the_future(room: Path, capsys: pytest.CaptureFixture[str]):
    path = room / "saved_models" / "small" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    assert main(["generate"]) == 2
    assert_one_sentence(capsys.readouterr().err, "format 99")


def test_a_name_in_use_is_refused_and_the_run_stays(room: Path, capsys: pytest.CaptureFixture[str]):
    before = (room / "saved_models" / "small" / "weights.safetensors").read_bytes()
    assert main(["train", "--corpus", "spells", "--name", "small"]) == 2
    assert_one_sentence(capsys.readouterr().err, "A run 'small' already exists", "--overwrite")
    assert (room / "saved_models" / "small" / "weights.safetensors").read_bytes() == before


def test_saved_models_that_cannot_be_made(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    (in_empty_folder / "saved_models").write_text("in the way")
    assert main(["train", "--corpus", "spells"]) == 2
    assert_one_sentence(capsys.readouterr().err, "Cannot write to saved_models")


def test_a_folder_that_may_only_be_read(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    in_empty_folder.chmod(0o500)
    if os.geteuid() == 0:  # root may write everywhere, so it must be told

        def refuse(*arguments: object, **options: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "mkdir", refuse)
    assert main(["train", "--corpus", "spells"]) == 2
    assert_one_sentence(capsys.readouterr().err, "Permission denied")


WITH_SMALL_FILES = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))
from wordgen.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_disk_that_refuses_the_model_leaves_the_one_before(room: Path):
    """In a process that may write no file over 120 kB, the weights do not fit, and all else does."""
    before = {path.name: path.read_bytes() for path in (room / "saved_models" / "small").glob("*.*")}
    options = "--corpus spells --layers 1 --units 48 --epochs 2 --name small --overwrite"
    with forked_alone("-c", WITH_SMALL_FILES, "train", *options.split(), room=room) as process:
        shown, said = process.communicate(timeout=200)
    assert process.returncode == 2
    assert "epoch 2" in shown  # training went on
    assert "The model cannot be saved yet" in shown
    assert_one_sentence(said, "Cannot write to", "File too large")
    after = {path.name: path.read_bytes() for path in (room / "saved_models" / "small").glob("*.*")}
    assert after == before
    assert os.listdir(room / "saved_models") == ["small"]


def test_a_training_that_diverges_says_so_and_leaves_nothing(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    options = ["--layers", "1", "--units", "8", "--cell", "rnn", "--optimizer", "sgd", "--learning-rate", "1e30"]
    assert main(["train", "--corpus", "spells", *options, "--clip", "0", "--quiet"]) == 2
    *warning, error = capsys.readouterr().err.splitlines()
    assert " ".join(warning).startswith("Warning: 18% of the words in the validation set are UNKNOWN")
    assert_one_sentence(error, "The training diverged in epoch 1, step", "--learning-rate")
    assert not (in_empty_folder / "saved_models").exists()


@pytest.mark.parametrize("options", [[], ["--json"], ["--count", "2"]])
def test_a_full_disk_for_the_output_of_generate(
    options: list[str], room: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["generate", "--length", "5", *options]) == 2
    *_, sentence = capsys.readouterr().err.strip().split("\n")
    assert_one_sentence(sentence, "output cannot be written: No space left")


def test_a_reader_that_leaves_is_no_error(room: Path):
    for arguments in ("generate --length 400", "generate --count 3 --json", "generate --help"):
        program = f"{sys.executable} -m wordgen {arguments} | head -c 1 > /dev/null; exit ${{PIPESTATUS[0]}}"
        ended = subprocess.run(
            ["bash", "-c", program], cwd=room, env=command_environment(), capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0
        assert not [line for line in ended.stderr.split("\n") if line and not line.startswith("Writing with")]


@pytest.mark.parametrize(
    "command",
    [
        "train --corpus spells --layers 1 --units 8 --epochs 1 --name unseen | head -n 2 > /dev/null",
        "train --resume small > /dev/full",  # which has ended, so that it tells all again and learns nothing
    ],
)
def test_a_training_goes_on_when_nobody_can_see_it(command: str, room: Path):
    program = f"{sys.executable} -m wordgen {command}; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(
        ["bash", "-c", program], cwd=room, env=command_environment(), capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    for report in (room / "saved_models").glob("*/report.json"):
        assert json.loads(report.read_text())["ended"] == "all epochs done"
    assert (room / "saved_models" / "unseen").exists() == ("unseen" in command)


def test_a_screen_without_the_letters_shows_question_marks(room: Path):
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "wordgen",
            "generate",
            "--seed",
            b"The caster \xff \xe3\x81\x82",
            "--length",
            "4",
            "--json",
        ],
        cwd=room,
        env=command_environment(PYTHONIOENCODING="ascii", PYTHONUTF8="0"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "The caster" in ended.stdout
