"""Tokens of ABC put end to end are the text again. A tune in another key and back is the same text."""

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.helpers.tunes import ABC_TEXTS, KEYS, MUSIC, TUNE, normal_form
from wordgen.music.abc_parsing import parse_tune
from wordgen.music.abc_text import (
    COPIES,
    copy_of,
    key_of,
    lexed,
    line_tokens,
    looks_like_abc,
    moved_pieces,
    to_common_key,
    transposed,
)
from wordgen.music.harmony import Key, parse_key
from wordgen.text.tokenizers import tokenizer_for, tokenizer_named

ABC = tokenizer_named("abc")


@given(ABC_TEXTS | st.text())
def test_any_text_comes_back(text: str):
    assert ABC.detokenize(ABC.tokenize(text)) == text


@given(st.text(alphabet=st.characters(exclude_characters="\n")))
def test_any_line_comes_back_from_its_tokens(line: str):
    assert "".join(token.text for token in lexed(line)) == line
    assert "".join(line_tokens(line)) == line


@pytest.mark.parametrize(
    ("line", "tokens"),
    [
        ("M:6/8", ["M:6/8"]),
        ("K:D dorian", ["K:D dorian"]),
        ("T:A Jig", ["T:", "A", " ", "J", "i", "g"]),
        ('"G"B3/2^c/ =f\'2', ['"G"', "B", "3/2", "^c", "/", " ", "=f'", "2"]),
        ("|:e|f2 g:|[2 a||", ["|:", "e", "|", "f", "2", " ", "g", ":|", "[2", " ", "a", "||"]),
        ("(3abc {/ga}b !trill!c ~d [CE]2 z4", None),
        ('"F#m7/c+"A,2', ['"F#m7/c+"', "A,", "2"]),
        ('"slowly"A', ['"', "s", "l", "o", "w", "l", "y", '"', "A"]),
        ("[K:Am]a>b", ["[K:Am]", "a", ">", "b"]),
        ("A:|", ["A", ":|"]),
    ],
)
def test_each_sign_is_a_token(line: str, tokens: list[str] | None):
    whole = ["(3", "{/ga}", "!trill!", "~", "[", "]", "z", "4"]
    found = list(line_tokens(line))
    assert found == tokens if tokens is not None else set(whole) <= set(found)


def test_a_note_is_the_same_token_whatever_its_length():
    assert set(ABC.tokenize("c c2 c/ c3/2")) == {"c", "2", "/", "3/2", " "}


def test_no_token_is_long_whatever_stands_in_a_line():
    for line in ('"' + "x" * 10_000 + '"', "M:" + "4" * 10_000, "{" + "g" * 10_000 + "}", "|" * 10_000, "9" * 10_000):
        assert max(map(len, line_tokens(line))) <= 60


def test_tunes_are_recognised():
    assert looks_like_abc(f"X:1\n{TUNE}")
    assert tokenizer_for(f"X: 12\n{TUNE}") == "abc"
    assert tokenizer_for("The key: K:\nX:1 marks the spot, he said, and dug.") == "english"


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
    whole, joined = moved_pieces("", [text], interval), moved_pieces("", pieces, interval)
    assert (None if joined is None else ["".join(joined)]) == whole
    tokens = [token.text for token in lexed(text.split("\n")[-1])]
    beginning = text[: len(text) - sum(map(len, tokens))]
    rest = moved_pieces(beginning, tokens, interval)
    if whole is not None:
        assert rest is not None
        assert whole[0].endswith("".join(rest))
        assert len(rest) == len(tokens)
