"""The model for one token at a time, built only from standard Keras layers, so that it loads without wordgen."""

from collections.abc import Callable, Mapping
from itertools import islice

import keras
import numpy as np

from wordgen.model.architecture import Architecture
from wordgen.model.bundle import Weights
from wordgen.network import Tensor

_CELLS = {"lstm": keras.layers.LSTMCell, "gru": keras.layers.GRUCell, "rnn": keras.layers.SimpleRNNCell}


def stock_model(architecture: Architecture, weights: Weights, states: Mapping[str, int]) -> keras.Model:
    """Return a Keras model that takes and returns dictionaries. `states` has the name and width of each state."""
    ids = keras.Input((), dtype="int32", name="ids")
    before = {name: keras.Input((width,), name=name) for name, width in states.items()}
    hidden, logits = _embedding_and_output(architecture, ids)
    vectors, after = iter(before.values()), []
    for number, units in enumerate(architecture.widths, start=1):
        cell = _CELLS[architecture.cell](units, name=f"layer_{number}")
        hidden, new = cell(hidden, list(islice(vectors, architecture.states)))
        after += new
    if architecture.projected:
        hidden = keras.layers.Dense(architecture.embedding, use_bias=False, name="projection")(hidden)
    outputs = {"logits": logits(hidden), **dict(zip((f"next_{name}" for name in states), after, strict=True))}
    model = keras.Model({"ids": ids, **before}, outputs, name="step")
    _fill(model, architecture, weights)
    return model


def _embedding_and_output(architecture: Architecture, ids: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return the word vectors of the ids, and the function that returns logits.

    In a tied network, the last column of the embedding holds the output bias of each token.
    """
    size = architecture.vocabulary_size
    if not architecture.tied:
        words = keras.layers.Embedding(size, architecture.embedding, name="embedding")(ids)
        return words, keras.layers.Dense(size, name="output")
    table = keras.layers.ReversibleEmbedding(size, architecture.embedding + 1, name="embedding")
    parts = keras.ops.split(table(ids), [architecture.embedding], axis=1)
    words, biases = parts  # pyright: ignore[reportGeneralTypeIssues]
    and_one = keras.layers.Concatenate(name="hidden_and_one")
    return words, lambda hidden: table(and_one([hidden, keras.ops.ones_like(biases)]), reverse=True)


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
