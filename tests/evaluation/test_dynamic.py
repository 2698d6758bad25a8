"""Measuring a network that goes on learning: nothing is learned before it is predicted."""

import numpy as np
import pytest

from tests.helpers.networks import networks, text_of
from wordgen.evaluation.perplexity import _PIECE, DynamicEvaluator
from wordgen.evaluation.text_loss import network_loss
from wordgen.model.architecture import Architecture, NetworkSettings
from wordgen.network.network import Network
from wordgen.text.vocabulary import START


def evaluator(*, tied: bool = True) -> DynamicEvaluator:
    keras, _ = networks("lstm", tied=tied)
    return DynamicEvaluator(keras.architecture, keras.to_weights())


@pytest.mark.parametrize("length", [2, 21, 22, 333])
def test_one_that_learns_nothing_is_measured_as_ever(length: int):
    _, numpy = networks("lstm", tied=True)
    loss = evaluator().loss(text_of(length), 0.0)
    assert loss.tokens == (text_of(length)[1:] != START).sum()
    assert loss.perplexity == pytest.approx(network_loss(numpy, text_of(length)).perplexity, rel=1e-5)


def test_a_text_that_repeats_itself_is_learned_on_the_way_each_time_from_the_trained_weights():
    ids, measured = np.tile(text_of(30), 40), evaluator()
    still, learning, again, still_again = (measured.loss(ids, rate).perplexity for rate in (0.0, 1.0, 1.0, 0.0))
    assert learning < 0.5 * still
    assert (again, still_again) == (learning, still)


def test_all_rates_share_one_graph():
    measured = evaluator()
    for rate in (0.0, 0.1, 1.0):
        measured.loss(text_of(21), rate)
    assert measured._step.experimental_get_tracing_count() == 1


def test_what_comes_later_changes_nothing_of_what_was_predicted_before():
    """The probabilities of all last tokens sum to one, since the loss before the last token is the same.

    Had a token any part in its own prediction, they would sum to more. The network knows few tokens, since each text
    takes time, and START never comes.
    """
    small = Network(Architecture.of(NetworkSettings(layers=1, units=8, cell="rnn"), 6), random_seed=1)
    weights = {name: weight.copy() for name, weight in small.to_weights().items()}
    weights["output/bias"][START] = -30
    measured = DynamicEvaluator(small.architecture, weights)

    def nats(ids: np.ndarray) -> float:
        return measured.loss(ids, 1.0).nats

    ends = np.array([each for each in range(6) if each != START], np.uint8)
    first = np.random.default_rng(1).choice(ends, 1 + 2 * _PIECE)
    lost = nats(first)
    probs = np.exp([lost - nats(np.append(first, end)) for end in ends])
    assert probs.sum() == pytest.approx(1, abs=1e-3)
    assert len(set(probs.tolist())) == len(ends)


def test_the_best_rate_learns_where_there_is_something_to_learn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wordgen.evaluation.perplexity._RATES", (0.03, 0.3))
    assert evaluator().best_rate(np.tile(text_of(30), 40)) == 0.3


def test_where_learning_is_in_vain_nothing_is_learned():
    """Each token as likely as all others, and the network knows that: all that it could learn is noise."""
    keras, _ = networks("lstm", tied=False)
    weights = {name: np.zeros_like(weight) for name, weight in keras.to_weights().items()}
    weights["output/bias"][: START + 1] = -30  # those that never come
    ids = np.random.default_rng(1).integers(START + 1, 30, 3000).astype(np.uint8)
    assert DynamicEvaluator(keras.architecture, weights).best_rate(ids) == 0
