"""Evaluate a trained model on a set of its own corpus or on any text, and compare it with counting.

For its own corpus, the text is found again and compared with the text that the run was trained on. This module does not
use TensorFlow (only `dynamic` does): NumPy measures a validation or test set in less time than TensorFlow needs to
start.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.corpus.catalogue import SET_NAMES, Split, user_data
from wordgen.corpus.corpus import Corpus
from wordgen.corpus.finding import corpus_of, open_corpus
from wordgen.corpus.layout import Layout, layout_warnings
from wordgen.corpus.settings import ReadingSettings
from wordgen.dataset.dataset import Dataset, SplitStatistics, TextConfig
from wordgen.dataset.encoding import encode_foreign_text, fingerprint, prepare
from wordgen.dataset.splits import passages_by_split
from wordgen.errors import BundleError, CorpusError, SettingError
from wordgen.evaluation.figures import shown_perplexity
from wordgen.evaluation.measurement import (
    PARTS,
    CacheLoss,
    DynamicLoss,
    Loss,
    Measurement,
    Mixture,
    Novelty,
    Part,
    unigram_loss,
)
from wordgen.evaluation.music import Music, MusicKind, compared_music, notes_in
from wordgen.evaluation.novelty import memory_of_words, novelty, write_passages, write_samples
from wordgen.evaluation.settings import EvaluationSettings, Watcher
from wordgen.evaluation.text_loss import (
    PredictedText,
    measure_dynamic,
    measure_with_cache,
    mix_with_ngram,
    network_nats,
)
from wordgen.evaluation.verdict import Finding, clearly_better, diagnose, verdict
from wordgen.generation.prediction import NgramModel, NumpyNetwork, memory_of_ngrams, order_for
from wordgen.generation.trained import TrainedModel
from wordgen.model.bundle import Bundle, load_bundle
from wordgen.run.folder import find_base, find_model
from wordgen.run.names import REPORT, models_folder, name_of
from wordgen.run.record import RunRecord, load_record, save_measurement
from wordgen.run.settings import TrainSettings
from wordgen.text.settings import TextSettings
from wordgen.text.vocabulary import END, START, UNKNOWN
from wordgen.training.checkpoint import has_checkpoint
from wordgen.training.memory import physical_memory
from wordgen.training.screen import html_table

_MAX_PASSAGE_TOKENS = 3000


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
    def can_be_extended(self) -> bool:
        """Whether the run can go on for more epochs, with the same result as if it had begun with them.

        This needs its record and a checkpoint. It is never possible with a time budget or the cosine schedule.
        """
        if self.record is None or self.record.settings.has_fixed_steps:
            return False
        return self.folder == models_folder() / name_of(self.folder) and has_checkpoint(self.folder)

    @classmethod
    def of_folder(cls, folder: Path) -> "Origin":
        return cls(folder, load_record(folder) if (folder / REPORT).exists() else None)


@dataclass(frozen=True)
class MeasuredText:
    """A text to measure a model on."""

    name: str
    ids: NDArray[np.unsignedinteger]
    statistics: SplitStatistics
    training_dataset: Dataset | None
    """The dataset that the model was trained on. None if its text cannot be found again."""
    held_out: bool
    """Whether the text is the validation or test set of the model's own corpus."""
    notes: tuple[str, ...]
    read_passages: Callable[[], tuple[Sequence[str], Sequence[str] | None]]
    """Reads the text and the training text again, and returns their passages, before they become tokens.

    The second value is None if the training text cannot be found again.
    """

    @property
    def held_out_name(self) -> str:
        """The name of the text in sentences that compare it with what the model writes."""
        return "the held-out text" if self.held_out else Path(self.name).name or self.name

    @property
    def longest_passage(self) -> int:
        """The tokens of the longest passage of the training text, or else of this text, but at most 3,000."""
        ids = self.ids if self.training_dataset is None else self.training_dataset.ids["train"]
        lengths = np.diff(np.flatnonzero(ids == END), prepend=-1) - 2  # without START and END
        return int(np.clip(lengths.max(initial=1), 1, _MAX_PASSAGE_TOKENS))


def text_to_measure(origin: Origin, bundle: Bundle, split: str, watcher: Watcher) -> MeasuredText:
    """Return the text to measure a model on.

    `split` is "valid" or "test" for that set of the model's own corpus, or the path of a text file or of a folder of
    text files. Raise a CorpusError if the text is missing, too short, or has no word that the model knows.
    """
    text = _held_out_text(origin, split, watcher) if split in PARTS else _other_text(origin, bundle, split, watcher)
    _check_measurable(text, bundle, origin.folder)
    return text


def _held_out_text(origin: Origin, split: Part, watcher: Watcher) -> MeasuredText:
    training_text = _training_text(origin, watcher)
    dataset = training_text.dataset

    def read_passages() -> tuple[list[str], list[str]]:
        passages = training_text.passages()
        return passages[split], passages["train"]

    statistics = dataset.statistics[split]
    return MeasuredText(f"the {SET_NAMES[split]}", dataset.ids[split], statistics, dataset, True, (), read_passages)


@dataclass(frozen=True)
class _TrainingText:
    """What a run was trained on."""

    corpus: Corpus
    settings: TextSettings
    dataset: Dataset

    def passages(self) -> dict[Split, list[str]]:
        chords = self.dataset.codec.tokenizer.name == "chords"
        return passages_by_split(self.corpus, self.settings.shares, chords=chords)


def _training_text(origin: Origin, watcher: Watcher) -> _TrainingText:
    """Return what the run was trained on. Raise a CorpusError if its text is missing or has changed."""
    if origin.record is None:
        raise CorpusError(
            f"{origin.folder} has no {REPORT}, so its training text is not known: give a text, for example "
            "--split my-book.txt."
        )
    run_settings = origin.record.settings
    settings = TextSettings.part_of(run_settings)
    try:
        corpus = open_corpus(run_settings.corpus, ReadingSettings.part_of(run_settings), watcher.fetching)
        base = None if run_settings.init_from is None else find_base(run_settings.init_from).vocabulary
        found = fingerprint(corpus, settings, base)
    except (CorpusError, BundleError) as error:
        raise CorpusError(
            f"The training text of {name_of(origin.folder)} cannot be found ({str(error).rstrip('.')}): "
            "put it back, or give another text, for example --split my-book.txt."
        ) from error
    if found != origin.record.dataset.fingerprint:
        raise CorpusError(
            f"The text of {corpus.name} has changed since {name_of(origin.folder)} was trained, or another version of "
            "wordgen reads it differently: put the old text back, train a new run, or give another text, for example "
            "--split my-book.txt."
        )
    dataset = prepare(corpus, settings, user_data() / "encoded", partial(watcher.reading, corpus.name), base)
    return _TrainingText(corpus, settings, dataset)


def _other_text(origin: Origin, bundle: Bundle, file: str, watcher: Watcher) -> MeasuredText:
    """Return any other text, as tokens of the model's vocabulary.

    Prose is read by its own layout (see `Layout.for_model`). The training text is only needed for comparisons, so it
    may be missing: a note then says why.
    """
    config = bundle.text
    corpus = _open_foreign_corpus(file, origin, bundle)
    as_published = not config.starts and config.tokenizer == "whitespace" and config.passage == "line"
    reading = partial(
        corpus.reading, every_line=as_published, passage=config.passage, chords=config.tokenizer == "chords"
    )
    read = encode_foreign_text(reading(), bundle.codec, partial(watcher.reading, file), starts=config.starts)
    layouts = [] if as_published else [corpus.layout_of(each, config.passage) for each in range(len(corpus.files))]
    layout_notes = layout_warnings(layouts, Layout(config.passage, config.line_breaks))
    try:
        training_text, notes = _training_text(origin, watcher), ()
    except CorpusError as error:
        training_text, notes = None, (f"No comparison with word frequencies and n-grams: {error}",)

    def read_passages() -> tuple[list[str], list[str] | None]:
        measured = [passage.text for _, passage in reading().passages()]
        return measured, None if training_text is None else training_text.passages()["train"]

    notes = (*corpus.notes, *read.notes, *layout_notes, *notes)
    dataset = None if training_text is None else training_text.dataset
    return MeasuredText(file, read.ids, read.statistics, dataset, False, notes, read_passages)


def _open_foreign_corpus(file: str, origin: Origin, bundle: Bundle) -> Corpus:
    path = Path(file)
    if not file or not os.path.exists(path):
        raise CorpusError(
            f"There is no text file '{file[:100]}': --split must be valid, test, a text file or a folder of text files."
        )
    recorded = ReadingSettings() if origin.record is None else ReadingSettings.part_of(origin.record.settings)
    text = bundle.text
    transpose = "common" if text.transpose == "common" else "none"
    reading_settings = replace(
        recorded, encoding="auto", fold_width=text.fold_width, drop_latin=text.drop_latin, transpose=transpose
    )
    model_layout = Layout(text.passage, text.line_breaks)
    corpus = corpus_of([path], reading_settings)
    found = (corpus.layout_of(number, model_layout.passage) for number in range(len(corpus.files)))
    layouts = tuple(layout.for_model(model_layout) for layout in found)
    return replace(
        corpus, passage=model_layout.passage, line_breaks=model_layout.line_breaks, layouts=layouts, splits=()
    )


def _check_measurable(text: MeasuredText, bundle: Bundle, folder: Path) -> None:
    """Raise a CorpusError for a text that says nothing about the model: nothing to predict in it, or only UNKNOWN."""
    counted = np.bincount(text.ids, minlength=len(bundle.vocabulary))
    counted[[START, END]] = 0
    if not (text.ids[1:] != START).any() or not counted.any():
        raise CorpusError(f"{text.name} is too short: it has no token to predict. Give a longer text.")
    if counted[UNKNOWN] == counted.sum():
        raise CorpusError(
            f"{name_of(folder)} knows no word of {text.name}: give a text in the language of its training text."
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class Evaluation(Measurement):
    """How good a model is on a text, with facts about the model, its run and the text."""

    model: str
    """The name of the model's run."""
    split: str
    """`valid`, `test`, or the path of the text."""
    corpus: str
    """The name of the corpus that the model was trained on."""
    statistics: SplitStatistics
    """Counts of the text that the model was measured on."""
    finding: Finding | None
    """What the curves of the run show. None if they show nothing, or without a record."""
    settings: TrainSettings | None
    """The settings of the run. None if the folder of the model has no record."""
    can_be_extended: bool
    """Whether the run can go on for more epochs, with the same result as if it had begun with them."""
    folder: Path
    """The folder of the model."""
    by_characters: bool = False
    """Whether the tokens of the model are characters. Then nats per character are shown, too."""

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {shown_perplexity(loss.perplexity)}" for name, loss in self.losses())
        return f"Evaluation({self.model!r} on {self.split}: {figures})"

    def _repr_html_(self) -> str:
        """Return an HTML table of the model and the baselines, with the verdict, for notebooks."""
        columns: dict[str, Callable[[Loss], str]] = {
            "perplexity": lambda loss: shown_perplexity(loss.perplexity),
            "bits per character": lambda loss: f"{loss.bits_per(self.characters):.3f}",
        }
        if self.by_characters:
            columns["nats per character"] = lambda loss: f"{loss.nats_per(self.characters):.3f}"
        if notes := self.music_notes:
            columns["bits per note"] = lambda loss: f"{loss.bits_per(notes):.3f}"
        rows = [[name, *(shown(loss) for shown in columns.values())] for name, loss in self.losses()]
        return html_table(f"{self.model} on {self.split}", ["", *columns], rows, self.verdict or "")

    @property
    def perplexity(self) -> float:
        return self.loss.perplexity

    @property
    def tokens(self) -> int:
        """The number of predicted tokens: words, punctuation and END, but not START."""
        return self.loss.tokens

    @property
    def bits_per_character(self) -> float:
        """The bits of all predictions per character, separators included. Comparable between different tokenizers."""
        return self.loss.bits_per(self.characters)

    @property
    def bits_per_note(self) -> float | None:
        """The bits of all predictions divided by the number of notes. None if the text is no music."""
        return self.loss.bits_per(self.music_notes) if self.music_notes else None

    @property
    def unknown_share(self) -> float:
        """The share of words that the model reads as UNKNOWN."""
        return self.statistics.unknown / max(1, self.statistics.words)

    @property
    def spelled_share(self) -> float:
        """The share of words that the model spells out."""
        return self.statistics.spelled / max(1, self.statistics.words)

    @property
    def is_bad(self) -> bool:
        """Whether the model is not clearly better than word frequencies or n-grams."""
        return any(not clearly_better(self.loss, each) for each in (self.ngram, self.unigram) if each is not None)

    @property
    def verdict(self) -> str | None:
        """One sentence: whether the model is better than counting, and what the curves suggest."""
        return verdict(self.loss, self.finding, self.unigram, self.ngram, self.order)

    def to_mapping(self) -> dict[str, Any]:
        """Return the figures as a dictionary that can be written as JSON."""
        cached, dynamic, mixture = self.with_cache, self.dynamic, self.mixture
        return {
            "model": self.model,
            "corpus": self.corpus,
            "split": self.split,
            "tokens": self.tokens,
            "characters": self.characters,
            "music_notes": self.music_notes,
            "unknown_share": self.unknown_share,
            "spelled_share": self.spelled_share,
            **self.loss.to_mapping(self.characters, self.music_notes),
            "cache": None if cached is None else {**asdict(cached.cache), **self._compared(cached.loss)},
            "dynamic": None if dynamic is None else {"rate": dynamic.rate, **self._compared(dynamic.loss)},
            "mixture": None if mixture is None else {"weight": mixture.weight, **self._compared(mixture.loss)},
            "unigram": None if self.unigram is None else self._compared(self.unigram),
            "kneser_ney": None if self.ngram is None else {"order": self.order, **self._compared(self.ngram)},
            "fit": None if self.finding is None else self.finding.fit,
            "verdict": self.verdict,
            "novelty": None if self.novelty is None else self.novelty.to_mapping(),
            "music": None if self.music is None else self.music.to_mapping(),
            "notes": list(self.notes),
        }

    def _compared(self, loss: Loss) -> dict[str, Any]:
        """Return the figures of another loss, and whether it differs from that of the model by more than chance."""
        return {**loss.to_mapping(self.characters, self.music_notes), "differs": loss.differs(self.loss)}


def evaluate(
    model: str | Path | TrainedModel | None, split: str, settings: EvaluationSettings, watcher: Watcher
) -> Evaluation:
    """Measure how well a model predicts a text, and compare it with counting. See `wordgen.evaluate`."""
    folder = _folder_of(model)
    bundle, origin = _model_and_origin(folder)
    record = origin.record
    text = text_to_measure(origin, bundle, split, watcher)
    network = NumpyNetwork(bundle.architecture, bundle.weights)
    predicted = PredictedText(text.ids, network_nats(network, text.ids, watcher.predicting))
    with_cache, dynamic = _measure_adaptation(text, bundle, settings, watcher)
    order = order_for(bundle.text.tokenizer)
    unigram, ngram, mixture, counting_notes = _measure_baselines(text, network, predicted, order, watcher)
    novelty_figures, novelty_notes = _measure_novelty(text, bundle, settings.samples, watcher)
    music_notes, music = _measure_music(text, bundle, settings.samples, watcher)
    return Evaluation(
        model=name_of(folder),
        split=split,
        corpus=bundle.text.corpus,
        loss=Loss.of(predicted.nats, text.ids),
        with_cache=with_cache,
        dynamic=dynamic,
        unigram=unigram,
        ngram=ngram,
        order=order,
        mixture=mixture,
        novelty=novelty_figures,
        music_notes=music_notes,
        music=music,
        statistics=text.statistics,
        notes=(*text.notes, *counting_notes, *novelty_notes),
        finding=None if record is None else diagnose(record.curves),
        settings=None if record is None else record.settings,
        can_be_extended=origin.can_be_extended,
        folder=folder,
        by_characters=bundle.text.tokenizer == "characters",
        step=None if record is None else record.model_step,
        characters=text.statistics.all_characters,
    )


def save_evaluation(evaluated: Evaluation) -> bool:
    """Write the measurement to the folder of the model and return whether it was written.

    Only measurements on the validation or test set are written, and only if the folder has the record of the run.
    """
    if evaluated.split not in PARTS or evaluated.settings is None:
        return False
    measurement = Measurement(**{each.name: getattr(evaluated, each.name) for each in fields(Measurement)})
    if measurement.novelty is not None and not evaluated.settings.copy_index:
        measurement = replace(measurement, novelty=_without_copied_text(measurement.novelty))
    save_measurement(evaluated.folder, evaluated.split, measurement)
    return True


def _without_copied_text(novelty: Novelty) -> Novelty:
    """Remove the text of the longest matches: with `copy_index=False`, training text must not be passed on."""
    samples, held_out = (
        replace(each, longest=each.longest and replace(each.longest, text=""))
        for each in (novelty.samples, novelty.held_out)
    )
    return replace(novelty, samples=samples, held_out=held_out)


def _model_and_origin(folder: Path) -> tuple[Bundle, Origin]:
    """Return a model and its origin, both of the same step, even if the run saves a better model meanwhile."""
    while True:
        before, bundle, origin = Origin.of_folder(folder), load_bundle(folder), Origin.of_folder(folder)
        if before.model_step == origin.model_step:
            return bundle, origin


def _folder_of(model: str | Path | TrainedModel | None) -> Path:
    if not isinstance(model, TrainedModel):
        return find_model(model)
    if model.folder is None:
        raise SettingError(
            "This model has no folder: give wordgen.evaluate the name of a run or the folder of a model."
        )
    return model.folder


def _measure_adaptation(
    text: MeasuredText, bundle: Bundle, settings: EvaluationSettings, watcher: Watcher
) -> tuple[CacheLoss | None, DynamicLoss | None]:
    """Measure the network while it adapts to the text. The validation set of its own corpus sets how it adapts."""
    if settings.cache is None and not settings.dynamic:
        return None, None
    if text.training_dataset is None:
        raise CorpusError(
            "--cache and --dynamic need the validation set of the model's own corpus, which cannot be found: put the "
            "corpus back, or leave out these flags."
        )
    valid = text.training_dataset.ids["valid"]
    with_cache = dynamic = None
    if settings.cache is not None:
        with_cache = measure_with_cache(bundle, valid, text.ids, settings.cache, watcher.trying, watcher.adapting)
    if settings.dynamic:
        dynamic = measure_dynamic(bundle, valid, text.ids, watcher.trying, watcher.adapting)
    return with_cache, dynamic


def _measure_baselines(
    text: MeasuredText, network: NumpyNetwork, predicted: PredictedText, order: int, watcher: Watcher
) -> tuple[Loss | None, Loss | None, Mixture | None, tuple[str, ...]]:
    """Measure word frequencies and n-grams of the training text, and the n-grams mixed with the model. Add notes.

    The n-grams are left out if they would take more than half of the memory of the machine.
    """
    if text.training_dataset is None:
        return None, None, None, ()
    train, size = text.training_dataset.ids["train"], network.architecture.vocabulary_size
    unigram = unigram_loss(train, text.ids, size)
    needed = memory_of_ngrams(len(train), order)
    if needed > physical_memory() / 2:
        note = f"No comparison with a {order}-gram: counting would need {needed / 2**30:,.0f} GiB of memory."
        return unigram, None, None, (note,)
    watcher.counting(len(train), order)
    ngram = NgramModel(train, size, order)
    valid = text.training_dataset.ids["valid"]
    is_valid_set = text.ids is valid  # the network has read the validation set already
    valid_predicted = (
        predicted if is_valid_set else PredictedText(valid, network_nats(network, valid, watcher.weighing))
    )
    return unigram, *mix_with_ngram(ngram, valid_predicted, predicted)


def _measure_novelty(
    text: MeasuredText, bundle: Bundle, samples: int, watcher: Watcher
) -> tuple[Novelty | None, Sequence[str]]:
    """Compare how new the samples of the model are with how new the measured text is.

    Return None and no notes if there are no samples or no training text. Return None and a note if the search would
    take more than half of the memory of the machine.
    """
    if text.training_dataset is None or not samples:
        return None, ()
    tokens = len(text.training_dataset.ids["train"])
    needed = memory_of_words(tokens, bundle.vocabulary)
    if needed > physical_memory() / 2:
        return None, (f"No search for copies in generated text: it would need {needed / 2**30:,.0f} GiB of memory.",)
    written = write_samples(bundle, samples, watcher.writing)
    watcher.searching(tokens)
    return novelty(written, text.ids, text.training_dataset, text.held_out_name), ()


def _measure_music(
    text: MeasuredText, bundle: Bundle, samples: int, watcher: Watcher
) -> tuple[int | None, Music | None]:
    """Return the number of notes of the measured text, and how good the music of the model is compared with it.

    Return None twice if the model has not learned music. Without samples, the second value is None.
    """
    kind = _music_kind(bundle.text)
    if kind is None:
        return None, None
    (measured, training), max_tokens = text.read_passages(), text.longest_passage
    notes = notes_in(kind, measured)
    if not samples:
        return notes, None
    written = write_passages(bundle, samples, max_tokens, watcher.composing)
    return notes, compared_music(kind, written, measured, training, max_tokens, text.held_out_name)


def _music_kind(text: TextConfig) -> MusicKind | None:
    """Return what kind of music a model has learned. None for words, and for tunes that are cut into other passages."""
    if text.tokenizer in ("notes", "chords"):
        return text.tokenizer
    return "tunes" if text.passage == "tune" and text.tokenizer in ("abc", "characters") else None
