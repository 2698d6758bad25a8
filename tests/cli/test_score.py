"""`wordgen score`: colours, ranks, JSON."""

import json
import re
from pathlib import Path

import pytest

from tests.helpers.terminal import said_beside
from wordgen.api import load
from wordgen.cli.main import main
from wordgen.cli.output import TokenProgress


@pytest.fixture(autouse=True)
def room(trained_room: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained_room)
    return trained_room


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["score", *arguments]) == 0
    return capsys.readouterr().out


def test_one_sentence_is_told_word_by_word(capsys: pytest.CaptureFixture[str]):
    told = shown(capsys, "The caster frobs.")
    score = load("small").score("The caster frobs.")
    for token in score.tokens:
        assert any(token.piece.strip() in line and f"{token.surprisal:.1f}" in line for line in told.split("\n"))
    assert f"Perplexity {score.perplexity:,.1f} over 4 tokens." in told


@pytest.mark.parametrize(
    ("text", "unknown"),
    [("The caster frobs.", "1 of them is unknown to the model. Its bits"), ("Zyx qyx.", "2 of")],
)
def test_one_that_is_unknown_is_told_as_one(capsys: pytest.CaptureFixture[str], text: str, unknown: str):
    assert f"tokens.\n{unknown}" in shown(capsys, text)


def test_sentences_are_ranked_from_the_likeliest_on(capsys: pytest.CaptureFixture[str]):
    told = shown(capsys, "Zebra zebra zebra. The caster is. A a a a a.")
    ranks = [line.split() for line in told.split("\n") if line.strip()[:1].isdigit() and "unknown" not in line]
    assert [rank[0] for rank in ranks] == ["1", "2", "3"]
    perplexities = [float(rank[1].replace(",", "")) for rank in ranks]
    assert perplexities == sorted(perplexities)


def test_colours_go_from_likely_to_unlikely(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[" in shown(capsys, "The caster.")
    monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in shown(capsys, "The caster.")


def test_a_file_is_scored_too(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    path = tmp_path / "text.txt"
    path.write_text("The caster sleeps.\n", encoding="utf-8")
    assert shown(capsys, str(path), "--json") == shown(capsys, "The caster sleeps.", "--json")


def test_json_has_a_sentence_a_line(capsys: pytest.CaptureFixture[str]):
    lines = shown(capsys, "The caster sleeps. A light goes out.", "--json").strip().split("\n")
    first, second = (json.loads(line) for line in lines)
    assert first["text"] == "The caster sleeps."
    assert {first["rank"], second["rank"]} == {1, 2}
    for sentence in (first, second):
        assert len(sentence["tokens"]) == len(sentence["bits"]) == len(sentence["log_probabilities"])


def test_a_long_word_is_no_file_name(capsys: pytest.CaptureFixture[str]):
    assert "Perplexity" in shown(capsys, "夜" * 100)


def test_a_file_that_is_not_there_is_no_text(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    for name in ("missing.txt", str(tmp_path)):
        assert main(["score", name]) == 2
        assert f"There is no text file {name}" in capsys.readouterr().err


@pytest.mark.parametrize("nothing", ["", "  \n "])
def test_nothing_cannot_be_scored(capsys: pytest.CaptureFixture[str], nothing: str):
    assert main(["score", nothing]) == 2
    assert "There is nothing to score" in capsys.readouterr().err


def test_a_long_text_shows_on_a_terminal_how_far_it_is(room: Path, tmp_path: Path):
    (tmp_path / "long.txt").write_text("The caster sleeps.\n\n" * 3_000)
    written = tmp_path / "written"
    said = said_beside(written, "score", str(tmp_path / "long.txt"), "--json", cwd=room)
    assert re.search(r"Scoring.*[1-9]\d*/14999.* tokens", said)
    lines = written.read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == list(range(3_000))


def test_elsewhere_there_are_plain_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wordgen.cli.output._SECONDS_BETWEEN_LINES", 0)
    load("small").score("The caster sleeps. " * 100, TokenProgress("Scoring", "Scored"))
    assert capsys.readouterr().err.startswith("Scored 128 of 400 tokens.\nScored 256 of 400 tokens.\n")


def test_a_short_text_needs_neither(capsys: pytest.CaptureFixture[str]):
    assert main(["score", "The caster sleeps."]) == 0
    assert capsys.readouterr().err == "Scored with small.\n"
