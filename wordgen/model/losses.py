"""The loss of a batch: how surprised the network is by each symbol, START never counted."""

import tensorflow as tf

from wordgen.model.network import Tensor
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


def smoothing_loss(logits: Tensor, targets: Tensor, share: float) -> Tensor:
    """What is to be added to the summed loss where a share of the odds shall go to all symbols alike."""
    if share == 0:
        return tf.constant(0.0)
    counted = tf.cast(targets != START, tf.float32)
    own = tf.gather(logits, targets, batch_dims=2)
    return share * tf.reduce_sum((own - tf.reduce_mean(logits, axis=-1)) * counted)
