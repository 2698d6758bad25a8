"""Recurrent layers for CPUs. Weights and results are those of the Keras layers, but the gradient is a custom one.

What does not depend on the previous time step is computed for all time steps at once: the product with the input, and
in the backward pass the products that give the gradients of input, kernel, recurrent kernel and bias. TensorFlow's own
gradient computes each of these once per time step, and adds up gradients as large as the kernels (docs/experiments.md,
2026-11-28). Gates and states are float32. Products use the type that the network computes in.

Shapes: T time steps, B rows of the batch, N inputs of a layer, U units, G gate values (U for each gate).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from wordgen.model.architecture import Cell
from wordgen.network import Tensor

Tensors = tuple[Tensor, ...]
Product = Callable[[Tensor], Tensor]
Step = Callable[[Tensors, Tensors], tuple[Tensors, Tensors]]
"""A function for one time step. It takes this step's part of all sequences, and the states. It returns the results and
the next states."""

MAX_UNROLLED_STEPS, MAX_UNROLLED_TRAINING_STEPS = 40, 64
"""Up to this number of time steps, the graph has no loop. A graph without a loop takes less time for each step, but
longer to build. Training has enough steps to make up for that (docs/experiments.md, 2026-12-01)."""
_MIN_SPLIT_WEIGHTS = 2**18
"""From this number of recurrent weights on, the float32 product with the transposed kernel is computed gate by gate.
One product with all gates takes longer, although it does the same multiplications (docs/experiments.md, 2026-12-01)."""


@dataclass(frozen=True)
class CellFunctions:
    """A cell as three functions in float32. Each state has the shape `(B, U)`. The first state is the output."""

    forward: Callable[[Tensor, Tensors, Product], tuple[Tensors, Tensors]]
    """Takes the product with the input `(B, G)`, the states, and a function for the recurrent product. Returns the
    values that the gradient needs, and the next states."""
    slopes: Callable[[Tensors, Sequence[Tensor]], Tensors]
    """Takes the saved values and the states before each time step, for all time steps at once `(T, B, ...)`. Returns
    how the results of a time step change with the gates."""
    backward: Callable[[Tensor, Tensors, Tensors, Product], tuple[Tensors, Tensors]]
    """Takes the gradient of an output, the slopes, the gradients of the next states, and a function for the product
    with the transposed recurrent kernel. Returns the gradients of the products with input and state `(B, G)` (only one
    if they are equal), and the gradients of the states before."""


def recurrent_layer(
    cell: Cell,
    inputs: Tensor,
    states: Tensors,
    weights: Tensors,
    *,
    max_unrolled_steps: int = MAX_UNROLLED_STEPS,
) -> tuple[Tensor, Tensors]:
    """Return all outputs `(B, T, U)` and the last states, as the Keras layer does.

    `weights` are the kernel, the recurrent kernel and the bias. The type of the kernels is the type of the products and
    of the results. More than `max_unrolled_steps` time steps are computed by a loop.
    """

    def layer(
        inputs: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor, *states: Tensor
    ) -> tuple[Tensors, Callable[..., Tensors]]:
        sequence = _Sequence(cell, inputs, (kernel, recurrent, bias), states, max_unrolled_steps)
        return sequence.results(), sequence.gradient

    outputs, *last = tf.custom_gradient(layer)(inputs, *weights, *states)
    return outputs, tuple(last)


class _Sequence:
    """One forward pass over all time steps of a batch. Keeps what the gradient needs."""

    def __init__(self, cell: Cell, inputs: Tensor, weights: Tensors, states: Tensors, max_unrolled_steps: int) -> None:
        self._functions, self._two_biases = _CELLS[cell], cell == "gru"
        self._kernel, self._recurrent, self._bias = weights
        self._type, self._first = inputs.dtype, tuple(map(_float32, states))
        self._steps, self._max_unrolled_steps = inputs.shape[1], max_unrolled_steps
        self._inputs = tf.transpose(inputs, (1, 0, 2))  # (T, B, N): each time step is contiguous in memory
        products = _float32(_product(self._inputs, self._kernel))
        products += self._bias[0] if self._two_biases else self._bias
        saved, self._last = self._scan(self._forward, (products,), self._first)
        count = len(self._first)
        self._saved, self._after = saved[:-count], saved[-count:]

    def results(self) -> Tensors:
        """Return all outputs `(B, T, U)` and the last states, in the type that the network computes in."""
        outputs = tf.transpose(tf.cast(self._after[0], self._type), (1, 0, 2))
        return (outputs, *(tf.cast(state, self._type) for state in self._last))

    def _forward(self, step: Tensors, states: Tensors) -> tuple[Tensors, Tensors]:
        saved, states = self._functions.forward(step[0], states, self._recurrent_product)
        return (*saved, *states), states

    def _scan(
        self, step: Step, sequences: Tensors, states: Tensors, *, reverse: bool = False
    ) -> tuple[Tensors, Tensors]:
        """Apply `step` to each time step of the sequences. Return the stacked results and the last states.

        Time is the first axis of the sequences. Their length may be unknown before the graph runs.
        """
        if self._steps is None or self._steps > self._max_unrolled_steps:
            length = tf.shape(sequences[0])[0] if self._steps is None else tf.constant(self._steps)
            return _looped(step, length, sequences, states, reverse=reverse)
        return _unrolled(step, [tf.unstack(each, self._steps) for each in sequences], states, reverse=reverse)

    def _recurrent_product(self, hidden: Tensor) -> Tensor:
        product = _float32(tf.matmul(tf.cast(hidden, self._recurrent.dtype), self._recurrent))
        return product + self._bias[1] if self._two_biases else product

    def gradient(self, d_outputs: Tensor, *d_last: Tensor) -> Tensors:
        """Return the gradients of the inputs, the weights and the first states."""
        each_state = zip(self._first, self._after, strict=True)
        before = [tf.concat([first[None], after[:-1]], 0) for first, after in each_state]
        d_steps = (_float32(tf.transpose(d_outputs, (1, 0, 2))), *self._functions.slopes(self._saved, before))
        product = _product_with_transposed(self._recurrent)

        def backward(step: Tensors, d_states: Tensors) -> tuple[Tensors, Tensors]:
            return self._functions.backward(step[0], step[1:], d_states, product)

        d_products, d_first = self._scan(backward, d_steps, tuple(map(_float32, d_last)), reverse=True)
        d_biases = [tf.reduce_sum(each, (0, 1)) for each in d_products]
        d_input, d_recurrent = (tf.cast(d_products[place], self._type) for place in (0, -1))
        hidden = tf.cast(before[0], self._type)
        return (
            tf.transpose(_product(d_input, self._kernel, transpose_b=True), (1, 0, 2)),
            tf.matmul(_flat(self._inputs), _flat(d_input), transpose_a=True),
            tf.matmul(_flat(hidden), _flat(d_recurrent), transpose_a=True),
            tf.stack(d_biases) if self._two_biases else d_biases[0],
            *(tf.cast(d_state, self._type) for d_state in d_first),
        )


def _looped(
    step: Step, length: Tensor, sequences: Tensors, states: Tensors, *, reverse: bool
) -> tuple[Tensors, Tensors]:
    arrays = [tf.TensorArray(each.dtype, length).unstack(each) for each in sequences]
    example, _ = step(tuple(each[0] for each in sequences), states)  # only its types are used, so TensorFlow drops it
    results = tuple(tf.TensorArray(each.dtype, length) for each in example)

    def body(number: Tensor, states: Tensors, results: Tensors) -> tuple[Tensor, Tensors, Tensors]:
        place = length - 1 - number if reverse else number
        found, after = step(tuple(each.read(place) for each in arrays), states)
        for one, other in zip(after, states, strict=True):
            one.set_shape(other.shape)
        return number + 1, after, tuple(each.write(place, one) for each, one in zip(results, found, strict=True))

    _, states, results = tf.while_loop(lambda number, *_: number < length, body, (0, states, results))
    return tuple(each.stack() for each in results), states


def _unrolled(step: Step, sequences: list[list[Tensor]], states: Tensors, *, reverse: bool) -> tuple[Tensors, Tensors]:
    results = []
    for parts in list(zip(*sequences, strict=True))[:: -1 if reverse else 1]:
        found, states = step(parts, states)
        results.append(found)
    return tuple(tf.stack(each) for each in zip(*results[:: -1 if reverse else 1], strict=True)), states


def _product_with_transposed(weights: Tensor) -> Product:
    """Return a function that multiplies by the transposed weights `(U, G)`.

    In float32, a product with a transposed right side takes three times as long. So the weights are transposed only
    once.
    """
    if weights.dtype != tf.float32:
        return lambda values: _float32(tf.matmul(tf.cast(values, weights.dtype), weights, transpose_b=True))
    transposed = tf.transpose(weights)
    units, width = weights.shape
    gates = width // units
    if gates == 1 or units * width < _MIN_SPLIT_WEIGHTS:
        return lambda values: tf.matmul(values, transposed)
    of_gates = tf.split(transposed, gates)
    return lambda values: tf.add_n(
        [tf.matmul(*each) for each in zip(tf.split(values, gates, 1), of_gates, strict=True)]
    )


def _flat(values: Tensor) -> Tensor:
    """Reshape `(T, B, N)` to `(T * B, N)`, so that one matrix product is enough for all time steps."""
    return tf.reshape(values, (-1, values.shape[-1]))


def _product(values: Tensor, weights: Tensor, *, transpose_b: bool = False) -> Tensor:
    """Return the product of `(T, B, N)` with `(N, M)`, of shape `(T, B, M)`."""
    product = tf.matmul(_flat(values), weights, transpose_b=transpose_b)
    return tf.reshape(product, tf.concat([tf.shape(values)[:2], tf.shape(product)[1:]], 0))


def _float32(values: Tensor) -> Tensor:
    return tf.cast(values, tf.float32)


def _lstm_forward(products: Tensor, states: Tensors, recurrent: Product) -> tuple[Tensors, Tensors]:
    hidden, cell = states
    i, f, g, o = tf.split(products + recurrent(hidden), 4, axis=1)
    i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
    cell = f * cell + i * g
    squashed = tf.tanh(cell)
    return (i, f, g, o, squashed), (o * squashed, cell)


def _lstm_slopes(saved: Tensors, before: Sequence[Tensor]) -> Tensors:
    i, f, g, o, squashed = saved
    gate_slopes = [g * i * (1 - i), before[1] * f * (1 - f), i * (1 - g * g), squashed * o * (1 - o)]
    return tf.concat(gate_slopes, -1), o * (1 - squashed * squashed), f


def _lstm_backward(d_output: Tensor, slopes: Tensors, d_states: Tensors, product: Product) -> tuple[Tensors, Tensors]:
    gate_slopes, cell_slope, f = slopes
    d_hidden = d_output + d_states[0]
    d_cell = d_states[1] + d_hidden * cell_slope
    d_gates = tf.concat([d_cell, d_cell, d_cell, d_hidden], 1) * gate_slopes
    return (d_gates,), (product(d_gates), d_cell * f)


def _gru_forward(products: Tensor, states: Tensors, recurrent: Product) -> tuple[Tensors, Tensors]:
    (hidden,) = states
    keep_x, reset_x, new_x = tf.split(products, 3, axis=1)
    keep_h, reset_h, new_h = tf.split(recurrent(hidden), 3, axis=1)
    keep, reset = tf.sigmoid(keep_x + keep_h), tf.sigmoid(reset_x + reset_h)
    new = tf.tanh(new_x + reset * new_h)
    return (keep, reset, new, new_h), (keep * hidden + (1 - keep) * new,)


def _gru_slopes(saved: Tensors, before: Sequence[Tensor]) -> Tensors:
    keep, reset, new, new_h = saved
    keep_slope = (before[0] - new) * keep * (1 - keep)
    new_slope = (1 - keep) * (1 - new * new)
    reset_slope = new_slope * new_h * reset * (1 - reset)
    gate_slopes = [tf.concat([keep_slope, reset_slope, last], -1) for last in (new_slope, new_slope * reset)]
    return (*gate_slopes, keep)


def _gru_backward(d_output: Tensor, slopes: Tensors, d_states: Tensors, product: Product) -> tuple[Tensors, Tensors]:
    input_slopes, recurrent_slopes, keep = slopes
    d_hidden = d_output + d_states[0]
    repeated = tf.tile(d_hidden, (1, 3))
    d_recurrent = repeated * recurrent_slopes
    return (repeated * input_slopes, d_recurrent), (d_hidden * keep + product(d_recurrent),)


def _rnn_forward(products: Tensor, states: Tensors, recurrent: Product) -> tuple[Tensors, Tensors]:
    hidden = tf.tanh(products + recurrent(states[0]))
    return (hidden,), (hidden,)


def _rnn_slopes(saved: Tensors, before: Sequence[Tensor]) -> Tensors:
    return (1 - saved[0] * saved[0],)


def _rnn_backward(d_output: Tensor, slopes: Tensors, d_states: Tensors, product: Product) -> tuple[Tensors, Tensors]:
    d_products = (d_output + d_states[0]) * slopes[0]
    return (d_products,), (product(d_products),)


_CELLS: dict[Cell, CellFunctions] = {
    "lstm": CellFunctions(_lstm_forward, _lstm_slopes, _lstm_backward),
    "gru": CellFunctions(_gru_forward, _gru_slopes, _gru_backward),
    "rnn": CellFunctions(_rnn_forward, _rnn_slopes, _rnn_backward),
}
