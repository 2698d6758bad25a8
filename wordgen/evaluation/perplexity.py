"""Perplexity over a whole split, with the carry running on from its first symbol to its last."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wordgen.bundle import Weights
from wordgen.dataset.batches import evaluation_batches
from wordgen.evaluation.measures import perplexity_of, streams_for
from wordgen.model.losses import summed_loss
from wordgen.model.network import Carry, Network, Tensor
from wordgen.model.replicas import Replicas

_SEQ_LEN = 50


class Evaluator:
    """Measures a network on one split again and again, tracing the graph once.

    The split is read in parallel streams that are shared among the replicas. No symbol is left out at the end, and
    START is no target. What is measured is the network as it is saved and used, in float32, whatever it learns in.
    stream.py gives the same without TensorFlow.
    """

    def __init__(
        self, network: Network, ids: NDArray[np.unsignedinteger], replicas: Replicas, *, apart: bool = False
    ) -> None:
        """With `apart` weights can be measured that are not the network's own."""
        streams = streams_for(len(ids))
        self._learning = self._network = network
        if apart or network.compute_dtype != "float32":
            with replicas.strategy.scope():
                self._network = Network(network.architecture)
        self._replicas = replicas
        # Streams that no replica would have are filled up with rows that are never counted.
        self._rows = -(-streams // replicas.count) * replicas.count
        self._batches = evaluation_batches(ids, streams, _SEQ_LEN, rows=self._rows)
        self._losses = tf.function(self._batch_losses, reduce_retracing=True)

    @property
    def batches(self) -> int:
        """How many batches the split has."""
        return len(self._batches)

    def perplexity(
        self,
        weights: Weights | None = None,
        keep_on: Callable[[], bool] = lambda: True,
        tell: Callable[[int], None] = lambda done: None,
    ) -> float | None:
        """exp of the mean loss; nothing where a worker wanted no more in between. `tell` hears of each batch."""
        if self._network is not self._learning:
            self._network.set_weights_by_name(weights or self._learning.to_weights())
        loss = count = 0.0
        carry = self._replicas.split(self._rows, lambda rows: self._network.zero_carry(rows.stop - rows.start))
        for done, (inputs, targets) in enumerate(self._batches, 1):
            batch = self._replicas.split(self._rows, lambda rows, i=inputs, t=targets: (i[rows], t[rows]))
            batch_loss, batch_count, refused, carry = self._losses(batch, carry, tf.constant(not keep_on()))
            if int(refused):
                return None
            loss += float(batch_loss)
            count += float(batch_count)
            tell(done)
        return perplexity_of(loss / max(1.0, count))

    def _batch_losses(self, batch: Any, carry: Carry, refused: Tensor) -> tuple[Any, ...]:
        """Loss and targets of a batch, how many workers want no more, and the carry behind."""
        run, total = self._replicas.strategy.run, self._replicas.sum
        loss, count, refusals, carry = run(self._one_replica, args=(batch, carry, refused))
        return total(loss), total(count), total(refusals), carry

    def _one_replica(self, batch: tuple[Tensor, Tensor], carry: Carry, refused: Tensor) -> tuple[Any, ...]:
        hidden, carry = self._network(batch[0], carry)
        loss, count = summed_loss(self._network.logits(hidden), batch[1])
        return loss, count, tf.cast(refused, tf.int32), carry
