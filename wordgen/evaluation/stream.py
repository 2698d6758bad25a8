"""What a network's predictions of a whole text cost, by NumPy alone: that of training's validation, without TensorFlow.

The layers are fed symbol by symbol by one thread, and the large product behind them is left to the others.
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.dataset.batches import Ids, evaluation_batches
from wordgen.evaluation.measures import Loss, predicted_symbols, streams_for
from wordgen.generation.scoring import Progress
from wordgen.generation.step import Floats, NumpyNetwork
from wordgen.text.vocabulary import START

_AT_ONCE = 128  # rows of log odds; with a large vocabulary many more would not fit into the cache


def network_loss(
    network: NumpyNetwork, ids: NDArray[np.unsignedinteger[Any]], progress: Progress = lambda done, symbols: None
) -> Loss:
    """What predicting a text costs."""
    return Loss.of(network_nats(network, ids, progress), ids)


def network_nats(
    network: NumpyNetwork, ids: NDArray[np.unsignedinteger[Any]], progress: Progress = lambda done, symbols: None
) -> NDArray[np.float64]:
    """The same token by token, for all but START, the carry running on from each to the next; the first is no target.

    A long text is read from several places side by side (`streams_for`): each begins with an empty carry, which costs
    a long text next to nothing, and none of it is left out.
    """
    symbols = predicted_symbols(ids)
    nats, done = np.zeros(max(1, len(ids)) - 1), 0
    for window in predictions(network, ids, streams_for(len(ids))):
        nats[window.places] = -window.log_odds
        done += len(window.targets)
        progress(done, symbols)
    return nats[ids[1:] != START]


@dataclass(frozen=True)
class Predictions:
    """Some targets of a text, START left out."""

    hidden: Floats
    """What the last layer holds before each, one a row."""
    targets: Ids
    log_odds: NDArray[np.float64]
    """What the network gives to each."""
    places: NDArray[np.int64]
    """Where each stands among all targets of the text, START among them."""


def predictions(network: NumpyNetwork, ids: NDArray[np.unsignedinteger[Any]], streams: int) -> Iterator[Predictions]:
    """All targets of a text, some at a time; with one stream in their order.

    From as many threads as there are processors, and not more at once than those need, or a long text would pile up.
    """
    threads = os.cpu_count() or 1
    waiting: deque[Future[Predictions]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for hidden, targets, places in _windows(network, ids, streams):
            waiting.append(pool.submit(_predicted, network, hidden, targets, places))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _windows(
    network: NumpyNetwork, ids: NDArray[np.unsignedinteger[Any]], streams: int
) -> Iterator[tuple[Floats, Ids, NDArray[np.int64]]]:
    """What the last layer holds before each target, the targets and their places, some at a time."""
    carry = network.zero_carry(streams)
    length, done = -(-(len(ids) - 1) // streams), 0
    for inputs, targets in evaluation_batches(ids, streams, max(1, _AT_ONCE // streams)):
        hidden: list[Floats] = []
        for column in inputs.T:
            carry = network.feed(column, carry)
            hidden.append(carry[-1][0])
        places = length * np.arange(streams)[:, None] + done + np.arange(inputs.shape[1])
        done += inputs.shape[1]
        yield np.concatenate(hidden), targets.T.ravel(), places.T.ravel()


def _predicted(network: NumpyNetwork, hidden: Floats, targets: Ids, places: NDArray[np.int64]) -> Predictions:
    counted = targets != START
    hidden, targets, places = hidden[counted], targets[counted], places[counted]
    logits = network.logits(hidden)
    logits -= logits.max(axis=1, keepdims=True)
    own = logits[np.arange(len(logits)), targets].astype(np.float64)
    np.exp(logits, out=logits)
    return Predictions(hidden, targets, own - np.log(logits.sum(axis=1, dtype=np.float64)), places)
