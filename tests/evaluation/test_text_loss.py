"""The loss of a text in NumPy: equal to TensorFlow, with a cache, and mixed with an n-gram model."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.networks import VOCABULARY, make_networks, random_ids
from wordgen.evaluation.measurement import Cache, Loss, streams_for
from wordgen.evaluation.perplexity import Evaluator
from wordgen.evaluation.text_loss import (
    PairedLosses,
    PredictedText,
    best_cache,
    best_weight,
    cache_loss,
    cross_validate,
    mix_with_ngram,
    network_loss,
    network_nats,
    ngram_loss,
    predictions,
)
from wordgen.generation.prediction import NgramModel, NumpyNetwork
from wordgen.model.architecture import Cell
from wordgen.network.replicas import single_replica
from wordgen.text.vocabulary import END, START


@pytest.mark.parametrize(
    ("cell", "tied", "length"),
    [
        *(("lstm", False, length) for length in (2, 2345, 16_789)),
        ("lstm", True, 2345),
        ("gru", False, 2345),
        ("rnn", False, 2345),
    ],
)
def test_loss_equals_tensorflow(cell: Cell, tied: bool, length: int):
    keras_network, network = make_networks(cell, tied=tied)
    ids = random_ids(length)
    perplexity = Evaluator(keras_network, ids, single_replica()).perplexity()
    assert network_loss(network, ids).perplexity == pytest.approx(perplexity, rel=2e-6)


def test_loss_of_several_streams_differs_from_one_only_at_starts():
    _, network = make_networks("lstm", tied=False)
    ids = random_ids(5000)
    ids[ids == START] = 5
    assert streams_for(len(ids)) == 5
    one = Loss(-sum(float(part.log_probs.sum()) for part in predictions(network, ids, 1)), len(ids) - 1)
    several = network_loss(network, ids)
    assert several.tokens == one.tokens
    assert abs(several.nats - one.nats) < 5
    assert several.nats != one.nats


@pytest.mark.parametrize("length", [2, 50, 129, 400])
def test_loss_equals_naive_loop_over_all_tokens(length: int):
    _, network = make_networks("lstm", tied=False)
    ids = random_ids(length)
    state, nats = network.zero_state(1), 0.0
    for token, target in pairwise(ids):
        state = network.feed(np.array([token]), state)
        probs = np.exp(network.logits(state[-1][0])[0].astype(np.float64))
        if target != START:
            nats -= np.log(probs[target] / probs.sum())
    loss = network_loss(network, ids)
    assert loss.tokens == (ids[1:] != START).sum()
    assert loss.nats == pytest.approx(nats, rel=1e-6)


def test_loss_reports_progress_up_to_last_token():
    _, network = make_networks("lstm", tied=False)

    def reports_of(measure: Callable[..., Loss], *arguments: object) -> list[tuple[int, int]]:
        reports: list[tuple[int, int]] = []
        loss = measure(network, *arguments, lambda done, tokens: reports.append((done, tokens)))
        assert reports[-1] == (loss.tokens, loss.tokens)
        return reports

    reports = reports_of(network_loss, random_ids(5000))
    assert [done for done, _ in reports] == sorted({done for done, _ in reports})
    assert len(reports_of(cache_loss, random_ids(600), Cache(50, 1.0, 0.1))) > 3


def test_nats_bits_and_perplexity_of_characters_agree():
    """There are as many tokens as characters."""
    loss = Loss.of(np.full(60, 1.3, np.float32), np.arange(3, 64))
    assert loss.nats_per(60) == pytest.approx(1.3)
    assert loss.bits_per(60) == pytest.approx(1.3 / np.log(2))
    assert loss.perplexity == pytest.approx(np.exp(loss.nats_per(60)))
    nats_margin, bits_margin = loss.nats_margin_per(60), loss.margin_per(60)
    assert nats_margin is not None
    assert bits_margin is not None
    assert nats_margin == pytest.approx(bits_margin * np.log(2))
    assert loss.to_mapping(60)["nats_per_character"] == loss.nats_per(60)


def test_bits_per_character_divide_by_all_characters():
    assert Loss(nats=float(np.log(2)) * 30, tokens=10).bits_per(60) == pytest.approx(0.5)
    assert Loss(nats=float(np.log(2)) * 30, tokens=10).perplexity == pytest.approx(8)


def naive_nats(network: NumpyNetwork, ids: np.ndarray, cache: Cache) -> float:
    state, nats = network.zero_state(1), 0.0
    cached: list[tuple[np.ndarray, int]] = []  # hidden states and the tokens that followed
    for token, target in pairwise(ids.tolist()):
        state = network.feed(np.array([token]), state)
        if target == START:
            continue
        hidden = state[-1][0][0].astype(np.float64)
        logits = network.logits(state[-1][0])[0].astype(np.float64)
        prob = math.exp(logits[target]) / np.exp(logits).sum()
        newest = cached[-cache.size :]
        if newest:
            similarities = [math.exp(cache.flatness * float(hidden @ earlier)) for earlier, _ in newest]
            matching = sum(
                similarity for similarity, (_, token) in zip(similarities, newest, strict=True) if token == target
            )
            prob = (1 - cache.weight) * prob + cache.weight * matching / sum(similarities)
        nats -= math.log(prob)
        cached.append((hidden, target))
    return nats


@pytest.mark.parametrize("length", [2, 3, 100, 700])
@pytest.mark.parametrize(
    "cache", [Cache(1, 1.0, 0.1), Cache(37, 0.0, 0.3), Cache(150, 2.5, 0.2), Cache(10_000, 0.7, 0.1)]
)
def test_cache_loss_equals_naive_formula(cache: Cache, length: int):
    _, network = make_networks("lstm", tied=True)
    ids = random_ids(length)
    loss = cache_loss(network, ids, cache)
    assert loss.tokens == (ids[1:] != START).sum()
    assert loss.nats == pytest.approx(naive_nats(network, ids, cache), rel=1e-5)


def test_probabilities_with_a_cache_sum_to_one():
    _, network = make_networks("gru", tied=False)
    ids, cache = random_ids(60), Cache(40, 1.0, 0.4)
    sums = 0.0
    before = cache_loss(network, ids[:-1], cache).nats
    for last in range(VOCABULARY):
        if last != START:
            sums += math.exp(before - cache_loss(network, np.append(ids[:-1], np.uint8(last)), cache).nats)
    state = network.zero_state(1)
    for token in ids[:-1]:
        state = network.feed(np.array([token]), state)
    probs = np.exp(network.logits(state[-1][0])[0].astype(np.float64))
    assert sums == pytest.approx(1 - (1 - cache.weight) * probs[START] / probs.sum(), rel=1e-5)


def test_cache_lowers_perplexity_of_repetitive_text():
    _, network = make_networks("lstm", tied=False)
    ids = np.tile(random_ids(40), 20)
    cache = best_cache(network, ids, 200)
    assert cache.size == 200
    assert cache.weight == 0.4  # the largest weight that is tried
    # Even the hidden states of an untrained network differ enough.
    assert cache_loss(network, ids, cache).perplexity < 0.7 * network_loss(network, ids).perplexity


def test_best_cache_is_no_worse_than_others():
    _, network = make_networks("lstm", tied=False)
    ids = random_ids(500)
    best = cache_loss(network, ids, best_cache(network, ids, 50)).nats
    for flatness in (0.0, 0.5, 2.0):
        for weight in (0.02, 0.2):
            assert best <= cache_loss(network, ids, Cache(50, flatness, weight)).nats + 1e-6


WORD = 5
TOKEN_NATS = st.floats(0, 800)  # e to the power of -745 is the smallest float; smaller probabilities are 0
PAIRS = st.lists(st.tuples(TOKEN_NATS, TOKEN_NATS), min_size=1, max_size=60)


def both_nats_of(pairs: list[tuple[float, float]]) -> PairedLosses:
    network, ngram = np.array(pairs).T
    return PairedLosses(network, ngram)


def both_nats(network: NumpyNetwork, ngram: NgramModel, ids: np.ndarray) -> PairedLosses:
    return PairedLosses(network_nats(network, ids), -ngram.log_probs(ids))


def passages_of(number: int, words: int = 11) -> np.ndarray:
    return np.tile([START, *[WORD] * words, END], number)


@given(PAIRS)
def test_mixture_with_weight_0_or_1_is_one_model(pairs: list[tuple[float, float]]):
    both = both_nats_of(pairs)
    assert both.mixed(0.0).tolist() == both.network.tolist()
    assert both.mixed(1.0).tolist() == both.ngram.tolist()


@given(PAIRS, st.floats(0, 1))
def test_mixture_lies_between_both_models(pairs: list[tuple[float, float]], weight: float):
    both = both_nats_of(pairs)
    mixed, rounding = both.mixed(weight), 1e-12 * 800
    assert (mixed >= np.minimum(both.network, both.ngram) - rounding).all()
    assert (mixed <= np.maximum(both.network, both.ngram) + rounding).all()


@given(PAIRS)
def test_best_weight_is_no_worse_than_others(pairs: list[tuple[float, float]]):
    """Except for rounding: the logarithm of a probability of 1 may be a little above 0."""
    both = both_nats_of(pairs)
    least = both.mixed(best_weight(both)).sum()
    assert least <= both.network.sum()
    assert least <= both.ngram.sum()
    assert all(least <= both.mixed(each / 100).sum() * (1 + 1e-13) + 1e-13 for each in range(101))


def test_best_weight_is_share_of_tokens_from_ngram():
    """30 % of 20,000 tokens are drawn from the probabilities of the n-gram, the others from those of the network."""
    rng = np.random.default_rng(1)
    of_network, of_ngram = rng.dirichlet([0.3] * 50, size=2)
    tokens = np.where(rng.random(20_000) < 0.3, *(rng.choice(50, 20_000, p=p) for p in (of_ngram, of_network)))
    both = PairedLosses(-np.log(of_network[tokens]), -np.log(of_ngram[tokens]))
    assert best_weight(both) == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_probabilities_of_mixture_sum_to_one(weight: float):
    """The sum is over all possible last tokens of a text."""
    _, network = make_networks("lstm", tied=False)
    ngram, ids = NgramModel(random_ids(500), VOCABULARY), random_ids(60)
    texts = [np.append(ids, np.uint8(last)) for last in range(VOCABULARY) if last != START]
    sums = sum(np.exp(-both_nats(network, ngram, text).mixed(weight)[-1]) for text in texts)
    state = network.zero_state(1)
    for token in ids:
        state = network.feed(np.array([token]), state)
    logits = network.logits(state[-1][0])[0].astype(np.float64)
    start_prob = np.exp(logits[START]) / np.exp(logits).sum()  # the n-gram model gives START 0
    assert sums + (1 - weight) * start_prob == pytest.approx(1, rel=1e-6)


def test_mixture_helps_if_both_halves_gain():
    rng = np.random.default_rng(2)
    ids = passages_of(20)
    both = PairedLosses(rng.gamma(4, 1, 240), rng.gamma(4, 1, 240))
    trial = cross_validate(both, ids)
    assert trial.changes is not None
    assert trial.helps
    assert max(trial.changes) < -0.1


def test_mixture_does_not_help_if_one_half_is_copied():
    """For example with a table of contents. The n-gram model predicts one half almost exactly, and the other badly."""
    rng = np.random.default_rng(3)
    repeated = np.arange(240) < 120
    both = PairedLosses(rng.gamma(4, 1, 240), np.where(repeated, 0.01, 8 + rng.gamma(4, 1, 240)))
    assert 0.3 < best_weight(both) < 0.7  # a bad weight for any other text
    trial = cross_validate(both, passages_of(20))
    assert not trial.helps
    assert trial.changes is not None
    assert trial.changes[1] > 1


def test_mixture_does_not_help_if_one_passage_is_copied():
    rng = np.random.default_rng(4)
    repeated = (np.arange(240) >= 36) & (np.arange(240) < 48)
    both = PairedLosses(rng.gamma(4, 1, 240), np.where(repeated, 0.01, 4 + rng.gamma(4, 1, 240)))
    assert best_weight(both) > 0.03
    assert not cross_validate(both, passages_of(20)).helps


@pytest.mark.parametrize("ids", [[START, END], [START, WORD, END], [START, *[WORD] * 48, END]])
def test_text_too_short_to_halve_has_no_mixture(ids: list[int]):
    nats = np.full(len(ids) - 1, 5.0)
    trial = cross_validate(PairedLosses(nats, nats / 2), np.array(ids))
    assert (trial.changes, trial.helps) == (None, False)


def test_mixture_rarely_helps_a_perfect_network():
    """Tokens are drawn from the network's distribution: a mixture seems better in at most 5 of 100 texts."""
    rng = np.random.default_rng(5)
    helped = 0
    for _ in range(100):
        of_network, of_ngram = rng.dirichlet([0.5] * 30, size=2)
        tokens = rng.choice(30, 240, p=of_network)
        both = PairedLosses(-np.log(of_network[tokens]), -np.log(of_ngram[tokens]))
        helped += cross_validate(both, passages_of(20)).helps
    assert helped <= 5


def test_weight_is_from_validation_set_and_loss_from_text():
    _, network = make_networks("lstm", tied=False)
    train, valid, test = (np.tile(random_ids(length), 3) for length in (900, 900, 600))
    ngram = NgramModel(np.concatenate([train, valid[:500], test[:300]]), VOCABULARY)
    of_valid, of_test = (PredictedText(ids, network_nats(network, ids)) for ids in (valid, test))
    loss, mixture, notes = mix_with_ngram(ngram, of_valid, of_test)
    assert (loss, notes) == (ngram_loss(ngram, test), ())
    assert mixture is not None
    assert mixture.weight == best_weight(both_nats(network, ngram, valid))
    assert mixture.loss == Loss.of(both_nats(network, ngram, test).mixed(mixture.weight), test)
    test_mixture = mix_with_ngram(ngram, of_test, of_test)[1]
    assert test_mixture is not None
    assert test_mixture.weight == best_weight(both_nats(network, ngram, test))


def test_note_says_why_there_is_no_mixture():
    _, network = make_networks("lstm", tied=False)
    ngram, ids = NgramModel(random_ids(300), VOCABULARY), random_ids(700)
    predicted = PredictedText(ids, network_nats(network, ids))
    _, mixture, (note,) = mix_with_ngram(ngram, predicted, predicted)
    changes = cross_validate(both_nats(network, ngram, ids), ids).changes
    assert mixture is None
    assert changes is not None
    assert note.startswith("No mixture with the 5-gram: a weight that is chosen on one half of the validation set must")
    assert note.endswith(f"the halves change by {changes[0]:+.1%} and {changes[1]:+.1%}.")
    short = PredictedText(ids[:9], predicted.nats[: int((ids[1:9] != START).sum())])
    assert mix_with_ngram(ngram, short, predicted)[1:] == (
        None,
        ("No mixture with the 5-gram: the validation set is too short to choose its weight.",),
    )
