"""Runs in saved_models as a training leaves them, without one."""

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
from wordgen.run.record import RunRecord, Versions, keep_measurement, save_record
from wordgen.run.settings import TrainSettings
from wordgen.training.plan import DatasetRecord, TextRecord
from wordgen.training.reports import EpochReport

TOKENS = 10**9
"""Of a made-up measurement: so many that its bits per character are as asked for, to nine digits."""


def make_run(
    name: str,
    *,
    model: bool = True,
    test: float | None = None,
    bits: float | None = None,
    age: float = 0,
    **record: Any,
) -> Path:
    """A run of three epochs; what is not as usual in its record is given by name."""
    folder = SAVED_MODELS / name
    folder.mkdir(parents=True)
    made = made_record(**record)
    save_record(folder, made)
    if model:
        save_bundle(make_bundle(), folder)
    if bits is not None and made.best is not None:
        keep_measurement(folder, "valid", made_measurement(made.best.valid_perplexity, bits))
    if test is not None:
        keep_measurement(folder, "test", made_measurement(test))
    for path in folder.iterdir():
        time = path.stat().st_mtime - age
        os.utime(path, (time, time))
    return folder


def make_runs(*names: str) -> None:
    for name in names:
        make_run(name)


def made_record(
    valid: float = 31.21, *, settings: dict[str, Any] | None = None, dataset: DatasetRecord | None = None, **more: Any
) -> RunRecord:
    """`settings` are those that are not as by default."""
    chosen = TrainSettings(**{"corpus": "tale", "layers": 2, "units": 4, **(settings or {})})
    corpus = chosen.corpus if isinstance(chosen.corpus, str) else ", ".join(chosen.corpus)
    made = RunRecord(
        versions=Versions(wordgen="0.1.0", python="3.11.7", tensorflow="2.21.0", keras="3.15.1", numpy="2.4.0"),
        began="2026-11-21T20:19:00+00:00",
        settings=chosen,
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
    return replace(made, **more)


def made_dataset(fingerprint: str = "f", characters: int = 2259) -> DatasetRecord:
    split = SplitStatistics(passages=8, tokens=532, unknown=53, characters=characters)
    return DatasetRecord(fingerprint, 1877, 3, dict.fromkeys(SPLITS, split))


def made_epoch(number: int, valid: float, **more: Any) -> EpochReport:
    made = EpochReport(
        number, 10 * number, train_perplexity=100 / number, valid_perplexity=valid, best=False, seconds=2.0, samples=()
    )
    return replace(made, **more)


def made_loss(perplexity: float) -> Loss:
    return Loss(TOKENS * math.log(perplexity), TOKENS)


def made_measurement(perplexity: float, bits: float = 1.25, **more: Any) -> Measurement:
    own = made_loss(perplexity)
    return replace(Measurement(step=20, characters=round(own.nats / math.log(2) / bits), own=own, order=5), **more)
