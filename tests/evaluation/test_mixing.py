"""The mixture of a network and an n-gram: its laws, its weight, and when the validation set can set it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.networks import VOCABULARY, networks, text_of
from wordgen.evaluation.measures import Loss
from wordgen.evaluation.mixture import BothNats, Predicted, best_weight, mixed_with, ngram_loss, tried
from wordgen.evaluation.stream import network_nats
from wordgen.generation.ngrams import NgramModel
from wordgen.generation.numpy_network import NumpyNetwork
from wordgen.text.vocabulary import END, START

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
    trial = tried(both, ids)
    assert trial.changes is not None
    assert trial.helps
    assert max(trial.changes) < -0.1


def test_one_half_that_repeats_the_training_text_sets_no_weight():
    """As a table of contents does: the n-gram knows that half by heart, and the other not."""
    dice = np.random.default_rng(3)
    by_heart = np.arange(240) < 120
    both = BothNats(dice.gamma(4, 1, 240), np.where(by_heart, 0.01, 8 + dice.gamma(4, 1, 240)))
    assert 0.3 < best_weight(both) < 0.7  # which would cost any other text a lot
    trial = tried(both, passages_of(20))
    assert not trial.helps
    assert trial.changes is not None
    assert trial.changes[1] > 1


def test_one_passage_that_repeats_it_sets_no_weight_either():
    dice = np.random.default_rng(4)
    by_heart = (np.arange(240) >= 36) & (np.arange(240) < 48)
    both = BothNats(dice.gamma(4, 1, 240), np.where(by_heart, 0.01, 4 + dice.gamma(4, 1, 240)))
    assert best_weight(both) > 0.03
    assert not tried(both, passages_of(20)).helps


@pytest.mark.parametrize("ids", [[START, END], [START, WORD, END], [START, *[WORD] * 48, END]])
def test_what_cannot_be_halved_sets_no_weight(ids: list[int]):
    nats = np.full(len(ids) - 1, 5.0)
    trial = tried(BothNats(nats, nats / 2), np.array(ids))
    assert (trial.changes, trial.helps) == (None, False)


def test_where_the_network_knows_all_that_can_be_known_a_weight_is_hardly_ever_set():
    """Tokens are drawn by the network's probabilities, so no mixture gains anything: at most one text in twenty."""
    dice = np.random.default_rng(5)
    helped = 0
    for _ in range(100):
        of_network, of_ngram = dice.dirichlet([0.5] * 30, size=2)
        tokens = dice.choice(30, 240, p=of_network)
        both = BothNats(-np.log(of_network[tokens]), -np.log(of_ngram[tokens]))
        helped += tried(both, passages_of(20)).helps
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
    changes = tried(both_on(network, ngram, ids), ids).changes
    assert mixture is None
    assert changes is not None
    assert why.startswith("No mixture with the 5-gram: a weight that is chosen on one half of the validation set must")
    assert why.endswith(f"the halves change by {changes[0]:+.1%} and {changes[1]:+.1%}.")
    short = Predicted(ids[:9], own.nats[: int((ids[1:9] != START).sum())])
    assert mixed_with(ngram, short, own)[1:] == (
        None,
        ("No mixture with the 5-gram: the validation set is too short to choose its weight.",),
    )
