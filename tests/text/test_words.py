"""English is cut as NLTK cuts it, with its spacing kept, and Japanese as TinySegmenter cuts it, but for Latin words."""

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
from wordgen.text.tokenizers import tokenizer_named
from wordgen.text.vocabulary import JOINER, restore


def test_english_tokens_are_words_with_their_spacing():
    tokens = tokenizer_named("english").tokenize('"Well," he didn\'t say (twice). He left.')
    assert tokens == [
        '"￭', "Well", "￭,", '￭"', "he", "did", "￭n't", "say", "(￭", "twice", "￭)", "￭.", "He", "left", "￭.",
    ]  # fmt: skip


def test_a_word_is_the_same_token_in_and_out_of_quotation_marks():
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
def test_printed_apostrophes_are_apostrophes(text: str, tokens: list[str]):
    tokenize = tokenizer_named("english").tokenize
    assert tokenize(text) == tokens
    assert tokenize(text.replace("’", "'")) == [token.replace("’", "'") for token in tokens]


def test_every_sentence_loses_its_stop():
    tokens = tokenizer_named("english").tokenize('It was late. "Go home." He went. ”They slept.”')
    assert not [token for token in tokens if token.endswith(".") and len(token) > 2]


def test_abbreviations_keep_their_stop():
    tokens = tokenizer_named("english").tokenize("Mr. Baggins met Dr. J. Smith there.")
    assert {"Mr.", "Dr.", "J."} <= set(tokens)


def test_a_long_paragraph_is_cut_to_its_end():
    text = "It was a dark night. " * 5000
    assert len(tokenizer_named("english").tokenize(text)) == 6 * 5000


# English as NLTK cuts whole sentences, with nothing remembered: what the tokenizer must give whatever way it takes.

SENTENCE_END = re.compile(
    r"(?<![\s.](?:[A-Z]))(?<!\bMr)(?<!\bDr)(?<!\bSt)(?<!\bMrs)(?<!\bJr)(?<!\bMs)[.](?=[\"'”’)\]]*\s+[^a-z\s])"
)
LAST_STOP = re.compile(r"[.](?=[\"'”’)\]]*\s*$)")


def words_of_sentences(line: str) -> list[str] | None:
    """NLTK's words, sentence by sentence; nothing where NLTK cannot align a sentence with its words.

    NLTK is given typewriter apostrophes, for of those it knows that words have them.
    """
    ends = {found.end() for pattern in (SENTENCE_END, LAST_STOP) for found in pattern.finditer(line)} | {len(line)}
    words: list[str] = []
    for start, end in pairwise([0, *sorted(ends)]):
        sentence = line[start:end]
        try:
            spans = list(NLTKWordTokenizer().span_tokenize(sentence.replace("’", "'")))
        except ValueError:
            return None
        found = [sentence[a:b] for a, b in spans]
        if "".join(found) != "".join(sentence.split()) or any(c.isspace() for c in "".join(found)):
            return None
        words += found
    return words


def plain(tokens: list[str]) -> list[str]:
    return [restore(token.strip(JOINER)) for token in tokens]


ENGLISH_WORDS = st.sampled_from(
    """a I A. J.R. Mr. Mrs. etc. U.S. don't can't cannot gonna wanna d'ye more'n 'tis 'twas dogs' it's I'll N'T we've
    "Go end." (so.) "No." ... Wait... one--two a,b 3.5 1,000 10:30 $5 50% & @ # ? ! ; : , . ' " ” “ ’ «x» {y} [z]. <w>
    é. naïve Ünder. the The THE. CANNOT x.y.z a.b .5 -- '' `` ``a a'' 'a' ’a’ (a) a) .) .” .' '. e.g. i.e., No. St. Jr.
    A.B A.B. z.Z z.Z. ￭ UNKNOWN_TOKEN .} .> a.»
    don’t giants’ ’s ’S ’ll n’t ’tis ‘a ’’ o’clock rock’n'roll""".split()  # noqa: SIM905 - a list of strings is no clearer
)
ENGLISH_LINES = st.lists(ENGLISH_WORDS, max_size=9).map(" ".join) | st.text(
    st.sampled_from("aB.'’\"”, \t-)(1"), max_size=20
)


@settings(max_examples=600)
@given(ENGLISH_LINES)
def test_english_is_nltks_sentence_by_sentence(line: str):
    expected = words_of_sentences(re.sub(r"\s", " ", line))  # white space of any kind is white space to us
    if expected is not None:
        assert plain(tokenizer_named("english").tokenize(line)) == expected


@pytest.mark.parametrize("corpus", ["lotr", "fables", "spells"])
def test_the_bundled_texts_are_cut_as_nltk_cuts_them(corpus: str):
    tokenize = tokenizer_named("english").tokenize
    lines = [
        line
        for passage in passage_texts(open_corpus(str(bundled_data() / f"{corpus}.txt")))
        for line in passage.split("\n")
    ]
    assert [plain(tokenize(line)) for line in lines] == [words_of_sentences(line) for line in lines]


@pytest.mark.parametrize("chunk", ["alpha," * 166 + "end.", '"' * 1000, "don't--" * 140, "a.b" * 333])
def test_a_chunk_of_up_to_a_thousand_characters_is_cut_as_nltk_cuts_it(chunk: str):
    assert plain(tokenizer_named("english").tokenize(chunk)) == words_of_sentences(chunk)


BITS = """x " ' . ( - * `` '' a' n't cannot a.b,c 1, .) ." “a” é\u0301""".split()  # noqa: SIM905 - as above


@pytest.mark.parametrize("bit", BITS)
def test_letters_by_the_hundred_thousand_without_white_space_are_cut_in_no_time(
    monkeypatch: pytest.MonkeyPatch, bit: str
):
    """NLTK gives up on what takes too long; here that is a twentieth of its five seconds."""
    monkeypatch.setattr("nltk.redos.DEFAULT_TIMEOUT", 0.25)
    tokenizer, text = tokenizer_named("english"), (bit * 300_000)[:300_000]
    began = time.process_time()
    assert tokenizer.detokenize(tokenizer.tokenize(text)) == text
    assert time.process_time() - began < 5


def test_a_chunk_beyond_all_measure_is_sliced_between_words():
    tokens = tokenizer_named("english").tokenize("Aragorn,Gandalf,don't," * 200 + "end.”)")
    assert set(plain(tokens)) == {"Aragorn", "Gandalf", "do", "n't", ",", "end", ".", "”", ")"}


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
