"""The model for one token at a time, built only from standard Keras layers, so that it loads without wordgen."""

import keras
import numpy as np

from wordgen.model.architecture import Architecture
from wordgen.model.bundle import Weights
from wordgen.network import Tensor

_CELLS = {"lstm": keras.layers.LSTMCell, "gru": keras.layers.GRUCell, "rnn": keras.layers.SimpleRNNCell}


def stock_model(architecture: Architecture, weights: Weights, state: list[tuple[str, str, int]]) -> keras.Model:
    """Return a Keras model that takes and returns dictionaries.

    `state` holds for each state vector its input name, its output name and its width.
    """
    ids = keras.Input((), dtype="int32", name="ids")
    before = {name: keras.Input((width,), name=name) for name, _, width in state}
    table = _table(architecture)
    words, ones = _words(architecture, table, ids)
    hidden, behind = _layers(architecture, words, list(before.values()))
    logits = _logits(architecture, table, hidden, ones)
    outputs = {"logits": logits, **dict(zip((name for _, name, _ in state), behind, strict=True))}
    model = keras.Model({"ids": ids, **before}, outputs, name="step")
    _fill(model, architecture, weights)
    return model


def _table(architecture: Architecture) -> keras.layers.Layer:
    """Return the layer of the word vectors. If they are tied, the last column holds the output bias of each token."""
    size = architecture.vocabulary_size
    if architecture.tied:
        return keras.layers.ReversibleEmbedding(size, architecture.embedding + 1, name="embedding")
    return keras.layers.Embedding(size, architecture.embedding, name="embedding")


def _words(architecture: Architecture, table: keras.layers.Layer, ids: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the word vectors and, if tied, a column of ones, which the output multiplies by its biases."""
    if not architecture.tied:
        return table(ids), None
    parts = keras.ops.split(table(ids), [architecture.embedding], axis=1)
    words, biases = parts  # pyright: ignore[reportGeneralTypeIssues]
    return words, keras.ops.ones_like(biases)


def _layers(architecture: Architecture, words: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    hidden, behind = words, []
    for number, units in enumerate(architecture.widths):
        vectors = state[number * architecture.states : (number + 1) * architecture.states]
        hidden, new = _CELLS[architecture.cell](units, name=f"layer_{number + 1}")(hidden, vectors)
        behind += new
    return hidden, behind


def _logits(architecture: Architecture, table: keras.layers.Layer, hidden: Tensor, ones: Tensor | None) -> Tensor:
    if architecture.projected:
        hidden = keras.layers.Dense(architecture.embedding, use_bias=False, name="projection")(hidden)
    if architecture.tied:
        return table(keras.layers.Concatenate(name="hidden_and_one")([hidden, ones]), reverse=True)
    return keras.layers.Dense(architecture.vocabulary_size, name="output")(hidden)


def _fill(model: keras.Model, architecture: Architecture, weights: Weights) -> None:
    table, bias = weights["embedding"], weights["output/bias"]
    model.get_layer("embedding").set_weights([np.column_stack([table, bias]) if architecture.tied else table])
    for number in range(1, architecture.layers + 1):
        parts = [weights[f"layer_{number}/{part}"] for part in ("kernel", "recurrent_kernel", "bias")]
        model.get_layer(f"layer_{number}").set_weights(parts)
    if architecture.projected:
        model.get_layer("projection").set_weights([weights["projection/kernel"]])
    if not architecture.tied:
        model.get_layer("output").set_weights([weights["output/kernel"].T, bias])
