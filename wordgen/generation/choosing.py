"""From logits to the next symbol.

What changes the odds is a pure function of a batch of logits, and the one order in which the changes
are made stands in `odds_changes`.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from wordgen.generation.settings import GenerationSettings
from wordgen.text.vocabulary import START, UNKNOWN

Logits = NDArray[np.float64]
OddsChange = Callable[[Logits], Logits]


def odds_changes(settings: GenerationSettings) -> list[OddsChange]:
    """What is done to the logits, in this order: forbidden symbols out, then temperature."""
    return [forbid([UNKNOWN, START]), warm(settings.temperature)]


def forbid(ids: Sequence[int]) -> OddsChange:
    def change(logits: Logits) -> Logits:
        changed = logits.copy()
        changed[:, ids] = -np.inf
        return changed

    return change


def warm(temperature: float) -> OddsChange:
    """Divide by the temperature; the likeliest is set to 0 first, so that no temperature overflows."""

    def change(logits: Logits) -> Logits:
        return (logits - logits.max(axis=1, keepdims=True)) / temperature

    return change


def likeliest(logits: Logits) -> NDArray[np.intp]:
    return logits.argmax(axis=1)


def draw(logits: Logits, dice: Sequence[np.random.Generator]) -> NDArray[np.intp]:
    """One symbol a row, by its odds; every row has dice of its own, so rows do not depend on each other."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    sums = odds.cumsum(axis=1)
    thrown = np.array([row_dice.random() for row_dice in dice]) * sums[:, -1]
    return np.array([np.searchsorted(row, at, side="right") for row, at in zip(sums, thrown, strict=True)])
