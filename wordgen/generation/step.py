"""The network in plain NumPy, one symbol at a time: ids and a carry in, the next carry and its logits out.

A recurrent step is a handful of matrix products. Each layer's input and state stand side by side in one
row, so that one product with its stacked weights does for both.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wordgen.architecture import Architecture
from wordgen.bundle import Weights

Floats = NDArray[np.float32]
Carry = tuple[tuple[Floats, ...], ...]
"""For each layer its state vectors, one row a text: hidden and cell of an LSTM, else hidden alone."""


class NumpyNetwork:
    """A network that only runs forwards, one symbol at a time, for any number of texts at once."""

    def __init__(self, architecture: Architecture, weights: Weights) -> None:
        self.architecture = architecture
        self._embedding = weights["embedding"]
        self._layers = [self._layer_step(weights, n) for n in range(1, architecture.layers + 1)]
        self._projection = weights.get("projection/kernel")
        self._output = weights["embedding" if architecture.tied else "output/kernel"].T
        self._output_bias = weights["output/bias"]

    def zero_carry(self, texts: int) -> Carry:
        states = self.architecture.states
        return tuple(
            tuple(np.zeros((texts, width), np.float32) for _ in range(states)) for width in self.architecture.widths
        )

    def feed(self, ids: NDArray[np.integer], carry: Carry) -> Carry:
        """Read one symbol in each text."""
        hidden = self._embedding[ids]
        states: list[tuple[Floats, ...]] = []
        for layer, state in zip(self._layers, carry, strict=True):
            state = layer(hidden, state)
            states.append(state)
            hidden = state[0]
        return tuple(states)

    def logits(self, hidden: Floats) -> Floats:
        """What comes next after any number of states of the last layer, one a row."""
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
    return _HALF + _HALF * np.tanh(_HALF * x)  # never overflows


def _lstm(stacked: Floats, bias: Floats) -> LayerStep:
    """All four gates in one product and one tanh, for a sigmoid is half a tanh of half its argument, and a half."""
    units = len(bias) // 4
    halves = np.full(4 * units, 0.5, np.float32)
    halves[2 * units : 3 * units] = 1  # the candidate's own tanh
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
