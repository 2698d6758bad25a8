"""How large a difference chance alone would make: Student's t, from the spread between random seeds."""

from dataclasses import dataclass
from functools import cache
from math import atan, cos, exp, lgamma, log, pi, sqrt

_WIDEST = 1e7


@dataclass(frozen=True)
class Chance:
    """What random seeds do to a network's log perplexity, as far as the networks show it together."""

    deviation: float
    """The standard deviation between random seeds of one network, pooled over all."""
    freedom: int
    """Of how many differences between random seeds that was computed."""

    def half_width(self, variance: float, comparisons: int) -> float:
        """How far a difference may be off, with 95% certainty for so many comparisons together (Bonferroni).

        `variance` is the difference's, in units of that between random seeds.
        """
        return student_quantile(1 - 0.05 / (2 * max(1, comparisons)), self.freedom) * self.deviation * sqrt(variance)


def pooled(groups: list[list[float]]) -> Chance | None:
    """From the log perplexities of several networks, one list each; nothing where none has two random seeds."""
    freedom = sum(len(group) - 1 for group in groups if group)
    if freedom < 1:
        return None
    squares = sum((value - sum(group) / len(group)) ** 2 for group in groups for value in group)
    return Chance(sqrt(squares / freedom), freedom)


@cache
def student_quantile(share: float, freedom: int) -> float:
    """The value that Student's t of so many degrees of freedom stays below with such a share, which is over a half."""
    low, high = 0.0, 1.0
    while student_share(high, freedom) < share and high < _WIDEST:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if student_share(middle, freedom) < share else (low, middle)
    return high


def student_share(value: float, freedom: int) -> float:
    """With which share Student's t stays below a value that is not negative.

    With t = sqrt(freedom) * tan(angle) what is integrated is a power of the cosine, smooth and of finite length.
    """
    end = atan(value / sqrt(freedom))
    factor = exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2) - 0.5 * log(pi))
    steps = 400  # Simpson's rule
    width = end / steps
    heights = [cos(width * step) ** (freedom - 1) for step in range(steps + 1)]
    weighted = heights[0] + heights[-1] + 4 * sum(heights[1:-1:2]) + 2 * sum(heights[2:-1:2])
    return 0.5 + factor * weighted * width / 3
