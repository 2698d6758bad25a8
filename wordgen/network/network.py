"""The network in Keras: an embedding, stacked recurrent layers with an explicit state, and an output.

    hidden, state = network(ids, state)
    logits = network.logits(hidden)

The caller passes the state in and gets the new state back. No layer keeps anything between two calls. Dropout is drawn
from a random seed that the caller also passes in. So a step can be repeated to the bit, and no layer hides any
randomness. `exported_model` is the same network for programs without wordgen.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from itertools import islice
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from wordgen.model.architecture import NO_DROPOUT, Architecture, DropoutSettings
from wordgen.model.bundle import Weights
from wordgen.network import Tensor
from wordgen.network.recurrence import MAX_UNROLLED_STEPS, MAX_UNROLLED_TRAINING_STEPS, recurrent_layer

State = tuple[tuple[Tensor, ...], ...]
DropoutSeed = Tensor  # two integers

_initializers: Any = keras.initializers  # Keras annotates some parameters for initializers as names
_LAYERS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}
_CELLS = {"lstm": keras.layers.LSTMCell, "gru": keras.layers.GRUCell, "rnn": keras.layers.SimpleRNNCell}


class Network(keras.layers.Layer):
    """The embedding, the recurrent layers and the output of a model."""

    def __init__(
        self,
        architecture: Architecture,
        *,
        dropout: DropoutSettings = NO_DROPOUT,
        random_seed: int = 0,
        precision: Literal["float32", "bfloat16"] = "float32",
        own_layers: bool | None = None,
    ) -> None:
        """Build the network with random initial weights.

        `own_layers` selects the recurrent layers: those of recurrence.py, or those of Keras. By default, the layers of
        Keras are used only on GPUs, where they run on cuDNN.
        """
        # Weights are always float32. With bfloat16, only the computations use the shorter type.
        policy = keras.DTypePolicy("mixed_bfloat16" if precision == "bfloat16" else "float32")
        super().__init__(name="network", dtype=policy)
        self.architecture = architecture
        self.dropout = dropout
        self._uses_own_layers = not tf.config.get_visible_devices("GPU") if own_layers is None else own_layers
        seeds = np.random.SeedSequence(random_seed).generate_state(2 * architecture.layers + 3).tolist()
        self._add_layers(architecture, policy, seeds)
        self._add_output(architecture, policy, seeds)
        # TensorFlow's own variables give single rows without a copy of all. They are kept here, because within `call`,
        # `value` would be a copy in the type that the network computes in.
        tables: list[Tensor] = [self.embedding.embeddings, self.output_weights]
        self._word_vectors, self._output_rows = (table.value for table in tables)
        self.built = True

    def _add_layers(self, architecture: Architecture, policy: keras.DTypePolicy, seeds: list[int]) -> None:
        """Make the embedding and the recurrent layers. Each initializer takes the last of the random seeds.

        A gate passes about half of a signal. With the usual initial weights, three LSTM layers therefore pass on almost
        nothing, and for many epochs the network learns word frequencies only. Word vectors of about unit size, and
        kernels with three times the variance, bring the signal through (docs/experiments.md, 2026-11-20 and 21). Tied
        word vectors are smaller, because they are also output weights: large ones add noise to the logits of all rare
        words for many epochs.
        """
        size = 0.3 if architecture.tied else 1.0
        self.embedding = keras.layers.Embedding(
            architecture.vocabulary_size,
            architecture.embedding,
            embeddings_initializer=_initializers.RandomUniform(-size, size, seed=seeds.pop()),
            dtype=policy,
            name="embedding",
        )
        self.recurrent = [
            _LAYERS[architecture.cell](
                units,
                return_sequences=True,
                return_state=True,
                kernel_initializer=_initializers.VarianceScaling(3.0, "fan_in", "uniform", seed=seeds.pop()),
                recurrent_initializer=_initializers.Orthogonal(seed=seeds.pop()),
                dtype=policy,
                name=f"layer_{number}",
            )
            for number, units in enumerate(architecture.widths, start=1)
        ]
        self.embedding.build((None, None))
        for layer, below in zip(self.recurrent, (architecture.embedding, *architecture.widths), strict=False):
            layer.build((None, None, below))

    def _add_output(self, architecture: Architecture, policy: keras.DTypePolicy, seeds: list[int]) -> None:
        """Make the projection, if there is one, and the weights and biases of the output."""
        self.projection = None
        if architecture.projected:
            self.projection = keras.layers.Dense(
                architecture.embedding,
                use_bias=False,
                kernel_initializer=_initializers.GlorotUniform(seed=seeds.pop()),
                dtype=policy,
                name="projection",
            )
            self.projection.build((None, None, architecture.widths[-1]))
        self.output_kernel = None
        if not architecture.tied:
            self.output_kernel = self.add_weight(
                shape=(architecture.vocabulary_size, architecture.widths[-1]),
                initializer=_initializers.GlorotUniform(seed=seeds.pop()),
                name="output_kernel",
            )
        self.output_bias = self.add_weight(
            shape=(architecture.vocabulary_size,), initializer="zeros", name="output_bias"
        )

    def call(self, ids: Tensor, state: State, dropout_seed: DropoutSeed | None = None) -> tuple[Tensor, State]:
        """Return the outputs of the last layer, `(batch, time, units)`, and the state after the last token.

        `ids` has the shape `(batch, time)`. Dropout is applied only if a dropout seed is given, as in training.
        """
        masks = DropoutMasks(self.dropout, self.architecture.layers, dropout_seed)
        words = tf.cast(_rows(self._word_vectors, ids), self.compute_dtype)
        hidden = masks.values(masks.words(words, ids, self.architecture.vocabulary_size), 0)
        max_unrolled = MAX_UNROLLED_STEPS if dropout_seed is None else MAX_UNROLLED_TRAINING_STEPS
        after: list[tuple[Tensor, ...]] = []
        for number, (layer, vectors) in enumerate(zip(self.recurrent, state, strict=True), start=1):
            recurrent_kernel = masks.recurrent_weights(layer.cell.recurrent_kernel, number)
            hidden, new_vectors = self._apply_layer(layer, hidden, vectors, recurrent_kernel, max_unrolled)
            after.append(new_vectors)
            hidden = masks.values(hidden, number)
        return hidden, tuple(after)

    def _apply_layer(
        self, layer: Any, hidden: Tensor, state: tuple[Tensor, ...], recurrent_kernel: Tensor, max_unrolled_steps: int
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the outputs of a layer and its last state, computed with the given recurrent kernel."""
        cell = layer.cell
        if self._uses_own_layers:
            kernels = [tf.cast(kernel, self.compute_dtype) for kernel in (cell.kernel, recurrent_kernel)]
            weights = (*kernels, tf.cast(cell.bias, tf.float32))
            return recurrent_layer(
                self.architecture.cell, hidden, tuple(state), weights, max_unrolled_steps=max_unrolled_steps
            )
        is_unchanged = recurrent_kernel is cell.recurrent_kernel
        with nullcontext() if is_unchanged else keras.StatelessScope([(cell.recurrent_kernel, recurrent_kernel)]):
            hidden, *last = layer(hidden, initial_state=list(state))
        return hidden, tuple(last)

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the float32 logits of all tokens of the vocabulary, `(batch, time, vocabulary)`."""
        hidden = self.projected(hidden)
        products = tf.matmul(hidden, tf.cast(self.output_weights, hidden.dtype), transpose_b=True)
        return tf.cast(products, tf.float32) + tf.cast(self.output_bias, tf.float32)

    @property
    def output_weights(self) -> Tensor:
        """The variable with the output weights, one row for each token."""
        return self.embedding.embeddings if self.output_kernel is None else self.output_kernel

    def projected(self, hidden: Tensor) -> Tensor:
        """Return the hidden values with the width of the output weights. Without a projection they are unchanged."""
        return hidden if self.projection is None else self.projection(hidden)

    def output_rows(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output weights of the given tokens, one row for each, and their biases."""
        rows = tf.cast(_rows(self._output_rows, ids), self.compute_dtype)
        return rows, tf.gather(tf.cast(self.output_bias, tf.float32), ids)

    def zero_state(self, rows: int) -> State:
        states = self.architecture.states
        return tuple((tf.zeros((rows, units), self.compute_dtype),) * states for units in self.architecture.widths)

    def variables_by_name(self) -> dict[str, Tensor]:
        """Return every variable by the name that architecture.py gives it."""
        named = {"embedding": self.embedding.embeddings, "output/bias": self.output_bias}
        for layer in self.recurrent:
            cell = layer.cell
            named[f"{layer.name}/kernel"] = cell.kernel
            named[f"{layer.name}/recurrent_kernel"] = cell.recurrent_kernel
            named[f"{layer.name}/bias"] = cell.bias
        if self.projection is not None:
            named["projection/kernel"] = self.projection.kernel
        if self.output_kernel is not None:
            named["output/kernel"] = self.output_kernel
        return {name: named[name] for name in self.architecture.weight_shapes()}

    def to_weights(self) -> Weights:
        return {name: np.asarray(variable, np.float32) for name, variable in self.variables_by_name().items()}

    def set_weights_by_name(self, weights: Weights) -> None:
        """Set all weights. Raise ValueError if a shape is wrong."""
        for name, variable in self.variables_by_name().items():
            variable.assign(weights[name])


def _rows(table: Tensor, ids: Tensor) -> Tensor:
    """Return rows of a variable. MirroredStrategy finds the gradient only if the whole variable was read."""
    return tf.gather(tf.convert_to_tensor(table) if isinstance(table, tf.distribute.DistributedValues) else table, ids)


class DropoutMasks:
    """The dropout masks of one step. One seed determines all of them. Without a seed, nothing is dropped."""

    def __init__(self, settings: DropoutSettings, layers: int, seed: DropoutSeed | None) -> None:
        self._settings = settings
        self._layers = layers
        self._seed = seed

    def values(self, values: Tensor, place: int) -> Tensor:
        """Drop some of the values after `place` layers. With locked dropout, all tokens of a row share one mask."""
        rate = self._settings.rate_after(place, self._layers)
        mask_shape = (tf.shape(values)[0], 1, values.shape[-1]) if self._settings.locked_dropout else None
        return self._dropped(values, rate, place, mask_shape)

    def words(self, vectors: Tensor, ids: Tensor, vocabulary_size: int) -> Tensor:
        """Drop the vectors of some words, at all positions where these words occur in the batch."""
        if self._seed is None or self._settings.word_dropout == 0:
            return vectors
        mask = self._dropped(tf.ones(vocabulary_size, vectors.dtype), self._settings.word_dropout, self._layers + 1)
        return vectors * tf.gather(mask, ids)[..., None]

    def recurrent_weights(self, kernel: Tensor, number: int) -> Tensor:
        """Drop some of the recurrent weights of a layer. Without weight drop, return the variable itself."""
        if self._seed is None or self._settings.weight_drop == 0:
            return kernel
        return self._dropped(tf.convert_to_tensor(kernel), self._settings.weight_drop, self._layers + 1 + number)

    def _dropped(self, values: Tensor, rate: float, place: int, shape: Tensor = None) -> Tensor:
        """Set a share of the values to zero, and scale the others so that the mean stays the same.

        `place` makes the masks of one step differ. `shape` is the shape of the mask, by default that of the values.
        """
        if self._seed is None or rate == 0:
            return values
        drawn = random_bits(tf.shape(values) if shape is None else shape, fold_in(self._seed, place))
        # Integers and float32, whatever type the network computes in: bfloat16 is too coarse for a share such as 0.4.
        smallest_kept = min(round(rate * 2**32), 2**32 - 1) - 2**31
        mask = tf.cast(drawn >= smallest_kept, tf.float32) / (1 - rate)
        return tf.cast(tf.cast(values, tf.float32) * mask, values.dtype)


def random_bits(shape: Tensor, seed: DropoutSeed) -> Tensor:
    """Return random 32-bit integers, all equally likely. They are the same on every device, with and without XLA.

    TensorFlow's uniform numbers between 0 and 1 are not the same: XLA derives other numbers from the same bits.
    """
    unbounded: Tensor = None  # no bounds, so all 32 bits are random
    return tf.random.stateless_uniform(shape, seed, unbounded, unbounded, tf.int32, alg="philox")


def fold_in(seed: DropoutSeed, number: Tensor) -> DropoutSeed:
    """Return a new seed that is derived from a seed and a number."""
    return tf.random.experimental.stateless_fold_in(seed, number, alg="philox")  # pyright: ignore[reportAttributeAccessIssue]


def exported_model(architecture: Architecture, weights: Weights, states: Mapping[str, int]) -> keras.Model:
    """Return a Keras model for one token at a time, built only from standard layers, so that it loads without wordgen.

    It takes and returns dictionaries. `states` has the name and width of each state.
    """
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
    _set_exported_weights(model, architecture, weights)
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


def _set_exported_weights(model: keras.Model, architecture: Architecture, weights: Weights) -> None:
    table, bias = weights["embedding"], weights["output/bias"]
    model.get_layer("embedding").set_weights([np.column_stack([table, bias]) if architecture.tied else table])
    for number in range(1, architecture.layers + 1):
        parts = [weights[f"layer_{number}/{part}"] for part in ("kernel", "recurrent_kernel", "bias")]
        model.get_layer(f"layer_{number}").set_weights(parts)
    if architecture.projected:
        model.get_layer("projection").set_weights([weights["projection/kernel"]])
    if not architecture.tied:
        model.get_layer("output").set_weights([weights["output/kernel"].T, bias])
