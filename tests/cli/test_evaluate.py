"""`wordgen evaluate`: the table, the JSON, and the command it would try next."""

import io
import json
import re
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import wordgen
from tests.terminal import said_beside
from wordgen.cli.evaluate import command_to_try
from wordgen.cli.flags import settings_from
from wordgen.cli.main import main
from wordgen.cli.train import make_parser
from wordgen.evaluating import Evaluation
from wordgen.evaluation.verdict import Finding
from wordgen.run_settings import TrainSettings


@pytest.fixture(autouse=True)
def room(trained_room: Path, in_empty_folder: Path) -> Path:
    shutil.copytree(trained_room, in_empty_folder, dirs_exist_ok=True)
    return in_empty_folder


@pytest.fixture
def evaluated() -> Evaluation:
    return wordgen.evaluate("small")


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["evaluate", *arguments]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


def test_the_table_has_the_model_and_both_baselines(capsys: pytest.CaptureFixture[str], evaluated: Evaluation):
    told = shown(capsys)
    lines = {line.split("  ")[0]: line.split() for line in told.split("\n")}
    assert evaluated.ngram is not None
    assert evaluated.unigram is not None
    for name, loss in (
        ("the model", evaluated.own),
        ("5-gram, Kneser-Ney", evaluated.ngram),
        ("word frequencies", evaluated.unigram),
    ):
        bits = f"{loss.bits_per(evaluated.statistics.characters):.3f}"
        assert lines[name][2:4] == [f"{loss.perplexity:,.1f}", bits]
    assert "How good is small on the test part of spells?" in told
    assert f"{evaluated.symbols:,} symbols" in told
    assert f"{evaluated.unknown_share:.1%} of the words are UNKNOWN" in told
    assert " ".join(str(evaluated.verdict).split()) in " ".join(told.split())
    assert f"Try:  {command_to_try(evaluated)}\n" in told


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]):
    told = json.loads(shown(capsys, "small", "--split", "valid", "--json"))
    found = wordgen.evaluate("small", split="valid")
    assert told["perplexity"] == pytest.approx(found.perplexity)
    assert told["bits_per_character"] == pytest.approx(found.bits_per_character)
    assert (told["split"], told["symbols"], told["verdict"]) == ("valid", found.symbols, found.verdict)
    assert told["kneser_ney"]["order"] == 5
    assert told["kneser_ney"]["perplexity"] == found.ngram.perplexity  # pyright: ignore[reportOptionalMemberAccess]
    assert told["unigram"]["perplexity"] > 1
    assert told["fit"] == (found.finding and found.finding.fit)


def test_standard_input_is_a_text_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, room: Path):
    text = "The caster sleeps.\nThe target is blinded.\n"
    (room / "text.txt").write_text(text)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    piped, file = (json.loads(shown(capsys, "--json", "--split", split)) for split in ("-", "text.txt"))
    assert piped["perplexity"] == file["perplexity"]


def test_the_command_that_it_would_try_is_the_run_with_that_change_alone(evaluated: Evaluation):
    seen = Finding("overfitted", "", "", {"dropout": 0.5})
    command = command_to_try(replace(evaluated, finding=seen))
    assert command.startswith("python -m wordgen train --corpus spells ")
    assert evaluated.settings is not None
    told = settings_from(TrainSettings, make_parser("train").parse_args(shlex.split(command)[4:]))
    as_it_was = replace(evaluated.settings, name=None, overwrite=False, precision="auto")
    assert told == replace(as_it_was, dropout=0.5)


def test_it_names_every_kind_of_setting_so_that_it_can_be_read_again(evaluated: Evaluation):
    settings = TrainSettings(
        corpus=("my book.txt", "b.txt"), copy_index=False, tied=True, learning_rate=0.01, time_budget="1h", min_count=1
    )
    seen = Finding("undertrained", "", "", {"epochs": 24})
    command = command_to_try(replace(evaluated, finding=seen, settings=settings, can_go_on=False))
    told = settings_from(TrainSettings, make_parser("train").parse_args(shlex.split(command)[4:]))
    assert told == replace(settings, epochs=24)


def test_a_run_that_wants_longer_training_goes_on(evaluated: Evaluation):
    seen = Finding("undertrained", "", "", {"epochs": 24})
    assert evaluated.can_go_on
    command = command_to_try(replace(evaluated, finding=seen))
    assert command == "python -m wordgen train --resume small --epochs 24"


def test_where_there_is_nothing_to_change_it_may_write(evaluated: Evaluation):
    assert command_to_try(replace(evaluated, finding=None)) == "python -m wordgen generate --model small"


def test_a_long_text_shows_on_a_terminal_how_far_it_is(room: Path):
    (room / "long.txt").write_text("The caster sleeps.\n" * 20_000)
    written = room / "written"
    said = said_beside(written, "evaluate", "--split", "long.txt", "--json", cwd=room)
    assert re.search(r"Predicting.*[1-9]\d*/100000.* symbols", said)
    assert json.loads(written.read_text())["symbols"] == 100_000
