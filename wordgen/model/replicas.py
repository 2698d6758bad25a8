"""The devices that learn together, in one process or in several, seen from one of their processes.

A replica is one device with its own rows of every batch. A worker is one process; the first is the chief.
Everything here is called by all workers at the same point of their program, for each waits for the others.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wordgen.errors import SettingError

Tensor = Any  # TensorFlow brings no types along


class Replicas:
    def __init__(self, strategy: Any, worker: int = 0, workers: int = 1) -> None:
        self.strategy = strategy
        self.worker, self.workers = worker, workers
        self.count: int = strategy.num_replicas_in_sync

    @property
    def chief(self) -> bool:
        return self.worker == 0

    def check_rows(self, rows: int) -> None:
        """Every replica has as many rows of a batch as the others, and none has none."""
        if rows % self.count:
            below = rows // self.count * self.count
            near = [number for number in (below, below + self.count) if number]
            raise SettingError(
                f"--batch-size {rows} cannot be shared evenly among {self.count} devices: "
                f"take {' or '.join(map(str, near))}."
            )

    def split(self, rows: int, part: Callable[[slice], Any]) -> Any:
        """To each replica its own of so many rows: `part` is asked for those of this worker alone."""
        share = rows // self.count

        def of_replica(replica: int) -> Any:
            return tf.nest.map_structure(tf.convert_to_tensor, part(slice(replica * share, (replica + 1) * share)))

        if self.count == self.workers:  # what `strategy.run` gives for one device is not wrapped up either
            return of_replica(self.worker)
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: of_replica(context.replica_id_in_sync_group)
        )

    def gather(self, value: Any) -> Tensor:
        """The rows of all replicas in their order."""
        return self.strategy.gather(value, axis=0)

    def sum(self, value: Any) -> Tensor:
        return self.strategy.reduce("SUM", value, axis=None)

    def all_reduce(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Asked for by each replica within `strategy.run`: float32 tensors summed over all, packed and sent as one.

        Gradients of some rows (tf.IndexedSlices, of one shape in all replicas) are not summed but put side by side.
        """
        if self.count == 1:
            return dict(values)
        parts = {
            # A vocabulary has at most four million ids, and float32 has whole numbers up to sixteen.
            name: (self._side_by_side(value.values), self._side_by_side(tf.cast(value.indices, tf.float32)))
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

    def _side_by_side(self, rows: Tensor) -> Tensor:
        """The rows of this replica at its place among those of all, where the others have zeros."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        places = tf.reshape(tf.one_hot(replica, self.count), (self.count, *(1 for _ in rows.shape)))
        return tf.reshape(places * rows[None], tf.concat([[-1], tf.shape(rows)[1:]], axis=0))

    def sum_over_workers(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of all workers added up."""
        if self.workers == 1:
            return numbers
        return np.asarray(self._summed(tf.constant(numbers)))

    def from_chief(self, content: Callable[[], bytes]) -> bytes:
        """The chief's content, on every worker; only the chief makes it."""
        if self.workers == 1:
            return content()
        mine = content() if self.chief else b""
        length = int(self.sum_over_workers(np.array([len(mine)]))[0])
        if length == 0:  # summing nothing ends the process with a crash
            return b""
        padded = np.zeros(-(-length // 8), np.int64)
        if self.chief:
            padded.view(np.uint8)[:length] = np.frombuffer(mine, np.uint8)
        return self.sum_over_workers(padded).tobytes()[:length]

    @cached_property
    def _summed(self) -> Callable[[Tensor], Tensor]:
        def of_first_local_replica(numbers: Tensor) -> Tensor:
            # A worker with several devices speaks with one voice.
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            local = self.count // self.workers
            return numbers * tf.cast(replica % local == 0, tf.int64)

        def summed(numbers: Tensor) -> Tensor:
            return self.sum(self.strategy.run(of_first_local_replica, args=(numbers,)))

        return tf.function(summed, reduce_retracing=True)


def alone() -> Replicas:
    """This process with one device."""
    return Replicas(tf.distribute.get_strategy())
