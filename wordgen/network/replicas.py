"""The devices that train together, in one process or in several, as seen from one of the processes.

A replica is one device with its own rows of every batch. A worker is one process. The first worker is the chief. All
workers must call each method at the same point of their program, because each waits for the others.
"""

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TypeVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wordgen.errors import SettingError
from wordgen.network import Tensor

Value = TypeVar("Value")


class Replicas:
    """All replicas, and the place of this worker among the workers."""

    def __init__(self, strategy: tf.distribute.Strategy, worker: int = 0, workers: int = 1) -> None:
        self.strategy = strategy
        self.worker, self.workers = worker, workers
        self.count: int = strategy.num_replicas_in_sync

    @property
    def is_chief(self) -> bool:
        return self.worker == 0

    def check_rows(self, rows: int) -> None:
        """Raise SettingError unless every replica gets the same number of rows of a batch."""
        if rows % self.count:
            below = rows // self.count * self.count
            near = [number for number in (below, below + self.count) if number]
            raise SettingError(
                f"--batch-size {rows} cannot be divided evenly among {self.count} devices: "
                f"use {' or '.join(map(str, near))}."
            )

    def split(self, rows: int, part: Callable[[slice], Tensor]) -> Tensor:
        """Give each replica its share of the rows.

        `part` returns the values for a slice of the rows. It is called only for the replicas of this worker.
        """
        share = rows // self.count

        def of_replica(replica: int) -> Tensor:
            return tf.nest.map_structure(tf.convert_to_tensor, part(slice(replica * share, (replica + 1) * share)))

        if self.count == self.workers:  # for one device, `strategy.run` does not wrap its results either
            return of_replica(self.worker)
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: of_replica(context.replica_id_in_sync_group)
        )

    def sum(self, value: Tensor) -> Tensor:
        """Return the sum of the value over all replicas."""
        return self.strategy.reduce("SUM", value, axis=None)

    def all_reduce(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the float32 tensors summed over all replicas, packed and sent together.

        Each replica calls this within `strategy.run`. Gradients of single rows (tf.IndexedSlices, of the same shape in
        all replicas) are not summed: the rows of all replicas are concatenated.
        """
        if self.count == 1:
            return dict(values)
        parts = {
            # A vocabulary has at most four million ids, and float32 represents all integers up to 16 million.
            name: (self._padded_rows(value.values), self._padded_rows(tf.cast(value.indices, tf.float32)))
            if isinstance(value, tf.IndexedSlices)
            else (value,)
            for name, value in values.items()
        }
        summed = tf.distribute.get_replica_context().all_reduce("SUM", parts)
        return {
            name: tf.IndexedSlices(part[0], tf.cast(part[1], tf.int32), values[name].dense_shape)
            if len(part) > 1
            else part[0]
            for name, part in summed.items()
        }

    def _padded_rows(self, rows: Tensor) -> Tensor:
        """Return an array for the rows of all replicas. Only the rows of this replica are set, the others are zero."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        places = tf.reshape(tf.one_hot(replica, self.count), (self.count, *(1 for _ in rows.shape)))
        return tf.reshape(places * rows[None], tf.concat([[-1], tf.shape(rows)[1:]], axis=0))

    def sum_over_workers(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the sum of the numbers of all workers."""
        if self.workers == 1:
            return numbers
        return np.asarray(self._sum_function(tf.constant(numbers)))

    def broadcast_bytes(self, content: Callable[[], bytes]) -> bytes:
        """Return the content of the chief on every worker. Only the chief calls `content`."""
        if self.workers == 1:
            return content()
        content_of_this_worker = content() if self.is_chief else b""
        length = int(self.sum_over_workers(np.array([len(content_of_this_worker)]))[0])
        if length == 0:  # the sum of an empty array crashes the process
            return b""
        padded = np.zeros(-(-length // 8), np.int64)
        if self.is_chief:
            padded.view(np.uint8)[:length] = np.frombuffer(content_of_this_worker, np.uint8)
        return self.sum_over_workers(padded).tobytes()[:length]

    def broadcast_value(self, value: Value) -> Value:
        """Return the value that the chief passes, on every worker. It must have only types that JSON has, too."""
        return json.loads(self.broadcast_bytes(lambda: json.dumps(value).encode()))

    @cached_property
    def _sum_function(self) -> Callable[[Tensor], Tensor]:
        def of_first_local_replica(numbers: Tensor) -> Tensor:
            # Only the first device of each worker contributes.
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            local = self.count // self.workers
            return numbers * tf.cast(replica % local == 0, tf.int64)

        def summed(numbers: Tensor) -> Tensor:
            return self.sum(self.strategy.run(of_first_local_replica, args=(numbers,)))

        return tf.function(summed, reduce_retracing=True, autograph=False)


def single_replica() -> Replicas:
    """Return the replicas of a process that trains alone on one device."""
    return Replicas(tf.distribute.get_strategy())
