"""What a loss means."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.text.vocabulary import START

_SYMBOLS_A_STREAM = 1000
_MOST_STREAMS = 16


def streams_for(symbols: int) -> int:
    """In how many parallel streams a text is read: so few that their cold starts do not weigh."""
    return max(1, min(_MOST_STREAMS, symbols // _SYMBOLS_A_STREAM))


def predicted_symbols(ids: NDArray[np.integer[Any]]) -> int:
    """How many of a text's symbols a model predicts: all but START, and but the first of a text without START."""
    return int((ids[1:] != START).sum())


def perplexity_of(mean_loss: float) -> float:
    """e to the mean loss in nats; infinite where that is beyond any number."""
    return math.exp(mean_loss) if mean_loss < 700 else math.inf


@dataclass(frozen=True)
class Loss:
    """What predicting a text has cost, all of its symbols together."""

    nats: float
    symbols: int
    """How many were predicted: all but START, and but the first of a text that has no START."""

    @property
    def perplexity(self) -> float:
        """Between how many symbols there was hesitation, in the mean."""
        return perplexity_of(self.nats / max(1, self.symbols))

    def bits_per(self, characters: int) -> float:
        """In bits for each character, however the text was cut into symbols."""
        return self.nats / math.log(2) / max(1, characters)

    def to_mapping(self, characters: int) -> dict[str, float]:
        """Both figures, for programs, of a text that has so many characters."""
        return {"perplexity": self.perplexity, "bits_per_character": self.bits_per(characters)}
