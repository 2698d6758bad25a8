"""The record of a run: all that is known about it, as one typed value. Only this module reads and writes it.

Training writes report.json. The measurements of the model have a file of their own, evaluation.json, because `evaluate`
may run during the training. Each measurement has the step at which its model was saved.
"""

import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from wordgen.errors import BundleError, SettingError, StorageError, reason_of
from wordgen.evaluation.measurement import PARTS, Loss, Measurement, Part
from wordgen.evaluation.verdict import Curves, diagnose, verdict
from wordgen.files import read_json, write_atomically
from wordgen.model.architecture import Architecture
from wordgen.model.bundle import HeadStart
from wordgen.run.names import EVALUATION, REPORT
from wordgen.run.settings import TrainSettings
from wordgen.text.tokenizers import MUSIC_TOKENIZERS
from wordgen.training.plan import DatasetRecord, TextRecord, has_constant_rate
from wordgen.training.reports import Ending, EpochReport, Observer, SampleReport, TrainingStart, best_of, in_order
from wordgen.training.typed_json import from_json, to_json

DIVERGED, STOPPED = "diverged", "stopped"
"""Two values of `RunRecord.ended` that programs check. All other values are reasons in words."""
_FORMAT = 9
_MAX_BYTES = 2**28
_READ_ERRORS = (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError, SettingError)


@dataclass(frozen=True, kw_only=True)
class Versions:
    wordgen: str
    python: str
    tensorflow: str
    keras: str
    numpy: str


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """All that is known of a run."""

    versions: Versions
    began: str
    """The time when the run began: UTC, in ISO 8601 format."""
    settings: TrainSettings
    recipe: str | None
    text: TextRecord
    dataset: DatasetRecord
    architecture: Architecture
    head_start: HeadStart | None
    """The base whose weights the run began with."""
    steps_per_epoch: int
    devices: str | None = None
    """The devices that the run was trained on, in words."""
    epochs: tuple[EpochReport, ...] = ()
    validations: tuple[EpochReport, ...] = ()
    """The validations within epochs."""
    samples: tuple[SampleReport, ...] = ()
    """The samples that were written within epochs."""
    best_epoch: int | None = None
    """The epoch whose model is saved."""
    best_step: int | None = None
    """The step of the saved model, if it was validated within the epoch. None if it is that of the end of the epoch."""
    ended: str | None = None
    """Why the run ended. None during the training, or if the run was killed."""
    seconds: float | None = None
    unigram_perplexity: float | None = None
    """Perplexity of word frequencies alone on the validation set."""
    word_to_try: str | None = None
    measurements: Mapping[Part, Measurement] = field(default_factory=dict)
    """The measurements of the model on the validation and test set. They may belong to a model of an earlier step."""

    def __post_init__(self) -> None:
        if self.steps_per_epoch < 1:
            raise ValueError("steps_per_epoch cannot be below 1")

    @property
    def best(self) -> EpochReport | None:
        if self.best_step is not None:
            return next((each for each in reversed(self.validations) if each.step == self.best_step), None)
        return next((epoch for epoch in reversed(self.epochs) if epoch.epoch == self.best_epoch), None)

    @property
    def is_music(self) -> bool:
        return self.text.tokenizer in MUSIC_TOKENIZERS

    @property
    def model_step(self) -> int | None:
        """The step at which the model was saved."""
        return None if self.best is None else self.best.step

    @property
    def measured(self) -> Mapping[Part, Measurement]:
        """The measurements of the model that is saved now, without those of earlier models."""
        found: dict[Part, Measurement] = {part: self.measurements[part] for part in PARTS if part in self.measurements}
        return {part: measurement for part, measurement in found.items() if measurement.step == self.model_step}

    @property
    def all_validations(self) -> list[EpochReport]:
        """The validations at the end of epochs and within them, in the order of their steps."""
        return in_order((*self.epochs, *self.validations))

    def epochs_done(self, epoch: EpochReport) -> float:
        """Return how many epochs were done at this report: not a whole number within an epoch."""
        return epoch.step / self.steps_per_epoch

    def is_complete(self, epoch: EpochReport) -> bool:
        return self.epochs_done(epoch) >= epoch.epoch

    @property
    def training_seconds(self) -> float:
        """The training time of all epochs in seconds, without the pauses of a run that was interrupted."""
        latest = {each.epoch: each.seconds for each in self.all_validations}  # that of the epoch so far
        return sum(latest.values())

    @property
    def word_frequencies(self) -> float | None:
        """Perplexity of word frequencies alone on the validation set."""
        valid = self.measured.get("valid")
        return self.unigram_perplexity if valid is None or valid.unigram is None else valid.unigram.perplexity

    @property
    def ngram(self) -> tuple[int, float] | None:
        """Order (n) and perplexity of the n-grams on the validation set."""
        valid = self.measured.get("valid")
        return None if valid is None or valid.ngram is None else (valid.order, valid.ngram.perplexity)

    @property
    def evaluation(self) -> dict[str, int | bool | None]:
        """The settings of `evaluate` that were used on the test set, or else on the validation set."""
        found = self.measured.get("test") or self.measured.get("valid")
        if found is None:
            return {}
        cache = None if found.with_cache is None else found.with_cache.cache.size
        samples = {} if found.novelty is None else {"samples": found.novelty.samples.texts}
        return {"cache": cache, "dynamic": found.dynamic is not None, **samples}

    @property
    def has_constant_rate(self) -> bool:
        """Whether the learning rate did not fall in the epochs so far."""
        return has_constant_rate(self.settings, self.steps_per_epoch, self.epochs)

    @property
    def curves(self) -> Curves:
        """The curves of all epochs. The last epoch may have been interrupted."""
        last_epoch_interrupted = bool(self.epochs) and not self.is_complete(self.epochs[-1])
        settings = self.settings
        return Curves(
            [each.train_perplexity for each in self.epochs],
            [each.valid_perplexity for each in self.epochs],
            longer_training=settings.longer_training(at_least=len(self.epochs) - last_epoch_interrupted),
            dropout=settings.active_rates(settings.layers),
            units=settings.units,
            learning_rate=settings.first_learning_rate,
            has_constant_rate=self.has_constant_rate,
            has_base=settings.init_from is not None,
            diverged=self.ended == DIVERGED,
            last_epoch_interrupted=last_epoch_interrupted,
        )

    @property
    def verdict(self) -> str | None:
        """How the model compares with counting on the validation set, and what the curves suggest."""
        if self.best is None:
            return None
        valid, found = self.measured.get("valid"), diagnose(self.curves)
        if valid is not None:
            return verdict(valid.loss, found, valid.unigram, valid.ngram, valid.order)
        frequencies = None if self.unigram_perplexity is None else _loss(self.unigram_perplexity)
        return verdict(_loss(self.best.valid_perplexity), found, frequencies, None, 0)


def _loss(perplexity: float) -> Loss:
    """Return a loss with this perplexity. It is for one token, because the number of tokens does not matter."""
    return Loss(math.log(perplexity), 1)


def load_record(folder: Path) -> RunRecord:
    """Read the record and the measurements of a run. Raise a BundleError if the record is missing or invalid."""
    try:
        report = read_json(folder / REPORT, _MAX_BYTES)
        if report["format"] != _FORMAT:
            raise BundleError(
                f"The report in {folder} has format {report['format']!r}, but this version of wordgen reads format "
                f"{_FORMAT}: use the version that wrote it, or train a new run."
            )
        content = {name: value for name, value in report.items() if name != "format"}
        record = from_json(RunRecord, {**content, "measurements": {}}, "the report")
    except _READ_ERRORS as error:
        raise BundleError(
            f"The report in {folder} cannot be read ({reason_of(error)}). Without it, the run cannot be resumed and "
            "its text cannot be found: train a new run."
        ) from error
    return replace(record, measurements=_measurements(folder))


def save_record(folder: Path, record: RunRecord) -> None:
    """Write report.json. The file with the measurements does not change."""
    content = {each.name: getattr(record, each.name) for each in fields(record) if each.name != "measurements"}
    _write(folder / REPORT, {"format": _FORMAT, **content})


def save_measurement(folder: Path, part: Part, measurement: Measurement) -> None:
    """Add a measurement to evaluation.json. It replaces an older one on the same set.

    Optional figures that were not measured this time are taken from the older one, if it belongs to the same model.
    """
    before = _measurements(folder)
    older = before.get(part)
    if older is not None and older.step == measurement.step:
        kept = {name: getattr(measurement, name) or getattr(older, name) for name in _OPTIONAL_FIGURES}
        measurement = replace(measurement, **kept)
    _write(folder / EVALUATION, {"format": _FORMAT, "parts": {**before, part: measurement}})


_OPTIONAL_FIGURES = ("with_cache", "dynamic", "novelty", "music")


def _measurements(folder: Path) -> dict[Part, Measurement]:
    """Read evaluation.json. Return no measurements if the file is missing or cannot be read."""
    with suppress(*_READ_ERRORS):
        content = read_json(folder / EVALUATION, _MAX_BYTES)
        if content["format"] == _FORMAT:
            return from_json(dict[Part, Measurement], content["parts"], "the evaluation")
    return {}


def _write(path: Path, content: Mapping[str, object]) -> None:
    text = json.dumps(to_json(content), ensure_ascii=False, allow_nan=False, indent=1)
    write_atomically(path, text.encode("utf-8", "replace"))


class RecordWriter(Observer):
    """Writes the record after every epoch, so that an interrupted run has a record, too."""

    def __init__(self, folder: Path, record: RunRecord) -> None:
        self._folder = folder
        self.record = record

    def begun(self, start: TrainingStart) -> None:
        best = best_of((*start.finished_epochs, *start.validations))
        self._update(devices=start.devices)
        known = self.record.best
        # A model is saved before the checkpoint that records it, so the saved model may be newer than the checkpoint.
        if best is not None and (known is None or known.step < best.step):
            self._update(**_best_fields(best))

    def validated(self, report: EpochReport) -> None:
        self._update_and_write(validations=self._up_to(report, self.record.validations))

    def sampled(self, report: SampleReport) -> None:
        before = [each for each in self.record.samples if each.step < report.step]
        self._update_and_write(samples=(*before, report))

    def epoch_ended(self, report: EpochReport) -> None:
        others = [each for each in self.record.epochs if each.epoch != report.epoch]
        self._update_and_write(epochs=self._up_to(report, others))

    def _up_to(self, report: EpochReport, others: Iterable[EpochReport]) -> tuple[EpochReport, ...]:
        """Return this report after those of earlier steps.

        A resumed run may repeat some steps after its last checkpoint: newer reports replace older ones. Only the report
        of the saved model stays until the run saves another model.
        """
        saved = self.record.best
        kept = [each for each in others if each.step < report.step or (each is saved and each.step > report.step)]
        return tuple(in_order((*kept, report)))

    def model_saved(self, report: EpochReport) -> None:
        """Note the best validation. It is that of the saved model, so the record waits until the model is saved."""
        self._update_and_write(**_best_fields(report))

    def ended(self, ending: Ending) -> None:
        self._update(
            ended=ending.reason,
            seconds=ending.seconds,
            unigram_perplexity=ending.unigram_perplexity,
            word_to_try=ending.word_to_try,
        )
        self.write()

    def diverged(self) -> None:
        """Note that the run diverged. A run that diverges gets no `ended` event."""
        self._update(ended=DIVERGED)
        self.write()

    def compared(self, measurement: Measurement) -> None:
        save_measurement(self._folder, "valid", measurement)

    def write(self) -> None:
        save_record(self._folder, self.record)

    def _update(self, **changes: Any) -> None:
        self.record = replace(self.record, **changes)

    def _update_and_write(self, **changes: Any) -> None:
        self._update(**changes)
        with suppress(StorageError):  # saving the model warns about a full disk, and the end writes the record again
            self.write()


def _best_fields(report: EpochReport) -> dict[str, int | None]:
    return {"best_epoch": report.epoch, "best_step": report.step if report.within_epoch else None}
