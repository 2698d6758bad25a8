"""Perplexity over a whole split, with the carry running on from its first symbol to its last."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wordgen.dataset.batches import evaluation_batches
from wordgen.evaluation.measures import perplexity_of
from wordgen.model.losses import summed_loss
from wordgen.model.network import Network

_SEQ_LEN = 50
_SYMBOLS_A_STREAM = 1000
_MOST_STREAMS = 16


class Evaluator:
    """Measures a network on one split again and again, tracing the graph once.

    The split is read in parallel streams, few enough that their cold starts do not weigh. No symbol is
    left out at the end, and START is no target.
    """

    def __init__(self, network: Network, ids: NDArray[np.unsignedinteger]) -> None:
        streams = max(1, min(_MOST_STREAMS, len(ids) // _SYMBOLS_A_STREAM))
        self._network = network
        self._streams = streams
        self._batches = evaluation_batches(ids, streams, _SEQ_LEN)
        self._losses = tf.function(self._batch_losses, reduce_retracing=True)

    def perplexity(self, keep_on: Callable[[], bool] = lambda: True) -> float | None:
        """exp of the mean loss; nothing where the user wanted no more in between."""
        loss = count = 0.0
        carry = self._network.zero_carry(self._streams)
        for inputs, targets in self._batches:
            if not keep_on():
                return None
            batch_loss, batch_count, carry = self._losses(inputs, targets, carry)
            loss += float(batch_loss)
            count += float(batch_count)
        return perplexity_of(loss / max(1.0, count))

    def _batch_losses(self, inputs, targets, carry):  # noqa: ANN001, ANN202 - tensors
        hidden, carry = self._network(inputs, carry)
        loss, count = summed_loss(self._network.logits(hidden), targets)
        return loss, count, carry
