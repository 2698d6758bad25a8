"""The whole way of a text, from its file to ids and back, as the laws of the round trip take it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from wordgen.corpus.catalogue import SPLITS
from wordgen.corpus.corpus import Corpus
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.settings import ReadingSettings
from wordgen.dataset.dataset import Dataset
from wordgen.dataset.encoding import prepare, tokenizer_name
from wordgen.dataset.splits import Splitting
from wordgen.text.settings import TextSettings, TokenizerChoice, TokenizerName
from wordgen.text.vocabulary import UNKNOWN


@dataclass(frozen=True)
class Journey:
    corpus: Corpus
    tokenizer: TokenizerName
    dataset: Dataset

    @cached_property
    def passages(self) -> list[tuple[int, str]]:
        """All passages of the corpus, each with the number of its file."""
        reading = self.corpus.reading(every_line=self.corpus.is_benchmark(self.tokenizer))
        return [(file, passage.text) for file, passage in reading.passages()]

    @property
    def training_text(self) -> str:
        """The text of all passages to train on, one after another, up to runs of white space."""
        files = np.array([file for file, _ in self.passages], np.uint32)
        splits = Splitting(self.corpus).of(np.arange(len(self.passages)), files, len(self.passages))
        trained_on = (text for split, (_, text) in zip(splits, self.passages, strict=True) if SPLITS[split] == "train")
        return squeezed("\n".join(trained_on))

    def check(self) -> None:
        """What must hold of every text, whatever stands in it."""
        tokenizer, dataset = self.dataset.codec.tokenizer, self.dataset
        for text in {text for _, text in self.passages}:
            assert squeezed(tokenizer.detokenize(tokenizer.tokenize(text))) == squeezed(text)
        assert sum(each.passages for each in dataset.statistics.values()) == len(self.passages)
        assert sum(each.characters for each in dataset.statistics.values()) == sum(
            len(text) for _, text in self.passages
        )
        assert sum(each.all_characters for each in dataset.statistics.values()) == sum(
            len(text) + 1 for _, text in self.passages
        )
        decoded = squeezed(dataset.codec.decode(dataset.ids["train"]))
        assert decoded == without_marks_of_benchmarks(self.training_text, self.tokenizer)
        if self.tokenizer != "whitespace":  # where <unk> stands for UNKNOWN
            assert not np.count_nonzero(dataset.ids["train"] == UNKNOWN)


def travel(
    path: Path, folder: Path, tokenizer: TokenizerChoice = "auto", how: ReadingSettings | None = None
) -> Journey:
    """Take a text through everything, with a vocabulary that knows whatever stands in its training part."""
    corpus = open_corpus(str(path), how)
    settings = TextSettings(tokenizer=tokenizer, min_count=1, vocab_size=4_000_000)
    return Journey(corpus, tokenizer_name(corpus, settings), prepare(corpus, settings, folder))


def squeezed(text: str) -> str:
    return " ".join(text.split())


def visible(text: str) -> str:
    return "".join(text.split())


def without_marks_of_benchmarks(text: str, tokenizer: TokenizerName) -> str:
    """An <eos> that stood in a text that was tokenized already is an end of a passage, which is not said aloud."""
    if tokenizer != "whitespace":
        return text
    return " ".join(word for word in text.split() if word != "<eos>")
