"""Log odds of the next symbol, what stands already where it comes, and what a change of the odds is."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LogOdds = NDArray[np.float32]
"""Natural logarithms of odds, one row a text, one column a symbol; minus infinity is never."""
NO_SYMBOL = -1


@dataclass(frozen=True)
class Past:
    """What stands already in texts that are written side by side."""

    symbols: NDArray[np.intp]
    """One row a text: the seed and what was written, END included and START not. Shorter texts begin later:
    before them stands NO_SYMBOL."""
    written: int
    """How many symbols of each were written, without the seed."""


OddsChange = Callable[[LogOdds, Past], LogOdds]


def log_odds(logits: NDArray[np.floating]) -> LogOdds:
    shifted = np.asarray(logits - logits.max(axis=1, keepdims=True), np.float32)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted
