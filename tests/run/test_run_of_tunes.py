"""A run on tunes: what it begins with, what its model remembers, and what it is measured on."""

import json
from math import log
from pathlib import Path

import pytest

import wordgen
from tests.helpers.music import music_bundle, scale, write_midi
from tests.helpers.page_reader import read_page
from tests.helpers.texts import write_text
from tests.helpers.tunes import TUNE
from wordgen.cli.main import main
from wordgen.evaluation.music import PieceFigures, TuneFigures, notes_in
from wordgen.model.bundle import save_bundle
from wordgen.music.midi import midi_text
from wordgen.run.record import load_record
from wordgen.text.tokenizers import tokenizer_named


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*arguments]) == 0
    return capsys.readouterr().out


def test_a_model_of_tunes_remembers_the_key_and_reads_others_in_it(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
):
    small = ["--layers", "1", "--units", "8", "--epochs", "1", "--name", "run"]
    begun = shown(capsys, "train", "--corpus", "airs", *small)
    assert "132 tunes transposed to C major" in " ".join(begun.split())
    folder = in_empty_folder / "saved_models" / "run"
    config = json.loads((folder / "config.json").read_text())
    known = {name: config["text"][name] for name in ("tokenizer", "passage", "line_breaks", "transpose")}
    assert known == {"tokenizer": "abc", "passage": "tune", "line_breaks": "kept", "transpose": "common"}
    samples = load_record(folder).epochs[0].samples
    assert max(len(sample.text) for sample in samples) >= 200  # a token has a character at least
    assert {sample.seed for sample in samples} == {""}
    whole = "generate --model run --length 600 --stop end"
    assert f"{whole}\n" in begun
    assert f"{whole}\n" in shown(capsys, "runs", "show", "run")
    assert '<script type="module">' in (folder / "report.html").read_text(encoding="utf-8")
    assert shown(capsys, "generate", "--model", "run", "--seed", "M:6/8", "--length", "20")
    other = write_text(in_empty_folder / "other.abc", f"X:1\n{TUNE}\n")
    assert shown(capsys, "evaluate", "run", "--split", other, "--samples", "0")
    its_music_is_measured(folder, capsys)


def its_music_is_measured(folder: Path, capsys: pytest.CaptureFixture[str]):
    """On the screen, in JSON, in the record and on the page."""
    told = json.loads(shown(capsys, "evaluate", "run", "--samples", "3", "--json"))
    assert told["bits_per_note"] * told["music_notes"] == pytest.approx(told["tokens"] * log(told["perplexity"], 2))
    music = load_record(folder).measurements["test"].music
    assert music is not None
    assert music.to_mapping() == told["music"]
    assert isinstance(music.held_out, TuneFigures)
    assert (music.held_out.notes, music.held_out.parse, music.held_out.repeats_add_up) == (told["music_notes"], 1, 1)
    assert isinstance(music.generated, TuneFigures)
    assert music.generated.tunes == 3
    screen = " ".join(shown(capsys, "evaluate", "run", "--samples", "3").split())
    assert "--seed" not in screen
    page = read_page((folder / "report.html").read_text(encoding="utf-8"))
    for row in music.rows():
        assert " ".join(row) in screen
        assert set(row) <= {text for _, text in page.texts}
    assert music.verdict is not None
    assert music.verdict in screen
    assert music.verdict in page.shown
    assert f"{told['bits_per_note']:.3f}" in screen
    assert "Bits per note" in page.shown
    assert "generate --model run --length 600 --stop end" in page.shown


@pytest.mark.parametrize("tokenizer", ["notes", "chords"])
def test_a_model_of_pieces_is_measured_on_midi_without_its_training_text(tokenizer: str, in_empty_folder: Path):
    path = write_midi(in_empty_folder / "scale.mid", scale())
    text = midi_text(path, chords=tokenizer == "chords")
    tokens = tokenizer_named(tokenizer).tokenize(text)  # pyright: ignore[reportArgumentType]
    folder = in_empty_folder / "saved_models" / "untrained"
    save_bundle(music_bundle(tokenizer, tokens), folder)
    found = wordgen.evaluate("untrained", split=path, samples=2)
    assert found.music_notes == notes_in(tokenizer, [text]) == len(scale().notes)  # pyright: ignore[reportArgumentType]
    assert found.bits_per_note == pytest.approx(found.own.nats / log(2) / len(scale().notes))
    assert "bits per note" in found._repr_html_()
    assert found.music is not None
    assert found.music.training is None
    assert isinstance(found.music.generated, PieceFigures)
    assert found.music.columns == ["generated", "scale.mid"]
    without = wordgen.evaluate("untrained", split=path, samples=0)
    assert (without.music, without.music_notes) == (None, found.music_notes)


@pytest.mark.usefixtures("in_empty_folder")
def test_copies_in_other_keys_are_for_tunes_alone(capsys: pytest.CaptureFixture[str]):
    assert main(["train", "--corpus", "spells", "--transpose", "augment", "--layers", "1", "--units", "8"]) == 2
    assert "--transpose augment is for tunes in ABC" in capsys.readouterr().err
