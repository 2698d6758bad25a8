"""A loss by comparing with some tokens: exact where they are all, right in the mean where they are not."""

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


def make(*, tied: bool, embedding: int | None = None) -> Network:
    settings = NetworkSettings(layers=1, units=16, tied=tied, embedding=embedding)
    network = Network(Architecture.of(settings, VOCABULARY), random_seed=1)
    network.output_bias.assign(np.random.default_rng(2).normal(size=VOCABULARY).astype(np.float32))
    return network


INPUTS, TARGETS = tf.constant(IDS[:, :-1]), tf.constant(IDS[:, 1:], tf.int32)


def exact(network: Network) -> tuple[float, float]:
    hidden, _ = network(INPUTS, network.zero_state(4))
    loss, count = summed_loss(network.logits(hidden), TARGETS)
    return float(loss), float(count)


def sampled(network: Network, sampling: Sampling, draws: int) -> list[tuple[float, float]]:
    """The loss and the number of targets by each of so many draws."""
    hidden, _ = network(INPUTS, network.zero_state(4))
    found = [sampling.summed_loss(network, hidden, TARGETS, tf.constant([draw, 7])) for draw in range(draws)]
    return [(float(loss), float(count)) for loss, count in found]


@pytest.mark.parametrize(("tied", "embedding"), [(False, None), (True, None), (True, 12)])
def test_in_the_mean_it_is_the_loss(tied: bool, embedding: int | None):
    network = make(tied=tied, embedding=embedding)
    sampling = Sampling.of(120, FREQUENCIES)
    assert sampling is not None
    found = sampled(network, sampling, 40)
    loss, count = exact(network)
    assert {each[1] for each in found} == {count}
    losses = np.array([each[0] for each in found])
    assert losses.std() > 0
    assert losses.mean() == pytest.approx(loss, abs=4 * losses.std() / 40**0.5 + 0.002 * loss)
    assert sampled(network, sampling, 3) == found[:3]


def test_what_every_draw_stands_for_sums_up_to_the_rest():
    """With equal logits the sum over the vocabulary is its size, and its estimate must be in the mean."""
    network = make(tied=True)
    network.set_weights_by_name({name: np.zeros_like(weight) for name, weight in network.to_weights().items()})
    sampling = Sampling.of(40, FREQUENCIES)
    assert sampling is not None
    count = exact(network)[1]
    sums = [np.exp(loss / count) for loss, _ in sampled(network, sampling, 60)]
    assert np.mean(sums) == pytest.approx(VOCABULARY, rel=0.02)


def test_draws_go_by_frequency_and_take_every_part():
    sampling = Sampling.of(100, FREQUENCIES)
    assert sampling is not None
    drawn = np.concatenate([np.asarray(sampling._drawn(tf.constant([3, draw]))) for draw in range(400)])
    expected = np.exp(sampling.log_probs.astype(np.float64))
    assert expected.sum() == pytest.approx(1)
    counts = np.bincount(drawn, minlength=len(expected)) / len(drawn)
    np.testing.assert_allclose(counts, expected, atol=0.002)


@pytest.mark.parametrize("compared", [6, 11, 40, 100, 199])
def test_the_draws_are_the_same_with_xla_and_without(compared: int):
    sampling = Sampling.of(compared, FREQUENCIES)
    assert sampling is not None
    plain, compiled = (tf.function(sampling._drawn, jit_compile=jit) for jit in (False, True))
    found = np.array([plain(tf.constant([3, draw])) for draw in range(50)])
    np.testing.assert_array_equal(found, [compiled(tf.constant([3, draw])) for draw in range(50)])
    assert len(np.unique(found)) > compared // 2


def test_where_all_would_be_compared_with_nothing_is_drawn():
    assert Sampling.of(VOCABULARY, FREQUENCIES) is None
    assert Sampling.of(VOCABULARY - 1, FREQUENCIES) is not None


def test_its_gradient_is_in_the_mean_that_of_the_loss():
    network = make(tied=True)
    variables = [variable.value for variable in network.trainable_variables]

    def gradient(sampling: Sampling | None, seed: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            hidden, _ = network(INPUTS, network.zero_state(4))
            if sampling is None:
                loss, _ = summed_loss(network.logits(hidden), TARGETS)
            else:
                loss, _ = sampling.summed_loss(network, hidden, TARGETS, seed)
        found = [tf.convert_to_tensor(each) for each in tape.gradient(loss, variables)]
        return tf.concat([tf.reshape(each, [-1]) for each in found], axis=0)

    sampling = Sampling.of(120, FREQUENCIES)
    by_draw = tf.function(lambda seed: gradient(sampling, seed))
    true = np.asarray(gradient(None, tf.constant([0, 7])))
    found = np.array([by_draw(tf.constant([draw, 7])) for draw in range(100)])
    by_chance = np.linalg.norm(found.std(axis=0)) / len(found) ** 0.5
    assert by_chance < 0.1 * np.linalg.norm(true)
    assert np.linalg.norm(found.mean(axis=0) - true) < 1.3 * by_chance
