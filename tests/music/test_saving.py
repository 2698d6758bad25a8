"""Saving music: WAV files, scores in MusicXML, and pictures by verovio."""

import wave
import xml.etree.ElementTree as ET
from bisect import bisect_right
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.music import measures_of, pieces, scale, write_midi
from tests.helpers.tunes import TUNE
from wordgen.errors import CorpusError, MissingPartError, SettingError, StorageError
from wordgen.music.engraving import PARTS_PER_QUARTER, Score, rounded_for_score, spelled
from wordgen.music.harmony import LETTERS, Key, Metre
from wordgen.music.piece import CheckedPiece, Note, Piece
from wordgen.music.playing import RATE, RING, Synthesiser, tune_of_abc
from wordgen.music.saving import check_music_path, numbered_path, read_tunes, save
from wordgen.music.scores import musicxml, score_in_abc


def samples_of(path: Path) -> np.ndarray:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float) / 0x7FFF


def test_wav_has_length_of_piece_and_does_not_clip(tmp_path: Path):
    save(CheckedPiece(scale(12)), tmp_path / "scale.wav")
    samples = samples_of(tmp_path / "scale.wav")
    assert abs(len(samples) / RATE - (12 * 60 / 90 + RING)) < 0.01
    assert 0.85 < np.abs(samples).max() < 0.95
    assert np.sqrt(np.mean(samples**2)) > 0.05
    assert abs(samples.mean()) < 0.01
    assert np.abs(samples[-RATE // 100 :]).max() < 0.02


@pytest.mark.parametrize("pitch", [21, 45, 69, 93, 108, 127])
def test_tone_has_frequency_of_pitch_and_decays(pitch: int):
    (block,) = Synthesiser(Piece((Note(0, pitch, 24),), 12)).blocks()
    tone = block[: RATE // 2]
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone))))
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    around = spectrum[int(frequency / 2 * 0.97) : int(frequency / 2 * 1.03) + 3]
    assert around.max() > 0.2 * spectrum.max()
    early, late = np.abs(block[: RATE // 20]).max(), np.abs(block[RATE - RATE // 20 : RATE]).max()
    assert late < 0.9 * early


def test_tone_is_continuous_across_blocks():
    """A tone that crosses two blocks equals the same tone within one block."""
    # the second note begins half a second before the second block
    two_blocks = Piece((Note(0, 60, 12, 1), Note(12 * 39, 60, 24, 100)), 12, ((0, 120.0),))
    one_block = Piece((Note(0, 60, 24, 100),), 12, ((0, 120.0),))
    samples = np.concatenate(list(Synthesiser(two_blocks).blocks()))
    begin = int(19.5 * RATE)
    (tone,) = Synthesiser(one_block).blocks()
    assert np.allclose(samples[begin : begin + len(tone)], tone, atol=1e-4)


def test_tempo_sets_duration_up_to_one_hour(tmp_path: Path):
    save(CheckedPiece(scale(12)).at_tempo(180), tmp_path / "scale.wav")
    assert abs(len(samples_of(tmp_path / "scale.wav")) / RATE - (4 + RING)) < 0.01
    with pytest.raises(SettingError, match=r"lasts 3\.3 hours, and a WAV file can have at most one hour"):
        Synthesiser(Piece((Note(0, 60, 12),), 12, ((0, 0.005),)))


def check_measure(measure: ET.Element) -> int:
    """Check that all voices of a bar are equally long, and return that length in parts of a quarter note."""
    time, furthest, ends = 0, 0, []
    for element in measure:
        length = int(element.findtext("duration", "0"))
        if element.tag == "backup":
            ends.append(time)
            time -= length
            assert time == 0
        elif element.tag == "forward" or (element.tag == "note" and element.find("chord") is None):
            time += length
        furthest = max(furthest, time)
    assert {*ends, time} == {furthest}
    return furthest


@settings(max_examples=40)
@given(pieces())
def test_score_bars_add_up_and_keep_all_pitches(piece: Piece):
    on_grid = piece.on_grid(PARTS_PER_QUARTER)
    on_grid = Piece(
        tuple(n for n in on_grid.notes if n.onset < 500 * PARTS_PER_QUARTER),
        PARTS_PER_QUARTER,
        metres=on_grid.metres,
        keys=on_grid.keys,
    )
    measures = measures_of(on_grid)
    bars = on_grid.bars()
    assert [check_measure(measure) for measure in measures] == [bar.end - bar.begin for bar in bars]
    written_pitches: list[int] = []
    for note in chain.from_iterable(measure.iter("note") for measure in measures):
        tied_back = any(tie.get("type") == "stop" for tie in note.findall("tie"))
        if note.find("pitch") is not None and not tied_back:
            letter, octave = note.findtext("pitch/step", ""), int(note.findtext("pitch/octave", ""))
            alter = int(note.findtext("pitch/alter", "0"))
            written_pitches.append(
                {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[letter] + alter + 12 * (octave + 1)
            )
    assert set(written_pitches) == {note.pitch for note in on_grid.notes}


def test_score_has_triplets_beams_accidentals_and_ties():
    piece = Piece(
        (Note(0, 66, 8), Note(8, 67, 8), Note(16, 69, 8), Note(24, 71, 12), Note(36, 70, 12), Note(48, 72, 36)),
        PARTS_PER_QUARTER, metres=((0, Metre(3, 4)),), keys=((0, Key.of_signature(1)),),
    )  # fmt: skip
    first, second = measures_of(piece)
    notes = first.findall("note")
    assert [note.findtext("type") for note in notes] == ["eighth"] * 5 + ["quarter"]
    assert [len(note.findall("time-modification")) for note in notes] == [1, 1, 1, 0, 0, 0]
    assert [[each.get("type") for each in note.iter("tuplet")] for note in notes] == [
        ["start"],
        [],
        ["stop"],
        [],
        [],
        [],
    ]
    assert [note.findtext("beam") for note in notes] == ["begin", "continue", "end", "begin", "end", None]
    assert [note.findtext("accidental") for note in notes] == [None, None, None, None, "flat", None]
    assert [each.get("type") for each in notes[-1].findall("tie")] == ["start"]
    assert [each.findtext("type") for each in second.findall("note")] == ["eighth", "eighth", "half"]
    assert [each.find("rest") is None for each in second.findall("note")] == [True, False, False]


@pytest.mark.parametrize(
    ("pitch", "fifths", "name"),
    [(61, 0, ("C", 1, 4)), (70, 0, ("B", -1, 4)), (61, -3, ("D", -1, 4)), (68, 0, ("G", 1, 4)), (59, -6, ("C", -1, 4)),
     (60, 7, ("B", 1, 3)), (0, 0, ("C", 0, -1))],
)  # fmt: skip
def test_key_decides_spelling_of_pitches(pitch: int, fifths: int, name: tuple[str, int, int]):
    found = spelled(pitch, Key.of_signature(fifths))
    assert (LETTERS[found.step % 7], found.raised, found.step // 7 + 4) == name
    assert found.half_steps == pitch - 60


def test_pickup_is_an_implicit_bar():
    piece = Piece((Note(0, 60, 24), Note(24, 62, 96)), PARTS_PER_QUARTER, bar_lines=(0, 24, 120))
    pickup, whole = measures_of(piece)
    assert (pickup.get("implicit"), whole.get("implicit")) == ("yes", None)
    assert [check_measure(pickup), check_measure(whole)] == [24, 96]


@pytest.mark.parametrize(
    ("tune", "length"), [("M:none\nL:1/1\nK:C\nz999z999C|]", 1999 * 96), ("M:4/4\nL:1/999\nK:C\nC|]", 96)]
)
def test_longest_rest_and_shortest_tune_have_a_score(tune: str, length: int):
    piece = rounded_for_score(tune_of_abc(tune).printed)
    (measure,) = measures_of(piece)
    assert check_measure(measure) == length
    assert len(measure.findall("note/pitch")) == 1
    assert len(score_in_abc(Score(piece))[1]) == 1


def tempos_of(measures: list[ET.Element]) -> tuple[list[tuple[int, float]], list[tuple[int, int]]]:
    """Return the tempos that are played and those that are drawn, each with its time in parts of a quarter."""
    begin = 0
    played: list[tuple[int, float]] = []
    drawn: list[tuple[int, int]] = []
    for measure in measures:
        time = begin
        for element in measure:
            length = int(element.findtext("duration", "0"))
            if (metronome := element.find("direction-type/metronome")) is not None:
                at = time + int(element.findtext("offset", "0"))
                played.append((at, float(element.find("sound").get("tempo"))))  # pyright: ignore
                if metronome.get("print-object") != "no":
                    drawn.append((at, int(metronome.findtext("per-minute", ""))))
            elif element.find("chord") is None:
                time += -length if element.tag == "backup" else length
        begin += check_measure(measure)
    return played, drawn


CHANGES = st.lists(st.tuples(st.integers(1, 500), st.floats(1e-3, 1e5)), max_size=30)


@settings(max_examples=40)
@given(pieces(), CHANGES)
def test_score_plays_every_tempo_of_the_piece(piece: Piece, changes: list[tuple[int, float]]):
    piece = rounded_for_score(replace(piece, tempos=(*piece.tempos, *sorted(changes))))
    score = Score(piece)
    if score.bars[-1].end > 500 * PARTS_PER_QUARTER:
        return
    played, drawn = tempos_of(measures_of(piece))
    rounded = dict(piece.on_grid(PARTS_PER_QUARTER).tempos)
    assert played == [(time, tempo) for time, tempo in sorted(rounded.items()) if time < score.bars[-1].end]
    assert all(after - before >= PARTS_PER_QUARTER for (before, _), (after, _) in pairwise(drawn))
    assert all(before != after for (_, before), (_, after) in pairwise(drawn))
    bars = [bar.begin for bar in score.bars]
    assert len(drawn) <= 1 + len({bisect_right(bars, time) for time, _ in drawn})


@pytest.mark.parametrize(
    ("changes", "drawn"),
    [
        ([(0, 120), (96, 60.4), (228, 120)], [(0, 120), (96, 60), (228, 120)]),
        ([(0, 120), (24, 110), (48, 100), (96, 60)], [(0, 120), (48, 100), (96, 60)]),
        ([(0, 120), (100, 50), (110, 120)], [(0, 120)]),
        ([(0, 120), (5, 100)], [(5, 100)]),
        ([(0, 120), *((time, 120 + time) for time in range(5, 288, 5))], [(0, 120)]),
        ([(0, 120), (90, 110), (96, 111)], [(0, 120), (96, 111)]),
        ([(0, 120), (96, 120.2)], [(0, 120)]),
        ([(0, 120), (240, 60), (300, 90), (1000, 80)], [(0, 120), (240, 60)]),
    ],
)
def test_score_draws_only_tempos_that_leave_it_readable(changes: list[tuple[int, float]], drawn: list[tuple[int, int]]):
    piece = Piece(tuple(Note(24 * n, 60, 24) for n in range(12)), PARTS_PER_QUARTER, tuple(changes))
    played = [(time, tempo) for time, tempo in changes if time < 288]
    assert tempos_of(measures_of(piece)) == (played, drawn)


def test_many_tempos_take_little_time():
    tempos = tuple((time, 60.0 + time % 7) for time in range(200_000))
    began = process_time()
    assert musicxml(Piece((Note(0, 60, 200_000),), PARTS_PER_QUARTER, tempos)).count("<sound tempo") == 200_000
    assert process_time() - began < 30


def test_verovio_draws_tempos_where_they_change(tmp_path: Path):
    pytest.importorskip("verovio")
    changes = ((0, 91.0), (60, 63.0), (97, 47.0), (99, 83.0))
    piece = Piece(tuple(Note(48 * n, 60, 48) for n in range(6)), PARTS_PER_QUARTER, changes)
    save(CheckedPiece(piece), tmp_path / "tempos.svg")
    picture = ET.fromstring((tmp_path / "tempos.svg").read_text(encoding="utf-8"))
    groups = [each for each in picture.iter() if "tempo" in each.get("class", "").split()]
    shown = ["".join(each.itertext()).split() for each in groups]
    assert [words[-1] for words in shown if words] == ["91", "63", "83"]


def test_too_long_score_is_refused():
    with pytest.raises(SettingError, match="bars, and a score can have at most 5,000"):
        musicxml(Piece((Note(96 * 5001, 60, 24),), PARTS_PER_QUARTER))


def test_verovio_draws_a_score(tmp_path: Path):
    pytest.importorskip("verovio")
    save(CheckedPiece(scale(150)), tmp_path / "scale.svg")
    picture = ET.fromstring((tmp_path / "scale.svg").read_text(encoding="utf-8"))
    assert picture.tag.endswith("svg")
    drawn = [each for each in picture.iter() if "note" in each.get("class", "").split()]
    assert len(drawn) == len(scale(150).notes)


@pytest.mark.parametrize(
    ("module", "error", "part"),
    [
        ("import os\nos.abort()", StorageError, "verovio cannot draw the score (it ended with code -6)"),
        ("raise ImportError('gone')", MissingPartError, 'pip install "wordgen[music]"'),
        ("LOG_OFF = 0\nenableLog = print\ndef toolkit(): raise ValueError", StorageError, "it ended with code 1"),
        ("import sys\nsys.stdout.write('no pages')\nsys.stdout.flush()\nsys.exit(0)", StorageError, "code 0"),
    ],
)
def test_broken_verovio_gives_an_error_and_no_file(
    module: str, error: type[Exception], part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "verovio.py").write_text(module)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(error) as raised:
        save(CheckedPiece(scale(6)), tmp_path / "scale.svg")
    assert part in str(raised.value)
    assert {path.name for path in tmp_path.iterdir()} <= {"verovio.py", "__pycache__"}


def test_unusable_output_paths_are_refused(tmp_path: Path):
    (tmp_path / "there.mid").write_bytes(b"")
    for name, part in (
        ("tune.mp3", "a name that ends in .mid, .midi, .wav, .musicxml or .svg"),
        ("tune.txt", "Music cannot be saved as tune.txt"),
        ("tune.abc", "Music cannot be saved as tune.abc"),
        ("there.mid", "already exists"),
        ("gone/tune.mid", "There is no folder"),
    ):
        with pytest.raises((SettingError, StorageError), match=part):
            check_music_path(tmp_path / name, abc=False)
    assert numbered_path(Path("a/tune.mid"), 2, 3) == Path("a/tune-2.mid")
    assert numbered_path(Path("a/tune.mid"), 1, 1) == Path("a/tune.mid")


def test_read_tunes_chooses_format_by_ending(tmp_path: Path):
    save(CheckedPiece(scale()), tmp_path / "scale.txt")
    count, (reread,) = read_tunes(tmp_path / "scale.txt")
    assert count == 1
    assert [note[:3] for note in reread.piece.notes] == [note[:3] for note in scale().notes]
    assert reread.faults == ()
    (tmp_path / "odd.txt").write_text("E4 =6 hello +6 G4 =6 v9 +6 E4 =6 +6 G4 =6")
    _, (odd,) = read_tunes(tmp_path / "odd.txt")
    assert odd.faults == ("Some words are not music, and are ignored: hello and v9.",)
    _, (upper_case,) = read_tunes(write_midi(tmp_path / "SCALE.MID", scale()))
    assert upper_case.piece.title == "Scale"
    (tmp_path / "old.abc").write_bytes(f"X:1\r\n{TUNE}\r\n\r\nX:2\r\nT:Caf\xe9\r\nK:G\r\nG4|]\r\n".encode("latin-1"))
    count, tunes = read_tunes(tmp_path / "old.abc")
    assert (count, [tune.piece.title for tune in tunes]) == (2, ["Test", "Café"])
    with pytest.raises(SettingError, match=r"give a file that ends in \.abc, \.mid, \.midi or \.txt"):
        read_tunes(tmp_path / "tune.doc")


@pytest.mark.parametrize(
    ("text", "needed"),
    [("Some words.", r"a key \(K:G\) and notes"), (f"X:1\nK:G\n{'G8|' * 40_000}", "at most 100,000 characters")],
)
def test_error_says_why_a_file_has_no_tune(text: str, needed: str, tmp_path: Path):
    (tmp_path / "odd.abc").write_text(text)
    with pytest.raises(CorpusError, match=rf"odd\.abc contains no tune: a tune in ABC has {needed}\."):
        read_tunes(tmp_path / "odd.abc")
