"""The event files for TensorBoard, read with its own reader."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData  # pyright: ignore

from tests.helpers.bundles import make_bundle
from tests.helpers.plans import plan
from tests.helpers.saved_runs import made_loss, made_measurement
from tests.helpers.tensorboard import curve, events, tags, text
from wordgen.corpus.finding import open_corpus
from wordgen.dataset.dataset import Dataset
from wordgen.dataset.encoding import prepare
from wordgen.evaluation.measurement import predicted_tokens
from wordgen.text.settings import TextSettings
from wordgen.training.event_file import EventFile
from wordgen.training.reports import Ending, EpochReport, Sample, SampleReport, StepReport, TrainingStart
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


def test_resumed_run_replaces_points_of_repeated_steps(tmp_path: Path):
    for first, last, value in ((1, 50, 1.0), (31, 60, 2.0)):
        file = EventFile(tmp_path, first)
        for step in range(first, last + 1):
            file.number("loss", value, step)
        file.close()
    assert curve(tmp_path, "loss") == [(step, 1.0 if step < 31 else 2.0) for step in range(1, 61)]


def test_curve_continues_if_the_clock_is_behind(tmp_path: Path):
    file = EventFile(tmp_path, 1)
    file.number("loss", 1.0, 1)
    file.close()
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / f"events.out.tfevents.{int(time.time()) + 3600}.another-machine.7.0")
    for step in range(2, 15):  # all files within a second
        file = EventFile(tmp_path, step)
        file.number("loss", float(step), step)
        file.close()
    assert curve(tmp_path, "loss") == [(step, float(step)) for step in range(1, 15)]


def test_run_without_checkpoint_begins_its_curves_again(tmp_path: Path):
    for _ in range(2):
        file = EventFile(tmp_path, 1)
        file.text("plan", "as it is", 0)
        for step in range(4):
            file.number("loss", 1.0, step)
        file.close()
    assert [step for step, _ in curve(tmp_path, "loss")] == [0, 1, 2, 3]
    assert len(list(tmp_path.iterdir())) == 1


def test_incomplete_last_event_is_ignored(tmp_path: Path):
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


def test_text_is_not_read_as_markdown(tmp_path: Path):
    file = EventFile(tmp_path, 1)
    file.text("tale", "# once\n<b>*upon*</b> a time", 1)
    file.close()
    assert text(tmp_path, "tale") == "    # once\n    <b>*upon*</b> a time"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepare(open_corpus("spells"), TextSettings(), tmp_path_factory.mktemp("encoded"))


MakeWriter = Callable[..., TensorBoardWriter]


@pytest.fixture
def make_writer(tmp_path: Path, dataset: Dataset) -> Iterator[MakeWriter]:
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


def write_epoch(writer: TensorBoardWriter, first_step: int = 1) -> None:
    writer.begun(TrainingStart("one CPU", "float32", 40, first_step))
    for step in range(first_step, 21):
        writer.stepped(StepReport(1, step, step, 2.0, 0.5, 0.001, 100, 0.1, first=step == 1))
    writer.epoch_ended(EPOCH)
    writer.close()


def test_train_and_valid_share_a_chart(make_writer: MakeWriter, tmp_path: Path):
    write_epoch(make_writer())
    assert curve(tmp_path / "train", PERPLEXITY) == [(20, 9.0)]
    assert curve(tmp_path / "valid", PERPLEXITY) == [(20, 8.0)]
    assert curve(tmp_path / "train", LOSS) == [(1, 2.0), (10, 2.0), (20, 2.0)]


def test_reports_within_an_epoch_are_points_at_their_steps(make_writer: MakeWriter, tmp_path: Path):
    writer = make_writer(log_every=7)
    writer.begun(TrainingStart("one CPU", "float32", 40, 1))
    for step in range(1, 21):
        writer.stepped(StepReport(1, step, step, 2.0, 0.5, 0.001, 100, 0.1, first=step == 1))
        if step == 8:
            writer.validated(replace(EPOCH, step=8, valid_perplexity=7.0, samples=(), within_epoch=True))
            writer.sampled(SampleReport(1, 8, (Sample("sample", "words"),), 0.5, 3))
    writer.epoch_ended(EPOCH)
    writer.close()
    assert curve(tmp_path / "valid", PERPLEXITY) == [(8, 7.0), (20, 8.0)]
    assert curve(tmp_path / "train", PERPLEXITY) == [(20, 9.0)]
    assert curve(tmp_path / "train", LOSS) == [(1, 2.0), (7, 2.0), (14, 2.0)]
    assert curve(tmp_path / "valid", DISTINCT) == [(8, 0.5)]
    assert [event.step for event in events(tmp_path).Tensors(f"{SAMPLES}/sampled without prompt")] == [8, 20]


def test_resume_removes_the_validation_of_an_incomplete_epoch(make_writer: MakeWriter, tmp_path: Path):
    write_epoch(make_writer())  # stopped at step 20, within its first epoch
    writer, full_epoch = make_writer(), replace(EPOCH, step=40, valid_perplexity=7.0)
    writer.begun(TrainingStart("one CPU", "float32", 80, 21))
    writer.epoch_ended(full_epoch)
    writer.close()
    assert curve(tmp_path / "valid", PERPLEXITY) == [(40, 7.0)]
    assert [step for step, _ in curve(tmp_path / "train", LOSS)] == [1, 10, 20]
    writer = make_writer()
    writer.begun(TrainingStart("one CPU", "float32", 80, 41, (full_epoch,)))
    writer.close()
    assert curve(tmp_path / "valid", PERPLEXITY) == [(40, 7.0)]


def test_resume_removes_samples_of_an_incomplete_epoch(make_writer: MakeWriter, tmp_path: Path):
    writer = make_writer(histograms=True)
    writer.begun(TrainingStart("one CPU", "float32", 40, 1))
    writer.sampled(SampleReport(1, 8, (Sample("sample", "words"),), 0.5, 3))
    writer.epoch_ended(replace(EPOCH, distinct_2=0.6, longest_copy=4))  # stopped at step 20, within its first epoch
    writer.close()
    writer = make_writer()
    writer.begun(TrainingStart("one CPU", "float32", 80, 21, last_sample_step=8))
    writer.close()
    assert [event.step for event in events(tmp_path).Tensors(f"{SAMPLES}/sampled without prompt")] == [8]
    assert curve(tmp_path / "valid", DISTINCT) == [(8, 0.5)]
    assert f"{SAMPLES}/greedy with prompt Once" not in tags(tmp_path)
    assert "embedding" not in tags(tmp_path)


def test_resume_does_not_search_the_epochs_for_each_event(make_writer: MakeWriter):
    """A long run has hundreds of thousands of events, so this took minutes."""
    searches: list[int] = []

    class Epochs(tuple[EpochReport, ...]):
        def __iter__(self) -> Iterator[EpochReport]:
            searches.append(1)
            return super().__iter__()

    write_epoch(make_writer())
    writer = make_writer()
    writer.begun(TrainingStart("one CPU", "float32", 80, 21, Epochs([EPOCH])))
    writer.close()
    assert len(searches) == 3  # one for each file


def test_bits_per_character_count_all_predicted_tokens(make_writer: MakeWriter, tmp_path: Path, dataset: Dataset):
    write_epoch(make_writer())
    ((_, bits),) = curve(tmp_path / "valid", BITS)
    nats = np.log(8.0) * predicted_tokens(dataset.ids["valid"])
    assert bits == pytest.approx(nats / np.log(2) / dataset.statistics["valid"].all_characters)


def test_samples_are_tagged_by_mode_and_prompt(make_writer: MakeWriter, tmp_path: Path):
    write_epoch(make_writer())
    assert text(tmp_path, f"{SAMPLES}/greedy with prompt Once") == "    a <text>"
    assert text(tmp_path, f"{SAMPLES}/sampled without prompt") == "    b"


def test_hyperparameters_are_written_once(make_writer: MakeWriter, tmp_path: Path):
    write_epoch(make_writer())
    write_epoch(make_writer(), first_step=11)
    summary = events(tmp_path).SummaryMetadata("_hparams_/session_start_info")
    info: Any = HParamsPluginData.FromString(summary.plugin_data.content).session_start_info
    assert info.group_name == "tale"
    assert info.hparams["corpus"].string_value == "tale"
    assert info.hparams["layers"].number_value == 3
    assert [step for step, _ in curve(tmp_path / "train", GRADIENT_NORM)] == [1, 10, 20]


def test_report_is_at_the_last_step(make_writer: MakeWriter, tmp_path: Path):
    writer = make_writer()
    writer.begun(TrainingStart("one CPU", "float32", 40, 41))
    writer.ended(Ending("all epochs done", False, True, EPOCH, 104.0, None, 61.0))
    writer.compared(made_measurement(8.0, 1.25, unigram=made_loss(104.0)))
    writer.close()
    assert [event.step for event in events(tmp_path).Tensors(REPORT)] == [40]
    report = text(tmp_path, REPORT)
    assert "tale: all epochs done, after 1 min 01 s" in report
    assert "validation perplexity 8.00, 1.250 bits per character" in report
    assert "word frequencies" in report
    assert "The saved model is from epoch 1." in report


@pytest.mark.parametrize("histograms", [False, True])
def test_histograms_are_written_only_on_request(histograms: bool, make_writer: MakeWriter, tmp_path: Path):
    write_epoch(make_writer(histograms=histograms))
    assert ("embedding" in tags(tmp_path)) == histograms


def test_unwritable_curves_warn_once(tmp_path: Path, dataset: Dataset):
    (tmp_path / "train").write_text("a file where the folder of the curves should be")
    warnings: list[str] = []
    planned = replace(plan(), folder=tmp_path, dataset=replace(plan().dataset, splits=dataset.statistics))
    write_epoch(TensorBoardWriter(planned, dataset, {}, dict, warnings.append))
    assert len(warnings) == 1
    assert warnings[0].startswith("The curves for TensorBoard cannot be written")


def test_projector_files_have_tokens_counts_and_vectors(tmp_path: Path):
    bundle = make_bundle(fill=1 / 3)
    write_projector(bundle, tmp_path / "new")
    words = (tmp_path / "new" / "words.tsv").read_text().split("\n")
    assert words[0] == "word\tcount"
    assert words[4:] == ["a\t2", "\\n\t1", "b\t1", "￭,\t1", ""]
    vectors = (tmp_path / "new" / "word_vectors.tsv").read_text().split("\n")
    assert vectors[:-1] == ["0.3333\t0.3333\t0.3333"] * len(bundle.vocabulary)
    config = (tmp_path / "new" / "projector_config.pbtxt").read_text()
    assert 'tensor_path: "word_vectors.tsv" metadata_path: "words.tsv"' in config
