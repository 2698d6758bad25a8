"""Perplexity against an independent computation: NumPy's step, one token after another."""

from itertools import pairwise

import numpy as np
import pytest

from wordgen.evaluation.measurement import log_frequencies, perplexity_of, unigram_loss
from wordgen.evaluation.perplexity import Evaluator
from wordgen.generation.prediction import NumpyNetwork
from wordgen.model.architecture import Architecture, NetworkSettings
from wordgen.network.network import Network
from wordgen.network.replicas import alone
from wordgen.text.vocabulary import START

VOCABULARY = 30


def plain_perplexity(network: Network, ids: np.ndarray) -> float:
    twin = NumpyNetwork(network.architecture, network.to_weights())
    state, losses = twin.zero_state(1), []
    for this, following in pairwise(ids):
        state = twin.feed(np.array([this]), state)
        logits = twin.logits(state[-1][0])
        if following != START:
            row = logits[0].astype(np.float64)
            losses.append(np.log(np.exp(row).sum()) - row[following])
    return float(np.exp(np.mean(losses)))


@pytest.mark.parametrize("length", [2, 49, 50, 51, 52, 333])
def test_it_is_that_of_one_stream_with_nothing_left_out(length: int):
    network = Network(Architecture.of(NetworkSettings(layers=2, units=8), VOCABULARY), random_seed=1)
    ids = np.random.default_rng(length).integers(VOCABULARY, size=length).astype(np.uint8)
    ids[-1] = 5
    found = Evaluator(network, ids, alone()).perplexity()
    assert found == pytest.approx(plain_perplexity(network, ids), rel=1e-4)


def test_weights_that_are_not_the_networks_own_can_be_measured_apart():
    network, other = (
        Network(Architecture.of(NetworkSettings(layers=1, units=8), VOCABULARY), random_seed=seed) for seed in (1, 2)
    )
    ids = np.random.default_rng(1).integers(3, VOCABULARY, size=200).astype(np.uint8)
    before = network.to_weights()
    found = Evaluator(network, ids, alone(), apart=True).perplexity(other.to_weights())
    assert found == pytest.approx(plain_perplexity(other, ids), rel=1e-4)
    assert found != pytest.approx(plain_perplexity(network, ids), rel=1e-4)
    for name, weight in network.to_weights().items():
        np.testing.assert_array_equal(weight, before[name])


def test_it_can_be_broken_off():
    network = Network(Architecture.of(NetworkSettings(layers=1, units=8), VOCABULARY))
    evaluator = Evaluator(network, np.arange(3, 20, dtype=np.uint8), alone())
    assert evaluator.perplexity(keep_on=lambda: False) is None


def test_it_tells_of_each_batch():
    network = Network(Architecture.of(NetworkSettings(layers=1, units=8), VOCABULARY))
    evaluator = Evaluator(network, np.tile(np.arange(3, 20, dtype=np.uint8), 100), alone())
    told: list[int] = []
    evaluator.perplexity(tell=told.append)
    assert len(told) > 1
    assert told == list(range(1, evaluator.batches + 1))


def test_a_network_that_knows_nothing_is_as_perplexed_as_the_vocabulary_is_large():
    network = Network(Architecture.of(NetworkSettings(layers=1, units=8), VOCABULARY))
    network.set_weights_by_name(
        {name: np.zeros(shape, np.float32) for name, shape in network.architecture.weight_shapes().items()}
    )
    assert Evaluator(network, np.arange(3, 20, dtype=np.uint8), alone()).perplexity() == pytest.approx(
        VOCABULARY, rel=1e-5
    )


def test_the_first_bias_alone_is_as_good_as_word_frequencies():
    ids = np.random.default_rng(1).zipf(1.5, size=500).clip(max=27).astype(np.uint8) + 2
    network = Network(Architecture.of(NetworkSettings(layers=1, units=8), VOCABULARY))
    zeros = {name: np.zeros(shape, np.float32) for name, shape in network.architecture.weight_shapes().items()}
    network.set_weights_by_name({**zeros, "output/bias": log_frequencies(ids, VOCABULARY)})
    counted = unigram_loss(ids, ids, VOCABULARY).perplexity
    assert Evaluator(network, ids, alone()).perplexity() == pytest.approx(counted, rel=3e-3)  # START is one of 530 here


def test_unigram_by_hand():
    # Counts with one added: UNKNOWN 1, END 2, a 3, b 2; START is no target: of 8 in all.
    train = np.array([START, 3, 3, 4, 2], np.uint8)
    split = np.array([START, 3, 4, 2, START], np.uint8)
    expected = ((3 / 8) * (2 / 8) * (2 / 8)) ** (-1 / 3)
    assert unigram_loss(train, split, vocabulary_size=5).perplexity == pytest.approx(expected)


def test_beyond_all_numbers_is_infinite():
    assert perplexity_of(1e9) == float("inf")
    assert perplexity_of(0.0) == 1.0
