"""A network that remembers what it has just read: the continuous cache of Grave, Joulin and Usunier (2017).

Before each symbol the network's last layer is compared with what it was before each of the last symbols. Those that
came where it was alike get some of the odds. Nothing is learned: only how much this counts is found out, on a text
that is not the one to be measured.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.dataset.batches import Ids
from wordgen.evaluation.measures import Loss, predicted_symbols
from wordgen.evaluation.stream import Predictions, predictions
from wordgen.generation.scoring import Progress
from wordgen.generation.step import Floats, NumpyNetwork

_FLATNESSES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
_WEIGHTS = tuple(weight / 100 for weight in (2, 5, 8, 10, 12, 15, 20, 25, 30, 40))


@dataclass(frozen=True)
class Cache:
    size: int
    """How many symbols it remembers."""
    flatness: float
    """How much likeness counts: with nothing, all that is remembered is as likely as it came often."""
    weight: float
    """The share of the odds that is the cache's to give."""


def cache_loss(
    network: NumpyNetwork,
    ids: NDArray[np.unsignedinteger[Any]],
    cache: Cache,
    progress: Progress = lambda done, symbols: None,
) -> Loss:
    """Loss over all symbols but START, read in one stream."""
    each = _losses(network, ids, cache.size, (cache.flatness,), (cache.weight,), progress)
    return Loss.of(np.concatenate([nats[0, 0] for nats in each]), ids)


def best_cache(
    network: NumpyNetwork,
    ids: NDArray[np.unsignedinteger[Any]],
    size: int,
    progress: Progress = lambda done, symbols: None,
) -> Cache:
    """The cache of this size that makes a text least surprising."""
    losses = sum(nats.sum(axis=2) for nats in _losses(network, ids, size, _FLATNESSES, _WEIGHTS, progress))
    assert isinstance(losses, np.ndarray)
    flatness, weight = np.unravel_index(losses.argmin(), losses.shape)
    return Cache(size, _FLATNESSES[flatness], _WEIGHTS[weight])


def _losses(
    network: NumpyNetwork,
    ids: NDArray[np.unsignedinteger[Any]],
    size: int,
    flatnesses: Sequence[float],
    weights: Sequence[float],
    progress: Progress,
) -> Iterator[NDArray[np.float64]]:
    """In nats, window by window: for each flatness, each weight and each target, as the cache moves along."""
    shares = np.array(weights)
    done, symbols = 0, predicted_symbols(ids)
    for remembered, now in _with_memory(predictions(network, ids, streams=1), size):
        own = np.exp(now.log_odds)
        nats = np.zeros((len(flatnesses), len(weights), len(own)))
        for row, flatness in enumerate(flatnesses):
            given = _cache_odds(remembered, now, size, flatness)
            odds = (1 - shares) * own[:, None] + shares * given[:, None]
            # At its very beginning a text has nothing that could be remembered.
            odds[: max(0, 1 - len(remembered.targets))] = own[: max(0, 1 - len(remembered.targets)), None]
            nats[row] = -np.log(odds).T
        done += len(now.targets)
        progress(done, symbols)
        yield nats


@dataclass(frozen=True)
class _Remembered:
    hidden: Floats
    targets: Ids


def _with_memory(windows: Iterator[Predictions], size: int) -> Iterator[tuple[_Remembered, Predictions]]:
    """Each window with what came right before it, at most so many symbols."""
    before: _Remembered | None = None
    for now in windows:
        before = before or _Remembered(now.hidden[:0], now.targets[:0])
        yield before, now
        hidden, targets = np.concatenate([before.hidden, now.hidden]), np.concatenate([before.targets, now.targets])
        before = _Remembered(hidden[-size:], targets[-size:])


def _cache_odds(before: _Remembered, now: Predictions, size: int, flatness: float) -> NDArray[np.float64]:
    """What the cache gives to each target of a window, which remembers the window's own earlier symbols, too."""
    hidden, targets = np.concatenate([before.hidden, now.hidden]), np.concatenate([before.targets, now.targets])
    first = len(before.targets)
    places, own = np.arange(len(targets)), first + np.arange(len(now.targets))[:, None]
    seen = (places < own) & (places >= own - size)
    likeness = np.where(seen, np.float32(flatness) * (now.hidden @ hidden.T), np.float32(-np.inf))
    with np.errstate(invalid="ignore"):
        odds = np.exp(likeness - likeness.max(axis=1, keepdims=True))
    odds = np.nan_to_num(odds)  # the first symbol of all sees nothing
    same = targets == now.targets[:, None]
    total = odds.sum(axis=1, dtype=np.float64)
    return (odds * same).sum(axis=1, dtype=np.float64) / np.maximum(total, np.finfo(np.float64).tiny)
