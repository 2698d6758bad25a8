"""The network in plain NumPy, one token at a time: takes ids and a state, returns the next state and its logits.

A recurrent step is a few matrix products. In LSTM and simple RNN layers, the input and the hidden state are
concatenated, so that one product with the stacked weights is enough for both.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wordgen.model.architecture import Architecture
from wordgen.model.bundle import Weights

Floats = NDArray[np.float32]
State = tuple[tuple[Floats, ...], ...]
"""The state vectors of each layer, each of shape (texts, units): hidden and cell for LSTM, only hidden for the other
layers."""


class NumpyNetwork:
    """A network for inference only. It reads one token at a time in any number of texts at once."""

    def __init__(self, architecture: Architecture, weights: Weights) -> None:
        self.architecture = architecture
        self._embedding = weights["embedding"]
        self._layers = [self._layer_step(weights, n) for n in range(1, architecture.layers + 1)]
        self._projection = weights.get("projection/kernel")
        self._output = weights["embedding" if architecture.tied else "output/kernel"].T
        self._output_bias = weights["output/bias"]

    def zero_state(self, texts: int) -> State:
        states = self.architecture.states
        return tuple(
            tuple(np.zeros((texts, width), np.float32) for _ in range(states)) for width in self.architecture.widths
        )

    def feed(self, ids: NDArray[np.integer], state: State) -> State:
        """Return the state after reading one token in each text; `ids` has shape (texts,)."""
        hidden = self._embedding[ids]
        after: list[tuple[Floats, ...]] = []
        for layer, vectors in zip(self._layers, state, strict=True):
            after.append(layer(hidden, vectors))
            hidden = after[-1][0]
        return tuple(after)

    def logits(self, hidden: Floats) -> Floats:
        """Return the logits of the next token, shape (rows, vocabulary).

        `hidden` has hidden vectors of the last layer, shape (rows, units).
        """
        if self._projection is not None:
            hidden = hidden @ self._projection
        logits = hidden @ self._output
        logits += self._output_bias
        return logits

    def _layer_step(self, weights: Weights, layer: int) -> "LayerStep":
        kernel = weights[f"layer_{layer}/kernel"]
        recurrent = weights[f"layer_{layer}/recurrent_kernel"]
        bias = weights[f"layer_{layer}/bias"]
        match self.architecture.cell:
            case "lstm":
                return _lstm(np.concatenate([kernel, recurrent]), bias)
            case "gru":
                return _gru(kernel, recurrent, bias)
            case "rnn":
                return _rnn(np.concatenate([kernel, recurrent]), bias)


_HALF = np.float32(0.5)
LayerStep = Callable[[Floats, tuple[Floats, ...]], tuple[Floats, ...]]


def _sigmoid(x: Floats) -> Floats:
    return _HALF + _HALF * np.tanh(_HALF * x)  # unlike 1 / (1 + exp(-x)), never overflows


def _lstm(stacked: Floats, bias: Floats) -> LayerStep:
    """Return the step of an LSTM layer.

    It computes the candidate and all three gates with one matrix product and one tanh, because
    sigmoid(x) = 0.5 + 0.5 * tanh(0.5 * x). The inner factor 0.5 is part of the weights and biases.
    """
    units = len(bias) // 4
    halves = np.full(4 * units, 0.5, np.float32)
    halves[2 * units : 3 * units] = 1  # the candidate is a plain tanh
    stacked *= halves
    bias = bias * halves

    def step(x: Floats, state: tuple[Floats, ...]) -> tuple[Floats, ...]:
        hidden, cell = state
        gates = np.concatenate([x, hidden], axis=1) @ stacked
        gates += bias
        np.tanh(gates, out=gates)
        candidate = gates[:, 2 * units : 3 * units].copy()
        gates *= _HALF
        gates += _HALF
        cell = gates[:, units : 2 * units] * cell
        candidate *= gates[:, :units]
        cell += candidate
        return gates[:, 3 * units :] * np.tanh(cell), cell

    return step


def _gru(kernel: Floats, recurrent: Floats, bias: Floats) -> LayerStep:
    def step(x: Floats, state: tuple[Floats, ...]) -> tuple[Floats, ...]:
        (hidden,) = state
        keep_x, reset_x, candidate_x = np.split(x @ kernel + bias[0], 3, axis=1)
        keep_h, reset_h, candidate_h = np.split(hidden @ recurrent + bias[1], 3, axis=1)
        keep = _sigmoid(keep_x + keep_h)
        candidate = np.tanh(candidate_x + _sigmoid(reset_x + reset_h) * candidate_h)
        return (keep * hidden + (1 - keep) * candidate,)

    return step


def _rnn(stacked: Floats, bias: Floats) -> LayerStep:
    def step(x: Floats, state: tuple[Floats, ...]) -> tuple[Floats, ...]:
        (hidden,) = state
        return (np.tanh(np.concatenate([x, hidden], axis=1) @ stacked + bias),)

    return step
