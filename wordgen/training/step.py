"""Optimizer updates, in the shape that serves one device, several, and several machines.

Inside `strategy.run` each replica sums the loss of its rows and divides by the size of the whole batch;
outside, the gradients are summed over the replicas one by one, clipped by their global norm after the
sum, and applied. Keras's own clipping acts before the sum and would give other weights on two devices.

One call does several steps, so that a small network does not wait for Python after each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wordgen.bundle import Weights
from wordgen.dataset.batches import Ids, longest_step
from wordgen.model.losses import smoothing_loss, summed_loss
from wordgen.model.network import Carry, Network, Tensor, fold_in
from wordgen.model.replicas import Replicas
from wordgen.model.sampling import Sampling
from wordgen.text.vocabulary import START
from wordgen.training.checkpoint import check_names
from wordgen.training.fast_steps import steps_a_call
from wordgen.training.settings import TrainingSettings

_OF_THE_DRAWS = 1 << 20  # what is folded into a step's seed for them, far from the places of dropout

Wishes = tuple[bool, ...]
"""What a worker wants to happen after a call; it is done where one of them wants it."""


def make_optimizer(settings: TrainingSettings) -> Any:
    match settings.optimizer:
        case "rmsprop":
            kind = keras.optimizers.RMSprop
        case "adam":
            kind = keras.optimizers.Adam
        case "sgd":
            kind = keras.optimizers.SGD
    return kind(settings.first_learning_rate, weight_decay=settings.weight_decay or None)


def _carry_name(layer: int, part: int) -> str:
    return f"carry/{layer}/{part}"


@dataclass(frozen=True)
class StepDone:
    loss: float
    """Summed over the counted targets."""
    count: int
    norm: float
    """Of the gradient, before the clip."""


class Stepper:
    """Holds what a step needs and nothing of where the run stands: that is passed in."""

    def __init__(
        self,
        network: Network,
        settings: TrainingSettings,
        replicas: Replicas,
        *,
        compiled: bool = False,
        log_frequencies: NDArray[np.float32] | None = None,
    ) -> None:
        """`compiled` has XLA compile the step, which does not pay on a CPU (docs/experiments.md, 2026-11-28).

        The frequencies are those of all symbols, for where some are drawn; by default all are alike.
        """
        if log_frequencies is None:
            log_frequencies = np.zeros(network.architecture.vocabulary_size, np.float32)
        self._sampling = None
        if settings.sampled_output is not None:
            self._sampling = Sampling.of(settings.sampled_output, log_frequencies)
        self._network = network
        self._settings = settings
        self._replicas = replicas
        self._variables = network.trainable_variables
        self.has_run = False
        self.most_steps = steps_a_call(network.architecture, settings)
        self._longest = longest_step(settings.seq_len, vary=settings.vary_seq_len)
        self._averages: dict[str, Any] = {}
        with replicas.strategy.scope():
            self.optimizer = make_optimizer(settings)
            self.optimizer.build(self._variables)
            if settings.average_after is not None:
                self._averages = {
                    name: tf.Variable(weight, trainable=False) for name, weight in network.variables_by_name().items()
                }
        self._sparse = settings.optimizer == "sgd" and replicas.count == 1 and not compiled
        """Whether word vectors that a step did not look up are left alone; the others' moments change each of them."""
        self._one_step = tf.function(self._all_replicas, jit_compile=compiled)
        self._several_steps = tf.function(self._steps, reduce_retracing=True)
        self._gathered = tf.function(self._exact_rows)

    def zero_carry(self) -> Carry:
        return self._replicas.split(self._settings.batch_size, self._zero_rows)

    def __call__(
        self,
        windows: Sequence[tuple[Ids, Ids]],
        carry: Carry,
        first_step: int,
        rates: Sequence[float],
        wishes: Wishes = (),
        shares: Sequence[float] = (),
    ) -> tuple[list[StepDone], Wishes, Carry]:
        """Go through the batches, one step each: what came of them, the wishes of all workers, the carry behind.

        Each step has its learning rate, and the share that its weights will have in the average of all.
        """
        self.has_run = True
        # One shape, so one graph.
        inputs, targets = np.full((2, self.most_steps, self._settings.batch_size, self._longest), START, np.int32)
        lengths, paces = np.zeros(self.most_steps, np.int32), np.zeros((self.most_steps, 2), np.float32)
        for k, window in enumerate(windows):
            lengths[k] = window[0].shape[1]
            inputs[k, :, : lengths[k]], targets[k, :, : lengths[k]] = window
        paces[: len(rates), 0], paces[: len(shares), 1] = rates, shares
        batches = self._replicas.split(self._settings.batch_size, lambda rows: (inputs[:, rows], targets[:, rows]))
        *done, wished, carry = self._several_steps(
            batches,
            carry,
            tf.constant(first_step),
            tf.constant(len(windows)),
            tf.constant(lengths),
            tf.constant(paces),
            tf.constant(wishes, tf.int32),
        )
        steps = [StepDone(float(loss), int(count), float(norm)) for loss, count, norm in zip(*done, strict=True)]
        return steps, tuple(bool(wish) for wish in np.asarray(wished)), carry

    def weights(self, *, averaged: bool) -> Weights:
        """Those that the network has now, or their average."""
        if not averaged:
            return self._network.to_weights()
        return {name: np.asarray(average) for name, average in self._averages.items()}

    def state(self, carry: Carry) -> dict[str, np.ndarray]:
        """Everything but the position in the text that the next step depends on. All workers must ask together."""
        gathered = {
            _carry_name(layer, part): np.asarray(value)
            for layer, parts in enumerate(self._gathered(carry))
            for part, value in enumerate(parts)
        }
        return {**{name: np.array(value) for name, value in self._kept().items()}, **gathered}

    def restore(self, state: Mapping[str, np.ndarray]) -> Carry:
        """Take the state of a checkpoint for one's own; the carry to go on with."""
        kept = self._kept()
        rows, architecture = self._settings.batch_size, self._network.architecture
        names = [
            [_carry_name(layer, part) for part in range(architecture.states)] for layer in range(architecture.layers)
        ]
        shapes = {name: tuple(variable.shape) for name, variable in kept.items()}
        for layer, units in zip(names, architecture.widths, strict=True):
            shapes |= dict.fromkeys(layer, (rows, units))
        check_names(state, shapes)
        for name, variable in kept.items():
            variable.assign(state[name])
        return self._replicas.split(
            rows,
            lambda mine: tuple(
                tuple(tf.cast(state[name][mine], self._network.compute_dtype) for name in layer) for layer in names
            ),
        )

    def _zero_rows(self, rows: slice) -> Carry:
        return self._network.zero_carry(rows.stop - rows.start)

    def _kept(self) -> dict[str, Any]:
        weights = {f"weights/{name}": value for name, value in self._network.variables_by_name().items()}
        averages = {f"averages/{name}": value for name, value in self._averages.items()}
        return {**weights, **averages, **{f"optimizer/{n}": value for n, value in enumerate(self.optimizer.variables)}}

    def _exact_rows(self, carry: Carry) -> Carry:
        """The carry of all replicas, in numbers that lose nothing of bfloat16."""
        exact = self._replicas.strategy.run(_as_float32, args=(carry,))
        return tuple(tuple(self._replicas.gather(value) for value in parts) for parts in exact)

    def _steps(
        self,
        batches: Any,
        carry: Carry,
        first_step: Tensor,
        number: Tensor,
        lengths: Tensor,
        paces: Tensor,
        wishes: Tensor,
    ) -> tuple[Any, ...]:
        losses, counts, norms = (tf.TensorArray(tf.float32, number) for _ in range(3))
        for k in tf.range(number):
            length = lengths[k] if self._settings.vary_seq_len else None
            inputs, targets = self._replicas.strategy.run(_window, args=(batches, k, length))
            seed = tf.stack([self._settings.random_seed, first_step + k])
            loss, count, norm, carry = self._one_step(inputs, targets, carry, seed, paces[k])
            losses, counts, norms = losses.write(k, loss), counts.write(k, count), norms.write(k, norm)
        if self._replicas.workers > 1:
            wishes = self._replicas.sum(self._replicas.strategy.run(tf.identity, args=(wishes,)))
        return losses.stack(), counts.stack(), norms.stack(), wishes, carry

    def _all_replicas(
        self, inputs: Tensor, targets: Tensor, carry: Carry, seed: Tensor, pace: Tensor
    ) -> tuple[Tensor, ...]:
        run, total = self._replicas.strategy.run, self._replicas.sum
        gradients, loss, count, carry = run(self._one_replica, args=(inputs, targets, carry, seed))
        gradients = [total(gradient) for gradient in gradients]
        norm = tf.linalg.global_norm(gradients)
        if self._settings.clip > 0:
            gradients, _ = tf.clip_by_global_norm(gradients, self._settings.clip, use_norm=norm)
        rate, share = pace[0], pace[1]
        self.optimizer.learning_rate.assign(rate)
        self.optimizer.apply(gradients, self._variables)
        for name, weight in self._network.variables_by_name().items():
            if name in self._averages:
                average = self._averages[name]
                average.assign_add(share * (weight - average))
        return total(loss), total(count), norm, carry

    def _one_replica(self, inputs: Tensor, targets: Tensor, carry: Carry, seed: Tensor) -> tuple[Any, ...]:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        dropout_seed = fold_in(seed, replica)
        with tf.GradientTape() as tape:
            hidden, carry = self._network(inputs, carry, dropout_seed)
            loss, count, aim = self._losses(hidden, targets, seed)
            mean = aim / (self._settings.batch_size * self._settings.seq_len)
        # Looking up word vectors gives a sparse gradient; a dense one is summed and clipped like all others.
        settle = _each_row_once if self._sparse else tf.convert_to_tensor
        gradients = [settle(gradient) for gradient in tape.gradient(mean, self._variables)]
        return gradients, loss, count, carry

    def _losses(self, hidden: Tensor, targets: Tensor, seed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The loss, of how many targets, and what is to become small; all replicas compare with the same draws."""
        if self._sampling is not None:
            loss, count = self._sampling.summed_loss(self._network, hidden, targets, fold_in(seed, _OF_THE_DRAWS))
            return loss, count, loss
        logits = self._network.logits(hidden)
        loss, count = summed_loss(logits, targets)
        return loss, count, loss + smoothing_loss(logits, targets, self._settings.label_smoothing)


def _each_row_once(gradient: Any) -> Any:
    """A sparse gradient in which no row stands twice, so that its norm is that of the dense one."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(gradient.indices)
    summed = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(summed, rows, gradient.dense_shape)


def _as_float32(carry: Carry) -> Carry:
    return tf.nest.map_structure(lambda value: tf.cast(value, tf.float32), carry)


def _window(batches: tuple[Tensor, Tensor], k: Tensor, length: Tensor | None) -> tuple[Tensor, Tensor]:
    """The inputs and targets of a step; where all have one length, its shape is known to whoever compiles."""
    return batches[0][k][:, :length], batches[1][k][:, :length]
