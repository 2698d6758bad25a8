"""Loss, perplexity and gradient of a tiny network equal a reference in NumPy: float64, one token after another, with
textbook formulas that share no code with wordgen. The reference gradient comes from central differences of the loss."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.networks import Arrays, next_state
from wordgen.evaluation.perplexity import Evaluator
from wordgen.model.architecture import Architecture, Cell
from wordgen.network.losses import output_loss
from wordgen.network.network import Network
from wordgen.network.replicas import single_replica

VOCABULARY, ROWS, LENGTH, START = 7, 2, 5, 1
SHAPES = [(3, False, (4, 3)), (3, True, (4, 3)), (4, True, (3, 2))]  # embedding, tied, units
IDS = np.random.default_rng(1).integers(2, VOCABULARY, size=(ROWS, LENGTH + 1))
IDS[0, 3] = START
EPSILON = 1e-5


def row_losses(architecture: Architecture, w: Arrays, row: np.ndarray, smoothing: float) -> Iterator[float]:
    """Yield the cross-entropy of each target of a row, except START."""
    states = [[np.zeros(units)] * architecture.states for units in architecture.widths]
    for token, target in pairwise(row):
        x = w["embedding"][token]
        for number in range(architecture.layers):
            states[number] = next_state(architecture.cell, w, f"layer_{number + 1}", x, states[number])
            x = states[number][0]
        if "projection/kernel" in w:
            x = x @ w["projection/kernel"]
        logits = w["output/bias"] + w["embedding" if architecture.tied else "output/kernel"] @ x
        if target != START:
            probs = np.exp(logits) / np.exp(logits).sum()
            target_probs = np.full(VOCABULARY, smoothing / VOCABULARY)
            target_probs[target] += 1 - smoothing
            yield float(-(target_probs * np.log(probs)).sum())


def reference_loss(architecture: Architecture, w: Arrays, ids: np.ndarray, smoothing: float = 0.0) -> float:
    return sum(sum(row_losses(architecture, w, row, smoothing)) for row in ids)


def reference_gradient(architecture: Architecture, w: Arrays, smoothing: float) -> Arrays:
    """Return the gradient of the loss, from central differences for every single weight."""
    gradient = {name: np.zeros_like(array) for name, array in w.items()}
    for name, array in w.items():
        for index in np.ndindex(array.shape):
            original, losses = array[index], []
            for epsilon in (EPSILON, -EPSILON):
                array[index] = original + epsilon
                losses.append(reference_loss(architecture, w, IDS, smoothing))
            array[index] = original
            gradient[name][index] = (losses[0] - losses[1]) / (2 * EPSILON)
    return gradient


def make(cell: Cell, shape: tuple[int, bool, tuple[int, int]]) -> tuple[Network, Arrays]:
    embedding, tied, units = shape
    architecture = Architecture(
        vocabulary_size=VOCABULARY, embedding=embedding, layers=2, units=units, cell=cell, tied=tied
    )
    network, rng = Network(architecture), np.random.default_rng(3)
    for variable in network.trainable_variables:
        variable.assign(rng.normal(scale=0.5, size=variable.shape).astype(np.float32))
    return network, {name: array.astype(np.float64) for name, array in network.to_weights().items()}


CELLS = ("lstm", "gru", "rnn")
CASES = [
    (cell, shape, (0.0, 0.3)[(row + column) % 2])
    for row, cell in enumerate(CELLS)
    for column, shape in enumerate(SHAPES)
]


@pytest.mark.parametrize(("cell", "shape", "smoothing"), CASES)
def test_loss_and_gradient_equal_reference(cell: Cell, shape: tuple[int, bool, tuple[int, int]], smoothing: float):
    network, weights = make(cell, shape)
    targets = tf.constant(IDS[:, 1:], tf.int32)
    with tf.GradientTape() as tape:
        hidden, _ = network(IDS[:, :-1], network.zero_state(ROWS))
        loss, count, objective = output_loss(network, hidden, targets, smoothing=smoothing)
    assert float(count) == (IDS[:, 1:] != START).sum() == ROWS * LENGTH - 1
    assert float(loss) == pytest.approx(reference_loss(network.architecture, weights, IDS), rel=1e-5)
    assert float(objective) == pytest.approx(reference_loss(network.architecture, weights, IDS, smoothing), rel=1e-5)

    variables = network.variables_by_name()
    gradient = dict(zip(variables, tape.gradient(objective, [each.value for each in variables.values()]), strict=True))
    for name, expected in reference_gradient(network.architecture, weights, smoothing).items():
        np.testing.assert_allclose(tf.convert_to_tensor(gradient[name]), expected, atol=2e-5, err_msg=name)


@pytest.mark.parametrize(("cell", "shape"), zip(CELLS, SHAPES, strict=True))
def test_perplexity_equals_reference(cell: Cell, shape: tuple[int, bool, tuple[int, int]]):
    network, weights = make(cell, shape)
    ids = np.random.default_rng(2).integers(0, VOCABULARY, size=40)
    targets = int((ids[1:] != START).sum())
    expected = np.exp(reference_loss(network.architecture, weights, ids[None]) / targets)
    assert Evaluator(network, ids.astype(np.uint8), single_replica()).perplexity() == pytest.approx(expected, rel=1e-5)
