"""NumPy's loss of a text is that of training's validation; the cache follows its paper; when a mixture helps."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.networks import VOCABULARY, networks, text_of
from wordgen.evaluation.measurement import Cache, Loss, streams_for
from wordgen.evaluation.perplexity import Evaluator
from wordgen.evaluation.text_loss import (
    BothNats,
    Predicted,
    best_cache,
    best_weight,
    cache_loss,
    cross_validated,
    mixed_with,
    network_loss,
    network_nats,
    ngram_loss,
    predictions,
)
from wordgen.generation.prediction import NgramModel, NumpyNetwork
from wordgen.model.architecture import Cell
from wordgen.network.replicas import alone
from wordgen.text.vocabulary import END, START


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


WORD = 5
TOKEN_NATS = st.floats(0, 800)  # beyond 745 a probability is nothing in a float, and its logarithm still a number
PAIRS = st.lists(st.tuples(TOKEN_NATS, TOKEN_NATS), min_size=1, max_size=60)


def both_of(pairs: list[tuple[float, float]]) -> BothNats:
    network, ngram = np.array(pairs).T
    return BothNats(network, ngram)


def both_on(network: NumpyNetwork, ngram: NgramModel, ids: np.ndarray) -> BothNats:
    return BothNats(network_nats(network, ids), -ngram.log_probs(ids))


def passages_of(number: int, words: int = 11) -> np.ndarray:
    return np.tile([START, *[WORD] * words, END], number)


@given(PAIRS)
def test_at_either_end_it_is_one_of_the_two(pairs: list[tuple[float, float]]):
    both = both_of(pairs)
    assert both.mixed(0.0).tolist() == both.network.tolist()
    assert both.mixed(1.0).tolist() == both.ngram.tolist()


@given(PAIRS, st.floats(0, 1))
def test_it_lies_between_the_two(pairs: list[tuple[float, float]], weight: float):
    both = both_of(pairs)
    mixed, little = both.mixed(weight), 1e-12 * 800
    assert (mixed >= np.minimum(both.network, both.ngram) - little).all()
    assert (mixed <= np.maximum(both.network, both.ngram) + little).all()


@given(PAIRS)
def test_no_other_weight_is_better(pairs: list[tuple[float, float]]):
    """But for rounding, which may make the logarithm of a probability of one a little more than nothing."""
    both = both_of(pairs)
    least = both.mixed(best_weight(both)).sum()
    assert least <= both.network.sum()
    assert least <= both.ngram.sum()
    assert all(least <= both.mixed(each / 100).sum() * (1 + 1e-13) + 1e-13 for each in range(101))


def test_the_share_of_tokens_that_are_the_n_grams_is_found():
    """Of 20,000 tokens 30 % come from one distribution, and the others from another."""
    dice = np.random.default_rng(1)
    of_network, of_ngram = dice.dirichlet([0.3] * 50, size=2)
    tokens = np.where(dice.random(20_000) < 0.3, *(dice.choice(50, 20_000, p=p) for p in (of_ngram, of_network)))
    both = BothNats(-np.log(of_network[tokens]), -np.log(of_ngram[tokens]))
    assert best_weight(both) == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_its_probabilities_sum_to_one(weight: float):
    """Over the last token of a text, whichever it is: UNKNOWN, END, bytes of spelled words are tokens as all are."""
    _, network = networks("lstm", tied=False)
    ngram, ids = NgramModel(text_of(500), VOCABULARY), text_of(60)
    texts = [np.append(ids, np.uint8(last)) for last in range(VOCABULARY) if last != START]
    sums = sum(np.exp(-both_on(network, ngram, text).mixed(weight)[-1]) for text in texts)
    state = network.zero_state(1)
    for each in ids:
        state = network.feed(np.array([each]), state)
    logits = network.logits(state[-1][0])[0].astype(np.float64)
    of_start = np.exp(logits[START]) / np.exp(logits).sum()  # which the n-gram never gives anything
    assert sums + (1 - weight) * of_start == pytest.approx(1, rel=1e-6)


def test_halves_that_gain_set_the_weight():
    dice = np.random.default_rng(2)
    ids = passages_of(20)
    both = BothNats(dice.gamma(4, 1, 240), dice.gamma(4, 1, 240))
    trial = cross_validated(both, ids)
    assert trial.changes is not None
    assert trial.helps
    assert max(trial.changes) < -0.1


def test_one_half_that_repeats_the_training_text_sets_no_weight():
    """As a table of contents does: the n-gram knows that half by heart, and the other not."""
    dice = np.random.default_rng(3)
    by_heart = np.arange(240) < 120
    both = BothNats(dice.gamma(4, 1, 240), np.where(by_heart, 0.01, 8 + dice.gamma(4, 1, 240)))
    assert 0.3 < best_weight(both) < 0.7  # which would cost any other text a lot
    trial = cross_validated(both, passages_of(20))
    assert not trial.helps
    assert trial.changes is not None
    assert trial.changes[1] > 1


def test_one_passage_that_repeats_it_sets_no_weight_either():
    dice = np.random.default_rng(4)
    by_heart = (np.arange(240) >= 36) & (np.arange(240) < 48)
    both = BothNats(dice.gamma(4, 1, 240), np.where(by_heart, 0.01, 4 + dice.gamma(4, 1, 240)))
    assert best_weight(both) > 0.03
    assert not cross_validated(both, passages_of(20)).helps


@pytest.mark.parametrize("ids", [[START, END], [START, WORD, END], [START, *[WORD] * 48, END]])
def test_what_cannot_be_halved_sets_no_weight(ids: list[int]):
    nats = np.full(len(ids) - 1, 5.0)
    trial = cross_validated(BothNats(nats, nats / 2), np.array(ids))
    assert (trial.changes, trial.helps) == (None, False)


def test_where_the_network_knows_all_that_can_be_known_a_weight_is_hardly_ever_set():
    """Tokens are drawn by the network's probabilities, so no mixture gains anything: at most one text in twenty."""
    dice = np.random.default_rng(5)
    helped = 0
    for _ in range(100):
        of_network, of_ngram = dice.dirichlet([0.5] * 30, size=2)
        tokens = dice.choice(30, 240, p=of_network)
        both = BothNats(-np.log(of_network[tokens]), -np.log(of_ngram[tokens]))
        helped += cross_validated(both, passages_of(20)).helps
    assert helped <= 5


def test_the_weight_comes_from_one_text_and_the_figures_from_another():
    _, network = networks("lstm", tied=False)
    train, valid, test = (np.tile(text_of(length), 3) for length in (900, 900, 600))
    ngram = NgramModel(np.concatenate([train, valid[:500], test[:300]]), VOCABULARY)
    of_valid, of_test = (Predicted(ids, network_nats(network, ids)) for ids in (valid, test))
    loss, mixture, notes = mixed_with(ngram, of_valid, of_test)
    assert (loss, notes) == (ngram_loss(ngram, test), ())
    assert mixture is not None
    assert mixture.weight == best_weight(both_on(network, ngram, valid))
    assert mixture.loss == Loss.of(both_on(network, ngram, test).mixed(mixture.weight), test)
    one_text = mixed_with(ngram, of_test, of_test)[1]
    assert one_text is not None
    assert one_text.weight == best_weight(both_on(network, ngram, test))


def test_where_there_is_none_one_sentence_says_why():
    _, network = networks("lstm", tied=False)
    ngram, ids = NgramModel(text_of(300), VOCABULARY), text_of(700)
    own = Predicted(ids, network_nats(network, ids))
    _, mixture, (why,) = mixed_with(ngram, own, own)
    changes = cross_validated(both_on(network, ngram, ids), ids).changes
    assert mixture is None
    assert changes is not None
    assert why.startswith("No mixture with the 5-gram: a weight that is chosen on one half of the validation set must")
    assert why.endswith(f"the halves change by {changes[0]:+.1%} and {changes[1]:+.1%}.")
    short = Predicted(ids[:9], own.nats[: int((ids[1:9] != START).sum())])
    assert mixed_with(ngram, short, own)[1:] == (
        None,
        ("No mixture with the 5-gram: the validation set is too short to choose its weight.",),
    )
