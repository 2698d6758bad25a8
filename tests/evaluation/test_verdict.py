"""The finding and the advice for made-up learning curves, and the comparison with n-grams and word frequencies."""

from collections.abc import Sequence
from dataclasses import replace
from math import log

import numpy as np
import pytest

from wordgen.evaluation.figures import rounded, shown_perplexity
from wordgen.evaluation.measurement import Loss
from wordgen.evaluation.verdict import Curves, Finding, clearly_better, diagnose, still_falling, verdict


def curves(
    train: Sequence[float],
    valid: Sequence[float],
    *,
    dropout: float = 0.3,
    units: int | tuple[int, ...] = 512,
    has_constant_rate: bool = True,
    has_base: bool = False,
    diverged: bool = False,
    last_epoch_interrupted: bool = False,
) -> Curves:
    return Curves(
        train,
        valid,
        longer_training={"epochs": 24},
        dropout={"dropout": dropout},
        units=units,
        learning_rate=0.001,
        has_constant_rate=has_constant_rate,
        has_base=has_base,
        diverged=diverged,
        last_epoch_interrupted=last_epoch_interrupted,
    )


def finding_of(train: Sequence[float], valid: Sequence[float], **options: object) -> Finding:
    result = diagnose(curves(train, valid, **options))  # pyright: ignore[reportArgumentType]
    assert result is not None
    return result


def loss(perplexity: float) -> Loss:
    return Loss(log(perplexity) * 100, 100)


def test_rising_validation_perplexity_is_overfitted():
    result = finding_of([200, 100, 60, 40, 30], [180, 110, 90, 95, 99])
    assert result.fit == "overfitted"
    assert result.observation == (
        "is overfitted (after epoch 3, training perplexity fell by another 50%, but validation perplexity rose by 10%)"
    )
    assert result.changes == {"dropout": 0.4}
    assert "more dropout (0.4 instead of 0.3)" in result.advice
    assert finding_of([200, 100, 60], [180, 90, 99], dropout=0).changes == {"dropout": 0.2}
    assert finding_of([200, 100, 60], [180, 90, 99], dropout=0.45).changes == {"dropout": 0.5}


@pytest.mark.parametrize(
    ("valid", "expected"),
    [([9.0], False), ([9, 8], True), ([9, 8, 8.5], False), ([9, 8, 7.99], False), ([9, 8, 7.9], True), ([], False)],
)
def test_still_falling_needs_gain_in_last_epoch(valid: list[float], expected: bool):
    assert still_falling(valid) is expected


def test_overfitted_with_much_dropout_needs_smaller_network():
    result = finding_of([200, 100, 60, 40], [180, 90, 95, 99], dropout=0.5, units=200)
    assert result.changes == {"units": 100}
    assert "100 units instead of 200" in result.advice
    assert "fewer epochs (2 were enough)" in result.advice
    unequal_layers = finding_of([200, 100, 60, 40], [180, 90, 95, 99], dropout=0.5, units=(200, 1))
    assert unequal_layers.changes == {"units": (100, 1)}
    assert "100 1 units instead of 200 1" in unequal_layers.advice
    assert diagnose(curves([200, 100, 60, 40], [180, 90, 95, 99], dropout=0.5, units=1)) is None


def test_advice_names_the_dropout_setting_to_change():
    two_rates = replace(
        curves([200, 100, 60, 40], [180, 90, 95, 99]), dropout={"input_dropout": 0.1, "output_dropout": 0.6}
    )
    result = diagnose(two_rates)
    assert result is not None
    assert result.changes == {"input_dropout": 0.2}
    assert "more input dropout (0.2 instead of 0.1), a smaller network" in result.advice
    result = diagnose(replace(two_rates, train=[200, 150, 141, 140.9], valid=[180, 145, 140, 140.1]))
    assert result is not None
    assert (result.changes, result.advice) == (
        {"output_dropout": 0.3},
        "less output dropout (0.3 instead of 0.6) or a larger network",
    )


def test_large_gap_is_overfitted_if_validation_stops_falling():
    result = finding_of([200, 100, 45, 44.9], [180, 110, 90, 90.2])
    assert result.fit == "overfitted"
    assert "in its best epoch, 3, validation perplexity was 90.0 and training perplexity 45.0" in result.observation


def test_falling_validation_perplexity_is_undertrained():
    result = finding_of([200, 150, 120], [180, 140, 126])
    assert result.fit == "undertrained"
    assert "(epoch 3: validation perplexity fell by 10.0%)" in result.observation
    assert result.changes == {"epochs": 24}
    # A validation perplexity far above the training perplexity changes nothing.
    assert finding_of([200, 80, 50], [180, 140, 126]).fit == "undertrained"


def test_plateau_with_small_gap_is_underfitted():
    result = finding_of([200, 150, 141, 140.9], [180, 145, 140, 140.1])
    assert result.fit == "underfitted"
    assert result.changes == {"dropout": 0.15}
    assert result.advice == "less dropout (0.15 instead of 0.3) or a larger network"
    no_dropout = finding_of([200, 150, 141, 140.9], [180, 145, 140, 140.1], dropout=0)
    assert (no_dropout.advice, no_dropout.changes) == ("a larger network", {"units": 1024})
    # The last epoch may be the best, if it is hardly better.
    assert finding_of([150, 141, 140.9], [145, 140, 139.9]).fit == "underfitted"


def test_levelled_off_curves_get_advice_by_their_cause():
    falling_rate = finding_of([90, 80, 75], [88, 79, 78.8], has_constant_rate=False)
    assert (falling_rate.fit, falling_rate.advice) == ("levelled off", "a larger network or more text")
    assert falling_rate.changes == {"units": 1024}
    assert falling_rate.observation == (
        "has levelled off (in its last epoch, epoch 3, validation perplexity fell by 0.3% and training perplexity fell "
        "by 6.2%), as any run does when the learning rate falls"
    )
    only_train_falls = finding_of([90, 80, 71], [88, 79, 78.8])
    assert (only_train_falls.fit, only_train_falls.changes) == ("levelled off", {"dropout": 0.4})
    neither_falls = finding_of([90, 64, 63.9], [88, 79, 78.99])
    assert (neither_falls.fit, neither_falls.changes) == ("levelled off", {"units": 1024})
    assert (
        "validation perplexity fell by less than 0.1% and training perplexity did not change"
        in neither_falls.observation
    )
    assert diagnose(curves([90, 64, 50], [88, 60, 59.9], dropout=0.5, units=1)) is None  # the network cannot be smaller


@pytest.mark.parametrize(
    ("valid", "expected"),
    [
        ([56.7, 41.8, 39.3, 38.5], False),  # recipe head-start on lotr: more epochs gave no better model
        ([56.7, 41.8, 39.3, 37.9], True),
        ([55.5, 48.7], True),
        ([90, 80, 70, 60, 55, 54, 52.5, 52], True),  # the last quarter has two epochs
        ([90, 80, 70, 60, 55, 53, 52.5, 52.2], False),
        ([90, 80, 70, 71], False),
    ],
)
def test_undertrained_needs_larger_gain_if_rate_falls(valid: list[float], expected: bool):
    train = [perplexity * 1.1 for perplexity in valid]
    assert still_falling(valid, has_constant_rate=False) is expected
    result = diagnose(curves(train, valid, has_constant_rate=False, has_base=True))
    assert (result is not None and result.fit == "undertrained") is expected
    assert result is None or ("longer training" in result.advice) is expected


def test_finding_says_number_of_last_epochs():
    result = finding_of([90] * 8, [90, 80, 70, 60, 55, 54, 52, 51], has_constant_rate=False)
    assert result.observation == "was still improving in its last 2 epochs (validation perplexity fell by 5.6%)"


def test_advice_never_resizes_a_network_with_base():
    """wordgen would refuse a command with a size that does not fit the base."""
    findings = [
        finding_of([200, 100, 60, 40, 30], [180, 110, 90, 95, 99], has_base=True),
        finding_of([200, 100, 60, 40], [180, 90, 95, 99], dropout=0.5, has_base=True),
        finding_of([90, 64, 63.9], [88, 79, 78.99], has_base=True),
        finding_of([90, 80, 75], [88, 79, 78.8], has_constant_rate=False, has_base=True),
    ]
    assert [each.fit for each in findings] == ["overfitted", "overfitted", "levelled off", "levelled off"]
    assert [each.changes for each in findings] == [{"dropout": 0.4}, {}, {}, {}]
    assert findings[0].advice == "more dropout (0.4 instead of 0.3) or more text"
    assert {each.advice for each in findings[1:]} == {"more text"}


def test_underfitted_network_with_base_gets_less_dropout():
    """More text does not help a network that does not learn the text that it has."""
    train, valid = [200, 150, 141, 140.9], [180, 145, 140, 140.1]
    result = finding_of(train, valid, has_base=True)
    assert (result.fit, result.advice) == ("underfitted", "less dropout (0.15 instead of 0.3)")
    assert diagnose(curves(train, valid, dropout=0, has_base=True)) is None


@pytest.mark.parametrize("has_constant_rate", [True, False])
@pytest.mark.parametrize("last", [78.99, 78.7, 78.0, 70.0])
@pytest.mark.parametrize("train", [78.0, 70.0, 40.0])
def test_best_last_epoch_always_gets_advice(train: float, last: float, *, has_constant_rate: bool):
    assert diagnose(curves([90, 80, train], [88, 79, last], has_constant_rate=has_constant_rate)) is not None


def test_incomplete_last_epoch_is_not_called_complete():
    improved = finding_of([200, 80, 70, 68], [180, 73.5, 60.6, 58.3], last_epoch_interrupted=True)
    assert improved.observation == (
        "was still improving when it ended in the middle of epoch 4 (validation perplexity fell by 3.8% after epoch 3)"
    )
    assert still_falling([180, 73.5, 60.6, 58.3], last_epoch_interrupted=True)
    for last in (60.5, 60.7):  # hardly a change after a few steps of epoch 4
        seen = finding_of([200, 80, 70, 68], [180, 73.5, 60.6, last], last_epoch_interrupted=True).observation
        assert seen == "was still improving in its last whole epoch (epoch 3: validation perplexity fell by 17.6%)"
        assert still_falling([180, 73.5, 60.6, last], last_epoch_interrupted=True)
        assert not still_falling([180, 60.7, 60.6, last], last_epoch_interrupted=True)
    worse = [180, 73.5, 60.6, 70]
    assert finding_of([200, 80, 70, 60], worse, last_epoch_interrupted=True).fit == "overfitted"
    assert not still_falling(worse, last_epoch_interrupted=True)
    assert diagnose(curves([200, 150], [180, 179.9], last_epoch_interrupted=True)) is None  # only one complete epoch


def test_overfitting_or_falling_rate_is_not_underfitted():
    """With dropout, training perplexity is above validation perplexity in good runs, too."""
    assert diagnose(curves([90, 80, 75, 71], [88, 79, 78.5, 78.8])) is None
    assert diagnose(curves([200, 150, 141, 140.9], [180, 145, 140, 140.1], has_constant_rate=False)) is None


@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_diverged_run_needs_smaller_learning_rate(epochs: int):
    result = finding_of([200, 100, 90][:epochs], [180, 90, 80][:epochs], diverged=True)
    assert (result.fit, result.observation, result.changes) == (
        "unstable",
        f"diverged in epoch {epochs + 1}",
        {"learning_rate": 0.0003},
    )
    assert result.advice == "a smaller learning rate (0.0003 instead of 0.001)"


def test_both_perplexities_rising_is_unstable():
    result = finding_of([200, 100, 130, 160], [180, 110, 140, 170])
    assert result.fit == "unstable"
    assert result.changes == {"learning_rate": 0.0003}
    assert "after epoch 2, training and validation perplexity rose by 60% and 55%" in result.observation


@pytest.mark.parametrize(
    ("train", "valid"),
    [
        ([], []),
        ([100], [90]),  # only one epoch
        ([200, 100, 99.9], [180, 125, 125.2]),  # levelled off, with a usual gap
        ([200, 100, 99.9], [180, 125, 127]),  # validation rose, training did not change
    ],
)
def test_unclear_curves_give_no_finding(train: list[float], valid: list[float]):
    assert diagnose(curves(train, valid)) is None


@pytest.mark.parametrize(
    ("own", "ngram", "unigram", "expected"),
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
def test_verdict_compares_with_ngram_and_word_frequencies(
    own: float, ngram: float | None, unigram: float | None, expected: str | None
):
    losses = [None if perplexity is None else loss(perplexity) for perplexity in (unigram, ngram)]
    assert verdict(loss(own), None, *losses, order=5) == expected


def test_insignificant_difference_is_as_good():
    """The other model is better in some passages and worse in others."""
    passages = np.array([[40.0, 10.0], [36.0, 10.0]] * 10)  # nats and tokens of each
    model, other = (
        Loss(float(blocks[:, 0].sum()), 200, blocks)
        for blocks in (passages, np.add(passages, [[4.0, 0], [-3.0, 0]] * 10))
    )
    assert other.perplexity / model.perplexity > 1.05
    assert verdict(model, None, None, other, order=5) == (
        "The model is as good as the 5-gram (44.7 against 47.0), because the difference may be chance on so little "
        "text."
    )
    assert not clearly_better(model, other)
    worse_everywhere = Loss(float(passages[:, 0].sum() + 10), 200, np.add(passages, [0.5, 0]))
    assert verdict(model, None, None, worse_everywhere, order=5) == (
        "The model is better than the 5-gram: its perplexity is 5% lower (44.7 against 47.0)."
    )
    assert clearly_better(model, worse_everywhere)


def test_verdict_is_one_sentence_with_or_without_comparison():
    result = Finding("undertrained", "was still getting better", "longer training")
    assert verdict(loss(40), result, loss(100), loss(40), order=5) == (
        "The model is as good as the 5-gram (40.0 against 40.0); it was still getting better, so try longer training."
    )
    assert verdict(loss(40), result, None, None, order=5) == "It was still getting better, so try longer training."


def test_small_perplexities_have_one_more_digit():
    assert [shown_perplexity(value) for value in (3.994, 9.99, 10.04, 1234.56)] == ["3.99", "9.99", "10.0", "1,234.6"]
    expected = "The model is better than the 7-gram: its perplexity is 3% lower (3.99 against 4.10)."
    assert verdict(loss(3.99), None, loss(27), loss(4.1), order=7) == expected


def test_large_numbers_are_rounded_to_four_digits_at_most():
    numbers = (999_999, 10**6, 999_949_999, 999_950_000, 1_250_000_000)
    assert list(map(rounded, numbers)) == ["999,999", "1.0 million", "999.9 million", "1.0 billion", "1.2 billion"]
