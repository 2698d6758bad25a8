"""How far a measured figure may be off: a block bootstrap for the standard error, and Student's t for 95% certainty.

Tokens that stand near each other are alike, so what is drawn again are not tokens but whole passages, or blocks of
neighbours: as if other passages of the same kind had been measured.
"""

from functools import cache
from math import exp, lgamma, log, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.text.vocabulary import END, START

Blocks = NDArray[np.float64]
"""For each block of a text, a row: the nats that its tokens cost, and how many tokens they are."""
_FEWEST_PASSAGES = 8
"""With fewer, a text is cut into blocks of tokens instead."""
_MOST_BLOCKS = 500
_FEWEST_TOKENS = 25
"""In a block of tokens."""
_DRAWS = 2000
_TAIL = 0.025

_MOST_FREEDOM = 1000.0
"""With more, Student's t is the normal distribution to three digits, and less can only be too careful."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(100)
_PLACES = (_NODES + 1) / 2


def blocks_of(nats: NDArray[np.floating[Any]], ids: NDArray[np.integer[Any]]) -> Blocks:
    """The blocks of a text with these ids, whose predicted tokens cost so many nats each, in their order."""
    bounds = _bounds(ids[1:][ids[1:] != START])
    sums = np.concatenate([np.zeros(1), np.cumsum(nats, dtype=np.float64)])[bounds]
    return np.stack([np.diff(sums), np.diff(bounds)], axis=1).astype(np.float64)


def _bounds(targets: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Where blocks begin and end among the predicted tokens; the same for the same passages."""
    bounds = np.concatenate([[0], np.flatnonzero(targets == END) + 1])
    if bounds[-1] < len(targets):
        bounds = np.append(bounds, len(targets))
    passages = len(bounds) - 1
    if passages >= _FEWEST_PASSAGES:
        return bounds[np.linspace(0, passages, min(passages, _MOST_BLOCKS) + 1).astype(np.int64)]
    blocks = max(1, min(_MOST_BLOCKS, len(targets) // _FEWEST_TOKENS))
    return np.linspace(0, len(targets), blocks + 1).astype(np.int64)


def half_width(blocks: Blocks, tail: float = _TAIL) -> float | None:
    """How far the mean of the nats may be off with 95% certainty; nothing where one block is all there is.

    So it is for a figure, and for the difference of two that were measured on the same blocks. With another `tail` it
    is off by more on each side with that probability.
    """
    number = len(blocks)
    if number < 2:
        return None
    nats, tokens = (_draws(number) @ blocks).T
    error = float(np.std(nats / np.maximum(tokens, 1), ddof=1)) * sqrt(number / (number - 1))
    return student_quantile(tail, number - 1) * error


@cache
def _draws(blocks: int) -> NDArray[np.float32]:
    """How often each block is drawn: a row for each time that as many are drawn as there are, always the same."""
    return np.random.default_rng(1).multinomial(blocks, np.full(blocks, 1 / blocks), _DRAWS).astype(np.float32)


@cache
def student_quantile(tail: float, freedom: float) -> float:
    """The value that Student's t is above with such a probability, which is under a half.

    The degrees of freedom are at least 1 and need not be whole. In logarithms the probability falls ever faster with
    the value, so Newton's steps come to the one that is sought from anywhere.
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
    """With which probability Student's t is above a value that is not negative.

    With t = sqrt(freedom) / tan(angle) what is integrated is a power of the sine, from 0 to a known angle. Taking
    the angle as a fourth power makes that smooth at 0, where a fractional power is not.
    """
    freedom = min(freedom, _MOST_FREEDOM)
    end = float(np.arctan2(sqrt(freedom), value))
    heights = np.sin(end * _PLACES**4) ** (freedom - 1) * 4 * _PLACES**3
    return _factor(freedom) * end * float(heights @ _WEIGHTS) / 2


def _factor(freedom: float) -> float:
    return exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2)) / sqrt(pi)
