"""Encodes a text from its file to ids and checks that it can be decoded, for the laws of the round trip."""

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
class EncodedText:
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
        """The text of the training set, with single spaces."""
        files = np.array([file for file, _ in self.passages], np.uint32)
        splits = Splitting(self.corpus).assign(np.arange(len(self.passages)), files, len(self.passages))
        training = (text for split, (_, text) in zip(splits, self.passages, strict=True) if SPLITS[split] == "train")
        return with_single_spaces("\n".join(training))

    def assert_round_trip(self) -> None:
        """Check what must be true for every text."""
        tokenizer, dataset = self.dataset.codec.tokenizer, self.dataset
        for text in {text for _, text in self.passages}:
            assert with_single_spaces(tokenizer.detokenize(tokenizer.tokenize(text))) == with_single_spaces(text)
        assert sum(each.passages for each in dataset.statistics.values()) == len(self.passages)
        assert sum(each.characters for each in dataset.statistics.values()) == sum(
            len(text) for _, text in self.passages
        )
        assert sum(each.all_characters for each in dataset.statistics.values()) == sum(
            len(text) + 1 for _, text in self.passages
        )
        decoded = with_single_spaces(dataset.codec.decode(dataset.ids["train"]))
        assert decoded == without_benchmark_marks(self.training_text, self.tokenizer)
        if self.tokenizer != "whitespace":  # there, <unk> in the text is UNKNOWN
            assert not np.count_nonzero(dataset.ids["train"] == UNKNOWN)


def encode_text(
    path: Path, folder: Path, tokenizer: TokenizerChoice = "auto", reading: ReadingSettings | None = None
) -> EncodedText:
    """Read and encode a text, with a vocabulary of all tokens of its training set."""
    corpus = open_corpus(str(path), reading)
    settings = TextSettings(tokenizer=tokenizer, min_count=1, vocab_size=4_000_000)
    return EncodedText(corpus, tokenizer_name(corpus, settings), prepare(corpus, settings, folder))


def with_single_spaces(text: str) -> str:
    return " ".join(text.split())


def without_white_space(text: str) -> str:
    return "".join(text.split())


def without_benchmark_marks(text: str, tokenizer: TokenizerName) -> str:
    """Remove <eos>: in an already tokenized text it marks the end of a passage, and decoding does not write it."""
    if tokenizer != "whitespace":
        return text
    return " ".join(word for word in text.split() if word != "<eos>")
