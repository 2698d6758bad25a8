"""The geometry of a chart: curves by epoch, horizontal lines to compare them with, and one marked point.

The template draws it. The numbers are outside the frame and the names are in a legend below, so that no text covers a
curve.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple

Point = tuple[float, float]
"""An epoch and a perplexity, or x and y in the drawing."""


class Frame(NamedTuple):
    """The size of a chart, and the edges of the frame within it."""

    width: int = 720
    height: int = 400
    left: int = 88
    right: int = 688
    top: int = 44
    bottom: int = 334


FRAME = Frame()
MAX_TICKS = 8
_PERPLEXITY_LIMIT = 1e100
"""Perplexities from this value on are not drawn."""
_MAX_DOTS = 50
"""A curve with more points than this has no dots."""
_PADDING_SHARE = 0.05
"""The share of an axis that stays free above and below the values (of its logarithm, if the axis is logarithmic)."""
_LOGARITHMIC_RATIO = 4.0
"""If the ratio of the largest to the smallest value is at least this, the axis is logarithmic."""


@dataclass(frozen=True)
class Axis:
    """An axis: maps the values from `low` to `high` to positions from 0 to 1. `ticks` are the values with a label."""

    low: float
    high: float
    logarithmic: bool
    ticks: tuple[float, ...]

    def position_of(self, value: float) -> float:
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def chart(
    curves: Mapping[str, Sequence[Point]], levels: Mapping[str, float], marked: Point | None
) -> dict[str, object]:
    """Return a chart for the template: curves and levels, which are given by their CSS classes, and a marked point.

    A curve has several pieces if some of its values cannot be drawn.
    """
    levels = {kind: value for kind, value in levels.items() if _is_drawable(value)}
    values = [value for points in curves.values() for _, value in points if _is_drawable(value)]
    epochs = axis_from_zero(max(epoch for points in curves.values() for epoch, _ in points))
    perplexities = axis_around([*values, *levels.values()] or [1.0])

    def x(epoch: float) -> float:
        return round(FRAME.left + epochs.position_of(epoch) * (FRAME.right - FRAME.left), 1)

    def y(value: float) -> float:
        return round(FRAME.bottom - perplexities.position_of(value) * (FRAME.bottom - FRAME.top), 1)

    def pieces(points: Sequence[Point]) -> list[list[Point]]:
        groups = groupby(points, key=lambda point: _is_drawable(point[1]))
        return [[(x(epoch), y(value)) for epoch, value in piece] for drawn, piece in groups if drawn]

    return {
        "x_ticks": [(x(epoch), shown_tick(epoch)) for epoch in epochs.ticks],
        "y_ticks": [(y(value), shown_tick(value)) for value in perplexities.ticks],
        "logarithmic": perplexities.logarithmic,
        "curves": [(kind, pieces(points), len(points) <= _MAX_DOTS) for kind, points in curves.items()],
        "levels": [(kind, y(value)) for kind, value in levels.items()],
        "marked": (x(marked[0]), y(marked[1])) if marked is not None and _is_drawable(marked[1]) else None,
    }


def _is_drawable(value: float) -> bool:
    return 0 < value < _PERPLEXITY_LIMIT


def axis_from_zero(last: float) -> Axis:
    """Return an axis from 0 to `last` whose ticks are whole numbers, for epochs."""
    return Axis(0.0, last, False, _even_ticks(0.0, last, least_step=1.0))


def axis_around(values: list[float]) -> Axis:
    """Return an axis for positive values with some room at both ends. It is logarithmic if they are far apart."""
    least, greatest = min(values), max(values)
    if greatest / least >= _LOGARITHMIC_RATIO:
        room = (greatest / least) ** _PADDING_SHARE
        low, high = least / room, greatest * room
        return Axis(low, high, True, _tenfold_ticks(low, high))
    room = _PADDING_SHARE * (greatest - least) or _PADDING_SHARE * greatest
    low, high = least - room, greatest + room
    return Axis(low, high, False, _even_ticks(low, high))


def shown_tick(value: float) -> str:
    if value < 1e6:
        return f"{value:,.10g}"
    digits, power = f"{value:.9e}".split("e")
    return f"{float(digits):.10g}e{int(power)}"


def _even_ticks(low: float, high: float, least_step: float = 0.0) -> tuple[float, ...]:
    """Return at most `MAX_TICKS + 1` ticks, at equal steps of 1, 2 or 5 times a power of ten."""
    rough = max((high - low) / MAX_TICKS, least_step)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(times * power for times in (1, 2, 5, 10, 20) if times * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(round(number * step, 12) for number in range(first, last + 1))


def _tenfold_ticks(low: float, high: float) -> tuple[float, ...]:
    """Return ticks on as many multiples of each power of ten as there is room for, or on every n-th power."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    least_ratio = (high / low) ** (1 / MAX_TICKS)
    for digits in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 4, 6, 8), (1, 2, 4, 6), (1, 2, 5), (1, 3), (1,)):
        ticks = [digit * 10.0**power for power in powers for digit in digits if low <= digit * 10.0**power <= high]
        if all(above / below >= least_ratio for below, above in pairwise(ticks)):
            return tuple(ticks)
    every = math.ceil(len(powers) / MAX_TICKS)
    return tuple(10.0**power for power in powers[::every] if low <= 10.0**power <= high)
