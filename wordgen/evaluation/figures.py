"""Format figures for screens and pages."""

import math
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

Item = TypeVar("Item")

NONE = "\N{EN DASH}"
"""Shown in place of a figure or value that there is not."""


def shown_perplexity(value: float) -> str:
    """Return a perplexity with one decimal, or with two if it is below 10, as those of characters are."""
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}"


def with_margin(shown: str, margin: float | None, digits: int) -> str:
    """Return a figure with its margin after "±". If the margin is None, return the figure alone."""
    return shown if margin is None else f"{shown} ± {margin:,.{digits}f}"


def perplexity_in_words(value: float, margin: float | None) -> str:
    return with_margin(shown_perplexity(value), margin, 2 if value < 10 else 1)


MARGIN_EXPLAINED = "± gives a 95% confidence interval, because other text of the same kind would give other figures."


def perplexity(value: float | None, margin: float | None = None) -> str:
    if value is None or not math.isfinite(value):
        return "not finite"
    return perplexity_in_words(value, margin) if value < 1e9 else f"{value:.1e}"


def bits(value: float | None, margin: float | None = None) -> str:
    return "not finite" if value is None else with_margin(f"{value:.3f}", margin, 3)


def share(value: float | None) -> str:
    return NONE if value is None else f"{value:.1%}"


def rounded(number: int) -> str:
    """Return a large number in few digits, as "1.2 million". Numbers below a million keep all their digits."""
    if number >= 999_950_000:  # as millions, it would be rounded to "1000.0 million"
        return f"{number / 10**9:.1f} billion"
    if number >= 10**6:
        return f"{number / 10**6:.1f} million"
    return f"{number:,}"


def shown_duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def shown_date(written: str) -> str:
    """Return a time from a report without its seconds. Return text that is no time in ISO format unchanged."""
    try:
        return f"{datetime.fromisoformat(written):%Y-%m-%d, %H:%M %Z}".strip()
    except ValueError:
        return written


def shown_value(value: object) -> str:
    """Return the value of a setting for display: a dash for None, yes or no for a bool, else as a user types it."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def sparkline(values: Sequence[float], every: Sequence[float]) -> str:
    """Return a character for each value, which is a bar. Its height is the logarithm of the value.

    `every` are all values of the curves that are shown together: the least has the lowest bar and the greatest the
    highest one. Values that have no logarithm, or are infinite, get the highest bar. If standard output
    cannot show bars, the characters are the digits 1 to 8.
    """
    known = [math.log(value) for value in every if 0 < value < math.inf]
    least, room = min(known, default=0.0), (max(known, default=0.0) - min(known, default=0.0)) or 1.0
    levels = "▁▂▃▄▅▆▇█"
    try:
        levels.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        levels = "12345678"
    highest = len(levels) - 1
    return "".join(
        levels[round((math.log(value) - least) / room * highest) if 0 < value < math.inf else highest]
        for value in values
    )


def thinned(items: Sequence[Item], most: int, always_kept: Item | None) -> list[Item]:
    """Return all items, or if there are more than `most`, every n-th one, and also the last one and `always_kept`."""
    step = -(-len(items) // most)
    last = len(items) - 1
    return [each for at, each in enumerate(items) if at % step == 0 or at == last or each is always_kept]
