"""What a model is measured on: the text that it learned, found again and checked to be the same, or any other."""

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.bundle import Bundle
from wordgen.corpora.catalogue import user_data
from wordgen.corpora.corpus import Corpus
from wordgen.corpora.finding import corpus_of, open_corpus
from wordgen.corpora.layout import Layout, otherwise_in_words
from wordgen.corpora.settings import ReadingSettings
from wordgen.dataset.encoding import Dataset, fingerprint, prepare
from wordgen.dataset.ids import SplitStatistics
from wordgen.dataset.other_text import encode_other
from wordgen.errors import BundleError, CorpusError
from wordgen.evaluation.verdict import Curves
from wordgen.evaluation.watcher import Watcher
from wordgen.page.facts import PARTS, curves_of
from wordgen.page.measured import model_step
from wordgen.run_folder import find_base
from wordgen.run_names import REPORT, SAVED_MODELS, name_of
from wordgen.run_settings import TrainSettings
from wordgen.text.settings import TextSettings
from wordgen.text.vocabulary import END, START, UNKNOWN
from wordgen.training.checkpoint import has_checkpoint
from wordgen.training.report_file import read_report


@dataclass(frozen=True)
class Origin:
    """What is known of how a model came to be; nothing where its folder was copied without the report."""

    folder: Path
    settings: TrainSettings | None = None
    fingerprint: str = ""
    curves: Curves | None = None
    step: int | None = None
    """The one that its model had reached."""

    @property
    def can_go_on(self) -> bool:
        """Whether the run can have more epochs and be the one that it would have been with them from the beginning."""
        if self.settings is None or self.settings.settled:
            return False
        return self.folder == SAVED_MODELS / name_of(self.folder) and has_checkpoint(self.folder)

    @classmethod
    def beside(cls, folder: Path) -> "Origin":
        if not (folder / REPORT).exists():
            return cls(folder)
        report = read_report(folder)
        settings = TrainSettings.from_mapping(report["settings"])
        return cls(folder, settings, report["dataset"]["fingerprint"], curves_of(report, settings), model_step(report))


@dataclass(frozen=True)
class MeasuredText:
    """What a model is measured on."""

    name: str
    ids: NDArray[np.unsignedinteger[Any]]
    statistics: SplitStatistics
    learned: Dataset | None
    """What the model has learned, where that can be had."""
    held_out: bool
    """Whether it is a part of the corpus."""
    notes: tuple[str, ...]


def text_to_measure(origin: Origin, bundle: Bundle, split: str, watcher: Watcher) -> MeasuredText:
    """The valid or the test part of what the model has learned, or a text file or a folder of them."""
    text = _part_or_other(origin, bundle, split, watcher)
    _check(text, bundle, origin.folder)
    return text


def _part_or_other(origin: Origin, bundle: Bundle, split: str, watcher: Watcher) -> MeasuredText:
    if split not in PARTS:
        return _other_text(origin, bundle, split, watcher)
    dataset = _dataset(origin, watcher)
    return MeasuredText(f"the {split} part", dataset.ids[split], dataset.statistics[split], dataset, True, ())


def _dataset(origin: Origin, watcher: Watcher) -> Dataset:
    """What the run has learned, found again and checked to be the same."""
    if origin.settings is None:
        raise CorpusError(
            f"{origin.folder} has no {REPORT} that would say what it learned: give a text, as in --split my-book.txt."
        )
    settings = TextSettings.part_of(origin.settings)
    try:
        corpus = open_corpus(origin.settings.corpus, ReadingSettings.part_of(origin.settings), watcher.fetching)
        base = None if origin.settings.init_from is None else find_base(origin.settings.init_from).vocabulary
        found = fingerprint(corpus, settings, base)
    except (CorpusError, BundleError) as error:
        raise CorpusError(
            f"The text that {origin.folder.name} learned cannot be found again ({str(error).rstrip('.')}): "
            "put it back, or give another, as in --split my-book.txt."
        ) from error
    if found != origin.fingerprint:
        raise CorpusError(
            f"The text of {corpus.name} is not the one that {origin.folder.name} learned, or another version of "
            "wordgen read it: put it back, train anew, or give a text, as in --split my-book.txt."
        )
    return prepare(corpus, settings, user_data() / "encoded", partial(watcher.reading, corpus.name), base)


def _other_text(origin: Origin, bundle: Bundle, file: str, watcher: Watcher) -> MeasuredText:
    """Any text, its prose as it is laid out; what the model learned is wanted to compare with alone."""
    config = bundle.text
    corpus = _files(file, origin, bundle)
    as_published = not config.starts and config.tokenizer == "whitespace" and config.unit == "line"
    reading = corpus.reading(every_line=as_published, unit=config.unit)
    read = encode_other(reading, bundle.codec, partial(watcher.reading, file), starts=config.starts)
    layouts = [] if as_published else [corpus.layout_of(each, config.unit) for each in range(len(corpus.files))]
    otherwise = otherwise_in_words(layouts, Layout(config.unit, config.line_breaks))
    try:
        learned, notes = _dataset(origin, watcher), ()
    except CorpusError as error:
        learned, notes = None, (f"Nothing to compare with: {error}",)
    return MeasuredText(
        file, read.ids, read.statistics, learned, False, (*corpus.notes, *read.notes, *otherwise, *notes)
    )


def _files(file: str, origin: Origin, bundle: Bundle) -> Corpus:
    path = Path(file)
    if not file or not os.path.exists(path):
        raise CorpusError(
            f"There is no text file '{file[:100]}': --split is valid, test, or a text file or a folder of them."
        )
    said = ReadingSettings() if origin.settings is None else ReadingSettings.part_of(origin.settings)
    how = replace(said, encoding="auto", fold_width=bundle.text.fold_width)
    learned = Layout(bundle.text.unit, bundle.text.line_breaks)
    corpus = corpus_of([path], how)
    found = (corpus.layout_of(number, learned.unit) for number in range(len(corpus.files)))
    layouts = tuple(layout.for_model(learned) for layout in found)
    return replace(corpus, unit=learned.unit, line_breaks=learned.line_breaks, layouts=layouts, splits=())


def _check(text: MeasuredText, bundle: Bundle, folder: Path) -> None:
    """A text on which nothing could be learned of the model."""
    counted = np.bincount(text.ids, minlength=len(bundle.vocabulary))
    counted[[START, END]] = 0
    if not (text.ids[1:] != START).any() or not counted.any():
        raise CorpusError(f"{text.name} is too short to be evaluated: there is nothing in it to predict.")
    if counted[UNKNOWN] == counted.sum():
        raise CorpusError(
            f"{folder.name} knows nothing that stands in {text.name}: take a text of the language that it learned."
        )
