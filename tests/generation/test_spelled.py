"""A model that spells: it writes words that it does not know, and reads any text without UNKNOWN."""

import math
import re
from functools import partial

import numpy as np
import pytest

from tests.helpers.commands import ROOT, trained_on_few_lines
from wordgen.api import load
from wordgen.generation.sampling import (
    NO_TOKEN,
    Past,
    SpellingIds,
    forbid_bad_spelling,
    forbid_copies,
    forbid_repeated_words,
)
from wordgen.generation.texts import Text
from wordgen.generation.trained import TrainedModel
from wordgen.text.tokenizers import tokenizer_named
from wordgen.text.vocabulary import BYTES, END, UNKNOWN, WORD_END


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """Its vocabulary has so few words that most must be spelled."""
    options = "--unknown spell --vocab-size 320 --epochs 3 --learning-rate 0.004"
    room = trained_on_few_lines(tmp_path_factory.mktemp("spelling"), options)
    return load(room / "saved_models" / "few")


@pytest.fixture(scope="module")
def spelling(model: TrainedModel) -> SpellingIds:
    return SpellingIds(model.vocabulary)


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{3,}", text))


def test_words_outside_the_vocabulary_are_written_and_no_mark_is_seen(model: TrainedModel):
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
def test_a_streamed_text_is_the_written_one(model: TrainedModel, mode: str):
    settings = {"mode": mode, "length": 120, "random_seed": 3, "stop": "end"}
    (text,) = model.generate("The caster", **settings)  # pyright: ignore[reportArgumentType]
    assert "".join(model.stream("The caster", **settings)) == text.text  # pyright: ignore[reportArgumentType]


def test_no_word_of_a_seed_is_unknown(model: TrainedModel):
    seed = model.read_seed("Xylophones 夜の街 don't 👍🏽")
    assert seed.unknown == ()
    assert UNKNOWN not in seed.ids
    (text,) = model.generate("Xylophones 夜の街 don't 👍🏽", length=5, random_seed=1)
    assert text.text.startswith("Xylophones 夜の街 don't 👍🏽")


def test_a_spelled_word_is_scored_as_one(model: TrainedModel):
    score = model.score("The xylophone glows.")
    assert [each.piece.strip() for each in score.tokens] == ["The", "xylophone", "glows", "."]
    assert all(each.known for each in score.tokens)
    surprising = max(score.tokens, key=lambda each: each.surprisal)
    assert surprising.piece.strip() == "xylophone"
    assert math.isfinite(score.perplexity)


def test_next_words_are_whole_words(model: TrainedModel):
    words = model.next_words("The caster", 50)
    assert len(words) == 50
    assert not {word.token for word in words} & {*BYTES, WORD_END}


def test_a_typed_word_is_seen_by_the_model(model: TrainedModel):
    session = model.session("The caster")
    assert session.type("xylophones loudly") == ()
    assert session.text.endswith("xylophones loudly")
    assert len(session.ids) > 12


def probs(model: TrainedModel) -> np.ndarray:
    return np.zeros((1, len(model.vocabulary)), np.float32)


def past(*ids: int) -> Past:
    return Past(np.array([ids], np.intp), len(ids))


def test_within_a_word_only_what_may_follow_is_possible(model: TrainedModel, spelling: SpellingIds):
    change = partial(forbid_bad_spelling, spelling=spelling)
    a, e2, x82 = (model.vocabulary.id_of(BYTES[each]) for each in (0x61, 0xE2, 0x82))
    word = 261

    def possible(*ids: int) -> set[int]:
        return set(np.flatnonzero(np.isfinite(change(probs(model), past(*ids))[0])).tolist())

    assert word in possible(NO_TOKEN, word)
    assert spelling.word_end not in possible(word)
    assert spelling.word_end not in possible()
    assert spelling.word_end in possible(word, a)
    assert word not in possible(word, a)
    assert possible(a, e2) == possible(a, e2, x82) == {model.vocabulary.id_of(each) for each in BYTES[0x80:0xC0]}
    assert word in possible(a, spelling.word_end)


def test_a_copy_is_counted_in_words(model: TrainedModel, spelling: SpellingIds):
    asked: list[list[int]] = []

    def followers(tokens) -> np.ndarray:
        asked.append(list(tokens))
        return np.array([END])

    a, end, word = model.vocabulary.id_of(BYTES[0x61]), spelling.word_end, 261
    change = partial(forbid_copies, most=3, followers=followers, spelling=spelling)
    assert np.isfinite(change(probs(model), past(word, a, a, end, word, a))).all()  # within a word nothing is asked
    changed = change(probs(model), past(word, word, a, a, end, word))
    assert asked == [[word, a, a, end, word]]
    assert changed[0, END] == -np.inf
    change(probs(model), past(a, a, end, word))
    assert len(asked) == 1  # two words are too few


def words_of_copies(model: TrainedModel, text: Text) -> list[int]:
    """How many words each copy has, punctuation among them."""
    tokenize = tokenizer_named("english").tokenize
    return [len(tokenize(copy.text)) for copy in model.copies(text)]


def test_a_promise_to_copy_little_holds_with_spelled_words(model: TrainedModel):
    free = [n for text in model.generate("", count=6, length=200, random_seed=5) for n in words_of_copies(model, text)]
    assert min(free) >= 5  # a few words are no copy, however many tokens spell them
    assert max(free) > 12
    bound = model.generate("", count=6, length=200, random_seed=5, max_copy=6)
    assert max(n for text in bound for n in words_of_copies(model, text)) <= 6


def test_repeated_ngrams_are_counted_in_words(model: TrainedModel, spelling: SpellingIds):
    a, b = (model.vocabulary.id_of(BYTES[each]) for each in (0x61, 0x62))
    end, word, other = spelling.word_end, 261, 262
    change = partial(forbid_repeated_words, n=2, spelling=spelling)
    assert np.isfinite(change(probs(model), past(word, a, end, other, b))).all()  # a word that is begun may go on
    assert not np.isfinite(change(probs(model), past(word, a, end, other, word))[0, a])
    after = change(probs(model), past(a, end, word, other, a, end))[0]
    assert np.flatnonzero(~np.isfinite(after)).tolist() == [word]


def test_no_three_words_stand_twice(model: TrainedModel, spelling: SpellingIds):
    whole = 0
    for text in model.generate("", count=30, length=200, random_seed=4, no_repeat_ngram=3):
        words = spelling.words([model.vocabulary.id_of(each) for each in text.tokens]) or []
        triples = list(zip(words, words[1:], words[2:], strict=False))
        assert len(triples) == len(set(triples))
        whole += len(words)
    assert whole > 200
