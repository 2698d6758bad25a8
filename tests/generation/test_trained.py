from pathlib import Path

import pytest

from wordgen.errors import SeedError
from wordgen.generation.trained import TrainedModel, word_to_try
from wordgen.run_folder import load
from wordgen.text.escapes import START_TOKEN, UNKNOWN_TOKEN
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
    with pytest.raises(SeedError, match=r"knows none of the words of the seed 'castre'\. Try caster"):
        model.read_seed("castre")


def test_a_name_is_proposed_as_a_word_to_try():
    from wordgen.text.escapes import RESERVED

    vocabulary = Vocabulary([*((s, 0) for s in RESERVED), ("The", 9), ("the", 9), ("road", 8), ("Frodo", 3)])
    assert word_to_try(vocabulary) == "Frodo"
    assert word_to_try(Vocabulary([*((s, 0) for s in RESERVED), ("￭.", 9), ("the", 9)])) == "the"
