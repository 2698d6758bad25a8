"""Japanese is as TinySegmenter cuts it, but for words of Latin letters, which are whole whatever it makes of them."""

import unicodedata
from itertools import accumulate, chain, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinysegmenter import TinySegmenter

from tests.helpers.texts import passage_texts
from wordgen.corpus.finding import open_corpus
from wordgen.text.tokenizers import tokenizer_named
from wordgen.text.vocabulary import restore

JAPANESE_LETTERS = "雨が降る夜の街で、君を待っていた。「どこ」カメラﾃﾚﾋﾞ12１２一万ー々〆 \u3000んはれしず日同.,"
LATIN_LETTERS = "aBEé ﾅz'’ＡｔＥ＇uño"
TINY = TinySegmenter()


def is_latin(character: str) -> bool:
    return character.isalpha() and unicodedata.name(character, "").startswith(("LATIN ", "FULLWIDTH LATIN "))


def tiny_cuts(line: str) -> list[bool]:
    """For each place in a line, between two of its letters, whether TinySegmenter cuts there."""
    ends = set(accumulate(map(len, TINY.tokenize(line))))
    return [place in ends for place in range(1, len(line))]


def whole_words_cuts(line: str) -> list[bool]:
    """The same, by a rule a reader can follow: never inside a word, always beside one, else as TinySegmenter does."""
    latin = [is_latin(each) for each in line]
    between = [*latin[1:], False]
    of_a_word = [
        latin[n] or (letter in "'’＇" and n > 0 and latin[n - 1] and between[n]) for n, letter in enumerate(line)
    ]
    return [cut if not (a or b) else a != b for cut, (a, b) in zip(tiny_cuts(line), pairwise(of_a_word), strict=True)]


def our_cuts(line: str) -> list[bool]:
    ends = set(accumulate(len(restore(token)) for token in tokenizer_named("japanese").tokenize(line)))
    return [place in ends for place in range(1, len(line))]


@settings(max_examples=500)
@given(st.text(st.sampled_from(JAPANESE_LETTERS), max_size=25) | st.text(max_size=12))
def test_japanese_is_tinysegmenters(text: str):
    text = "".join(each for each in text if not is_latin(each))
    expected = [TINY.tokenize(part) for part in text.split("\n")]
    found = tokenizer_named("japanese").tokenize(text)
    assert [restore(token) for token in found] == list(chain.from_iterable(zip_lines(expected)))


@settings(max_examples=500)
@given(st.text(st.sampled_from(JAPANESE_LETTERS[:24] + 2 * LATIN_LETTERS), max_size=25))
def test_latin_words_stay_whole_and_all_else_is_tinysegmenters(line: str):
    assert our_cuts(line) == whole_words_cuts(line)


@pytest.mark.parametrize(
    ("line", "tokens"),
    [
        ("僕はI don’t knowと言った", ["僕", "は", "I", " ", "don’t", " ", "know", "と", "言っ", "た"]),
        ("ＮＨＫニュースＴＶ", ["ＮＨＫ", "ニュース", "ＴＶ"]),
        ("CDを買う", ["CD", "を", "買う"]),
        ("naïveなx̂y̌’z̄", ["naïve", "な", "x̂y̌’z̄"]),
        ("’til 'a'", ["’", "til", " ", "'", "a", "'"]),
        ("END_TOKEN", ["END", "_", "TOKEN"]),
    ],
)
def test_english_words_in_japanese_text_stay_whole(line: str, tokens: list[str]):
    assert tokenizer_named("japanese").tokenize(line) == tokens


def zip_lines(lines: list[list[str]]) -> list[list[str]]:
    """The words of each line, with a break between two."""
    return [part for number, line in enumerate(lines) for part in ([["\n"], line] if number else [line])]


def test_the_bundled_songs_are_cut_as_tinysegmenter_cuts_them():
    lines = passage_texts(open_corpus("lyrics"))
    assert sum(map(is_latin, "".join(lines))) < len(lines)
    for line in lines:
        assert our_cuts(line) == whole_words_cuts(line)


@pytest.mark.parametrize("letters", [1, 2, 7])
def test_a_line_is_cut_the_same_however_many_letters_are_looked_at_at_once(
    monkeypatch: pytest.MonkeyPatch, letters: int
):
    monkeypatch.setattr("wordgen.text.words._LETTERS_AT_ONCE", letters)
    line = "".join(passage_texts(open_corpus("lyrics"))[:300])
    assert our_cuts(line) == whole_words_cuts(line)
