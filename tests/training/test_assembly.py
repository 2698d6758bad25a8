"""What a network begins with."""

from pathlib import Path

import numpy as np
import pytest

from wordgen.corpora.finding import open_corpus
from wordgen.evaluation.baselines import log_frequencies
from wordgen.model.replicas import alone
from wordgen.run_plan import prepare_run
from wordgen.run_settings import TrainSettings
from wordgen.training.assembly import Learner
from wordgen.training.settings import OptimizerName
from wordgen.training.stopping import StopRequest


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam"])
def test_the_bias_begins_with_the_frequencies_where_sgd_would_have_to_learn_them(
    in_empty_folder: Path, optimizer: OptimizerName
):
    """With RMSprop three layers then learn next to nothing for some epochs (docs/experiments.md, 2026-11-21)."""
    settings = TrainSettings(corpus="spells", layers=1, units=8, optimizer=optimizer, precision="float32")
    prepared = prepare_run(in_empty_folder / "run", open_corpus("spells"), settings, (), StopRequest())
    learner = Learner(prepared.plan, prepared.dataset, prepared.batches, alone(), (), 0.0)
    frequencies = log_frequencies(prepared.dataset.ids["train"], prepared.plan.architecture.vocabulary_size)
    expected = frequencies if optimizer == "sgd" else np.zeros_like(frequencies)
    np.testing.assert_array_equal(learner.network.output_bias, expected)
