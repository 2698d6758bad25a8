"""Where the lines of a chart's grid go."""

import math
from dataclasses import dataclass
from itertools import pairwise

_ROOM = 0.05
"""Share of an axis that is left free above and below."""
_FAR_APART = 4.0
"""From this ratio of the greatest to the least on, each tenfold gets as much room as the next."""


@dataclass(frozen=True)
class Axis:
    """From values to places between 0 and 1, and the values that are written beside it."""

    low: float
    high: float
    logarithmic: bool
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def axis_from_zero(last: float, most_ticks: int) -> Axis:
    """Of whole numbers, such as epochs."""
    return Axis(0.0, last, False, _even_ticks(0.0, last, most_ticks, least_step=1.0))


def axis_around(values: list[float], most_ticks: int) -> Axis:
    """Around positive values, with some room at both ends."""
    least, greatest = min(values), max(values)
    if greatest / least >= _FAR_APART:
        room = (greatest / least) ** _ROOM
        low, high = least / room, greatest * room
        return Axis(low, high, True, _tenfold_ticks(low, high, most_ticks))
    room = _ROOM * (greatest - least) or _ROOM * greatest
    low, high = least - room, greatest + room
    return Axis(low, high, False, _even_ticks(low, high, most_ticks))


def shown_tick(value: float) -> str:
    if value >= 1e6 or 0 < value < 1e-3:
        digits, power = f"{value:.0e}".split("e")
        return f"{digits}e{int(power)}"
    return f"{value:,.10g}"


def _even_ticks(low: float, high: float, most: int, least_step: float = 0.0) -> tuple[float, ...]:
    """So many at most, at steps of 1, 2 or 5 times a power of ten."""
    rough = max((high - low) / most, least_step)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(times * power for times in (1, 2, 5, 10, 20) if times * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(round(number * step, 12) for number in range(first, last + 1))


def _tenfold_ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    """As many multiples of each power of ten as leave room between two; or some of the powers alone."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    least_ratio = (high / low) ** (1 / most)
    for digits in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 4, 6, 8), (1, 2, 4, 6), (1, 2, 5), (1, 3), (1,)):
        ticks = [digit * 10.0**power for power in powers for digit in digits if low <= digit * 10.0**power <= high]
        if all(above / below >= least_ratio for below, above in pairwise(ticks)):
            return tuple(ticks)
    every = math.ceil(len(powers) / most)
    return tuple(10.0**power for power in powers[::every] if low <= 10.0**power <= high)
