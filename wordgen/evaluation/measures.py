"""The loss of predicting a text, the uncertainty of that figure, and the loss of word frequencies alone.

The uncertainty is a 95% confidence interval. A block bootstrap gives the standard error, and Student's t turns it into
the interval. Neighbouring tokens depend on each other. The bootstrap therefore does not draw single tokens, but whole
passages or blocks of neighbouring tokens. The interval says how much the figure would vary if other passages of the
same kind were measured.
"""

import math
from dataclasses import dataclass, field
from functools import cache, cached_property
from math import exp, lgamma, log, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from wordgen.dataset.dataset import counted
from wordgen.text.vocabulary import END, START

Blocks = NDArray[np.float64]
"""An array of shape (blocks, 2). For each block of a text, it has the sum of the losses of the tokens in nats, and the
number of tokens."""
_FEWEST_PASSAGES = 8
"""A text with fewer passages is cut into blocks of tokens instead."""
_MOST_BLOCKS = 500
_FEWEST_TOKENS = 25
"""The least number of tokens in a block of tokens, unless the whole text is shorter."""
_DRAWS = 2000
_TAIL = 0.025

_MOST_FREEDOM = 1000.0
"""The highest number of degrees of freedom that is used. A higher number is replaced by this one. Above it, Student's t
is the normal distribution to three digits. The replacement can only make an interval wider."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(100)
_PLACES = (_NODES + 1) / 2


def blocks_of(nats: NDArray[np.floating], ids: NDArray[np.integer]) -> Blocks:
    """Return the blocks of a text, in their order.

    `ids` are the ids of the text. `nats` are the losses of its predicted tokens, in their order.
    """
    bounds = _bounds(ids[1:][ids[1:] != START])
    sums = np.concatenate([np.zeros(1), np.cumsum(nats, dtype=np.float64)])[bounds]
    return np.stack([np.diff(sums), np.diff(bounds)], axis=1).astype(np.float64)


def _bounds(targets: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return where blocks begin and end, as indices of the predicted tokens.

    The bounds depend on the tokens alone, so that all models measured on the same passages have the same blocks.
    """
    bounds = np.concatenate([[0], np.flatnonzero(targets == END) + 1])
    if bounds[-1] < len(targets):
        bounds = np.append(bounds, len(targets))
    passages = len(bounds) - 1
    if passages >= _FEWEST_PASSAGES:
        return bounds[np.linspace(0, passages, min(passages, _MOST_BLOCKS) + 1).astype(np.int64)]
    blocks = max(1, min(_MOST_BLOCKS, len(targets) // _FEWEST_TOKENS))
    return np.linspace(0, len(targets), blocks + 1).astype(np.int64)


def half_width(blocks: Blocks, tail: float = _TAIL) -> float | None:
    """Return half the width of the 95% confidence interval of the mean loss, in nats per token.

    Return None if there are fewer than two blocks. `blocks` belong to one figure, or to the difference of two figures
    that were measured on the same blocks. `tail` is the probability that the mean is off by more, on each side; 0.025
    gives a certainty of 95%.
    """
    number = len(blocks)
    if number < 2:
        return None
    nats, tokens = (_draws(number) @ blocks).T
    error = float(np.std(nats / np.maximum(tokens, 1), ddof=1)) * sqrt(number / (number - 1))
    return student_quantile(tail, number - 1) * error


@cache
def _draws(blocks: int) -> NDArray[np.float32]:
    """Return how often each block is drawn in each draw of the bootstrap, in the shape (draws, blocks).

    Each draw takes as many blocks as there are, with replacement. The random seed is fixed, so the result is always the
    same.
    """
    return np.random.default_rng(1).multinomial(blocks, np.full(blocks, 1 / blocks), _DRAWS).astype(np.float32)


@cache
def student_quantile(tail: float, freedom: float) -> float:
    """Return the value that Student's t exceeds with the probability `tail`, which must be less than 0.5.

    The degrees of freedom must be at least 1 and need not be whole. The value is found by Newton's method on the
    logarithms of value and probability. As the value rises, the probability falls faster and faster on this scale.
    Newton's method therefore converges from any start.
    """
    freedom = min(freedom, _MOST_FREEDOM)
    value = 1.0
    for _ in range(50):
        above = student_tail(value, freedom)
        density = _factor(freedom) / sqrt(freedom) * (1 + value**2 / freedom) ** (-(freedom + 1) / 2)
        step = min(1.0, log(above / tail) * above / (density * value))
        value *= exp(step)
        if abs(step) < 1e-10:
            break
    return value


def student_tail(value: float, freedom: float) -> float:
    """Return the probability that Student's t exceeds `value`, which must not be negative.

    The substitution t = sqrt(freedom) / tan(angle) leaves a power of the sine to integrate, from 0 to a known angle. A
    fractional power is not smooth at 0. The angle is therefore replaced by the fourth power of a new variable, which
    makes the function smooth at 0.
    """
    freedom = min(freedom, _MOST_FREEDOM)
    end = float(np.arctan2(sqrt(freedom), value))
    heights = np.sin(end * _PLACES**4) ** (freedom - 1) * 4 * _PLACES**3
    return _factor(freedom) * end * float(heights @ _WEIGHTS) / 2


def _factor(freedom: float) -> float:
    return exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2)) / sqrt(pi)


_TOKENS_A_STREAM = 1000
_MOST_STREAMS = 16


def streams_for(tokens: int) -> int:
    """Return the number of parallel streams in which a text is read: one per 1,000 tokens, at least 1, at most 16.

    Each stream begins with an empty state. With so few streams, the higher loss at their beginnings does not matter.
    """
    return max(1, min(_MOST_STREAMS, tokens // _TOKENS_A_STREAM))


def predicted_tokens(ids: NDArray[np.integer]) -> int:
    """Return how many tokens of a text a model predicts.

    These are all tokens but START. The first token of a text that does not begin with START is not predicted either.
    """
    return int((ids[1:] != START).sum())


def perplexity_of(mean_loss: float) -> float:
    """Return the exponential of the mean loss in nats; infinity if the result is too large for a float."""
    return math.exp(mean_loss) if mean_loss < 700 else math.inf


@dataclass(frozen=True)
class Loss:
    """The loss of predicting a text: the sum over all its predicted tokens, in nats."""

    nats: float
    tokens: int
    """The number of predicted tokens. These are all tokens but START. The first token of a text that does not begin
    with START is not predicted either."""
    blocks: Blocks | None = field(default=None, compare=False, repr=False)
    """The loss by blocks of the text, from which the uncertainty is computed. None if it is unknown."""

    def __post_init__(self) -> None:
        if self.blocks is not None and (self.blocks.ndim != 2 or self.blocks.shape[1] != 2):
            raise ValueError(f"blocks must have the shape (blocks, 2), not {self.blocks.shape}")

    @classmethod
    def of(cls, nats: NDArray[np.floating], ids: NDArray[np.integer]) -> "Loss":
        """Return the loss of a text, given its ids and the losses of its predicted tokens in their order."""
        return cls(float(nats.sum(dtype=np.float64)), len(nats), blocks_of(nats, ids))

    @cached_property
    def may_be_off(self) -> float | None:
        """Half the width of the 95% confidence interval of the mean loss in nats.

        The mean loss is the logarithm of perplexity. None if the uncertainty is unknown.
        """
        return None if self.blocks is None else half_width(self.blocks)

    @property
    def off(self) -> float | None:
        """Half the width of the 95% confidence interval of the perplexity, shown after ±. None if it is unknown."""
        return None if self.may_be_off is None else self.perplexity * math.sinh(min(self.may_be_off, 700.0))

    def off_per(self, characters: int) -> float | None:
        """Return half the width of the 95% confidence interval of the bits per character, or per note."""
        if self.may_be_off is None:
            return None
        return self.may_be_off * self.tokens / math.log(2) / max(1, characters)

    def difference(self, other: "Loss") -> tuple[float, float] | None:
        """Return by how much the mean loss is higher than that of `other`, and how far this may be off.

        Both numbers are in nats per token, the second with 95% certainty. Return None if the two losses are not of the
        same passages, or if their blocks are unknown. A passage that is hard for one model is hard for the other, too.
        The difference is therefore much more certain than the two figures are.
        """
        if self.blocks is None or other.blocks is None or len(self.blocks) != len(other.blocks):
            return None
        if not np.array_equal(self.blocks[:, 1], other.blocks[:, 1]):
            return None
        apart = np.stack([self.blocks[:, 0] - other.blocks[:, 0], self.blocks[:, 1]], axis=1)
        off = half_width(apart)
        return None if off is None else (self._mean - other._mean, off)

    def differs(self, other: "Loss") -> bool | None:
        """Return whether the difference from `other` is larger than its uncertainty. None if that is unknown."""
        found = self.difference(other)
        return None if found is None else abs(found[0]) > found[1]

    @property
    def _mean(self) -> float:
        return self.nats / max(1, self.tokens)

    @property
    def perplexity(self) -> float:
        """The exponential of the mean loss.

        On average, the model was as uncertain as if it had to choose among this number of equally probable tokens.
        """
        return perplexity_of(self._mean)

    def bits_per(self, characters: int) -> float:
        """Return the bits per character. Models can be compared by them even if their tokenizers differ.

        With the number of notes of a piece of music, it returns the bits per note.
        """
        return self.nats / math.log(2) / max(1, characters)

    def nats_per(self, characters: int) -> float:
        """Return the nats per character. If tokens are characters, this is the loss of the network."""
        return self.nats / max(1, characters)

    def nats_off_per(self, characters: int) -> float | None:
        """Return how far the nats per character may be off, with 95% certainty. None if not measured."""
        return None if self.may_be_off is None else self.may_be_off * self.tokens / max(1, characters)

    def to_mapping(self, characters: int, notes: int | None = None) -> dict[str, float | None]:
        """Return perplexity, bits and nats per character, bits per note, and their uncertainties, for JSON output.

        `characters` is the number of characters of the text, and `notes` that of its notes, if it is music.
        """
        return {
            "perplexity": self.perplexity,
            "perplexity_off": self.off,
            "bits_per_character": self.bits_per(characters),
            "bits_per_character_off": self.off_per(characters),
            "nats_per_character": self.nats_per(characters),
            "nats_per_character_off": self.nats_off_per(characters),
            "bits_per_note": self.bits_per(notes) if notes else None,
            "bits_per_note_off": self.off_per(notes) if notes else None,
        }


def unigram_loss(train: NDArray[np.unsignedinteger], split: NDArray[np.unsignedinteger], vocabulary_size: int) -> Loss:
    """Return the loss of a split under the add-one frequencies of the training tokens.

    START is never a target, nor is the first token of the split.
    """
    counts = counted(train, vocabulary_size) + 1.0
    counts[START] = 0
    targets = split[1:][split[1:] != START]
    return Loss.of(-np.log(counts[targets] / counts.sum()), split)


def log_frequencies(train: NDArray[np.unsignedinteger], vocabulary_size: int) -> NDArray[np.float32]:
    """Return the natural logarithms of the add-one frequencies of all tokens, in the shape (vocabulary_size,).

    START, which is never a target, gets the lowest possible count, 1.
    """
    counts = counted(train, vocabulary_size) + 1.0
    counts[START] = 1
    return np.log(counts / counts.sum()).astype(np.float32)
