"""How likely a text is: the probabilities that writing told, the words that are not known, the sentences."""

import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from wordgen.api import load
from wordgen.errors import SettingError
from wordgen.generation.copies import COPY_INDEX
from wordgen.generation.ngrams import NgramModel
from wordgen.generation.settings import Stop
from wordgen.generation.trained import TrainedModel
from wordgen.text.vocabulary import START


@pytest.mark.parametrize(("stop", "mix"), [("none", 0.0), ("end", 0.0), ("none", 0.4), ("end", 0.8)])
def test_a_score_gives_the_probabilities_that_writing_told(overfitted: TrainedModel, stop: Stop, mix: float):
    alike = 0
    written = overfitted.generate("The caster", count=12, length=30, random_seed=6, temperature=1.0, stop=stop, mix=mix)
    for text in written:
        scored = overfitted.score(text.text, mix=mix).tokens
        before = len(overfitted.read_seed("The caster").ids)
        if [each.token for each in scored[before:]] != list(text.tokens):
            continue  # what was written would be cut into other tokens
        alike += 1
        np.testing.assert_allclose(
            [each.log_probability for each in scored[before:]], text.log_probabilities, atol=1e-4
        )
    assert alike >= 6


def test_a_score_names_unknown_words_and_counts_them(model: TrainedModel):
    score = model.score("The frobnicator casts a light. The caster sleeps!")
    assert [(each.token, each.known) for each in score.tokens[:2]] == [("The", True), ("frobnicator", False)]
    assert [sentence.text for sentence in score.sentences] == ["The frobnicator casts a light.", "The caster sleeps!"]
    total = sum(each.log_probability for each in score.tokens)
    assert score.perplexity == pytest.approx(math.exp(-total / len(score.tokens)))
    assert score.tokens[0].surprisal == pytest.approx(-score.tokens[0].log_probability / math.log(2))


def test_a_long_text_is_scored_as_its_parts_are(model: TrainedModel):
    text = " ".join(["The caster touches a creature."] * 60)
    long = [each.log_probability for each in model.score(text).tokens]
    assert len(long) == 360
    short = [each.log_probability for each in model.score(" ".join(text.split()[:20])).tokens]
    np.testing.assert_allclose(long[: len(short)], short, atol=1e-4)


def test_a_mixture_has_its_share_of_each_probability(model: TrainedModel):
    text = "The caster touches a creature. A light shines, and the frobnicator sleeps."
    plain, counted, mixed = (
        np.array([each.log_probability for each in model.score(text, mix=mix).tokens]) for mix in (0.0, 1.0, 0.3)
    )
    np.testing.assert_allclose(mixed, np.logaddexp(np.log(0.7) + plain, np.log(0.3) + counted), atol=1e-5)
    ngram = NgramModel(np.array(model.copy_index.ids, np.int64), len(model.vocabulary))
    ids = np.array([START, *(model.vocabulary.id_of(each.token) for each in model.score(text).tokens)])
    np.testing.assert_allclose(counted, ngram.log_probs(ids), atol=1e-5)
    assert abs(plain - counted).max() > 0.1


def test_a_mixture_needs_the_training_text(model: TrainedModel, tmp_path: Path):
    assert model.folder is not None
    shutil.copytree(model.folder, tmp_path / "alone", ignore=shutil.ignore_patterns(COPY_INDEX))
    alone = load(tmp_path / "alone")
    sentence = "this model has no copy index: leave out mix, or train without copy_index=False"
    with pytest.raises(SettingError, match=re.escape(sentence)):
        alone.score("The caster", mix=0.2)
    with pytest.raises(SettingError, match=re.escape(sentence)):
        alone.generate("The caster", mix=0.2)
    with pytest.raises(SettingError, match="mix must be"):
        alone.score("The caster", mix=1.5)


def test_nothing_has_no_score(model: TrainedModel):
    assert model.score("").sentences == ()
    assert model.score("").perplexity == 1
