"""Seeds of any kind, and texts that are read as the corpus was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.bundle import TextConfig
from wordgen.generation.reading import WARM_UP, TextReader
from wordgen.text.codec import Codec
from wordgen.text.escapes import END_TOKEN, RESERVED
from wordgen.text.settings import TokenizerName
from wordgen.text.tokenizers import tokenizer_named
from wordgen.text.vocabulary import Vocabulary

WORDS = ("Aragorn", "the", "The", "king", "do", "￭n't", "￭,", "￭.", '"￭', '￭"', "May", "may", "Frodo", "gate")


def reader(*symbols: str, tokenizer: TokenizerName = "english", **config: object) -> TextReader:
    vocabulary = Vocabulary([(symbol, 1) for symbol in (*RESERVED, *(symbols or WORDS))])
    usual = {"corpus": "x", "tokenizer": tokenizer, "unit": "paragraph", "line_breaks": "joined", "starts": True}
    text = TextConfig(**{**usual, **config})  # pyright: ignore[reportArgumentType]
    return TextReader(Codec(tokenizer_named(tokenizer), vocabulary, "\n\n"), text)


def words(text: str, *symbols: str) -> list[str]:
    vocabulary = (*RESERVED, *(symbols or WORDS))
    return [vocabulary[i] for i in reader(*symbols).seed(text).ids]


@pytest.mark.parametrize(
    ("seed", "read"),
    [
        ("Aragorn, the king", ["Aragorn", "￭,", "the", "king"]),
        ("ARAGORN", ["Aragorn"]),
        ("aragorn THE King", ["Aragorn", "the", "king"]),
        ("may May MAY", ["may", "May", "May"]),
        (", the king", ["￭,", "the", "king"]),
        ("king .", ["king", "￭."]),
        ("“the", ['"￭', "the"]),
        ("don't don’t", ["do", "￭n't", "do", "￭n't"]),
        ("  the\nking ", ["the", "king"]),
        ("The “king”, don’t", ["The", '"￭', "king", '￭"', "￭,", "do", "￭n't"]),
        ("the 🙂 king", ["the", "king"]),
        ("夜 the Москва", ["the"]),
        ("🙂👨‍👩‍👧", []),
        ("", []),
        (" \n ", []),
        ("the\n\nking", ["the", END_TOKEN, "king"]),
    ],
)
def test_seeds_are_forgiven(seed: str, read: list[str]):
    assert words(seed) == read


@pytest.mark.parametrize("known", ["￭n't", "￭n’t"])
@pytest.mark.parametrize("typed", ["Don't the king", "Don’t the king", "don't THE King"])
def test_a_seed_finds_its_words_whatever_the_form_of_their_apostrophes(typed: str, known: str):
    symbols = ("do", known, "the", "king")
    assert words(typed, *symbols) == list(symbols)
    assert [reader(*symbols).ids_in_any_form(each) for each in ("￭n't", "￭N’T")] == [[4], [4]]


def test_unknown_words_are_named_with_near_ones():
    seed = reader().seed("Aragon and frod met the king")
    assert [(each.word, each.near) for each in seed.unknown] == [
        ("Aragon", ("Aragorn",)),
        ("and", ()),
        ("frod", ("Frodo",)),
        ("met", ()),
    ]


def test_an_unknown_word_is_named_once_and_shortly():
    (unknown,) = reader().seed("qqqq" * 1000 + " the " + "qqqq" * 1000).unknown
    assert len(unknown.word) < 70


def test_of_a_book_its_end_is_read():
    seed = reader().seed("the king " * 200_000 + "Frodo")
    assert seed.cut
    assert len(seed.ids) == WARM_UP
    assert seed.ids[-1] == reader().seed("Frodo").ids[0]
    assert not reader().seed("the king " * 900).cut


@given(st.text())
def test_any_text_may_be_a_seed(text: str):
    seed = reader().seed(text)
    assert seed.given == text
    assert all(2 <= i < len(WORDS) + 3 for i in seed.ids)
    assert all(each.word for each in seed.unknown)


def test_texts_are_read_in_the_units_of_the_corpus():
    text = "the king\nFrodo\n\ngate"
    assert reader().symbols(text) == ["the", "king", "Frodo", END_TOKEN, "gate"]
    assert reader(line_breaks="kept").symbols(text) == ["the", "king", "\n", "Frodo", END_TOKEN, "gate"]
    assert reader(unit="line").symbols(text) == ["the", "king", END_TOKEN, "Frodo", END_TOKEN, "gate"]
    assert reader(unit="line", line_breaks="kept").symbols(text)[3:6] == ["Frodo", END_TOKEN, END_TOKEN]
    assert reader(unit="document", line_breaks="kept").symbols(text)[3:6] == ["Frodo", "\n", "\n"]
    bare = reader(tokenizer="whitespace", starts=False)
    assert bare.symbols("a <eos>\n\nb") == bare.symbols("a\n\nb") == ["a", END_TOKEN, "b"]


def test_spaces_behind_a_seed_are_symbols_where_letters_are():
    assert reader("T", "h", " ", tokenizer="characters").symbols("Th ") == ["T", "h", " "]
    assert reader().symbols("the  ") == ["the"]


def test_a_seed_is_folded_as_the_corpus_was():
    seed = "Ｆｒｏｄｏ， the ｋing！"
    folding = reader(*WORDS, "￭!", fold_width=True)
    assert folding.seed(seed).ids == reader(*WORDS, "￭!").seed("Frodo, the king!").ids
    assert folding.symbols(seed) == folding.symbols_within(seed) == ["Frodo", "￭,", "the", "king", "￭!"]
    assert reader(*WORDS, "￭!").seed(seed).unknown


def test_a_long_text_without_spaces_is_cut_where_it_is():
    assert len(reader("夜", "街", " ", tokenizer="characters").seed("夜" * 30_000 + " 街").ids) == WARM_UP
