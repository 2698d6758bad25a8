"""Optimizer updates, in the shape that serves one device, several, and several machines.

Each replica sums the loss of its rows and divides by the size of the whole batch. The gradients are then summed
over all replicas, in one message, and each replica clips the sum by its global norm and moves its own copy of the
weights, all of them alike. Clipping before the sum would give other weights on two devices.

One call does several steps, so that a small network does not wait for Python after each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wordgen.architecture import Architecture
from wordgen.bundle import Weights
from wordgen.dataset.batches import Ids, longest_step
from wordgen.model.losses import output_loss
from wordgen.model.network import Carry, Network, Tensor, fold_in
from wordgen.model.replicas import Replicas
from wordgen.model.sampling import Sampling
from wordgen.text.vocabulary import START
from wordgen.training.checkpoint import check_names
from wordgen.training.fast_steps import steps_a_call
from wordgen.training.optimizers import OPTIMIZERS, add_to
from wordgen.training.settings import TrainingSettings

_OF_THE_DRAWS = 1 << 20  # what is folded into a step's seed for them, far from the places of dropout

Wishes = tuple[bool, bool]
"""Whether a worker wants to stop after a call, and to save; it is done where one of them wants it."""
_NO_WISHES: Wishes = (False, False)


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
        self._weights = {name: _behind_keras(each) for name, each in network.variables_by_name().items()}
        self._by_rows = _moved_by_rows(network.architecture, settings, self._sampling)
        self.has_run = False
        on_gpu = replicas.from_chief(lambda: b"GPU" if tf.config.get_visible_devices("GPU") else b"CPU") == b"GPU"
        self.most_steps = steps_a_call(network.architecture, settings, on_gpu=on_gpu)
        self._longest = longest_step(settings.seq_len, vary=settings.vary_seq_len)
        self._averages: dict[str, Any] = {}
        with replicas.strategy.scope():
            self._optimizer = OPTIMIZERS[settings.optimizer](settings, self._weights, self._by_rows)
            if settings.average_after is not None:
                self._averages = {name: tf.Variable(weight, trainable=False) for name, weight in self._weights.items()}
        self._gradients = (
            tf.function(self._loss_and_gradients, jit_compile=True) if compiled else self._loss_and_gradients
        )
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
        wishes: Wishes = _NO_WISHES,
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
        done, wished, carry = self._several_steps(
            batches,
            carry,
            tf.constant(first_step),
            tf.constant(len(windows)),
            tf.constant(lengths),
            tf.constant(paces),
            tf.constant(wishes, tf.int32),
        )
        # Fetched as one array: each number asked of a tensor by itself takes longer than a step of a small network.
        steps = [StepDone(loss, int(count), norm) for loss, count, norm in done.numpy().tolist()]
        stop, save = wishes if self._replicas.workers == 1 else wished.numpy().astype(bool).tolist()
        return steps, (stop, save), carry

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
        return {**weights, **averages, **{f"optimizer/{name}": slot for name, slot in self._optimizer.slots.items()}}

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
        figures = tf.TensorArray(tf.float32, number, element_shape=(3,))
        for k in tf.range(number):
            length = lengths[k] if self._settings.vary_seq_len else None
            seed = tf.stack([self._settings.random_seed, first_step + k])
            found, carry = self._replicas.strategy.run(self._one_step, args=(batches, k, length, carry, seed, paces[k]))
            figures = figures.write(k, self._replicas.strategy.experimental_local_results(found)[0])
        if self._replicas.workers > 1:
            wishes = self._replicas.sum(self._replicas.strategy.run(tf.identity, args=(wishes,)))
        return figures.stack(), wishes, carry

    def _one_step(
        self, batches: tuple[Tensor, Tensor], k: Tensor, length: Tensor | None, carry: Carry, seed: Tensor, pace: Tensor
    ) -> tuple[Tensor, Carry]:
        """On each replica: the loss of all, of how many targets, the norm of the gradient; and the replica's carry."""
        # Where all steps have one length, its shape is known to whoever compiles.
        inputs, targets = batches[0][k][:, :length], batches[1][k][:, :length]
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        gradients, loss, count, carry = self._gradients(inputs, targets, carry, seed, tf.convert_to_tensor(replica))
        summed = self._replicas.all_reduce({**gradients, "loss": loss, "count": count})
        loss, count = summed.pop("loss"), summed.pop("count")
        rate, share = pace[0], pace[1]
        norm = self._optimizer.move(summed, rate)
        if self._averages:
            tf.cond(share > 0, lambda: self._average(share), lambda: None)
        return tf.stack([loss, count, norm]), carry

    def _average(self, share: Tensor) -> None:
        """Let the weights count for so much in the average; not called before that begins, and then each step."""
        for name, weight in self._weights.items():
            add_to(self._averages[name], share * (weight - self._averages[name]))

    def _loss_and_gradients(
        self, inputs: Tensor, targets: Tensor, carry: Carry, seed: Tensor, replica: Tensor
    ) -> tuple[dict[str, Any], Tensor, Tensor, Carry]:
        """Of the rows of one replica."""
        # The output weights are looked at apart: where they are the word vectors too, two gradients meet in one place.
        kernel = tf.stop_gradient(tf.convert_to_tensor(self._network.output_weights))
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            hidden, carry = self._network(inputs, carry, fold_in(seed, replica))
            loss, count, aim = self._losses(hidden, targets, seed, kernel)
            mean = aim / (self._settings.batch_size * self._settings.seq_len)
        gradient: Any = tape.gradient(mean, (self._weights, kernel))
        found, of_kernel = gradient
        if self._sampling is None:
            if self._network.architecture.tied:
                words = found["embedding"]
                found["embedding"] = tf.tensor_scatter_nd_add(of_kernel, words.indices[:, None], words.values)
            else:
                found["output/kernel"] = of_kernel
        gradients = {
            name: gradient if name in self._by_rows else tf.convert_to_tensor(gradient)
            for name, gradient in found.items()
        }
        return gradients, loss, count, carry

    def _losses(self, hidden: Tensor, targets: Tensor, seed: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The loss, of how many targets, and what is to become small; all replicas compare with the same draws."""
        if self._sampling is not None:
            loss, count = self._sampling.summed_loss(self._network, hidden, targets, fold_in(seed, _OF_THE_DRAWS))
            return loss, count, loss
        smoothing = self._settings.label_smoothing
        return output_loss(self._network, hidden, targets, smoothing=smoothing, kernel=kernel)


def _moved_by_rows(
    architecture: Architecture, settings: TrainingSettings, sampling: Sampling | None
) -> tuple[str, ...]:
    """The weights of which a step moves some rows alone: where most have none of its symbols, and that is the same.

    It follows from the settings alone, so that a run can go on with another number of devices.
    """
    if not OPTIMIZERS[settings.optimizer].moves_rows or settings.vary_seq_len:
        return ()  # TensorFlow's collectives take one shape in all steps, and the rows are as many as the symbols
    read = settings.batch_size * settings.seq_len
    compared = architecture.vocabulary_size if sampling is None else read + sampling.common + sampling.draws
    rows = {"embedding": read + compared} if architecture.tied else {"embedding": read, "output/kernel": compared}
    return tuple(name for name, number in rows.items() if 2 * number <= architecture.vocabulary_size)


def _behind_keras(variable: Any) -> Any:
    """TensorFlow's own variable."""
    return variable.value if isinstance(variable, keras.Variable) else variable


def _as_float32(carry: Carry) -> Carry:
    return tf.nest.map_structure(lambda value: tf.cast(value, tf.float32), carry)
