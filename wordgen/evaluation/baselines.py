"""What a model must beat to have learned anything."""

import numpy as np
from numpy.typing import NDArray

from wordgen.evaluation.measures import Loss
from wordgen.text.vocabulary import START


def unigram_loss(train: NDArray[np.unsignedinteger], split: NDArray[np.unsignedinteger], vocabulary_size: int) -> Loss:
    """Loss of a split under the add-one frequencies of the training symbols; START is no target, nor the first."""
    counts = np.bincount(train, minlength=vocabulary_size).astype(np.float64) + 1
    counts[START] = 0
    targets = split[1:][split[1:] != START]
    return Loss.of(-np.log(counts[targets] / counts.sum()), split)


def log_frequencies(train: NDArray[np.unsignedinteger], vocabulary_size: int) -> NDArray[np.float32]:
    """The logarithms of the add-one frequencies of all symbols; START, which is no target, is as rare as can be."""
    counts = np.bincount(train, minlength=vocabulary_size) + 1.0
    counts[START] = 1
    return np.log(counts / counts.sum()).astype(np.float32)


def unigram_perplexity(
    train: NDArray[np.unsignedinteger], split: NDArray[np.unsignedinteger], vocabulary_size: int
) -> float:
    """The same as a perplexity."""
    return unigram_loss(train, split, vocabulary_size).perplexity
