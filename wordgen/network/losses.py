"""The losses: over all tokens of the vocabulary, or over a sample of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wordgen.network import Tensor
from wordgen.network.network import DropoutSeed, Network, random_bits
from wordgen.text.vocabulary import START

Gradient = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""Takes the gradients of the two losses. Returns those of states, output weights and bias."""
SampledGradient = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]


def summed_loss(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cross entropy in nats, summed over all targets but START, and the number of these targets."""
    losses, counted = losses_of(logits, targets)
    return tf.reduce_sum(losses), tf.reduce_sum(counted)


def losses_of(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cross entropy of each target in nats, and a mask of the same shape.

    The mask is 1 for counted targets and 0 for START. The cross entropy is 0 where the mask is 0.
    """
    counted = tf.cast(targets != START, tf.float32)
    target_logits = tf.gather(logits, targets, batch_dims=targets.shape.rank)
    return (tf.reduce_logsumexp(logits, axis=-1) - target_logits) * counted, counted


def output_loss(
    network: Network, hidden: Tensor, targets: Tensor, *, smoothing: float = 0.0, kernel: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the summed loss in nats, the number of counted targets, and the smoothed loss.

    The smoothed loss is the one to minimise: it alone has a gradient. `smoothing` is the share of the probability that
    the target distribution spreads evenly over all tokens. `kernel` replaces the output weights of the network.
    """
    if kernel is None:
        kernel = tf.convert_to_tensor(network.output_weights)
    states = network.projected(hidden)
    states = tf.reshape(states, (-1, states.shape[-1]))
    counted = tf.cast(tf.reshape(targets, (-1,)) != START, tf.float32)
    losses = _OutputLoss(tf.reshape(targets, (-1,)), counted, smoothing)
    loss, smoothed_loss = tf.custom_gradient(losses.of)(states, kernel, tf.convert_to_tensor(network.output_bias))
    return loss, tf.reduce_sum(counted), smoothed_loss


@dataclass(frozen=True)
class _OutputLoss:
    """The loss and the smoothed loss as functions of states, output weights and bias, with a custom gradient.

    The logits, `(positions, vocabulary)`, are the largest array of a step, so only two operations use it: a matrix
    product and a softmax (docs/experiments.md, 2026-11-30). The gradient of the logits is the softmax minus the target
    distribution. It is never computed: the target distribution is subtracted after the softmax was multiplied by
    states or weights, which gives much smaller arrays. A probability of 0 counts as the smallest positive float32, so
    no loss is above 88 nats. A NaN among the logits reaches the gradient, but not always the loss.
    """

    targets: Tensor
    """Shape `(positions,)`, like `counted`."""
    counted: Tensor
    smoothing: float

    def of(self, states: Tensor, kernel: Tensor, bias: Tensor) -> tuple[tuple[Tensor, Tensor], Gradient]:
        """Return the loss, the smoothed loss and their gradient function.

        The states have the shape `(positions, units)`, and the output weights `(vocabulary, units)`.
        """
        weights = tf.cast(kernel, states.dtype)
        probs = tf.nn.softmax(_logits(states, weights, bias))
        losses = _losses_from(tf.cast(tf.gather(probs, self.targets, batch_dims=1), tf.float32))
        smoothed = losses if self.smoothing == 0 else losses + self._smoothing_term(states, weights, bias)
        loss, smoothed_loss = (tf.reduce_sum(each * self.counted) for each in (losses, smoothed))

        def gradient(_: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            counted = tf.cast(self.counted, states.dtype)[:, None]
            d_kernel, d_bias = (self._d_weights(probs, factors) for factors in (states * counted, counted))
            own_rows = tf.cast(tf.gather(weights, self.targets), tf.float32)
            d_states = tf.cast(tf.matmul(probs, weights), tf.float32) - self._expected(own_rows, _mean_row(weights))
            return (
                tf.cast(d_states * self.counted[:, None] * upstream, states.dtype),
                d_kernel * upstream,
                d_bias[:, 0] * upstream,
            )

        return (loss, smoothed_loss), gradient

    def _expected(self, target_values: Tensor, mean: Tensor) -> Tensor:
        """Return the expected value under the target distribution, from the targets' values and the mean of all."""
        return target_values if self.smoothing == 0 else (1 - self.smoothing) * target_values + self.smoothing * mean

    def _smoothing_term(self, states: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
        """Return what smoothing adds to each loss: a share of the target's logit minus the mean logit."""
        own = tf.cast(tf.gather(weights, self.targets), tf.float32) - _mean_row(weights)
        above = tf.reduce_sum(tf.cast(states, tf.float32) * own, axis=1)
        return self.smoothing * (above + tf.gather(bias, self.targets) - tf.reduce_mean(bias))

    def _d_weights(self, probs: Tensor, factors: Tensor) -> Tensor:
        """Return the gradient of weights from the factors that they are multiplied by, `(positions, ...)`."""
        gradient = tf.cast(tf.matmul(probs, factors, transpose_a=True), tf.float32)
        factors = tf.cast(factors, tf.float32)
        gradient = tf.tensor_scatter_nd_sub(gradient, self.targets[:, None], (1 - self.smoothing) * factors)
        if self.smoothing == 0:
            return gradient
        each = self.smoothing / tf.cast(tf.shape(gradient)[0], tf.float32)
        return gradient - each * tf.reduce_sum(factors, axis=0)


def _logits(states: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """Return the logits from one product, in which the bias is one more column of the weights.

    In bfloat16, two columns sum up to the bias, because one column would round it too much.
    """
    first = tf.cast(bias, states.dtype)
    parts = [first]
    if states.dtype != bias.dtype:
        parts.append(tf.cast(bias - tf.cast(first, bias.dtype), states.dtype))
    inputs = tf.concat([states, tf.ones_like(states[:, : len(parts)])], axis=1)
    return tf.matmul(inputs, tf.concat([weights, tf.stack(parts, axis=1)], axis=1), transpose_b=True)


def _losses_from(probs: Tensor) -> Tensor:
    return -tf.math.log(tf.maximum(probs, np.finfo(np.float32).tiny))


def _mean_row(weights: Tensor) -> Tensor:
    return tf.reduce_mean(tf.cast(weights, tf.float32), axis=0)


@dataclass(frozen=True)
class _SampledLoss:
    """The loss over each target and a sample of other tokens, with a custom gradient as in `_OutputLoss`."""

    is_target: Tensor
    """Which tokens of the sample are the target itself, `(positions, sample)`."""
    counted: Tensor

    def of(self, states: Tensor, rows: Tensor, bias: Tensor) -> tuple[Tensor, SampledGradient]:
        """Return the loss and its gradient function. Rows and biases are those of the sample, then of each target."""
        number = self.is_target.shape[1]
        others, own_rows = rows[:number], rows[number:]
        logits = tf.where(self.is_target, tf.cast(-np.inf, states.dtype), _logits(states, others, bias[:number]))
        own_logits = tf.reduce_sum(tf.cast(states * own_rows, tf.float32), axis=1) + bias[number:]
        probs = tf.nn.softmax(tf.concat([logits, tf.cast(own_logits, states.dtype)[:, None]], axis=1))
        probs, own = probs[:, :number], tf.cast(probs[:, number], tf.float32)

        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            factors = (self.counted * upstream)[:, None]
            counted = tf.cast(self.counted, states.dtype)[:, None]
            d_own = (own - 1)[:, None] * factors
            d_states = tf.cast(tf.matmul(probs, others), tf.float32) * factors + d_own * tf.cast(own_rows, tf.float32)
            d_rows, d_bias = (
                tf.cast(tf.matmul(probs, each, transpose_a=True), tf.float32) * upstream
                for each in (states * counted, counted)
            )
            d_rows = tf.concat([d_rows, d_own * tf.cast(states, tf.float32)], axis=0)
            d_bias = tf.concat([d_bias, d_own], axis=0)
            return tf.cast(d_states, states.dtype), tf.cast(d_rows, states.dtype), d_bias[:, 0]

        return tf.reduce_sum(_losses_from(own) * self.counted), gradient


@dataclass(frozen=True)
class Sampling:
    """An estimate of the loss from a sample of the vocabulary: the most frequent tokens, and some drawn at random."""

    common: int
    """The number of the most frequent ids. They belong to every sample."""
    log_probs: NDArray[np.float32]
    """For each of the other ids, the log-probability that one draw gives this id. Shape `(vocabulary - common,)`."""
    draws: int

    @classmethod
    def of(cls, compared: int, log_frequencies: NDArray[np.float32]) -> "Sampling | None":
        """Return a sampling with `compared` tokens: one half are the most frequent tokens, the other half are drawn.

        Returns None if `compared` covers the whole vocabulary.
        """
        if compared >= len(log_frequencies):
            return None
        common = compared // 2
        rest = log_frequencies[common:].astype(np.float64)
        rest -= np.log(np.exp(rest).sum())
        return cls(common, rest.astype(np.float32), compared - common)

    def summed_loss(
        self, network: Network, hidden: Tensor, targets: Tensor, seed: DropoutSeed
    ) -> tuple[Tensor, Tensor]:
        """Return an estimate of the summed cross entropy in nats, and the number of targets other than START."""
        drawn = self._draw_ids(seed)
        others = tf.concat([tf.range(self.common), self.common + drawn], axis=0)
        targets = tf.reshape(targets, (-1,))
        rows, bias = network.output_rows(tf.concat([others, targets], axis=0))
        # An id is drawn draws * probability times on average, so each draw of it counts 1 / (draws * probability).
        log_weights = -np.log(self.draws) - tf.gather(tf.constant(self.log_probs), drawn)
        bias += tf.concat([tf.zeros(self.common), log_weights, tf.zeros_like(bias[self.common + self.draws :])], axis=0)
        counted = tf.cast(targets != START, tf.float32)
        states = network.projected(hidden)
        loss = tf.custom_gradient(_SampledLoss(others == targets[:, None], counted).of)
        return loss(tf.reshape(states, (-1, states.shape[-1])), rows, bias), tf.reduce_sum(counted)

    def _draw_ids(self, seed: DropoutSeed) -> Tensor:
        """Return drawn ids, counted from the first id after the common ones.

        The probabilities are divided into as many equal parts as there are draws, and one id is drawn from each part.
        """
        ends = np.cumsum(np.exp(self.log_probs.astype(np.float64))).astype(np.float32)
        # 24 bits, because float32 holds that many exactly. A product, because XLA rounds a quotient differently.
        bits = tf.bitwise.right_shift(tf.bitcast(random_bits((self.draws,), seed), tf.uint32), 8)
        within = tf.cast(tf.cast(bits, tf.int32), tf.float32) * 2.0**-24
        points = (tf.range(self.draws, dtype=tf.float32) + within) * np.float32(1 / self.draws)
        places = tf.searchsorted(tf.constant(ends), points, side="right")
        return tf.minimum(places, len(self.log_probs) - 1)
