"""The ABC score that a page draws: its notes, and the marks that say when each of them sounds."""

import re
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.helpers.music import pieces, scale
from tests.helpers.tunes import ABC_TEXTS, MUSIC, TUNE
from wordgen.errors import CorpusError, SettingError
from wordgen.music.abc_parsing import parse_tune
from wordgen.music.engraving import PARTS_PER_QUARTER, Score, rounded_for_score
from wordgen.music.harmony import Metre
from wordgen.music.piece import CheckedPiece, Note, Piece
from wordgen.music.playing import tune_of_abc
from wordgen.music.saving import PIECE_PARSERS
from wordgen.music.scores import score_in_abc
from wordgen.report.music import music_for_page, music_in
from wordgen.text.tokenizers import MUSIC_TOKENIZERS

HEAD = "M:4/4\nL:1/8\nK:D\n"
ABC_MUSIC = st.lists(
    st.one_of(
        st.builds(
            "{}{}{}".format,
            st.sampled_from(["", "", "", "^", "_", "="]),
            st.sampled_from("CDEFGAB"),
            st.sampled_from(["", "2", "/", "3/2", "4", "-"]),
        ),
        st.sampled_from(
            ["z", "z2", "[CEG]2", "(3CDE", "(3z/F/G/", '"Am7"C', '"D/F#"', ">D", "|", "|", "|:", ":|", "||"]
        ),
        st.sampled_from(["|1 ", ":|2 ", "[K:Bb]", "[K:Em]", "[M:3/4]", "[M:6/8]"]),
    ),
    max_size=40,
).map(" ".join)


def notes_of(piece: Piece) -> list[tuple[Fraction, int, Fraction]]:
    """Onset, pitch and length of each note, in quarter notes."""
    resolution = piece.resolution
    return [(Fraction(n.onset, resolution), n.pitch, Fraction(n.length, resolution)) for n in piece.notes]


@settings(deadline=None, max_examples=100)
@given(ABC_MUSIC)
@example("_C ^A [K:Bb]")  # an accidental that also holds in other octaves
def test_score_round_trip_keeps_notes_bars_and_repeats(music: str):
    piece = rounded_for_score(tune_of_abc(HEAD + music).printed)
    if not piece.notes:
        return
    written = score_in_abc(Score(piece))[0]
    if "V:" in written:  # the parser reads voices one after another
        return
    reread = tune_of_abc(written).printed
    assert notes_of(reread) == notes_of(piece.on_grid(PARTS_PER_QUARTER))
    assert not parse_tune(written).faults
    for field in ("repeat_begins", "repeat_ends", "ending_begins"):
        signs = ([getattr(bar, field) for bar in each.signs] for each in (reread, piece))
        assert next(signs) == next(signs)
    chords = [re.findall(r'"([^"]+)"', line) for line in (written, music)]
    assert len(chords[0]) <= len(chords[1])
    assert set(chords[0]) <= set(chords[1])


def test_score_with_two_staves():
    written = score_in_abc(Score(scale(4)))[0]
    assert written == (
        "X:1\nM:3/4\nL:1/8\nQ:1/4=90\n%%score {(1) (2)}\nV:1 clef=treble\nV:2 clef=bass\nK:G\n"
        "V:1\nC2 D2 E2 |=F2 z4 |]\nV:2\nG,,6 |z6 |]\n"
    )


def test_score_with_voices_triplets_ties_and_hidden_rests():
    piece = Piece(
        (Note(0, 60, 96), Note(0, 67, 8), Note(8, 69, 8), Note(16, 70, 8), Note(48, 72, 72)),
        PARTS_PER_QUARTER,
        metres=((0, Metre(4, 4)),),
    )
    written = score_in_abc(Score(piece))[0]
    assert written.partition("L:1/8\n")[2] == (
        "Q:1/4=120\n%%score (1 2)\nV:1 clef=treble stem=up\nV:2 clef=treble stem=down\nK:C\n"
        "V:1\nC8 |z8 |]\nV:2\n(3:2:3GA_B x2 c4- |c2 x6 |]\n"
    )


@settings(deadline=None, max_examples=40)
@given(pieces() | st.one_of(MUSIC, ABC_TEXTS).map(lambda text: tune_of_abc(HEAD + text)))
def test_marks_point_at_notes_of_the_score(source: "Piece | CheckedPiece"):
    music = source if isinstance(source, CheckedPiece) else CheckedPiece(source)
    try:
        page_music = music_for_page(music)
    except (CorpusError, SettingError):
        return
    assert [begin for begin, *_ in page_music.notes] == sorted(begin for begin, *_ in page_music.notes)
    for begin, end, position in page_music.marks:
        assert 0 <= begin <= end
        assert re.match(r"\[|(\^\^|\^|__|_|=)?[A-Ga-g]", page_music.abc[position:])
    assert bool(page_music.marks) == bool(page_music.notes)


def test_repeated_notes_are_marked_each_time_they_sound():
    page_music = music_in(re.sub('"[^"]*"', "", TUNE), "abc")
    marked = [
        (begin, page_music.abc[position : position + 1].lower().replace("^", "c"))
        for begin, _, position in page_music.marks
    ]
    letters = {2: "d", 4: "e", 6: "f", 7: "g", 9: "a", 11: "b", 0: "c", 1: "c"}
    assert marked == [(begin, letters[pitch % 12]) for begin, _, pitch, _ in page_music.notes]
    assert len(marked) == 2 * len({position for *_, position in page_music.marks})
    assert (page_music.title, page_music.tempo, page_music.faults) == ("Test", 120, ())


def test_tempo_scales_note_times():
    slow = music_in(f"Q:1/4=60\n{TUNE}", "abc")
    assert slow.tempo == 60
    assert [begin for begin, *_ in slow.notes] == pytest.approx(
        [2 * begin for begin, *_ in music_in(TUNE, "abc").notes], abs=1
    )


def test_notes_and_chords_have_scores():
    assert music_in("C4 =12 +12 E4 =12", "notes").marks == ((0, 500, 42), (500, 1000, 45))
    page_music = music_in("C4.E4 G4", "chords")
    assert [page_music.abc[position:][:4] for *_, position in page_music.marks] == ["[CE]", "G z6"]
    assert frozenset(PIECE_PARSERS) == MUSIC_TOKENIZERS


HOSTILE = ["<img src=x>", "</script>", "%%text <b>", "&lt;", '"^<b>"', "w:<b>", "%%abc-include x", "\\u003c", "K:<b>"]


@given(st.lists(st.sampled_from(HOSTILE) | st.text(max_size=20), max_size=6))
def test_score_has_no_words_of_the_text(words: list[str]):
    text = "\n".join(f"T:{word}\nN:{word}\nw:{word}\n{word}" for word in words)
    try:
        abc = music_in(f'T:a\nM:4/4\nL:1/8\nK:C\n"^<i>"C4 "Am"D4|\n{text}\nE8|]', "abc").abc
    except (CorpusError, SettingError):
        return
    first, *other_lines = abc.split("\n")
    assert first == "X:1"
    fields = re.compile(r"[MLQKV]:[\w/=#. ]*|%%score [{}() \d]+")
    lines = [line for line in other_lines if not fields.fullmatch(line)]
    music = re.compile(r'("[A-G][\w#+/-]*"|\[[KM]:[\w/#]+\]|[][A-Gac-gb_^=,\'zx\d/:|( -])*')
    assert [line for line in lines if not music.fullmatch(line)] == []


def test_too_long_music_is_refused():
    with pytest.raises(SettingError, match=r"more than 5,000 notes to play"):
        music_in("M:4/4\nL:1/8\nK:C\n" + "CDEFGABc|" * 700, "abc")
    with pytest.raises(SettingError, match=r"The score has more than 2,000 notes"):
        music_in("M:4/4\nL:1/8\nK:C\n" + "CDEFGABc|" * 300, "abc")
