"""The step as a Keras model of stock layers alone, so that it loads where wordgen is not."""

from typing import Any

import keras
import numpy as np

from wordgen.architecture import Architecture
from wordgen.bundle import Weights

_CELLS = {"lstm": keras.layers.LSTMCell, "gru": keras.layers.GRUCell, "rnn": keras.layers.SimpleRNNCell}
Tensor = Any


def stock_model(architecture: Architecture, weights: Weights, carry: list[tuple[str, str, int]]) -> keras.Model:
    """Takes and gives dictionaries; `carry` has for each vector its name, its name behind the step, and its width."""
    ids = keras.Input((), dtype="int32", name="ids")
    before = {name: keras.Input((width,), name=name) for name, _, width in carry}
    table = _table(architecture)
    words, ones = _words(architecture, table, ids)
    hidden, behind = _layers(architecture, words, list(before.values()))
    logits = _logits(architecture, table, hidden, ones)
    outputs = {"logits": logits, **dict(zip((name for _, name, _ in carry), behind, strict=True))}
    model = keras.Model({"ids": ids, **before}, outputs, name="step")
    _fill(model, architecture, weights)
    return model


def _table(architecture: Architecture) -> keras.layers.Layer:
    """The word vectors; where they are output weights too, with the bias of each symbol as the last column."""
    size = architecture.vocabulary_size
    if architecture.tied:
        return keras.layers.ReversibleEmbedding(size, architecture.embedding + 1, name="embedding")
    return keras.layers.Embedding(size, architecture.embedding, name="embedding")


def _words(architecture: Architecture, table: keras.layers.Layer, ids: Tensor) -> tuple[Tensor, Tensor | None]:
    """The vectors of the words; and a column of ones, with which a tied output multiplies its biases."""
    if not architecture.tied:
        return table(ids), None
    parts = keras.ops.split(table(ids), [architecture.embedding], axis=1)
    words, biases = parts  # pyright: ignore[reportGeneralTypeIssues]
    return words, keras.ops.ones_like(biases)


def _layers(architecture: Architecture, words: Tensor, carry: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    hidden, behind = words, []
    for number, units in enumerate(architecture.widths):
        states = carry[number * architecture.states : (number + 1) * architecture.states]
        hidden, new = _CELLS[architecture.cell](units, name=f"layer_{number + 1}")(hidden, states)
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
