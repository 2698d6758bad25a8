"""The loss of a batch: how surprised the network is by each symbol, START never counted."""

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from wordgen.model.network import Network, Tensor
from wordgen.text.vocabulary import START


def summed_loss(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The cross entropy (in nats) summed over all counted targets, and how many those are."""
    losses, counted = losses_of(logits, targets)
    return tf.reduce_sum(losses), tf.reduce_sum(counted)


def losses_of(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The cross entropy of each target, nothing where it is not counted; and 1 where it is, 0 where not."""
    counted = tf.cast(targets != START, tf.float32)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
    return losses * counted, counted


def output_loss(
    network: Network, hidden: Tensor, targets: Tensor, *, smoothing: float = 0.0, kernel: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The summed loss, of how many targets, and what is to become small: the loss, smoothed.

    With `smoothing` a share of the probability shall go to all symbols alike. The logits are the largest array of a
    step, so no second one is made: their gradient takes their place. `kernel` stands for the output weights.
    """
    if kernel is None:
        kernel = tf.convert_to_tensor(network.output_weights)
    states = network.projected(hidden)
    states = tf.reshape(states, (-1, states.shape[-1]))
    counted = tf.cast(tf.reshape(targets, (-1,)) != START, tf.float32)
    losses = _OutputLoss(tf.reshape(targets, (-1,)), counted, smoothing)
    loss, aim = tf.custom_gradient(losses.of)(states, kernel, tf.convert_to_tensor(network.output_bias))
    return loss, tf.reduce_sum(counted), aim


@dataclass(frozen=True)
class _OutputLoss:
    """Loss and aim as functions of states, output weights and bias, with a gradient of their own."""

    targets: Tensor
    """(places,), as `counted`."""
    counted: Tensor
    smoothing: float

    def of(self, states: Tensor, kernel: Tensor, bias: Tensor) -> tuple[tuple[Tensor, Tensor], Any]:
        """The states have the shape (places, units), the output weights (vocabulary, units)."""
        weights = tf.cast(kernel, states.dtype)
        # (places, vocabulary), as the slopes, which are softmax minus one-hot and take the memory of the logits.
        logits = tf.cast(tf.matmul(states, weights, transpose_b=True), tf.float32) + bias
        smoothed = self._smoothed(logits)
        losses, slopes = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(features=logits, labels=self.targets)
        loss = tf.reduce_sum(losses * self.counted)

        def gradient(_: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            # Each place counts for so much. The small factors of the products are multiplied by it, not the slopes.
            share = (upstream * self.counted)[:, None]
            sloping = self._smoothed_slopes(slopes)
            narrow = tf.cast(sloping, states.dtype)
            of_bias = tf.reshape(tf.matmul(share, sloping, transpose_a=True), (-1,))
            shared = tf.cast(tf.cast(states, tf.float32) * share, states.dtype)
            of_kernel = tf.cast(tf.matmul(narrow, shared, transpose_a=True), tf.float32)
            of_states = tf.cast(tf.matmul(narrow, weights), tf.float32) * share
            return tf.cast(of_states, states.dtype), of_kernel, of_bias

        return (loss, loss + smoothed), gradient

    def _smoothed(self, logits: Tensor) -> Tensor:
        """What is to be added to the loss."""
        if self.smoothing == 0:
            return tf.constant(0.0)
        own = tf.gather(logits, self.targets, batch_dims=1)
        return self.smoothing * tf.reduce_sum((own - tf.reduce_mean(logits, axis=-1)) * self.counted)

    def _smoothed_slopes(self, slopes: Tensor) -> Tensor:
        if self.smoothing == 0:
            return slopes
        places = tf.stack([tf.range(tf.size(self.targets)), self.targets], axis=1)
        more = tf.fill(tf.shape(self.targets), self.smoothing)
        return tf.tensor_scatter_nd_add(
            slopes - self.smoothing / tf.cast(tf.shape(slopes)[1], tf.float32), places, more
        )
