"""The recurrent layers for CPUs have the outputs, states and gradients of Keras's layers, for any sizes."""

from collections.abc import Callable
from typing import Any, get_args

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from wordgen.model.architecture import Architecture, Cell, DropoutSettings, NetworkSettings
from wordgen.network import recurrence
from wordgen.network.network import Network
from wordgen.network.recurrence import recurrent_layer

KERAS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}
CELLS = get_args(Cell)
Layer = Callable[..., Any]


class Case:
    """A Keras layer with random weights, inputs and states, and a loss that is a random sum of its results."""

    def __init__(self, cell: Cell, rows: int, steps: int, width: int, units: int, dtype: str = "float32") -> None:
        policy = "float32" if dtype == "float32" else "mixed_bfloat16"
        self.cell: Cell = cell
        self.max_unrolled_steps = 100
        self.dtype, rng = dtype, np.random.default_rng(rows + 7 * steps + 31 * width + 101 * units)
        self.layer = KERAS[cell](units, return_sequences=True, return_state=True, dtype=policy)
        self.layer.build((None, None, width))
        scale = (width + units) ** -0.5  # with a larger one, a plain RNN amplifies rounding errors
        self.weights = [tf.constant(rng.normal(scale=scale, size=v.shape), tf.float32) for v in self.layer.weights]
        states = 2 if cell == "lstm" else 1
        self.shapes = [(rows, steps, units), *[(rows, units)] * states]
        input_shapes = [(rows, steps, width), *self.shapes[1:]]
        self.inputs = [tf.cast(rng.normal(size=shape), dtype) for shape in input_shapes]  # inputs, then states
        self.loss_weights = [tf.constant(rng.normal(size=shape), tf.float32) for shape in self.shapes]

    def keras(self, *values: tf.Tensor) -> list[Any]:
        for variable, weight in zip(self.layer.weights, self.weights, strict=True):
            variable.assign(weight)
        weights = [variable.value for variable in self.layer.weights]
        return self.results(lambda inputs, _: self.layer(inputs[0], initial_state=inputs[1:]), weights, *values)

    def own(self, *values: tf.Tensor) -> list[Any]:
        def layer(inputs: list[Any], weights: list[Any]) -> list[Any]:
            kernels = [tf.cast(kernel, self.dtype) for kernel in weights[:2]]
            outputs, states = recurrent_layer(
                self.cell,
                inputs[0],
                tuple(inputs[1:]),
                (*kernels, weights[2]),
                max_unrolled_steps=self.max_unrolled_steps,
            )
            return [outputs, *states]

        return self.results(layer, self.weights, *values)

    def results(self, layer: Layer, weights: list[Any], *values: tf.Tensor) -> list[Any]:
        """Return outputs, last states, and the gradients of inputs, first states and weights."""
        inputs = list(values)
        with tf.GradientTape() as tape:
            tape.watch([inputs, weights])
            outputs = layer(inputs, weights)
            pairs = zip(outputs, self.loss_weights, strict=True)
            loss = tf.add_n([tf.reduce_sum(tf.cast(each, tf.float32) * weight) for each, weight in pairs])
        assert {each.dtype.name for each in outputs} == {self.dtype}
        return [*outputs, *tape.gradient(loss, [*inputs, *weights])]


def assert_close(results: list[Any], expected: list[Any]) -> None:
    """The tolerance is the rounding error of float32 at the largest number of each array."""
    for actual, desired in zip(results, map(np.asarray, expected), strict=True):
        tolerance = 3e-6 * max(1.0, float(np.abs(desired).max()))
        np.testing.assert_allclose(np.asarray(actual), desired, rtol=0, atol=tolerance)


sizes = st.integers(1, 6)


@given(st.sampled_from(CELLS), sizes, sizes, sizes, sizes, st.booleans(), st.booleans())
@settings(max_examples=25, deadline=None)
def test_results_and_gradients_equal_keras(
    cell: Cell, rows: int, steps: int, width: int, units: int, unrolled: bool, gate_by_gate: bool
):
    case = Case(cell, rows, steps, width, units)
    with pytest.MonkeyPatch.context() as patched:
        case.max_unrolled_steps = steps if unrolled else steps - 1
        patched.setattr(recurrence, "_MIN_SPLIT_WEIGHTS", 0 if gate_by_gate else 1000)
        assert_close(case.own(*case.inputs), case.keras(*case.inputs))


@pytest.mark.parametrize(
    ("cell", "longest_unrolled", "steps_known", "compiled"),
    [*((cell, 9, known, known) for cell in CELLS for known in (True, False)), ("lstm", 0, True, True)],
)
def test_graph_equals_eager(cell: Cell, longest_unrolled: int, steps_known: bool, compiled: bool):
    """With and without XLA, with and without a loop, and with an unknown number of time steps."""
    case = Case(cell, 3, 5, 4, 6)
    expected = case.own(*case.inputs)
    case.max_unrolled_steps = longest_unrolled
    signature = [tf.TensorSpec(each.shape, each.dtype) for each in case.inputs]
    if not steps_known:
        signature[0] = tf.TensorSpec((3, None, 4), tf.float32)
    graph = tf.function(case.own, input_signature=signature, jit_compile=compiled).get_concrete_function()
    loops = [op for op in graph.graph.get_operations() if "While" in op.type]
    assert bool(loops) == (not steps_known or longest_unrolled < 5)
    assert_close(graph(*case.inputs), expected)


@pytest.mark.parametrize(("steps", "looped"), [(40, (False, False)), (41, (True, False)), (65, (True, True))])
def test_graph_of_training_has_no_loop_over_more_steps(steps: int, looped: tuple[bool, bool]):
    network = Network(Architecture.of(NetworkSettings(layers=1, units=2), 5))
    found: list[bool] = []
    for seed in (None, tf.constant([1, 2])):
        step = tf.function(lambda ids, seed=seed: network(ids, network.zero_state(1), seed)[0])
        graph = step.get_concrete_function(tf.TensorSpec((1, steps), tf.int32)).graph
        found.append(any("While" in op.type for op in graph.get_operations()))
    assert tuple(found) == looped


@pytest.mark.parametrize("cell", CELLS)
def test_bfloat16_error_is_no_larger_than_keras(cell: Cell):
    case = Case(cell, 8, 30, 16, 16, "bfloat16")
    exact = Case(cell, 8, 30, 16, 16).own(*[tf.cast(each, tf.float32) for each in case.inputs])

    def errors(results: list[Any]) -> np.ndarray:
        arrays = [tf.cast(each, tf.float32).numpy() for each in results]
        return np.array(
            [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(arrays, map(np.asarray, exact), strict=True)]
        )

    assert (errors(case.own(*case.inputs)) < 1.1 * errors(case.keras(*case.inputs))).all()


@pytest.mark.parametrize("cell", CELLS)
def test_network_gradients_are_equal_with_keras_layers(cell: Cell):
    """GPUs use the Keras layers. All kinds of dropout are on, because they must be equal, too."""
    dropout = DropoutSettings(dropout=0.3, word_dropout=0.1, weight_drop=0.4, locked_dropout=True)
    ids = np.random.default_rng(1).integers(0, 20, (3, 6))

    def results(own_layers: bool) -> list[Any]:
        architecture = Architecture(vocabulary_size=20, embedding=5, layers=2, units=(7, 4), cell=cell, tied=False)
        network = Network(architecture, dropout=dropout, random_seed=3, own_layers=own_layers)
        with tf.GradientTape() as tape:
            hidden, states = network(ids, network.zero_state(3), tf.constant([1, 2]))
            loss = tf.reduce_sum(hidden**2) + tf.reduce_sum(states[0][0])
        variables = [
            network.variables_by_name()[f"layer_{n}/{part}"].value for n in (1, 2) for part in ("kernel", "bias")
        ]
        recurrent = [network.variables_by_name()[f"layer_{n}/recurrent_kernel"].value for n in (1, 2)]
        return [hidden, *tf.nest.flatten(states), *tape.gradient(loss, [*variables, *recurrent])]

    assert_close(results(own_layers=True), results(own_layers=False))
