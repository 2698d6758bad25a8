"""`wordgen tune` and `generate --save`."""

import wave
from pathlib import Path

import pytest

from tests.helpers.music import music_bundle, scale, write_midi
from tests.helpers.tunes import TUNE
from wordgen.cli.main import main
from wordgen.model.bundle import save_bundle
from wordgen.music.midi import read_midi

NOTE_TOKENS = ["E4", "G4", "C5", "=6", "=12", "+6", "+12", "v5"]


@pytest.fixture
def folder(in_empty_folder: Path) -> Path:
    save_bundle(music_bundle("notes", NOTE_TOKENS), in_empty_folder / "saved_models" / "tunes")
    save_bundle(music_bundle("chords", ["E4", "G4", "C4.E4.G4", "C5"]), in_empty_folder / "saved_models" / "chords")
    save_bundle(music_bundle("english", ["the", "road", "goes", "on"]), in_empty_folder / "saved_models" / "words")
    return in_empty_folder


def test_tune_describes_and_checks_midi_file(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    write_midi(in_empty_folder / "scale.mid", scale())
    assert main(["tune", "scale.mid"]) == 0
    assert capsys.readouterr().out.split("\n") == [
        "Scale",
        "  53 notes in 14 bars, 27 s",
        "  metre 3/4, 90 quarters a minute",
        "  key G major",
        "  from G2 to B4, loudness v4 to v6",
        "  No faults.",
        "",
    ]


def test_output_format_follows_file_name(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    write_midi(in_empty_folder / "scale.mid", scale())
    for name in ("scale.wav", "scale.musicxml", "scale.txt"):
        assert main(["tune", "scale.mid", "--output", name]) == 0
    assert main(["tune", "scale.txt", "--output", "again.mid", "--tempo", "60"]) == 0
    piece = read_midi(in_empty_folder / "again.mid").piece.on_grid(12)
    assert [note[:3] for note in piece.notes] == [note[:3] for note in scale().notes]
    assert piece.tempos == ((0, 60.0),)
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
        (["long.abc", "--output", "tune.mp3"], "Music cannot be saved as tune.mp3"),
        (["odd.mid", "--tempo", "1"], "--tempo must be at least 10 and at most 1,000, not 1.0"),
        (["odd.xyz"], "odd.xyz is no music that wordgen reads"),
    ],
)
def test_bad_input_gets_one_sentence(
    arguments: list[str], part: str, in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
):
    for ending in ("mid", "txt", "abc"):
        (in_empty_folder / f"odd.{ending}").write_text("The road goes on.")
    (in_empty_folder / "long.abc").write_text("X:1\nL:999/1\nK:C\nC999|]\n")
    assert main(["tune", *arguments]) == 2
    stderr = capsys.readouterr().err
    assert part in stderr
    assert stderr.count("\n") == 1


def test_tunes_in_abc_are_checked_and_converted(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
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
    at_tempo = first.replace("K:G", "Q:1/4=100\nK:G")
    assert (in_empty_folder / "tune-1.abc").read_text() == f"X:1\n% about it\n{at_tempo}\n\n"
    assert (in_empty_folder / "tune-1.musicxml").read_text().count('<repeat direction="backward"/>') == 2
    capsys.readouterr()
    assert main(["tune", "tune-1.abc", "--output", "one.mid"]) == 0
    assert main(["tune", "tune-1.mid", "--output", "one.abc"]) == 2
    assert "Music cannot be saved as one.abc" in capsys.readouterr().err


def test_only_names_that_are_written_must_be_free(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    (in_empty_folder / "tunes.abc").write_text(f"X:1\n{TUNE}\n\nX:2\n{TUNE}\n")
    (in_empty_folder / "tune.mid").touch()
    assert main(["tune", "tunes.abc", "--output", "tune.mid"]) == 0
    assert main(["tune", "tunes.abc", "--output", "tune.mid"]) == 2
    assert "tune-1.mid already exists" in capsys.readouterr().err


def test_one_note_bar_or_further_fault_is_singular(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    (in_empty_folder / "short.abc").write_text("X:1\nM:1/4\nL:1/4\nK:G\nG|\n")
    (in_empty_folder / "faulty.abc").write_text(f"X:1\nM:4/4\nL:1/4\nK:G\n{'GGGGG|' * 21}\n")
    assert main(["tune", "short.abc"]) == 0
    assert "  1 note in 1 bar, " in capsys.readouterr().out
    assert main(["tune", "faulty.abc"]) == 0
    assert capsys.readouterr().out.endswith("\n  1 more fault.\n")


def test_tune_without_notes_is_not_written(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    (in_empty_folder / "empty.abc").write_text("X:1\nT:Empty\nK:G\n")
    assert main(["tune", "empty.abc", "--output", "empty.mid"]) == 0
    output = capsys.readouterr()
    assert output.out.split("\n")[:3] == ["Empty", "  no notes", "  It has no notes."]
    assert "The piece has no note, so empty.mid was not written." in output.err
    assert not (in_empty_folder / "empty.mid").exists()


def test_save_writes_generated_notes_as_midi_and_wav(folder: Path, capsys: pytest.CaptureFixture[str]):
    flags = ["--length", "60", "--random-seed", "1"]
    assert main(["generate", "--model", "tunes", *flags, "--save", "tune.mid", "--tempo", "80"]) == 0
    output = capsys.readouterr()
    piece = read_midi(folder / "tune.mid").piece
    assert piece.tempos == ((0, 80.0),)
    note_tokens = [token for token in output.out.split() if token[0] in "ABCDEFG"]
    assert len(piece.notes) == len(note_tokens) > 2
    assert "Saved tune.mid." in output.err
    assert main(["generate", "--model", "chords", *flags, "--count", "2", "--json", "--save", "tune.wav"]) == 0
    assert {path.name for path in folder.glob("tune*")} == {"tune.mid", "tune-1.wav", "tune-2.wav"}


def test_save_writes_generated_abc_in_four_formats(folder: Path, capsys: pytest.CaptureFixture[str]):
    abc_tokens = ["C", "D", "E", "G", "c", "2", "|", '"G"', "[1", ":|"]
    save_bundle(music_bundle("abc", abc_tokens), folder / "saved_models" / "airs")
    flags = ["--model", "airs", "--length", "80", "--random-seed", "1"]
    for name in ("tune.abc", "tune.mid", "tune.wav", "tune.musicxml"):
        assert main(["generate", *flags, "--save", name]) == 0
        output = capsys.readouterr()
        assert f"Saved {name}. Line 1: there is music before the key" in output.err
        assert (folder / name).stat().st_size > 0
    assert (folder / "tune.abc").read_text() == f"X:1\n{output.out.strip()}\n\n"
    assert main(["tune", "tune.abc", "--output", "again.mid"]) == 0
    assert (folder / "again.mid").read_bytes() == (folder / "tune.mid").read_bytes()


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
def test_bad_save_flags_are_refused_before_generating(
    arguments: list[str], part: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["generate", *arguments]) == 2
    output = capsys.readouterr()
    assert part in output.err
    assert output.out == ""


def test_generated_text_without_notes_is_not_saved(folder: Path, capsys: pytest.CaptureFixture[str]):
    save_bundle(music_bundle("notes", ["+6", "+12"]), folder / "saved_models" / "rests")
    assert main(["generate", "--model", "rests", "--save", "tune.mid"]) == 0
    assert "The text has no note, so tune.mid was not saved." in capsys.readouterr().err
    assert not (folder / "tune.mid").exists()
