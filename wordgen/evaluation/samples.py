"""Texts that a model writes to be looked at: such as its user would see, and always the same ones."""

import numpy as np

from wordgen.bundle import Bundle
from wordgen.evaluation.whole_words import Ids
from wordgen.generation.scoring import Progress
from wordgen.generation.settings import GenerationSettings
from wordgen.generation.trained import TrainedModel

SAMPLE_LENGTH = 100
_RANDOM_SEED = 1


def write_samples(
    bundle: Bundle, count: int, progress: Progress = lambda done, symbols: None, *, length: int = SAMPLE_LENGTH
) -> list[Ids]:
    """So many texts from the beginning of a unit on, by the model's own odds, which no setting sharpens."""
    settings = GenerationSettings(length=length, count=count, temperature=1.0, random_seed=_RANDOM_SEED)
    id_of = bundle.vocabulary.id_of
    texts = TrainedModel(bundle).write([""], settings, progress)
    return [np.array([id_of(symbol) for symbol in text.symbols], np.int64) for text in texts]
