"""Prompts: how they are read, their unknown words, and sessions in which a user and the model write in turns."""

import time
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
    defaults = {"corpus": "x", "tokenizer": tokenizer, "passage": "paragraph", "line_breaks": "joined", "starts": True}
    text = TextConfig(**{**defaults, **config})  # pyright: ignore[reportArgumentType]
    return TextReader(Codec(tokenizer_named(tokenizer), vocabulary, "\n\n"), text)


def tokens_of(prompt: str, *vocabulary: str) -> list[str]:
    tokens = (*RESERVED, *(vocabulary or WORDS))
    return [tokens[i] for i in reader(*vocabulary).seed(prompt).ids]


@pytest.mark.parametrize(
    ("prompt", "expected"),
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
def test_prompt_is_read_despite_case_quotes_and_spaces(prompt: str, expected: list[str]):
    assert tokens_of(prompt) == expected


@pytest.mark.parametrize("known", ["￭n't", "￭n’t"])
@pytest.mark.parametrize("prompt", ["Don't the king", "Don’t the king", "don't THE King"])
def test_prompt_is_read_with_any_form_of_apostrophe(prompt: str, known: str):
    tokens = ("do", known, "the", "king")
    assert tokens_of(prompt, *tokens) == list(tokens)
    assert [reader(*tokens).ids_in_any_form(token) for token in ("￭n't", "￭N’T")] == [[4], [4]]


def test_unknown_words_have_similar_words():
    unknown = reader().seed("Aragon and frod met the king").unknown
    assert [(each.word, each.similar) for each in unknown] == [
        ("Aragon", ("Aragorn",)),
        ("and", ()),
        ("frod", ("Frodo",)),
        ("met", ()),
    ]


def test_vocabulary_is_not_searched_for_each_prompt():
    large = reader(*(f"word{number}" for number in range(50_000)), "the", "king")
    began = time.process_time()
    for _ in range(300):
        assert len(large.seed("the king").ids) == 2
    assert time.process_time() - began < 3  # a search of the vocabulary in each prompt takes ten seconds


def test_long_unknown_word_is_reported_once_and_shortened():
    (unknown,) = reader().seed("qqqq" * 1000 + " the " + "qqqq" * 1000).unknown
    assert len(unknown.word) < 70


def test_only_the_end_of_a_long_prompt_is_read():
    prompt = reader().seed("the king " * 200_000 + "Frodo")
    assert prompt.cut
    assert len(prompt.ids) == WARM_UP
    assert prompt.ids[-1] == reader().seed("Frodo").ids[0]
    assert not reader().seed("the king " * 900).cut


@given(st.text())
def test_any_text_may_be_a_prompt(text: str):
    prompt = reader().seed(text)
    assert prompt.text == text
    assert all(2 <= i < len(WORDS) + 3 for i in prompt.ids)
    assert all(each.word for each in prompt.unknown)


def test_text_is_divided_into_passages_like_the_corpus():
    text = "the king\nFrodo\n\ngate"
    assert reader().tokens(text) == ["the", "king", "Frodo", END_TOKEN, "gate"]
    assert reader(line_breaks="kept").tokens(text) == ["the", "king", "\n", "Frodo", END_TOKEN, "gate"]
    assert reader(passage="line").tokens(text) == ["the", "king", END_TOKEN, "Frodo", END_TOKEN, "gate"]
    assert reader(passage="line", line_breaks="kept").tokens(text)[3:6] == ["Frodo", END_TOKEN, END_TOKEN]
    assert reader(passage="document", line_breaks="kept").tokens(text)[3:6] == ["Frodo", "\n", "\n"]
    without_starts = reader(tokenizer="whitespace", starts=False)
    assert without_starts.tokens("a <eos>\n\nb") == without_starts.tokens("a\n\nb") == ["a", END_TOKEN, "b"]


def test_final_space_is_a_token_only_of_characters():
    assert reader("T", "h", " ", tokenizer="characters").tokens("Th ") == ["T", "h", " "]
    assert reader().tokens("the  ") == ["the"]


def test_width_of_prompt_is_folded_like_the_corpus():
    prompt = "Ｆｒｏｄｏ， the ｋing！"
    folding = reader(*WORDS, "￭!", fold_width=True)
    assert folding.seed(prompt).ids == reader(*WORDS, "￭!").seed("Frodo, the king!").ids
    assert folding.tokens(prompt) == folding.tokens_within(prompt) == ["Frodo", "￭,", "the", "king", "￭!"]
    assert reader(*WORDS, "￭!").seed(prompt).unknown


def test_tune_is_transposed_to_the_key_of_training():
    transposing = reader("x", tokenizer="abc", passage="tune", line_breaks="kept", transpose="common")
    as_written = reader("x", tokenizer="abc", passage="tune", line_breaks="kept")
    tune = "X:7\nT:A\nM:6/8\nK:D\nDF2|"
    assert "".join(transposing.tokens(tune)) == "T:A\nM:6/8\nK:C\nCE2|"
    assert "".join(as_written.tokens(tune)) == "T:A\nM:6/8\nK:D\nDF2|"
    assert transposing.tokens("M:6/8\nK:D") == ["M:6/8", "\n", "K:C"]
    assert transposing.tokens("M:6/8") == ["M:6/8"]
    assert transposing.tokens(f"{tune}\n\n{tune}").count(END_TOKEN) == 1


def test_upper_and_lower_case_notes_of_a_tune_differ():
    abc_reader = reader("K:C", "\n", "c", tokenizer="abc", passage="tune", line_breaks="kept", transpose="common")
    assert [each.word for each in abc_reader.seed("K:C\ncC").unknown] == ["C"]


def test_long_prompt_without_spaces_is_cut():
    assert len(reader("夜", "街", " ", tokenizer="characters").seed("夜" * 30_000 + " 街").ids) == WARM_UP


def test_session_is_written_in_turns(model: TrainedModel):
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


def test_session_can_pick_end_and_continue(japanese_folder: Path):
    session = load(japanese_folder / "saved_models" / "lyrics").session("夜の街")
    (end,) = (word for word in session.next_words(10**6) if word.word == "(end)")
    before = session.next_words(3)
    session.pick(end)
    assert session.text == "夜の街\n"
    assert session.next_words(3) != before
    assert session.type("街") == ()
    assert session.text == "夜の街\n街"
