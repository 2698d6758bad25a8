"""The axes of a chart: round ticks with space between them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.report.chart import MAX_TICKS, axis_around, axis_from_zero, shown_tick

PERPLEXITIES = st.floats(1.0, 1e100)


@given(st.lists(PERPLEXITIES, min_size=1, max_size=20))
def test_axis_contains_values_and_spreads_ticks(values: list[float]):
    axis = axis_around(values)
    assert all(-1e-9 <= axis.position_of(value) <= 1 + 1e-9 for value in values)
    places = [axis.position_of(tick) for tick in axis.ticks]
    assert all(-1e-6 <= place <= 1 + 1e-6 for place in places)
    assert all(upper - lower > 0.9 / MAX_TICKS for lower, upper in pairwise(places))


@given(st.floats(0.01, 1e6))
def test_ticks_of_epochs_are_whole_numbers(last: float):
    axis = axis_from_zero(last)
    assert axis.ticks[0] == 0
    assert len(axis.ticks) <= MAX_TICKS + 1
    assert all(tick == int(tick) for tick in axis.ticks)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([30, 34], [30, 31, 32, 33, 34]),
        ([22, 107], [30, 40, 60, 80, 100]),
        ([8, 3000], [10, 30, 100, 300, 1000, 3000]),
        ([5], [4.8, 4.9, 5.0, 5.1, 5.2]),
    ],
)
def test_ticks_are_round_numbers(values: list[float], ticks: list[float]):
    assert list(axis_around(values).ticks) == pytest.approx(ticks)


def test_only_wide_ranges_are_logarithmic():
    assert axis_around([10, 100]).logarithmic
    assert not axis_around([10, 30]).logarithmic


def test_tick_labels_are_short():
    assert [shown_tick(each) for each in (0, 2.5, 3000, 1e6, 2e15)] == ["0", "2.5", "3,000", "1e6", "2e15"]


@pytest.mark.parametrize("values", [[30, 34], [22, 107], [1e6, 2e6], [1.1e6, 5e6], [3e7, 3.1e7], [1e30, 9e30]])
def test_tick_labels_are_their_values(values: list[float]):
    ticks = axis_around(values).ticks
    assert [float(shown_tick(each).replace(",", "")) for each in ticks] == pytest.approx(ticks, rel=1e-9)
