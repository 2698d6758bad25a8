"""How likely a text is: the odds that writing told, the words that are not known, the sentences."""

import math

import numpy as np
import pytest

from wordgen.generation.settings import Stop
from wordgen.generation.trained import TrainedModel


@pytest.mark.parametrize("stop", ["none", "end"])
def test_a_score_gives_the_odds_that_writing_told(overfitted: TrainedModel, stop: Stop):
    alike = 0
    for text in overfitted.generate("The caster", count=12, length=30, random_seed=6, temperature=1.0, stop=stop):
        scored = overfitted.score(text.text).symbols
        before = len(overfitted.read_seed("The caster").ids)
        if [each.symbol for each in scored[before:]] != list(text.symbols):
            continue  # what was written would be cut into other symbols
        alike += 1
        np.testing.assert_allclose(
            [each.log_probability for each in scored[before:]], text.log_probabilities, atol=1e-4
        )
    assert alike >= 6


def test_a_score_names_unknown_words_and_counts_them(model: TrainedModel):
    score = model.score("The frobnicator casts a light. The caster sleeps!")
    assert [(each.symbol, each.known) for each in score.symbols[:2]] == [("The", True), ("frobnicator", False)]
    assert [sentence.text for sentence in score.sentences] == ["The frobnicator casts a light.", "The caster sleeps!"]
    total = sum(each.log_probability for each in score.symbols)
    assert score.perplexity == pytest.approx(math.exp(-total / len(score.symbols)))
    assert score.symbols[0].surprisal == pytest.approx(-score.symbols[0].log_probability / math.log(2))


def test_a_long_text_is_scored_as_its_parts_are(model: TrainedModel):
    text = " ".join(["The caster touches a creature."] * 60)
    long = [each.log_probability for each in model.score(text).symbols]
    assert len(long) == 360
    short = [each.log_probability for each in model.score(" ".join(text.split()[:20])).symbols]
    np.testing.assert_allclose(long[: len(short)], short, atol=1e-4)


def test_nothing_has_no_score(model: TrainedModel):
    assert model.score("").sentences == ()
    assert model.score("").perplexity == 1
