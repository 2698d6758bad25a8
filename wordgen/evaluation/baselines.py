"""What a model must beat to have learned anything."""

import numpy as np
from numpy.typing import NDArray

from wordgen.text.vocabulary import START


def unigram_perplexity(
    train: NDArray[np.unsignedinteger], split: NDArray[np.unsignedinteger], vocabulary_size: int
) -> float:
    """Perplexity of a split under the add-one frequencies of the training symbols; START is no target."""
    counts = np.bincount(train, minlength=vocabulary_size).astype(np.float64) + 1
    counts[START] = 0
    targets = split[split != START]
    return float(np.exp(-np.log(counts[targets] / counts.sum()).mean()))
