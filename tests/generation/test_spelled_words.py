"""A model with `--unknown spell`: it writes words outside its vocabulary, and reads any text without UNKNOWN."""

import math
import re
import time
from functools import partial

import numpy as np
import pytest

from tests.helpers.commands import ROOT, train_on_few_lines
from wordgen.api import load
from wordgen.generation.sampling import (
    NO_TOKEN,
    Past,
    SpellingIds,
    TokenKinds,
    changed_by,
    forbid_bad_spelling,
    forbid_copies,
    forbid_repeated_ngrams,
    probability_changes,
)
from wordgen.generation.settings import GenerationSettings
from wordgen.generation.texts import Text
from wordgen.generation.trained import TrainedModel
from wordgen.text.tokenizers import tokenizer_named
from wordgen.text.vocabulary import BYTES, END, UNKNOWN, WORD_END


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """A model with so small a vocabulary that it must spell most words."""
    options = "--unknown spell --vocab-size 320 --epochs 3 --learning-rate 0.004"
    folder = train_on_few_lines(tmp_path_factory.mktemp("spelling"), options)
    return load(folder / "saved_models" / "few")


@pytest.fixture(scope="module")
def spelling(model: TrainedModel) -> SpellingIds:
    return SpellingIds(model.vocabulary)


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{3,}", text))


def test_words_outside_the_vocabulary_are_spelled_without_marks(model: TrainedModel):
    texts = model.generate("", count=12, length=200, random_seed=1)
    corpus = words_of((ROOT / "data" / "spells.txt").read_text(encoding="utf-8"))
    written = words_of(" ".join(text.text for text in texts))
    spelled = {word for word in written if word not in model.vocabulary}
    assert len(spelled & corpus) > 20
    for text in texts:
        assert "UNKNOWN" not in text.text
        assert "<0x" not in text.text
        assert WORD_END not in text.text
        assert "\ufffd" not in text.text


@pytest.mark.parametrize("mode", ["greedy", "sample", "beam"])
def test_streamed_text_equals_generated_text(model: TrainedModel, mode: str):
    settings = {"mode": mode, "length": 120, "random_seed": 3, "stop": "end"}
    (text,) = model.generate("The caster", **settings)  # pyright: ignore[reportArgumentType]
    assert "".join(model.stream("The caster", **settings)) == text.text  # pyright: ignore[reportArgumentType]


def test_no_word_of_a_prompt_is_unknown(model: TrainedModel):
    prompt = model.read_seed("Xylophones 夜の街 don't 👍🏽")
    assert prompt.unknown == ()
    assert UNKNOWN not in prompt.ids
    (text,) = model.generate("Xylophones 夜の街 don't 👍🏽", length=5, random_seed=1)
    assert text.text.startswith("Xylophones 夜の街 don't 👍🏽")


def test_spelled_word_has_one_score(model: TrainedModel):
    score = model.score("The xylophone glows.")
    assert [each.piece.strip() for each in score.tokens] == ["The", "xylophone", "glows", "."]
    assert all(each.known for each in score.tokens)
    most_surprising = max(score.tokens, key=lambda each: each.surprisal)
    assert most_surprising.piece.strip() == "xylophone"
    assert math.isfinite(score.perplexity)


def test_next_words_are_whole_words(model: TrainedModel):
    words = model.next_words("The caster", 50)
    assert len(words) == 50
    assert not {word.token for word in words} & {*BYTES, WORD_END}


def test_session_spells_typed_words(model: TrainedModel):
    session = model.session("The caster")
    assert session.type("xylophones loudly") == ()
    assert session.text.endswith("xylophones loudly")
    assert len(session.ids) > 12


def test_typed_or_picked_word_does_not_continue_a_spelled_one(model: TrainedModel, spelling: SpellingIds):
    session = model.session("The caster")
    while not spelling.is_byte[session.ids[-1]]:
        list(session.write(GenerationSettings(length=1, random_seed=len(session.ids))))
    letters = spelling.unfinished_word(session.ids).decode()
    typed, picked = session.duplicate(), session.duplicate()
    typed.type("xylophones")
    assert typed.text == f"{session.text} {letters} xylophones"
    word = next(word for word in picked.next_words(50) if not word.piece.startswith(f" {letters}"))
    picked.pick(word)
    assert picked.text == f"{session.text} {letters}{word.piece}"


@pytest.mark.parametrize(("word", "kept"), [("café", " caf"), ("é", "")])
def test_incomplete_character_is_removed_before_other_words(model: TrainedModel, word: str, kept: str):
    session = model.session("The caster")
    session.ids += [model.vocabulary.id_of(BYTES[value]) for value in word.encode()[:-1]]
    before = list(session.ids)
    assert session.next_words(1)
    assert session.ids == before
    session.type("glows")
    assert session.text == f"The caster{kept} glows"


def uniform_log_probs(model: TrainedModel) -> np.ndarray:
    return np.zeros((1, len(model.vocabulary)), np.float32)


def past(*ids: int) -> Past:
    return Past(np.array([ids], np.intp), len(ids))


def test_bytes_within_a_word_are_valid_utf_8(model: TrainedModel, spelling: SpellingIds):
    change = partial(forbid_bad_spelling, spelling=spelling)
    a, e2, x82 = (model.vocabulary.id_of(BYTES[byte]) for byte in (0x61, 0xE2, 0x82))
    word = 261  # the id of a whole word

    def possible(*ids: int) -> set[int]:
        return set(np.flatnonzero(np.isfinite(change(uniform_log_probs(model), past(*ids))[0])).tolist())

    assert word in possible(NO_TOKEN, word)
    assert spelling.word_end not in possible(word)
    assert spelling.word_end not in possible()
    assert spelling.word_end in possible(word, a)
    assert word not in possible(word, a)
    assert possible(a, e2) == possible(a, e2, x82) == {model.vocabulary.id_of(byte) for byte in BYTES[0x80:0xC0]}
    assert word in possible(a, spelling.word_end)


def test_max_copy_counts_spelled_words_as_one(model: TrainedModel, spelling: SpellingIds):
    queries: list[list[int]] = []

    def followers(tokens) -> np.ndarray:
        queries.append(list(tokens))
        return np.array([END])

    a, end, word = model.vocabulary.id_of(BYTES[0x61]), spelling.word_end, 261
    change = partial(forbid_copies, most=3, followers=followers, spelling=spelling)
    assert np.isfinite(change(uniform_log_probs(model), past(word, a, a, end, word, a))).all()  # no query within a word
    changed = change(uniform_log_probs(model), past(word, word, a, a, end, word))
    assert queries == [[word, a, a, end, word]]
    assert changed[0, END] == -np.inf
    change(uniform_log_probs(model), past(a, a, end, word))
    assert len(queries) == 1  # no query for two words


def lengths_of_copies(model: TrainedModel, text: Text) -> list[int]:
    """Return the number of words and punctuation marks of each copy."""
    tokenize = tokenizer_named("english").tokenize
    return [len(tokenize(copy.text)) for copy in model.copies(text)]


def test_max_copy_limits_matches_of_spelled_words(model: TrainedModel):
    free = model.generate("", count=6, length=200, random_seed=5)
    lengths = [length for text in free for length in lengths_of_copies(model, text)]
    assert min(lengths) >= 5  # fewer words are no copy, even if many tokens spell them
    assert max(lengths) > 12
    guarded = model.generate("", count=6, length=200, random_seed=5, max_copy=6)
    assert max(length for text in guarded for length in lengths_of_copies(model, text)) <= 6


def test_repeated_ngrams_count_spelled_words_as_one(model: TrainedModel, spelling: SpellingIds):
    a, b = (model.vocabulary.id_of(BYTES[byte]) for byte in (0x61, 0x62))
    end, word, other = spelling.word_end, 261, 262  # 261 and 262 are ids of whole words
    change = partial(forbid_repeated_ngrams, n=2, spelling=spelling)
    assert np.isfinite(change(uniform_log_probs(model), past(word, a, end, other, b))).all()  # within a word
    assert not np.isfinite(change(uniform_log_probs(model), past(word, a, end, other, word))[0, a])
    changed = change(uniform_log_probs(model), past(a, end, word, other, a, end))[0]
    assert np.flatnonzero(~np.isfinite(changed)).tolist() == [word]


def test_no_repeat_ngram_counts_spelled_words_as_one(model: TrainedModel, spelling: SpellingIds):
    word_count = 0
    for text in model.generate("", count=30, length=200, random_seed=4, no_repeat_ngram=3):
        ids = np.array([model.vocabulary.id_of(each) for each in text.tokens])
        ends = np.flatnonzero(~spelling.is_byte[ids]) + 1
        words = [tuple(word.tolist()) for word in np.split(ids, ends)[:-1]]
        triples = list(zip(words, words[1:], words[2:], strict=False))
        assert len(triples) == len(set(triples))
        word_count += len(words)
    assert word_count > 200


@pytest.mark.parametrize("options", [{"max_copy": 5}, {"no_repeat_ngram": 3}])
def test_long_text_is_not_divided_into_words_for_each_token(model: TrainedModel, options: dict[str, int]):
    spelled = model.read_seed("Xylophones glow, and frobs").ids
    changes = probability_changes(
        GenerationSettings(**options),  # pyright: ignore[reportArgumentType]
        TokenKinds(np.empty(0, np.bool_), NO_TOKEN, spelling=SpellingIds(model.vocabulary)),
        lambda tokens: np.array([END]),
    )
    tokens = past(*spelled * 20_000)
    began = time.process_time()
    for _ in range(30):
        changed_by(changes, uniform_log_probs(model), tokens)
    assert time.process_time() - began < 1.5  # dividing the whole text into words takes several seconds
