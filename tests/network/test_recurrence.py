"""The recurrent layers for CPUs are Keras's own: outputs, states and every gradient, for any sizes."""

from collections.abc import Callable
from typing import Any, get_args

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from wordgen.model.architecture import Architecture, Cell, DropoutSettings
from wordgen.network import recurrence
from wordgen.network.network import Network
from wordgen.network.recurrence import recurrent_layer

KERAS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}
CELLS = get_args(Cell)
Layer = Callable[..., Any]


class Case:
    """A layer of Keras's with weights, inputs and states by chance, and what its results count in a made-up loss."""

    def __init__(self, cell: Cell, rows: int, steps: int, width: int, units: int, dtype: str = "float32") -> None:
        policy = "float32" if dtype == "float32" else "mixed_bfloat16"
        self.cell: Cell = cell
        self.dtype, dice = dtype, np.random.default_rng(rows + 7 * steps + 31 * width + 101 * units)
        self.layer = KERAS[cell](units, return_sequences=True, return_state=True, dtype=policy)
        self.layer.build((None, None, width))
        scale = (width + units) ** -0.5  # a larger one lets a plain RNN run wild, and rounding with it
        self.weights = [tf.constant(dice.normal(scale=scale, size=v.shape), tf.float32) for v in self.layer.weights]
        states = 2 if cell == "lstm" else 1
        self.shapes = [(rows, steps, units), *[(rows, units)] * states]
        given = [(rows, steps, width), *self.shapes[1:]]
        self.given = [tf.cast(dice.normal(size=shape), dtype) for shape in given]
        self.counts = [tf.constant(dice.normal(size=shape), tf.float32) for shape in self.shapes]

    def keras(self, *values: tf.Tensor) -> list[Any]:
        for variable, weight in zip(self.layer.weights, self.weights, strict=True):
            variable.assign(weight)
        weights = [variable.value for variable in self.layer.weights]
        return self.results(lambda given, _: self.layer(given[0], initial_state=given[1:]), weights, *values)

    def own(self, *values: tf.Tensor) -> list[Any]:
        def layer(given: list[Any], weights: list[Any]) -> list[Any]:
            kernels = [tf.cast(kernel, self.dtype) for kernel in weights[:2]]
            outputs, states = recurrent_layer(self.cell, given[0], tuple(given[1:]), (*kernels, weights[2]))
            return [outputs, *states]

        return self.results(layer, self.weights, *values)

    def results(self, layer: Layer, weights: list[Any], *values: tf.Tensor) -> list[Any]:
        """Outputs, last states, and the gradients of inputs, first states and weights."""
        given = list(values)
        with tf.GradientTape() as tape:
            tape.watch([given, weights])
            found = layer(given, weights)
            pairs = zip(found, self.counts, strict=True)
            loss = tf.add_n([tf.reduce_sum(tf.cast(each, tf.float32) * count) for each, count in pairs])
        assert {each.dtype.name for each in found} == {self.dtype}
        return [*found, *tape.gradient(loss, [*given, *weights])]


def check_same(found: list[Any], expected: list[Any]) -> None:
    """Within the rounding of float32, seen from the largest number of each array."""
    for one, other in zip(found, expected, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        np.testing.assert_allclose(one, other, rtol=0, atol=3e-6 * max(1.0, float(np.abs(other).max())))


sizes = st.integers(1, 6)


@given(st.sampled_from(CELLS), sizes, sizes, sizes, sizes, st.booleans())
@settings(max_examples=25, deadline=None)
def test_results_and_gradients_are_those_of_keras(
    cell: Cell, rows: int, steps: int, width: int, units: int, unrolled: bool
):
    case = Case(cell, rows, steps, width, units)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(recurrence, "LONGEST_UNROLLED", steps if unrolled else steps - 1)
        check_same(case.own(*case.given), case.keras(*case.given))


@pytest.mark.parametrize(
    ("cell", "unrolled", "known", "compiled"),
    [*((cell, 9, *how) for cell in CELLS for how in ((True, True), (False, False))), ("lstm", 0, True, True)],
)
def test_a_graph_gives_the_same(
    cell: Cell, unrolled: int, known: bool, compiled: bool, monkeypatch: pytest.MonkeyPatch
):
    """With XLA and without, with a loop and without, and where the number of time steps is not known before."""
    case = Case(cell, 3, 5, 4, 6)
    expected = case.own(*case.given)
    monkeypatch.setattr(recurrence, "LONGEST_UNROLLED", unrolled)
    taken = [tf.TensorSpec(each.shape, each.dtype) for each in case.given]
    if not known:
        taken[0] = tf.TensorSpec((3, None, 4), tf.float32)
    graph = tf.function(case.own, input_signature=taken, jit_compile=compiled).get_concrete_function()
    loops = [op for op in graph.graph.get_operations() if "While" in op.type]
    assert bool(loops) == (not known or unrolled < 5)
    check_same(graph(*case.given), expected)


@pytest.mark.parametrize("cell", CELLS)
def test_in_bfloat16_it_is_no_farther_from_float32_than_keras(cell: Cell):
    case = Case(cell, 8, 30, 16, 16, "bfloat16")
    exact = Case(cell, 8, 30, 16, 16).own(*[tf.cast(each, tf.float32) for each in case.given])

    def distances(found: list[Any]) -> np.ndarray:
        arrays = [tf.cast(each, tf.float32).numpy() for each in found]
        return np.array(
            [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(arrays, map(np.asarray, exact), strict=True)]
        )

    own, of_keras = distances(case.own(*case.given)), distances(case.keras(*case.given))
    assert (own < 1.1 * of_keras).all()


@pytest.mark.parametrize("cell", CELLS)
def test_a_network_learns_the_same_with_the_layers_of_keras(cell: Cell):
    """Those are what a GPU takes; with every kind of dropout, so that weight drop is the same there, too."""
    dropped = DropoutSettings(dropout=0.3, word_dropout=0.1, weight_drop=0.4, locked_dropout=True)
    ids = np.random.default_rng(1).integers(0, 20, (3, 6))

    def results(own_layers: bool) -> list[Any]:
        architecture = Architecture(vocabulary_size=20, embedding=5, layers=2, units=(7, 4), cell=cell, tied=False)
        network = Network(architecture, dropout=dropped, random_seed=3, own_layers=own_layers)
        with tf.GradientTape() as tape:
            hidden, states = network(ids, network.zero_state(3), tf.constant([1, 2]))
            loss = tf.reduce_sum(hidden**2) + tf.reduce_sum(states[0][0])
        learned = [
            network.variables_by_name()[f"layer_{n}/{part}"].value for n in (1, 2) for part in ("kernel", "bias")
        ]
        recurrent = [network.variables_by_name()[f"layer_{n}/recurrent_kernel"].value for n in (1, 2)]
        return [hidden, *tf.nest.flatten(states), *tape.gradient(loss, [*learned, *recurrent])]

    check_same(results(own_layers=True), results(own_layers=False))
