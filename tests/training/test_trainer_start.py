"""The trainer before its first step: the first weights, and a stop while the copy index is made."""

from pathlib import Path

import numpy as np
import pytest

from wordgen.corpus.finding import open_corpus
from wordgen.evaluation.measurement import log_frequencies
from wordgen.network.replicas import single_replica
from wordgen.run.settings import TrainSettings
from wordgen.run.train import prepare_run
from wordgen.training.reports import Observer
from wordgen.training.settings import OptimizerName
from wordgen.training.stopping import StopRequest
from wordgen.training.trainer import Trainer


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam"])
def test_output_bias_begins_with_log_frequencies_only_for_sgd(in_empty_folder: Path, optimizer: OptimizerName):
    """With RMSprop, three layers then learn almost nothing for some epochs (docs/experiments.md, 2026-11-20)."""
    settings = TrainSettings(corpus="spells", layers=1, units=8, optimizer=optimizer, precision="float32")
    prepared = prepare_run(in_empty_folder / "run", open_corpus("spells"), settings, Observer(), StopRequest())
    trainer = Trainer(prepared, single_replica(), Observer())
    frequencies = log_frequencies(prepared.dataset.ids["train"], prepared.plan.architecture.vocabulary_size)
    expected = frequencies if optimizer == "sgd" else np.zeros_like(frequencies)
    np.testing.assert_array_equal(trainer.network.output_bias, expected)


def test_stop_while_indexing_trains_nothing_and_leaves_no_files(in_empty_folder: Path):
    settings = TrainSettings(corpus="spells", layers=1, units=8, precision="float32")
    stop, reports = StopRequest(), list[tuple[int, int]]()

    class StopWhileIndexing(Observer):
        def indexing(self, done: int, size: int) -> None:
            reports.append((done, size))
            stop.signals.append(2)

    folder = in_empty_folder / "run"
    prepared = prepare_run(folder, open_corpus("spells"), settings, Observer(), stop)
    trainer = Trainer(prepared, single_replica(), StopWhileIndexing())
    outcome = trainer.train(stop)
    assert outcome.stopped
    assert outcome.epochs == ()
    assert len(reports) == 1
    assert not folder.exists() or not list(folder.iterdir())
