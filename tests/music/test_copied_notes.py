"""Twelve notes in a row that other music has, in any key, count as copied. Tunes with half in common are near."""

import random
import time
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.helpers.texts import passage_texts
from tests.helpers.tunes import TUNE
from wordgen.corpus.finding import open_corpus
from wordgen.music.abc_parsing import parse_tune
from wordgen.music.abc_text import COPIES, copy_in_other_key
from wordgen.music.copied_notes import Copied, Families, KnownNotes, Melodies, are_near_duplicates, parts_of, sequences
from wordgen.music.piece import MelodyNote, piece_of_notes

AIRS = passage_texts(open_corpus("airs"))
MELODIES = st.lists(
    st.lists(st.builds(MelodyNote, st.integers(0, 1), st.just(1), st.integers(0, 1)), max_size=40), max_size=5
)


def without_key(notes: Sequence[MelodyNote]) -> tuple[object, ...]:
    """A value that does not change if the notes are transposed."""
    first, *others = notes
    return first.length, *((note.pitch - first.pitch, note.wait, note.length) for note in others)


def windows(melody: Sequence[MelodyNote], length: int) -> set[object]:
    return {without_key(melody[at : at + length]) for at in range(len(melody) - length + 1)}


def copied_by_brute_force(
    own: Sequence[Sequence[MelodyNote]], other: Sequence[Sequence[MelodyNote]], *, same: bool
) -> Copied:
    """What `copied_from` returns, found by comparing each window of notes with all others."""
    notes = longest = 0
    for number, melody in enumerate(own):
        others = [each for at, each in enumerate(other) if not (same and at == number)]
        known = {length: set[object]().union(*(windows(each, length) for each in others)) for length in range(1, 41)}
        copied = set[int]()
        for length in range(1, 41):
            for at in range(len(melody) - length + 1):
                if without_key(melody[at : at + length]) in known[length]:
                    longest = max(longest, length)
                    copied |= set(range(at, at + length)) if length == 12 else set()
        notes += len(copied)
    return Copied(notes, longest)


@given(MELODIES, MELODIES)
@example([[], [], [MelodyNote(0, 1, 0)]], [])  # more melodies than notes
def test_copied_from_equals_brute_force_search(own: list[list[MelodyNote]], other: list[list[MelodyNote]]):
    own_melodies, other_melodies = Melodies(own), Melodies(other)
    assert own_melodies.copied_from(other_melodies) == copied_by_brute_force(own, other, same=False)
    assert own_melodies.copied_from(own_melodies) == copied_by_brute_force(own, own, same=True)


@pytest.mark.parametrize("number", [0, *range(2, COPIES)])  # copy 1 would keep the key
def test_transposed_training_tune_counts_as_copied_whole(number: int):
    copies = [copy for tune in AIRS[:20] if (copy := copy_in_other_key(tune, number)) is not None]
    melodies = [parse_tune(copy).melody for copy in copies]
    generated, training = Melodies(melodies), Melodies(parse_tune(tune).melody for tune in AIRS)
    copied = generated.copied_from(training)
    assert generated.notes > 500
    assert copied.notes == generated.notes
    assert copied.longest >= max(map(len, melodies))


def test_transposed_piece_is_a_copy_but_not_other_rhythm():
    text = "C4 =6 +6 E4 =6 G4 =12 +12 " * 8
    higher, slower = text.replace("C4", "D4").replace("E4", "F#4").replace("G4", "A4"), text.replace("+6", "+7")
    pieces = (piece_of_notes(each) for each in (text, higher, slower))
    original, transposed, other_rhythm = (Melodies([piece.melody]) for piece in pieces)
    assert transposed.copied_from(original) == Copied(24, 24)
    assert other_rhythm.copied_from(original).notes == 0


def test_twelve_equal_notes_are_a_copy_but_not_eleven():
    random_generator = random.Random(1)
    melody = [MelodyNote(random_generator.randrange(100), 1) for _ in range(30)]
    for length in (11, 12):
        unrelated = [MelodyNote(-500 * number, 2) for number in range(1, 9)]
        own, other = Melodies([[*unrelated, *melody[5 : 5 + length], *unrelated]]), Melodies([melody])
        assert own.copied_from(other) == Copied(length if length == 12 else 0, length)


def test_comparing_long_equal_pieces_takes_bounded_time():
    random_generator = random.Random(1)
    piece = [MelodyNote(random_generator.randrange(40), random_generator.randrange(1, 9)) for _ in range(3000)]
    both = Melodies([piece, piece])
    start = time.process_time()
    assert both.copied_from(both).notes == 6000
    assert time.process_time() - start < 5


def test_each_interval_has_a_distinct_hash():
    """Also for -1 and -2, which have the same `hash` in Python."""
    pairs = [[MelodyNote(60, 1), MelodyNote(60 + interval, 1)] for interval in range(-12, 13)]
    assert len({number for pair in pairs for number in sequences(pair, 2)}) == 25
    known = KnownNotes(4)
    known.add([MelodyNote(pitch, 1) for pitch in (60, 59, 60, 62)])
    assert known.completing_notes([MelodyNote(pitch, 1) for pitch in (67, 66, 67)]) == {69}
    assert known.completing_notes([MelodyNote(pitch, 1) for pitch in (67, 65, 66)]) == set()


@given(MELODIES, st.integers(2, 5))
def test_would_copy_forbids_all_known_sequences(melodies: list[list[MelodyNote]], notes: int):
    """A note of the first melody is forbidden if it ends a sequence that the others have."""
    own, *others = [*melodies, []]
    known = KnownNotes(notes + 1)
    for melody in others:
        known.add(melody)
    known_sequences = {number for melody in others for number in sequences(melody, notes + 1)}
    for at, number in enumerate(sequences(own, notes + 1), notes):
        assert number not in known_sequences or own[at].pitch in known.completing_notes(own[:at])


def random_tune(seed: int, bars: int = 16) -> str:
    draw = random.Random(seed)
    music = "|".join("".join(draw.choice("CDEFGABcdefg") for _ in range(8)) for _ in range(bars))
    return f"M:4/4\nL:1/8\nK:C\n{music}|]"


def family_groups(tunes: list[str]) -> list[int]:
    families = Families()
    for tune in tunes:
        families.add(parse_tune(tune))
    return families.groups()


def test_transposed_tune_joins_the_family():
    for number in range(COPIES):
        copy = copy_in_other_key(random_tune(1), number)
        if copy is not None:
            assert sequences(parse_tune(copy).melody) == sequences(parse_tune(random_tune(1)).melody)
            assert family_groups([random_tune(1), random_tune(2), copy]) == [0, 1, 0]


def test_tunes_are_near_with_half_in_common_but_not_a_fifth():
    tune, other_tune = random_tune(1), random_tune(2)
    bars, other_bars = tune.split("|"), other_tune.split("|")
    half, fifth = "|".join([*bars[:9], *other_bars[9:]]), "|".join([*bars[:3], *other_bars[3:]])
    assert are_near_duplicates(parts_of(parse_tune(tune)), parts_of(parse_tune(half)))
    assert not are_near_duplicates(parts_of(parse_tune(tune)), parts_of(parse_tune(fifth)))
    assert family_groups([tune, fifth]) == [0, 1]
    assert family_groups([tune, half]) == [0, 0]


def test_equal_tunes_form_families():
    tunes = [random_tune(seed) for seed in range(30)] + [TUNE]
    assert family_groups(tunes) == list(range(31))
    assert family_groups([*tunes, tunes[7], tunes[3], TUNE]) == [*range(31), 7, 3, 30]
    assert set(family_groups([random_tune(1)] * 200)) == {0}


def test_tunes_without_notes_form_no_family():
    assert family_groups(["K:C\n", "K:C\n", "", random_tune(1)]) == [0, 1, 2, 3]
    assert family_groups([]) == []
