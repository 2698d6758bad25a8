"""Whole tunes: with a given key and metre, drawn again until they are valid, without copied notes."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.music import music_bundle
from tests.helpers.tunes import ABC_TEXTS, TUNE, check, normal_form
from wordgen.errors import SettingError
from wordgen.generation.sampling import NO_TOKEN, Past
from wordgen.generation.settings import GenerationSettings
from wordgen.generation.text_generator import MAX_DRAWS
from wordgen.generation.trained import TrainedModel
from wordgen.generation.tunes import NoteCopies
from wordgen.music.abc_parsing import parse_incomplete, parse_tune
from wordgen.music.abc_text import COPIES, copy_in_other_key, key_of, to_common_key
from wordgen.music.copied_notes import KnownNotes, sequences
from wordgen.music.harmony import parse_key
from wordgen.text.vocabulary import END, Vocabulary

SIGNS = ["C", "E", "^F", "c'", "2", "|", '"G"', "\n"]
HEADERS = ["K:C", "K:Am", "K:Ddor", "M:6/8", "M:C", "L:1/8", "R:jig"]
FREE = "M:none\nL:1/8\nK:C\nC"
"""The beginning of a tune without a metre: bars may have any length."""


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    """A model that knows headers, in common keys."""
    return TrainedModel(music_bundle("abc", SIGNS + HEADERS, transpose="common"))


@pytest.fixture(scope="module")
def simple_model() -> TrainedModel:
    """A model that writes some valid tunes after FREE."""
    return TrainedModel(music_bundle("abc", ["C", "D", "|"]))


@pytest.mark.parametrize("key", ["C", "D", "Bb", "F#m", "G dorian", "Ddor", "Am"])
@pytest.mark.parametrize("metre", ["6/8", "4/4"])
def test_tune_is_transposed_from_the_tokens_to_the_given_key(model: TrainedModel, key: str, metre: str):
    for number in range(3):
        settings = GenerationSettings(key=key, metre=metre, length=60, random_seed=number)
        (text,) = model.generate_with("", settings)
        assert key_of(text.text) == parse_key(key)
        header = [model.vocabulary.tokens[token] for token in model.read_seed("", settings).ids]
        in_common_key = "".join(model.pieces(header, GenerationSettings(), None)) + "".join(text.tokens)
        assert to_common_key(text.text) == normal_form(in_common_key)
        assert str(parse_tune(text.text).metre) == metre
        assert "".join(model.stream_with("", settings)) == text.text


def test_header_without_metre_is_written_in_the_given_key():
    model = TrainedModel(music_bundle("abc", ["^F", "c'", "\n", "K:C", "K:Am", "K:Ddor"], transpose="common"))
    for key in ("Bb", "Em", "G dorian"):
        (text,) = model.generate_with("", GenerationSettings(key=key, length=20, random_seed=1, temperature=1.0))
        assert key_of(text.text) == parse_key(key)
        assert to_common_key(text.text) == normal_form("".join(text.tokens))


def test_prompt_with_key_is_continued_in_that_key(model: TrainedModel):
    prompt = "X:3\nT:of no use\n% a remark\nM:6/8\nL:1/8\nK:D\nA,2 c'E|"
    (text,) = model.generate_with(prompt, GenerationSettings(length=40, random_seed=2))
    beginning = prompt.removeprefix("X:3\n")
    assert text.text.startswith(beginning)
    common = to_common_key(beginning)
    assert common is not None
    assert to_common_key(text.text) == normal_form(common + "".join(text.tokens))
    assert model.read_seed(prompt).original_key_interval is not None


@pytest.mark.parametrize("until", ["d'", "2d", "d'2"])
def test_until_is_looked_for_in_the_key_of_the_prompt(model: TrainedModel, until: str):
    prompt = "M:6/8\nL:1/8\nK:D\nA,2"
    ended = 0
    for number in range(10):
        free, text = (
            model.generate_with(prompt, GenerationSettings(length=60, random_seed=number, until=each))[0]
            for each in (None, until)
        )
        at = free.text.find(until, len(prompt))
        assert text.text == (free.text if at < 0 else free.text[: at + len(until)])
        assert text.ended == ("length" if at < 0 else "until")
        assert text.tokens == free.tokens[: len(text.tokens)]
        assert len(text.tokens) == len(text.log_probabilities)
        streamed = model.stream_with(prompt, GenerationSettings(length=60, random_seed=number, until=until))
        assert "".join(streamed) == text.text
        ended += at >= 0
    assert ended > 3


def test_other_fields_of_prompt_stay_before_metre_and_key(model: TrainedModel):
    shown = model.read_seed("R:jig", GenerationSettings(metre="6/8", key="Em")).shown
    assert shown is not None
    lines = shown.split("\n")
    assert lines[0] == "R:jig"
    assert "M:6/8" in lines[1:]
    assert lines[-2:] == ["K:Em", ""]


@pytest.mark.parametrize(
    ("prompt", "options", "message"),
    [
        ("", {"key": "C phrygian"}, "This model knows no tune in a phrygian key: its modes are "),
        ("", {"metre": "5/4"}, "This model knows no tune in 5/4: its metres are "),
        ("K:C", {"key": "D"}, "The prompt already has a key (K:): leave out --key."),
        ("K:C", {"metre": "6/8"}, "The prompt already has a key (K:): leave out --metre."),
        ("M:6/8", {"metre": "6/8"}, "The prompt already has a metre (M:): leave out --metre."),
        ("CE2", {"key": "D"}, "--key belongs to the header of a tune: the prompt may only have"),
    ],
)
def test_settings_that_contradict_model_or_prompt_are_errors(
    model: TrainedModel, prompt: str, options: dict[str, str], message: str
):
    for write in (model.generate_with, lambda *arguments: list(model.stream_with(*arguments))):
        with pytest.raises(SettingError) as error:
            write(prompt, GenerationSettings(**options))  # pyright: ignore[reportArgumentType]
        assert message in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": "H"}, "--key must be a key such as D, Bb, F#m or 'D dorian', not 'H'."),
        ({"key": ""}, "--key must be a key"),
        ({"metre": "7"}, "--metre must be a metre such as 4/4 or 6/8, not '7'."),
        ({"key": "D", "stop": "line"}, "--key writes a whole tune: leave out --stop line."),
        ({"metre": "6/8", "until": "|"}, "--metre writes a whole tune: leave out --until."),
        ({"only_valid": True, "mode": "greedy"}, "--mode greedy would always write the same tune: use --mode sample."),
        ({"only_valid": True, "mode": "beam"}, "use --mode sample."),
        ({"max_copy_notes": 2}, "--max-copy-notes must be 0, or at least 4, not 2."),
    ],
)
def test_invalid_or_contradictory_settings_are_errors(options: dict[str, object], message: str):
    with pytest.raises(SettingError) as error:
        GenerationSettings(**options)  # pyright: ignore[reportArgumentType]
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("tokenizer", "options", "message"),
    [
        ("notes", {"key": "D"}, "--key is for models of tunes in ABC, and this model writes notes"),
        ("chords", {"metre": "6/8"}, "--metre is for models of tunes in ABC, and this model writes chords"),
        ("english", {"only_valid": True}, "--only-valid is for models of tunes in ABC, and this model writes text"),
        ("notes", {"max_copy_notes": 12}, "--max-copy-notes is for models of tunes in ABC"),
    ],
)
def test_tune_settings_with_other_tokenizers_are_errors(tokenizer: str, options: dict[str, object], message: str):
    model = TrainedModel(music_bundle(tokenizer, ["E4", "G4", "=6"]))
    for write in (model.generate_with, model.stream_with):
        with pytest.raises(SettingError) as error:
            write("", GenerationSettings(**options))  # pyright: ignore[reportArgumentType]
        assert message in str(error.value)


def test_only_valid_returns_first_draw_without_faults(simple_model: TrainedModel):
    settings = GenerationSettings(only_valid=True, length=30, count=20, random_seed=5, temperature=1.0)
    texts = simple_model.generate_with(FREE, settings)
    assert [check(text.text) for text in texts] == [()] * 20
    assert {text.ended for text in texts} == {"end"}
    draws = [text.draws for text in texts]
    assert max(draws) > 1
    assert min(draws) == 1
    first_draws = simple_model.generate_with(
        FREE, GenerationSettings(stop="end", length=30, count=20, random_seed=5, temperature=1.0)
    )
    for text, first in zip(texts, first_draws, strict=True):
        assert (text.draws == 1) == (not check(first.text) and first.ended == "end")
        assert (text.draws == 1) == (text.text == first.text)
    assert simple_model.generate_with(FREE, settings) == texts
    settings = GenerationSettings(only_valid=True, length=30, random_seed=5 + 7, temperature=1.0)
    (single,) = simple_model.generate_with(FREE, settings)
    assert (single.text, single.draws) == (texts[7].text, texts[7].draws)
    assert "".join(simple_model.stream_with(FREE, settings)) == single.text


def test_error_says_why_no_draw_is_valid(simple_model: TrainedModel):
    with pytest.raises(SettingError) as error:
        simple_model.generate_with(FREE, GenerationSettings(only_valid=True, length=9, at_least=9, random_seed=1))
    assert f"None of {MAX_DRAWS} draws is a valid tune" in str(error.value)
    assert "did not end within 9 tokens" in str(error.value)
    for write in (simple_model.generate, simple_model.stream):
        with pytest.raises(SettingError, match="Give a larger length or a temperature below "):
            "".join(map(str, write(FREE, only_valid=True, length=9, at_least=9, random_seed=1)))
    with pytest.raises(SettingError, match="have faults"):
        simple_model.generate_with("L:1/8\nK:C\n]", GenerationSettings(only_valid=True, length=30, random_seed=1))


def random_tune(seed: int, notes: int = 60) -> str:
    rng = random.Random(seed)
    return "L:1/8\nK:C\n" + "".join(rng.choice(["C", "D", "E", "G2", "c", "|"]) for _ in range(notes)) + "|]"


def test_transposed_training_tune_is_a_copy():
    known = KnownNotes(12)
    known.add(parse_tune(TUNE).melody)

    def would_copy(text: str) -> list[bool]:
        melody = parse_tune(text).melody
        return [melody[end].pitch in known.completing_notes(melody[:end]) for end in range(11, len(melody))]

    copies = [copy for number in range(COPIES) if (copy := copy_in_other_key(TUNE, number)) is not None]
    assert all(all(would_copy(copy)) for copy in copies)
    assert not any(would_copy(random_tune(1)))


@given(ABC_TEXTS)
def test_incomplete_tune_has_the_notes_of_the_tune(text: str):
    assert parse_incomplete(text, 1000).melody == parse_tune(text).melody


@settings(max_examples=30)
@given(st.integers(0, 1000), st.sampled_from([4, 5, 7]))
def test_max_copy_notes_limits_matches_with_training_tunes(seed: int, notes: int):
    """Tokens are drawn without a network. Only copies are forbidden."""
    signs = ["L:1/8", "K:C", "K:Am", "\n", *"CDEGc", "^F", "2", "/", "|", "[", "]", "(3", ">", "z", "-"]
    vocabulary = Vocabulary.from_counts(dict.fromkeys(signs, 2), 100, 1)
    training = [random_tune(number) for number in range(3)]
    ids = [token for text in training for token in [*(vocabulary.id_of(sign) for sign in split(text, signs)), END]]
    copies = NoteCopies(np.array(ids), vocabulary, notes)
    rng = np.random.default_rng(seed)
    written = [vocabulary.id_of(sign) for sign in ("L:1/8", "\n", "K:Am", "\n")]
    for _ in range(80):
        past = Past(np.array([[NO_TOKEN, *written]]), len(written))
        allowed = np.flatnonzero(np.isfinite(copies.change(np.zeros((1, len(vocabulary)), np.float32), past)[0]))
        choices = [token for token in allowed if token > END and ":" not in vocabulary.tokens[token]]
        written.append(int(rng.choice(choices)))
    text = "".join(vocabulary.tokens[token] for token in written)
    training_sequences = {number for tune in training for number in sequences(parse_tune(tune).melody, notes)}
    assert training_sequences.isdisjoint(sequences(parse_tune(text).melody, notes))


def split(text: str, signs: list[str]) -> list[str]:
    """Return the signs that a text consists of."""
    parts: list[str] = []
    while text:
        sign = max((sign for sign in signs if text.startswith(sign)), key=len)
        parts.append(sign)
        text = text[len(sign) :]
    return parts
