import inspect
from pathlib import Path

import pytest

from wordgen.errors import SeedError
from wordgen.generation import trained
from wordgen.generation.trained import TrainedModel, word_to_try
from wordgen.run_folder import load
from wordgen.text.codec import Codec
from wordgen.text.escapes import RESERVED, START_TOKEN, UNKNOWN_TOKEN
from wordgen.text.tokenizers import TokenizerName, tokenizer_named
from wordgen.text.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def model(trained_room: Path) -> TrainedModel:
    return load(trained_room / "saved_models" / "small")


def test_a_text_begins_with_its_seed_spaced_as_in_the_corpus(model: TrainedModel):
    (text,) = model.generate("The  caster,", length=20, random_seed=1)
    assert text.text.startswith("The caster, ")
    assert len(text.symbols) == 20
    assert not {UNKNOWN_TOKEN, START_TOKEN} & set(text.symbols)


def test_streamed_text_is_the_same_text(model: TrainedModel):
    (text,) = model.generate("The caster", length=40, random_seed=5)
    pieces = list(model.stream("The caster", length=40, random_seed=5))
    assert "".join(pieces) == text.text
    assert pieces[:2] == ["The", " caster"]


def test_a_drawn_random_seed_is_told_and_gives_the_text_again(model: TrainedModel):
    (text,) = model.generate("The", length=30)
    assert model.generate("The", length=30, random_seed=text.random_seed)[0].text == text.text


def test_one_by_one_gives_what_many_at_once_give(model: TrainedModel):
    many = model.generate("A light", length=25, count=4, random_seed=9)
    few = model.generate("A light", length=25, count=2, random_seed=9)
    assert [text.text for text in many[:2]] == [text.text for text in few]


def test_greedy_is_always_the_same(model: TrainedModel):
    texts = {model.generate("The", mode="greedy", length=15)[0].text for _ in range(3)}
    assert len(texts) == 1


def test_an_empty_seed_begins_at_a_new_unit(model: TrainedModel):
    (text,) = model.generate("", length=10, random_seed=1)
    assert text.text
    assert not text.text.startswith((" ", "\n"))


def test_unknown_words_of_a_seed_are_left_out_and_named(model: TrainedModel):
    seed = model.read_seed("The frobnicator caster")
    assert seed.unknown == ("frobnicator",)
    assert seed.ids == model.read_seed("The caster").ids


def test_a_seed_of_unknown_words_alone_is_refused_with_near_ones(model: TrainedModel):
    with pytest.raises(SeedError, match=r"trained on spells, knows no word of the seed 'castre'\. Try 'caster'"):
        model.read_seed("castre")


@pytest.mark.parametrize("seed", ["THE CASTER'S", "the Caster’s", "the caster's"])
def test_case_and_apostrophes_of_a_seed_are_forgiven(model: TrainedModel, seed: str):
    found = model.read_seed(seed)
    assert found.unknown == ()
    assert [model.vocabulary.symbols[i].lower() for i in found.ids] == ["the", "caster", "￭'s"]


def test_messages_about_long_seeds_stay_short(model: TrainedModel):
    with pytest.raises(SeedError) as told:
        model.read_seed("qqqq" * 1000)
    assert len(str(told.value)) < 200


def test_white_space_of_a_seed_is_not_named_as_unknown(model: TrainedModel):
    assert model.read_seed("The caster\n\n xyzzy\n").unknown == ("xyzzy",)


def test_many_texts_are_written_in_parts(model: TrainedModel, monkeypatch: pytest.MonkeyPatch):
    whole = model.generate("A", count=5, length=6, random_seed=2)
    monkeypatch.setattr(trained, "_SIDE_BY_SIDE", 2)
    assert model.generate("A", count=5, length=6, random_seed=2) == whole


def test_the_api_tells_its_settings():
    signature = inspect.signature(TrainedModel.generate)
    assert {"self", "seed", "mode", "temperature", "random_seed"} <= set(signature.parameters)
    assert TrainedModel.generate.__name__ == "generate"
    assert TrainedModel.generate.__doc__


def codec_of(tokenizer: TokenizerName, *symbols: str) -> Codec:
    counted = [*((symbol, 0) for symbol in RESERVED), *((symbol, 9) for symbol in symbols)]
    return Codec(tokenizer_named(tokenizer), Vocabulary(counted), "\n")


def test_a_name_is_proposed_as_a_word_to_try():
    assert word_to_try(codec_of("english", "￭.", "The", "the", "road", "Frodo")) == "Frodo"
    assert word_to_try(codec_of("english", "￭.", "the")) == "the"
    assert word_to_try(codec_of("characters", " ", "e", "\n")) == "e"


def test_where_no_word_can_be_a_seed_none_is_proposed():
    assert word_to_try(codec_of("english", "￭.", "$￭", "\n")) is None
    assert word_to_try(codec_of("english", "￭lah")) is None
