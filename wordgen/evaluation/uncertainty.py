"""How far a measured figure may be off: Student's t, which says how many standard errors 95% certainty takes."""

from functools import cache
from math import exp, lgamma, log, pi, sqrt

import numpy as np

_MOST_FREEDOM = 1000.0
"""With more, Student's t is the normal distribution to three digits, and less can only be too careful."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(100)
_PLACES = (_NODES + 1) / 2


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
