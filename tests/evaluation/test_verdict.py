"""What is said of made-up curves, and where nothing is said."""

from collections.abc import Sequence
from dataclasses import replace
from math import log

import numpy as np
import pytest

from wordgen.evaluation.figures import shown_perplexity
from wordgen.evaluation.measurement import Loss
from wordgen.evaluation.verdict import Curves, Finding, clearly_better, finding, still_falling, verdict


def curves(
    train: Sequence[float],
    valid: Sequence[float],
    *,
    dropout: float = 0.3,
    units: int | tuple[int, ...] = 512,
    rate_stays: bool = True,
    has_base: bool = False,
    diverged: bool = False,
    broken_off: bool = False,
) -> Curves:
    return Curves(
        train,
        valid,
        longer={"epochs": 24},
        dropout={"dropout": dropout},
        units=units,
        learning_rate=0.001,
        rate_stays=rate_stays,
        has_base=has_base,
        diverged=diverged,
        broken_off=broken_off,
    )


def found(*args: Sequence[float], **named: object) -> Finding:
    seen = finding(curves(*args, **named))  # pyright: ignore[reportArgumentType]
    assert seen is not None
    return seen


def loss(perplexity: float) -> Loss:
    return Loss(log(perplexity) * 100, 100)


def test_train_that_falls_while_valid_rises_is_overfitted():
    seen = found([200, 100, 60, 40, 30], [180, 110, 90, 95, 99])
    assert seen.fit == "overfitted"
    both = "training perplexity fell by another 50%, but validation perplexity rose by 10%"
    assert seen.seen == f"is overfitted (after epoch 3, {both})"
    assert seen.changes == {"dropout": 0.4}
    assert "more dropout (0.4 instead of 0.3)" in seen.advice
    assert found([200, 100, 60], [180, 90, 99], dropout=0).changes == {"dropout": 0.2}
    assert found([200, 100, 60], [180, 90, 99], dropout=0.45).changes == {"dropout": 0.5}


@pytest.mark.parametrize(
    ("valid", "expected"),
    [([9.0], False), ([9, 8], True), ([9, 8, 8.5], False), ([9, 8, 7.99], False), ([9, 8, 7.9], True), ([], False)],
)
def test_what_still_falls(valid: list[float], expected: bool):
    assert still_falling(valid) is expected


def test_where_there_is_much_dropout_already_a_smaller_network_is_the_next_thing():
    seen = found([200, 100, 60, 40], [180, 90, 95, 99], dropout=0.5, units=200)
    assert seen.changes == {"units": 100}
    assert "100 units instead of 200" in seen.advice
    assert "fewer epochs (2 were enough)" in seen.advice
    differing = found([200, 100, 60, 40], [180, 90, 95, 99], dropout=0.5, units=(200, 1))
    assert differing.changes == {"units": (100, 1)}
    assert "100 1 units instead of 200 1" in differing.advice
    assert finding(curves([200, 100, 60, 40], [180, 90, 95, 99], dropout=0.5, units=1)) is None


def test_the_dropout_that_acts_is_the_one_to_change():
    apart = replace(
        curves([200, 100, 60, 40], [180, 90, 95, 99]), dropout={"input_dropout": 0.1, "output_dropout": 0.6}
    )
    seen = finding(apart)
    assert seen is not None
    assert seen.changes == {"input_dropout": 0.2}
    assert "more input dropout (0.2 instead of 0.1), a smaller network" in seen.advice
    seen = finding(replace(apart, train=[200, 150, 141, 140.9], valid=[180, 145, 140, 140.1]))
    assert seen is not None
    assert (seen.changes, seen.advice) == (
        {"output_dropout": 0.3},
        "less output dropout (0.3 instead of 0.6) or a larger network",
    )


def test_a_valid_perplexity_far_above_train_is_overfitted_even_if_it_only_stands_still():
    seen = found([200, 100, 45, 44.9], [180, 110, 90, 90.2])
    assert seen.fit == "overfitted"
    assert "in its best epoch, 3, validation perplexity was 90.0 and training perplexity 45.0" in seen.seen


def test_what_still_falls_in_its_last_epoch_wants_longer_training():
    seen = found([200, 150, 120], [180, 140, 126])
    assert seen.fit == "undertrained"
    assert "(epoch 3: validation perplexity fell by 10.0%)" in seen.seen
    assert seen.changes == {"epochs": 24}


def test_it_is_so_whatever_the_gap_is():
    assert found([200, 80, 50], [180, 140, 126]).fit == "undertrained"


def test_a_plateau_with_train_beside_valid_is_underfitted():
    seen = found([200, 150, 141, 140.9], [180, 145, 140, 140.1])
    assert seen.fit == "underfitted"
    assert seen.changes == {"dropout": 0.15}
    assert seen.advice == "less dropout (0.15 instead of 0.3) or a larger network"
    without = found([200, 150, 141, 140.9], [180, 145, 140, 140.1], dropout=0)
    assert (without.advice, without.changes) == ("a larger network", {"units": 1024})


def test_a_last_epoch_that_gained_next_to_nothing_is_a_plateau_too():
    assert found([150, 141, 140.9], [145, 140, 139.9]).fit == "underfitted"


def test_a_last_epoch_that_was_the_best_by_next_to_nothing_gets_advice_by_what_else_is_seen():
    """One of the levelled curves has its rate come down, one learns by heart, one has no more room."""
    slower = found([90, 80, 75], [88, 79, 78.8], rate_stays=False)
    assert (slower.fit, slower.advice) == ("levelled off", "a larger network or more text")
    assert slower.changes == {"units": 1024}
    assert slower.seen == (
        "has levelled off (in its last epoch, epoch 3, validation perplexity fell by 0.3% and training perplexity fell "
        "by 6.2%), as any run does when the learning rate falls"
    )
    by_heart = found([90, 80, 71], [88, 79, 78.8])
    assert (by_heart.fit, by_heart.changes) == ("levelled off", {"dropout": 0.4})
    no_room = found([90, 64, 63.9], [88, 79, 78.99])
    assert (no_room.fit, no_room.changes) == ("levelled off", {"units": 1024})
    assert "validation perplexity fell by less than 0.1% and training perplexity did not change" in no_room.seen
    assert finding(curves([90, 64, 50], [88, 60, 59.9], dropout=0.5, units=1)) is None  # nothing smaller is left


@pytest.mark.parametrize(
    ("valid", "expected"),
    [
        ([56.7, 41.8, 39.3, 38.5], False),  # head-start on lotr: more epochs gave no better model
        ([56.7, 41.8, 39.3, 37.9], True),
        ([55.5, 48.7], True),
        ([90, 80, 70, 60, 55, 54, 52.5, 52], True),  # the last quarter has two epochs
        ([90, 80, 70, 60, 55, 53, 52.5, 52.2], False),
        ([90, 80, 70, 71], False),
    ],
)
def test_where_the_rate_falls_more_epochs_must_be_worth_their_time(valid: list[float], expected: bool):
    train = [each * 1.1 for each in valid]
    assert still_falling(valid, rate_stays=False) is expected
    seen = finding(curves(train, valid, rate_stays=False, has_base=True))
    assert (seen is not None and seen.fit == "undertrained") is expected
    assert seen is None or ("longer training" in seen.advice) is expected


def test_over_several_epochs_it_says_how_many():
    seen = found([90] * 8, [90, 80, 70, 60, 55, 54, 52, 51], rate_stays=False)
    assert seen.seen == "was still improving in its last 2 epochs (validation perplexity fell by 5.6%)"


def test_a_network_that_has_a_base_keeps_its_size():
    """Another size would not fit the base, so wordgen would refuse the advised command."""
    several = [
        found([200, 100, 60, 40, 30], [180, 110, 90, 95, 99], has_base=True),
        found([200, 100, 60, 40], [180, 90, 95, 99], dropout=0.5, has_base=True),
        found([90, 64, 63.9], [88, 79, 78.99], has_base=True),
        found([90, 80, 75], [88, 79, 78.8], rate_stays=False, has_base=True),
    ]
    assert [each.fit for each in several] == ["overfitted", "overfitted", "levelled off", "levelled off"]
    assert [each.changes for each in several] == [{"dropout": 0.4}, {}, {}, {}]
    assert several[0].advice == "more dropout (0.4 instead of 0.3) or more text"
    assert {each.advice for each in several[1:]} == {"more text"}


def test_an_underfitted_network_that_has_a_base_can_only_get_less_dropout():
    """More text does not help a network that does not learn what it has."""
    train, valid = [200, 150, 141, 140.9], [180, 145, 140, 140.1]
    less = found(train, valid, has_base=True)
    assert (less.fit, less.advice) == ("underfitted", "less dropout (0.15 instead of 0.3)")
    assert finding(curves(train, valid, dropout=0, has_base=True)) is None


@pytest.mark.parametrize("rate_stays", [True, False])
@pytest.mark.parametrize("last", [78.99, 78.7, 78.0, 70.0])
@pytest.mark.parametrize("train", [78.0, 70.0, 40.0])
def test_where_the_last_epoch_is_the_best_there_is_always_advice(train: float, last: float, *, rate_stays: bool):
    assert finding(curves([90, 80, train], [88, 79, last], rate_stays=rate_stays)) is not None


def test_an_epoch_that_was_broken_off_is_never_called_the_last_whole_one():
    fell = found([200, 80, 70, 68], [180, 73.5, 60.6, 58.3], broken_off=True)
    assert fell.seen == (
        "was still improving when it ended in the middle of epoch 4 (validation perplexity fell by 3.8% after epoch 3)"
    )
    assert still_falling([180, 73.5, 60.6, 58.3], broken_off=True)
    for little in (60.5, 60.7):  # a few steps of an epoch show next to nothing
        seen = found([200, 80, 70, 68], [180, 73.5, 60.6, little], broken_off=True).seen
        assert seen == "was still improving in its last whole epoch (epoch 3: validation perplexity fell by 17.6%)"
        assert still_falling([180, 73.5, 60.6, little], broken_off=True)
        assert not still_falling([180, 60.7, 60.6, little], broken_off=True)
    rose = [180, 73.5, 60.6, 70]
    assert found([200, 80, 70, 60], rose, broken_off=True).fit == "overfitted"
    assert not still_falling(rose, broken_off=True)
    assert finding(curves([200, 150], [180, 179.9], broken_off=True)) is None  # one whole epoch is no curve


def test_it_is_not_underfitted_where_it_only_learned_on_by_heart_or_its_rate_came_down():
    """With dropout, train perplexity is above valid in the best of runs."""
    assert finding(curves([90, 80, 75, 71], [88, 79, 78.5, 78.8])) is None
    assert finding(curves([200, 150, 141, 140.9], [180, 145, 140, 140.1], rate_stays=False)) is None


@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_what_diverged_wants_a_smaller_rate_and_not_more_of_the_same(epochs: int):
    seen = found([200, 100, 90][:epochs], [180, 90, 80][:epochs], diverged=True)
    assert (seen.fit, seen.seen, seen.changes) == (
        "unstable",
        f"diverged in epoch {epochs + 1}",
        {"learning_rate": 0.0003},
    )
    assert seen.advice == "a smaller learning rate (0.0003 instead of 0.001)"


def test_where_both_rise_it_came_off_its_way():
    seen = found([200, 100, 130, 160], [180, 110, 140, 170])
    assert seen.fit == "unstable"
    assert seen.changes == {"learning_rate": 0.0003}
    assert "after epoch 2, training and validation perplexity rose by 60% and 55%" in seen.seen


@pytest.mark.parametrize(
    ("train", "valid"),
    [
        ([], []),
        ([100], [90]),  # one epoch is no curve
        ([200, 100, 99.9], [180, 125, 125.2]),  # levelled off with a usual distance
        ([200, 100, 99.9], [180, 125, 127]),  # valid rose, and train did nothing
    ],
)
def test_where_the_curves_allow_no_statement_none_is_made(train: list[float], valid: list[float]):
    assert finding(curves(train, valid)) is None


@pytest.mark.parametrize(
    ("own", "ngram", "unigram", "said"),
    [
        (30, 40, 100, "The model is better than the 5-gram: its perplexity is 25% lower (30.0 against 40.0)."),
        (50, 40, 100, "The model is worse than the 5-gram: its perplexity is 25% higher (50.0 against 40.0)."),
        (90, 40, 100, "The model is worse than the 5-gram: its perplexity is 2.2 times as high (90.0 against 40.0)."),
        (40.4, 40, 100, "The model is as good as the 5-gram (40.4 against 40.0)."),
        (100.1, 40, 100, "The model is no better than word frequencies alone (100.1 against 100.0)."),
        (99.9, 40, 100, "The model is hardly better than word frequencies alone (99.9 against 100.0)."),
        (99.9, None, 100, "The model is hardly better than word frequencies alone (99.9 against 100.0)."),
        (
            110,
            40,
            100,
            "The model is worse than word frequencies alone: its perplexity is 10% higher (110.0 against 100.0).",
        ),
        (80, None, 100, "The model is better than word frequencies: its perplexity is 20% lower (80.0 against 100.0)."),
        (80, None, None, None),
    ],
)
def test_beside_counting(own: float, ngram: float | None, unigram: float | None, said: str | None):
    counted = [None if each is None else loss(each) for each in (unigram, ngram)]
    assert verdict(loss(own), None, *counted, order=5) == said


def test_a_difference_that_may_be_chance_is_none():
    """Both are measured on the same passages, and one is better by a twentieth of a nat in some and worse in others."""
    hard = np.array([[40.0, 10.0], [36.0, 10.0]] * 10)
    model, other = (
        Loss(float(each[:, 0].sum()), 200, each) for each in (hard, np.add(hard, [[4.0, 0], [-3.0, 0]] * 10))
    )
    assert other.perplexity / model.perplexity > 1.05
    assert verdict(model, None, None, other, order=5) == (
        "The model is as good as the 5-gram (44.7 against 47.0), because the difference may be chance on so little "
        "text."
    )
    assert not clearly_better(model, other)
    surely = Loss(float(hard[:, 0].sum() + 10), 200, np.add(hard, [0.5, 0]))
    assert verdict(model, None, None, surely, order=5) == (
        "The model is better than the 5-gram: its perplexity is 5% lower (44.7 against 47.0)."
    )
    assert clearly_better(model, surely)


def test_it_is_one_sentence_with_or_without_something_to_compare_with():
    seen = Finding("undertrained", "was still getting better", "longer training")
    assert verdict(loss(40), seen, loss(100), loss(40), order=5) == (
        "The model is as good as the 5-gram (40.0 against 40.0); it was still getting better, so try longer training."
    )
    assert verdict(loss(40), seen, None, None, order=5) == "It was still getting better, so try longer training."


def test_small_perplexities_have_a_digit_more():
    assert [shown_perplexity(value) for value in (3.994, 9.99, 10.04, 1234.56)] == ["3.99", "9.99", "10.0", "1,234.6"]
    told = "The model is better than the 7-gram: its perplexity is 3% lower (3.99 against 4.10)."
    assert verdict(loss(3.99), None, loss(27), loss(4.1), order=7) == told
