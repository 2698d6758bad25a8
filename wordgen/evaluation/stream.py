"""What a network's predictions of a whole text cost, by NumPy alone: that of training's validation, without TensorFlow.

The layers are fed symbol by symbol by one thread, and the large product behind them is left to the others.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.dataset.batches import Ids, evaluation_batches
from wordgen.evaluation.measures import Loss, streams_for
from wordgen.generation.step import Floats, NumpyNetwork
from wordgen.text.vocabulary import START

_AT_ONCE = 128  # rows of log odds; with a large vocabulary many more would not fit into the cache

Progress = Callable[[int, int], None]
"""Told how many symbols are predicted, and how many there are."""


def network_loss(
    network: NumpyNetwork, ids: NDArray[np.unsignedinteger[Any]], progress: Progress = lambda done, symbols: None
) -> Loss:
    """Loss over all symbols but START, the carry running on from each to the next; the first is no target."""
    symbols = int((ids[1:] != START).sum())
    nats, done = 0.0, 0
    for of_window, predicted in _in_order(network, _windows(network, ids)):
        nats += of_window
        done += predicted
        progress(done, symbols)
    return Loss(nats, symbols)


def _windows(network: NumpyNetwork, ids: NDArray[np.unsignedinteger[Any]]) -> Iterator[tuple[Floats, Ids]]:
    """What the last layer holds before each target, and the targets, some at a time."""
    streams = streams_for(len(ids))
    carry = network.zero_carry(streams)
    for inputs, targets in evaluation_batches(ids, streams, max(1, _AT_ONCE // streams)):
        hidden: list[Floats] = []
        for column in inputs.T:
            carry = network.feed(column, carry)
            hidden.append(carry[-1][0])
        yield np.concatenate(hidden), targets.T.ravel()


def _in_order(network: NumpyNetwork, windows: Iterator[tuple[Floats, Ids]]) -> Iterator[tuple[float, int]]:
    """Loss and number of targets of each window, from as many threads as there are processors."""
    threads = os.cpu_count() or 1
    waiting: deque[Future[tuple[float, int]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for hidden, targets in windows:
            waiting.append(pool.submit(_loss, network, hidden, targets))
            if len(waiting) > 2 * threads:  # or a long text would pile up
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _loss(network: NumpyNetwork, hidden: Floats, targets: Ids) -> tuple[float, int]:
    counted = targets != START
    logits = network.logits(hidden[counted])
    logits -= logits.max(axis=1, keepdims=True)
    own = logits[np.arange(len(logits)), targets[counted]].sum(dtype=np.float64)
    np.exp(logits, out=logits)
    return float(np.log(logits.sum(axis=1, dtype=np.float64)).sum() - own), int(counted.sum())
