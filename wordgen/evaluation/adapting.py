"""A network measured while it gets used to the text: by a cache of what it has read, or by learning from it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.bundle import Bundle
from wordgen.evaluation.cache import Cache, best_cache, cache_loss
from wordgen.evaluation.measures import Loss
from wordgen.generation.scoring import Progress
from wordgen.generation.step import NumpyNetwork

Ids = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class WithCache:
    cache: Cache
    loss: Loss


@dataclass(frozen=True)
class WhileLearning:
    rate: float
    """How fast; 0 where learning from what it reads does not help."""
    loss: Loss


def with_cache(bundle: Bundle, valid: Ids, ids: Ids, size: int, trying: Progress, predicting: Progress) -> WithCache:
    """Set on the valid part, measured on some ids."""
    network = NumpyNetwork(bundle.architecture, bundle.weights)
    cache = best_cache(network, valid, size, trying)
    return WithCache(cache, cache_loss(network, ids, cache, predicting))


def while_learning(bundle: Bundle, valid: Ids, ids: Ids, trying: Progress, predicting: Progress) -> WhileLearning:
    """The same; here TensorFlow is imported, and not before."""
    import wordgen.model  # noqa: F401 - first, for it keeps TensorFlow's start-up notes off the screen
    from wordgen.evaluation.dynamic import LearningNetwork, best_rate, dynamic_loss

    rate = best_rate(LearningNetwork(bundle.architecture, bundle.weights), valid, trying)
    learning = LearningNetwork(bundle.architecture, bundle.weights, rate)
    return WhileLearning(rate, dynamic_loss(learning, ids, predicting))
