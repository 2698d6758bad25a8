"""`wordgen tune`, and what `generate --save` writes."""

import wave
from pathlib import Path

import pytest

from tests.helpers.commands import Command
from tests.helpers.music import music_bundle, scale, write_midi
from tests.helpers.tunes import TUNE
from wordgen.cli.main import main
from wordgen.model.bundle import save_bundle
from wordgen.music.midi import read_midi

WORDS = ["E4", "G4", "C5", "=6", "=12", "+6", "+12", "v5"]


@pytest.fixture
def room(in_empty_folder: Path) -> Path:
    save_bundle(music_bundle("notes", WORDS), in_empty_folder / "saved_models" / "tunes")
    save_bundle(music_bundle("chords", ["E4", "G4", "C4.E4.G4", "C5"]), in_empty_folder / "saved_models" / "chords")
    save_bundle(music_bundle("english", ["the", "road", "goes", "on"]), in_empty_folder / "saved_models" / "words")
    return in_empty_folder


def test_a_piece_is_checked(command: Command, tmp_path: Path):
    write_midi(tmp_path / "scale.mid", scale())
    ended = command("tune", "scale.mid")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split("\n") == [
        "Scale",
        "  53 notes in 14 bars, 27 s",
        "  metre 3/4, 90 quarters a minute",
        "  key G major",
        "  from G2 to B4, loudness v4 to v6",
        "  No faults.",
        "",
    ]


def test_a_piece_is_converted_as_the_name_ends(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    write_midi(in_empty_folder / "scale.mid", scale())
    for name in ("scale.wav", "scale.musicxml", "scale.txt"):
        assert main(["tune", "scale.mid", "--output", name]) == 0
    assert main(["tune", "scale.txt", "--output", "again.mid", "--tempo", "60"]) == 0
    again = read_midi(in_empty_folder / "again.mid").piece.on_grid(12)
    assert [note[:3] for note in again.notes] == [note[:3] for note in scale().notes]
    assert again.tempos == ((0, 60.0),)
    with wave.open("scale.wav") as file:
        assert file.getnframes() / file.getframerate() > 26
    capsys.readouterr()
    assert main(["tune", "scale.mid", "--output", "scale.wav"]) == 2
    assert "scale.wav already exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["gone.mid"], "gone.mid cannot be read as MIDI: No such file or directory."),
        (["odd.mid"], "odd.mid cannot be read as MIDI: it does not begin like a MIDI file."),
        (["odd.txt"], "odd.txt contains no music"),
        (["odd.abc"], "odd.abc contains no tune"),
        (["long.abc"], "long.abc, line 1, cannot be played. The tune lasts longer than 50,000 quarter notes"),
        (["odd.mid", "--output", "tune.mp3"], "Music cannot be saved as tune.mp3"),
        (["odd.mid", "--tempo", "1"], "--tempo must be at least 10 and at most 1,000, not 1.0"),
        (["odd.xyz"], "odd.xyz is no music that wordgen reads"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(
    arguments: list[str], part: str, in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
):
    for ending in ("mid", "txt", "abc"):
        (in_empty_folder / f"odd.{ending}").write_text("The road goes on.")
    (in_empty_folder / "long.abc").write_text("X:1\nL:999/1\nK:C\nC999|]\n")
    assert main(["tune", *arguments]) == 2
    told = capsys.readouterr().err
    assert part in told
    assert told.count("\n") == 1


def test_tunes_in_abc_are_checked_played_and_converted(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    first, second = TUNE.replace("T:Test", "T:One"), TUNE.replace("T:Test", "T:Two").replace("G3 G2:|", "G3 G3:|")
    (in_empty_folder / "tunes.abc").write_text(f"X:3\n% about it\n{first}\n\nX:4\nS:a book\n{second}\n")
    assert main(["tune", "tunes.abc"]) == 0
    one, two = capsys.readouterr().out.split("Two\n")
    assert one.split("\n") == [
        "One",
        "  34 notes in 10 bars, 24 s",
        "  metre 6/8, 120 quarters a minute",
        "  key G major",
        "  from D4 to G5, loudness v5 to v7",
        "  No faults.",
        "",
    ]
    assert "Bar 1 has 1/8 where a part begins, and no other bar completes it to 6/8." in two
    for name in ("tune.mid", "tune.wav", "tune.musicxml", "tune.abc", "tune.txt"):
        assert main(["tune", "tunes.abc", "--output", name, "--tempo", "100"]) == 0
        assert {path.name for path in in_empty_folder.glob(f"tune-*{Path(name).suffix}")} == {
            f"tune-{number}{Path(name).suffix}" for number in (1, 2)
        }
    assert read_midi(in_empty_folder / "tune-1.mid").piece.tempos == ((0, 100.0),)
    assert (in_empty_folder / "tune-1.abc").read_text() == f"X:1\n% about it\n{first}\n\n"
    assert (in_empty_folder / "tune-1.musicxml").read_text().count('<repeat direction="backward"/>') == 2
    capsys.readouterr()
    assert main(["tune", "tune-1.abc", "--output", "one.mid"]) == 0
    assert main(["tune", "tune-1.mid", "--output", "one.abc"]) == 2
    assert "Music cannot be saved as one.abc" in capsys.readouterr().err


def test_a_tune_without_notes_is_told_of(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    (in_empty_folder / "empty.abc").write_text("X:1\nT:Empty\nK:G\n")
    assert main(["tune", "empty.abc", "--output", "empty.mid"]) == 0
    told = capsys.readouterr()
    assert told.out.split("\n")[:3] == ["Empty", "  no notes", "  It has no notes."]
    assert "The piece has no note, so empty.mid was not written." in told.err
    assert not (in_empty_folder / "empty.mid").exists()


def test_what_is_written_is_saved_as_music(room: Path, capsys: pytest.CaptureFixture[str]):
    flags = ["--length", "60", "--random-seed", "1"]
    assert main(["generate", "--model", "tunes", *flags, "--save", "tune.mid", "--tempo", "80"]) == 0
    shown = capsys.readouterr()
    piece = read_midi(room / "tune.mid").piece
    assert piece.tempos == ((0, 80.0),)
    names = [word for word in shown.out.split() if word[0] in "ABCDEFG"]
    assert len(piece.notes) == len(names) > 2
    assert "Saved tune.mid." in shown.err
    assert main(["generate", "--model", "chords", *flags, "--count", "2", "--json", "--save", "tune.wav"]) == 0
    assert {path.name for path in room.glob("tune*")} == {"tune.mid", "tune-1.wav", "tune-2.wav"}


def test_what_a_model_of_abc_writes_is_saved(room: Path, capsys: pytest.CaptureFixture[str]):
    signs = ["C", "D", "E", "G", "c", "2", "|", '"G"', "[1", ":|"]
    save_bundle(music_bundle("abc", signs), room / "saved_models" / "airs")
    flags = ["--model", "airs", "--length", "80", "--random-seed", "1"]
    for name in ("tune.abc", "tune.mid", "tune.wav", "tune.musicxml"):
        assert main(["generate", *flags, "--save", name]) == 0
        shown = capsys.readouterr()
        assert f"Saved {name}. Line 1: there is music before the key" in shown.err
        assert (room / name).stat().st_size > 0
    assert (room / "tune.abc").read_text() == f"X:1\n{shown.out.strip()}\n\n"
    assert main(["tune", "tune.abc", "--output", "again.mid"]) == 0
    assert (room / "again.mid").read_bytes() == (room / "tune.mid").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--model", "words", "--save", "tune.mid"], "--save is for music, and words writes text"),
        (["--model", "tunes", "--save", "tune.mp3"], "Music cannot be saved as tune.mp3"),
        (["--model", "tunes", "--save", "tune.txt"], "Music cannot be saved as tune.txt"),
        (["--model", "tunes", "--save", "tune.abc"], "Music cannot be saved as tune.abc"),
        (["--model", "tunes", "--save", "gone/tune.mid"], "There is no folder gone"),
        (["--model", "tunes", "--tempo", "90"], "give --save FILE, too"),
        (["--model", "tunes", "--save", "tune.mid", "--interactive"], "leave out"),
    ],
)
def test_what_cannot_be_saved_is_refused_before_anything_is_written(
    arguments: list[str], part: str, room: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["generate", *arguments]) == 2
    told = capsys.readouterr()
    assert part in told.err
    assert told.out == ""


def test_a_text_without_notes_is_told_of(room: Path, capsys: pytest.CaptureFixture[str]):
    save_bundle(music_bundle("notes", ["+6", "+12"]), room / "saved_models" / "rests")
    assert main(["generate", "--model", "rests", "--save", "tune.mid"]) == 0
    assert "The text has no note, so tune.mid was not saved." in capsys.readouterr().err
    assert not (room / "tune.mid").exists()
