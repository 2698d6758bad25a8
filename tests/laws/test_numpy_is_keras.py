"""NumPy's step and Keras's network are one network: the logits agree, the greedy words are the same."""

import numpy as np
import pytest

import wordgen.network  # noqa: F401 - first, for it keeps TensorFlow's start-up notes off the screen
from wordgen.generation.prediction import NumpyNetwork
from wordgen.model.architecture import Architecture, Cell
from wordgen.network.network import Network

TEXTS, LENGTH, VOCABULARY = 3, 25, 60
CELLS = ("lstm", "gru", "rnn")
DIFFERING = (16, 20, 12)  # units of three layers
SHAPES = [  # layers; embedding, tied, units
    (1, (16, False, 16)), (1, (12, True, 16)), (2, (16, True, 16)), (3, (12, False, 16)),
    (3, (12, True, DIFFERING)), (3, (16, True, DIFFERING)), (3, (14, False, DIFFERING)),
]  # fmt: skip


def make(cell: Cell, layers: int, embedding: int, tied: bool, units: int | tuple[int, ...]) -> Network:
    architecture = Architecture(
        vocabulary_size=VOCABULARY, embedding=embedding, layers=layers, units=units, cell=cell, tied=tied
    )
    network = Network(architecture, random_seed=3)
    dice = np.random.default_rng(11)
    for variable in network.trainable_variables:  # biases too: they begin at nought and would hide an error
        variable.assign(dice.normal(scale=0.4, size=variable.shape).astype(np.float32))
    return network


@pytest.mark.parametrize(("cell", "layers", "shape"), [(cell, *shape) for cell in CELLS for shape in SHAPES])
def test_logits_and_state_agree(cell: Cell, layers: int, shape: tuple[int, bool, int | tuple[int, ...]]):
    network = make(cell, layers, shape[0], shape[1], shape[2])
    ids = np.random.default_rng(5).integers(VOCABULARY, size=(TEXTS, LENGTH))
    hidden, state = network(ids, network.zero_state(TEXTS))
    expected = np.asarray(network.logits(hidden))
    assert expected.dtype == np.float32

    twin = NumpyNetwork(network.architecture, network.to_weights())
    twin_state = twin.zero_state(TEXTS)
    for place in range(LENGTH):
        twin_state = twin.feed(ids[:, place], twin_state)
        logits = twin.logits(twin_state[-1][0])
        np.testing.assert_allclose(logits, expected[:, place], atol=1e-4, rtol=0)
    for mine, theirs in zip(twin_state, state, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(one, np.asarray(other), atol=1e-4, rtol=0)


@pytest.mark.parametrize("cell", CELLS)
def test_greedy_words_are_the_same(cell: Cell):
    network = make(cell, 2, 12, tied=True, units=16)
    twin = NumpyNetwork(network.architecture, network.to_weights())
    state, twin_state = network.zero_state(TEXTS), twin.zero_state(TEXTS)
    ids = mine = np.array([3, 4, 5])
    for _ in range(LENGTH):
        hidden, state = network(ids[:, None], state)
        ids = np.asarray(network.logits(hidden))[:, 0].argmax(axis=1)
        twin_state = twin.feed(mine, twin_state)
        logits = twin.logits(twin_state[-1][0])
        mine = logits.argmax(axis=1)
        assert mine.tolist() == ids.tolist()


def test_the_published_size_agrees_too():
    """A student report's network, 3 x 512: more numbers to sum, the same bound."""
    architecture = Architecture(vocabulary_size=2000, embedding=512, layers=3, units=512, cell="lstm", tied=False)
    network = Network(architecture, random_seed=1)
    twin = NumpyNetwork(architecture, network.to_weights())
    ids = np.random.default_rng(5).integers(2000, size=(2, 10))
    hidden, _ = network(ids, network.zero_state(2))
    expected = np.asarray(network.logits(hidden))
    twin_state = twin.zero_state(2)
    for place in range(10):
        twin_state = twin.feed(ids[:, place], twin_state)
        logits = twin.logits(twin_state[-1][0])
        np.testing.assert_allclose(logits, expected[:, place], atol=1e-4, rtol=0)
