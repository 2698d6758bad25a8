"""The loss of a network on a whole text, with NumPy: alone, with a cache, mixed with n-grams, and while it trains.

The cache is the continuous cache of Grave, Joulin and Usunier (2017). It remembers the last tokens and, for each of
them, the output of the network's last layer before that token. Before each new token, the current output is compared
with the remembered outputs. Tokens that followed a similar output get some of the probability. The weights do not
change: only the flatness and the weight of the cache are chosen, on the validation set. If the validation set is also
what is measured, the figure is slightly too good.

The n-gram gives a share of each probability of the mixture, the network the rest. This share is the weight. It is set
so that the validation set becomes as probable as possible. The loss is convex in the weight, so the slope of the loss
tells whether the best weight is lower or higher. The weight that a validation set of few passages sets may make other
text less probable. It is therefore tested first whether each half of the validation set can set a weight for the other.
"""

import math
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordgen.dataset.batches import Ids, evaluation_batches
from wordgen.dataset.dataset import Dataset
from wordgen.evaluation.measurement import (
    Cache,
    CacheLoss,
    DynamicLoss,
    Loss,
    Measurement,
    Mixture,
    blocks_of,
    half_width,
    predicted_tokens,
    streams_for,
    unigram_loss,
)
from wordgen.generation.decoding import Progress
from wordgen.generation.prediction import Floats, NgramModel, NumpyNetwork, order_for
from wordgen.model.bundle import Bundle, load_bundle
from wordgen.text.vocabulary import START

Tokens = NDArray[np.unsignedinteger]
Nats = NDArray[np.float64]

MAX_TOKENS = 3_000_000
"""The largest training text, in tokens, whose n-grams are counted at the end of a training."""
MAX_PREDICTED_TOKENS = 5_000
"""The largest validation set, in tokens, that is predicted again, token by token, at the end of a training."""
_FLATNESSES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
_WEIGHTS = tuple(weight / 100 for weight in (2, 5, 8, 10, 12, 15, 20, 25, 30, 40))
_ROWS_AT_ONCE = 128  # rows of logits at a time; with a large vocabulary, many more would not fit into the CPU cache


def network_loss(network: NumpyNetwork, ids: Tokens, progress: Progress = lambda done, tokens: None) -> Loss:
    """Return the loss of predicting a text."""
    return Loss.of(network_nats(network, ids, progress), ids)


def network_nats(network: NumpyNetwork, ids: Tokens, progress: Progress = lambda done, tokens: None) -> Nats:
    """Return the loss in nats of each predicted token of a text, in their order.

    START is not predicted, nor is the first token. A long text is read in several streams in parallel (see
    `streams_for`). Each begins with an empty state, which hardly raises the loss of a long text.
    """
    tokens = predicted_tokens(ids)
    nats, done = np.zeros(max(1, len(ids)) - 1), 0
    for window in predictions(network, ids, streams_for(len(ids))):
        nats[window.places] = -window.log_probs
        done += len(window.targets)
        progress(done, tokens)
    return nats[ids[1:] != START]


@dataclass(frozen=True)
class Predictions:
    """The predictions of some targets of a text. START is left out."""

    hidden: Floats
    """The output of the last layer before each target, in the shape (targets, units)."""
    targets: Ids
    log_probs: NDArray[np.float64]
    """The log-probability that the network gives to each target."""
    places: NDArray[np.int64]
    """The index of each target among all targets of the text, including START."""


def predictions(network: NumpyNetwork, ids: Tokens, streams: int) -> Iterator[Predictions]:
    """Yield the predictions of all targets of a text, some at a time. If `streams` is 1, they come in order.

    As many threads as there are processors compute them. Only as many windows wait as keep the threads busy, so that a
    long text does not fill the memory.
    """
    threads = os.cpu_count() or 1
    waiting: deque[Future[Predictions]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for hidden, targets, places in _windows(network, ids, streams):
            waiting.append(pool.submit(_predict, network, hidden, targets, places))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _windows(network: NumpyNetwork, ids: Tokens, streams: int) -> Iterator[tuple[Floats, Ids, NDArray[np.int64]]]:
    """Yield the outputs of the last layer before each target, the targets, and their indices, some at a time.

    START is still among the targets.
    """
    state = network.zero_state(streams)
    length, done = -(-(len(ids) - 1) // streams), 0
    for inputs, targets in evaluation_batches(ids, streams, max(1, _ROWS_AT_ONCE // streams)):
        hidden: list[Floats] = []
        for column in inputs.T:
            state = network.feed(column, state)
            hidden.append(state[-1][0])
        places = length * np.arange(streams)[:, None] + done + np.arange(inputs.shape[1])
        done += inputs.shape[1]
        yield np.concatenate(hidden), targets.T.ravel(), places.T.ravel()


def _predict(network: NumpyNetwork, hidden: Floats, targets: Ids, places: NDArray[np.int64]) -> Predictions:
    counted = targets != START
    hidden, targets, places = hidden[counted], targets[counted], places[counted]
    logits = network.logits(hidden)
    logits -= logits.max(axis=1, keepdims=True)
    target_logits = logits[np.arange(len(logits)), targets].astype(np.float64)
    np.exp(logits, out=logits)
    return Predictions(hidden, targets, target_logits - np.log(logits.sum(axis=1, dtype=np.float64)), places)


def cache_loss(
    network: NumpyNetwork, ids: Tokens, cache: Cache, progress: Progress = lambda done, tokens: None
) -> Loss:
    """Return the loss of the network with a cache, over all tokens of a text but START.

    The text is read as one stream. `progress` receives the number of tokens predicted so far, and of all to predict.
    """
    each = _losses(network, ids, cache.size, (cache.flatness,), (cache.weight,), progress)
    return Loss.of(np.concatenate([nats[0, 0] for nats in each]), ids)


def best_cache(network: NumpyNetwork, ids: Tokens, size: int, progress: Progress = lambda done, tokens: None) -> Cache:
    """Return the cache of `size` tokens with which the network predicts a text best.

    One pass over the text tries all combinations of `_FLATNESSES` and `_WEIGHTS`.
    """
    losses = sum(nats.sum(axis=2) for nats in _losses(network, ids, size, _FLATNESSES, _WEIGHTS, progress))
    assert isinstance(losses, np.ndarray)
    flatness, weight = np.unravel_index(losses.argmin(), losses.shape)
    return Cache(size, _FLATNESSES[flatness], _WEIGHTS[weight])


def _losses(
    network: NumpyNetwork,
    ids: Tokens,
    size: int,
    flatnesses: Sequence[float],
    weights: Sequence[float],
    progress: Progress,
) -> Iterator[Nats]:
    """Yield the losses in nats, window by window, in the shape (flatnesses, weights, targets of the window).

    The cache moves along with the text and remembers the last `size` tokens.
    """
    shares = np.array(weights)
    done, tokens = 0, predicted_tokens(ids)
    hidden, targets = np.empty((0, network.architecture.widths[-1]), np.float32), np.empty(0, np.int32)
    for window in predictions(network, ids, streams=1):
        hidden = np.concatenate([hidden[-size:], window.hidden])
        targets = np.concatenate([targets[-size:], window.targets])
        network_probs, first = np.exp(window.log_probs), len(targets) - len(window.targets)
        nats = np.zeros((len(flatnesses), len(weights), len(network_probs)))
        for row, flatness in enumerate(flatnesses):
            cache_probs = _cache_probs(hidden, targets, first, size, flatness)
            probs = (1 - shares) * network_probs[:, None] + shares * cache_probs[:, None]
            if not first:  # before the first token of the text the cache is empty: use the probability of the network
                probs[:1] = network_probs[:1, None]
            nats[row] = -np.log(probs).T
        done += len(window.targets)
        progress(done, tokens)
        yield nats


def _cache_probs(hidden: Floats, targets: Ids, first: int, size: int, flatness: float) -> NDArray[np.float64]:
    """Return the probability that the cache gives to each target from the index `first` on.

    The targets before it are remembered from earlier. For each target, the cache also remembers those between them.
    """
    places, predicted = np.arange(len(targets)), np.arange(first, len(targets))[:, None]
    in_cache = (places < predicted) & (places >= predicted - size)
    similarity = np.where(in_cache, np.float32(flatness) * (hidden[first:] @ hidden.T), np.float32(-np.inf))
    # At the first token of the text the cache is empty, and its greatest similarity is minus infinity.
    greatest = similarity.max(axis=1, keepdims=True, initial=np.finfo(np.float32).min)
    probs = np.exp(similarity - greatest)
    same = targets == targets[first:, None]
    total = probs.sum(axis=1, dtype=np.float64)
    return (probs * same).sum(axis=1, dtype=np.float64) / np.maximum(total, np.finfo(np.float64).tiny)


def measure_with_cache(
    bundle: Bundle, valid: Tokens, ids: Tokens, size: int, trying: Progress, predicting: Progress
) -> CacheLoss:
    """Choose the cache of `size` tokens on the validation set, and measure the network with it on `ids`."""
    network = NumpyNetwork(bundle.architecture, bundle.weights)
    cache = best_cache(network, valid, size, trying)
    return CacheLoss(cache, cache_loss(network, ids, cache, predicting))


def measure_dynamic(bundle: Bundle, valid: Tokens, ids: Tokens, trying: Progress, predicting: Progress) -> DynamicLoss:
    """Choose the learning rate on the validation set, and measure the network while it trains on `ids`.

    TensorFlow is imported only when this function is called.
    """
    import wordgen.network  # noqa: F401 - imported first: it hides TensorFlow's start-up messages
    from wordgen.evaluation.perplexity import DynamicEvaluator

    evaluator = DynamicEvaluator(bundle.architecture, bundle.weights)
    rate = evaluator.best_rate(valid, trying)
    return DynamicLoss(rate, evaluator.loss(ids, rate, predicting))


def valid_nats(dataset: Dataset, folder: Path) -> Nats | None:
    """Return the losses in nats of the model in a folder on each token of the validation set.

    Return None if it has more than MAX_PREDICTED_TOKENS tokens.
    """
    valid = dataset.ids["valid"]
    if predicted_tokens(valid) > MAX_PREDICTED_TOKENS:
        return None
    bundle = load_bundle(folder)
    return network_nats(NumpyNetwork(bundle.architecture, bundle.weights), valid)


def valid_loss(dataset: Dataset, perplexity: float, nats: Nats | None) -> Loss:
    """Return the loss on the validation set of a model with this perplexity, given the losses of its tokens if known.

    Without them, the uncertainty is unknown.
    """
    valid = dataset.ids["valid"]
    tokens = predicted_tokens(valid)
    return Loss(math.log(perplexity) * tokens, tokens, None if nats is None else blocks_of(nats, valid))


def measure_with_baselines(dataset: Dataset, perplexity: float, step: int, nats: Nats | None) -> Measurement:
    """Return the figures of a model on the validation set, compared with word frequencies and n-grams.

    `perplexity` is that of the model at a `step` of its run, and `nats` are the losses of the single tokens. Without
    these, the mixture is left out; with more than MAX_TOKENS tokens of training text, also the n-grams.
    """
    train, valid, size = dataset.ids["train"], dataset.ids["valid"], len(dataset.codec.vocabulary)
    order = order_for(dataset.codec.tokenizer.name)
    measurement = Measurement(
        step=step,
        characters=dataset.statistics["valid"].all_characters,
        loss=valid_loss(dataset, perplexity, nats),
        unigram=unigram_loss(train, valid, size),
        order=order,
    )
    if len(train) > MAX_TOKENS:
        return measurement
    counted = NgramModel(train, size, order)
    if nats is None:
        return replace(measurement, ngram=ngram_loss(counted, valid))
    predicted = PredictedText(valid, nats)
    ngram, mixture, notes = mix_with_ngram(counted, predicted, predicted)
    return replace(measurement, ngram=ngram, mixture=mixture, notes=notes)


_HALVINGS = 40
"""How often the range of the best weight is halved. Its width is then a millionth of a millionth."""
_SIGNIFICANCE_LEVEL = 0.05
"""The greatest probability of a gain on the validation set that is only chance, for the mixture to be used."""


@dataclass(frozen=True)
class PairedLosses:
    """The losses in nats of the network and of the n-gram on the same tokens, in their order."""

    network: Nats
    ngram: Nats

    def mixed(self, weight: float) -> Nats:
        """Return the losses of the mixture. A weight of 0 gives those of the network, 1 those of the n-gram."""
        with np.errstate(divide="ignore"):  # the logarithm of a share of 0
            return -np.logaddexp(np.log1p(-weight) - self.network, np.log(weight) - self.ngram)

    def slope(self, weight: float) -> float:
        """Return the derivative of the summed loss of the mixture, in nats, by the weight."""
        nats = self.mixed(weight)
        with np.errstate(over="ignore"):  # at a weight of 0 or 1, if one model finds a token impossible
            return float((np.exp(nats - self.network) - np.exp(nats - self.ngram)).sum())

    def part(self, tokens: slice) -> "PairedLosses":
        return PairedLosses(self.network[tokens], self.ngram[tokens])


@dataclass(frozen=True)
class CrossValidation:
    """What happens to each half of a text with the weight that the other half sets."""

    changes: tuple[float, float] | None
    """The relative change of the perplexity of each half, negative for a gain. None if the text cannot be halved."""
    helps: bool
    """Whether both halves gain, and their joint gain is larger than chance explains."""


def ngram_loss(ngram: NgramModel, ids: Tokens) -> Loss:
    """Return the loss of an n-gram on a text."""
    return Loss.of(-ngram.log_probs(ids), ids)


def best_weight(both: PairedLosses) -> float:
    """Return the weight with which the mixture makes a text most probable."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if both.slope(middle) > 0:
            high = middle
        else:
            low = middle
    return min((0.0, 1.0, low), key=lambda weight: float(both.mixed(weight).sum()))


def cross_validate(both: PairedLosses, ids: Tokens) -> CrossValidation:
    """Test whether the n-gram helps on a text: measure each half with the weight that the other half sets.

    The test goes by the blocks of the text (see `blocks_of`). It is one-sided, because a mixture that is no better is
    not wanted either.
    """
    ends = np.cumsum(blocks_of(both.network, ids)[:, 1]).astype(np.int64)
    if len(ends) < 2:
        return CrossValidation(None, helps=False)
    half = int(ends[:-1][np.abs(ends[:-1] - ends[-1] / 2).argmin()])
    first, second = both.part(slice(half)), both.part(slice(half, None))
    held_out_nats = np.concatenate([first.mixed(best_weight(second)), second.mixed(best_weight(first))])
    gains = both.network - held_out_nats
    first_gain, second_gain = float(gains[:half].mean()), float(gains[half:].mean())
    margin = half_width(blocks_of(gains, ids), _SIGNIFICANCE_LEVEL) or np.inf
    helps = min(first_gain, second_gain) > 0 and float(gains.mean()) > margin
    return CrossValidation((float(np.expm1(-first_gain)), float(np.expm1(-second_gain))), helps)


@dataclass(frozen=True)
class PredictedText:
    """A text, and the losses in nats of the network on its tokens."""

    ids: Tokens
    nats: Nats


def mix_with_ngram(
    ngram: NgramModel, valid: PredictedText, text: PredictedText
) -> tuple[Loss, Mixture | None, tuple[str, ...]]:
    """Return the loss of the n-gram on a text, the mixture or None, and notes.

    `valid` sets the weight of the mixture. If it is the same object as `text`, the n-gram predicts it only once. If
    there is no mixture, the one note says why.
    """
    of_text = PairedLosses(text.nats, -ngram.log_probs(text.ids))
    of_valid = of_text if valid is text else PairedLosses(valid.nats, -ngram.log_probs(valid.ids))
    validation = cross_validate(of_valid, valid.ids)
    loss = Loss.of(of_text.ngram, text.ids)
    if not validation.helps:
        return loss, None, (_no_mixture_note(ngram.order, validation.changes),)
    weight = best_weight(of_valid)
    return loss, Mixture(weight, Loss.of(of_text.mixed(weight), text.ids)), ()


def _no_mixture_note(order: int, changes: tuple[float, float] | None) -> str:
    """Say why there is no mixture with the n-gram. `changes` are those of `CrossValidation`."""
    if changes is None:
        return f"No mixture with the {order}-gram: the validation set is too short to choose its weight."
    first, second = (f"{change:+.1%}" for change in changes)
    return (
        f"No mixture with the {order}-gram: a weight that is chosen on one half of the validation set must clearly "
        f"lower the perplexity of the other half, but the halves change by {first} and {second}."
    )
