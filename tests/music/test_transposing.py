"""A tune in another key and back is the same text, and its notes are as far apart as before."""

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.helpers.tunes import ABC_TEXTS, KEYS, MUSIC, TUNE, normal_form
from wordgen.music.abc_grammar import lexed
from wordgen.music.abc_parsing import parse_tune
from wordgen.music.keys import Key, parse_key
from wordgen.music.transposing import (
    COPIES,
    copy_of,
    key_of,
    moved,
    moved_pieces,
    to_common_key,
    transposed,
)


def known(name: str) -> Key:
    key = parse_key(name)
    assert key is not None
    return key


REAL_KEYS = [name for name in KEYS if parse_key(name) is not None]


@given(music=MUSIC, key=st.sampled_from(REAL_KEYS), letter=st.integers(0, 6), sign=st.sampled_from([-1, 0, 1]))
def test_there_and_back_is_the_same_text(music: str, key: str, letter: int, sign: int):
    text = f"T:Any B\nM:4/4\nK:{key}\n{music}"
    own = known(key)
    there = transposed(text, Key(letter, sign, own.mode))
    assume(there is not None)
    assert there is not None
    assert transposed(there, own) == normal_form(text)


@given(music=MUSIC, key=st.sampled_from(REAL_KEYS))
def test_the_common_key_and_back_is_the_same_text(music: str, key: str):
    text = f"K:{key}\n{music}"
    common = to_common_key(text)
    assume(common is not None)
    assert common is not None
    there = key_of(common)
    assert there is not None
    assert there.sharps == 0
    assert there.mode == known(key).mode
    assert transposed(common, known(key)) == normal_form(text)


@given(text=ABC_TEXTS)
def test_the_normal_form_is_one(text: str):
    assert normal_form(normal_form(text)) == normal_form(text)


@given(text=ABC_TEXTS, key=st.sampled_from(REAL_KEYS))
def test_any_text_is_transposed_or_left(text: str, key: str):
    moved = transposed(text, known(key))
    if moved is not None:
        assert moved.count("\n") == text.count("\n")


@given(music=MUSIC, key=st.sampled_from(REAL_KEYS), letter=st.integers(0, 6))
def test_all_notes_move_by_the_same_interval(music: str, key: str, letter: int):
    """By what the notes sound like, whatever accidentals are written."""
    text = f"M:none\nK:{key}\n{music}"
    there = transposed(text, Key(letter, 0, known(key).mode))
    assume(there is not None)
    assert there is not None
    before, after = parse_tune(text), parse_tune(there)
    sounds = [[pitch.half_steps for note in tune.notes for pitch in note.pitches] for tune in (before, after)]
    assert len({one - other for one, other in zip(*sounds, strict=True)}) <= 1
    assert [note.length for note in before.notes] == [note.length for note in after.notes]
    assert before.ends_on_tonic == after.ends_on_tonic


def test_notes_chords_and_keys_change_and_nothing_else():
    text = 'T:A Day in B\nK:D\n"D"D^GA "A7/c+"_e2{fg}f|"slowly"[DF]2 z2|[K:Bm]B^A\nP:A\nK:G\ngab'
    assert to_common_key(text) == (
        'T:A Day in B\nK:C\n"C"C^FG "G7/b"_d2{ef}e|"slowly"[CE]2 z2|[K:Am]A^G\nP:A\nK:F\nfga'
    )


@pytest.mark.parametrize(
    ("key", "common"),
    [
        ("G", "C"),
        ("Em", "Am"),
        ("E dorian", "D dorian"),
        ("A Mix", "G Mix"),
        ("Bb", "C"),
        ("F#m", "Am"),
        ("Elyd", "Flyd"),
    ],
)
def test_each_mode_has_a_key_of_its_own_without_sharps(key: str, common: str):
    assert to_common_key(f"K:{key}\nA") is not None
    moved = to_common_key(f"K:{key}\nA") or ""
    assert moved.startswith(f"K:{common}\n")


def test_minor_in_words_and_small_letters_is_minor():
    names = ["Am", "A min", "Aminor", "A MINOR", "Aaeolian"]
    assert {known(name) for name in names} == {known("Am")}
    assert known("CM").mode == known("C").mode == 0
    assert parse_key("H") is None
    assert parse_key("Gfoo") is None
    assert known("G clef=bass") == known("G")


@pytest.mark.parametrize("text", ["abc", "K:HP\nabc", "K:none\nabc", "K:G exp ^c\nabc", "K:H\nabc", "cde\nK:G\nabc"])
def test_a_tune_without_a_key_that_is_known_is_left_alone(text: str):
    assert to_common_key(text) is None


def test_copies_are_in_five_keys_with_their_own():
    copies = [copy_of(TUNE, number) for number in range(COPIES)]
    keys = [key_of(copy) for copy in copies if copy is not None]
    assert sorted(key.field for key in keys if key is not None) == ["A", "C", "D", "F"]
    assert all(copy is None or transposed(copy, known("G")) == TUNE for copy in copies)


@given(MUSIC, st.sampled_from(REAL_KEYS), st.lists(st.integers(0, 200), max_size=8))
def test_pieces_that_are_moved_are_joined_the_whole_that_is_moved(music: str, key: str, cuts: list[int]):
    text, interval = f"T:A title\nK:G\n{music}", known("G").to(known(key))
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[begin:end] for begin, end in pairwise(places)]
    whole, joined = moved(text, interval), moved_pieces("", pieces, interval)
    assert (None if joined is None else "".join(joined)) == whole
    tokens = [token.text for token in lexed(text.split("\n")[-1])]
    beginning = text[: len(text) - sum(map(len, tokens))]
    rest = moved_pieces(beginning, tokens, interval)
    if whole is not None:
        assert rest is not None
        assert whole.endswith("".join(rest))
        assert len(rest) == len(tokens)
