"""What TensorBoard finds in the files: read back with its own reader."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData  # pyright: ignore

from tests.helpers.bundles import make_bundle
from tests.helpers.curves import curve, events, text
from tests.helpers.plans import plan
from tests.helpers.saved_runs import made_loss, made_measurement
from wordgen.corpus.finding import open_corpus
from wordgen.dataset.dataset import Dataset
from wordgen.dataset.encoding import prepare
from wordgen.evaluation.measurement import predicted_tokens
from wordgen.text.settings import TextSettings
from wordgen.training.event_file import EventFile
from wordgen.training.reports import Begun, Ending, EpochReport, Sample, SampleReport, StepReport
from wordgen.training.settings import TrainingSettings
from wordgen.training.tensorboard import (
    BITS,
    DISTINCT,
    GRADIENT_NORM,
    LOSS,
    PERPLEXITY,
    REPORT,
    SAMPLES,
    TensorBoardWriter,
    write_projector,
)


def test_a_run_that_goes_on_takes_back_what_it_does_again(tmp_path: Path):
    for first, last, value in ((1, 50, 1.0), (31, 60, 2.0)):
        file = EventFile(tmp_path, first)
        for step in range(first, last + 1):
            file.number("loss", value, step)
        file.close()
    assert curve(tmp_path, "loss") == [(step, 1.0 if step < 31 else 2.0) for step in range(1, 61)]


def test_a_run_goes_on_in_the_same_curve_where_the_clock_is_behind(tmp_path: Path):
    file = EventFile(tmp_path, 1)
    file.number("loss", 1.0, 1)
    file.close()
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / f"events.out.tfevents.{int(time.time()) + 3600}.another-machine.7.0")
    for step in range(2, 15):  # all within a second
        file = EventFile(tmp_path, step)
        file.number("loss", float(step), step)
        file.close()
    assert curve(tmp_path, "loss") == [(step, float(step)) for step in range(1, 15)]


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_its_curves_anew(tmp_path: Path):
    for _ in range(2):
        file = EventFile(tmp_path, 1)
        file.text("plan", "as it is", 0)
        for step in range(4):
            file.number("loss", 1.0, step)
        file.close()  # and killed
    assert [step for step, _ in curve(tmp_path, "loss")] == [0, 1, 2, 3]
    assert len(list(tmp_path.iterdir())) == 1


def test_the_last_event_of_a_killed_run_may_be_torn(tmp_path: Path):
    file = EventFile(tmp_path, 1)
    for step in range(1, 21):
        file.number("loss", 1.0, step)
    file.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-3])
    again = EventFile(tmp_path, 16)
    again.number("loss", 2.0, 16)
    again.close()
    assert curve(tmp_path, "loss") == [*((step, 1.0) for step in range(1, 16)), (16, 2.0)]


def test_a_sample_is_told_as_it_stands(tmp_path: Path):
    file = EventFile(tmp_path, 1)
    file.text("tale", "# once\n<b>*upon*</b> a time", 1)
    file.close()
    assert text(tmp_path, "tale") == "    # once\n    <b>*upon*</b> a time"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepare(open_corpus("spells"), TextSettings(), tmp_path_factory.mktemp("encoded"))


Writing = Callable[..., TensorBoardWriter]


@pytest.fixture
def writing(tmp_path: Path, dataset: Dataset) -> Iterator[Writing]:
    warnings: list[str] = []

    def make(**settings: Any) -> TensorBoardWriter:
        planned = replace(
            plan(),
            folder=tmp_path,
            dataset=replace(plan().dataset, splits=dataset.statistics),
            settings=TrainingSettings(**settings),
        )
        weights = {"embedding": np.ones((303, 2), np.float32)}
        return TensorBoardWriter(planned, dataset, {"corpus": "tale", "layers": 3}, lambda: weights, warnings.append)

    yield make
    assert warnings == []


EPOCH = EpochReport(
    1,
    20,
    train_perplexity=9.0,
    valid_perplexity=8.0,
    best=True,
    seconds=61.0,
    samples=(Sample("greedy", "a <text>", "Once"), Sample("sample", "b")),
    averaged=False,
)


def written(writer: TensorBoardWriter, first_step: int = 1) -> None:
    writer.begun(Begun("one CPU", "float32", 40, first_step))
    for step in range(first_step, 21):
        writer.stepped(StepReport(1, step, step, 2.0, 0.5, 0.001, 100, 0.1, first=step == 1))
    writer.epoch_ended(EPOCH)
    writer.close()


def test_train_and_valid_share_a_chart(writing: Writing, tmp_path: Path):
    written(writing())
    assert curve(tmp_path / "train", PERPLEXITY) == [(20, 9.0)]
    assert curve(tmp_path / "valid", PERPLEXITY) == [(20, 8.0)]
    assert curve(tmp_path / "train", LOSS) == [(1, 2.0), (10, 2.0), (20, 2.0)]


def test_validations_and_samples_within_an_epoch_are_points_at_their_steps(writing: Writing, tmp_path: Path):
    writer = writing(log_every=7)
    writer.begun(Begun("one CPU", "float32", 40, 1))
    for step in range(1, 21):
        writer.stepped(StepReport(1, step, step, 2.0, 0.5, 0.001, 100, 0.1, first=step == 1))
        if step == 8:
            writer.validated(replace(EPOCH, step=8, valid_perplexity=7.0, samples=(), within=True))
            writer.sampled(SampleReport(1, 8, (Sample("sample", "words"),), 0.5, 3))
    writer.epoch_ended(EPOCH)
    writer.close()
    assert curve(tmp_path / "valid", PERPLEXITY) == [(8, 7.0), (20, 8.0)]
    assert curve(tmp_path / "train", PERPLEXITY) == [(20, 9.0)]
    assert curve(tmp_path / "train", LOSS) == [(1, 2.0), (7, 2.0), (14, 2.0)]
    assert curve(tmp_path / "valid", DISTINCT) == [(8, 0.5)]
    assert [event.step for event in events(tmp_path).Tensors(f"{SAMPLES}/sampled without prompt")] == [8, 20]


def test_the_validation_of_a_run_that_was_stopped_within_an_epoch_is_gone_once_it_goes_on(
    writing: Writing, tmp_path: Path
):
    written(writing())  # stopped at step 20, within its first epoch
    writer, whole = writing(), replace(EPOCH, step=40, valid_perplexity=7.0)
    writer.begun(Begun("one CPU", "float32", 80, 21))
    writer.epoch_ended(whole)
    writer.close()
    assert curve(tmp_path / "valid", PERPLEXITY) == [(40, 7.0)]
    assert [step for step, _ in curve(tmp_path / "train", LOSS)] == [1, 10, 20]
    writer = writing()
    writer.begun(Begun("one CPU", "float32", 80, 41, (whole,)))
    writer.close()
    assert curve(tmp_path / "valid", PERPLEXITY) == [(40, 7.0)]


def test_samples_of_a_run_that_was_stopped_before_its_first_model_are_gone_once_it_goes_on(
    writing: Writing, tmp_path: Path
):
    writer = writing(histograms=True)
    writer.begun(Begun("one CPU", "float32", 40, 1))
    writer.sampled(SampleReport(1, 8, (Sample("sample", "words"),), 0.5, 3))
    writer.epoch_ended(replace(EPOCH, distinct_2=0.6, longest_copy=4))  # stopped at step 20, within its first epoch
    writer.close()
    writer = writing()
    writer.begun(Begun("one CPU", "float32", 80, 21, sampled=8))
    writer.close()
    assert [event.step for event in events(tmp_path).Tensors(f"{SAMPLES}/sampled without prompt")] == [8]
    assert curve(tmp_path / "valid", DISTINCT) == [(8, 0.5)]
    tags = events(tmp_path).Tags()["tensors"]
    assert f"{SAMPLES}/greedy with prompt Once" not in tags
    assert "embedding" not in tags


def test_bits_per_character_are_those_of_all_predicted_tokens(writing: Writing, tmp_path: Path, dataset: Dataset):
    written(writing())
    ((_, told),) = curve(tmp_path / "valid", BITS)
    nats = np.log(8.0) * predicted_tokens(dataset.ids["valid"])
    assert told == pytest.approx(nats / np.log(2) / dataset.statistics["valid"].all_characters)


def test_samples_are_told_by_mode_and_seed_step_by_step(writing: Writing, tmp_path: Path):
    written(writing())
    assert text(tmp_path, f"{SAMPLES}/greedy with prompt Once") == "    a <text>"
    assert text(tmp_path, f"{SAMPLES}/sampled without prompt") == "    b"


def test_settings_are_told_once_so_that_runs_can_be_compared(writing: Writing, tmp_path: Path):
    written(writing())
    written(writing(), first_step=11)
    summary = events(tmp_path).SummaryMetadata("_hparams_/session_start_info")
    told: Any = HParamsPluginData.FromString(summary.plugin_data.content).session_start_info
    assert told.group_name == "tale"
    assert told.hparams["corpus"].string_value == "tale"
    assert told.hparams["layers"].number_value == 3
    assert [step for step, _ in curve(tmp_path / "train", GRADIENT_NORM)] == [1, 10, 20]


def test_the_report_of_a_run_stands_at_its_last_step(writing: Writing, tmp_path: Path):
    writer = writing()
    writer.begun(Begun("one CPU", "float32", 40, 41))
    writer.ended(Ending("all epochs done", False, True, EPOCH, 104.0, None, 61.0))
    writer.compared(made_measurement(8.0, 1.25, unigram=made_loss(104.0)))
    writer.close()
    assert [event.step for event in events(tmp_path).Tensors(REPORT)] == [40]
    told = text(tmp_path, REPORT)
    assert "tale: all epochs done, after 1 min 01 s" in told
    assert "validation perplexity 8.00, 1.250 bits per character" in told
    assert "word frequencies" in told
    assert "The saved model is from epoch 1." in told


@pytest.mark.parametrize("histograms", [False, True])
def test_histograms_are_drawn_where_they_are_asked_for(histograms: bool, writing: Writing, tmp_path: Path):
    written(writing(histograms=histograms))
    assert ("embedding" in events(tmp_path).Tags()["tensors"]) == histograms


def test_curves_that_cannot_be_written_warn_once_and_train_on(tmp_path: Path, dataset: Dataset):
    (tmp_path / "train").write_text("a file where the folder of the curves should be")
    warnings: list[str] = []
    planned = replace(plan(), folder=tmp_path, dataset=replace(plan().dataset, splits=dataset.statistics))
    written(TensorBoardWriter(planned, dataset, {}, dict, warnings.append))
    assert len(warnings) == 1
    assert warnings[0].startswith("The curves for TensorBoard cannot be written")


def test_the_projector_gets_the_words_with_their_counts(tmp_path: Path):
    bundle = make_bundle(fill=1 / 3)
    write_projector(bundle, tmp_path / "new")
    words = (tmp_path / "new" / "words.tsv").read_text().split("\n")
    assert words[0] == "word\tcount"
    assert words[4:] == ["a\t2", "\\n\t1", "b\t1", "￭,\t1", ""]
    vectors = (tmp_path / "new" / "word_vectors.tsv").read_text().split("\n")
    assert vectors[:-1] == ["0.3333\t0.3333\t0.3333"] * len(bundle.vocabulary)
    config = (tmp_path / "new" / "projector_config.pbtxt").read_text()
    assert 'tensor_path: "word_vectors.tsv" metadata_path: "words.tsv"' in config
