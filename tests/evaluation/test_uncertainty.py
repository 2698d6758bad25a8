"""The confidence interval (±) of a loss, and of the difference of two: of made-up texts, 95 % lie within it."""

from math import log

import numpy as np
import pytest

from wordgen.evaluation.measurement import Loss
from wordgen.text.vocabulary import END, START

WORD = 5
TEXTS = 400


def passages_of(lengths: np.ndarray) -> np.ndarray:
    """Return the ids of passages with these numbers of words."""
    return np.concatenate([[START, *[WORD] * length, END] for length in lengths])


def per_passage(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return, for each token and END of a passage, the value of the passage."""
    return np.repeat(values, lengths + 1)


def covered(margin: float | None, measured: float, true: float) -> bool:
    assert margin is not None
    return abs(measured - true) <= margin


def near_95(hits: int) -> bool:
    """Return whether the share of hits is within three standard deviations of 95 %."""
    return abs(hits / TEXTS - 0.95) < 3 * (0.95 * 0.05 / TEXTS) ** 0.5


@pytest.mark.parametrize("passages", [12, 60, 700])
def test_interval_covers_true_loss_in_95_percent(passages: int):
    """Some passages are harder than others: tokens are not independent, but passages are."""
    rng = np.random.default_rng(passages)
    hits = 0
    for _ in range(TEXTS):
        lengths = rng.integers(5, 40, passages)
        difficulty = rng.normal(4, 0.5, passages)
        nats = per_passage(difficulty, lengths) + rng.normal(0, 2, lengths.sum() + passages)
        loss = Loss.of(nats, passages_of(lengths))
        hits += covered(loss.margin_in_nats, log(loss.perplexity), 4)
    assert near_95(hits)


def test_interval_covers_true_difference_in_95_percent():
    """It is narrower than the interval of each loss, because a hard passage is hard for both models."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(TEXTS):
        lengths = rng.integers(5, 40, 30)
        ids = passages_of(lengths)
        difficulty = per_passage(rng.normal(4, 0.5, 30), lengths)
        one = Loss.of(difficulty + rng.normal(0, 0.5, len(difficulty)), ids)
        other = Loss.of(difficulty + 0.1 + rng.normal(0, 0.5, len(difficulty)), ids)
        difference = other.difference(one)
        assert difference is not None
        assert one.margin_in_nats is not None
        assert difference[1] < one.margin_in_nats
        hits += covered(difference[1], difference[0], 0.1)
    assert near_95(hits)


def test_single_passage_is_split_into_blocks_of_tokens():
    rng = np.random.default_rng(3)
    hits, loss = 0, Loss(0.0, 0)
    for _ in range(TEXTS):
        loss = Loss.of(rng.gamma(2, 2, 1000), np.full(1001, WORD))
        hits += covered(loss.margin_in_nats, log(loss.perplexity), 4)
    assert near_95(hits)
    assert loss.blocks is not None
    assert loss.blocks[:, 1].tolist() == [25] * 40


def test_short_text_has_no_interval():
    loss = Loss.of(np.ones(30), np.full(31, WORD))
    assert (loss.margin, loss.margin_in_nats, loss.margin_per(100)) == (None, None, None)
    assert loss.differs(loss) is None


def test_interval_of_bits_per_character_follows_from_loss():
    ids = passages_of(np.full(20, 9))
    loss = Loss.of(np.random.default_rng(1).random(200), ids)
    assert loss.margin_in_nats is not None
    assert loss.margin_per(500) == pytest.approx(loss.margin_in_nats * 200 / 500 / log(2))
    certain = Loss.of(np.zeros(200), ids)
    assert (certain.perplexity, certain.margin, certain.bits_per(500), certain.margin_per(500)) == (1, 0, 0, 0)
    assert certain.to_mapping(500)["bits_per_character_margin"] == 0


def test_blocks_contain_every_token_once():
    lengths = np.arange(1, 1300) % 7
    nats = np.random.default_rng(1).random(lengths.sum() + len(lengths))
    loss = Loss.of(nats, passages_of(lengths))
    assert loss.blocks is not None
    assert len(loss.blocks) == 500
    assert loss.blocks.sum(axis=0) == pytest.approx([nats.sum(), len(nats)])
    cut_off = Loss.of(nats[:-1], passages_of(lengths)[:-1])  # the last passage has no END
    assert cut_off.blocks is not None
    assert cut_off.blocks[:, 1].sum() == len(nats) - 1


def test_equal_models_do_not_differ():
    rng = np.random.default_rng(1)
    ids = passages_of(np.full(20, 9))
    nats = rng.random(200)
    assert Loss.of(nats, ids).difference(Loss.of(nats, ids)) == (0, 0)
    assert Loss.of(nats, ids).differs(Loss.of(nats, ids)) is False
    assert Loss.of(nats, ids).differs(Loss.of(nats + 0.001, ids)) is True  # every token is worse by 0.001


def test_losses_on_different_passages_have_no_difference():
    nats = np.ones(200)
    one, other = passages_of(np.full(20, 9)), passages_of(np.array([8, 10] * 10))
    assert Loss.of(nats, one).difference(Loss.of(nats, other)) is None
    assert Loss.of(nats, one).difference(Loss(200.0, 200)) is None


def test_interval_is_deterministic_and_relative_to_perplexity():
    nats = np.random.default_rng(1).random(200)
    ids = passages_of(np.full(20, 9))
    loss = Loss.of(nats, ids)
    assert loss.margin == Loss.of(nats, ids).margin
    assert loss.margin is not None
    assert loss.margin_in_nats is not None
    assert loss.margin == pytest.approx(loss.perplexity * loss.margin_in_nats, rel=0.01)
