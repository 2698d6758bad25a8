"""The learning rate of each step, the end of a run, and the begin of averaging."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.errors import SettingError
from wordgen.training.checkpoint import Position
from wordgen.training.plan import Schedule, has_constant_rate
from wordgen.training.reports import EpochReport
from wordgen.training.settings import TrainingSettings


def rates(steps: int, epochs: list[bool] | None = None, **settings: object) -> list[float]:
    """The rates of all steps of a run with 10 steps per epoch, divided by the learning rate."""
    chosen = TrainingSettings(learning_rate=2.0, **settings)  # pyright: ignore[reportArgumentType]
    reports = [
        EpochReport(n, 10 * n, train_perplexity=9.0, valid_perplexity=9.0, best=best, seconds=1.0)
        for n, best in enumerate(epochs or [], start=1)
    ]
    schedule = Schedule(chosen, 10, steps)
    return [schedule.rate(step, reports) / 2.0 for step in range(1, steps + 1)]


def test_constant_rate():
    assert set(rates(50)) == {1.0}


def test_exponential_decays_after_decay_after():
    assert rates(50, schedule="exponential", decay_after=2, decay=0.5)[::10] == [1.0, 1.0, 0.5, 0.25, 0.125]
    assert rates(20, schedule="exponential", decay_after=1)[9:11] == pytest.approx([1.0, 0.8])


def test_plateau_decays_after_each_epoch_without_improvement():
    assert rates(1, [True, False, True, False], schedule="plateau") == [0.25]
    assert rates(1, [True, True], schedule="plateau") == [1.0]
    assert rates(1, [True, False], schedule="plateau", decay=0.25) == [0.25]


def test_better_validation_within_an_epoch_is_an_improvement():
    better = EpochReport(
        2, 20, train_perplexity=9.0, valid_perplexity=9.0, best=False, seconds=1.0, best_within_epoch=True
    )
    worse = EpochReport(3, 30, train_perplexity=9.0, valid_perplexity=9.0, best=False, seconds=1.0)
    schedule = Schedule(TrainingSettings(learning_rate=2.0, schedule="plateau"), 10, 90)
    assert schedule.rate(21, [better]) == 2.0
    assert schedule.rate(31, [better, worse]) == 1.0


def test_cosine_warms_up_and_falls_to_a_fiftieth():
    found = rates(100, schedule="cosine", warm_up=20)
    assert found[:20] == pytest.approx([step / 20 for step in range(1, 21)])
    assert found[59] == pytest.approx(0.51)  # halfway from 20 to 100
    assert found[-1] == pytest.approx(0.02)
    assert all(one > other for one, other in pairwise(found[19:]))


def test_default_warm_up_of_cosine_depends_on_the_steps():
    assert rates(10_000, schedule="cosine")[199] == 1.0
    assert rates(10_000, schedule="cosine")[99] == pytest.approx(0.5)
    assert rates(100, schedule="cosine")[9] == 1.0


def test_warm_up_works_with_a_constant_rate():
    assert rates(4, warm_up=4) == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize(
    ("schedule", "best", "expected"),
    [
        ("constant", [True, False, False], True),
        ("cosine", [True, True, True], False),
        ("plateau", [True, True, True], True),
        ("plateau", [True, True, False], True),  # the rate falls only after the last epoch
        ("plateau", [True, False, True], False),
        ("exponential", [True, True], True),
        ("exponential", [True, True, True], False),
        ("plateau", [], False),
        ("constant", [], True),
    ],
)
def test_rate_stayed_if_no_epoch_had_a_lower_rate(schedule: Any, best: list[bool], expected: bool):
    reports = [
        EpochReport(n, 10 * n, train_perplexity=9.0, valid_perplexity=9.0, best=each, seconds=1.0)
        for n, each in enumerate(best, start=1)
    ]
    settings = TrainingSettings(schedule=schedule, decay_after=2, warm_up=500 if schedule == "constant" else None)
    assert has_constant_rate(settings, 10, reports) is expected


@pytest.mark.parametrize("text", ["20", "m", "0s", "-5m", "nanh", "infm", "20 minutes"])
def test_invalid_time_budget_is_refused(text: str):
    with pytest.raises(SettingError, match="--time-budget must be seconds, minutes or hours"):
        TrainingSettings(time_budget=text)


def test_time_budget_is_read_in_seconds():
    assert [TrainingSettings(time_budget=text).budget for text in ("90s", "1.5m", "2h")] == [90, 90, 7200]
    assert TrainingSettings().budget is None


@pytest.mark.parametrize(
    ("epoch", "best_epoch", "settings", "reason"),
    [
        (1, 0, {"patience": 1}, None),
        (3, 2, {}, None),
        (4, 3, {}, "all epochs done"),
        (4, 1, {"patience": 2}, "all epochs done"),
        (4, 3, {"time_budget": "9s"}, "time budget used up"),
        (3, 1, {"patience": 1}, "no improvement for 1 epoch"),
        (3, 1, {"patience": 2}, None),
    ],
)
def test_reason_to_end(epoch: int, best_epoch: int, settings: dict[str, Any], reason: str | None):
    position = Position(epoch=epoch, best_epoch=best_epoch)
    for last_step in (21, 30):  # in the middle of the third epoch of ten steps, and at its end
        assert Schedule(TrainingSettings(**settings), 10, last_step).reason_to_end(position) == reason


def test_last_step_of_the_position_overrides_the_epochs():
    settings = TrainingSettings(epochs=3)
    assert Schedule.of(settings, 10, Position()).last_step == 30
    assert Schedule.of(settings, 10, Position(last_step=17)).last_step == 17


def averaging_begins(perplexities: list[float], average_after: int | None) -> int | None:
    """The number of epochs after which averaging begins."""
    settings = TrainingSettings(average_after=average_after, patience=99)
    reports = [
        EpochReport(n, n, train_perplexity=9.0, valid_perplexity=valid, best=True, seconds=1.0)
        for n, valid in enumerate(perplexities, start=1)
    ]
    return Schedule(settings, 1, 1000).averaging_begins(reports)


@pytest.mark.parametrize(
    ("perplexities", "average_after", "begins"),
    [
        ([9, 8, 7, 6], 0, None),
        ([9, 8, 8.5], 0, 3),
        ([9, 8, 8.5, 7, 6, 5], 0, 3),  # averaging does not end
        ([9, 8, 8.5], 1, None),  # 8.5 is compared with 9 only
        ([9, 8, 8.5, 8.2], 1, 4),
        ([9, 8, 8.5, 8.2], None, None),
        ([9], 5, None),
    ],
)
def test_averaging_begins_after_a_worse_epoch(perplexities: list[float], average_after: int | None, begins: int | None):
    assert averaging_begins(perplexities, average_after) == begins


@given(st.lists(st.floats(1, 100), max_size=12), st.integers(1, 5))
def test_averaging_begins_as_in_awd_lstm(perplexities: list[float], nonmono: int):
    """The rule of AWD-LSTM, with the losses of the earlier epochs in a list."""
    logs: list[float] = []
    expected = None
    for epoch, loss in enumerate(perplexities, start=1):
        if expected is None and len(logs) > nonmono and loss > min(logs[:-nonmono]):
            expected = epoch
        logs.append(loss)
    assert averaging_begins(perplexities, nonmono) == expected


def test_label_smoothing_with_sampled_output_is_refused():
    with pytest.raises(SettingError, match="--label-smoothing needs all tokens"):
        TrainingSettings(sampled_output=100, label_smoothing=0.1)


def test_patience_too_short_for_averaging_is_refused():
    with pytest.raises(SettingError, match=r"--average-after 3 begins 4 epochs after the best.*give --patience 5"):
        TrainingSettings(average_after=3, patience=4)
    assert TrainingSettings(average_after=3, patience=5).average_after == 3
