"""`wordgen score`: surprisal, ranks, colours, JSON and progress."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.bundles import make_bundle
from tests.helpers.terminal import stderr_in_terminal
from wordgen.api import load
from wordgen.cli.main import main
from wordgen.cli.output import TokenProgress
from wordgen.model.bundle import save_bundle


@pytest.fixture(autouse=True)
def folder(trained_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained_folder)
    return trained_folder


def stdout_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["score", *arguments]) == 0
    return capsys.readouterr().out


def test_sentence_is_shown_with_surprisal_of_each_word(capsys: pytest.CaptureFixture[str]):
    output = stdout_of(capsys, "The caster frobs.")
    score = load("small").score("The caster frobs.")
    for token in score.tokens:
        assert any(token.piece.strip() in line and f"{token.surprisal:.1f}" in line for line in output.split("\n"))
    assert f"Perplexity {score.perplexity:,.1f} over 4 tokens." in output


@pytest.mark.parametrize(
    ("text", "message"),
    [("The caster frobs.", "1 of them is unknown to the model. Its bits"), ("Zyx qyx.", "2 of")],
)
def test_unknown_words_are_counted(capsys: pytest.CaptureFixture[str], text: str, message: str):
    assert f"tokens.\n{message}" in stdout_of(capsys, text)


def test_sentences_are_ranked_by_perplexity(capsys: pytest.CaptureFixture[str]):
    output = stdout_of(capsys, "Zebra zebra zebra. The caster is. A a a a a.")
    rows = [line.split() for line in output.split("\n") if line.strip()[:1].isdigit() and "unknown" not in line]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    perplexities = [float(row[1].replace(",", "")) for row in rows]
    assert perplexities == sorted(perplexities)


def test_force_color_and_no_color(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[" in stdout_of(capsys, "The caster.")
    monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in stdout_of(capsys, "The caster.")


def test_score_of_file_equals_score_of_text(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    path = tmp_path / "text.txt"
    path.write_text("The caster sleeps.\n", encoding="utf-8")
    assert stdout_of(capsys, str(path), "--json") == stdout_of(capsys, "The caster sleeps.", "--json")


def test_json_is_one_sentence_per_line(capsys: pytest.CaptureFixture[str]):
    lines = stdout_of(capsys, "The caster sleeps. A light goes out.", "--json").strip().split("\n")
    first, second = (json.loads(line) for line in lines)
    assert first["text"] == "The caster sleeps."
    assert {first["rank"], second["rank"]} == {1, 2}
    for sentence in (first, second):
        assert len(sentence["tokens"]) == len(sentence["bits"]) == len(sentence["log_probabilities"])


def test_text_too_long_for_file_name_is_scored(capsys: pytest.CaptureFixture[str]):
    assert "Perplexity" in stdout_of(capsys, "夜" * 100)


def test_missing_file_or_folder_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    for name in ("missing.txt", str(tmp_path)):
        assert main(["score", name]) == 2
        assert f"There is no text file {name}" in capsys.readouterr().err


def test_enormous_perplexity_is_short(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    bundle = make_bundle()
    weights = {name: each * 1e4 if name.startswith("output") else each * 10 for name, each in bundle.weights.items()}
    save_bundle(replace(bundle, weights=weights), tmp_path / "certain")
    assert "Perplexity 1.0e+304 over 3 tokens." in stdout_of(capsys, "--model", str(tmp_path / "certain"), "a b. b")


def test_blank_tokens_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    bundle = make_bundle()
    letters = replace(bundle.text, tokenizer="characters", passage="paragraph", line_breaks="kept")
    save_bundle(replace(bundle, text=letters), tmp_path / "letters")
    rows = stdout_of(capsys, "--model", str(tmp_path / "letters"), "a b\na").split("\n")
    assert [row.split("  ")[0].strip() for row in rows if row.strip()[:1] == "("] == ["(space)", "(line break)"]


@pytest.mark.parametrize("text", ["", "  \n "])
def test_empty_text_is_refused(capsys: pytest.CaptureFixture[str], text: str):
    assert main(["score", text]) == 2
    assert "There is nothing to score: give a text, as in python -m wordgen score " in capsys.readouterr().err


def test_terminal_shows_progress_of_long_text(folder: Path, tmp_path: Path):
    (tmp_path / "long.txt").write_text("The caster sleeps.\n\n" * 300)
    stdout_path = tmp_path / "written"
    stderr = stderr_in_terminal(stdout_path, "score", str(tmp_path / "long.txt"), "--json", cwd=folder)
    assert re.search(r"Scoring.*[1-9]\d*/1499.* tokens", stderr)
    lines = stdout_path.read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == list(range(300))


def test_progress_without_terminal_is_plain_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wordgen.cli.output._SECONDS_BETWEEN_LINES", 0)
    load("small").score("The caster sleeps. " * 100, TokenProgress("Scoring", "Scored"))
    assert capsys.readouterr().err.startswith("Scored 128 of 400 tokens.\nScored 256 of 400 tokens.\n")


def test_short_text_shows_no_progress(capsys: pytest.CaptureFixture[str]):
    assert main(["score", "The caster sleeps."]) == 0
    assert capsys.readouterr().err == "Scored with small.\n"
