"""Write text files, and read texts as wordgen does."""

from pathlib import Path

import numpy as np

from wordgen.corpus.corpus import Corpus
from wordgen.corpus.finding import open_corpus
from wordgen.dataset.splits import splits_of


def passage_texts(corpus: Corpus) -> list[str]:
    return [passage.text for _, passage in corpus.reading().passages()]


def write_text(path: Path, text: str, encoding: str = "utf-8") -> str:
    """Write a text file and its parent folders; return its path as a string."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    return str(path)


def passages_of_split(number: int) -> list[str]:
    """Return the passages (lines) of `spells` in a split: 0 is training, 1 validation, 2 test."""
    passages = passage_texts(open_corpus("spells"))
    splits = splits_of(np.arange(len(passages)), len(passages))
    return [passage for passage, split in zip(passages, splits, strict=True) if split == number]
