"""One time step of each cell in float64, with textbook formulas that share no code with wordgen."""

import numpy as np

from wordgen.model.architecture import Cell

Arrays = dict[str, np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def next_state(cell: Cell, w: Arrays, layer: str, x: np.ndarray, state: list[np.ndarray]) -> list[np.ndarray]:
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
