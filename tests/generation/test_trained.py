"""A trained model writes: prompts, random seeds, ends of texts, probabilities, the copy guard."""

import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from wordgen.api import load
from wordgen.errors import SettingError
from wordgen.generation import text_generator
from wordgen.generation.prompt import Seed, TextReader, word_to_try
from wordgen.generation.settings import GenerationSettings, Mode, no_effect_note
from wordgen.generation.texts import Text
from wordgen.generation.trained import TrainedModel
from wordgen.text.settings import TokenizerName
from wordgen.text.tokenizers import Codec, tokenizer_named
from wordgen.text.vocabulary import RESERVED, START_TOKEN, UNKNOWN_TOKEN, Vocabulary


def test_text_begins_with_prompt_spaced_as_in_corpus(model: TrainedModel):
    (text,) = model.generate("The  caster,", length=20, random_seed=1)
    assert text.text.startswith("The caster, ")
    assert len(text.tokens) == 20
    assert not {UNKNOWN_TOKEN, START_TOKEN} & set(text.tokens)


def test_drawn_random_seed_reproduces_text(model: TrainedModel):
    for text in model.generate("The", length=30, count=3):
        assert model.generate("The", length=30, random_seed=text.random_seed)[0].text == text.text


@pytest.mark.parametrize("mix", [0.0, 0.5])
def test_text_does_not_depend_on_count(model: TrainedModel, mix: float):
    many = model.generate("A light", length=25, count=8, random_seed=9, mix=mix)
    single = [model.generate("A light", length=25, random_seed=9 + number, mix=mix)[0] for number in range(8)]
    assert [text.text for text in many] == [text.text for text in single]
    assert [text.random_seed for text in many] == [text.random_seed for text in single]


@pytest.mark.parametrize("options", [{"top_k": 1}, {"temperature": 1e-6}, {"top_p": 0.0}, {"min_p": 1.0}])
def test_sampling_from_one_token_is_greedy(model: TrainedModel, options: dict[str, Any]):
    (greedy,) = model.generate("The caster", mode="greedy", length=30)
    assert {text.text for text in model.generate("The caster", length=30, count=3, **options)} == {greedy.text}


def test_empty_prompt_begins_new_passage(model: TrainedModel):
    (text,) = model.generate("", length=10, random_seed=1)
    assert text.text
    assert not text.text.startswith((" ", "\n"))


def test_unknown_words_of_prompt_are_omitted_and_reported(model: TrainedModel):
    (text,) = model.generate("The frobnicator castre", length=3, random_seed=1)
    assert text.text.startswith("The ")
    assert [word.word for word in text.unknown] == ["frobnicator", "castre"]
    assert text.unknown[1].similar[0] == "caster"


@pytest.mark.parametrize(
    "prompt",
    ["", ", and then", "…mid-sentence", "夜の街", "🙂👍🏽", '"The caster', "\u200b", "THE CASTER’S", "x" * 50_000],
)
def test_any_prompt_is_continued(model: TrainedModel, prompt: str):
    (text,) = model.generate(prompt, length=8, random_seed=1)
    assert text.seed == prompt
    assert len(text.tokens) == 8


def test_texts_do_not_depend_on_batch_size(model: TrainedModel, monkeypatch: pytest.MonkeyPatch):
    one_batch = model.generate("A", count=5, length=6, random_seed=2)
    monkeypatch.setattr(text_generator, "_BATCH_SIZE", 2)
    batches = model.generate("A", count=5, length=6, random_seed=2)
    assert [(text.text, text.number) for text in batches] == [(text.text, text.number) for text in one_batch]


def test_write_reports_progress(model: TrainedModel, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text_generator, "_BATCH_SIZE", 2)
    reports: list[tuple[int, int]] = []
    settings = GenerationSettings(count=5, length=3, random_seed=1)
    texts = list(model.write([""], settings, lambda done, tokens: reports.append((done, tokens))))
    assert len(texts) == 5
    assert reports == [(done, 15) for done in (2, 4, 6, 8, 10, 12, 13, 14, 15)]


def codec_of(tokenizer: TokenizerName, *tokens: str) -> Codec:
    counts = [*((token, 0) for token in RESERVED), *((token, 9) for token in tokens)]
    return Codec(tokenizer_named(tokenizer), Vocabulary(counts), "\n")


def test_word_to_try_prefers_a_name():
    assert word_to_try(codec_of("english", "￭.", "The", "the", "road", "Frodo")) == "Frodo"
    assert word_to_try(codec_of("english", "￭.", "the")) == "the"
    assert word_to_try(codec_of("characters", " ", "e", "\n")) == "e"


def test_music_has_no_word_to_try():
    assert word_to_try(codec_of("abc", "e", "E", "\n")) is None
    assert word_to_try(codec_of("notes", "E")) is None
    assert word_to_try(codec_of("chords", "E")) is None


def test_vocabulary_without_whole_words_has_no_word_to_try():
    assert word_to_try(codec_of("english", "￭.", "$￭", "\n")) is None
    assert word_to_try(codec_of("english", "￭lah")) is None


@pytest.mark.parametrize("mode", ["sample", "greedy", "beam"])
def test_settings_reported_without_effect_have_none(model: TrainedModel, mode: Mode):
    (plain,) = model.generate("The caster", mode=mode, length=20, random_seed=2)
    changed = {"temperature": 3.0, "top_k": 2, "top_p": 0.5, "min_p": 0.5, "beams": 2, "length_penalty": 2.0}
    ignored = {name: value for name, value in changed.items() if no_effect_note(mode, [name])}
    assert ignored
    (text,) = model.generate("The caster", mode=mode, length=20, random_seed=2, **ignored)
    assert text.text == plain.text


def test_each_token_has_its_probability(model: TrainedModel):
    for mode in ("sample", "greedy", "beam"):
        (text,) = model.generate("The caster", mode=mode, length=12, random_seed=2)
        assert len(text.tokens) == len(text.log_probabilities) == 12
        assert all(log_probability < 0 for log_probability in text.log_probabilities)
        assert text.perplexity == pytest.approx(math.exp(-sum(text.log_probabilities) / 12))


def test_sampling_settings_do_not_change_reported_probabilities(model: TrainedModel):
    (text,) = model.generate("The caster", length=10, random_seed=2, temperature=3.0, top_k=50, repetition_penalty=1.3)
    words = model.next_words("The caster", 1000)
    expected = next(math.log(word.probability) for word in words if word.token == text.tokens[0])
    assert text.log_probabilities[0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "options", [{}, {"mix": 0.5}, {"stop": "sentence"}, {"stop": "end", "at_least": 5}, {"until": "the"}]
)
def test_streamed_text_equals_generated_text(model: TrainedModel, options: dict[str, Any]):
    for mode in ("sample", "greedy", "beam"):
        settings = {"mode": mode, "length": 40, "random_seed": 5, **options}
        (text,) = model.generate("A light", **settings)
        pieces = list(model.stream("A light", **settings))
        assert "".join(pieces) == text.text
        assert pieces[:2] == ["A", " light"]


def test_text_does_not_depend_on_other_prompts(model: TrainedModel):
    settings = GenerationSettings(count=2, length=20, random_seed=4, stop="end")
    prompts = ["The caster", "A", "A light that no one can see"]
    together = list(model.write(prompts, settings))
    single = [text for prompt in prompts for text in model.write([prompt], settings)]
    assert [(text.text, text.number) for text in together] == [(text.text, text.number) for text in single]


def follows_an_end(model: TrainedModel, text: Text) -> bool:
    """Return whether END follows the text, if the model may continue it."""
    (longer,) = model.generate(text.seed, length=61, random_seed=text.random_seed)
    return longer.tokens[len(text.tokens)] == "END_TOKEN"


def test_stop_sentence_ends_after_a_sentence(model: TrainedModel):
    texts = model.generate("The caster", count=30, length=60, stop="sentence", at_least=8, random_seed=1)
    ended = [text for text in texts if text.ended == "sentence"]
    assert len(ended) > 10
    for text in ended:
        assert re.search(r"[.!?][\"”’)]*$", text.text) or follows_an_end(model, text)
    assert all(text.ended in ("sentence", "length") for text in texts)


def test_until_ends_right_after_its_text(model: TrainedModel):
    texts = model.generate("The", count=20, length=200, until="the", random_seed=1)
    assert {text.ended for text in texts} <= {"until", "length"}
    continuations = [text.text.removeprefix("The") for text in texts if text.ended == "until"]
    assert len(continuations) > 10
    assert all(text.endswith("the") and text.count("the") == 1 for text in continuations)


def test_next_words_are_ranked_and_have_their_pieces(model: TrainedModel):
    words = model.next_words("The caster", 5)
    assert len(words) == 5
    probs = [word.probability for word in words]
    assert probs == sorted(probs, reverse=True)
    (greedy,) = model.generate("The caster", mode="greedy", length=1)
    assert greedy.text == "The caster" + words[0].piece
    all_words = model.next_words("The caster", 10**6)
    assert len(all_words) == len(model.vocabulary) - 1  # all but START; a word replaces UNKNOWN
    assert sum(word.probability for word in all_words) == pytest.approx(1, abs=0.2)


# The copy guard. `overfitted` is trained on 40 lines only.


def has_copy(model: TrainedModel, text: Text, tokens: int) -> bool:
    """Return whether the prompt and the text have a match of this many tokens."""
    ids = [*model.read_seed(text.seed).ids, *(model.vocabulary.id_of(token) for token in text.tokens)]
    return any(len(model.copy_index.positions(ids[at : at + tokens])) for at in range(len(ids) - tokens + 1))


@pytest.mark.parametrize("mode", ["sample", "greedy", "beam"])
def test_max_copy_limits_matches(overfitted: TrainedModel, mode: Mode):
    count = 20 if mode == "sample" else 1
    prompts = ["", "The caster", "A"]
    options: dict[str, Any] = {"count": count, "length": 40, "mode": mode, "random_seed": 3}
    free = [text for prompt in prompts for text in overfitted.generate(prompt, **options)]
    assert max(text.perplexity for text in free) < 20
    assert any(has_copy(overfitted, text, 13) for text in free)
    for most in (3, 6):
        guarded = [text for prompt in prompts for text in overfitted.generate(prompt, max_copy=most, **options)]
        assert not any(has_copy(overfitted, text, most + 1) for text in guarded)
        assert min(len(text.tokens) for text in guarded) > most


def test_copies_have_file_and_line(overfitted: TrainedModel, overfitted_folder: Path):
    lines = (overfitted_folder / "few.txt").read_text(encoding="utf-8").split("\n")
    (text,) = overfitted.generate("", mode="greedy", length=60)
    copies = overfitted.copies(text)
    assert copies
    for copy in copies:
        assert text.text[copy.begin : copy.end] == copy.text
        assert copy.file == "few.txt"
        assert copy.text.split("\n")[0] in lines[copy.line - 1]


def test_prompt_is_read_once_for_the_copies_of_all_its_texts(overfitted: TrainedModel, monkeypatch: pytest.MonkeyPatch):
    read: list[str] = []

    def count_and_read(reader: TextReader, text: str) -> Seed:
        read.append(text)
        return read_prompt(reader, text)

    read_prompt = TextReader.seed
    monkeypatch.setattr(TextReader, "seed", count_and_read)
    texts = overfitted.generate("The caster frobs", count=4, length=30, random_seed=1)
    copies = [overfitted.copies(text) for text in texts]
    assert any(copies)
    assert read == ["The caster frobs"]
    assert overfitted.read_seed("A").ids != overfitted.read_seed("The caster frobs").ids


def test_max_copy_without_copy_index_is_an_error(model: TrainedModel, trained_folder: Path, tmp_path: Path):
    shutil.copytree(trained_folder / "saved_models" / "small", tmp_path / "small")
    shutil.rmtree(tmp_path / "small" / "copy_index")
    without_index = load(tmp_path / "small")
    for write in (without_index.generate, without_index.stream):
        with pytest.raises(SettingError, match="has no copy index"):
            write("The", max_copy=5)
    (text,) = without_index.generate("The", length=5, random_seed=1)
    assert text.text == model.generate("The", length=5, random_seed=1)[0].text
    with pytest.raises(SettingError, match="so copies cannot be found: it was trained with copy_index=False"):
        without_index.copies(text)


def test_japanese_has_line_breaks_but_no_spaces_between_words(japanese_folder: Path):
    model = load(japanese_folder / "saved_models" / "lyrics")
    texts = model.generate("夜の街", count=10, length=60, temperature=1.0, random_seed=1)
    assert any("\n" in text.text for text in texts)
    for text in texts:
        assert text.text.count(" ") == sum(token.count(" ") for token in text.tokens)
        assert text.text.count("\n") <= sum(token == "END_TOKEN" for token in text.tokens)
    (line,) = model.generate("夜の", length=40, stop="line", random_seed=1)
    assert "\n" not in line.text


def test_models_have_different_fingerprints(model: TrainedModel, overfitted: TrainedModel, trained_folder: Path):
    assert model.fingerprint == load(trained_folder / "saved_models" / "small").fingerprint
    assert model.fingerprint != overfitted.fingerprint
