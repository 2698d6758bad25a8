"""English words are those of NLTK, with spacing kept; Japanese words those of TinySegmenter, with Latin words whole."""

import re
import time
import unicodedata
from itertools import accumulate, chain, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.tokenize import NLTKWordTokenizer
from tinysegmenter import TinySegmenter

from tests.helpers.texts import passage_texts
from wordgen.corpus.catalogue import bundled_data
from wordgen.corpus.finding import open_corpus
from wordgen.text import tokenizers
from wordgen.text.tokenizers import tokenizer_named
from wordgen.text.vocabulary import JOINER, restore


def test_english_tokens_record_spacing():
    tokens = tokenizer_named("english").tokenize('"Well," he didn\'t say (twice). He left.')
    assert tokens == [
        '"￭', "Well", "￭,", '￭"', "he", "did", "￭n't", "say", "(￭", "twice", "￭)", "￭.", "He", "left", "￭.",
    ]  # fmt: skip


def test_word_is_the_same_token_in_quotation_marks():
    tokenize = tokenizer_named("english").tokenize
    assert "Hello" in tokenize('"Hello"')
    assert "Hello" in tokenize("Hello there")
    assert "Hello" in tokenize("“Hello”")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("I don’t know", ["I", "do", "￭n’t", "know"]),
        ("the giants’ and the giant’s house", ["the", "giants", "￭’", "and", "the", "giant", "￭’s", "house"]),
        (
            "‘I don’t,’ he said. ‘No!’",
            ["‘￭", "I", "do", "￭n’t", "￭,", "￭’", "he", "said", "￭.", "‘￭", "No", "￭!", "￭’"],
        ),
        ("’tis five o’clock", ["’￭", "tis", "five", "o’clock"]),
        ("rock ’n’ roll", ["rock", "’n", "￭’", "roll"]),
        ("“‘You’ll see,’” d’ye", ["“", "￭‘￭", "You", "￭’ll", "see", "￭,", "￭’", "￭”", "d", "￭’ye"]),
    ],
)
def test_typographic_apostrophes_are_cut_like_ascii_ones(text: str, tokens: list[str]):
    tokenize = tokenizer_named("english").tokenize
    assert tokenize(text) == tokens
    assert tokenize(text.replace("’", "'")) == [token.replace("’", "'") for token in tokens]


def test_stops_of_sentences_are_separate_tokens():
    tokens = tokenizer_named("english").tokenize('It was late. "Go home." He went. ”They slept.”')
    assert not [token for token in tokens if token.endswith(".") and len(token) > 2]


def test_abbreviations_keep_stops():
    tokens = tokenizer_named("english").tokenize("Mr. Baggins met Dr. J. Smith there.")
    assert {"Mr.", "Dr.", "J."} <= set(tokens)


def test_long_paragraph_is_cut_completely():
    text = "It was a dark night. " * 5000
    assert len(tokenizer_named("english").tokenize(text)) == 6 * 5000


# The reference for English: NLTK on whole sentences, without any cache.

SENTENCE_END = re.compile(
    r"(?<![\s.](?:[A-Z]))(?<!\bMr)(?<!\bDr)(?<!\bSt)(?<!\bMrs)(?<!\bJr)(?<!\bMs)[.](?=[\"'”’)\]]*\s+[^a-z\s])"
)
LAST_STOP = re.compile(r"[.](?=[\"'”’)\]]*\s*$)")


def nltk_words(line: str) -> list[str] | None:
    """Return NLTK's words of a line, sentence by sentence, or None if NLTK cannot align a sentence with its words.

    Apostrophes are replaced by ASCII ones, because NLTK knows only these within words.
    """
    ends = {match.end() for pattern in (SENTENCE_END, LAST_STOP) for match in pattern.finditer(line)} | {len(line)}
    words: list[str] = []
    for start, end in pairwise([0, *sorted(ends)]):
        sentence = line[start:end]
        try:
            spans = list(NLTKWordTokenizer().span_tokenize(sentence.replace("’", "'")))
        except ValueError:
            return None
        parts = [sentence[a:b] for a, b in spans]
        if "".join(parts) != "".join(sentence.split()) or any(c.isspace() for c in "".join(parts)):
            return None
        words += parts
    return words


def without_spacing(tokens: list[str]) -> list[str]:
    return [restore(token.strip(JOINER)) for token in tokens]


ENGLISH_WORDS = st.sampled_from(
    """a I A. J.R. Mr. Mrs. etc. U.S. don't can't cannot gonna wanna d'ye more'n 'tis 'twas dogs' it's I'll N'T we've
    "Go end." (so.) "No." ... Wait... one--two a,b 3.5 1,000 10:30 $5 50% & @ # ? ! ; : , . ' " ” “ ’ «x» {y} [z]. <w>
    é. naïve Ünder. the The THE. CANNOT x.y.z a.b .5 -- '' `` ``a a'' 'a' ’a’ (a) a) .) .” .' '. e.g. i.e., No. St. Jr.
    A.B A.B. z.Z z.Z. ￭ UNKNOWN_TOKEN .} .> a.»
    don’t giants’ ’s ’S ’ll n’t ’tis ‘a ’’ o’clock rock’n'roll""".split()  # noqa: SIM905 - a list of strings is not clearer
)
ENGLISH_LINES = st.lists(ENGLISH_WORDS, max_size=9).map(" ".join) | st.text(
    st.sampled_from("aB.'’\"”, \t-)(1"), max_size=20
)


@settings(max_examples=600)
@given(ENGLISH_LINES)
def test_english_words_equal_nltk(line: str):
    expected = nltk_words(re.sub(r"\s", " ", line))  # wordgen treats all white space alike
    if expected is not None:
        assert without_spacing(tokenizer_named("english").tokenize(line)) == expected


@pytest.mark.parametrize("corpus", ["lotr", "fables", "spells"])
def test_words_of_bundled_texts_equal_nltk(corpus: str):
    tokenize = tokenizer_named("english").tokenize
    lines = [
        line
        for passage in passage_texts(open_corpus(str(bundled_data() / f"{corpus}.txt")))
        for line in passage.split("\n")
    ]
    assert [without_spacing(tokenize(line)) for line in lines] == [nltk_words(line) for line in lines]


@pytest.mark.parametrize("chunk", ["alpha," * 166 + "end.", '"' * 1000, "don't--" * 140, "a.b" * 333])
def test_words_of_chunk_without_white_space_equal_nltk(chunk: str):
    assert without_spacing(tokenizer_named("english").tokenize(chunk)) == nltk_words(chunk)


WORD_SPANS = tokenizers._word_spans
BITS = """x " ' . ( - * `` '' a' n't cannot a.b,c 1, .) ." “a” é\u0301""".split()  # noqa: SIM905 - as above


@pytest.mark.parametrize("bit", BITS)
def test_long_text_without_white_space_is_cut_quickly(monkeypatch: pytest.MonkeyPatch, bit: str):
    """NLTK, which gives up after five seconds, gets only short slices."""
    slices: list[int] = []

    def word_spans(sentence: str) -> list[tuple[int, int]]:
        slices.append(len(sentence))
        return WORD_SPANS(sentence)

    monkeypatch.setattr(tokenizers, "_word_spans", word_spans)
    tokenizers._slice_tokens.cache_clear()
    tokenizer, text = tokenizer_named("english"), (bit * 300_000)[:300_000]
    began = time.process_time()
    assert tokenizer.detokenize(tokenizer.tokenize(text)) == text
    assert time.process_time() - began < 5
    assert max(slices, default=0) <= 1002
    assert bool(slices) != (bit.isascii() and bit.isalpha())  # words of letters need no NLTK


def test_very_long_chunk_is_sliced_between_words():
    tokens = tokenizer_named("english").tokenize("Aragorn,Gandalf,don't," * 200 + "end.”)")
    assert set(without_spacing(tokens)) == {"Aragorn", "Gandalf", "do", "n't", ",", "end", ".", "”", ")"}


JAPANESE_LETTERS = "雨が降る夜の街で、君を待っていた。「どこ」カメラﾃﾚﾋﾞ12１２一万ー々〆 \u3000んはれしず日同.,"
LATIN_LETTERS = "aBEé ﾅz'’ＡｔＥ＇uño"
TINY = TinySegmenter()


def is_latin(character: str) -> bool:
    return character.isalpha() and unicodedata.name(character, "").startswith(("LATIN ", "FULLWIDTH LATIN "))


def tiny_segmenter_cuts(line: str) -> list[bool]:
    """Return, for each position between two characters of a line, whether TinySegmenter cuts there."""
    ends = set(accumulate(map(len, TINY.tokenize(line))))
    return [position in ends for position in range(1, len(line))]


def expected_cuts(line: str) -> list[bool]:
    """Return the same with Latin words whole: no cut in a Latin word, cuts around it, else those of TinySegmenter."""
    latin = [is_latin(character) for character in line]
    next_is_latin = [*latin[1:], False]
    in_latin_word = [
        latin[n] or (character in "'’＇" and n > 0 and latin[n - 1] and next_is_latin[n])
        for n, character in enumerate(line)
    ]
    return [
        cut if not (a or b) else a != b
        for cut, (a, b) in zip(tiny_segmenter_cuts(line), pairwise(in_latin_word), strict=True)
    ]


def tokenizer_cuts(line: str) -> list[bool]:
    ends = set(accumulate(len(restore(token)) for token in tokenizer_named("japanese").tokenize(line)))
    return [position in ends for position in range(1, len(line))]


@settings(max_examples=500)
@given(st.text(st.sampled_from(JAPANESE_LETTERS), max_size=25) | st.text(max_size=12))
def test_japanese_words_equal_tinysegmenter(text: str):
    text = "".join(character for character in text if not is_latin(character))
    expected = [TINY.tokenize(line) for line in text.split("\n")]
    tokens = tokenizer_named("japanese").tokenize(text)
    assert [restore(token) for token in tokens] == list(chain.from_iterable(with_line_breaks(expected)))


@settings(max_examples=500)
@given(st.text(st.sampled_from(JAPANESE_LETTERS[:24] + 2 * LATIN_LETTERS), max_size=25))
def test_only_latin_words_differ_from_tinysegmenter(line: str):
    assert tokenizer_cuts(line) == expected_cuts(line)


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
def test_latin_words_in_japanese_text_stay_whole(line: str, tokens: list[str]):
    assert tokenizer_named("japanese").tokenize(line) == tokens


def with_line_breaks(lines: list[list[str]]) -> list[list[str]]:
    """Return the words of each line, with a line break between two lines."""
    return [words for number, line in enumerate(lines) for words in ([["\n"], line] if number else [line])]


def test_words_of_bundled_lyrics_equal_tinysegmenter():
    lines = passage_texts(open_corpus("lyrics"))
    assert sum(map(is_latin, "".join(lines))) < len(lines)
    for line in lines:
        assert tokenizer_cuts(line) == expected_cuts(line)


@pytest.mark.parametrize("block_size", [1, 2, 7])
def test_cuts_do_not_depend_on_block_size(monkeypatch: pytest.MonkeyPatch, block_size: int):
    monkeypatch.setattr("wordgen.text.tokenizers._LETTERS_AT_ONCE", block_size)
    line = "".join(passage_texts(open_corpus("lyrics"))[:300])
    assert tokenizer_cuts(line) == expected_cuts(line)
