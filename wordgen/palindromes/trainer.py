"""The task of the study, the network that learns it, and a run, which trains it until there is a reason to end.

A network reads all digits of a palindrome but the last one, and predicts that one. The last digit is the first one
again, so the network only has to remember its first input. A run continues exactly where it was stopped.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, fields
from math import isfinite
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wordgen.errors import BundleError
from wordgen.network import Tensor
from wordgen.network.network import Network
from wordgen.palindromes.results import Ended, Point, RunResult, save_result
from wordgen.palindromes.settings import (
    DIGITS,
    Encoding,
    LearningSettings,
    StudyRun,
    architecture_of,
    first_length,
    trainable_parameters,
)
from wordgen.palindromes.worker import Event, Limits, Progress
from wordgen.training.checkpoint import Arrays, Checkpoints, Position, check_names
from wordgen.training.optimizers import OPTIMIZERS
from wordgen.training.settings import TrainingSettings

Digits = NDArray[np.uint8]
Part = Literal["train", "valid", "test", "weights"]

_PARTS: dict[Part, int] = {"train": 0, "valid": 1, "test": 2, "weights": 3}
_VALUES = (np.arange(DIGITS) - (DIGITS - 1) / 2) / np.std(np.arange(DIGITS))
"""The single input for each digit, with mean 0 and variance 1."""


def random_generator(run: StudyRun, part: Part, number: int = 0) -> np.random.Generator:
    """Return the random generator for a part of a run. For the training set, `number` is the number of the step.

    It follows from the random seed and the length, so all cells are trained on the same palindromes.
    """
    return np.random.default_rng((run.random_seed, run.length, _PARTS[part], number))


def draw_palindromes(count: int, length: int, generator: np.random.Generator) -> Digits:
    """Return random palindromes `(count, length)`. In their first half, all digits are equally likely."""
    half = generator.integers(0, DIGITS, (count, (length + 1) // 2), np.uint8)
    return np.concatenate([half, half[:, : length // 2][:, ::-1]], axis=1)


def inputs_and_targets(palindromes: Digits) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return all digits but the last ones, `(count, length - 1)`, and the last ones, `(count,)`."""
    digits = palindromes.astype(np.int32)
    return digits[:, :-1], digits[:, -1]


def encoding_table(encoding: Encoding) -> NDArray[np.float32]:
    """Return the inputs for each digit, one row per digit: ten inputs, one of which is 1, or a single number."""
    return (np.eye(DIGITS) if encoding == "one-hot" else _VALUES[:, None]).astype(np.float32)


def initial_bias(
    run: StudyRun, bias: NDArray[np.float32], forget_bias: float | None, first_length: int
) -> NDArray[np.float32]:
    """Return the bias with which the layer of a run begins. `bias` is the one that Keras gives it.

    The gate that keeps the state (the forget gate of an LSTM, the update gate of a GRU) begins with `forget_bias`. If
    that is None, each unit draws its own bias (Tallec and Ollivier, 2018, "chrono initialization"): a gate of 1 - 1/T
    keeps a state for about T time steps, and T is drawn evenly from 2 to the length. The input gate of an LSTM then
    begins at 1/T, with T from 2 to `first_length`. A GRU has one gate for both, and its T also goes up to
    `first_length` only. A plain RNN has no gates, so its bias does not change.
    """
    if run.cell == "rnn":
        return bias
    units = bias.shape[-1] // (4 if run.cell == "lstm" else 3)
    initial = bias.copy()
    draws = random_generator(run, "weights").random(units)
    keep_bias, write_bias = (np.log(1 + draws * max(1, length - 2)) for length in (run.length, first_length))
    if run.cell == "gru":
        initial[0, :units] = write_bias if forget_bias is None else forget_bias
        return initial
    initial[units : 2 * units] = keep_bias if forget_bias is None else forget_bias
    if forget_bias is None:
        initial[:units] = -write_bias
    return initial


_ENCODING = "embedding"
"""The variable with the inputs for each digit. It is not trained."""
_MEASURED_AT_ONCE = 64


class Metrics(NamedTuple):
    """Means over palindromes."""

    loss: float
    """The loss of the last digit, in nats."""
    accuracy: float
    gradient_norm: float = 0.0
    """The global norm of the gradient of a step, before it was clipped. 0 for a measurement without a step."""


class Trainer:
    """Trains the network of `wordgen train`, with one layer, to predict the last digit."""

    def __init__(self, run: StudyRun, settings: LearningSettings) -> None:
        self._rate = settings.learning_rate
        self.network = Network(architecture_of(run.cell, settings), random_seed=run.random_seed)
        variables = self.network.variables_by_name()
        variables.pop(_ENCODING).assign(encoding_table(settings.encoding))
        bias = variables["layer_1/bias"]
        bias.assign(initial_bias(run, np.asarray(bias), settings.forget_bias, first_length(run, settings)))
        self._weights = {name: variable.value for name, variable in variables.items()}
        updates = TrainingSettings(optimizer=settings.optimizer, clip=settings.clip)
        self._optimizer = OPTIMIZERS[settings.optimizer](updates, self._weights)
        inputs = None if settings.curriculum else run.length - 1  # a graph for one length can be unrolled
        self._step = _graph(self._train, settings.batch_size, inputs)
        self._measurement = _graph(self._measure, _MEASURED_AT_ONCE, run.length - 1)

    def step(self, palindromes: Digits) -> Metrics:
        """Update the weights with one batch, and return its means before the update."""
        return Metrics(*self._step(*inputs_and_targets(palindromes)).numpy().tolist())

    def measure(self, palindromes: Digits) -> Metrics:
        """Return the means over palindromes, whose number must be a multiple of 64."""
        batches = np.split(palindromes, len(palindromes) // _MEASURED_AT_ONCE)
        means = np.stack([self._measurement(*inputs_and_targets(batch)).numpy() for batch in batches])
        return Metrics(*means.mean(axis=0, dtype=np.float64).tolist())

    def gradient_norms(self, palindromes: Digits) -> NDArray[np.float64]:
        """Return how much the loss changes with the state after each input, `(length - 1,)`.

        This is the norm of the gradient of a palindrome's loss with respect to the whole state (hidden and cell state
        of an LSTM together), as the mean over the palindromes.
        """
        inputs, targets = inputs_and_targets(palindromes)
        with tf.GradientTape() as tape:
            state, states = self.network.zero_state(len(inputs)), []
            for digit in np.split(inputs, inputs.shape[1], axis=1):
                _, state = self.network(tf.constant(digit), state)
                states.append(state[0])
            loss = tf.reduce_sum(_losses(self.network.logits(states[-1][0]), tf.constant(targets)))
        zero: Any = tf.UnconnectedGradients.ZERO  # the last cell state of an LSTM does not change the loss
        gradients: Any = tape.gradient(loss, states, unconnected_gradients=zero)
        squares = [sum(np.sum(np.square(part, dtype=np.float64), axis=1) for part in each) for each in gradients]
        return np.sqrt(np.stack(squares)).mean(axis=1)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return the trained weights and the values of the optimizer, for a checkpoint."""
        return {name: np.array(variable) for name, variable in self._variables().items()}

    def restore(self, snapshot: Arrays) -> None:
        """Set all values of a snapshot. Raise BundleError if it belongs to another network."""
        variables = self._variables()
        check_names(snapshot, {name: tuple(variable.shape) for name, variable in variables.items()})
        for name, variable in variables.items():
            variable.assign(snapshot[name])
        self._optimizer.clear_unused()

    def _variables(self) -> Mapping[str, Tensor]:
        weights = {f"weights/{name}": weight for name, weight in self._weights.items()}
        return weights | {f"optimizer/{name}": slot for name, slot in self._optimizer.slots.items()}

    def _train(self, inputs: Tensor, targets: Tensor) -> Tensor:
        with tf.GradientTape() as tape:
            losses, correct = self._losses_and_correct(inputs, targets)
            loss = tf.reduce_mean(losses)
        gradients: Any = tape.gradient(loss, self._weights)
        norm = self._optimizer.apply_gradients(gradients, tf.constant(self._rate))
        return tf.stack([loss, tf.reduce_mean(correct), norm])

    def _measure(self, inputs: Tensor, targets: Tensor) -> Tensor:
        losses, correct = self._losses_and_correct(inputs, targets)
        return tf.stack([tf.reduce_mean(losses), tf.reduce_mean(correct)])

    def _losses_and_correct(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each palindrome, and 1 if its most probable digit is correct, else 0."""
        hidden, _ = self.network(inputs, self.network.zero_state(inputs.shape[0]))
        logits = self.network.logits(hidden[:, -1])
        most_probable = tf.argmax(logits, axis=-1, output_type=tf.int32)
        return _losses(logits, targets), tf.cast(most_probable == targets, tf.float32)


def _graph(function: Callable[[Tensor, Tensor], Tensor], rows: int, inputs: int | None) -> Any:
    """Return a graph for `rows` palindromes. `inputs` is the number of digits to read, None if it varies."""
    signature = [tf.TensorSpec((rows, inputs), tf.int32), tf.TensorSpec((rows,), tf.int32)]
    return tf.function(function, input_signature=signature)


def _losses(logits: Tensor, targets: Tensor) -> Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)


_VALIDATION_PALINDROMES, _TEST_PALINDROMES, _GRADIENT_PALINDROMES = 512, 4096, 64
"""The numbers of palindromes in the validation set and in the test set, and of those whose gradients are measured."""
_SECONDS_BETWEEN_CHECKPOINTS = 20.0


class PalindromeRun:
    """A run of the study. It continues from its newest checkpoint, if there is one."""

    def __init__(
        self, run: StudyRun, settings: LearningSettings, folder: Path, on_event: Callable[[Event], None]
    ) -> None:
        self._run, self._settings, self._folder, self._on_event = run, settings, folder, on_event
        self._valid = draw_palindromes(_VALIDATION_PALINDROMES, run.length, random_generator(run, "valid"))
        self._trainer = Trainer(run, settings)
        self._checkpoints = Checkpoints(folder, lambda sentence: on_event(Event("warning", sentence=sentence)))
        self._progress = self._restored()
        self._last_counted_at = self._saved_at = time.monotonic()

    def train(self, limits: Limits, should_stop: Callable[[], bool] = lambda: False) -> RunResult | None:
        """Train to the end of the run, save the result and return it.

        Return None if `should_stop` returns True before: then only a checkpoint is saved.
        """
        self._last_counted_at = self._saved_at = time.monotonic()
        self._on_event(Event("begun", step=self._progress.step))
        while (ended := self._reason_to_end(limits)) is None:
            if should_stop():
                self._save()
                return None
            self._step()
        self._save()
        result = self._result(ended, limits)
        save_result(self._folder, result)
        return result

    def _restored(self) -> Progress:
        """Load the newest checkpoint, and return its progress. Without one, return the beginning of the run."""
        checkpoint = self._checkpoints.newest()
        if checkpoint is None:
            return Progress(gradients_before=self._gradient_norms())
        arrays = dict(checkpoint.arrays)
        try:
            sums, curve, before = (arrays.pop(name) for name in ("sums", "curve", "gradients_before"))
            points = [Point(int(step), int(length), *figures) for step, length, *figures in curve.tolist()]
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"The checkpoint in {self._folder} belongs to another kind of run: use another --name, or remove this "
                "folder."
            ) from error
        self._trainer.restore(arrays)
        position = checkpoint.position
        return Progress(position.step_in_epoch, position.seconds, sums.tolist(), points, before.tolist())

    def _reason_to_end(self, limits: Limits) -> Ended | None:
        progress = self._progress
        if not all(map(isfinite, progress.sums)):
            return "diverged"
        if progress.solved and self._settings.stop_when_solved:
            return "solved"
        if progress.step >= limits.steps:
            return "all steps done"
        if limits.seconds is not None and progress.seconds >= limits.seconds:
            return "the time is up"
        return None

    def _step(self) -> None:
        progress = self._progress
        generator = random_generator(self._run, "train", progress.step)
        done = self._trainer.step(draw_palindromes(self._settings.batch_size, self._length, generator))
        progress.step += 1
        progress.sums = [total + value for total, value in zip(progress.sums, done, strict=True)]
        if progress.steps_since_point == self._settings.measure_every and all(map(isfinite, progress.sums)):
            point = self._next_point()
            progress.curve.append(point)
            progress.sums = [0.0, 0.0, 0.0]
            self._on_event(Event("point", step=point.step, accuracy=point.valid_accuracy))
        self._count_time()
        self._on_event(Event("step", step=progress.step))

    @property
    def _length(self) -> int:
        return self._progress.length(self._run, self._settings)

    def _next_point(self) -> Point:
        progress = self._progress
        loss, accuracy, norm = (value / progress.steps_since_point for value in progress.sums)
        valid = self._trainer.measure(self._valid)
        return Point(progress.step, self._length, loss, accuracy, norm, valid.loss, valid.accuracy)

    def _count_time(self) -> None:
        """Add the time since the last call to the training time, and save a checkpoint every 20 seconds."""
        now = time.monotonic()
        self._progress.seconds += now - self._last_counted_at
        self._last_counted_at = now
        if now - self._saved_at > _SECONDS_BETWEEN_CHECKPOINTS:
            self._save()

    def _save(self) -> None:
        progress = self._progress
        points = np.reshape([astuple(point) for point in progress.curve], (-1, len(fields(Point))))
        arrays = {"sums": progress.sums, "curve": points, "gradients_before": progress.gradients_before}
        arrays = {name: np.array(values, np.float64) for name, values in arrays.items()}
        position = Position(step_in_epoch=progress.step, seconds=progress.seconds)
        self._checkpoints.save(progress.step, {**self._trainer.snapshot(), **arrays}, position)
        self._saved_at = time.monotonic()

    def _result(self, ended: Ended, limits: Limits) -> RunResult:
        progress = self._progress
        rest = [self._next_point()] if progress.steps_since_point and ended != "diverged" else []
        test = self._trainer.measure(
            draw_palindromes(_TEST_PALINDROMES, self._run.length, random_generator(self._run, "test"))
        )
        return RunResult(
            cell=self._run.cell,
            length=self._run.length,
            random_seed=self._run.random_seed,
            parameters=trainable_parameters(self._run.cell, self._settings),
            ended=ended,
            time_budget=limits.time_budget if ended == "the time is up" else None,
            steps=progress.step,
            seconds=progress.seconds,
            test_palindromes=_TEST_PALINDROMES,
            accuracy=test.accuracy,
            loss=test.loss,
            curve=(*progress.curve, *rest),
            gradients_before=tuple(progress.gradients_before),
            gradients_after=tuple(self._gradient_norms()),
        )

    def _gradient_norms(self) -> list[float]:
        return self._trainer.gradient_norms(self._valid[:_GRADIENT_PALINDROMES]).tolist()
