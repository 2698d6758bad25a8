"""NumPy's loss of a whole text is that of training's validation, to float precision."""

from itertools import pairwise

import numpy as np
import pytest

from tests.helpers.networks import networks, text_of
from wordgen.evaluation.measures import Loss, streams_for
from wordgen.evaluation.perplexity import Evaluator
from wordgen.evaluation.stream import network_loss, predictions
from wordgen.model.architecture import Cell
from wordgen.network.replicas import alone
from wordgen.text.vocabulary import START


@pytest.mark.parametrize(
    ("cell", "tied", "length"),
    [
        *(("lstm", False, length) for length in (2, 50, 129, 2345, 16_789)),
        ("lstm", True, 2345),
        ("gru", False, 2345),
        ("rnn", False, 2345),
    ],
)
def test_it_is_that_of_tensorflow(cell: Cell, tied: bool, length: int):
    keras, numpy = networks(cell, tied=tied)
    ids = text_of(length)
    assert network_loss(numpy, ids).perplexity == pytest.approx(Evaluator(keras, ids, alone()).perplexity(), rel=2e-6)


def test_a_long_text_read_from_several_places_is_that_of_one_stream_but_for_the_cold_starts():
    _, network = networks("lstm", tied=False)
    ids = text_of(5000)
    ids[ids == START] = 5
    assert streams_for(len(ids)) == 5
    one = Loss(-sum(float(each.log_probs.sum()) for each in predictions(network, ids, 1)), len(ids) - 1)
    several = network_loss(network, ids)
    assert several.tokens == one.tokens
    assert abs(several.nats - one.nats) < 5
    assert several.nats != one.nats


def test_it_is_the_sum_over_one_stream_worked_out_one_by_one():
    _, network = networks("lstm", tied=False)
    ids = text_of(400)
    state, nats = network.zero_state(1), 0.0
    for this, following in pairwise(ids):
        state = network.feed(np.array([this]), state)
        probs = np.exp(network.logits(state[-1][0])[0].astype(np.float64))
        if following != START:
            nats -= np.log(probs[following] / probs.sum())
    loss = network_loss(network, ids)
    assert loss.tokens == (ids[1:] != START).sum()
    assert loss.nats == pytest.approx(nats, rel=1e-6)


def test_it_tells_how_far_it_is_up_to_the_last_token():
    _, network = networks("lstm", tied=False)
    told: list[tuple[int, int]] = []
    loss = network_loss(network, text_of(5000), lambda done, tokens: told.append((done, tokens)))
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1] == (loss.tokens, loss.tokens)


def test_if_tokens_are_characters_nats_bits_and_perplexity_are_one_figure():
    """There are as many tokens as characters: the mean loss, the same in bits, and e to the power of it."""
    loss = Loss.of(np.full(60, 1.3, np.float32), np.arange(3, 64))
    assert loss.nats_per(60) == pytest.approx(1.3)
    assert loss.bits_per(60) == pytest.approx(1.3 / np.log(2))
    assert loss.perplexity == pytest.approx(np.exp(loss.nats_per(60)))
    off, of_bits = loss.nats_off_per(60), loss.off_per(60)
    assert off is not None
    assert of_bits is not None
    assert off == pytest.approx(of_bits * np.log(2))
    assert loss.to_mapping(60)["nats_per_character"] == loss.nats_per(60)


def test_bits_are_shared_by_all_characters():
    assert Loss(nats=float(np.log(2)) * 30, tokens=10).bits_per(60) == pytest.approx(0.5)
    assert Loss(nats=float(np.log(2)) * 30, tokens=10).perplexity == pytest.approx(8)
