"""The perplexity of a split in TensorFlow, compared with a plain loop over its tokens in NumPy."""

from itertools import pairwise

import numpy as np
import pytest

from wordgen.evaluation.measurement import log_frequencies, perplexity_of, unigram_loss
from wordgen.evaluation.perplexity import Evaluator
from wordgen.generation.prediction import NumpyNetwork
from wordgen.model.architecture import Architecture, NetworkSettings
from wordgen.network.network import Network
from wordgen.network.replicas import single_replica
from wordgen.text.vocabulary import START

VOCABULARY = 30


def naive_perplexity(network: Network, ids: np.ndarray) -> float:
    numpy_network = NumpyNetwork(network.architecture, network.to_weights())
    state, losses = numpy_network.zero_state(1), []
    for token, target in pairwise(ids):
        state = numpy_network.feed(np.array([token]), state)
        if target != START:
            logits = numpy_network.logits(state[-1][0])[0].astype(np.float64)
            losses.append(np.log(np.exp(logits).sum()) - logits[target])
    return float(np.exp(np.mean(losses)))


@pytest.mark.parametrize("length", [2, 50, 51, 52, 333])
def test_perplexity_equals_naive_loop_over_all_tokens(length: int):
    network = Network(Architecture.of(NetworkSettings(layers=2, units=8), VOCABULARY), random_seed=1)
    ids = np.random.default_rng(length).integers(VOCABULARY, size=length).astype(np.uint8)
    ids[-1] = 5
    perplexity = Evaluator(network, ids, single_replica()).perplexity()
    assert perplexity == pytest.approx(naive_perplexity(network, ids), rel=1e-4)


def test_other_weights_are_measured_without_changing_network():
    network, other = (
        Network(Architecture.of(NetworkSettings(layers=1, units=8), VOCABULARY), random_seed=seed) for seed in (1, 2)
    )
    ids = np.random.default_rng(1).integers(3, VOCABULARY, size=200).astype(np.uint8)
    before = network.to_weights()
    perplexity = Evaluator(network, ids, single_replica(), separate_weights=True).perplexity(other.to_weights())
    assert perplexity == pytest.approx(naive_perplexity(other, ids), rel=1e-4)
    assert perplexity != pytest.approx(naive_perplexity(network, ids), rel=1e-4)
    for name, weight in network.to_weights().items():
        np.testing.assert_array_equal(weight, before[name])


def test_evaluator_reports_each_batch_and_can_stop():
    network = Network(Architecture.of(NetworkSettings(layers=1, units=8), VOCABULARY))
    evaluator = Evaluator(network, np.tile(np.arange(3, 20, dtype=np.uint8), 100), single_replica())
    reported: list[int] = []
    evaluator.perplexity(on_progress=reported.append)
    assert len(reported) > 1
    assert reported == list(range(1, evaluator.batches + 1))
    assert evaluator.perplexity(should_continue=lambda: False) is None


def test_perplexity_with_zero_weights_is_vocabulary_size():
    network = Network(Architecture.of(NetworkSettings(layers=1, units=8), VOCABULARY))
    network.set_weights_by_name(
        {name: np.zeros(shape, np.float32) for name, shape in network.architecture.weight_shapes().items()}
    )
    assert Evaluator(network, np.arange(3, 20, dtype=np.uint8), single_replica()).perplexity() == pytest.approx(
        VOCABULARY, rel=1e-5
    )


def test_initial_bias_alone_equals_word_frequencies():
    ids = np.random.default_rng(1).zipf(1.5, size=500).clip(max=27).astype(np.uint8) + 2
    network = Network(Architecture.of(NetworkSettings(layers=1, units=8), VOCABULARY))
    zeros = {name: np.zeros(shape, np.float32) for name, shape in network.architecture.weight_shapes().items()}
    network.set_weights_by_name({**zeros, "output/bias": log_frequencies(ids, VOCABULARY)})
    counted = unigram_loss(ids, ids, VOCABULARY).perplexity
    assert Evaluator(network, ids, single_replica()).perplexity() == pytest.approx(counted, rel=3e-3)  # START has 1/530


def test_unigram_loss_matches_hand_calculation():
    # Counts plus 1: UNKNOWN 1, END 2, a 3, b 2, together 8. START is no target.
    train = np.array([START, 3, 3, 4, 2], np.uint8)
    split = np.array([START, 3, 4, 2, START], np.uint8)
    expected = ((3 / 8) * (2 / 8) * (2 / 8)) ** (-1 / 3)
    assert unigram_loss(train, split, vocabulary_size=5).perplexity == pytest.approx(expected)


def test_perplexity_overflow_is_infinite():
    assert perplexity_of(1e9) == float("inf")
    assert perplexity_of(0.0) == 1.0
