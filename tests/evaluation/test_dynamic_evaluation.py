"""Dynamic evaluation: the network trains on each piece of a text only after it has predicted it."""

import numpy as np
import pytest

from tests.helpers.networks import make_networks, random_ids
from wordgen.evaluation.perplexity import _PIECE_LENGTH, DynamicEvaluator
from wordgen.evaluation.text_loss import network_loss
from wordgen.model.architecture import Architecture, NetworkSettings
from wordgen.network.network import Network
from wordgen.text.vocabulary import START


@pytest.fixture(scope="module")
def evaluator() -> DynamicEvaluator:
    network, _ = make_networks("lstm", tied=True)
    return DynamicEvaluator(network.architecture, network.to_weights())


@pytest.mark.parametrize("length", [2, 21, 22, 333])
def test_rate_zero_equals_static_evaluation(evaluator: DynamicEvaluator, length: int):
    _, numpy_network = make_networks("lstm", tied=True)
    ids = random_ids(length)
    loss = evaluator.loss(ids, 0.0)
    assert loss.tokens == (ids[1:] != START).sum()
    assert loss.perplexity == pytest.approx(network_loss(numpy_network, ids).perplexity, rel=1e-5)


def test_each_measurement_learns_from_the_trained_weights(evaluator: DynamicEvaluator):
    ids = np.tile(random_ids(30), 40)
    static, dynamic, dynamic_2, static_2 = (evaluator.loss(ids, rate).perplexity for rate in (0.0, 1.0, 1.0, 0.0))
    assert dynamic < 0.5 * static
    assert (dynamic_2, static_2) == (dynamic, static)


def test_all_rates_share_one_graph(evaluator: DynamicEvaluator):
    for rate in (0.0, 0.1, 1.0):
        evaluator.loss(random_ids(21), rate)
    assert evaluator._step.experimental_get_tracing_count() == 1


def test_tokens_are_predicted_before_training_on_them():
    """The probabilities of all possible last tokens sum to 1. They would sum to more if it trained on a token first.

    The vocabulary is small, because each last token takes a whole text. START has almost no probability.
    """
    small = Network(Architecture.of(NetworkSettings(layers=1, units=8, cell="rnn"), 6), random_seed=1)
    weights = {name: weight.copy() for name, weight in small.to_weights().items()}
    weights["output/bias"][START] = -30
    evaluator = DynamicEvaluator(small.architecture, weights)

    def nats(ids: np.ndarray) -> float:
        return evaluator.loss(ids, 1.0).nats

    tokens = np.array([token for token in range(6) if token != START], np.uint8)
    ids = np.random.default_rng(1).choice(tokens, 1 + 2 * _PIECE_LENGTH)
    before = nats(ids)
    probs = np.exp([before - nats(np.append(ids, last)) for last in tokens])
    assert probs.sum() == pytest.approx(1, abs=1e-3)
    assert len(set(probs.tolist())) == len(tokens)


def test_best_rate_of_repetitive_text_is_above_zero(evaluator: DynamicEvaluator, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wordgen.evaluation.perplexity._RATES", (0.03, 0.3))
    assert evaluator.best_rate(np.tile(random_ids(30), 40)) == 0.3


def test_best_rate_of_random_text_is_zero():
    """The network knows that all tokens are equally probable: it could only learn noise."""
    network, _ = make_networks("lstm", tied=False)
    weights = {name: np.zeros_like(weight) for name, weight in network.to_weights().items()}
    weights["output/bias"][: START + 1] = -30  # the text has neither UNKNOWN nor START
    ids = np.random.default_rng(1).integers(START + 1, 30, 3000).astype(np.uint8)
    assert DynamicEvaluator(network.architecture, weights).best_rate(ids) == 0
