"""The text that a model is measured on: the validation or test set of its own corpus, or any other text.

For its own corpus, the text is found again and compared with the text that the run was trained on.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordgen.corpus.catalogue import SET_NAMES, Split, user_data
from wordgen.corpus.corpus import Corpus
from wordgen.corpus.finding import corpus_of, open_corpus
from wordgen.corpus.layout import Layout, otherwise_in_words
from wordgen.corpus.settings import ReadingSettings
from wordgen.dataset.dataset import Dataset, SplitStatistics
from wordgen.dataset.encoding import encode_other, fingerprint, prepare
from wordgen.dataset.splits import passages_by_split
from wordgen.errors import BundleError, CorpusError
from wordgen.evaluation.measurement import PARTS, Part
from wordgen.evaluation.settings import Watcher
from wordgen.model.bundle import Bundle
from wordgen.run.folder import find_base
from wordgen.run.names import REPORT, models_folder, name_of
from wordgen.run.record import RunRecord, load_record
from wordgen.text.settings import TextSettings
from wordgen.text.vocabulary import END, START, UNKNOWN
from wordgen.training.checkpoint import has_checkpoint

_MOST_TOKENS = 3000


@dataclass(frozen=True)
class Origin:
    """The folder of a model and the record of its run. The record is None if the folder was copied without it."""

    folder: Path
    record: RunRecord | None = None

    @property
    def model_step(self) -> int | None:
        """The step at which the model was saved. None if it is not known."""
        return None if self.record is None else self.record.model_step

    @property
    def can_go_on(self) -> bool:
        """Whether the run can go on for more epochs, with the same result as if it had begun with them.

        This needs its record and a checkpoint. It is never possible with a time budget or the cosine schedule.
        """
        if self.record is None or self.record.settings.has_fixed_steps:
            return False
        return self.folder == models_folder() / name_of(self.folder) and has_checkpoint(self.folder)

    @classmethod
    def beside(cls, folder: Path) -> "Origin":
        return cls(folder, load_record(folder) if (folder / REPORT).exists() else None)


@dataclass(frozen=True)
class Passages:
    """The passages of a text as they are before they become tokens, so without UNKNOWN."""

    measured: Sequence[str]
    training: Sequence[str] | None
    """The passages of the training set. None if the training text cannot be found again."""


@dataclass(frozen=True)
class MeasuredText:
    """A text to measure a model on."""

    name: str
    ids: NDArray[np.unsignedinteger]
    statistics: SplitStatistics
    learned: Dataset | None
    """The dataset that the model was trained on. None if its text cannot be found again."""
    held_out: bool
    """Whether the text is the validation or test set of the model's own corpus."""
    notes: tuple[str, ...]
    read_passages: Callable[[], Passages]
    """Reads the text and the training text again, and returns their passages."""

    @property
    def beside(self) -> str:
        """The text in words, for what the model writes is measured beside it."""
        return "the held-out text" if self.held_out else Path(self.name).name or self.name

    @property
    def longest_passage(self) -> int:
        """The tokens of the longest passage of the training text, or else of this text, but at most 3,000."""
        ids = self.ids if self.learned is None else self.learned.ids["train"]
        lengths = np.diff(np.flatnonzero(ids == END), prepend=-1) - 2  # without START and END
        return int(np.clip(lengths.max(initial=1), 1, _MOST_TOKENS))


def text_to_measure(origin: Origin, bundle: Bundle, split: str, watcher: Watcher) -> MeasuredText:
    """Return the text to measure a model on.

    `split` is "valid" or "test" for that set of the model's own corpus, or the path of a text file or of a folder of
    text files. Raise a CorpusError if the text is missing, too short, or has no word that the model knows.
    """
    text = _own_text(origin, split, watcher) if split in PARTS else _other_text(origin, bundle, split, watcher)
    _check(text, bundle, origin.folder)
    return text


def _own_text(origin: Origin, split: Part, watcher: Watcher) -> MeasuredText:
    learned = _learned(origin, watcher)
    dataset = learned.dataset

    def read_passages() -> Passages:
        passages = learned.passages()
        return Passages(passages[split], passages["train"])

    statistics = dataset.statistics[split]
    return MeasuredText(f"the {SET_NAMES[split]}", dataset.ids[split], statistics, dataset, True, (), read_passages)


@dataclass(frozen=True)
class _Learned:
    """What a run was trained on."""

    corpus: Corpus
    settings: TextSettings
    dataset: Dataset

    def passages(self) -> dict[Split, list[str]]:
        chords = self.dataset.codec.tokenizer.name == "chords"
        return passages_by_split(self.corpus, self.settings.shares, chords=chords)


def _learned(origin: Origin, watcher: Watcher) -> _Learned:
    """Return what the run was trained on. Raise a CorpusError if its text is missing or has changed."""
    if origin.record is None:
        raise CorpusError(
            f"{origin.folder} has no {REPORT}, so its training text is not known: give a text, for example "
            "--split my-book.txt."
        )
    learned = origin.record.settings
    settings = TextSettings.part_of(learned)
    try:
        corpus = open_corpus(learned.corpus, ReadingSettings.part_of(learned), watcher.fetching)
        base = None if learned.init_from is None else find_base(learned.init_from).vocabulary
        found = fingerprint(corpus, settings, base)
    except (CorpusError, BundleError) as error:
        raise CorpusError(
            f"The training text of {origin.folder.name} cannot be found ({str(error).rstrip('.')}): "
            "put it back, or give another text, for example --split my-book.txt."
        ) from error
    if found != origin.record.dataset.fingerprint:
        raise CorpusError(
            f"The text of {corpus.name} has changed since {origin.folder.name} was trained, or another version of "
            "wordgen reads it differently: put the old text back, train a new run, or give another text, for example "
            "--split my-book.txt."
        )
    dataset = prepare(corpus, settings, user_data() / "encoded", partial(watcher.reading, corpus.name), base)
    return _Learned(corpus, settings, dataset)


def _other_text(origin: Origin, bundle: Bundle, file: str, watcher: Watcher) -> MeasuredText:
    """Return any other text, as tokens of the model's vocabulary.

    Prose is read by its own layout (see `Layout.for_model`). The training text is only needed for comparisons, so it
    may be missing: a note then says why.
    """
    config = bundle.text
    corpus = _files(file, origin, bundle)
    as_published = not config.starts and config.tokenizer == "whitespace" and config.passage == "line"
    reading = partial(
        corpus.reading, every_line=as_published, passage=config.passage, chords=config.tokenizer == "chords"
    )
    read = encode_other(reading(), bundle.codec, partial(watcher.reading, file), starts=config.starts)
    layouts = [] if as_published else [corpus.layout_of(each, config.passage) for each in range(len(corpus.files))]
    otherwise = otherwise_in_words(layouts, Layout(config.passage, config.line_breaks))
    try:
        learned, notes = _learned(origin, watcher), ()
    except CorpusError as error:
        learned, notes = None, (f"No comparison with word frequencies and n-grams: {error}",)

    def read_passages() -> Passages:
        measured = [passage.text for _, passage in reading().passages()]
        return Passages(measured, None if learned is None else learned.passages()["train"])

    notes = (*corpus.notes, *read.notes, *otherwise, *notes)
    dataset = None if learned is None else learned.dataset
    return MeasuredText(file, read.ids, read.statistics, dataset, False, notes, read_passages)


def _files(file: str, origin: Origin, bundle: Bundle) -> Corpus:
    path = Path(file)
    if not file or not os.path.exists(path):
        raise CorpusError(
            f"There is no text file '{file[:100]}': --split must be valid, test, a text file or a folder of text files."
        )
    said = ReadingSettings() if origin.record is None else ReadingSettings.part_of(origin.record.settings)
    text = bundle.text
    transpose = "common" if text.transpose == "common" else "none"
    how = replace(said, encoding="auto", fold_width=text.fold_width, drop_latin=text.drop_latin, transpose=transpose)
    learned = Layout(bundle.text.passage, bundle.text.line_breaks)
    corpus = corpus_of([path], how)
    found = (corpus.layout_of(number, learned.passage) for number in range(len(corpus.files)))
    layouts = tuple(layout.for_model(learned) for layout in found)
    return replace(corpus, passage=learned.passage, line_breaks=learned.line_breaks, layouts=layouts, splits=())


def _check(text: MeasuredText, bundle: Bundle, folder: Path) -> None:
    """Raise a CorpusError for a text that says nothing about the model: nothing to predict in it, or only UNKNOWN."""
    counted = np.bincount(text.ids, minlength=len(bundle.vocabulary))
    counted[[START, END]] = 0
    if not (text.ids[1:] != START).any() or not counted.any():
        raise CorpusError(f"{text.name} is too short: it has no token to predict. Give a longer text.")
    if counted[UNKNOWN] == counted.sum():
        raise CorpusError(
            f"{folder.name} knows no word of {text.name}: give a text in the language of its training text."
        )
