"""Sampled softmax: the mean of its loss and of its gradient is that of the full softmax."""

import numpy as np
import pytest
import tensorflow as tf

from wordgen.model.architecture import Architecture, NetworkSettings
from wordgen.network.losses import Sampling, summed_loss
from wordgen.network.network import Network
from wordgen.text.vocabulary import START

VOCABULARY = 200
IDS = np.random.default_rng(1).integers(0, VOCABULARY, size=(4, 13))
IDS[1, 5] = START
FREQUENCIES = np.log(1 / np.arange(1, VOCABULARY + 1)).astype(np.float32)


def make_network(*, tied: bool, embedding: int | None = None) -> Network:
    settings = NetworkSettings(layers=1, units=16, tied=tied, embedding=embedding)
    network = Network(Architecture.of(settings, VOCABULARY), random_seed=1)
    network.output_bias.assign(np.random.default_rng(2).normal(size=VOCABULARY).astype(np.float32))
    return network


INPUTS, TARGETS = tf.constant(IDS[:, :-1]), tf.constant(IDS[:, 1:], tf.int32)


def full_loss(network: Network) -> tuple[float, float]:
    hidden, _ = network(INPUTS, network.zero_state(4))
    loss, count = summed_loss(network.logits(hidden), TARGETS)
    return float(loss), float(count)


def sampled_losses(network: Network, sampling: Sampling, draws: int) -> list[tuple[float, float]]:
    """Return the loss and the number of targets of each draw."""
    hidden, _ = network(INPUTS, network.zero_state(4))
    results = [sampling.summed_loss(network, hidden, TARGETS, tf.constant([draw, 7])) for draw in range(draws)]
    return [(float(loss), float(count)) for loss, count in results]


@pytest.mark.parametrize(("tied", "embedding"), [(False, None), (True, None), (True, 12)])
def test_mean_of_sampled_losses_is_full_loss(tied: bool, embedding: int | None):
    network = make_network(tied=tied, embedding=embedding)
    sampling = Sampling.of(120, FREQUENCIES)
    assert sampling is not None
    results = sampled_losses(network, sampling, 40)
    loss, count = full_loss(network)
    assert {sampled_count for _, sampled_count in results} == {count}
    losses = np.array([sampled_loss for sampled_loss, _ in results])
    assert losses.std() > 0
    assert losses.mean() == pytest.approx(loss, abs=4 * losses.std() / 40**0.5 + 0.002 * loss)
    assert sampled_losses(network, sampling, 3) == results[:3]


def test_bfloat16_loss_and_gradients_are_close_to_float32():
    results = []
    for precision in ("float32", "bfloat16"):
        network = Network(
            Architecture.of(NetworkSettings(layers=1, units=16, tied=True), VOCABULARY), precision=precision
        )
        sampling = Sampling.of(120, FREQUENCIES)
        assert sampling is not None
        hidden = tf.random.stateless_uniform((4, 12, 16), (1, 2), -1.0)
        with tf.GradientTape() as tape:
            tape.watch(hidden)
            states = tf.cast(hidden, network.compute_dtype)
            loss, _ = sampling.summed_loss(network, states, TARGETS, tf.constant([3, 7]))
        kernel = network.output_weights.value
        gradients = tape.gradient(loss, [hidden, kernel, network.output_bias.value])
        results.append([np.asarray(tf.convert_to_tensor(each)) for each in (loss, *gradients)])
    for exact, rounded in zip(*results, strict=True):
        assert np.linalg.norm(rounded - exact) < 0.01 * np.linalg.norm(exact)


def test_mean_of_estimated_softmax_sum_is_vocabulary_size():
    """All logits are 0, so the sum of their exponentials is the size of the vocabulary."""
    network = make_network(tied=True)
    network.set_weights_by_name({name: np.zeros_like(weight) for name, weight in network.to_weights().items()})
    sampling = Sampling.of(40, FREQUENCIES)
    assert sampling is not None
    count = full_loss(network)[1]
    sums = [np.exp(loss / count) for loss, _ in sampled_losses(network, sampling, 60)]
    assert np.mean(sums) == pytest.approx(VOCABULARY, rel=0.02)


def test_draws_follow_log_probs():
    sampling = Sampling.of(100, FREQUENCIES)
    assert sampling is not None
    drawn = np.concatenate([np.asarray(sampling._draw_ids(tf.constant([3, draw]))) for draw in range(400)])
    expected = np.exp(sampling.log_probs.astype(np.float64))
    assert expected.sum() == pytest.approx(1)
    frequencies = np.bincount(drawn, minlength=len(expected)) / len(drawn)
    np.testing.assert_allclose(frequencies, expected, atol=0.002)


@pytest.mark.parametrize("compared", [6, 11, 40, 100, 199])
def test_draws_are_equal_with_and_without_xla(compared: int):
    sampling = Sampling.of(compared, FREQUENCIES)
    assert sampling is not None
    uncompiled, compiled = (tf.function(sampling._draw_ids, jit_compile=jit) for jit in (False, True))
    drawn = np.array([uncompiled(tf.constant([3, draw])) for draw in range(50)])
    np.testing.assert_array_equal(drawn, [compiled(tf.constant([3, draw])) for draw in range(50)])
    assert len(np.unique(drawn)) > compared // 2


def test_nothing_is_sampled_if_whole_vocabulary_is_compared():
    assert Sampling.of(VOCABULARY, FREQUENCIES) is None
    assert Sampling.of(VOCABULARY - 1, FREQUENCIES) is not None


def test_mean_of_sampled_gradients_is_full_gradient():
    network = make_network(tied=True)
    variables = [variable.value for variable in network.trainable_variables]

    def gradient(sampling: Sampling | None, seed: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            hidden, _ = network(INPUTS, network.zero_state(4))
            if sampling is None:
                loss, _ = summed_loss(network.logits(hidden), TARGETS)
            else:
                loss, _ = sampling.summed_loss(network, hidden, TARGETS, seed)
        gradients = [tf.convert_to_tensor(each) for each in tape.gradient(loss, variables)]
        return tf.concat([tf.reshape(each, [-1]) for each in gradients], axis=0)

    sampling = Sampling.of(120, FREQUENCIES)
    sampled_gradient = tf.function(lambda seed: gradient(sampling, seed))
    full = np.asarray(gradient(None, tf.constant([0, 7])))
    sampled = np.array([sampled_gradient(tf.constant([draw, 7])) for draw in range(100)])
    standard_error = np.linalg.norm(sampled.std(axis=0)) / len(sampled) ** 0.5
    assert standard_error < 0.1 * np.linalg.norm(full)
    assert np.linalg.norm(sampled.mean(axis=0) - full) < 1.3 * standard_error
