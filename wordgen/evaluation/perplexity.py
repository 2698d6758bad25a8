"""The perplexity of the Keras network: on the validation set during training, and on a text while it trains on it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wordgen.dataset.batches import evaluation_batches
from wordgen.evaluation.measurement import Loss, perplexity_of, predicted_tokens, streams_for
from wordgen.generation.decoding import Progress
from wordgen.model.architecture import Architecture
from wordgen.model.bundle import Weights
from wordgen.network import Tensor
from wordgen.network.losses import losses_of, summed_loss
from wordgen.network.network import Network, State
from wordgen.network.replicas import Replicas
from wordgen.text.vocabulary import START

_SEQ_LEN = 50


class Evaluator:
    """Measures a network on one split repeatedly, and traces its graph only once.

    The split is read in parallel streams that the replicas share. No token at its end is left out, and START is never a
    target. The network is measured in float32, as it is saved and used, whatever precision it trains in. text_loss.py
    computes the same without TensorFlow.
    """

    def __init__(
        self, network: Network, ids: NDArray[np.unsignedinteger], replicas: Replicas, *, separate_weights: bool = False
    ) -> None:
        """If `separate_weights` is True, weights other than those of the network can be measured."""
        streams = streams_for(len(ids))
        self._trained_network = self._network = network
        if separate_weights or network.compute_dtype != "float32":
            with replicas.strategy.scope():
                self._network = Network(network.architecture)
        self._replicas = replicas
        # All replicas must have equally many rows. The additional rows have only START as target, which never counts.
        self._rows = -(-streams // replicas.count) * replicas.count
        self._batches = evaluation_batches(ids, streams, _SEQ_LEN, rows=self._rows)
        self._losses = tf.function(self._batch_losses, reduce_retracing=True, autograph=False)

    @property
    def batches(self) -> int:
        """The number of batches of the split."""
        return len(self._batches)

    def perplexity(
        self,
        weights: Weights | None = None,
        should_continue: Callable[[], bool] = lambda: True,
        on_progress: Callable[[int], None] = lambda done: None,
    ) -> float | None:
        """Return the exponential of the mean loss, or None if a worker stopped the measurement.

        `weights` are measured instead of those of the network, if the evaluator was made with `separate_weights` or the
        network does not compute in float32. `should_continue` is called before each batch; if it returns False on any
        worker, the measurement stops after that batch. `on_progress` receives the number of batches done, after each
        batch.
        """
        if self._network is not self._trained_network:
            self._network.set_weights_by_name(weights or self._trained_network.to_weights())
        loss = count = 0.0
        state = self._replicas.split(self._rows, lambda rows: self._network.zero_state(rows.stop - rows.start))
        for done, (inputs, targets) in enumerate(self._batches, 1):
            batch = self._replicas.split(self._rows, lambda rows, i=inputs, t=targets: (i[rows], t[rows]))
            batch_loss, batch_count, stop_requests, state = self._losses(
                batch, state, tf.constant(not should_continue())
            )
            if int(stop_requests):
                return None
            loss += float(batch_loss)
            count += float(batch_count)
            on_progress(done)
        return perplexity_of(loss / max(1.0, count))

    def _batch_losses(
        self, batch: tuple[Tensor, Tensor], state: State, wants_to_stop: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, State]:
        """Return the summed loss of a batch, the number of its targets, the stop requests, and the state after it.

        The stop requests are the number of replicas whose worker wants to stop.
        """
        run, total = self._replicas.strategy.run, self._replicas.sum
        loss, count, stop_requests, state = run(self._replica_losses, args=(batch, state, wants_to_stop))
        return total(loss), total(count), total(stop_requests), state

    def _replica_losses(
        self, batch: tuple[Tensor, Tensor], state: State, wants_to_stop: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, State]:
        hidden, state = self._network(batch[0], state)
        loss, count = summed_loss(self._network.logits(hidden), batch[1])
        return loss, count, tf.cast(wants_to_stop, tf.int32), state


_PIECE_LENGTH = 20  # tokens that are predicted before the network trains on them
_MAX_GRADIENT_NORM = 1.0
_DECAY = 0.002
"""With each piece, a weight loses this share of its distance from its value in the trained model."""
_RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
_MAX_TOKENS_FOR_RATE = 20_000

Ids = NDArray[np.unsignedinteger]


class DynamicEvaluator:
    """Measures a network on texts while it trains on them. It traces its graph only once, for all learning rates."""

    def __init__(self, architecture: Architecture, weights: Weights) -> None:
        self._network = Network(architecture)
        self._network.set_weights_by_name(weights)
        self._trained_weights = [tf.constant(np.asarray(each)) for each in self._network.trainable_variables]
        self._step = tf.function(self._predict_and_train, autograph=False)

    def loss(self, ids: Ids, rate: float, progress: Progress = lambda done, tokens: None) -> Loss:
        """Return the loss over all tokens of a text but START while the network trains on it with a learning rate.

        The text is read as one stream, in pieces of `_PIECE_LENGTH` tokens. The network begins with its trained
        weights, and predicts each piece before it trains on it. With a rate of 0, it does not train. `progress`
        receives the number of tokens predicted so far, and of all to predict.
        """
        for variable, trained in zip(self._network.trainable_variables, self._trained_weights, strict=True):
            variable.assign(trained)
        state, nats = self._network.zero_state(1), list[NDArray[np.float32]]()
        done, tokens = 0, predicted_tokens(ids)
        for inputs, targets in evaluation_batches(ids, 1, _PIECE_LENGTH):
            losses, state = self._step(tf.constant(inputs), tf.constant(targets), state, tf.constant(rate))
            nats.append(losses.numpy()[targets != START])
            done += len(nats[-1])
            progress(done, tokens)
        return Loss.of(np.concatenate(nats), ids)

    def best_rate(self, ids: Ids, progress: Progress = lambda done, tokens: None) -> float:
        """Return the learning rate with the lowest loss on the first `_MAX_TOKENS_FOR_RATE` tokens of a text.

        Rates are tried from low to high until the loss no longer falls. The result is 0 if no rate lowers the loss.
        """
        part = ids[:_MAX_TOKENS_FOR_RATE]
        best, least = 0.0, self.loss(part, 0.0, progress).nats
        for rate in _RATES:
            nats = self.loss(part, rate, progress).nats
            if not nats < least:
                break
            best, least = rate, nats
        return best

    def _predict_and_train(self, inputs: Tensor, targets: Tensor, state: State, rate: Tensor) -> tuple[Tensor, State]:
        """Return the loss of each target in nats, 0 for START, and the state after them. Then train on the targets."""
        variables = self._network.trainable_variables
        with tf.GradientTape() as tape:
            hidden, state = self._network(inputs, state)
            losses, counted = losses_of(self._network.logits(hidden), targets)
            mean = tf.reduce_sum(losses) / tf.maximum(tf.reduce_sum(counted), 1.0)

        def train() -> Tensor:
            gradients: Any = [tf.convert_to_tensor(each) for each in tape.gradient(mean, variables)]
            gradients, norm = tf.clip_by_global_norm(gradients, _MAX_GRADIENT_NORM)
            for variable, trained, gradient in zip(variables, self._trained_weights, gradients, strict=True):
                variable.assign_add(_DECAY * (trained - variable) - rate * gradient)
            return norm

        tf.cond(rate > 0, train, lambda: tf.constant(0.0))
        return losses, state
