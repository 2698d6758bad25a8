import numpy as np
import pytest
import tensorflow as tf

from wordgen.architecture import Architecture, NetworkSettings
from wordgen.model.losses import summed_loss
from wordgen.model.network import Network
from wordgen.text.vocabulary import START

IDS = np.random.default_rng(1).integers(3, 20, size=(4, 12))


def make(*, dropout: float = 0.0, random_seed: int = 1, **settings: object) -> Network:
    chosen = NetworkSettings(**{"layers": 2, "units": 8, **settings})  # pyright: ignore[reportArgumentType]
    return Network(Architecture.of(chosen, 20), dropout=dropout, random_seed=random_seed)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("tied", [True, False])
def test_its_variables_are_those_of_the_architecture(cell: str, tied: bool):
    network = make(cell=cell, tied=tied, embedding=6)
    shapes = {name: tuple(variable.shape) for name, variable in network.variables_by_name().items()}
    assert shapes == network.architecture.weight_shapes()
    assert len(network.trainable_variables) == len(shapes)


def test_reading_in_parts_with_the_carry_is_reading_at_once():
    network = make()
    whole, end = network(IDS, network.zero_carry(4))
    first, carry = network(IDS[:, :5], network.zero_carry(4))
    second, carry = network(IDS[:, 5:], carry)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, atol=1e-6)
    np.testing.assert_allclose(carry[1][1], end[1][1], atol=1e-6)


def test_weights_go_out_and_in():
    one, other = make(random_seed=1), make(random_seed=2)
    assert not np.allclose(one(IDS, one.zero_carry(4))[0], other(IDS, other.zero_carry(4))[0])
    other.set_weights_by_name(one.to_weights())
    np.testing.assert_array_equal(one(IDS, one.zero_carry(4))[0], other(IDS, other.zero_carry(4))[0])


def test_the_random_seed_gives_the_same_first_weights():
    one, other = make(random_seed=7).to_weights(), make(random_seed=7).to_weights()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_dropout_follows_from_its_seed_and_is_off_without_one():
    network = make(dropout=0.5)
    carry = network.zero_carry(4)

    def run(seed: list[int] | None) -> np.ndarray:
        return np.asarray(network(IDS, carry, None if seed is None else tf.constant(seed))[0])

    np.testing.assert_array_equal(run([1, 2]), run([1, 2]))
    assert (run([1, 2]) != run([1, 3])).any()
    assert not (run(None) == 0).any()
    assert 0.3 < (run([1, 2]) == 0).mean() < 0.7


def test_dropout_differs_from_place_to_place():
    network = make(dropout=0.5, layers=1)
    hidden = tf.ones((2, 3, 8))
    first, second = (np.asarray(network._dropped(hidden, tf.constant([1, 2]), place)) for place in (0, 1))
    assert (first != second).any()


def test_a_signal_comes_through_three_layers():
    """With weak first weights the third layer says nothing, and learning stands still (docs/experiments.md)."""
    network = Network(Architecture.of(NetworkSettings(units=128), 20), random_seed=1)
    hidden, _ = network(IDS, network.zero_carry(4))
    assert np.asarray(hidden).std() > 0.03


def test_the_loss_counts_every_target_but_start():
    logits = np.random.default_rng(2).normal(size=(2, 3, 5)).astype(np.float32)
    targets = np.array([[4, START, 2], [START, 0, 3]], np.int32)
    loss, count = summed_loss(tf.constant(logits), tf.constant(targets))
    odds = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = -sum(np.log(odds[r, c, targets[r, c]]) for r in range(2) for c in range(3) if targets[r, c] != START)
    assert float(count) == 4
    np.testing.assert_allclose(float(loss), expected, rtol=1e-5)
