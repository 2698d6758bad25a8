"""From a corpus to ids on disk, once.

The result is kept in a folder whose name is the fingerprint of the text, the tokenizer and the
vocabulary's limits, so a second run starts at once and a text that changed is encoded anew.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordgen.corpora.corpus import Corpus
from wordgen.corpora.published import SPLITS, Split
from wordgen.corpora.units import unit_separator
from wordgen.dataset.ids import SplitStatistics
from wordgen.dataset.making import Progress, encode
from wordgen.dataset.unknown_words import UnknownWords
from wordgen.errors import CorpusError, SettingError
from wordgen.files import file_checksum, seldom
from wordgen.text.codec import Codec
from wordgen.text.settings import TextSettings, TokenizerName, TokenizerSettings
from wordgen.text.tokenizers import tokenizer_for, tokenizer_named
from wordgen.text.vocabulary import BaseVocabulary, Vocabulary

_FORMAT = 9  # raise it when the same text would give other ids


@dataclass(frozen=True)
class Dataset:
    """A corpus as ids: one memory-mapped array a split, and the codec that made them."""

    codec: Codec
    ids: dict[Split, NDArray[np.unsignedinteger]]
    fingerprint: str
    """Of the text and of all that made ids of it."""
    statistics: dict[Split, SplitStatistics]
    starts: bool
    """Whether units begin with START: not where the text brought its own <eos>."""
    types: int
    """How many different symbols the training text has, known to the vocabulary or not."""
    files: tuple[str, ...]
    """The names of the corpus's files."""
    lines: NDArray[np.uint32]
    """Where the lines of the files begin in the training ids: place, number of the line, number of the file."""
    notes: tuple[str, ...] = ()
    """How the text was read: its encoding if it is no UTF-8, and what was cut."""
    unknown_words: UnknownWords = UnknownWords()  # noqa: RUF009 - it does not change
    """The words of the training text that are UNKNOWN."""

    def source(self, place: int) -> tuple[str, int]:
        """The file and the line in which a place of the training ids stands."""
        return source_of(place, self.lines, self.files)


def source_of(place: int, lines: NDArray[np.uint32], files: Sequence[str]) -> tuple[str, int]:
    """The file and the line of a place in ids, by a table of where lines begin in them."""
    row = int(np.searchsorted(lines[:, 0], place, side="right")) - 1
    _, line, file = (int(value) for value in lines[row])
    return files[file], line


def prepare(
    corpus: Corpus,
    settings: TextSettings,
    folder: Path,
    progress: Progress | None = None,
    base: Vocabulary | None = None,
) -> Dataset:
    """The corpus as ids: from the folder where it was encoded before, else encoded into it now.

    `base` is the vocabulary of the model that a run begins from.
    """
    done = 0

    def told(bytes_done: int, size: int) -> None:
        nonlocal done
        done = bytes_done
        if progress is not None:
            progress(bytes_done, size)

    look = seldom(lambda: told(done, corpus.bytes))
    name = tokenizer_name(corpus, settings)
    digest = corpus.digest(look)
    place = folder / f"{corpus.name}-{_fingerprint(digest, name, settings, base)}"
    kept = _load(place, name, corpus, look)
    if kept is None:
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)  # a damaged one; whole ones alone ever take this name
        known = None if base is None else BaseVocabulary(base, settings.min_count or 1, settings.base_words)
        encode(corpus, digest, tokenizer_named(name), settings, place, told, known)
        kept = _load(place, name, corpus, look)
    if kept is None:
        raise CorpusError(f"The encoded text in {place} is damaged: delete that folder and try again.")
    return kept


def fingerprint(corpus: Corpus, settings: TextSettings, base: Vocabulary | None = None) -> str:
    """That of the dataset which this text would give, without making it."""
    return _fingerprint(corpus.digest(), tokenizer_name(corpus, settings), settings, base)


def tokenizer_name(corpus: Corpus, settings: TokenizerSettings) -> TokenizerName:
    """What is chosen, else what the catalogue says, else what suits the text."""
    if settings.tokenizer != "auto":
        return settings.tokenizer
    if corpus.tokenizer is None:
        return tokenizer_for(corpus.sample())
    try:
        named = TextSettings(tokenizer=corpus.tokenizer)  # pyright: ignore[reportArgumentType]
    except SettingError as error:
        raise CorpusError(f"The catalogue's entry for {corpus.name} is wrong: {error}") from error
    return tokenizer_for(corpus.sample()) if named.tokenizer == "auto" else named.tokenizer


def _fingerprint(digest: str, tokenizer: str, settings: TextSettings, base: Vocabulary | None) -> str:
    limits = f"{settings.vocab_size} {settings.min_count} {settings.unknown}"
    if base is not None:
        limits += f" {settings.base_words} {base.digest()}"
    described = f"{_FORMAT} {digest} {tokenizer} {limits}"
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def _load(place: Path, tokenizer: TokenizerName, corpus: Corpus, look: Callable[[], None]) -> Dataset | None:
    """What an earlier run left here, or nothing where it is missing or damaged."""
    try:
        described = json.loads((place / "dataset.json").read_text(encoding="utf-8"))
        if any(file_checksum(place / name, look) != whole for name, whole in described["sums"].items()):
            return None
        vocabulary = Vocabulary(json.loads((place / "vocabulary.json").read_text(encoding="utf-8")))
        unknown = json.loads((place / "unknown_words.json").read_text(encoding="utf-8"))
        unknown = UnknownWords.from_json(unknown, vocabulary)
        ids: dict[Split, NDArray[np.unsignedinteger]] = {
            split: np.load(place / f"{split}.npy", mmap_mode="r") for split in SPLITS
        }
        statistics: dict[Split, SplitStatistics] = {
            split: SplitStatistics(**described["statistics"][split]) for split in SPLITS
        }
        starts, types = bool(described["starts"]), int(described["types"])
        notes = tuple(described["notes"])
        lines = np.load(place / "lines.npy", mmap_mode="r")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    codec = Codec(tokenizer_named(tokenizer), vocabulary, unit_separator(corpus.unit))
    fingerprint = place.name.rpartition("-")[2]
    return Dataset(codec, ids, fingerprint, statistics, starts, types, corpus.file_names, lines, notes, unknown)
