"""Prompts of any kind, texts that are read as the corpus was, and texts that a user and the model write in turns."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.api import load
from wordgen.dataset.dataset import TextConfig
from wordgen.generation.prompt import WARM_UP, TextReader
from wordgen.generation.settings import GenerationSettings
from wordgen.generation.trained import TrainedModel
from wordgen.text.settings import TokenizerName
from wordgen.text.tokenizers import Codec, tokenizer_named
from wordgen.text.vocabulary import END_TOKEN, RESERVED, Vocabulary

WORDS = ("Aragorn", "the", "The", "king", "do", "￭n't", "￭,", "￭.", '"￭', '￭"', "May", "may", "Frodo", "gate")


def reader(*tokens: str, tokenizer: TokenizerName = "english", **config: object) -> TextReader:
    vocabulary = Vocabulary([(token, 1) for token in (*RESERVED, *(tokens or WORDS))])
    usual = {"corpus": "x", "tokenizer": tokenizer, "passage": "paragraph", "line_breaks": "joined", "starts": True}
    text = TextConfig(**{**usual, **config})  # pyright: ignore[reportArgumentType]
    return TextReader(Codec(tokenizer_named(tokenizer), vocabulary, "\n\n"), text)


def words(text: str, *tokens: str) -> list[str]:
    vocabulary = (*RESERVED, *(tokens or WORDS))
    return [vocabulary[i] for i in reader(*tokens).seed(text).ids]


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
    tokens = ("do", known, "the", "king")
    assert words(typed, *tokens) == list(tokens)
    assert [reader(*tokens).ids_in_any_form(each) for each in ("￭n't", "￭N’T")] == [[4], [4]]


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


def test_texts_are_read_in_the_passages_of_the_corpus():
    text = "the king\nFrodo\n\ngate"
    assert reader().tokens(text) == ["the", "king", "Frodo", END_TOKEN, "gate"]
    assert reader(line_breaks="kept").tokens(text) == ["the", "king", "\n", "Frodo", END_TOKEN, "gate"]
    assert reader(passage="line").tokens(text) == ["the", "king", END_TOKEN, "Frodo", END_TOKEN, "gate"]
    assert reader(passage="line", line_breaks="kept").tokens(text)[3:6] == ["Frodo", END_TOKEN, END_TOKEN]
    assert reader(passage="document", line_breaks="kept").tokens(text)[3:6] == ["Frodo", "\n", "\n"]
    bare = reader(tokenizer="whitespace", starts=False)
    assert bare.tokens("a <eos>\n\nb") == bare.tokens("a\n\nb") == ["a", END_TOKEN, "b"]


def test_spaces_behind_a_seed_are_tokens_where_letters_are():
    assert reader("T", "h", " ", tokenizer="characters").tokens("Th ") == ["T", "h", " "]
    assert reader().tokens("the  ") == ["the"]


def test_a_seed_is_folded_as_the_corpus_was():
    seed = "Ｆｒｏｄｏ， the ｋing！"
    folding = reader(*WORDS, "￭!", fold_width=True)
    assert folding.seed(seed).ids == reader(*WORDS, "￭!").seed("Frodo, the king!").ids
    assert folding.tokens(seed) == folding.tokens_within(seed) == ["Frodo", "￭,", "the", "king", "￭!"]
    assert reader(*WORDS, "￭!").seed(seed).unknown


def test_a_tune_is_read_in_the_key_that_was_learned():
    learned = reader("x", tokenizer="abc", passage="tune", line_breaks="kept", transpose="common")
    as_written = reader("x", tokenizer="abc", passage="tune", line_breaks="kept")
    tune = "X:7\nT:A\nM:6/8\nK:D\nDF2|"
    assert "".join(learned.tokens(tune)) == "T:A\nM:6/8\nK:C\nCE2|"
    assert "".join(as_written.tokens(tune)) == "T:A\nM:6/8\nK:D\nDF2|"
    assert learned.tokens("M:6/8\nK:D") == ["M:6/8", "\n", "K:C"]
    assert learned.tokens("M:6/8") == ["M:6/8"]
    assert learned.tokens(f"{tune}\n\n{tune}").count(END_TOKEN) == 1


def test_a_small_letter_is_another_note_in_a_tune():
    learned = reader("K:C", "\n", "c", tokenizer="abc", passage="tune", line_breaks="kept", transpose="common")
    assert [each.word for each in learned.seed("K:C\ncC").unknown] == ["C"]


def test_a_long_text_without_spaces_is_cut_where_it_is():
    assert len(reader("夜", "街", " ", tokenizer="characters").seed("夜" * 30_000 + " 街").ids) == WARM_UP


def test_a_session_is_written_in_turns(model: TrainedModel):
    session = model.session("The caster")
    before = session.duplicate()
    word = session.next_words(5)[2]
    session.pick(word)
    assert session.text == "The caster" + word.piece
    assert session.type(", frobs")[0].word == "frobs"
    assert session.text == "The caster" + word.piece + ", frobs"
    pieces = list(session.write(GenerationSettings(length=6, random_seed=1)))
    assert session.text.endswith("".join(pieces))
    assert len(pieces) == 6
    assert before.text == "The caster"


def test_what_has_no_letters_can_be_picked_and_gone_on_from(japanese_room: Path):
    session = load(japanese_room / "saved_models" / "lyrics").session("夜の街")
    (end,) = (word for word in session.next_words(10**6) if word.word == "(end)")
    first = session.next_words(3)
    session.pick(end)
    assert session.text == "夜の街\n"
    assert session.next_words(3) != first
    assert session.type("街") == ()
    assert session.text == "夜の街\n街"
