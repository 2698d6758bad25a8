"""A loss for large vocabularies: each symbol is compared with the commonest and some drawn ones, and not with all.

What a symbol costs is the logarithm of a sum over the whole vocabulary. Ids are ordered by frequency, so the first of
them make up most of that sum and are taken as they are; of the rest some are drawn by their frequencies, and each
stands for those that were not. That estimate of the sum is right in the mean, and its logarithm nearly so.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wordgen.model.network import DropoutSeed, Network, Tensor, random_bits
from wordgen.text.vocabulary import START


@dataclass(frozen=True)
class Sampling:
    common: int
    """So many of the first ids are always compared with."""
    log_odds: NDArray[np.float32]
    """For each of the other ids, the logarithm of how likely a draw gives it."""
    draws: int

    @classmethod
    def of(cls, compared: int, log_frequencies: NDArray[np.float32]) -> "Sampling | None":
        """Half of those compared with are the commonest, half are drawn; nothing where those would be all."""
        if compared >= len(log_frequencies):
            return None
        common = compared // 2
        rest = log_frequencies[common:].astype(np.float64)
        rest -= np.log(np.exp(rest).sum())
        return cls(common, rest.astype(np.float32), compared - common)

    def summed_loss(
        self, network: Network, hidden: Tensor, targets: Tensor, seed: DropoutSeed
    ) -> tuple[Tensor, Tensor]:
        """The cross entropy (in nats, an estimate) summed over all targets but START, and how many those are."""
        hidden = tf.reshape(hidden, (-1, hidden.shape[-1]))
        flat = tf.reshape(targets, (-1,))
        drawn = self._drawn(seed)
        others = tf.concat([tf.range(self.common), self.common + drawn], axis=0)
        number = self.common + self.draws
        kernel, bias = network.output_rows(tf.concat([others, flat], axis=0))
        hidden = network.projected(hidden)
        own = tf.reduce_sum(tf.cast(hidden * kernel[number:], tf.float32), axis=1) + bias[number:]
        # A draw of an id stands for as many as there are on the average between two draws of it.
        stands_for = -np.log(self.draws) - tf.gather(tf.constant(self.log_odds), drawn)
        weights = tf.concat([tf.zeros(self.common), stands_for], axis=0)
        logits = tf.cast(tf.matmul(hidden, kernel[:number], transpose_b=True), tf.float32) + bias[:number] + weights
        # The target itself is counted once and for certain.
        logits = tf.where(others == flat[:, None], -np.inf, logits)
        sums = tf.reduce_logsumexp(tf.concat([logits, own[:, None]], axis=1), axis=1)
        counted = tf.cast(flat != START, tf.float32)
        return tf.reduce_sum((sums - own) * counted), tf.reduce_sum(counted)

    def _drawn(self, seed: DropoutSeed) -> Tensor:
        """Places among the rest: one from each of as many equal parts of their odds as there are draws."""
        ends = np.cumsum(np.exp(self.log_odds.astype(np.float64))).astype(np.float32)
        # 24 bits, as many as float32 holds exactly; and a product, for XLA rounds a quotient in its own way.
        bits = tf.bitwise.right_shift(tf.bitcast(random_bits((self.draws,), seed), tf.uint32), 8)
        within = tf.cast(tf.cast(bits, tf.int32), tf.float32) * 2.0**-24
        thrown = (tf.range(self.draws, dtype=tf.float32) + within) * np.float32(1 / self.draws)
        places = tf.searchsorted(tf.constant(ends), thrown, side="right")
        return tf.minimum(places, len(self.log_odds) - 1)
