"""The matrix products that a training step needs, and nothing else: no step can be faster.

python -m bench.ways.products ROW PRECISION SECONDS_OF_A_TURN

A layer has its product with the input for all time steps at once, one with its state for each, and the gradients of
both; the output has its logits, and the gradients of states and weights.
"""

import sys
from typing import Any

from bench.rows import ROWS, Row
from bench.turns import Turns

turns = Turns()

import wordgen.network  # noqa: E402, F401 - first, for it keeps TensorFlow's start-up notes off the screen

# isort: split
import tensorflow as tf  # noqa: E402

_GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def products(row: Row, precision: str) -> Any:
    """Return a function without arguments. All arrays are variables, so that nothing can be computed beforehand."""
    steps, units, gates = row.seq_len, row.units, _GATES[row.cell] * row.units
    places = row.batch_size * steps

    def array(*shape: int) -> Any:
        return tf.Variable(tf.cast(tf.random.normal(shape, stddev=0.1), precision))

    inputs, hidden, d_gates = array(places, units), array(steps, row.batch_size, units), array(places, gates)
    states, d_logits, output = array(places, units), array(places, row.vocabulary), array(row.vocabulary, units)
    kernels = [(array(units, gates), array(units, gates), array(gates, units)) for _ in range(row.layers)]

    def one_after_another(sequence: Any, weights: Any) -> list[Any]:
        found: list[Any] = []
        for each in tf.unstack(sequence, steps):
            with tf.control_dependencies(found[-1:]):
                found.append(tf.matmul(each, weights))
        return found

    def layer(kernel: Any, recurrent: Any, transposed: Any) -> list[Any]:
        found = [tf.matmul(inputs, kernel), *one_after_another(hidden, recurrent)]
        with tf.control_dependencies(found[-1:]):
            found += one_after_another(tf.reshape(d_gates, (steps, row.batch_size, gates)), transposed)
        with tf.control_dependencies(found[-1:]):
            found.append(tf.matmul(inputs, d_gates, transpose_a=True))
            found.append(tf.matmul(tf.reshape(hidden, (places, units)), d_gates, transpose_a=True))
            found.append(tf.matmul(d_gates, kernel, transpose_b=True))
        return found

    @tf.function
    def step() -> Any:
        found: list[Any] = []
        for kernel, recurrent, transposed in kernels:
            with tf.control_dependencies(found[-1:]):
                found += layer(kernel, recurrent, transposed)
        with tf.control_dependencies(found[-1:]):
            found.append(tf.matmul(states, output, transpose_b=True))
            found.append(tf.matmul(d_logits, output))
            found.append(tf.matmul(d_logits, states, transpose_a=True))
        return tf.add_n([tf.cast(each[0, 0], tf.float32) for each in found])

    return step


def main(row: str, precision: str, seconds: str) -> None:
    turns.imported()
    step = products(ROWS[row], precision)
    for _ in range(2):
        step()

    def work() -> int:
        step().numpy()
        return ROWS[row].batch_size * ROWS[row].seq_len

    turns.answer(versions={"tensorflow": tf.__version__})
    turns.take(work, float(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
