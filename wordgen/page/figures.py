"""Numbers as they are shown."""

import math
from datetime import datetime

from wordgen.evaluation.in_words import perplexity_in_words, with_off


def perplexity(value: float | None, off: float | None = None) -> str:
    if value is None or not math.isfinite(value):
        return "beyond any number"
    return perplexity_in_words(value, off) if value < 1e9 else f"{value:.1e}"


def bits(value: float | None, off: float | None = None) -> str:
    return "beyond any number" if value is None else with_off(f"{value:.3f}", off, 3)


def share(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.1%}"


def many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def rough(number: int) -> str:
    """A great number in few digits."""
    for size, name in ((10**9, "billion"), (10**6, "million")):
        if number >= size:
            return f"{number / size:.1f} {name}"
    return f"{number:,}"


def date(written: str) -> str:
    """A moment as the report has it, without its seconds; as it stands where it is none."""
    try:
        return f"{datetime.fromisoformat(written):%Y-%m-%d, %H:%M %Z}".strip()
    except ValueError:
        return written


def value(of_setting: object) -> str:
    """As one would type it."""
    if of_setting is None:
        return "\N{EN DASH}"
    if isinstance(of_setting, bool):
        return "yes" if of_setting else "no"
    return " ".join(map(str, of_setting)) if isinstance(of_setting, list | tuple) else str(of_setting)
