"""A network that goes on learning from the text it is measured on: dynamic evaluation (Mikolov 2010, Krause 2017).

Each piece of the text is predicted first and learned then, so nothing is learned before it was predicted. The weights
are drawn back to what they were, so that what was read long ago is forgotten. How fast it learns is found out on
another text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wordgen.architecture import Architecture
from wordgen.dataset.batches import evaluation_batches
from wordgen.evaluation.measures import Loss, predicted_symbols
from wordgen.generation.scoring import Progress
from wordgen.model.losses import losses_of
from wordgen.model.network import Carry, Network, Tensor
from wordgen.text.vocabulary import START

_PIECE = 20  # symbols that are predicted before they are learned
_CLIP = 1.0
_FORGETTING = 0.002
"""Of what a weight has moved so much is taken back with each piece."""
_RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
_ENOUGH_TO_CHOOSE = 20_000

Ids = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class LearningNetwork:
    """A network and how fast it learns while it is measured."""

    architecture: Architecture
    weights: Mapping[str, NDArray[np.float32]]
    rate: float = 0.0


def dynamic_loss(learning: LearningNetwork, ids: Ids, progress: Progress = lambda done, symbols: None) -> Loss:
    """Loss over all symbols but START, read in one stream."""
    pieces = _Pieces(learning)
    nats: list[NDArray[np.float32]] = []
    done, symbols = 0, predicted_symbols(ids)
    for inputs, targets in evaluation_batches(ids, 1, _PIECE):
        nats.append(pieces.predict_and_learn(inputs, targets)[targets != START])
        done += len(nats[-1])
        progress(done, symbols)
    return Loss.of(np.concatenate(nats), ids)


def best_rate(learning: LearningNetwork, ids: Ids, progress: Progress = lambda done, symbols: None) -> float:
    """How fast a network should learn on a text, judged by its beginning; rates are tried until it gets worse."""
    part = ids[:_ENOUGH_TO_CHOOSE]
    best, least = 0.0, dynamic_loss(learning, part, progress).nats
    for rate in _RATES:
        nats = dynamic_loss(LearningNetwork(learning.architecture, learning.weights, rate), part, progress).nats
        if not nats < least:
            break
        best, least = rate, nats
    return best


class _Pieces:
    """Predicts a text piece by piece, and learns each."""

    def __init__(self, learning: LearningNetwork) -> None:
        self._rate = learning.rate
        self._network = Network(learning.architecture)
        self._network.set_weights_by_name(learning.weights)
        self._trained = [tf.constant(np.asarray(each)) for each in self._network.trainable_variables]
        self._carry = self._network.zero_carry(1)
        self._step = tf.function(self._predicted_and_learned)

    def predict_and_learn(self, inputs: NDArray[np.int32], targets: NDArray[np.int32]) -> NDArray[np.float32]:
        """What each target cost, START left at nothing."""
        losses, self._carry = self._step(tf.constant(inputs), tf.constant(targets), self._carry)
        return losses.numpy()

    def _predicted_and_learned(self, inputs: Tensor, targets: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        variables = self._network.trainable_variables
        with tf.GradientTape() as tape:
            hidden, carry = self._network(inputs, carry)
            losses, counted = losses_of(self._network.logits(hidden), targets)
            mean = tf.reduce_sum(losses) / tf.maximum(tf.reduce_sum(counted), 1.0)
        if self._rate:
            gradients = [tf.convert_to_tensor(each) for each in tape.gradient(mean, variables)]
            gradients, _ = tf.clip_by_global_norm(gradients, _CLIP)
            for variable, trained, gradient in zip(variables, self._trained, gradients, strict=True):
                variable.assign_add(_FORGETTING * (trained - variable) - self._rate * gradient)
        return losses, carry
