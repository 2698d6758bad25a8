"""What a loss means."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.evaluation.uncertainty import Blocks, blocks_of, half_width
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
    blocks: Blocks | None = field(default=None, compare=False, repr=False)
    """The same by passages, where that is known: so it can be told how far the figures may be off."""

    @classmethod
    def of(cls, nats: NDArray[np.floating[Any]], ids: NDArray[np.integer[Any]]) -> "Loss":
        """Of the predicted tokens of a text with these ids, in their order."""
        return cls(float(nats.sum(dtype=np.float64)), len(nats), blocks_of(nats, ids))

    @cached_property
    def may_be_off(self) -> float | None:
        """How far the logarithm of perplexity may be off, with 95% certainty."""
        return None if self.blocks is None else half_width(self.blocks)

    @property
    def off(self) -> float | None:
        """The same of perplexity: what stands behind its ±."""
        return None if self.may_be_off is None else self.perplexity * math.sinh(min(self.may_be_off, 700.0))

    def off_per(self, characters: int) -> float | None:
        """The same of the bits for each character."""
        return None if self.may_be_off is None else self.may_be_off * self.bits_per(characters) / self._mean

    def difference(self, other: "Loss") -> tuple[float, float] | None:
        """How much higher its mean loss is than another's, and how far that may be off, both of the same passages.

        What makes a passage hard is hard for both, so this is far surer than what both may be off by themselves.
        """
        if self.blocks is None or other.blocks is None or len(self.blocks) != len(other.blocks):
            return None
        if not np.array_equal(self.blocks[:, 1], other.blocks[:, 1]):
            return None
        apart = np.stack([self.blocks[:, 0] - other.blocks[:, 0], self.blocks[:, 1]], axis=1)
        off = half_width(apart)
        return None if off is None else (self._mean - other._mean, off)

    def differs(self, other: "Loss") -> bool | None:
        """Whether the difference is beyond what it may be off by; nothing where that is not known."""
        found = self.difference(other)
        return None if found is None else abs(found[0]) > found[1]

    @property
    def _mean(self) -> float:
        return self.nats / max(1, self.symbols)

    @property
    def perplexity(self) -> float:
        """Between how many symbols there was hesitation, in the mean."""
        return perplexity_of(self._mean)

    def bits_per(self, characters: int) -> float:
        """In bits for each character, however the text was cut into symbols."""
        return self.nats / math.log(2) / max(1, characters)

    def to_mapping(self, characters: int) -> dict[str, float | None]:
        """Both figures, for programs, of a text that has so many characters, and how far they may be off."""
        return {
            "perplexity": self.perplexity,
            "perplexity_off": self.off,
            "bits_per_character": self.bits_per(characters),
            "bits_per_character_off": self.off_per(characters),
        }
