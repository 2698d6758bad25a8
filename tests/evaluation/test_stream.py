"""NumPy's loss of a whole text is that of training's validation, to float precision."""

from itertools import pairwise

import numpy as np
import pytest

from wordgen.architecture import Architecture, Cell, NetworkSettings
from wordgen.evaluation.measures import Loss, streams_for
from wordgen.evaluation.perplexity import Evaluator
from wordgen.evaluation.stream import network_loss, predictions
from wordgen.generation.step import NumpyNetwork
from wordgen.model.network import Network
from wordgen.model.replicas import alone
from wordgen.text.vocabulary import START

VOCABULARY = 30


def networks(cell: Cell, *, tied: bool) -> tuple[Network, NumpyNetwork]:
    settings = NetworkSettings(layers=2, units=12, cell=cell, tied=tied)
    keras = Network(Architecture.of(settings, VOCABULARY), random_seed=1)
    return keras, NumpyNetwork(keras.architecture, keras.to_weights())


def text_of(length: int) -> np.ndarray:
    ids = np.random.default_rng(length).integers(VOCABULARY, size=length).astype(np.uint8)
    ids[-1] = 5
    return ids


@pytest.mark.parametrize("length", [2, 50, 129, 2345, 16_789])
@pytest.mark.parametrize(("cell", "tied"), [("lstm", False), ("lstm", True), ("gru", False), ("rnn", False)])
def test_it_is_that_of_tensorflow(cell: Cell, tied: bool, length: int):
    keras, numpy = networks(cell, tied=tied)
    ids = text_of(length)
    assert network_loss(numpy, ids).perplexity == pytest.approx(Evaluator(keras, ids, alone()).perplexity(), rel=2e-6)


def test_a_long_text_read_from_several_places_is_that_of_one_stream_but_for_the_cold_starts():
    _, network = networks("lstm", tied=False)
    ids = text_of(5000)
    ids[ids == START] = 5
    assert streams_for(len(ids)) == 5
    one = Loss(-sum(float(each.log_odds.sum()) for each in predictions(network, ids, 1)), len(ids) - 1)
    several = network_loss(network, ids)
    assert several.symbols == one.symbols
    assert abs(several.nats - one.nats) < 5
    assert several.nats != one.nats


def test_it_is_the_sum_over_one_stream_worked_out_one_by_one():
    _, network = networks("lstm", tied=False)
    ids = text_of(400)
    carry, nats = network.zero_carry(1), 0.0
    for this, following in pairwise(ids):
        carry = network.feed(np.array([this]), carry)
        odds = np.exp(network.logits(carry[-1][0])[0].astype(np.float64))
        if following != START:
            nats -= np.log(odds[following] / odds.sum())
    loss = network_loss(network, ids)
    assert loss.symbols == (ids[1:] != START).sum()
    assert loss.nats == pytest.approx(nats, rel=1e-6)


def test_it_tells_how_far_it_is_up_to_the_last_symbol():
    _, network = networks("lstm", tied=False)
    told: list[tuple[int, int]] = []
    loss = network_loss(network, text_of(5000), lambda done, symbols: told.append((done, symbols)))
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1] == (loss.symbols, loss.symbols)


def test_bits_are_shared_by_all_characters():
    assert Loss(nats=float(np.log(2)) * 30, symbols=10).bits_per(60) == pytest.approx(0.5)
    assert Loss(nats=float(np.log(2)) * 30, symbols=10).perplexity == pytest.approx(8)
