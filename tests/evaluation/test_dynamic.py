"""Measuring a network that goes on learning: nothing is learned before it is predicted."""

import numpy as np
import pytest

from tests.evaluation.test_stream import VOCABULARY, networks, text_of
from wordgen.evaluation.dynamic import _PIECE, LearningNetwork, best_rate, dynamic_loss
from wordgen.evaluation.stream import network_loss
from wordgen.text.vocabulary import START


def learning(rate: float) -> LearningNetwork:
    keras, _ = networks("lstm", tied=True)
    return LearningNetwork(keras.architecture, keras.to_weights(), rate)


@pytest.mark.parametrize("length", [2, 20, 21, 22, 333])
def test_one_that_learns_nothing_is_measured_as_ever(length: int):
    _, numpy = networks("lstm", tied=True)
    loss = dynamic_loss(learning(0.0), text_of(length))
    assert loss.symbols == (text_of(length)[1:] != START).sum()
    assert loss.perplexity == pytest.approx(network_loss(numpy, text_of(length)).perplexity, rel=1e-5)


def test_a_text_that_repeats_itself_is_learned_on_the_way():
    ids = np.tile(text_of(30), 40)
    assert dynamic_loss(learning(1.0), ids).perplexity < 0.5 * dynamic_loss(learning(0.0), ids).perplexity


def test_what_comes_later_changes_nothing_of_what_was_predicted_before():
    """Whatever comes last, the loss before it is the same, so the odds of all last symbols sum to one but for START's.

    Had a symbol any part in its own prediction, they would sum to more.
    """
    first = text_of(1 + 2 * _PIECE)
    lost = dynamic_loss(learning(1.0), first).nats
    ends = [each for each in range(VOCABULARY) if each != START]
    texts = [np.append(first, np.uint8(end)) for end in ends]
    odds = np.exp([lost - dynamic_loss(learning(1.0), text).nats for text in texts])
    assert 0.9 < odds.sum() < 1
    assert len(set(odds.tolist())) == len(ends)


def test_the_best_rate_learns_where_there_is_something_to_learn():
    assert best_rate(learning(0.0), np.tile(text_of(30), 40)) > 0.1


def test_where_learning_is_in_vain_nothing_is_learned():
    """Each symbol as likely as all others, and the network knows that: all that it could learn is noise."""
    keras, _ = networks("lstm", tied=False)
    weights = {name: np.zeros_like(weight) for name, weight in keras.to_weights().items()}
    weights["output/bias"][: START + 1] = -30  # those that never come
    ids = np.random.default_rng(1).integers(START + 1, 30, 3000).astype(np.uint8)
    assert best_rate(LearningNetwork(keras.architecture, weights), ids) == 0
