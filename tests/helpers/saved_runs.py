"""Makes runs in saved_models as a training does, without a training."""

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.helpers.bundles import make_bundle
from wordgen.corpus.catalogue import SPLITS
from wordgen.dataset.dataset import SplitStatistics
from wordgen.evaluation.measurement import Loss, Measurement
from wordgen.model.bundle import save_bundle
from wordgen.run.names import SAVED_MODELS
from wordgen.run.record import RunRecord, Versions, save_measurement, save_record
from wordgen.run.settings import TrainSettings
from wordgen.training.plan import DatasetRecord, TextRecord
from wordgen.training.reports import EpochReport

TOKENS = 10**9
"""The tokens of a made-up measurement: so many that its bits per character are exact to nine digits."""


def make_run(
    name: str,
    *,
    model: bool = True,
    test: float | None = None,
    bits: float | None = None,
    age: float = 0,
    **record: Any,
) -> Path:
    """Make a run of three epochs. `record` has the arguments of `made_record`."""
    folder = SAVED_MODELS / name
    folder.mkdir(parents=True)
    run_record = made_record(**record)
    save_record(folder, run_record)
    if model:
        save_bundle(make_bundle(), folder)
    if bits is not None and run_record.best is not None:
        save_measurement(folder, "valid", made_measurement(run_record.best.valid_perplexity, bits))
    if test is not None:
        save_measurement(folder, "test", made_measurement(test))
    for path in folder.iterdir():
        modified = path.stat().st_mtime - age
        os.utime(path, (modified, modified))
    return folder


def make_runs(*names: str) -> None:
    for name in names:
        make_run(name)


def made_record(
    valid: float = 31.21, *, settings: dict[str, Any] | None = None, dataset: DatasetRecord | None = None, **more: Any
) -> RunRecord:
    """Make a record. `settings` has the settings that differ from the defaults."""
    train_settings = TrainSettings(**{"corpus": "tale", "layers": 2, "units": 4, **(settings or {})})
    names = train_settings.corpus
    corpus = names if isinstance(names, str) else ", ".join(names)
    record = RunRecord(
        versions=Versions(wordgen="0.1.0", python="3.11.7", tensorflow="2.21.0", keras="3.15.1", numpy="2.4.0"),
        began="2026-11-21T20:19:00+00:00",
        settings=train_settings,
        recipe=None,
        text=TextRecord(corpus, "data/tale.txt", "english", "line", "joined", False, ()),
        dataset=made_dataset() if dataset is None else dataset,
        architecture=make_bundle().architecture,
        head_start=None,
        steps_per_epoch=10,
        epochs=(made_epoch(1, 2 * valid), made_epoch(2, valid, best=True), made_epoch(3, valid + 2.5)),
        best_epoch=2,
        ended="no better for 3 epochs",
        word_to_try="The",
    )
    return replace(record, **more)


def made_dataset(fingerprint: str = "f", characters: int = 2259) -> DatasetRecord:
    split = SplitStatistics(passages=8, tokens=532, unknown=53, characters=characters)
    return DatasetRecord(fingerprint, 1877, 3, dict.fromkeys(SPLITS, split))


def made_epoch(number: int, valid: float, **more: Any) -> EpochReport:
    report = EpochReport(
        number, 10 * number, train_perplexity=100 / number, valid_perplexity=valid, best=False, seconds=2.0, samples=()
    )
    return replace(report, **more)


def made_loss(perplexity: float) -> Loss:
    return Loss(TOKENS * math.log(perplexity), TOKENS)


def made_measurement(perplexity: float, bits: float = 1.25, **more: Any) -> Measurement:
    own = made_loss(perplexity)
    return replace(Measurement(step=20, characters=round(own.nats / math.log(2) / bits), loss=own, order=5), **more)
