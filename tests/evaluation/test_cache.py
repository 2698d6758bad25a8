"""The continuous cache against the formula of its paper, worked out token by token."""

import math
from itertools import pairwise

import numpy as np
import pytest

from tests.helpers.networks import VOCABULARY, networks, text_of
from wordgen.evaluation.stream import Cache, best_cache, cache_loss, network_loss
from wordgen.generation.numpy_network import NumpyNetwork
from wordgen.text.vocabulary import START


def plain_nats(network: NumpyNetwork, ids: np.ndarray, cache: Cache) -> float:
    state, nats = network.zero_state(1), 0.0
    remembered: list[tuple[np.ndarray, int]] = []
    for this, following in pairwise(ids.tolist()):
        state = network.feed(np.array([this]), state)
        if following == START:
            continue
        hidden = state[-1][0][0].astype(np.float64)
        logits = network.logits(state[-1][0])[0].astype(np.float64)
        probs = math.exp(logits[following]) / np.exp(logits).sum()
        kept = remembered[-cache.size :]
        if kept:
            counts = [math.exp(cache.flatness * float(hidden @ then)) for then, _ in kept]
            given = sum(count for count, (_, word) in zip(counts, kept, strict=True) if word == following)
            probs = (1 - cache.weight) * probs + cache.weight * given / sum(counts)
        nats -= math.log(probs)
        remembered.append((hidden, following))
    return nats


@pytest.mark.parametrize("length", [2, 3, 100, 700])
@pytest.mark.parametrize(
    "cache", [Cache(1, 1.0, 0.1), Cache(37, 0.0, 0.3), Cache(150, 2.5, 0.2), Cache(10_000, 0.7, 0.1)]
)
def test_it_is_the_formula(cache: Cache, length: int):
    _, network = networks("lstm", tied=True)
    ids = text_of(length)
    found = cache_loss(network, ids, cache)
    assert found.tokens == (ids[1:] != START).sum()
    assert found.nats == pytest.approx(plain_nats(network, ids, cache), rel=1e-5)


def test_probabilities_with_a_cache_sum_to_one():
    """The last token of a text, whichever it is."""
    _, network = networks("gru", tied=False)
    ids, cache = text_of(60), Cache(40, 1.0, 0.4)
    sums = 0.0
    before = cache_loss(network, ids[:-1], cache).nats
    for last in range(VOCABULARY):
        if last != START:
            sums += math.exp(before - cache_loss(network, np.append(ids[:-1], np.uint8(last)), cache).nats)
    state = network.zero_state(1)
    for each in ids[:-1]:
        state = network.feed(np.array([each]), state)
    probs = np.exp(network.logits(state[-1][0])[0].astype(np.float64))
    assert sums == pytest.approx(1 - (1 - cache.weight) * probs[START] / probs.sum(), rel=1e-5)


def test_a_text_that_repeats_itself_is_less_surprising_with_a_cache():
    _, network = networks("lstm", tied=False)
    ids = np.tile(text_of(40), 20)
    cache = best_cache(network, ids, 200)
    assert cache.size == 200
    assert cache.weight == 0.4  # the most that is tried, for memory is all that helps here
    # A network that never learned tells places apart only a little, and still:
    assert cache_loss(network, ids, cache).perplexity < 0.7 * network_loss(network, ids).perplexity


def test_the_best_cache_is_no_worse_than_others():
    _, network = networks("lstm", tied=False)
    ids = text_of(500)
    best = cache_loss(network, ids, best_cache(network, ids, 50)).nats
    for flatness in (0.0, 0.5, 2.0):
        for weight in (0.02, 0.2):
            assert best <= cache_loss(network, ids, Cache(50, flatness, weight)).nats + 1e-6


def test_it_tells_how_far_it_is():
    _, network = networks("rnn", tied=False)
    told: list[tuple[int, int]] = []
    loss = cache_loss(network, text_of(600), Cache(50, 1.0, 0.1), lambda done, tokens: told.append((done, tokens)))
    assert told[-1] == (loss.tokens, loss.tokens)
    assert len(told) > 3
