"""Music as text: notes move by at most half a grid step, no pitch is lost, and text round-trips."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.music import pieces, scale
from wordgen.errors import CorpusError
from wordgen.music.midi import _read, midi_bytes
from wordgen.music.piece import (
    LENGTHS,
    STEPS_PER_QUARTER,
    Note,
    Piece,
    chord_words,
    form_of,
    lay_out,
    loudness_of,
    nearest_length,
    notes_text,
    onset_words,
    piece_of_chords,
    piece_of_notes,
    pitch_name,
    pitch_number,
    unread_words,
    velocity_of,
)
from wordgen.text.tokenizers import tokenizer_named

WORDS = st.sampled_from(
    ["+3", "+48", "+100", "=6", "=0", "=144", "v1", "v8", "E4", "C#5", "C-1", "G9", "B#4", "UNKNOWN_TOKEN", "?"]
)


@given(pieces())
def test_notes_text_keeps_pitches_and_onsets_to_half_a_step(piece: Piece):
    parsed = piece_of_notes(notes_text(piece))
    assert parsed.resolution == STEPS_PER_QUARTER
    assert sorted(note.pitch for note in parsed.notes) == sorted(note.pitch for note in piece.notes)
    for pitch in {note.pitch for note in piece.notes}:
        old_onsets = sorted(note.onset for note in piece.notes if note.pitch == pitch)
        new_onsets = sorted(note.onset for note in parsed.notes if note.pitch == pitch)
        for old, new in zip(old_onsets, new_onsets, strict=True):
            assert abs(old * STEPS_PER_QUARTER - new * piece.resolution) * 2 <= piece.resolution


@given(pieces(most=50))
def test_notes_text_round_trips_through_midi(piece: Piece):
    text = notes_text(piece)
    reread = _read(midi_bytes(piece_of_notes(text))).piece
    assert notes_text(reread) == text
    assert notes_text(piece_of_notes(text)) == text


@given(st.lists(WORDS, max_size=60).map(" ".join) | st.text())
def test_any_text_gives_a_piece_with_stable_text(text: str):
    """A model may write anything: its piece has one text, which a second round trip does not change."""
    piece = piece_of_notes(text)
    written = notes_text(piece)
    assert notes_text(piece_of_notes(written)) == written
    assert not unread_words(written, "notes")
    assert written.split() == tokenizer_named("notes").tokenize(written)


@given(pieces())
def test_line_layout_keeps_words(piece: Piece):
    text = lay_out(onset_words(piece))
    assert text.split() == notes_text(piece).split()
    assert not text.startswith("\n")
    assert "\n\n\n" not in text


@given(pieces())
def test_chord_words_have_all_pitches_of_an_onset(piece: Piece):
    words = [word for _, word in chord_words(piece)]
    chord_pitches = [{note.pitch for note in piece_of_chords(word).notes} for word in words]
    on_grid = piece_of_notes(notes_text(piece))
    onsets = sorted({note.onset for note in on_grid.notes})
    assert chord_pitches == [{note.pitch for note in on_grid.notes if note.onset == onset} for onset in onsets]
    text = " ".join(words)
    assert [word for _, word in chord_words(piece_of_chords(text))] == words


def test_notation_matches_documentation():
    piece = Piece((Note(3, 64, 6, 72), Note(3, 67, 6, 72), Note(9, 60, 12, 20), Note(129, 60, 1, 20)), 12)
    assert notes_text(piece) == "+3 E4 =6 v5 G4 =6 +6 C4 =12 v2 +48 +48 +24 C4 =1"
    assert [word for _, word in chord_words(piece)] == ["E4.G4", "C4", "C4"]
    assert piece_of_notes("+3 E4 =6 v5") == Piece((Note(3, 64, 6, 72),), 12)


@given(st.integers(0, 127))
def test_pitch_names_and_loudness_round_trip(pitch: int):
    assert pitch_number(pitch_name(pitch)) == pitch
    assert loudness_of(velocity_of(loudness_of(pitch))) == loudness_of(pitch)


def test_nearest_length_is_chosen():
    assert len(LENGTHS) == 31
    assert list(LENGTHS) == sorted(LENGTHS)
    assert [nearest_length(length) for length in (1, 13, 17, 24, 25, 34, 1000)] == [1, 12, 16, 24, 24, 32, 144]
    assert all(nearest_length(length) == length for length in LENGTHS)


@pytest.mark.parametrize("name", ["", "H4", "G#9", "A9", "Cb4", "c4", "C", "C44"])
def test_invalid_pitch_name_has_no_number(name: str):
    assert pitch_number(name) is None


def test_form_of_recognises_music_but_not_prose():
    assert form_of(notes_text(scale())) == "notes"
    assert form_of(" ".join(word for _, word in chord_words(scale()))) == "chords"
    for prose in ("", "A4 and C5 are sizes of paper.", "The road goes on and on and on and on."):
        assert form_of(prose) is None


def test_too_long_piece_is_refused():
    with pytest.raises(CorpusError, match="lasts longer than 50,000 quarter notes"):
        piece_of_notes("+999 " * 1000)
