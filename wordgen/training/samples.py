"""What a model writes while it learns: always from the same seeds with the same dice, so that one sees it learn."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from wordgen.bundle import Bundle
from wordgen.dataset.encoding import Dataset
from wordgen.evaluation.counting import MOST_SYMBOLS
from wordgen.evaluation.diversity import Texts, distinct
from wordgen.evaluation.samples import write_samples
from wordgen.evaluation.verbatim import longest_matches
from wordgen.evaluation.whole_words import Numbers, WholeWords
from wordgen.generation.settings import Mode
from wordgen.generation.trained import TrainedModel, word_to_try
from wordgen.training.reports import Sample, Written

_MODES: Sequence[Mode] = ("greedy", "sample")
_SAMPLE_LENGTH = 40
_RANDOM_SEED = 1
_MEASURED, _MEASURED_LENGTH = 8, 40
"""So many texts of so many symbols show how varied the model writes; more would take the time of learning."""


@dataclass(frozen=True)
class SampleWriter:
    dataset: Dataset

    def __call__(self, bundle: Bundle) -> Written:
        model = TrainedModel(bundle)
        samples = [self._sample(model, seed, mode) for seed in self._seeds for mode in _MODES]
        texts = self._texts_to_measure(bundle)
        together = Texts(texts)
        return Written(tuple(samples), distinct(together, 2), self._longest_copy(together))

    @cached_property
    def _seeds(self) -> Sequence[str]:
        """None, and a word; the texts of the last one are what progress and advice go by."""
        word = word_to_try(self.dataset.codec)
        return ("",) if word is None else ("", word)

    def _sample(self, model: TrainedModel, seed: str, mode: Mode) -> Sample:
        (text,) = model.generate(seed, mode=mode, length=_SAMPLE_LENGTH, random_seed=_RANDOM_SEED)
        return Sample(mode, text.text, seed)

    def _texts_to_measure(self, bundle: Bundle) -> list[Numbers]:
        written = write_samples(bundle, _MEASURED, length=_MEASURED_LENGTH)
        return [self._words.to_compare(ids) for ids in written]

    def _longest_copy(self, texts: Texts) -> int | None:
        """Nothing where the training text is so large that searching it would take the time of learning."""
        train = self.dataset.ids["train"]
        if len(train) > MOST_SYMBOLS:
            return None
        return int(longest_matches(texts.words, self._words.of(train).numbers).lengths.max(initial=0))

    @cached_property
    def _words(self) -> WholeWords:
        return WholeWords(self.dataset.codec.vocabulary)
