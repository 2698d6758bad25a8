"""Training steps: several of them run in one call of a TensorFlow graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wordgen.dataset.batches import Ids, longest_seq_len
from wordgen.model.architecture import Architecture
from wordgen.model.bundle import Weights
from wordgen.network import Tensor
from wordgen.network.losses import Sampling, output_loss
from wordgen.network.network import Network, State, fold_in
from wordgen.network.replicas import Replicas
from wordgen.text.vocabulary import START
from wordgen.training.checkpoint import check_names
from wordgen.training.optimizers import OPTIMIZERS, add_to
from wordgen.training.settings import TrainingSettings

_MULTIPLICATIONS_PER_CALL = 2 * 10**9
_GPU_SPEEDUP = 100
_MAX_STEPS_PER_CALL = 32


def steps_per_call(architecture: Architecture, settings: TrainingSettings, *, on_gpu: bool = False) -> int:
    """Return how many steps run in one call: between 1 and 32.

    A call takes some tenths of a second, because a stop or a checkpoint waits until it ends. The number depends only on
    the network, the batch and the kind of device, because it must be the same on all workers. A GPU multiplies about a
    hundred times as fast as a CPU, so it gets more steps per call: once per call, the GPU and Python wait for each
    other.
    """
    work = settings.batch_size * settings.seq_len * (architecture.recurrent_parameters + architecture.output_parameters)
    steps = _MULTIPLICATIONS_PER_CALL * (_GPU_SPEEDUP if on_gpu else 1) // (3 * work)
    return max(1, min(_MAX_STEPS_PER_CALL, steps))


# Folded into the random seed of a step to draw sampled tokens. Dropout folds in replica numbers, which are far smaller.
_SAMPLING_SEED = 1 << 20

Requests = tuple[bool, bool]
"""Whether a worker wants to stop after a call, and whether it wants to save. One worker that wants it is enough."""
_NO_REQUESTS: Requests = (False, False)


def _state_name(layer: int, part: int) -> str:
    return f"state/{layer}/{part}"


@dataclass(frozen=True)
class StepResult:
    """The result of one step."""

    loss: float
    """The loss in nats, summed over the counted targets."""
    count: int
    """The number of counted targets: all but START."""
    norm: float
    """The global norm of the gradient, before it was clipped."""


class Stepper:
    """Runs training steps. It holds the network and the optimizer.

    The caller passes in everything that depends on the position in the run: batches, state and learning rates.
    """

    def __init__(
        self,
        network: Network,
        settings: TrainingSettings,
        replicas: Replicas,
        *,
        log_frequencies: NDArray[np.float32] | None = None,
    ) -> None:
        """Build the optimizer and the graphs.

        `log_frequencies` are the logarithms of the frequencies of all tokens in the vocabulary. They are only used with
        `sampled_output`; by default, all tokens are equally frequent.
        """
        if log_frequencies is None:
            log_frequencies = np.zeros(network.architecture.vocabulary_size, np.float32)
        drawn = settings.sampled_output
        self._sampling = None if drawn is None else Sampling.of(drawn, log_frequencies)
        self.network = network
        self._settings = settings
        self._replicas = replicas
        self._weights = {  # TensorFlow's variables, without those of Keras around them
            name: each.value if isinstance(each, keras.Variable) else each
            for name, each in network.variables_by_name().items()
        }
        self._by_rows = _weights_updated_by_rows(network.architecture, settings, self._sampling)
        self.has_run = False
        on_gpu = replicas.broadcast_value(bool(tf.config.get_visible_devices("GPU")))
        self.max_steps = steps_per_call(network.architecture, settings, on_gpu=on_gpu)
        self._max_length = longest_seq_len(settings.seq_len, vary_seq_len=settings.vary_seq_len)
        self._averages: dict[str, Tensor] = {}
        with replicas.strategy.scope():
            self._optimizer = OPTIMIZERS[settings.optimizer](settings, self._weights, self._by_rows)
            if settings.average_after is not None:
                self._averages = {name: tf.Variable(weight, trainable=False) for name, weight in self._weights.items()}
        # AutoGraph is needed for the loop over the steps only. To convert all that a step calls takes seconds.
        self._step_without_autograph = tf.autograph.experimental.do_not_convert(self._one_step)
        self._run_steps = tf.function(self._steps, reduce_retracing=True)
        self._gather_state = tf.function(self._float32_state, autograph=False)

    def zero_state(self) -> State:
        return self._replicas.split(
            self._settings.batch_size, lambda rows: self.network.zero_state(rows.stop - rows.start)
        )

    def __call__(
        self,
        windows: Sequence[tuple[Ids, Ids]],
        state: State,
        first_step: int,
        rates: Sequence[float],
        requests: Requests = _NO_REQUESTS,
        average_shares: Sequence[float] = (),
    ) -> tuple[list[StepResult], Requests, State]:
        """Run one step for each batch. Return the result of each step, the requests of all workers, and the new state.

        `windows` are at most `max_steps` pairs of inputs and targets, each of shape (batch, time). `first_step` is the
        number of the first of these steps in the run. `rates` has the learning rate of each step. `average_shares` has
        the share that the weights after each step get in the average of weights; 0 leaves the average unchanged.
        """
        self.has_run = True
        # The arrays have the same shape in all calls, so TensorFlow traces only one graph.
        inputs, targets = np.full((2, self.max_steps, self._settings.batch_size, self._max_length), START, np.int32)
        lengths, rates_and_shares = np.zeros(self.max_steps, np.int32), np.zeros((self.max_steps, 2), np.float32)
        for k, window in enumerate(windows):
            lengths[k] = window[0].shape[1]
            inputs[k, :, : lengths[k]], targets[k, :, : lengths[k]] = window
        rates_and_shares[: len(rates), 0], rates_and_shares[: len(average_shares), 1] = rates, average_shares
        batches = self._replicas.split(self._settings.batch_size, lambda rows: (inputs[:, rows], targets[:, rows]))
        done, requested, state = self._run_steps(
            batches,
            state,
            tf.constant(first_step),
            tf.constant(len(windows)),
            tf.constant(lengths),
            tf.constant(rates_and_shares),
            tf.constant(requests, tf.int32),
        )
        # Fetch all numbers as one array. To fetch each one separately takes longer than a step of a small network.
        steps = [StepResult(loss, int(count), norm) for loss, count, norm in done.numpy().tolist()]
        stop, save = requests if self._replicas.workers == 1 else requested.numpy().astype(bool).tolist()
        return steps, (stop, save), state

    def weights(self, *, averaged: bool) -> Weights:
        """Return the current weights of the network, or with `averaged` their average over steps."""
        if not averaged:
            return self.network.to_weights()
        return {name: np.asarray(average) for name, average in self._averages.items()}

    def snapshot(self, state: State) -> dict[str, np.ndarray]:
        """Return everything that the next step depends on, except the position in the text.

        These are the weights, their averages, the values of the optimizer, and the state. All workers must call this at
        the same point, because the state is gathered from all of them.
        """
        gathered = {
            _state_name(layer, part): np.asarray(value)
            for layer, parts in enumerate(self._gather_state(state))
            for part, value in enumerate(parts)
        }
        return {**{name: np.array(value) for name, value in self._saved_variables().items()}, **gathered}

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> State:
        """Load the arrays of a checkpoint, and return the state. Raises BundleError if they do not fit the network."""
        variables = self._saved_variables()
        rows, architecture = self._settings.batch_size, self.network.architecture
        names = [
            [_state_name(layer, part) for part in range(architecture.states)] for layer in range(architecture.layers)
        ]
        shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
        for layer, units in zip(names, architecture.widths, strict=True):
            shapes |= dict.fromkeys(layer, (rows, units))
        check_names(snapshot, shapes)
        for name, variable in variables.items():
            variable.assign(snapshot[name])
        self._optimizer.clear_unused()
        return self._replicas.split(
            rows,
            lambda replica_rows: tuple(
                tuple(tf.cast(snapshot[name][replica_rows], self.network.compute_dtype) for name in layer)
                for layer in names
            ),
        )

    def _saved_variables(self) -> dict[str, Tensor]:
        weights = {f"weights/{name}": value for name, value in self.network.variables_by_name().items()}
        averages = {f"averages/{name}": value for name, value in self._averages.items()}
        return {**weights, **averages, **{f"optimizer/{name}": slot for name, slot in self._optimizer.slots.items()}}

    def _float32_state(self, state: State) -> State:
        """Return the state of all replicas as float32, which represents every bfloat16 value exactly."""
        strategy = self._replicas.strategy
        exact = strategy.run(_as_float32, args=(state,))
        return tuple(tuple(strategy.gather(value, axis=0) for value in parts) for parts in exact)

    def _steps(
        self,
        batches: tuple[Tensor, Tensor],
        state: State,
        first_step: Tensor,
        number: Tensor,
        lengths: Tensor,
        rates_and_shares: Tensor,
        requests: Tensor,
    ) -> tuple[Tensor, Tensor, State]:
        figures = tf.TensorArray(tf.float32, number, element_shape=(3,))
        for k in tf.range(number):
            length = lengths[k] if self._settings.vary_seq_len else None
            seed = tf.stack([self._settings.random_seed, first_step + k])
            found, state = self._replicas.strategy.run(
                self._step_without_autograph, args=(batches, k, length, state, seed, rates_and_shares[k])
            )
            figures = figures.write(k, self._replicas.strategy.experimental_local_results(found)[0])
        if self._replicas.workers > 1:
            requests = self._replicas.sum(self._replicas.strategy.run(tf.identity, args=(requests,)))
        return figures.stack(), requests, state

    def _one_step(
        self,
        batches: tuple[Tensor, Tensor],
        k: Tensor,
        length: Tensor | None,
        state: State,
        seed: Tensor,
        rate_and_share: Tensor,
    ) -> tuple[Tensor, State]:
        """Run one step on one replica.

        Return three numbers as one tensor (the summed loss of all replicas, the number of counted targets, the norm of
        the gradient), and the new state of this replica.
        """
        # If all steps have the same length, `length` is None and a compiler knows the shape.
        inputs, targets = batches[0][k][:, :length], batches[1][k][:, :length]
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        gradients, loss, count, state = self._gradients(inputs, targets, state, seed, replica)
        summed = self._replicas.all_reduce({**gradients, "loss": loss, "count": count})
        loss, count = summed.pop("loss"), summed.pop("count")
        rate, share = rate_and_share[0], rate_and_share[1]
        norm = self._optimizer.apply_gradients(summed, rate)
        if self._averages:
            tf.cond(share > 0, lambda: self._average(share), lambda: None)
        return tf.stack([loss, count, norm]), state

    def _average(self, share: Tensor) -> None:
        """Add the weights to the average with this share. Called in every step from the one where averaging begins."""
        for name, weight in self._weights.items():
            add_to(self._averages[name], share * (weight - self._averages[name]))

    def _gradients(
        self, inputs: Tensor, targets: Tensor, state: State, seed: Tensor, replica: Tensor
    ) -> tuple[dict[str, Tensor], Tensor, Tensor, State]:
        """Return gradients, summed loss, number of counted targets and new state for the rows of one replica."""
        # Watch the output weights separately: in a tied network they are the word vectors, too, and get two gradients.
        # A sampled loss reads only some of their rows.
        kernel = None if self._sampling else tf.stop_gradient(tf.convert_to_tensor(self.network.output_weights))
        with tf.GradientTape() as tape:
            if kernel is not None:
                tape.watch(kernel)
            hidden, state = self.network(inputs, state, fold_in(seed, replica))
            loss, count, objective = self._losses(hidden, targets, seed, kernel)
            mean = objective / (self._settings.batch_size * self._settings.seq_len)
        gradient: Tensor = tape.gradient(mean, (self._weights, () if kernel is None else kernel))
        gradients, kernel_gradient = gradient
        if kernel is not None:
            if self.network.architecture.tied:
                words = gradients["embedding"]
                gradients["embedding"] = tf.tensor_scatter_nd_add(kernel_gradient, words.indices[:, None], words.values)
            else:
                gradients["output/kernel"] = kernel_gradient
        gradients = {
            name: gradient if name in self._by_rows else tf.convert_to_tensor(gradient)
            for name, gradient in gradients.items()
        }
        return gradients, loss, count, state

    def _losses(
        self, hidden: Tensor, targets: Tensor, seed: Tensor, kernel: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the summed loss, the number of counted targets, and the quantity to minimise.

        The last one differs from the loss only with label smoothing. With sampled output, all replicas use the same
        drawn tokens.
        """
        if self._sampling is not None:
            loss, count = self._sampling.summed_loss(self.network, hidden, targets, fold_in(seed, _SAMPLING_SEED))
            return loss, count, loss
        smoothing = self._settings.label_smoothing
        return output_loss(self.network, hidden, targets, smoothing=smoothing, kernel=kernel)


def _weights_updated_by_rows(
    architecture: Architecture, settings: TrainingSettings, sampling: Sampling | None
) -> tuple[str, ...]:
    """Return the names of the weights of which a step updates only some rows.

    These are the weights where at least half of the rows belong to no token of the step, provided that the optimizer
    gives the same result without these rows. The names depend only on the architecture and the settings, so a run can
    resume on a different number of devices.
    """
    if not OPTIMIZERS[settings.optimizer].can_skip_rows or settings.vary_seq_len:
        return ()  # there are as many rows as tokens, and TensorFlow's collectives need the same shape in all steps
    targets = settings.batch_size * settings.seq_len
    compared_rows = architecture.vocabulary_size if sampling is None else targets + sampling.common + sampling.draws
    rows = (
        {"embedding": targets + compared_rows}
        if architecture.tied
        else {"embedding": targets, "output/kernel": compared_rows}
    )
    return tuple(name for name, number in rows.items() if 2 * number <= architecture.vocabulary_size)


def _as_float32(state: State) -> State:
    return tf.nest.map_structure(lambda value: tf.cast(value, tf.float32), state)
