"""The network in NumPy gives the same logits, states and greedy words as the network in Keras."""

import numpy as np
import pytest

import wordgen.network  # noqa: F401 - first, because it hides TensorFlow's start-up messages
from wordgen.generation.prediction import NumpyNetwork
from wordgen.model.architecture import Architecture, Cell
from wordgen.network.network import Network

BATCH_SIZE, LENGTH, VOCABULARY = 3, 25, 60
CELLS = ("lstm", "gru", "rnn")
DIFFERENT_UNITS = (16, 20, 12)
SHAPES = [  # layers; embedding, tied, units
    (1, (16, False, 16)), (1, (12, True, 16)), (2, (16, True, 16)), (3, (12, False, 16)),
    (3, (12, True, DIFFERENT_UNITS)), (3, (16, True, DIFFERENT_UNITS)), (3, (14, False, DIFFERENT_UNITS)),
]  # fmt: skip


def make(cell: Cell, layers: int, embedding: int, tied: bool, units: int | tuple[int, ...]) -> Network:
    architecture = Architecture(
        vocabulary_size=VOCABULARY, embedding=embedding, layers=layers, units=units, cell=cell, tied=tied
    )
    network = Network(architecture, random_seed=3)
    rng = np.random.default_rng(11)
    for variable in network.trainable_variables:  # also the biases: they begin at zero and would hide errors
        variable.assign(rng.normal(scale=0.4, size=variable.shape).astype(np.float32))
    return network


@pytest.mark.parametrize(("cell", "layers", "shape"), [(cell, *shape) for cell in CELLS for shape in SHAPES])
def test_logits_and_states_are_equal(cell: Cell, layers: int, shape: tuple[int, bool, int | tuple[int, ...]]):
    network = make(cell, layers, shape[0], shape[1], shape[2])
    ids = np.random.default_rng(5).integers(VOCABULARY, size=(BATCH_SIZE, LENGTH))
    hidden, state = network(ids, network.zero_state(BATCH_SIZE))
    expected = np.asarray(network.logits(hidden))
    assert expected.dtype == np.float32

    numpy_network = NumpyNetwork(network.architecture, network.to_weights())
    numpy_state = numpy_network.zero_state(BATCH_SIZE)
    for position in range(LENGTH):
        numpy_state = numpy_network.feed(ids[:, position], numpy_state)
        logits = numpy_network.logits(numpy_state[-1][0])
        np.testing.assert_allclose(logits, expected[:, position], atol=1e-4, rtol=0)
    for numpy_layer, keras_layer in zip(numpy_state, state, strict=True):
        for actual, wanted in zip(numpy_layer, keras_layer, strict=True):
            np.testing.assert_allclose(actual, np.asarray(wanted), atol=1e-4, rtol=0)


@pytest.mark.parametrize("cell", CELLS)
def test_greedy_words_are_equal(cell: Cell):
    network = make(cell, 2, 12, tied=True, units=16)
    numpy_network = NumpyNetwork(network.architecture, network.to_weights())
    state, numpy_state = network.zero_state(BATCH_SIZE), numpy_network.zero_state(BATCH_SIZE)
    ids = numpy_ids = np.array([3, 4, 5])
    for _ in range(LENGTH):
        hidden, state = network(ids[:, None], state)
        ids = np.asarray(network.logits(hidden))[:, 0].argmax(axis=1)
        numpy_state = numpy_network.feed(numpy_ids, numpy_state)
        logits = numpy_network.logits(numpy_state[-1][0])
        numpy_ids = logits.argmax(axis=1)
        assert numpy_ids.tolist() == ids.tolist()


def test_logits_of_large_network_are_equal():
    """3 layers of 512 units: more numbers are summed, the tolerance is the same."""
    architecture = Architecture(vocabulary_size=2000, embedding=512, layers=3, units=512, cell="lstm", tied=False)
    network = Network(architecture, random_seed=1)
    numpy_network = NumpyNetwork(architecture, network.to_weights())
    ids = np.random.default_rng(5).integers(2000, size=(2, 10))
    hidden, _ = network(ids, network.zero_state(2))
    expected = np.asarray(network.logits(hidden))
    numpy_state = numpy_network.zero_state(2)
    for position in range(10):
        numpy_state = numpy_network.feed(ids[:, position], numpy_state)
        logits = numpy_network.logits(numpy_state[-1][0])
        np.testing.assert_allclose(logits, expected[:, position], atol=1e-4, rtol=0)
