"""Evaluate a trained model on a set of its own corpus or on any text, and compare it with counting.

This module does not use TensorFlow (only `dynamic` does): NumPy measures a validation or test set in less time than
TensorFlow needs to start.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from wordgen.dataset.dataset import SplitStatistics, TextConfig
from wordgen.errors import CorpusError, SettingError
from wordgen.evaluation.figures import shown_perplexity
from wordgen.evaluation.measurement import (
    PARTS,
    Loss,
    Measurement,
    Mixture,
    Novelty,
    WhileLearning,
    WithCache,
    unigram_loss,
)
from wordgen.evaluation.music import Music, MusicKind, compared_music, notes_in
from wordgen.evaluation.novelty import memory_of_words, novelty, write_passages, write_samples
from wordgen.evaluation.settings import EvaluationSettings, Watcher
from wordgen.evaluation.text_loss import Predicted, mixed_with, network_nats, while_learning, with_cache
from wordgen.evaluation.verdict import Finding, clearly_better, finding, verdict
from wordgen.generation.prediction import NgramModel, NumpyNetwork, memory_of_ngrams, order_for
from wordgen.generation.trained import TrainedModel
from wordgen.model.bundle import Bundle, load_bundle
from wordgen.run.folder import find_model
from wordgen.run.measured_text import MeasuredText, Origin, text_to_measure
from wordgen.run.names import name_of
from wordgen.run.record import keep_measurement
from wordgen.run.settings import TrainSettings
from wordgen.training.memory import physical_memory
from wordgen.training.screen import html_table


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
    can_go_on: bool
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
        return self.own.perplexity

    @property
    def tokens(self) -> int:
        """The number of predicted tokens: words, punctuation and END, but not START."""
        return self.own.tokens

    @property
    def bits_per_character(self) -> float:
        """The bits of all predictions divided by the number of characters, including the separators of passages.

        This figure can be compared between models with different tokenizers.
        """
        return self.own.bits_per(self.characters)

    @property
    def bits_per_note(self) -> float | None:
        """The bits of all predictions divided by the number of notes. None if the text is no music."""
        return self.own.bits_per(self.music_notes) if self.music_notes else None

    @property
    def unknown_share(self) -> float:
        """The share of words that the model reads as UNKNOWN."""
        return self.statistics.unknown / max(1, self.statistics.words)

    @property
    def spelled_share(self) -> float:
        """The share of words that the model spells out."""
        return self.statistics.spelled / max(1, self.statistics.words)

    @property
    def bad(self) -> bool:
        """Whether the model is not clearly better than word frequencies or n-grams."""
        return any(not clearly_better(self.own, each) for each in (self.ngram, self.unigram) if each is not None)

    @property
    def verdict(self) -> str | None:
        """One sentence: whether the model is better than counting, and what the curves suggest."""
        return verdict(self.own, self.finding, self.unigram, self.ngram, self.order)

    def to_mapping(self) -> dict[str, Any]:
        """Return the figures as a dictionary that can be written as JSON."""
        cached, learning, mixture = self.with_cache, self.while_learning, self.mixture
        return {
            "model": self.model,
            "corpus": self.corpus,
            "split": self.split,
            "tokens": self.tokens,
            "characters": self.characters,
            "music_notes": self.music_notes,
            "unknown_share": self.unknown_share,
            "spelled_share": self.spelled_share,
            **self.own.to_mapping(self.characters, self.music_notes),
            "cache": None if cached is None else {**asdict(cached.cache), **self._compared(cached.loss)},
            "dynamic": None if learning is None else {"rate": learning.rate, **self._compared(learning.loss)},
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
        return {**loss.to_mapping(self.characters, self.music_notes), "differs": loss.differs(self.own)}


def evaluate(
    model: str | Path | TrainedModel | None = None,
    split: str | Path = "test",
    watcher: Watcher | None = None,
    *,
    samples: int = EvaluationSettings.samples,
    cache: int | None = None,
    dynamic: bool = False,
) -> Evaluation:
    """Measure how well a model predicts a text, and compare it with counting.

    See `wordgen.evaluate`, which has the same parameters. The texts of `samples` are the same in each call.
    """
    settings = EvaluationSettings(samples=samples, cache=cache, dynamic=dynamic)
    return _evaluation(_folder_of(model), str(split), settings, watcher or Watcher())


def _evaluation(folder: Path, split: str, settings: EvaluationSettings, watcher: Watcher) -> Evaluation:
    bundle, origin = _model_and_origin(folder)
    record = origin.record
    text = text_to_measure(origin, bundle, split, watcher)
    network = NumpyNetwork(bundle.architecture, bundle.weights)
    predicted = Predicted(text.ids, network_nats(network, text.ids, watcher.predicting))
    with_cache, while_learning = _adapted(text, bundle, settings, watcher)
    order = order_for(bundle.text.tokenizer)
    counted = _counted(text, network, predicted, order, watcher)
    new, left_out = _novelty(text, bundle, settings.samples, watcher)
    music_notes, music = _music(text, bundle, settings.samples, watcher)
    return Evaluation(
        model=name_of(folder),
        split=split,
        corpus=bundle.text.corpus,
        own=Loss.of(predicted.nats, text.ids),
        with_cache=with_cache,
        while_learning=while_learning,
        unigram=counted.unigram,
        ngram=counted.ngram,
        order=order,
        mixture=counted.mixture,
        novelty=new,
        music_notes=music_notes,
        music=music,
        statistics=text.statistics,
        notes=(*text.notes, *counted.notes, *left_out),
        finding=None if record is None else finding(record.curves),
        settings=None if record is None else record.settings,
        can_go_on=origin.can_go_on,
        folder=folder,
        by_characters=bundle.text.tokenizer == "characters",
        step=None if record is None else record.model_step,
        characters=text.statistics.all_characters,
    )


def keep(evaluated: Evaluation) -> bool:
    """Write the measurement to the folder of the model and return whether it was written.

    Only measurements on the validation or test set are written, and only if the folder has the record of the run.
    """
    if evaluated.split not in PARTS or evaluated.settings is None:
        return False
    measurement = Measurement(**{each.name: getattr(evaluated, each.name) for each in fields(Measurement)})
    if measurement.novelty is not None and not evaluated.settings.copy_index:
        measurement = replace(measurement, novelty=_without_copied_text(measurement.novelty))
    keep_measurement(evaluated.folder, evaluated.split, measurement)
    return True


def _without_copied_text(novelty: Novelty) -> Novelty:
    """Remove the text of the longest matches.

    This is for runs with `copy_index=False`, whose training text must not be passed on with the model.
    """
    samples, held_out = (
        replace(each, longest=each.longest and replace(each.longest, text=""))
        for each in (novelty.samples, novelty.held_out)
    )
    return replace(novelty, samples=samples, held_out=held_out)


def _model_and_origin(folder: Path) -> tuple[Bundle, Origin]:
    """Return a model and its origin, both of the same step, even if the run saves a better model meanwhile."""
    while True:
        before, bundle, origin = Origin.beside(folder), load_bundle(folder), Origin.beside(folder)
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


def _adapted(
    text: MeasuredText, bundle: Bundle, settings: EvaluationSettings, watcher: Watcher
) -> tuple[WithCache | None, WhileLearning | None]:
    """Measure the network while it adapts to the text. The validation set of its own corpus sets how it adapts."""
    if settings.cache is None and not settings.dynamic:
        return None, None
    if text.learned is None:
        raise CorpusError(
            "--cache and --dynamic need the validation set of the model's own corpus, which cannot be found: put the "
            "corpus back, or leave out these flags."
        )
    valid = text.learned.ids["valid"]
    cached = learned = None
    if settings.cache is not None:
        cached = with_cache(bundle, valid, text.ids, settings.cache, watcher.trying, watcher.adapting)
    if settings.dynamic:
        learned = while_learning(bundle, valid, text.ids, watcher.trying, watcher.adapting)
    return cached, learned


@dataclass(frozen=True)
class _Counted:
    """The losses of word frequencies and n-grams on a text, and of the n-grams mixed with the model."""

    unigram: Loss | None = None
    ngram: Loss | None = None
    mixture: Mixture | None = None
    notes: tuple[str, ...] = ()


def _counted(text: MeasuredText, network: NumpyNetwork, own: Predicted, order: int, watcher: Watcher) -> _Counted:
    """Measure word frequencies and n-grams of the training text, and the n-grams mixed with the model.

    The n-grams are left out if they would take more than half of the memory of the machine.
    """
    if text.learned is None:
        return _Counted()
    train, size = text.learned.ids["train"], network.architecture.vocabulary_size
    unigram = unigram_loss(train, text.ids, size)
    needed = memory_of_ngrams(len(train), order)
    if needed > physical_memory() / 2:
        note = f"No comparison with a {order}-gram: counting would need {needed / 2**30:,.0f} GiB of memory."
        return _Counted(unigram, notes=(note,))
    watcher.counting(len(train), order)
    ngram = NgramModel(train, size, order)
    valid = text.learned.ids["valid"]
    same = text.ids is valid  # the network has read the validation set already
    of_valid = own if same else Predicted(valid, network_nats(network, valid, watcher.weighing))
    return _Counted(unigram, *mixed_with(ngram, of_valid, own))


def _novelty(
    text: MeasuredText, bundle: Bundle, samples: int, watcher: Watcher
) -> tuple[Novelty | None, Sequence[str]]:
    """Compare how new the samples of the model are with how new the measured text is.

    Return None and no notes if there are no samples or no training text. Return None and a note if the search would
    take more than half of the memory of the machine.
    """
    if text.learned is None or not samples:
        return None, ()
    tokens = len(text.learned.ids["train"])
    needed = memory_of_words(tokens, bundle.vocabulary)
    if needed > physical_memory() / 2:
        return None, (f"No search for copies in generated text: it would need {needed / 2**30:,.0f} GiB of memory.",)
    written = write_samples(bundle, samples, watcher.writing)
    watcher.searching(tokens)
    return novelty(written, text.ids, text.learned, text.beside), ()


def _music(text: MeasuredText, bundle: Bundle, samples: int, watcher: Watcher) -> tuple[int | None, Music | None]:
    """Return the number of notes of the measured text, and how good the music of the model is beside it.

    Return None twice if the model has not learned music. Without samples, the second value is None.
    """
    kind = _music_kind(bundle.text)
    if kind is None:
        return None, None
    passages, most = text.read_passages(), text.longest_passage
    notes = notes_in(kind, passages.measured)
    if not samples:
        return notes, None
    written = write_passages(bundle, samples, most, watcher.composing)
    return notes, compared_music(kind, written, passages.measured, passages.training, most, text.beside)


def _music_kind(text: TextConfig) -> MusicKind | None:
    """Return what kind of music a model has learned. None for words, and for tunes that are cut into other passages."""
    if text.tokenizer in ("notes", "chords"):
        return text.tokenizer
    return "tunes" if text.passage == "tune" and text.tokenizer in ("abc", "characters") else None
