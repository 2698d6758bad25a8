import numpy as np
import pytest
import tensorflow as tf

from wordgen.model.architecture import Architecture, DropoutSettings, NetworkSettings
from wordgen.network.losses import output_loss, summed_loss
from wordgen.network.network import DropoutMasks, Network
from wordgen.text.vocabulary import START

IDS = np.random.default_rng(1).integers(3, 20, size=(4, 12))


def make(*, dropout: float | DropoutSettings = 0.0, random_seed: int = 1, **settings: object) -> Network:
    chosen = NetworkSettings(**{"layers": 2, "units": 8, **settings})  # pyright: ignore[reportArgumentType]
    dropout = dropout if isinstance(dropout, DropoutSettings) else DropoutSettings(dropout=dropout)
    return Network(Architecture.of(chosen, 20), dropout=dropout, random_seed=random_seed)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("tied", [True, False])
def test_its_variables_are_those_of_the_architecture(cell: str, tied: bool):
    network = make(cell=cell, tied=tied, embedding=6)
    shapes = {name: tuple(variable.shape) for name, variable in network.variables_by_name().items()}
    assert shapes == network.architecture.weight_shapes()
    assert len(network.trainable_variables) == len(shapes)


def test_reading_in_parts_with_the_state_is_reading_at_once():
    network = make()
    whole, end = network(IDS, network.zero_state(4))
    first, state = network(IDS[:, :5], network.zero_state(4))
    second, state = network(IDS[:, 5:], state)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, atol=1e-6)
    np.testing.assert_allclose(state[1][1], end[1][1], atol=1e-6)


def test_weights_go_out_and_in():
    one, other = make(random_seed=1), make(random_seed=2)
    assert not np.allclose(one(IDS, one.zero_state(4))[0], other(IDS, other.zero_state(4))[0])
    other.set_weights_by_name(one.to_weights())
    np.testing.assert_array_equal(one(IDS, one.zero_state(4))[0], other(IDS, other.zero_state(4))[0])


def test_the_random_seed_gives_the_same_first_weights():
    one, other = make(random_seed=7).to_weights(), make(random_seed=7).to_weights()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_dropout_follows_from_its_seed_and_is_off_without_one():
    network = make(dropout=0.5)
    state = network.zero_state(4)

    def run(seed: list[int] | None) -> np.ndarray:
        return np.asarray(network(IDS, state, None if seed is None else tf.constant(seed))[0])

    np.testing.assert_array_equal(run([1, 2]), run([1, 2]))
    assert (run([1, 2]) != run([1, 3])).any()
    assert not (run(None) == 0).any()
    assert 0.3 < (run([1, 2]) == 0).mean() < 0.7


def masks(**settings: object) -> DropoutMasks:
    chosen = DropoutSettings(**{"dropout": 0.0, **settings})  # pyright: ignore[reportArgumentType]
    return DropoutMasks(chosen, 2, tf.constant([1, 2]))


def test_dropout_differs_from_place_to_place_and_has_a_rate_for_each():
    hidden = tf.ones((5, 40, 50))
    one, two = (np.asarray(masks(dropout=0.5).values(hidden, place)) for place in (0, 1))
    assert (one != two).any()
    places = masks(dropout=0.5, input_dropout=0.2, output_dropout=0.8)
    shares = [float((np.asarray(places.values(hidden, place)) == 0).mean()) for place in (0, 1, 2)]
    assert shares == pytest.approx([0.2, 0.5, 0.8], abs=0.02)
    assert np.asarray(places.values(hidden, 2)).mean() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.4, 0.9])
def test_in_bfloat16_the_same_values_are_dropped_as_in_float32(rate: float):
    values = tf.constant(np.random.default_rng(1).uniform(0.5, 1.5, (250, 40, 100)), tf.float32)
    exact, rounded = (np.asarray(masks(dropout=rate).values(tf.cast(values, t), 1)) for t in (tf.float32, tf.bfloat16))
    np.testing.assert_array_equal(exact == 0, rounded == 0)
    assert (exact == 0).mean() == pytest.approx(rate, abs=0.002)
    assert rounded.astype(np.float64).mean() == pytest.approx(exact.astype(np.float64).mean(), rel=1e-4)
    np.testing.assert_allclose(exact[exact != 0], np.asarray(values)[exact != 0] / (1 - rate), rtol=1e-6)


@pytest.mark.parametrize("more", [{}, {"locked_dropout": True}])
def test_the_same_values_are_dropped_with_xla_and_without(more: dict[str, bool]):
    values, table, ids = tf.ones((4, 7, 30)), tf.ones((4, 7, 3)), tf.constant(np.arange(28).reshape(4, 7))

    def drop(seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
        chosen = DropoutSettings(dropout=0.4, word_dropout=0.4, weight_drop=0.4, **more)
        each = DropoutMasks(chosen, 2, seed)
        return each.values(values, 1), each.words(table, ids, 28), each._dropped(tf.ones((30, 30)), 0.4, 4)

    plain, compiled = (tf.function(drop, jit_compile=jit)(tf.constant([1, 2])) for jit in (False, True))
    for one, other in zip(plain, compiled, strict=True):
        assert 0 < (np.asarray(one) == 0).mean() < 1
        np.testing.assert_array_equal(one, other)


def test_locked_dropout_blanks_the_same_values_in_all_tokens_of_a_row():
    dropped = np.asarray(masks(dropout=0.5, locked_dropout=True).values(tf.ones((4, 7, 30)), 1))
    assert (dropped == dropped[:, :1]).all()
    assert (dropped[0] != dropped[1]).any()
    assert 0.3 < (dropped == 0).mean() < 0.7


def test_word_dropout_blanks_a_word_wherever_it_stands():
    ids = np.random.default_rng(1).integers(0, 200, (20, 50))
    kept = np.asarray(masks(word_dropout=0.3).words(tf.ones((20, 50, 4)), tf.constant(ids), 200))
    by_word = {int(word): {tuple(row) for row in kept[ids == word]} for word in np.unique(ids)}
    assert all(len(found) == 1 for found in by_word.values())
    assert sum(row == (0, 0, 0, 0) for found in by_word.values() for row in found) == pytest.approx(60, abs=20)
    assert kept.max() == pytest.approx(1 / 0.7)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_weight_drop_is_a_network_with_some_recurrent_weights_dropped(cell: str):
    """Done again by hand: the dropped weights put in for good, and a run without dropout."""
    network = make(cell=cell, dropout=DropoutSettings(dropout=0.0, weight_drop=0.5))
    seed = tf.constant([1, 2])
    hidden, state = network(IDS, network.zero_state(4), seed)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(IDS, network.zero_state(4), seed)[0])
    gradient = np.asarray(tape.gradient(loss, network.recurrent[0].cell.recurrent_kernel.value))

    dropped = dict(network.to_weights())
    for number in (1, 2):
        name = f"layer_{number}/recurrent_kernel"
        mask = np.asarray(
            DropoutMasks(network.dropout, 2, seed)._dropped(tf.ones(dropped[name].shape), 0.5, 3 + number)
        )
        assert 0.3 < (mask == 0).mean() < 0.7
        dropped[name] = dropped[name] * mask
    assert not gradient[dropped["layer_1/recurrent_kernel"] == 0].any()
    assert gradient.any()
    twin = make(cell=cell)
    twin.set_weights_by_name(dropped)
    again, end = twin(IDS, twin.zero_state(4))
    np.testing.assert_allclose(hidden, again, atol=1e-6)
    np.testing.assert_allclose(state[1][0], end[1][0], atol=1e-6)
    assert (np.asarray(network(IDS, network.zero_state(4))[0]) != np.asarray(hidden)).any()


def test_a_signal_comes_through_three_layers():
    """With weak first weights the third layer says nothing, and learning stands still (docs/experiments.md)."""
    for tied in (False, True):
        network = Network(Architecture.of(NetworkSettings(units=128, tied=tied), 20), random_seed=1)
        hidden, _ = network(IDS, network.zero_state(4))
        assert np.asarray(hidden).std() > (0.01 if tied else 0.03)


def test_the_loss_counts_every_target_but_start():
    logits = np.random.default_rng(2).normal(size=(2, 3, 5)).astype(np.float32)
    targets = np.array([[4, START, 2], [START, 0, 3]], np.int32)
    loss, count = summed_loss(tf.constant(logits), tf.constant(targets))
    probs = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = -sum(np.log(probs[r, c, targets[r, c]]) for r in range(2) for c in range(3) if targets[r, c] != START)
    assert float(count) == 4
    np.testing.assert_allclose(float(loss), expected, rtol=1e-5)


@pytest.mark.parametrize("tied", [False, True])
def test_the_gradient_of_the_loss_in_bfloat16_is_about_that_in_float32(tied: bool):
    targets = tf.constant(np.random.default_rng(2).integers(0, 20, size=IDS.shape), tf.int32)
    found = []
    for precision in ("float32", "bfloat16"):
        network = Network(Architecture.of(NetworkSettings(layers=1, units=64, tied=tied), 20), precision=precision)
        states = tf.random.stateless_uniform((*IDS.shape, 64), (1, 2), -1.0)
        with tf.GradientTape() as tape:
            tape.watch(states)
            loss, count, aim = output_loss(network, tf.cast(states, network.compute_dtype), targets)
            mean = aim / 24
        kernel = network.output_weights.value
        found.append(tape.gradient(mean, [states, kernel, network.output_bias.value]))
        assert loss.dtype == tf.float32
        assert float(count) == (np.asarray(targets) != START).sum()
    for exact, rounded in zip(*found, strict=True):
        exact, rounded = np.asarray(tf.convert_to_tensor(exact)), np.asarray(tf.convert_to_tensor(rounded))
        assert rounded.dtype == np.float32
        assert np.linalg.norm(rounded - exact) < 0.01 * np.linalg.norm(exact)
