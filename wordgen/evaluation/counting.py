"""What counting reaches on the valid part, alone and mixed with the model: for the end of a training."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.bundle import load_bundle
from wordgen.dataset.encoding import Dataset
from wordgen.evaluation.baselines import unigram_loss
from wordgen.evaluation.measures import Loss, predicted_symbols
from wordgen.evaluation.mixing import Predicted, mixed_with
from wordgen.evaluation.ngrams import NgramModel, order_for
from wordgen.evaluation.stream import network_nats
from wordgen.evaluation.uncertainty import blocks_of
from wordgen.generation.step import NumpyNetwork

MOST_SYMBOLS = 3_000_000
"""The n-grams of a larger training text take longer than one likes to wait at the end of a training."""
MOST_PREDICTED = 5_000
"""And so does reading a larger valid part once more, token by token; most of all where NumPy has threads of its own."""


def valid_nats(dataset: Dataset, folder: Path) -> NDArray[np.float64] | None:
    """What the model in a folder makes of the valid part, token by token; nothing where that is large."""
    valid = dataset.ids["valid"]
    if predicted_symbols(valid) > MOST_PREDICTED:
        return None
    bundle = load_bundle(folder)
    return network_nats(NumpyNetwork(bundle.architecture, bundle.weights), valid)


def valid_loss(dataset: Dataset, perplexity: float, nats: NDArray[np.float64] | None) -> Loss:
    """That of a model with this perplexity on the valid part, and how far it may be off where the tokens are known."""
    valid = dataset.ids["valid"]
    symbols = predicted_symbols(valid)
    return Loss(math.log(perplexity) * symbols, symbols, None if nats is None else blocks_of(nats, valid))


def beside_counting(dataset: Dataset, perplexity: float, nats: NDArray[np.float64] | None) -> dict[str, Any]:
    """The figures of a model with this perplexity on the valid part, and what is known of its tokens there.

    There are no n-grams of a large text.
    """
    train, valid, size = dataset.ids["train"], dataset.ids["valid"], len(dataset.codec.vocabulary)
    characters = dataset.statistics["valid"].all_characters
    unigram = unigram_loss(train, valid, size)
    model = valid_loss(dataset, perplexity, nats)
    figures = {
        "symbols": unigram.symbols,
        "characters": characters,
        **model.to_mapping(characters),
        "unigram": unigram.to_mapping(characters),
        "kneser_ney": None,
        "mixture": None,
    }
    if len(train) > MOST_SYMBOLS:
        return figures
    order = order_for(dataset.codec.tokenizer.name)
    counted = NgramModel(train, size, order)
    if nats is None:
        return {**figures, "kneser_ney": {"order": order, **counted.loss(valid).to_mapping(characters)}}
    own = Predicted(valid, nats)
    ngram, mixture, notes = mixed_with(counted, own, own)
    mixed = None if mixture is None else {"weight": mixture.weight, **mixture.loss.to_mapping(characters)}
    counts = {"order": order, **ngram.to_mapping(characters)}
    return {**figures, "kneser_ney": counts, "mixture": mixed, "notes": list(notes)}
