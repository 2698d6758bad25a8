"""What predicts the next token: the network in plain NumPy, n-grams, and the mixture of both.

The network takes ids and a state, and returns the next state and its logits, one token at a time. A recurrent step is a
few matrix products. In LSTM and simple RNN layers, the input and the hidden state are concatenated, so that one product
with the stacked weights is enough for both. The n-grams are interpolated modified Kneser-Ney n-grams.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wordgen.generation.sampling import NO_TOKEN, LogProbs
from wordgen.model.architecture import Architecture
from wordgen.model.bundle import Weights
from wordgen.text.vocabulary import END, START

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

    One matrix product and one tanh compute the candidate and all three gates, because sigmoid(x) = 0.5 + 0.5 *
    tanh(0.5 * x). The inner factor 0.5 is part of the weights and biases.
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


ORDER = 5
ORDER_OF_CHARACTERS = 7
"""The order for tokens that are characters. With more than seven, the n-gram is not better."""
_BYTES_PER_TOKEN = 35  # per token and order, at the peak; measured with orders of five and seven
_NOT_FOUND = -1
_DEFAULT_DISCOUNTS = (0.5, 1.0, 1.5)
"""The discounts of counts of 1, 2, and 3 or more, if a text is too small to estimate them."""
Numbers = NDArray[np.int64]
Doubles = NDArray[np.float64]


def order_for(tokenizer: str) -> int:
    """Return the order of the n-grams that a model with this tokenizer is compared with."""
    return ORDER_OF_CHARACTERS if tokenizer == "characters" else ORDER


def memory_of_ngrams(tokens: int, order: int) -> int:
    """Return roughly how many bytes of memory it takes to count the n-grams of a text of this many tokens."""
    return _BYTES_PER_TOKEN * order * tokens


class NgramModel:
    """Counts the n-grams of one text, and gives the probabilities of the tokens of another.

    A text is read as one stream. START is left out, and never predicted. END is a token like any other, so the context
    at the beginning of a passage has the end of the passage before, as the state of a network does. The context before
    a text is filled with END. After any context, the probabilities of all tokens but START sum to 1.
    """

    def __init__(self, train: NDArray[np.integer], vocabulary_size: int, order: int = ORDER) -> None:
        self._size = vocabulary_size
        self.order = order
        self._levels = _count_levels(_Stream(train, order), vocabulary_size, order)

    def log_probs(self, ids: NDArray[np.integer]) -> Doubles:
        """Return the log-probability of each predicted token, given the tokens before it.

        START is not predicted, nor is the first token of a text that does not begin with START.
        """
        stream = _Stream(ids, self.order)
        probs = np.full(len(stream.targets), 1 / (self._size - 1))
        contexts = np.zeros(len(stream.targets), np.int64)
        for before, level in enumerate(self._levels, 1):
            probs = level.probs(contexts, stream.targets, probs)
            if before < self.order:
                keys = np.where(
                    contexts == _NOT_FOUND, _NOT_FOUND, contexts * self._size + stream.tokens_before(before)
                )
                contexts = _places(self._levels[before].context_keys, keys)
        return np.log(probs)

    def next_probs(self, before: NDArray[np.integer]) -> Doubles:
        """Return the probability of each token after the tokens `before`, without START. Shape (vocabulary,).

        NO_TOKEN stands for the beginning of the text.
        """
        probs = np.full(self._size, 1 / (self._size - 1))
        probs[START] = 0
        context = 0
        for distance, level in enumerate(self._levels):
            if distance:
                token = int(before[-distance]) if distance <= len(before) else NO_TOKEN
                key = context * self._size + (END if token == NO_TOKEN else token)
                context = int(_places(level.context_keys, np.array([key]))[0])
                if context == _NOT_FOUND:
                    break
            probs = level.next_probs(context, probs)
        return probs


class _Stream:
    """A text as one row of tokens: which of them are predicted, and which tokens come before each."""

    def __init__(self, ids: NDArray[np.integer], order: int) -> None:
        begin = np.full(order - 1, END, np.int64)
        self._tokens: Numbers = np.concatenate([begin, ids[ids != START].astype(np.int64)])
        self._first = len(begin) + (len(ids) > 0 and ids[0] != START)
        self.targets: Numbers = self._tokens[self._first :]

    def tokens_before(self, distance: int) -> Numbers:
        """Return for each target the token that is `distance` places before it."""
        return self._tokens[self._first - distance : len(self._tokens) - distance]


@dataclass(frozen=True)
class _Level:
    """All n-grams of one order.

    Contexts and n-grams have numbers: the indices of their keys in `context_keys` and `keys`.
    """

    size: int
    """The size of the vocabulary."""
    context_keys: Numbers
    """The sorted keys of the contexts. A key is `number * size + token`: the number of the context that is one token
    shorter, and the token before that shorter context."""
    keys: Numbers
    """The sorted keys of the n-grams. A key is `number * size + token`: the number of the context, and the last
    token."""
    counts: Numbers
    discounts: Doubles
    """What is subtracted from a count of 0, 1, 2, and 3 or more."""
    totals: Numbers
    """For each context, the sum of its counts."""
    backoff: Doubles
    """For each context, the share of the probability that the discounts leave to the next shorter context."""

    @classmethod
    def of(cls, size: int, context_keys: Numbers, keys: Numbers, counts: Numbers) -> "_Level":
        discounts = _discounts(counts)
        contexts = keys // size
        totals = np.bincount(contexts, counts, len(context_keys))
        taken = np.bincount(contexts, discounts[np.minimum(counts, 3)], len(context_keys))
        return cls(size, context_keys, keys, counts, discounts, totals.astype(np.int64), taken / totals)

    def probs(self, contexts: Numbers, tokens: Numbers, shorter: Doubles) -> Doubles:
        """Return the probabilities of tokens after contexts.

        `shorter` are those after the contexts that are one token shorter, and the result for a context that the counted
        text does not have.
        """
        known = contexts != _NOT_FOUND
        contexts, tokens = contexts[known], tokens[known]
        places = _places(self.keys, contexts * self.size + tokens)
        counts = np.where(places == _NOT_FOUND, 0, self.counts[places])
        discounted = (counts - self.discounts[np.minimum(counts, 3)]) / self.totals[contexts]
        probs = shorter.copy()
        probs[known] = discounted + self.backoff[contexts] * shorter[known]
        return probs

    def next_probs(self, context: int, shorter: Doubles) -> Doubles:
        """Return the probability of each token after a context; `shorter` as in `probs`, shape (vocabulary,)."""
        begin = context * self.size
        first, end = np.searchsorted(self.keys, [begin, begin + self.size])
        counts = self.counts[first:end]
        probs = self.backoff[context] * shorter
        probs[self.keys[first:end] - begin] += (counts - self.discounts[np.minimum(counts, 3)]) / self.totals[context]
        return probs


@dataclass(frozen=True)
class NgramMixture:
    """Mixes the probabilities of an n-gram into those of a network."""

    ngram: NgramModel
    weight: float
    """The share of each probability that comes from the n-gram."""

    def __call__(self, of_network: LogProbs, tokens: NDArray[np.integer]) -> LogProbs:
        """Return the log-probabilities of the mixture, shape (texts, vocabulary).

        `tokens` are the tokens before, shape (texts, time), with NO_TOKEN before the beginning of a text.
        """
        with np.errstate(divide="ignore"):  # the logarithm of a probability of 0
            of_ngram = np.log([self.ngram.next_probs(row) for row in tokens])
            mixed = np.logaddexp(np.log1p(-self.weight) + of_network, np.log(self.weight) + of_ngram)
        return mixed.astype(np.float32)


def _count_levels(stream: _Stream, size: int, order: int) -> list[_Level]:
    """Return the levels, from single tokens to n-grams of the highest order. A text without targets has no levels."""
    levels: list[_Level] = []
    if not len(stream.targets):
        return levels
    contexts = np.zeros(len(stream.targets), np.int64)
    context_keys = np.zeros(1, np.int64)  # the key of the empty context
    shorter_level: tuple[Numbers, Numbers] | None = None
    for length in range(1, order + 1):
        keys, counts = np.unique(contexts * size + stream.targets, return_counts=True)
        if shorter_level is not None:
            # The count of an n-gram that is one token shorter is the number of different tokens before it.
            shorter_context_keys, shorter_keys = shorter_level
            without_first_token = context_keys[keys // size] // size * size + keys % size
            before = np.bincount(_places(shorter_keys, without_first_token), minlength=len(shorter_keys))
            levels.append(_Level.of(size, shorter_context_keys, shorter_keys, before))
        if length == order:
            levels.append(_Level.of(size, context_keys, keys, counts))
            break
        shorter_level = (context_keys, keys)
        context_keys, contexts = np.unique(contexts * size + stream.tokens_before(length), return_inverse=True)
    return levels


def _discounts(counts: Numbers) -> Doubles:
    """Return what to subtract from a count of 0, 1, 2, and 3 or more, by how many n-grams have the counts 1 to 4."""
    _, ones, twos, threes, fours = np.bincount(np.minimum(counts, 5), minlength=5)[:5].tolist()
    if ones and twos and threes and fours:
        y = ones / (ones + 2 * twos)
        discounts = (1 - 2 * y * twos / ones, 2 - 3 * y * threes / twos, 3 - 4 * y * fours / threes)
        if min(discounts) > 0:
            return np.array([0.0, *discounts])
    return np.array([0.0, *_DEFAULT_DISCOUNTS])


def _places(keys: Numbers, wanted: Numbers) -> Numbers:
    """Return the index of each wanted key in the sorted `keys`, or _NOT_FOUND."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, _NOT_FOUND)
