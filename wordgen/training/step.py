"""One optimizer update, in the shape that serves one device, several, and several machines.

Inside `strategy.run` each replica sums the loss of its rows and divides by the size of the whole batch;
outside, the gradients are summed over the replicas one by one, clipped by their global norm after the
sum, and applied. Keras's own clipping acts before the sum and would give other weights on two devices.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from wordgen.architecture import Architecture
from wordgen.dataset.batches import Ids
from wordgen.model.losses import summed_loss
from wordgen.model.network import Carry, Network, Tensor, fold_in
from wordgen.training.checkpoint import check_names
from wordgen.training.reports import compiled_copies
from wordgen.training.settings import TrainingSettings

_FEWEST_ROWS = 16
_MOST_COPIES = 2**29


def make_optimizer(settings: TrainingSettings) -> Any:
    match settings.optimizer:
        case "rmsprop":
            return keras.optimizers.RMSprop(settings.first_learning_rate)
        case "adam":
            return keras.optimizers.Adam(settings.first_learning_rate)
        case "sgd":
            return keras.optimizers.SGD(settings.first_learning_rate)


def _compiling_helps(architecture: Architecture, settings: TrainingSettings, strategy: Any) -> bool:
    """Whether XLA shall compile the step (measured: docs/experiments.md, 2026-11-20).

    On one CPU it makes a step up to a third cheaper. But it keeps a copy of the recurrent weights for every
    symbol of seq len, and with few rows it is slower; it cannot be had for several devices in one process, it
    keeps a GPU from its own fused LSTM, and not every build of TensorFlow brings it.
    """
    if strategy.num_replicas_in_sync > 1 or tf.config.list_physical_devices("GPU"):
        return False
    if settings.batch_size < _FEWEST_ROWS or compiled_copies(architecture, settings) > _MOST_COPIES:
        return False
    return _xla_is_there()


@cache
def _xla_is_there() -> bool:
    try:
        tf.function(lambda x: x + x, jit_compile=True)(tf.constant(1.0))
    except tf.errors.OpError:
        return False
    return True


def _carry_name(layer: int, part: int) -> str:
    return f"carry/{layer}/{part}"


def _named_carry(carry: Carry) -> dict[str, Tensor]:
    return {_carry_name(n, part): value for n, parts in enumerate(carry) for part, value in enumerate(parts)}


class Stepper:
    """Holds what a step needs and nothing of where the run stands: that is passed in."""

    def __init__(
        self, network: Network, settings: TrainingSettings, strategy: Any, *, compiled: bool | None = None
    ) -> None:
        """`compiled` says whether XLA shall compile the step; by default where it helps."""
        self._network = network
        self._settings = settings
        self._strategy = strategy
        self._variables = network.trainable_variables
        self.has_run = False
        with strategy.scope():
            self.optimizer = make_optimizer(settings)
            self.optimizer.build(self._variables)
        compiled = _compiling_helps(network.architecture, settings, strategy) if compiled is None else compiled
        self._step = tf.function(self._all_replicas, jit_compile=compiled)

    def zero_carry(self) -> Carry:
        return self._network.zero_carry(self._settings.batch_size)

    def __call__(self, inputs: Ids, targets: Ids, carry: Carry, step: int) -> tuple[float, int, float, Carry]:
        """Summed loss, counted targets, gradient norm before the clip, and the carry to go on with."""
        self.has_run = True
        seed = tf.constant([self._settings.random_seed, step], tf.int32)
        loss, count, norm, carry = self._step(tf.constant(inputs), tf.constant(targets), carry, seed)
        return float(loss), int(count), float(norm), carry

    def state(self, carry: Carry) -> dict[str, np.ndarray]:
        """Everything but the position in the text that the next step depends on."""
        return {name: np.array(value) for name, value in {**self._kept(), **_named_carry(carry)}.items()}

    def restore(self, state: Mapping[str, np.ndarray]) -> Carry:
        """Take the state of a checkpoint for one's own; the carry to go on with."""
        kept, carry = self._kept(), self.zero_carry()
        shapes = {name: tuple(value.shape) for name, value in {**kept, **_named_carry(carry)}.items()}
        check_names(state, shapes)
        for name, variable in kept.items():
            variable.assign(state[name])
        return tuple(
            tuple(tf.constant(state[_carry_name(layer, part)]) for part in range(len(parts)))
            for layer, parts in enumerate(carry)
        )

    def _kept(self) -> dict[str, Any]:
        weights = {f"weights/{name}": value for name, value in self._network.variables_by_name().items()}
        return {**weights, **{f"optimizer/{n}": value for n, value in enumerate(self.optimizer.variables)}}

    def _all_replicas(self, inputs: Tensor, targets: Tensor, carry: Carry, seed: Tensor) -> tuple[Tensor, ...]:
        gradients, loss, count, carry = self._strategy.run(self._one_replica, args=(inputs, targets, carry, seed))
        gradients = [self._sum(gradient) for gradient in gradients]
        norm = tf.linalg.global_norm(gradients)
        if self._settings.clip > 0:
            gradients, _ = tf.clip_by_global_norm(gradients, self._settings.clip, use_norm=norm)
        self.optimizer.apply(gradients, self._variables)
        return self._sum(loss), self._sum(count), norm, carry

    def _one_replica(self, inputs: Tensor, targets: Tensor, carry: Carry, seed: Tensor) -> tuple[Any, ...]:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        dropout_seed = fold_in(seed, replica)
        with tf.GradientTape() as tape:
            hidden, carry = self._network(inputs, carry, dropout_seed)
            loss, count = summed_loss(self._network.logits(hidden), targets)
            mean = loss / (self._settings.batch_size * self._settings.seq_len)
        # Looking up word vectors gives a sparse gradient; a dense one is summed and clipped like all others.
        gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(mean, self._variables)]
        return gradients, loss, count, carry

    def _sum(self, value: Tensor) -> Tensor:
        return self._strategy.reduce("SUM", value, axis=None)
