"""What a model must beat to have learned anything."""

import numpy as np
from numpy.typing import NDArray

from wordgen.evaluation.measures import Loss
from wordgen.text.vocabulary import START

_BLOCK = 2**20


def counted(ids: NDArray[np.unsignedinteger], vocabulary_size: int) -> NDArray[np.int64]:
    """How often each id stands in a text; block by block, for NumPy counts in a copy with 8 bytes a token."""
    counts = np.zeros(vocabulary_size, np.int64)
    for begin in range(0, len(ids), _BLOCK):
        counts += np.bincount(ids[begin : begin + _BLOCK], minlength=vocabulary_size)
    return counts


def unigram_loss(train: NDArray[np.unsignedinteger], split: NDArray[np.unsignedinteger], vocabulary_size: int) -> Loss:
    """Loss of a split under the add-one frequencies of the training symbols; START is no target, nor the first."""
    counts = counted(train, vocabulary_size) + 1.0
    counts[START] = 0
    targets = split[1:][split[1:] != START]
    return Loss.of(-np.log(counts[targets] / counts.sum()), split)


def log_frequencies(train: NDArray[np.unsignedinteger], vocabulary_size: int) -> NDArray[np.float32]:
    """The logarithms of the add-one frequencies of all symbols; START, which is no target, is as rare as can be."""
    counts = counted(train, vocabulary_size) + 1.0
    counts[START] = 1
    return np.log(counts / counts.sum()).astype(np.float32)


def unigram_perplexity(
    train: NDArray[np.unsignedinteger], split: NDArray[np.unsignedinteger], vocabulary_size: int
) -> float:
    """The same as a perplexity."""
    return unigram_loss(train, split, vocabulary_size).perplexity
