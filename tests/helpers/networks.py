"""The same small network in Keras and in NumPy, and random ids for it."""

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
