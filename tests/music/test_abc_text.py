"""ABC round-trips through its tokens, and a tune that is transposed there and back is unchanged."""

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.helpers.tunes import ABC_TEXTS, KEYS, MUSIC, TUNE, normal_form
from wordgen.music.abc_parsing import parse_tune
from wordgen.music.abc_text import (
    COPIES,
    copy_in_other_key,
    key_of,
    lex_line,
    line_tokens,
    looks_like_abc,
    to_common_key,
    transposed,
    transposed_pieces,
)
from wordgen.music.harmony import Key, parse_key
from wordgen.text.tokenizers import tokenizer_for, tokenizer_named

ABC = tokenizer_named("abc")


@given(ABC_TEXTS | st.text())
def test_tokenizer_round_trips_any_text(text: str):
    assert ABC.detokenize(ABC.tokenize(text)) == text


@given(st.text(alphabet=st.characters(exclude_characters="\n")))
def test_lexer_round_trips_any_line(line: str):
    assert "".join(token.text for token in lex_line(line)) == line
    assert "".join(line_tokens(line)) == line


@pytest.mark.parametrize(
    ("line", "tokens"),
    [
        ("M:6/8", ["M:6/8"]),
        ("K:D dorian", ["K:D dorian"]),
        ("T:A Jig", ["T:", "A", " ", "J", "i", "g"]),
        ('"G"B3/2^c/ =f\'2', ['"G"', "B", "3/2", "^c", "/", " ", "=f'", "2"]),
        ("|:e|f2 g:|[2 a||", ["|:", "e", "|", "f", "2", " ", "g", ":|", "[2", " ", "a", "||"]),
        ('"F#m7/c+"A,2', ['"F#m7/c+"', "A,", "2"]),
        ('"slowly"A', ['"', "s", "l", "o", "w", "l", "y", '"', "A"]),
        ("[K:Am]a>b", ["[K:Am]", "a", ">", "b"]),
        ("A:|", ["A", ":|"]),
        ("+ceg+2+CE+", ["+", "c", "e", "g", "+", "2", "+", "C", "E", "+"]),
        ("+^c,2e-+ +trill++dfa+", ["+", "^c,", "2", "e", "-", "+", " ", "+trill+", "+", "d", "f", "a", "+"]),
        ("+ff+c +f++p++>+ +D.C.+", ["+ff+", "c", " ", "+f+", "+p+", "+>+", " ", "+D.C.+"]),
        ("+crescendo(+ +c |e+", ["+crescendo(+", " ", "+", "c", " ", "|", "e", "+"]),
    ],
)
def test_line_tokens_splits_a_line(line: str, tokens: list[str]):
    assert list(line_tokens(line)) == tokens


def test_decorations_and_tuplets_are_single_tokens():
    tokens = set(line_tokens("(3abc {/ga}b !trill!c ~d [CE]2 z4"))
    assert {"(3", "{/ga}", "!trill!", "~", "[", "]", "z", "4"} <= tokens


def test_note_and_length_are_separate_tokens():
    assert set(ABC.tokenize("c c2 c/ c3/2")) == {"c", "2", "/", "3/2", " "}


def test_tokens_have_bounded_length():
    for line in ('"' + "x" * 10_000 + '"', "M:" + "4" * 10_000, "{" + "g" * 10_000 + "}", "|" * 10_000, "9" * 10_000):
        assert max(map(len, line_tokens(line))) <= 60


def test_abc_is_recognised_but_not_prose():
    assert looks_like_abc(f"X:1\n{TUNE}")
    assert tokenizer_for(f"X: 12\n{TUNE}") == "abc"
    assert tokenizer_for("The key: K:\nX:1 marks the spot, he said, and dug.") == "english"


def key_named(name: str) -> Key:
    key = parse_key(name)
    assert key is not None
    return key


REAL_KEYS = [name for name in KEYS if parse_key(name) is not None]


@given(music=MUSIC, key=st.sampled_from(REAL_KEYS), letter=st.integers(0, 6), sign=st.sampled_from([-1, 0, 1]))
def test_transposing_there_and_back_restores_text(music: str, key: str, letter: int, sign: int):
    text = f"T:Any B\nM:4/4\nK:{key}\n{music}"
    original_key = key_named(key)
    moved = transposed(text, Key(letter, sign, original_key.mode))
    assume(moved is not None)
    assert moved is not None
    assert transposed(moved, original_key) == normal_form(text)


@given(music=MUSIC, key=st.sampled_from(REAL_KEYS))
def test_transposing_to_common_key_and_back_restores_text(music: str, key: str):
    text = f"K:{key}\n{music}"
    common = to_common_key(text)
    assume(common is not None)
    assert common is not None
    common_key = key_of(common)
    assert common_key is not None
    assert common_key.sharps == 0
    assert common_key.mode == key_named(key).mode
    assert transposed(common, key_named(key)) == normal_form(text)


@given(text=ABC_TEXTS)
def test_normal_form_is_idempotent(text: str):
    assert normal_form(normal_form(text)) == normal_form(text)


@given(text=ABC_TEXTS, key=st.sampled_from(REAL_KEYS))
def test_transposing_any_text_keeps_number_of_lines(text: str, key: str):
    moved = transposed(text, key_named(key))
    if moved is not None:
        assert moved.count("\n") == text.count("\n")


@given(music=MUSIC, key=st.sampled_from(REAL_KEYS), letter=st.integers(0, 6))
def test_all_notes_move_by_the_same_interval(music: str, key: str, letter: int):
    """Compares sounding pitches, because accidentals may be written differently."""
    text = f"M:none\nK:{key}\n{music}"
    moved = transposed(text, Key(letter, 0, key_named(key).mode))
    assume(moved is not None)
    assert moved is not None
    before, after = parse_tune(text), parse_tune(moved)
    pitches = [[pitch.half_steps for note in tune.notes for pitch in note.pitches] for tune in (before, after)]
    assert len({old - new for old, new in zip(*pitches, strict=True)}) <= 1
    assert [note.length for note in before.notes] == [note.length for note in after.notes]
    assert before.ends_on_tonic == after.ends_on_tonic


def test_transposing_changes_only_notes_chords_and_keys():
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
def test_common_key_keeps_mode_and_has_no_sharps(key: str, common: str):
    moved = to_common_key(f"K:{key}\nA")
    assert moved is not None
    assert moved.startswith(f"K:{common}\n")


def test_parse_key_reads_spellings_of_minor():
    names = ["Am", "A min", "Aminor", "A MINOR", "Aaeolian"]
    assert {key_named(name) for name in names} == {key_named("Am")}
    assert key_named("CM").mode == key_named("C").mode == 0
    assert parse_key("H") is None
    assert parse_key("Gfoo") is None
    assert key_named("G clef=bass") == key_named("G")


@pytest.mark.parametrize("text", ["abc", "K:HP\nabc", "K:none\nabc", "K:G exp ^c\nabc", "K:H\nabc", "cde\nK:G\nabc"])
def test_tune_without_known_key_is_not_transposed(text: str):
    assert to_common_key(text) is None


@pytest.mark.parametrize(("note", "key"), [("C,,,,", "A"), ("b''''", "D"), ("{C,,,,}c", "A"), ("^C,,,,", "A")])
def test_tune_is_not_transposed_beyond_the_octaves_of_abc(note: str, key: str):
    assert transposed(f"K:C\n{note}", key_named(key)) is None


def test_transposed_copies_use_five_keys():
    copies = [copy_in_other_key(TUNE, number) for number in range(COPIES)]
    keys = [key_of(copy) for copy in copies if copy is not None]
    assert sorted(key.field for key in keys if key is not None) == ["A", "C", "D", "F"]
    assert all(copy is None or transposed(copy, key_named("G")) == TUNE for copy in copies)


@given(MUSIC, st.sampled_from(REAL_KEYS), st.lists(st.integers(0, 200), max_size=8))
def test_transposing_parts_equals_transposing_whole(music: str, key: str, cuts: list[int]):
    text, interval = f"T:A title\nK:G\n{music}", key_named("G").interval_to(key_named(key))
    bounds = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    parts = [text[begin:end] for begin, end in pairwise(bounds)]
    whole, moved_parts = transposed_pieces("", [text], interval), transposed_pieces("", parts, interval)
    assert (None if moved_parts is None else ["".join(moved_parts)]) == whole
    tokens = [token.text for token in lex_line(text.split("\n")[-1])]
    header = text[: len(text) - sum(map(len, tokens))]
    moved_tokens = transposed_pieces(header, tokens, interval)
    if whole is not None:
        assert moved_tokens is not None
        assert whole[0].endswith("".join(moved_tokens))
        assert len(moved_tokens) == len(tokens)
