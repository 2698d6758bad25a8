"""What a network begins with."""

from pathlib import Path

import numpy as np
import pytest

from wordgen.corpus.finding import open_corpus
from wordgen.evaluation.measurement import log_frequencies
from wordgen.network.replicas import alone
from wordgen.run.settings import TrainSettings
from wordgen.run.train import prepare_run
from wordgen.training.reports import Observer
from wordgen.training.settings import OptimizerName
from wordgen.training.stopping import StopRequest
from wordgen.training.trainer import Trainer


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam"])
def test_the_bias_begins_with_the_frequencies_where_sgd_would_have_to_learn_them(
    in_empty_folder: Path, optimizer: OptimizerName
):
    """With RMSprop three layers then learn next to nothing for some epochs (docs/experiments.md, 2026-11-21)."""
    settings = TrainSettings(corpus="spells", layers=1, units=8, optimizer=optimizer, precision="float32")
    prepared = prepare_run(in_empty_folder / "run", open_corpus("spells"), settings, Observer(), StopRequest())
    trainer = Trainer(prepared, alone(), Observer())
    frequencies = log_frequencies(prepared.dataset.ids["train"], prepared.plan.architecture.vocabulary_size)
    expected = frequencies if optimizer == "sgd" else np.zeros_like(frequencies)
    np.testing.assert_array_equal(trainer.network.output_bias, expected)


def test_stopped_while_the_copy_index_is_made_nothing_of_it_is_left_and_nothing_is_learned(in_empty_folder: Path):
    settings = TrainSettings(corpus="spells", layers=1, units=8, precision="float32")
    stop, told = StopRequest(), list[tuple[int, int]]()

    class StopsAtOnce(Observer):
        def indexing(self, done: int, size: int) -> None:
            told.append((done, size))
            stop.signals.append(2)

    folder = in_empty_folder / "run"
    prepared = prepare_run(folder, open_corpus("spells"), settings, Observer(), stop)
    trainer = Trainer(prepared, alone(), StopsAtOnce())
    outcome = trainer.train(stop)
    assert outcome.stopped
    assert outcome.epochs == ()
    assert len(told) == 1
    assert not folder.exists() or not list(folder.iterdir())
