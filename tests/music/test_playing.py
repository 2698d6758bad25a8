"""Tunes in ABC as they are played, equal to abc2midi, and as they are printed."""

import shutil
import subprocess
import time
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings

from tests.helpers.music import measures_of
from tests.helpers.texts import passage_texts
from tests.helpers.tunes import ABC_TEXTS, TUNE
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.settings import ReadingSettings
from wordgen.errors import CorpusError
from wordgen.music.abc_parsing import parse_tune
from wordgen.music.abc_text import numbered
from wordgen.music.harmony import chord_named
from wordgen.music.midi import midi_bytes, read_midi
from wordgen.music.playing import tune_of_abc
from wordgen.music.scores import musicxml

HEAD = "M:4/4\nL:1/8\nK:C\n"


def played_notes(music: str, head: str = HEAD) -> list[tuple[float, int, float]]:
    """Onset, pitch and length of each note, in quarter notes."""
    piece = tune_of_abc(head + music).piece
    return [(note.onset / piece.resolution, note.pitch, note.length / piece.resolution) for note in piece.notes]


@pytest.mark.parametrize(
    ("music", "bars"),
    [
        ("C8|D8||E8|]", [1, 2, 3]),
        ("|:C8|D8:|E8|]", [1, 2, 1, 2, 3]),
        ("C8:|D8:|", [1, 1, 2, 2]),
        ("C8::D8:|", [1, 1, 2, 2]),
        ("|:C8|D8||E8:|F8|]", [1, 2, 3, 1, 2, 3, 4]),
        ("C8|D8||E8:|F8||G8:|", [1, 2, 3, 1, 2, 3, 4, 5, 5]),
        ("|:C8|:D8:|E8|]", [1, 1, 2, 2, 3]),
        ("|:C8|1D8:|2E8|]", [1, 2, 1, 3]),
        ("|:C8|1D8:|2E8:|F8|]", [1, 2, 1, 3, 4]),
        ("C8|[1D8|E8:|[2F8|G8||A8|]", [1, 2, 3, 1, 4, 5, 6]),
        ("|:C8|1,3D8:|2E8:|4F8|]", [1, 2, 1, 3, 1, 2, 1, 4]),
        ("|:C8|1-2D8:|3E8|]", [1, 2, 1, 2, 1, 3]),
        ("|:C8|1D8:|2E8|:F8:|", [1, 2, 1, 3, 4, 4]),
    ],
)
def test_repeats_and_endings_set_order_of_bars(music: str, bars: list[int]):
    assert [bar.number for bar in parse_tune(HEAD + music).played_bars] == bars


@pytest.mark.parametrize(
    ("order", "bars"),
    [
        ("AAB", [1, 1, 2, 2]),
        ("A.BA2", [1, 2, 2, 1, 1]),
        ("(AB)2", [1, 2, 2, 1, 2, 2]),
        ("B3", [2, 2, 2, 2, 2, 2]),
        ("", [1, 2, 2]),
        ("ABC", [1, 2, 2]),
        ("A(B", [1, 2, 2]),
        ("A)B", [1, 2, 2]),
        ("(" * 50 + "A" + ")9" * 50, [1, 2, 2]),
    ],
)
def test_header_sets_order_of_parts(order: str, bars: list[int]):
    tune = parse_tune(f"P:{order}\n{HEAD}P:A\nC8|\nP:B\n|:D8:|")
    assert [bar.number for bar in tune.played_bars] == bars


@pytest.mark.parametrize(
    ("music", "notes"),
    [
        ("C2 z2 D4|", [(0, 60, 1), (2, 62, 2)]),
        ("(3CDE F2|", [(0, 60, 1 / 3), (1 / 3, 62, 1 / 3), (2 / 3, 64, 1 / 3), (1, 65, 1)]),
        ("C>D E<<F|", [(0, 60, 0.75), (0.75, 62, 0.25), (1, 64, 0.125), (1.125, 65, 0.875)]),
        ("[CE]2 [GB]|", [(0, 60, 1), (0, 64, 1), (1, 67, 0.5), (1, 71, 0.5)]),
        ("C2-C2|", [(0, 60, 2)]),
        ("C8-|C4-C|", [(0, 60, 6.5)]),
        ("^F8-|F4 F4|", [(0, 66, 6), (6, 65, 2)]),
        ("C2-D2|", [(0, 60, 1), (1, 62, 1)]),
        ("+CE+2 +G2B2+|", [(0, 60, 1), (0, 64, 1), (1, 67, 1), (1, 71, 1)]),
        ("+trill++ceg+|", [(0, 72, 0.5), (0, 76, 0.5), (0, 79, 0.5)]),
        ("+ff+c|", [(0, 72, 0.5)]),
        ("[CE]2-[CG]2|", [(0, 60, 2), (0, 64, 1), (1, 67, 1)]),
        ("{D}C2|", [(0, 62, 0.125), (0.125, 60, 0.875)]),
        ("{/DE2}C2|", [(0, 62, 0.125), (0.125, 64, 0.25), (0.375, 60, 0.625)]),
        ("{DEFG}C|", [(0, 60, 0.5)]),
        ("C2{D}|E2|", [(0, 60, 1), (1, 64, 1)]),
        ("{^F}|F2|", [(0, 65, 1)]),
        (".C2 !staccato!D2 E2|", [(0, 60, 0.5), (1, 62, 0.5), (2, 64, 1)]),
        ("C4 & E2F2|G4|", [(0, 60, 2), (0, 64, 1), (1, 65, 1), (2, 67, 2)]),
        ("^C2 C c|C4|", [(0, 61, 1), (1, 61, 0.5), (1.5, 73, 0.5), (2, 60, 2)]),
        ("Z|C4|", [(4, 60, 2)]),
        ("c''''|C,,,,|", [(0, 120, 0.5), (0.5, 12, 0.5)]),
        ("b''''|C,,,,,,,|", [(0, 119, 0.5), (0.5, 12, 0.5)]),
    ],
)
def test_note_onsets_pitches_and_lengths(music: str, notes: list[tuple[float, int, float]]):
    assert played_notes(music) == [pytest.approx(note) for note in notes]


def test_metre_sets_length_of_quintuplets():
    assert played_notes("(5CDEFG|", "M:6/8\nL:1/8\nK:C\n")[-1] == pytest.approx((1.2, 67, 0.3))
    assert played_notes("(5CDEFG|", "M:3/4\nL:1/8\nK:C\n")[-1] == pytest.approx((0.8, 67, 0.2))


@pytest.mark.parametrize(
    ("field", "tempo"),
    [
        ("1/4=90", 90), ("3/8=60", 90), ("1/4 1/8=60", 90), ('"Allegro" 1/4=132', 132), ("C=100", 50), ("C2=100", 100),
        ("120", 60), ("Allegro", 120), ("1/4=0", 120), ("1/4=9999", 120), ("1/0=90", 45), ("", 120),
    ],
)  # fmt: skip
def test_tempo_field(field: str, tempo: float):
    tune = tune_of_abc(f"M:4/4\nL:1/8\nQ:{field}\nK:C\nC8|")
    assert tune.piece.tempos == ((0, tempo),)
    assert tune.printed.tempos == ((0, tempo),)


@pytest.mark.parametrize(
    "text",
    [
        "T:Q:90\nM:4/4\nL:1/8\nK:C\nC8|D8|]",
        'M:4/4\nL:1/8\nK:C\nC8|\nQ:1/4=100 "op. 3"\nD8|[Q:"2nd" 1/8 3/8=90]E8|]',
        "M:4/4\nL:1/8\nK:C\nC8|\nQ:1/4=80 % 2nd\nF8|[Q:60]G8|\nQ:C3=40\nA8|]",
        'Q:3/8=60\nM:4/4\nL:1/8\nQ:Presto\nK:C\n|:C8|[Q:1/4=120]D8|\nQ:1/2=100 "Presto"\nE8|[Q:Presto]F8:|',
    ],
)
def test_other_tempo_is_written_into_the_tune(text: str):
    tune = tune_of_abc(text).at_tempo(180)
    assert tune.piece.tempos[0] == (0, 180)
    reread = tune_of_abc(tune.abc)
    assert (reread.piece, reread.printed) == (tune.piece, tune.printed)
    assert reread.abc.count("Q:1/4=180") == 1


def test_repeat_restores_tempo_and_metre():
    piece = tune_of_abc("M:4/4\nL:1/4\nQ:1/4=60\nK:C\n|:C4|[Q:1/4=120][M:3/4]D3:|").piece
    tempos = [(begin // piece.resolution, tempo) for begin, tempo in piece.tempos]
    assert tempos == [(0, 60), (4, 120), (7, 60), (11, 120)]
    assert [str(metre) for _, metre in piece.metres] == ["4/4", "3/4", "4/4", "3/4"]


def accompaniment(music: str, metre: str = "4/4") -> list[tuple[float, int]]:
    """Onset and pitch of each note below the melody, which starts at pitch 84."""
    return [(onset, pitch) for onset, pitch, _ in played_notes(music, f"M:{metre}\nL:1/8\nK:C\n") if pitch < 84]


def test_metre_sets_rhythm_of_chords():
    chord = [(1, 48), (1, 52), (1, 55), (2, 36), (3, 48), (3, 52), (3, 55)]
    assert accompaniment("\"C\"c''8|") == [(0, 36), *chord]
    assert accompaniment("c''4 \"C\"c''4|") == [each for each in chord if each[0] >= 2]
    assert accompaniment('"C"c\'\'6|', "6/8") == [
        (0, 36), (1, 48), (1, 52), (1, 55), (1.5, 36), (2.5, 48), (2.5, 52), (2.5, 55),
    ]  # fmt: skip
    assert accompaniment("\"C\"c''11|", "11/8") == []
    assert accompaniment("\"C\"c''6|", "none") == []


def test_chord_lasts_until_the_next_one():
    assert accompaniment('"C"c\'\'4|c\'\'2 "Gm"c\'\'2|', "2/4") == [
        (0, 36), (1, 48), (1, 52), (1, 55), (2, 36), (3, 55), (3, 58), (3, 62),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "bass", "pitches"),
    [
        ("C", 36, (48, 52, 55)),
        ("Am", 45, (57, 60, 64)),
        ("F#m7", 42, (54, 57, 61, 64)),
        ("Bbmaj7", 46, (58, 62, 65, 69)),
        ("C/E", 40, (60, 52, 55)),
        ("C/g", 43, (60, 64, 55)),
        ("D/f+", 42, (62, 54, 57)),
        ("C/D", 38, (48, 52, 55)),
        ("E7b9", 40, (52, 56, 59, 62)),
        ("Edim", 40, (52, 55, 58)),
        ("(G7)", 43, (55, 59, 62, 65)),
    ],
)
def test_chord_pitches(name: str, bass: int, pitches: tuple[int, ...]):
    chord = chord_named(name)
    assert chord is not None
    assert (chord.bass_pitch, chord.chord_pitches) == (bass, pitches)


def test_other_text_is_no_chord():
    assert chord_named("slowly") is None
    assert accompaniment("\"slowly\"c''8|") == []


def test_score_has_each_bar_once_with_repeats_and_chords():
    music = tune_of_abc('T:A & B\nM:2/4\nL:1/8\nK:D dorian\nA|:"Dm"d4|1 .c2"C7/E"c2:|2 {e}d4|]')
    pickup, first, second, third = measures_of(music.printed)
    assert music.printed.title == "A & B"
    assert pickup.get("implicit") == "yes"
    assert first.findtext("attributes/key/fifths", "0") == "0"
    assert [each.find("repeat") is not None for each in first.findall("barline")] == [True]
    assert [each.get("direction") for each in first.iter("repeat")] == ["forward"]
    endings = [(each.get("number"), each.get("type")) for bar in (second, third) for each in bar.iter("ending")]
    assert endings == [("1", "start"), ("1", "stop"), ("2", "start"), ("2", "stop")]
    assert [each.get("direction") for each in second.iter("repeat")] == ["backward"]
    assert [(each.findtext("root/root-step"), each.findtext("kind")) for each in first.iter("harmony")] == [
        ("D", "minor")
    ]
    chord = second.find("harmony")
    assert chord is not None
    assert (chord.findtext("bass/bass-step"), chord.findtext("offset")) == ("E", "24")
    assert [note.findtext("duration") for note in second.iter("note")] == ["24", "24"]
    assert len(third.findall("note")) == 1
    assert third.findtext("barline[@location='right']/bar-style") == "light-heavy"


def test_low_tune_has_one_staff():
    assert "<staves>1</staves>" in musicxml(tune_of_abc(HEAD + "G,,2G,2G2g2|]").printed)


def test_complaints_name_faults_of_the_tune():
    assert tune_of_abc(TUNE).faults == ()
    assert tune_of_abc(HEAD + "C7|D8|E7|]").faults[0] == "Bar 3 ends the tune with 7/8 of a bar of 8/8."
    assert tune_of_abc(HEAD + "V:1\nC8|]\nV:2\nE8|]").faults == (
        "It has several voices (V:), which are read one after another.",
    )


def test_tunes_of_a_text_follow_each_other():
    music = tune_of_abc(f"X:1\n{HEAD}C8|]\n\nX:2\nM:2/4\nL:1/4\nK:G\nF2|]")
    assert [(note.onset / music.piece.resolution, note.pitch) for note in music.piece.notes] == [(0, 60), (4, 66)]
    assert [str(bar.metre) for bar in music.printed.bars()] == ["4/4", "2/4"]
    assert music.abc.count("X:") == 0


def test_text_without_notes_gives_an_empty_piece():
    for text in ("", "K:C\n", "T:Only a title", "\n\n|:|"):
        music = tune_of_abc(text)
        assert music.piece.notes == music.printed.notes == ()
        assert music.faults


@settings(deadline=None, max_examples=60)
@given(ABC_TEXTS)
def test_any_text_is_played_and_printed_or_refused(text: str):
    try:
        music = tune_of_abc(f"M:4/4\nK:C\n{text}")
    except CorpusError:
        return
    assert [*music.piece.notes] == sorted(music.piece.notes)
    assert all(0 <= note.pitch <= 127 and note.length > 0 for note in music.piece.notes)
    if music.piece.notes:
        midi_bytes(music.piece)
        measures_of(music.printed)


@pytest.mark.parametrize(
    "text",
    [
        "|:" + "C" * 6_000 + "|1:|2:|3:|4:|5:|6:|7:|8:|9:|",
        "A999/|" * 3_000,
        "L:999/1\n" + '"C"A999|' * 900,
        "C/997D/991E/983F/977|" * 200,
        "{abcdefg}C8" * 500,
        "[" + "CEG" * 2_000 + "]|",
        '"G"z&' * 3_000,
        "C-" * 3_000,
    ],
)
def test_long_tune_is_played_or_refused_in_bounded_time(text: str):
    start = time.process_time()
    with suppress(CorpusError):
        assert len(tune_of_abc(f"M:4/4\nK:C\n{text}").piece.notes) < 200_000
    assert time.process_time() - start < 5


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("abc2midi") is None, reason="abc2midi is not installed")
def test_bundled_tunes_sound_as_in_abc2midi(tmp_path: Path):
    """Without hornpipes, which abc2midi swings. It begins each note one of its 480 ticks late."""
    texts = passage_texts(open_corpus("airs", ReadingSettings(transpose="none")))
    tunes = [text for text in texts if "R:hornpipe" not in text]
    (tmp_path / "t.abc").write_text(numbered(tunes), encoding="utf-8")
    subprocess.run(["abc2midi", "t.abc", "-silent"], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    tick = Fraction(1, 480)
    for number, tune in enumerate(tunes, 1):
        reference, piece = read_midi(tmp_path / f"t{number}.mid").piece, tune_of_abc(tune).piece
        expected = {(Fraction(n.onset, 480) - tick, n.pitch, Fraction(n.length, 480) + tick) for n in reference.notes}
        notes = {
            (Fraction(n.onset, piece.resolution), n.pitch, Fraction(n.length, piece.resolution)) for n in piece.notes
        }
        assert notes == expected, tune
        assert round(reference.tempos[0][1]) == round(piece.tempos[0][1])
