"""The Keras network: variables, state, dropout, weight drop and losses."""

import subprocess
import sys
from typing import Any, Literal

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.commands import command_environment
from wordgen.model.architecture import Architecture, DropoutSettings, NetworkSettings
from wordgen.network.losses import output_loss, summed_loss
from wordgen.network.network import DropoutMasks, Network
from wordgen.text.vocabulary import START

IDS = np.random.default_rng(1).integers(3, 20, size=(4, 12))


def make_network(*, dropout: float | DropoutSettings = 0.0, random_seed: int = 1, **options: object) -> Network:
    settings = NetworkSettings(**{"layers": 2, "units": 8, **options})  # pyright: ignore[reportArgumentType]
    dropout = dropout if isinstance(dropout, DropoutSettings) else DropoutSettings(dropout=dropout)
    return Network(Architecture.of(settings, 20), dropout=dropout, random_seed=random_seed)


def test_process_without_standard_error_can_import_tensorflow():
    program = "import sys; import wordgen.network; print(sys.stderr)"
    closed = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, program],
        env=command_environment(), stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    assert (closed.returncode, closed.stdout) == (0, "None\n")


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("tied", [True, False])
def test_variables_match_architecture(cell: str, tied: bool):
    network = make_network(cell=cell, tied=tied, embedding=6)
    shapes = {name: tuple(variable.shape) for name, variable in network.variables_by_name().items()}
    assert shapes == network.architecture.weight_shapes()
    assert len(network.trainable_variables) == len(shapes)


def test_passing_state_between_parts_equals_one_call():
    network = make_network()
    expected_hidden, expected_state = network(IDS, network.zero_state(4))
    first, state = network(IDS[:, :5], network.zero_state(4))
    second, state = network(IDS[:, 5:], state)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), expected_hidden, atol=1e-6)
    np.testing.assert_allclose(state[1][1], expected_state[1][1], atol=1e-6)


def test_weights_round_trip():
    one, other = make_network(random_seed=1), make_network(random_seed=2)
    assert not np.allclose(one(IDS, one.zero_state(4))[0], other(IDS, other.zero_state(4))[0])
    other.set_weights_by_name(one.to_weights())
    np.testing.assert_array_equal(one(IDS, one.zero_state(4))[0], other(IDS, other.zero_state(4))[0])


def test_random_seed_determines_initial_weights():
    one, other = make_network(random_seed=7).to_weights(), make_network(random_seed=7).to_weights()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_dropout_is_deterministic_and_off_without_seed():
    network = make_network(dropout=0.5)
    state = network.zero_state(4)

    def hidden(seed: list[int] | None) -> np.ndarray:
        return np.asarray(network(IDS, state, None if seed is None else tf.constant(seed))[0])

    np.testing.assert_array_equal(hidden([1, 2]), hidden([1, 2]))
    assert (hidden([1, 2]) != hidden([1, 3])).any()
    assert not (hidden(None) == 0).any()
    assert 0.3 < (hidden([1, 2]) == 0).mean() < 0.7


def masks(**options: object) -> DropoutMasks:
    settings = DropoutSettings(**{"dropout": 0.0, **options})  # pyright: ignore[reportArgumentType]
    return DropoutMasks(settings, 2, tf.constant([1, 2]))


def test_dropout_rate_just_below_1_drops_everything():
    assert not np.asarray(masks(dropout=1 - 1e-12).values(tf.ones((4, 8)), 1)).any()


def test_dropout_has_its_own_mask_and_rate_for_each_layer():
    hidden = tf.ones((5, 40, 50))
    first, second = (np.asarray(masks(dropout=0.5).values(hidden, layer)) for layer in (0, 1))
    assert (first != second).any()
    three_rates = masks(dropout=0.5, input_dropout=0.2, output_dropout=0.8)
    shares = [float((np.asarray(three_rates.values(hidden, layer)) == 0).mean()) for layer in (0, 1, 2)]
    assert shares == pytest.approx([0.2, 0.5, 0.8], abs=0.02)
    assert np.asarray(three_rates.values(hidden, 2)).mean() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.4, 0.9])
def test_dropout_mask_is_equal_in_bfloat16_and_float32(rate: float):
    values = tf.constant(np.random.default_rng(1).uniform(0.5, 1.5, (250, 40, 100)), tf.float32)
    exact, rounded = (
        np.asarray(masks(dropout=rate).values(tf.cast(values, dtype), 1)) for dtype in (tf.float32, tf.bfloat16)
    )
    np.testing.assert_array_equal(exact == 0, rounded == 0)
    assert (exact == 0).mean() == pytest.approx(rate, abs=0.002)
    assert rounded.astype(np.float64).mean() == pytest.approx(exact.astype(np.float64).mean(), rel=1e-4)
    np.testing.assert_allclose(exact[exact != 0], np.asarray(values)[exact != 0] / (1 - rate), rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"locked_dropout": True}])
def test_dropout_masks_are_equal_with_and_without_xla(options: dict[str, bool]):
    values, vectors, ids = tf.ones((4, 7, 30)), tf.ones((4, 7, 3)), tf.constant(np.arange(28).reshape(4, 7))

    def drop(seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
        settings = DropoutSettings(dropout=0.4, word_dropout=0.4, weight_drop=0.4, **options)
        masks = DropoutMasks(settings, 2, seed)
        return masks.values(values, 1), masks.words(vectors, ids, 28), masks._dropped(tf.ones((30, 30)), 0.4, 4)

    uncompiled, compiled = (tf.function(drop, jit_compile=jit)(tf.constant([1, 2])) for jit in (False, True))
    for expected, actual in zip(uncompiled, compiled, strict=True):
        assert 0 < (np.asarray(expected) == 0).mean() < 1
        np.testing.assert_array_equal(actual, expected)


def test_locked_dropout_has_one_mask_for_all_tokens_of_a_row():
    dropped = np.asarray(masks(dropout=0.5, locked_dropout=True).values(tf.ones((4, 7, 30)), 1))
    assert (dropped == dropped[:, :1]).all()
    assert (dropped[0] != dropped[1]).any()
    assert 0.3 < (dropped == 0).mean() < 0.7


def test_word_dropout_drops_all_occurrences_of_a_word():
    ids = np.random.default_rng(1).integers(0, 200, (20, 50))
    kept = np.asarray(masks(word_dropout=0.3).words(tf.ones((20, 50, 4)), tf.constant(ids), 200))
    vectors = {int(word): {tuple(row) for row in kept[ids == word]} for word in np.unique(ids)}
    assert all(len(different) == 1 for different in vectors.values())
    assert sum(different == {(0, 0, 0, 0)} for different in vectors.values()) == pytest.approx(60, abs=20)
    assert kept.max() == pytest.approx(1 / 0.7)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_weight_drop_equals_network_with_masked_recurrent_weights(cell: str):
    network = make_network(cell=cell, dropout=DropoutSettings(dropout=0.0, weight_drop=0.5))
    seed = tf.constant([1, 2])
    hidden, state = network(IDS, network.zero_state(4), seed)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(IDS, network.zero_state(4), seed)[0])
    gradient = np.asarray(tape.gradient(loss, network.recurrent[0].cell.recurrent_kernel.value))

    dropped = dict(network.to_weights())
    for layer in (1, 2):
        name = f"layer_{layer}/recurrent_kernel"
        mask = np.asarray(DropoutMasks(network.dropout, 2, seed)._dropped(tf.ones(dropped[name].shape), 0.5, 3 + layer))
        assert 0.3 < (mask == 0).mean() < 0.7
        dropped[name] = dropped[name] * mask
    assert not gradient[dropped["layer_1/recurrent_kernel"] == 0].any()
    assert gradient.any()
    masked = make_network(cell=cell)
    masked.set_weights_by_name(dropped)
    expected_hidden, expected_state = masked(IDS, masked.zero_state(4))
    np.testing.assert_allclose(hidden, expected_hidden, atol=1e-6)
    np.testing.assert_allclose(state[1][0], expected_state[1][0], atol=1e-6)
    assert (np.asarray(network(IDS, network.zero_state(4))[0]) != np.asarray(hidden)).any()


def test_initial_weights_keep_output_variance_of_three_layers():
    """With smaller initial weights, the third layer puts out almost 0, and nothing is learned (docs/experiments.md)."""
    for tied in (False, True):
        network = Network(Architecture.of(NetworkSettings(units=128, tied=tied), 20), random_seed=1)
        hidden, _ = network(IDS, network.zero_state(4))
        assert np.asarray(hidden).std() > (0.01 if tied else 0.03)


def test_loss_ignores_start_targets():
    logits = np.random.default_rng(2).normal(size=(2, 3, 5)).astype(np.float32)
    targets = np.array([[4, START, 2], [START, 0, 3]], np.int32)
    loss, count = summed_loss(tf.constant(logits), tf.constant(targets))
    probs = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = -sum(np.log(probs[i, j, targets[i, j]]) for i in range(2) for j in range(3) if targets[i, j] != START)
    assert float(count) == 4
    np.testing.assert_allclose(float(loss), expected, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("tied", [False, True])
def test_bfloat16_losses_and_gradients_are_close_to_float32(tied: bool, smoothing: float):
    targets = tf.constant(np.random.default_rng(2).integers(0, 20, size=IDS.shape), tf.int32)
    gradients, losses = [], []
    for precision in ("float32", "bfloat16"):
        network = Network(Architecture.of(NetworkSettings(layers=1, units=64, tied=tied), 20), precision=precision)
        states = tf.random.stateless_uniform((*IDS.shape, 64), (1, 2), -1.0)
        with tf.GradientTape() as tape:
            tape.watch(states)
            loss, count, objective = output_loss(
                network, tf.cast(states, network.compute_dtype), targets, smoothing=smoothing
            )
            mean = objective / 24
        kernel = network.output_weights.value
        gradients.append(tape.gradient(mean, [states, kernel, network.output_bias.value]))
        losses.append([float(loss), float(objective)])
        assert loss.dtype == tf.float32
        assert float(count) == (np.asarray(targets) != START).sum()
    for exact, rounded in zip(*gradients, strict=True):
        exact, rounded = np.asarray(tf.convert_to_tensor(exact)), np.asarray(tf.convert_to_tensor(rounded))
        assert rounded.dtype == np.float32
        assert np.linalg.norm(rounded - exact) < 0.01 * np.linalg.norm(exact)
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.002)
    assert (losses[0][0] == losses[0][1]) == (smoothing == 0)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_loss_of_impossible_target_is_capped_and_nan_reaches_gradient(precision: Literal["float32", "bfloat16"]):
    """A run has diverged if its loss or the norm of its gradient is not finite."""
    network = Network(Architecture.of(NetworkSettings(layers=1, units=8), 30_000), precision=precision)
    states, targets = tf.zeros((2, 3, 8), network.compute_dtype), tf.fill((2, 3), 5)

    def loss_and_gradient() -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            loss, _, objective = output_loss(network, states, targets)
        return loss, tape.gradient(objective, network.output_bias.value)

    graph = tf.function(loss_and_gradient)
    bias = np.zeros(30_000, np.float32)
    for logit, is_finite in ((1000.0, True), (np.nan, False), (np.inf, False)):
        bias[7] = logit
        network.output_bias.assign(bias)
        loss, gradient = graph()
        assert np.isfinite(gradient).all() == is_finite
        if is_finite:
            assert float(loss) == pytest.approx(6 * -np.log(np.finfo(np.float32).tiny), rel=1e-4)
            np.testing.assert_allclose(np.asarray(gradient)[[5, 7]], [-6, 6])


@pytest.mark.parametrize("tied", [True, False])
def test_rows_are_read_without_a_copy_of_the_table(tied: bool):
    network = Network(Architecture.of(NetworkSettings(layers=1, units=8, tied=tied), 500))

    def rows(ids: tf.Tensor) -> Any:
        return network(ids, network.zero_state(2))[0], network.output_rows(ids)

    graph = tf.function(rows).get_concrete_function(tf.TensorSpec((2, 3), tf.int32)).graph
    read = [op.outputs[0].shape.num_elements() for op in graph.get_operations() if op.type == "ReadVariableOp"]
    assert 0 < max(read) < 500 * network.architecture.embedding
