"""Tokens of ABC put end to end are the text again, and each sign of a tune is one token."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.tunes import ABC_TEXTS, TUNE
from wordgen.music.abc_grammar import lexed, line_tokens, looks_like_abc
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
