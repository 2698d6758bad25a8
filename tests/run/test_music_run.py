"""A run of music: its training, its bundle, and the music figures of its evaluation."""

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


def run_main(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*arguments]) == 0
    return capsys.readouterr().out


def test_run_of_tunes_trains_transposed_and_measures_music(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    small = ["--layers", "1", "--units", "8", "--epochs", "1", "--name", "run"]
    output = run_main(capsys, "train", "--corpus", "airs", *small)
    assert "132 tunes transposed to C major" in " ".join(output.split())
    folder = in_empty_folder / "saved_models" / "run"
    config = json.loads((folder / "config.json").read_text())
    reading = {name: config["text"][name] for name in ("tokenizer", "passage", "line_breaks", "transpose")}
    assert reading == {"tokenizer": "abc", "passage": "tune", "line_breaks": "kept", "transpose": "common"}
    samples = load_record(folder).epochs[0].samples
    assert max(len(sample.text) for sample in samples) >= 200  # each token has at least one character
    assert {sample.seed for sample in samples} == {""}
    command = "generate --model run --length 600 --stop end"
    assert f"{command}\n" in output
    assert f"{command}\n" in run_main(capsys, "runs", "show", "run")
    assert '<script type="module">' in (folder / "report.html").read_text(encoding="utf-8")
    assert run_main(capsys, "generate", "--model", "run", "--seed", "M:6/8", "--length", "20")
    other = write_text(in_empty_folder / "other.abc", f"X:1\n{TUNE}\n")
    assert run_main(capsys, "evaluate", "run", "--split", other, "--samples", "0")
    check_music_figures(folder, capsys)


def check_music_figures(folder: Path, capsys: pytest.CaptureFixture[str]):
    """The figures in the output, in JSON, in the record and on the report page are the same."""
    figures = json.loads(run_main(capsys, "evaluate", "run", "--samples", "3", "--json"))
    assert figures["bits_per_note"] * figures["music_notes"] == pytest.approx(
        figures["tokens"] * log(figures["perplexity"], 2)
    )
    music = load_record(folder).measurements["test"].music
    assert music is not None
    assert music.to_mapping() == figures["music"]
    assert isinstance(music.held_out, TuneFigures)
    assert (music.held_out.notes, music.held_out.parse, music.held_out.repeats_add_up) == (figures["music_notes"], 1, 1)
    assert isinstance(music.generated, TuneFigures)
    assert music.generated.tunes == 3
    output = " ".join(run_main(capsys, "evaluate", "run", "--samples", "3").split())
    assert "--seed" not in output
    page = read_page((folder / "report.html").read_text(encoding="utf-8"))
    for row in music.rows():
        assert " ".join(row) in output
        assert set(row) <= {text for _, text in page.texts}
    assert music.verdict is not None
    assert music.verdict in output
    assert music.verdict in page.shown
    assert f"{figures['bits_per_note']:.3f}" in output
    assert "Bits per note" in page.shown
    assert "generate --model run --length 600 --stop end" in page.shown


@pytest.mark.parametrize("tokenizer", ["notes", "chords"])
def test_model_of_pieces_is_measured_on_a_midi_file(tokenizer: str, in_empty_folder: Path):
    path = write_midi(in_empty_folder / "scale.mid", scale())
    text = midi_text(path, chords=tokenizer == "chords")
    tokens = tokenizer_named(tokenizer).tokenize(text)  # pyright: ignore[reportArgumentType]
    folder = in_empty_folder / "saved_models" / "untrained"
    save_bundle(music_bundle(tokenizer, tokens), folder)
    found = wordgen.evaluate("untrained", split=path, samples=2)
    assert found.music_notes == notes_in(tokenizer, [text]) == len(scale().notes)  # pyright: ignore[reportArgumentType]
    assert found.bits_per_note == pytest.approx(found.loss.nats / log(2) / len(scale().notes))
    assert "bits per note" in found._repr_html_()
    assert found.music is not None
    assert found.music.training is None
    assert isinstance(found.music.generated, PieceFigures)
    assert found.music.columns == ["generated", "scale.mid"]
    without = wordgen.evaluate("untrained", split=path, samples=0)
    assert (without.music, without.music_notes) == (None, found.music_notes)


@pytest.mark.usefixtures("in_empty_folder")
def test_augment_is_refused_for_text(capsys: pytest.CaptureFixture[str]):
    assert main(["train", "--corpus", "spells", "--transpose", "augment", "--layers", "1", "--units", "8"]) == 2
    assert "--transpose augment is for tunes in ABC" in capsys.readouterr().err
