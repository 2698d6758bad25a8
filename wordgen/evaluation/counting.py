"""What mere counting reaches on the valid part, beside the model that was chosen by it: for the end of a training."""

import math
from typing import Any

from wordgen.dataset.encoding import Dataset
from wordgen.evaluation.baselines import unigram_loss
from wordgen.evaluation.measures import Loss
from wordgen.evaluation.ngrams import NgramModel, order_for

MOST_SYMBOLS = 3_000_000
"""The n-grams of a larger training text take longer than one likes to wait at the end of a training."""


def beside_counting(dataset: Dataset, perplexity: float) -> dict[str, Any]:
    """The figures of a model that has this perplexity on the valid part; no n-grams where the text is large."""
    train, valid, size = dataset.ids["train"], dataset.ids["valid"], len(dataset.codec.vocabulary)
    characters = dataset.statistics["valid"].all_characters
    unigram = unigram_loss(train, valid, size)
    model = Loss(math.log(perplexity) * unigram.symbols, unigram.symbols)
    order = order_for(dataset.codec.tokenizer.name)
    ngram = NgramModel(train, size, order).loss(valid) if len(train) <= MOST_SYMBOLS else None
    return {
        "symbols": unigram.symbols,
        "characters": characters,
        **model.to_mapping(characters),
        "unigram": unigram.to_mapping(characters),
        "kneser_ney": None if ngram is None else {"order": order, **ngram.to_mapping(characters)},
    }
