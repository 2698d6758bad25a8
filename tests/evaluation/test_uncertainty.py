"""± holds what it says: of texts whose true perplexity is known, 95 % lie within it, alone and beside another model."""

from math import log

import numpy as np
import pytest

from wordgen.evaluation.measurement import Loss
from wordgen.text.vocabulary import END, START

WORD = 5
TEXTS = 400


def passages_of(lengths: np.ndarray) -> np.ndarray:
    """Ids of passages with so many words each."""
    return np.concatenate([[START, *[WORD] * length, END] for length in lengths])


def per_passage(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """For each token of a passage, END among them, its passage's value."""
    return np.repeat(values, lengths + 1)


def covered(off: float | None, found: float, true: float) -> bool:
    assert off is not None
    return abs(found - true) <= off


def near_95(hits: int) -> bool:
    """Within three standard deviations of what so many texts may show by chance."""
    return abs(hits / TEXTS - 0.95) < 3 * (0.95 * 0.05 / TEXTS) ** 0.5


@pytest.mark.parametrize("passages", [12, 60, 700])
def test_of_known_truths_95_in_100_lie_within_what_is_told(passages: int):
    """Some passages are harder than others, so tokens are not independent, but passages are."""
    dice = np.random.default_rng(passages)
    hits = 0
    for _ in range(TEXTS):
        lengths = dice.integers(5, 40, passages)
        hard = dice.normal(4, 0.5, passages)
        nats = per_passage(hard, lengths) + dice.normal(0, 2, lengths.sum() + passages)
        loss = Loss.of(nats, passages_of(lengths))
        hits += covered(loss.may_be_off, log(loss.perplexity), 4)
    assert near_95(hits)


def test_a_difference_of_two_models_on_one_text_is_as_sure():
    """And surer than what each may be off by, for what is hard is hard for both."""
    dice = np.random.default_rng(1)
    hits = 0
    for _ in range(TEXTS):
        lengths = dice.integers(5, 40, 30)
        ids = passages_of(lengths)
        hard = per_passage(dice.normal(4, 0.5, 30), lengths)
        one = Loss.of(hard + dice.normal(0, 0.5, len(hard)), ids)
        other = Loss.of(hard + 0.1 + dice.normal(0, 0.5, len(hard)), ids)
        found = other.difference(one)
        assert found is not None
        assert one.may_be_off is not None
        assert found[1] < one.may_be_off
        hits += covered(found[1], found[0], 0.1)
    assert near_95(hits)


def test_one_passage_alone_is_cut_into_blocks_of_tokens():
    dice = np.random.default_rng(3)
    hits, loss = 0, Loss(0.0, 0)
    for _ in range(TEXTS):
        loss = Loss.of(dice.gamma(2, 2, 1000), np.full(1001, WORD))
        hits += covered(loss.may_be_off, log(loss.perplexity), 4)
    assert near_95(hits)
    assert loss.blocks is not None
    assert loss.blocks[:, 1].tolist() == [25] * 40


def test_of_a_text_of_a_few_tokens_nothing_is_known():
    loss = Loss.of(np.ones(30), np.full(31, WORD))
    assert (loss.off, loss.may_be_off, loss.off_per(100)) == (None, None, None)
    assert loss.differs(loss) is None


def test_bits_per_character_are_as_uncertain_as_the_loss_also_where_every_token_is_certain():
    ids = passages_of(np.full(20, 9))
    loss = Loss.of(np.random.default_rng(1).random(200), ids)
    assert loss.may_be_off is not None
    assert loss.off_per(500) == pytest.approx(loss.may_be_off * 200 / 500 / log(2))
    certain = Loss.of(np.zeros(200), ids)
    assert (certain.perplexity, certain.off, certain.bits_per(500), certain.off_per(500)) == (1, 0, 0, 0)
    assert certain.to_mapping(500)["bits_per_character_off"] == 0


def test_blocks_hold_every_token_once():
    lengths = np.arange(1, 1300) % 7
    nats = np.random.default_rng(1).random(lengths.sum() + len(lengths))
    loss = Loss.of(nats, passages_of(lengths))
    assert loss.blocks is not None
    assert len(loss.blocks) == 500
    assert loss.blocks.sum(axis=0) == pytest.approx([nats.sum(), len(nats)])
    cut_off = Loss.of(nats[:-1], passages_of(lengths)[:-1])  # a last passage without its END
    assert cut_off.blocks is not None
    assert cut_off.blocks[:, 1].sum() == len(nats) - 1


def test_equal_models_do_not_differ():
    dice = np.random.default_rng(1)
    ids = passages_of(np.full(20, 9))
    nats = dice.random(200)
    assert Loss.of(nats, ids).difference(Loss.of(nats, ids)) == (0, 0)
    assert Loss.of(nats, ids).differs(Loss.of(nats, ids)) is False
    assert Loss.of(nats, ids).differs(Loss.of(nats + 0.001, ids)) is True  # worse by the same everywhere


def test_what_was_measured_on_other_passages_is_not_paired():
    nats = np.ones(200)
    one, other = passages_of(np.full(20, 9)), passages_of(np.array([8, 10] * 10))
    assert Loss.of(nats, one).difference(Loss.of(nats, other)) is None
    assert Loss.of(nats, one).difference(Loss(200.0, 200)) is None


def test_the_same_text_is_told_with_the_same_uncertainty():
    nats = np.random.default_rng(1).random(200)
    ids = passages_of(np.full(20, 9))
    assert Loss.of(nats, ids).off == Loss.of(nats, ids).off
    loss = Loss.of(nats, ids)
    assert loss.off is not None
    assert loss.may_be_off is not None
    assert loss.off == pytest.approx(loss.perplexity * loss.may_be_off, rel=0.01)
