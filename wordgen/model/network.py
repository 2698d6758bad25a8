"""The network in Keras: embedding, stacked recurrent layers with an explicit carry, output.

    hidden, carry = network(ids, carry)
    logits = network.logits(hidden)

The carry goes in and comes out; no layer remembers anything between two calls. Dropout is drawn from a
seed that is passed in too, so a step can be repeated to the bit and nothing random hides in the layers.
"""

from contextlib import nullcontext
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wordgen.architecture import Architecture
from wordgen.bundle import Weights
from wordgen.dropout import NO_DROPOUT, DropoutSettings
from wordgen.model.recurrence import recurrent_layer

Tensor = Any  # TensorFlow brings no types along
Carry = tuple[tuple[Tensor, ...], ...]
DropoutSeed = Tensor  # two whole numbers

_LAYERS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}


class Network(keras.layers.Layer):
    def __init__(
        self,
        architecture: Architecture,
        *,
        dropout: DropoutSettings = NO_DROPOUT,
        random_seed: int = 0,
        precision: Literal["float32", "bfloat16"] = "float32",
        own_layers: bool | None = None,
    ) -> None:
        """Its recurrent layers are those of recurrence.py or Keras's: by default these on GPUs alone, for cuDNN."""
        # Weights are float32 either way; what is computed between them need not be.
        policy = keras.DTypePolicy("mixed_bfloat16" if precision == "bfloat16" else "float32")
        super().__init__(name="network", dtype=policy)
        self.architecture = architecture
        self.dropout = dropout
        self._own_layers = not tf.config.get_visible_devices("GPU") if own_layers is None else own_layers
        seeds = np.random.SeedSequence(random_seed).generate_state(2 * architecture.layers + 3).tolist()
        self.embedding = keras.layers.Embedding(
            architecture.vocabulary_size,
            architecture.embedding,
            embeddings_initializer=_word_vectors(seeds.pop(), tied=architecture.tied),
            dtype=policy,
            name="embedding",
        )
        self.recurrent = [
            _LAYERS[architecture.cell](
                units,
                return_sequences=True,
                return_state=True,
                kernel_initializer=_strong_enough_to_pass(seeds.pop()),
                recurrent_initializer=keras.initializers.Orthogonal(seed=seeds.pop()),
                dtype=policy,
                name=f"layer_{number}",
            )
            for number, units in enumerate(architecture.widths, start=1)
        ]
        self.projection = None
        if architecture.projected:
            self.projection = keras.layers.Dense(
                architecture.embedding,
                use_bias=False,
                kernel_initializer=_glorot(seeds.pop()),
                dtype=policy,
                name="projection",
            )
        self.output_kernel = None
        if not architecture.tied:
            self.output_kernel = self.add_weight(
                shape=(architecture.vocabulary_size, architecture.widths[-1]),
                initializer=_glorot(seeds.pop()),
                name="output_kernel",
            )
        self.output_bias = self.add_weight(
            shape=(architecture.vocabulary_size,), initializer="zeros", name="output_bias"
        )
        self._build_parts()

    def _build_parts(self) -> None:
        self.embedding.build((None, None))
        widths = self.architecture.widths
        for layer, below in zip(self.recurrent, (self.architecture.embedding, *widths), strict=False):
            layer.build((None, None, below))
        if self.projection is not None:
            self.projection.build((None, None, widths[-1]))
        self.built = True

    def call(self, ids: Tensor, carry: Carry, dropout_seed: DropoutSeed | None = None) -> tuple[Tensor, Carry]:
        """The last layer's outputs, one a symbol, and the carry behind the last symbol.

        With a dropout seed something of it all is blanked, as one does while learning.
        """
        blanks = Blanks(self.dropout, self.architecture.layers, dropout_seed)
        hidden = blanks.values(blanks.words(self.embedding(ids), ids, self.architecture.vocabulary_size), 0)
        states: list[tuple[Tensor, ...]] = []
        for number, (layer, state) in enumerate(zip(self.recurrent, carry, strict=True), start=1):
            recurrent_kernel = blanks.recurrent_weights(layer.cell.recurrent_kernel, number)
            hidden, state = self._through(layer, hidden, state, recurrent_kernel)
            states.append(state)
            hidden = blanks.values(hidden, number)
        return hidden, tuple(states)

    def _through(
        self, layer: Any, hidden: Tensor, state: tuple[Tensor, ...], recurrent_kernel: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The outputs of a layer and its last state, with this recurrent kernel in the place of its own."""
        cell = layer.cell
        if self._own_layers:
            kernels = [tf.cast(kernel, self.compute_dtype) for kernel in (cell.kernel, recurrent_kernel)]
            weights = (*kernels, tf.cast(cell.bias, tf.float32))
            return recurrent_layer(self.architecture.cell, hidden, tuple(state), weights)
        own = recurrent_kernel is cell.recurrent_kernel
        with nullcontext() if own else keras.StatelessScope([(cell.recurrent_kernel, recurrent_kernel)]):
            hidden, *last = layer(hidden, initial_state=list(state))
        return hidden, tuple(last)

    def logits(self, hidden: Tensor) -> Tensor:
        """Float32 logits of every symbol of the vocabulary."""
        hidden = self.projected(hidden)
        products = tf.matmul(hidden, tf.cast(self.output_weights, hidden.dtype), transpose_b=True)
        return tf.cast(products, tf.float32) + tf.cast(self.output_bias, tf.float32)

    @property
    def output_weights(self) -> Any:
        """The variable that is multiplied with: a row for each token."""
        return self.embedding.embeddings if self.output_kernel is None else self.output_kernel

    def projected(self, hidden: Tensor) -> Tensor:
        """As wide as the output weights are."""
        return hidden if self.projection is None else self.projection(hidden)

    def output_rows(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """The output weights of some symbols, one a row, and their biases."""
        kernel = tf.gather(self.output_weights, ids)
        return tf.cast(kernel, self.compute_dtype), tf.gather(tf.cast(self.output_bias, tf.float32), ids)

    def zero_carry(self, rows: int) -> Carry:
        states = self.architecture.states
        return tuple((tf.zeros((rows, units), self.compute_dtype),) * states for units in self.architecture.widths)

    def variables_by_name(self) -> dict[str, Any]:
        """Every variable under the name that architecture.py gives it."""
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
        for name, variable in self.variables_by_name().items():
            variable.assign(_checked(weights[name], variable.shape))


class Blanks:
    """What of one step is blanked: all of it follows from one seed, and nothing is without a seed."""

    def __init__(self, settings: DropoutSettings, layers: int, seed: DropoutSeed | None) -> None:
        self._settings = settings
        self._layers = layers
        self._seed = seed

    def values(self, values: Tensor, place: int) -> Tensor:
        """Some of the values behind so many layers."""
        rate = self._settings.place_rate(place, self._layers)
        whole_step = (tf.shape(values)[0], 1, values.shape[-1]) if self._settings.locked_dropout else None
        return self._blanked(values, rate, place, whole_step)

    def words(self, vectors: Tensor, ids: Tensor, vocabulary_size: int) -> Tensor:
        """The vectors of some words, wherever they stand."""
        if self._seed is None or self._settings.word_dropout == 0:
            return vectors
        kept = self._blanked(tf.ones(vocabulary_size, vectors.dtype), self._settings.word_dropout, self._layers + 1)
        return vectors * tf.gather(kept, ids)[..., None]

    def recurrent_weights(self, kernel: Any, number: int) -> Tensor:
        """The weights by which a layer hears its own last state; some of them blanked, or the variable as it is."""
        if self._seed is None or self._settings.weight_drop == 0:
            return kernel
        return self._blanked(tf.convert_to_tensor(kernel), self._settings.weight_drop, self._layers + 1 + number)

    def _blanked(self, values: Tensor, rate: float, place: int, shape: Any = None) -> Tensor:
        if self._seed is None or rate == 0:
            return values
        drawn = random_bits(tf.shape(values) if shape is None else shape, fold_in(self._seed, place))
        # Whole numbers and float32 whatever the network computes in: bfloat16 has too few digits for a share of 0.4.
        kept = tf.cast(drawn >= round(rate * 2**32) - 2**31, tf.float32) / (1 - rate)
        return tf.cast(tf.cast(values, tf.float32) * kept, values.dtype)


def random_bits(shape: Any, seed: DropoutSeed) -> Tensor:
    """Whole numbers of 32 bits, all equally likely: the same on every device, with XLA and without.

    TensorFlow's uniform numbers between 0 and 1 are not: XLA makes others of the same bits.
    """
    whole: Any = None  # no bounds: all 32 bits
    return tf.random.stateless_uniform(shape, seed, whole, whole, tf.int32, alg="philox")


def fold_in(seed: DropoutSeed, number: Tensor) -> DropoutSeed:
    """Another seed, which follows from this one and a number."""
    return tf.random.experimental.stateless_fold_in(seed, number, alg="philox")  # pyright: ignore[reportAttributeAccessIssue]


# A gate lets about half of a signal pass, so with the usual initial weights three LSTM layers hand on next to
# nothing and learning stands still at word frequencies for many epochs. Word vectors of about unit size and
# kernels three times as strong in variance bring the signal through (docs/experiments.md, 2026-11-20 and 21).


def _word_vectors(seed: int, *, tied: bool) -> Any:
    """Where they are output weights too, large ones are noise in the odds of all rare words for many epochs."""
    size = 0.3 if tied else 1.0
    return keras.initializers.RandomUniform(-size, size, seed=seed)


def _strong_enough_to_pass(seed: int) -> Any:
    return keras.initializers.VarianceScaling(3.0, "fan_in", "uniform", seed=seed)


def _glorot(seed: int) -> Any:
    return keras.initializers.GlorotUniform(seed=seed)


def _checked(array: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    if tuple(array.shape) != tuple(shape):
        raise ValueError(f"a weight of shape {array.shape} where {tuple(shape)} belongs")
    return array
