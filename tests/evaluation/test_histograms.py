"""The overlap of histograms: 1 with itself, 0 without a common value; transposing changes nothing."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.music import pieces
from tests.helpers.texts import passage_texts
from wordgen.corpus.finding import open_corpus
from wordgen.evaluation.music import Histograms, overlap
from wordgen.music.abc_parsing import parse_tune
from wordgen.music.abc_text import COPIES, copy_of
from wordgen.music.piece import Piece, piece_of_notes

COUNTS = st.dictionaries(st.integers(0, 9), st.integers(1, 1000), min_size=1).map(Counter[object])


@given(COUNTS, COUNTS)
def test_an_overlap_is_a_share_and_the_same_in_both_directions(one: Counter[object], other: Counter[object]):
    found = overlap(one, other)
    assert found is not None
    assert 0 <= found <= 1
    assert found == overlap(other, one)
    assert (found == 0) == (not one.keys() & other.keys())


@given(COUNTS, st.integers(1, 9))
def test_an_overlap_of_a_set_with_itself_is_one_and_with_a_disjoint_set_zero(one: Counter[object], times: int):
    assert overlap(one, one) == overlap(one, Counter({each: times * count for each, count in one.items()})) == 1
    assert overlap(one, Counter({("other", each): count for each, count in one.items()})) == 0
    assert overlap(one, Counter()) is None


def test_half_of_the_notes_in_common_are_half_of_an_overlap():
    assert overlap(Counter("aabb"), Counter("bbcc")) == 0.5


@given(pieces(), st.integers(-3, 3))
def test_each_note_of_a_piece_counts_once(piece: Piece, moved: int):
    found, higher = Histograms(), Histograms()
    found.add_piece(piece)
    notes = tuple(note._replace(pitch=note.pitch + moved) for note in piece.notes)
    higher.add_piece(Piece(tuple(sorted(notes)), piece.resolution))
    onsets = len({note.onset for note in piece.notes})
    assert (found.pitch_classes.total(), found.lengths.total()) == (len(piece.notes), len(piece.notes))
    assert found.intervals.total() == onsets - 1
    assert (found.intervals, found.lengths) == (higher.intervals, higher.lengths)


def test_intervals_are_those_between_the_highest_notes():
    found = Histograms()
    found.add_piece(piece_of_notes("C3 =12 E4 =12 +12 G4 =12 +12 C3 =12 D4 =12"))
    assert found.intervals == Counter({3: 1, -5: 1})


@pytest.mark.parametrize("number", range(COPIES))
def test_a_transposed_tune_has_the_same_histograms(number: int):
    for text in passage_texts(open_corpus("airs"))[::9]:
        copy = copy_of(text, number)
        if copy is not None:
            found, moved = Histograms(), Histograms()
            found.add_tune(parse_tune(text))
            moved.add_tune(parse_tune(copy))
            assert found == moved


def test_a_tune_in_no_key_has_no_pitch_classes():
    found = Histograms()
    found.add_tune(parse_tune("M:4/4\nL:1/8\nK:none\nC4D4|]"))
    assert not found.pitch_classes
    assert found.intervals == Counter({2: 1})
