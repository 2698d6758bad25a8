"""A trained model writes: seeds, random seeds, endings, copies, probabilities."""

import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from wordgen.api import load
from wordgen.errors import SettingError
from wordgen.generation import text_generator
from wordgen.generation.prompt import word_to_try
from wordgen.generation.settings import GenerationSettings, Mode, without_effect
from wordgen.generation.texts import Text
from wordgen.generation.trained import TrainedModel
from wordgen.text.settings import TokenizerName
from wordgen.text.tokenizers import Codec, tokenizer_named
from wordgen.text.vocabulary import RESERVED, START_TOKEN, UNKNOWN_TOKEN, Vocabulary


def test_a_text_begins_with_its_seed_spaced_as_in_the_corpus(model: TrainedModel):
    (text,) = model.generate("The  caster,", length=20, random_seed=1)
    assert text.text.startswith("The caster, ")
    assert len(text.tokens) == 20
    assert not {UNKNOWN_TOKEN, START_TOKEN} & set(text.tokens)


@pytest.mark.parametrize("mix", [0.0, 0.5])
def test_streamed_text_is_the_same_text(model: TrainedModel, mix: float):
    (text,) = model.generate("The caster", length=40, random_seed=5, mix=mix)
    pieces = list(model.stream("The caster", length=40, random_seed=5, mix=mix))
    assert "".join(pieces) == text.text
    assert pieces[:2] == ["The", " caster"]


def test_a_drawn_random_seed_is_told_and_gives_the_text_again(model: TrainedModel):
    for text in model.generate("The", length=30, count=3):
        assert model.generate("The", length=30, random_seed=text.random_seed)[0].text == text.text


@pytest.mark.parametrize("mix", [0.0, 0.5])
def test_one_by_one_gives_what_many_at_once_give(model: TrainedModel, mix: float):
    many = model.generate("A light", length=25, count=8, random_seed=9, mix=mix)
    alone = [model.generate("A light", length=25, random_seed=9 + number, mix=mix)[0] for number in range(8)]
    assert [text.text for text in many] == [text.text for text in alone]
    assert [text.random_seed for text in many] == [text.random_seed for text in alone]


def test_greedy_is_always_the_same(model: TrainedModel):
    texts = {model.generate("The", mode="greedy", length=15)[0].text for _ in range(3)}
    assert len(texts) == 1


@pytest.mark.parametrize("options", [{"top_k": 1}, {"temperature": 1e-6}, {"top_p": 0.0}, {"min_p": 1.0}])
def test_a_choice_of_one_is_greedy(model: TrainedModel, options: dict[str, Any]):
    (greedy,) = model.generate("The caster", mode="greedy", length=30)
    assert {text.text for text in model.generate("The caster", length=30, count=3, **options)} == {greedy.text}


def test_an_empty_seed_begins_at_a_new_passage(model: TrainedModel):
    (text,) = model.generate("", length=10, random_seed=1)
    assert text.text
    assert not text.text.startswith((" ", "\n"))


def test_unknown_words_of_a_seed_are_left_out_and_told(model: TrainedModel):
    (text,) = model.generate("The frobnicator castre", length=3, random_seed=1)
    assert text.text.startswith("The ")
    assert [word.word for word in text.unknown] == ["frobnicator", "castre"]
    assert text.unknown[1].near[0] == "caster"


@pytest.mark.parametrize(
    "seed",
    ["", ", and then", "…mid-sentence", "夜の街", "🙂👍🏽", '"The caster', "\u200b", "THE CASTER’S", "x" * 50_000],
)
def test_any_seed_is_written_on_from(model: TrainedModel, seed: str):
    (text,) = model.generate(seed, length=8, random_seed=1)
    assert text.seed == seed
    assert len(text.tokens) == 8


def test_many_texts_are_written_in_parts(model: TrainedModel, monkeypatch: pytest.MonkeyPatch):
    whole = model.generate("A", count=5, length=6, random_seed=2)
    monkeypatch.setattr(text_generator, "_SIDE_BY_SIDE", 2)
    parts = model.generate("A", count=5, length=6, random_seed=2)
    assert [(text.text, text.number) for text in parts] == [(text.text, text.number) for text in whole]


def test_writing_tells_how_far_it_is(model: TrainedModel, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text_generator, "_SIDE_BY_SIDE", 2)
    told: list[tuple[int, int]] = []
    settings = GenerationSettings(count=5, length=3, random_seed=1)
    texts = list(model.write([""], settings, lambda done, tokens: told.append((done, tokens))))
    assert len(texts) == 5
    assert told == [(done, 15) for done in (2, 4, 6, 8, 10, 12, 13, 14, 15)]


def codec_of(tokenizer: TokenizerName, *tokens: str) -> Codec:
    counted = [*((token, 0) for token in RESERVED), *((token, 9) for token in tokens)]
    return Codec(tokenizer_named(tokenizer), Vocabulary(counted), "\n")


def test_a_name_is_proposed_as_a_word_to_try():
    assert word_to_try(codec_of("english", "￭.", "The", "the", "road", "Frodo")) == "Frodo"
    assert word_to_try(codec_of("english", "￭.", "the")) == "the"
    assert word_to_try(codec_of("characters", " ", "e", "\n")) == "e"


def test_for_music_no_word_is_proposed():
    """A note, a key or a chord is no prompt that a person would give."""
    assert word_to_try(codec_of("abc", "e", "E", "\n")) is None
    assert word_to_try(codec_of("notes", "E")) is None
    assert word_to_try(codec_of("chords", "E")) is None


def test_where_no_word_can_be_a_seed_none_is_proposed():
    assert word_to_try(codec_of("english", "￭.", "$￭", "\n")) is None
    assert word_to_try(codec_of("english", "￭lah")) is None


@pytest.mark.parametrize("mode", ["sample", "greedy", "beam"])
def test_what_is_said_to_have_no_effect_has_none(model: TrainedModel, mode: Mode):
    (plain,) = model.generate("The caster", mode=mode, length=20, random_seed=2)
    changed = {"temperature": 3.0, "top_k": 2, "top_p": 0.5, "min_p": 0.5, "beams": 2, "length_penalty": 2.0}
    idle = {name: value for name, value in changed.items() if without_effect(mode, [name])}
    assert idle
    (text,) = model.generate("The caster", mode=mode, length=20, random_seed=2, **idle)
    assert text.text == plain.text


def test_every_written_token_has_its_probabilities(model: TrainedModel):
    for mode in ("sample", "greedy", "beam"):
        (text,) = model.generate("The caster", mode=mode, length=12, random_seed=2)
        assert len(text.tokens) == len(text.log_probabilities) == 12
        assert all(probs < 0 for probs in text.log_probabilities)
        assert text.perplexity == pytest.approx(math.exp(-sum(text.log_probabilities) / 12))


def test_settings_change_the_choice_but_not_the_probabilities_that_are_told(model: TrainedModel):
    (text,) = model.generate("The caster", length=10, random_seed=2, temperature=3.0, top_k=50, repetition_penalty=1.3)
    first = text.tokens[0]
    assert text.log_probabilities[0] == pytest.approx(
        next(math.log(each.probability) for each in model.next_words("The caster", 1000) if each.token == first),
        abs=1e-4,
    )


@pytest.mark.parametrize("options", [{}, {"stop": "sentence"}, {"stop": "end", "at_least": 5}, {"until": "the"}])
def test_streaming_gives_the_words_of_the_text(model: TrainedModel, options: dict[str, Any]):
    for mode in ("sample", "greedy", "beam"):
        settings = {"mode": mode, "length": 40, "random_seed": 5, **options}
        (text,) = model.generate("A light", **settings)
        assert "".join(model.stream("A light", **settings)) == text.text


def test_many_seeds_give_what_each_would_give_alone(model: TrainedModel):
    settings = GenerationSettings(count=2, length=20, random_seed=4, stop="end")
    seeds = ["The caster", "A", "A light that no one can see"]
    together = list(model.write(seeds, settings))
    alone = [text for seed in seeds for text in model.write([seed], settings)]
    assert [(text.text, text.number) for text in together] == [(text.text, text.number) for text in alone]


def follows_an_end(model: TrainedModel, text: Text) -> bool:
    """Whether the model, left to itself, would have ended the passage there."""
    (longer,) = model.generate(text.seed, length=61, random_seed=text.random_seed)
    return longer.tokens[len(text.tokens)] == "END_TOKEN"


def test_a_text_that_stopped_at_a_sentence_ends_with_one(model: TrainedModel):
    texts = model.generate("The caster", count=30, length=60, stop="sentence", at_least=8, random_seed=1)
    ended = [text for text in texts if text.ended == "sentence"]
    assert len(ended) > 10
    for text in ended:
        assert re.search(r"[.!?][\"”’)]*$", text.text) or follows_an_end(model, text)
    assert all(text.ended in ("sentence", "length") for text in texts)


def test_until_ends_right_behind_what_was_wanted(model: TrainedModel):
    texts = model.generate("The", count=20, length=200, until="the", random_seed=1)
    assert {text.ended for text in texts} <= {"until", "length"}
    ended = [text.text.removeprefix("The") for text in texts if text.ended == "until"]
    assert len(ended) > 10
    assert all(written.endswith("the") and written.count("the") == 1 for written in ended)


def test_next_words_are_ranked_and_add_what_they_say(model: TrainedModel):
    words = model.next_words("The caster", 5)
    assert len(words) == 5
    probs = [word.probability for word in words]
    assert probs == sorted(probs, reverse=True)
    (greedy,) = model.generate("The caster", mode="greedy", length=1)
    assert greedy.text == "The caster" + words[0].piece
    everything = model.next_words("The caster", 10**6)
    assert len(everything) == len(model.vocabulary) - 1  # a word in the place of UNKNOWN, and no START
    assert sum(word.probability for word in everything) == pytest.approx(1, abs=0.2)  # the rest is UNKNOWN's


# Copies: a model that has learned forty lines by heart


def has_copy(model: TrainedModel, text: Text, tokens: int) -> bool:
    """Whether so many tokens in a row, the seed's included, stand in the training text."""
    ids = [*model.read_seed(text.seed).ids, *(model.vocabulary.id_of(token) for token in text.tokens)]
    return any(len(model.copy_index.positions(ids[at : at + tokens])) for at in range(len(ids) - tokens + 1))


@pytest.mark.parametrize("mode", ["sample", "greedy", "beam"])
def test_the_copy_guard_holds_and_without_it_there_are_copies(overfitted: TrainedModel, mode: Mode):
    count = 20 if mode == "sample" else 1
    seeds = ["", "The caster", "A"]
    options: dict[str, Any] = {"count": count, "length": 40, "mode": mode, "random_seed": 3}
    free = [text for seed in seeds for text in overfitted.generate(seed, **options)]
    assert max(text.perplexity for text in free) < 20  # it has learned its text
    assert any(has_copy(overfitted, text, 13) for text in free)
    for most in (3, 6):
        guarded = [text for seed in seeds for text in overfitted.generate(seed, max_copy=most, **options)]
        assert not any(has_copy(overfitted, text, most + 1) for text in guarded)
        assert min(len(text.tokens) for text in guarded) > most


def test_copies_are_named_with_their_lines(overfitted: TrainedModel, overfitted_room: Path):
    lines = (overfitted_room / "few.txt").read_text(encoding="utf-8").split("\n")
    (text,) = overfitted.generate("", mode="greedy", length=60)
    copies = overfitted.copies(text)
    assert copies
    for copy in copies:
        assert text.text[copy.begin : copy.end] == copy.text
        assert copy.file == "few.txt"
        beginning = copy.text.split("\n")[0]
        assert beginning in lines[copy.line - 1]


def test_without_an_index_the_copy_guard_says_so(model: TrainedModel, trained_room: Path, tmp_path: Path):
    shutil.copytree(trained_room / "saved_models" / "small", tmp_path / "small")
    shutil.rmtree(tmp_path / "small" / "copy_index")
    bare = load(tmp_path / "small")
    for write in (bare.generate, bare.stream):
        with pytest.raises(SettingError, match="has no copy index"):
            write("The", max_copy=5)
    (text,) = bare.generate("The", length=5, random_seed=1)
    assert text.text == model.generate("The", length=5, random_seed=1)[0].text
    with pytest.raises(SettingError, match="has no copy index"):
        bare.copies(text)


# Japanese


def test_japanese_has_no_spaces_and_breaks_where_the_lyrics_break(japanese_room: Path):
    model = load(japanese_room / "saved_models" / "lyrics")
    texts = model.generate("夜の街", count=10, length=60, temperature=1.0, random_seed=1)
    assert any("\n" in text.text for text in texts)
    for text in texts:
        spaces = [token for token in text.tokens if " " in token]
        assert text.text.count(" ") == sum(token.count(" ") for token in spaces)
        assert text.text.count("\n") <= sum(token == "END_TOKEN" for token in text.tokens)
    (line,) = model.generate("夜の", length=40, stop="line", random_seed=1)
    assert "\n" not in line.text


def test_the_fingerprint_is_the_models_own(model: TrainedModel, overfitted: TrainedModel, trained_room: Path):
    assert model.fingerprint == load(trained_room / "saved_models" / "small").fingerprint
    assert model.fingerprint != overfitted.fingerprint
