"""`generate --continue`, and the flags of whole tunes on the command line."""

import json
from pathlib import Path

import pytest

from tests.helpers.music import music_bundle, scale, write_midi
from tests.helpers.tunes import TUNE, check
from wordgen.cli.main import main
from wordgen.model.bundle import save_bundle
from wordgen.music.midi import read_midi
from wordgen.music.piece import chord_words, notes_text, piece_of_notes

NOTE_TOKENS = ["E4", "G4", "C5", "=6", "=12", "+6", "+12", "v5", "v2"]
ABC_TOKENS = ["C", "E", "c'", "2", "|", '"G"', "K:C", "M:6/8", "L:1/8"]


@pytest.fixture
def folder(in_empty_folder: Path) -> Path:
    models = in_empty_folder / "saved_models"
    save_bundle(music_bundle("abc", ABC_TOKENS, transpose="common"), models / "airs")
    save_bundle(music_bundle("abc", ["C", "D", "|"]), models / "simple")
    save_bundle(music_bundle("notes", NOTE_TOKENS), models / "piano")
    save_bundle(music_bundle("chords", ["E4", "G4", "C4.E4.G4", "C5"]), models / "chords")
    save_bundle(music_bundle("english", ["the", "road", "goes", "on"]), models / "words")
    write_midi(in_empty_folder / "scale.mid", scale())
    (in_empty_folder / "tune.abc").write_text(f"X:4\nS:a book\n% about it\n{TUNE}\n")
    (in_empty_folder / "two.abc").write_text(f"X:1\n{TUNE}\n\nX:2\n{TUNE}\n")
    (in_empty_folder / "odd.abc").write_bytes(b"\xff\x00no tune")
    return in_empty_folder


def test_continued_tune_begins_with_given_tune_in_any_format(folder: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("more.abc", "more.mid"):
        flags = ["--continue", "tune.abc", "--length", "40", "--random-seed", "3", "--save", name]
        assert main(["generate", "--model", "airs", *flags]) == 0
    beginning = f"S:a book\n% about it\n{TUNE}"
    assert (folder / "more.abc").read_text().startswith(f"X:1\n{beginning}")
    assert len((folder / "more.abc").read_text()) > len(beginning) + 20
    assert capsys.readouterr().out.startswith(beginning)
    assert main(["tune", "more.abc", "--output", "again.mid"]) == 0
    assert (folder / "again.mid").read_bytes() == (folder / "more.mid").read_bytes()


def test_continued_piece_keeps_notes_tempo_metre_and_key(folder: Path):
    for number in range(3):
        flags = ["--continue", "scale.mid", "--length", "60", "--random-seed", str(number), "--save", f"{number}.mid"]
        assert main(["generate", "--model", "piano", *flags]) == 0
        piece = read_midi(folder / f"{number}.mid").piece
        beginning = piece_of_notes(notes_text(scale()))
        notes = piece.on_grid(12).notes
        assert set(beginning.notes) <= set(notes)
        assert len(notes) > len(beginning.notes)
        assert piece.tempos[0][1] == pytest.approx(90, rel=1e-5)
        assert (piece.metres[0], piece.keys[0]) == (scale().metres[0], scale().keys[0])


def test_model_of_chords_continues_a_piece(folder: Path, capsys: pytest.CaptureFixture[str]):
    flags = ["--continue", "scale.mid", "--length", "20", "--save", "more.mid"]
    assert main(["generate", "--model", "chords", *flags]) == 0
    assert capsys.readouterr().out.startswith(" ".join(words for _, words in chord_words(scale())))
    assert read_midi(folder / "more.mid").piece.tempos[0][1] == pytest.approx(90, rel=1e-5)


def test_json_has_number_of_draws_of_valid_tune(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "free.abc").write_text("M:none\nL:1/8\nK:C\nC")
    flags = ["--only-valid", "--temperature", "1", "--length", "30", "--count", "5", "--random-seed", "5", "--json"]
    assert main(["generate", "--model", "simple", "--continue", "free.abc", *flags]) == 0
    texts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [check(text["text"]) for text in texts] == [()] * 5
    assert max(text["draws"] for text in texts) > 1
    assert {text["settings"]["only_valid"] for text in texts} == {True}


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--model", "words", "--continue", "tune.abc"], "--continue is for music, and words writes text"),
        (["--model", "airs", "--continue", "scale.mid"], "scale.mid is no tune in ABC"),
        (["--model", "airs", "--continue", "two.abc"], "two.abc has 2 tunes: give a file with the tune to continue."),
        (["--model", "airs", "--continue", "gone.abc"], "gone.abc cannot be read"),
        (["--model", "airs", "--continue", "odd.abc"], "odd.abc contains no tune"),
        (["--model", "airs", "--continue", "tune.xyz"], "tune.xyz is no music that wordgen reads"),
        (["--model", "airs", "--continue", "tune.abc", "--seed", "C"], "--seed and --continue cannot be used together"),
        (["--model", "airs", "--continue", "tune.abc", "--interactive"], "leave out"),
        (["--model", "airs", "--continue", "tune.abc", "--key", "D"], "--key belongs to the header of a tune"),
        (["--model", "airs", "--key", "D", "--co-writer"], "--key writes a whole tune: leave out --interactive and"),
        (["--model", "piano", "--key", "D"], "--key is for models of tunes in ABC, and this model writes notes"),
        (
            ["--model", "chords", "--metre", "6/8"],
            "--metre is for models of tunes in ABC, and this model writes chords",
        ),
        (
            ["--model", "words", "--only-valid"],
            "--only-valid is for models of tunes in ABC, and this model writes text",
        ),
        (["--model", "airs", "--max-copy-notes", "12"], "This model has no copy index"),
        (["--model", "airs", "--key", "K"], "--key must be a key such as"),
    ],
)
def test_impossible_request_gets_one_sentence_and_no_text(
    arguments: list[str], part: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["generate", *arguments]) == 2
    output = capsys.readouterr()
    assert part in output.err
    assert output.err.count("\n") == 1
    assert output.out == ""
