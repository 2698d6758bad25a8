"""A small bundle with random or constant weights."""

import numpy as np
from numpy.typing import NDArray

from wordgen.dataset.dataset import TextConfig
from wordgen.model.architecture import Architecture
from wordgen.model.bundle import Bundle
from wordgen.text.vocabulary import Vocabulary


def make_bundle(units: int = 4, fill: float | None = None) -> Bundle:
    vocabulary = Vocabulary.from_counts({"a": 2, "b": 1, "\n": 1, "￭,": 1}, 100, 1)
    architecture = Architecture(
        vocabulary_size=len(vocabulary), embedding=3, layers=2, units=units, cell="lstm", tied=False
    )
    weights = random_weights(architecture)
    if fill is not None:
        weights = {name: np.full_like(weight, fill) for name, weight in weights.items()}
    text = TextConfig(corpus="tale", tokenizer="english", passage="paragraph", line_breaks="joined", starts=True)
    return Bundle(architecture, text, vocabulary, weights)


def random_weights(architecture: Architecture, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in architecture.weight_shapes().items()}


def same_bundle(one: Bundle, other: Bundle) -> bool:
    same_settings = (one.architecture, one.text, one.vocabulary) == (other.architecture, other.text, other.vocabulary)
    return same_settings and all((one.weights[name] == other.weights[name]).all() for name in one.weights)
