"""The same small network in Keras and in NumPy, random ids for it, and cells with textbook formulas."""

import numpy as np

from wordgen.generation.prediction import NumpyNetwork
from wordgen.model.architecture import Architecture, Cell, NetworkSettings
from wordgen.network.network import Network

VOCABULARY = 30


def make_networks(cell: Cell, *, tied: bool) -> tuple[Network, NumpyNetwork]:
    settings = NetworkSettings(layers=2, units=12, cell=cell, tied=tied)
    keras = Network(Architecture.of(settings, VOCABULARY), random_seed=1)
    return keras, NumpyNetwork(keras.architecture, keras.to_weights())


def random_ids(length: int) -> np.ndarray:
    ids = np.random.default_rng(length).integers(VOCABULARY, size=length).astype(np.uint8)
    ids[-1] = 5
    return ids


Arrays = dict[str, np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def next_state(cell: Cell, w: Arrays, layer: str, x: np.ndarray, state: list[np.ndarray]) -> list[np.ndarray]:
    """Return the state after one time step, in float64. These formulas share no code with wordgen."""
    kernel, recurrent, bias = (w[f"{layer}/{name}"] for name in ("kernel", "recurrent_kernel", "bias"))
    if cell == "rnn":
        return [np.tanh(x @ kernel + state[0] @ recurrent + bias)]
    if cell == "lstm":
        i, f, g, o = np.split(x @ kernel + state[0] @ recurrent + bias, 4)
        cell_state = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
        return [sigmoid(o) * np.tanh(cell_state), cell_state]
    z, r, n = np.split(x @ kernel + bias[0], 3)
    hz, hr, hn = np.split(state[0] @ recurrent + bias[1], 3)
    update = sigmoid(z + hz)
    return [update * state[0] + (1 - update) * np.tanh(n + sigmoid(r + hr) * hn)]
