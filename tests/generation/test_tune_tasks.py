"""Whole tunes: in a key and a metre, drawn again until they are valid, and without notes of the training tunes."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.music import music_bundle
from tests.helpers.tunes import ABC_TEXTS, TUNE, normal_form
from wordgen.errors import SettingError
from wordgen.generation.sampling import NO_TOKEN, Past
from wordgen.generation.settings import GenerationSettings
from wordgen.generation.text_generator import MOST_DRAWS
from wordgen.generation.trained import TrainedModel
from wordgen.generation.tunes import NoteCopies
from wordgen.music.abc_parsing import check, parse_open, parse_tune
from wordgen.music.abc_text import COPIES, copy_of, key_of, to_common_key
from wordgen.music.copied_notes import KnownNotes, sequences
from wordgen.music.harmony import parse_key
from wordgen.text.vocabulary import END, Vocabulary

SIGNS = ["C", "E", "^F", "c'", "2", "|", '"G"', "\n"]
HEADERS = ["K:C", "K:Am", "K:Ddor", "M:6/8", "M:C", "L:1/8", "R:jig"]
FREE = "M:none\nL:1/8\nK:C\nC"
"""The beginning of a tune without a metre, so that bars of any length are right."""


@pytest.fixture(scope="module")
def tunes() -> TrainedModel:
    """Knows headers, in common keys."""
    return TrainedModel(music_bundle("abc", SIGNS + HEADERS, transpose="common"))


@pytest.fixture(scope="module")
def simple() -> TrainedModel:
    """Writes some tunes that are valid after FREE."""
    return TrainedModel(music_bundle("abc", ["C", "D", "|"]))


@pytest.mark.parametrize("key", ["C", "D", "Bb", "F#m", "G dorian", "Ddor", "Am"])
@pytest.mark.parametrize("metre", ["6/8", "4/4"])
def test_a_tune_is_written_in_the_key_and_transposed_back_it_is_what_the_model_wrote(
    tunes: TrainedModel, key: str, metre: str
):
    for number in range(3):
        asked = GenerationSettings(key=key, metre=metre, length=60, random_seed=number)
        (text,) = tunes.generate_with("", asked)
        assert key_of(text.text) == parse_key(key)
        header = [tunes.vocabulary.tokens[each] for each in tunes.read_seed("", asked).ids]
        learned = "".join(tunes.pieces(header, GenerationSettings(), None)) + "".join(text.tokens)
        assert to_common_key(text.text) == normal_form(learned)
        assert str(parse_tune(text.text).metre) == metre
        assert "".join(tunes.stream_with("", asked)) == text.text


def test_without_a_metre_the_model_writes_the_header_with_the_key():
    model = TrainedModel(music_bundle("abc", ["^F", "c'", "\n", "K:C", "K:Am", "K:Ddor"], transpose="common"))
    for key in ("Bb", "Em", "G dorian"):
        (text,) = model.generate_with("", GenerationSettings(key=key, length=20, random_seed=1, temperature=1.0))
        assert key_of(text.text) == parse_key(key)
        assert to_common_key(text.text) == normal_form("".join(text.tokens))


def test_a_prompt_that_names_a_key_is_continued_in_it(tunes: TrainedModel):
    prompt = "X:3\nT:of no use\n% a remark\nM:6/8\nL:1/8\nK:D\nA,2 c'E|"
    (text,) = tunes.generate_with(prompt, GenerationSettings(length=40, random_seed=2))
    beginning = prompt.removeprefix("X:3\n")
    assert text.text.startswith(beginning)
    common = to_common_key(beginning)
    assert common is not None
    assert to_common_key(text.text) == normal_form(common + "".join(text.tokens))
    assert tunes.read_seed(prompt).back is not None


def test_a_title_in_the_prompt_is_kept_before_the_metre(tunes: TrainedModel):
    read = tunes.read_seed("R:jig", GenerationSettings(metre="6/8", key="Em"))
    assert read.shown is not None
    lines = read.shown.split("\n")
    assert lines[0] == "R:jig"
    assert "M:6/8" in lines[1:]
    assert lines[-2:] == ["K:Em", ""]


@pytest.mark.parametrize(
    ("prompt", "asked", "part"),
    [
        ("", {"key": "C phrygian"}, "This model knows no tune in a phrygian key: its modes are "),
        ("", {"metre": "5/4"}, "This model knows no tune in 5/4: its metres are "),
        ("K:C", {"key": "D"}, "The prompt already has a key (K:): leave out --key."),
        ("K:C", {"metre": "6/8"}, "The prompt already has a key (K:): leave out --metre."),
        ("M:6/8", {"metre": "6/8"}, "The prompt already has a metre (M:): leave out --metre."),
        ("CE2", {"key": "D"}, "--key belongs to the header of a tune: the prompt may only have"),
    ],
)
def test_what_does_not_fit_the_model_or_the_prompt_is_one_sentence(
    tunes: TrainedModel, prompt: str, asked: dict[str, str], part: str
):
    for write in (tunes.generate_with, lambda *given: list(tunes.stream_with(*given))):
        with pytest.raises(SettingError) as refused:
            write(prompt, GenerationSettings(**asked))  # pyright: ignore[reportArgumentType]
        assert part in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "part"),
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
def test_settings_that_contradict_each_other_are_one_sentence(asked: dict[str, object], part: str):
    with pytest.raises(SettingError) as refused:
        GenerationSettings(**asked)  # pyright: ignore[reportArgumentType]
    assert part in str(refused.value)


@pytest.mark.parametrize(
    ("tokenizer", "asked", "part"),
    [
        ("notes", {"key": "D"}, "--key is for models of tunes in ABC, and this model writes notes"),
        ("chords", {"metre": "6/8"}, "--metre is for models of tunes in ABC, and this model writes chords"),
        ("english", {"only_valid": True}, "--only-valid is for models of tunes in ABC, and this model writes text"),
        ("notes", {"max_copy_notes": 12}, "--max-copy-notes is for models of tunes in ABC"),
    ],
)
def test_other_models_write_no_tunes(tokenizer: str, asked: dict[str, object], part: str):
    model = TrainedModel(music_bundle(tokenizer, ["E4", "G4", "=6"]))
    for write in (model.generate_with, model.stream_with):
        with pytest.raises(SettingError) as refused:
            write("", GenerationSettings(**asked))  # pyright: ignore[reportArgumentType]
        assert part in str(refused.value)


def test_what_is_valid_passes_the_checker_and_is_the_first_draw_that_does(simple: TrainedModel):
    asked = GenerationSettings(only_valid=True, length=30, count=20, random_seed=5, temperature=1.0)
    texts = simple.generate_with(FREE, asked)
    assert [check(text.text) for text in texts] == [()] * 20
    assert {text.ended for text in texts} == {"end"}
    draws = [text.draws for text in texts]
    assert max(draws) > 1
    assert min(draws) == 1
    plain = simple.generate_with(
        FREE, GenerationSettings(stop="end", length=30, count=20, random_seed=5, temperature=1.0)
    )
    for text, drawn_once in zip(texts, plain, strict=True):
        assert (text.draws == 1) == (not check(drawn_once.text) and drawn_once.ended == "end")
        assert (text.draws == 1) == (text.text == drawn_once.text)
    assert simple.generate_with(FREE, asked) == texts
    alone = GenerationSettings(only_valid=True, length=30, random_seed=5 + 7, temperature=1.0)
    (same,) = simple.generate_with(FREE, alone)
    assert (same.text, same.draws) == (texts[7].text, texts[7].draws)
    assert "".join(simple.stream_with(FREE, alone)) == same.text


def test_when_no_draw_is_valid_the_sentence_says_why(simple: TrainedModel):
    with pytest.raises(SettingError) as refused:
        simple.generate_with(FREE, GenerationSettings(only_valid=True, length=9, at_least=9, random_seed=1))
    assert f"None of {MOST_DRAWS} draws is a valid tune" in str(refused.value)
    assert "did not end within 9 tokens" in str(refused.value)
    with pytest.raises(SettingError, match="have faults"):
        simple.generate_with("L:1/8\nK:C\n]", GenerationSettings(only_valid=True, length=30, random_seed=1))


def made_up(seed: int, notes: int = 60) -> str:
    draw = random.Random(seed)
    return "L:1/8\nK:C\n" + "".join(draw.choice(["C", "D", "E", "G2", "c", "|"]) for _ in range(notes)) + "|]"


def test_a_transposed_training_tune_is_a_copy():
    known = KnownNotes(12)
    known.add(parse_tune(TUNE).melody)

    def would_copy(text: str) -> list[bool]:
        melody = parse_tune(text).melody
        return [melody[end].pitch in known.would_copy(melody[:end]) for end in range(11, len(melody))]

    copies = [copy for number in range(COPIES) if (copy := copy_of(TUNE, number)) is not None]
    assert all(all(would_copy(copy)) for copy in copies)
    assert not any(would_copy(made_up(1)))


@given(ABC_TEXTS)
def test_a_tune_that_is_not_complete_has_the_notes_of_the_tune(text: str):
    assert parse_open(text, 1000).melody == parse_tune(text).melody


@settings(max_examples=30)
@given(st.integers(0, 1000), st.sampled_from([4, 5, 7]))
def test_what_is_written_has_no_notes_in_a_row_of_a_training_tune(seed: int, notes: int):
    """Tokens are drawn without a network; only copies are forbidden."""
    signs = ["L:1/8", "K:C", "K:Am", "\n", *"CDEGc", "^F", "2", "/", "|", "[", "]", "(3", ">", "z", "-"]
    vocabulary = Vocabulary.from_counts(dict.fromkeys(signs, 2), 100, 1)
    training = [made_up(number) for number in range(3)]
    ids = [each for text in training for each in [*(vocabulary.id_of(sign) for sign in _cut(text, signs)), END]]
    copies = NoteCopies(np.array(ids), vocabulary, notes)
    draw = np.random.default_rng(seed)
    written = [vocabulary.id_of(sign) for sign in ("L:1/8", "\n", "K:Am", "\n")]
    for _ in range(80):
        past = Past(np.array([[NO_TOKEN, *written]]), len(written))
        allowed = np.flatnonzero(np.isfinite(copies.change(np.zeros((1, len(vocabulary)), np.float32), past)[0]))
        written.append(
            int(draw.choice([each for each in allowed if each > END and ":" not in vocabulary.tokens[each]]))
        )
    text = "".join(vocabulary.tokens[each] for each in written)
    of_training = {number for each in training for number in sequences(parse_tune(each).melody, notes)}
    assert of_training.isdisjoint(sequences(parse_tune(text).melody, notes))


def _cut(text: str, signs: list[str]) -> list[str]:
    """The signs that a text consists of."""
    found: list[str] = []
    while text:
        sign = max((each for each in signs if text.startswith(each)), key=len)
        found.append(sign)
        text = text[len(sign) :]
    return found
