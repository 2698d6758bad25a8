import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import command_environment
from wordgen.cli.main import main


@pytest.fixture(autouse=True)
def room(trained_room: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained_room)
    return trained_room


def written(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["generate", *arguments]) == 0
    return capsys.readouterr().out


def test_it_writes_on_from_the_seed_with_the_newest_model(capsys: pytest.CaptureFixture[str]):
    text = written(capsys, "--seed", "The caster", "--length", "20", "--random-seed", "3")
    assert text.startswith("The caster")
    assert text.endswith("\n")


def test_a_model_is_found_by_name_and_by_folder(capsys: pytest.CaptureFixture[str]):
    by_name = written(capsys, "--model", "small", "--random-seed", "3")
    assert by_name == written(capsys, "--model", "saved_models/small", "--random-seed", "3")


def test_it_says_which_model_writes_and_how_to_have_the_text_again(capsys: pytest.CaptureFixture[str]):
    assert main(["generate", "--length", "5"]) == 0
    told = re.search(r"Writing with small, random seed (\d+)\.", (first := capsys.readouterr()).err)
    assert told is not None
    assert written(capsys, "--length", "5", "--random-seed", told[1]) == first.out


def test_many_texts_are_told_apart(capsys: pytest.CaptureFixture[str]):
    text = written(capsys, "--count", "2", "--length", "5")
    assert text.startswith("--- 1 of 2\n")
    assert "\n--- 2 of 2\n" in text


def test_streamed_text_is_the_text_of_the_json(capsys: pytest.CaptureFixture[str]):
    options = ["--seed", "A", "--random-seed", "8", "--length", "30"]
    assert json.loads(written(capsys, *options, "--json"))["text"] + "\n" == written(capsys, *options)


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]):
    lines = written(capsys, "--count", "3", "--length", "5", "--json").strip().split("\n")
    texts = [json.loads(line) for line in lines]
    assert [text["number"] for text in texts] == [0, 1, 2]
    assert all(len(text["symbols"]) == 5 for text in texts)


def test_left_out_words_are_named_apart_from_the_text(capsys: pytest.CaptureFixture[str]):
    assert main(["generate", "--seed", "The frobnicator caster", "--length", "3"]) == 0
    shown = capsys.readouterr()
    assert "does not know frobnicator" in shown.err
    assert shown.out.startswith("The caster")


def test_words_come_as_they_are_written(room: Path):
    """The first words are here long before the last: a real process, read while it writes."""
    with subprocess.Popen(
        [sys.executable, "-m", "wordgen", "generate", "--seed", "The caster", "--length", "1000000"],
        cwd=room,
        env=command_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(40).startswith(b"The caster")
        assert process.poll() is None
        process.kill()
