"""How large a difference chance alone would make: Welch's t, from the spread of each network between random seeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import variance

from wordgen.evaluation.uncertainty import student_quantile

Weighted = tuple[float, Sequence[float]]
"""How much a network's mean counts in a difference, and its log perplexities, one for each random seed."""


@dataclass(frozen=True)
class Chance:
    """What random seeds do to a network's log perplexity."""

    deviation: float
    """The standard deviation between random seeds of one network, over all networks together."""
    widest: float
    """That of the network in which it is largest."""


def chance_of(groups: Sequence[Sequence[float]]) -> Chance | None:
    """From the log perplexities of several networks; nothing where none has two random seeds."""
    spreads = [(variance(group), len(group) - 1) for group in groups if len(group) > 1]
    if not spreads:
        return None
    pooled = sum(spread * freedom for spread, freedom in spreads) / sum(freedom for _, freedom in spreads)
    return Chance(sqrt(pooled), sqrt(max(spread for spread, _ in spreads)))


def half_width(networks: Iterable[Weighted], comparisons: int) -> float:
    """How far a weighted sum of means may be off, with 95% certainty for so many comparisons together (Bonferroni).

    Each network has its own variance, for some spread more than others (Welch), and two random seeds at least.
    """
    parts = [(weight**2 * variance(logs) / len(logs), len(logs) - 1) for weight, logs in networks]
    total = sum(part for part, _ in parts)
    if total == 0:
        return 0.0
    freedom = total**2 / sum(part**2 / own for part, own in parts)  # Satterthwaite
    return student_quantile(0.05 / (2 * max(1, comparisons)), freedom) * sqrt(total)
