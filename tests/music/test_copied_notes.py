"""Notes count as copied where 12 in a row are in other music, in any key. Tunes that have half in common are near."""

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
from wordgen.music.abc_text import COPIES, copy_of
from wordgen.music.copied_notes import Copied, Families, KnownNotes, Melodies, are_near, parts_of, sequences
from wordgen.music.piece import MelodyNote, piece_of_notes

AIRS = passage_texts(open_corpus("airs"))
MELODIES = st.lists(
    st.lists(st.builds(MelodyNote, st.integers(0, 1), st.just(1), st.integers(0, 1)), max_size=40), max_size=5
)


def steps(notes: Sequence[MelodyNote]) -> tuple[object, ...]:
    """What is the same for two stretches that are the same in another key."""
    first, *others = notes
    return first.length, *((note.pitch - first.pitch, note.wait, note.length) for note in others)


def stretches(melody: Sequence[MelodyNote], length: int) -> set[object]:
    return {steps(melody[at : at + length]) for at in range(len(melody) - length + 1)}


def one_by_one(own: Sequence[Sequence[MelodyNote]], other: Sequence[Sequence[MelodyNote]], *, same: bool) -> Copied:
    """The same, found by comparing each stretch with all others."""
    notes = longest = 0
    for number, melody in enumerate(own):
        others = [each for at, each in enumerate(other) if not (same and at == number)]
        known = {length: set[object]().union(*(stretches(each, length) for each in others)) for length in range(1, 41)}
        copied = set[int]()
        for length in range(1, 41):
            for at in range(len(melody) - length + 1):
                if steps(melody[at : at + length]) in known[length]:
                    longest = max(longest, length)
                    copied |= set(range(at, at + length)) if length == 12 else set()
        notes += len(copied)
    return Copied(notes, longest)


@given(MELODIES, MELODIES)
@example([[], [], [MelodyNote(0, 1, 0)]], [])  # more melodies than notes
def test_it_finds_what_a_search_one_by_one_finds(own: list[list[MelodyNote]], other: list[list[MelodyNote]]):
    ours, theirs = Melodies(own), Melodies(other)
    assert ours.copied_from(theirs) == one_by_one(own, other, same=False)
    assert ours.copied_from(ours) == one_by_one(own, own, same=True)


@pytest.mark.parametrize("number", [0, *range(2, COPIES)])  # copy 1 would be in the key that they have
def test_a_transposed_training_tune_is_copied_whole(number: int):
    copies = [copy for tune in AIRS[:20] if (copy := copy_of(tune, number)) is not None]
    melodies = [parse_tune(copy).melody for copy in copies]
    written, training = Melodies(melodies), Melodies(parse_tune(tune).melody for tune in AIRS)
    found = written.copied_from(training)
    assert written.notes > 500
    assert found.notes == written.notes
    assert found.longest >= max(map(len, melodies))


def test_a_transposed_piece_is_copied_and_one_of_another_rhythm_is_not():
    words = "C4 =6 +6 E4 =6 G4 =12 +12 " * 8
    higher, slower = words.replace("C4", "D4").replace("E4", "F#4").replace("G4", "A4"), words.replace("+6", "+7")
    pieces = (piece_of_notes(text) for text in (words, higher, slower))
    original, transposed, other = (Melodies([piece.melody]) for piece in pieces)
    assert transposed.copied_from(original) == Copied(24, 24)
    assert other.copied_from(original).notes == 0


def test_eleven_notes_are_no_copy_and_twelve_are():
    dice = random.Random(1)
    melody = [MelodyNote(dice.randrange(100), 1) for _ in range(30)]
    for length in (11, 12):
        strange = [MelodyNote(-500 * number, 2) for number in range(1, 9)]
        own, other = Melodies([[*strange, *melody[5 : 5 + length], *strange]]), Melodies([melody])
        assert own.copied_from(other) == Copied(length if length == 12 else 0, length)


def test_two_equal_long_pieces_take_no_long_time():
    dice = random.Random(1)
    piece = [MelodyNote(dice.randrange(40), dice.randrange(1, 9)) for _ in range(3000)]
    both = Melodies([piece, piece])
    began = time.process_time()
    assert both.copied_from(both).notes == 6000
    assert time.process_time() - began < 5


def test_each_interval_is_another_one():
    """Also one and two half steps down, which Python's `hash` does not tell apart."""
    pairs = [[MelodyNote(60, 1), MelodyNote(60 + interval, 1)] for interval in range(-12, 13)]
    assert len({number for pair in pairs for number in sequences(pair, 2)}) == 25
    known = KnownNotes(4)
    known.add([MelodyNote(pitch, 1) for pitch in (60, 59, 60, 62)])
    assert known.would_copy([MelodyNote(pitch, 1) for pitch in (67, 66, 67)]) == {69}
    assert known.would_copy([MelodyNote(pitch, 1) for pitch in (67, 65, 66)]) == set()


@given(MELODIES, st.integers(2, 5))
def test_what_is_forbidden_is_what_is_found(melodies: list[list[MelodyNote]], notes: int):
    """The first melody against the others: a note would copy them if it ends a sequence that they have."""
    own, *others = [*melodies, []]
    known = KnownNotes(notes + 1)
    for melody in others:
        known.add(melody)
    learned = {number for melody in others for number in sequences(melody, notes + 1)}
    for at, number in enumerate(sequences(own, notes + 1), notes):
        assert number not in learned or own[at].pitch in known.would_copy(own[:at])


def made_up(seed: int, bars: int = 16) -> str:
    draw = random.Random(seed)
    music = "|".join("".join(draw.choice("CDEFGABcdefg") for _ in range(8)) for _ in range(bars))
    return f"M:4/4\nL:1/8\nK:C\n{music}|]"


def groups(tunes: list[str]) -> list[int]:
    families = Families()
    for tune in tunes:
        families.add(parse_tune(tune))
    return families.groups()


def test_a_copy_in_another_key_is_near():
    for number in range(COPIES):
        copy = copy_of(made_up(1), number)
        if copy is not None:
            assert sequences(parse_tune(copy).melody) == sequences(parse_tune(made_up(1)).melody)
            assert groups([made_up(1), made_up(2), copy]) == [0, 1, 0]


def test_half_of_a_tune_is_near_it_and_a_fifth_is_not():
    one, other = made_up(1), made_up(2)
    bars, others = one.split("|"), other.split("|")
    half, fifth = "|".join([*bars[:9], *others[9:]]), "|".join([*bars[:3], *others[3:]])
    assert are_near(parts_of(parse_tune(one)), parts_of(parse_tune(half)))
    assert not are_near(parts_of(parse_tune(one)), parts_of(parse_tune(fifth)))
    assert groups([one, fifth]) == [0, 1]
    assert groups([one, half]) == [0, 0]


def test_what_is_near_in_pairs_is_near_in_families():
    tunes = [made_up(seed) for seed in range(30)] + [TUNE]
    assert groups(tunes) == list(range(31))
    assert groups([*tunes, tunes[7], tunes[3], TUNE]) == [*range(31), 7, 3, 30]


def test_many_copies_of_one_tune_are_one_family():
    assert set(groups([made_up(1)] * 200)) == {0}


def test_tunes_without_notes_are_by_themselves():
    assert groups(["K:C\n", "K:C\n", "", made_up(1)]) == [0, 1, 2, 3]
    assert groups([]) == []
