"""The record of a run: round trip, invalid files, and the reports of a resumed run."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.helpers.saved_runs import made_epoch, made_measurement, made_record
from wordgen.errors import BundleError
from wordgen.evaluation.measurement import (
    Cache,
    CacheLoss,
    DynamicLoss,
    Figures,
    Loss,
    Match,
    Mixture,
    Novelty,
)
from wordgen.evaluation.music import Copied, Music, Overlap, PieceFigures, TuneFigures
from wordgen.model.bundle import HeadStart
from wordgen.run.record import RecordWriter, RunRecord, load_record, save_measurement, save_record
from wordgen.run.settings import TrainSettings
from wordgen.training.reports import EpochReport, Sample, SampleReport, TrainingStart
from wordgen.training.typed_json import from_json, to_json

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.floats(allow_nan=False)
COUNTS = st.integers(0, 2**53)
PARTS = ("valid", "test")

SETTINGS = st.fixed_dictionaries(
    {"corpus": TEXT | st.lists(TEXT, min_size=1, max_size=3).map(tuple)},
    optional={
        "units": st.integers(1, 65_536) | st.tuples(*[st.integers(1, 99)] * 3),
        "cell": st.sampled_from(["lstm", "gru", "rnn"]),
        "tied": st.booleans(),
        "drop_latin": st.booleans(),
        "transpose": st.sampled_from(["common", "none", "augment"]),
        "validation_share": st.floats(0.005, 0.4),
        "rho": st.floats(0.01, 0.99),
        "validate_every": st.none() | st.integers(1, 10**6),
        "passage": st.sampled_from(["auto", "line", "paragraph", "section", "document", "tune"]),
        "learning_rate": st.none() | st.floats(1e-9, 1e30),
        "time_budget": st.none() | st.just("20m"),
        "dropout": st.floats(0, 0.9),
        "sampled_output": st.none() | st.integers(2, 10**6),
        "name": st.none() | TEXT,
        "recipe": st.none() | TEXT,
        "init_from": st.none() | TEXT,
        "random_seed": st.integers(0, 2**31 - 1),
    },
)
SAMPLES = st.builds(Sample, TEXT, TEXT, TEXT)
EPOCHS = st.builds(
    EpochReport,
    epoch=COUNTS,
    step=COUNTS,
    train_perplexity=NUMBERS,
    valid_perplexity=NUMBERS,
    best=st.booleans(),
    seconds=NUMBERS,
    samples=st.lists(SAMPLES, max_size=2).map(tuple),
    averaged=st.booleans(),
    distinct_2=st.none() | NUMBERS,
    longest_copy=st.none() | COUNTS,
    within_epoch=st.booleans(),
    best_within_epoch=st.booleans(),
)
SAMPLED = st.builds(
    SampleReport, COUNTS, COUNTS, st.lists(SAMPLES, max_size=2).map(tuple), st.none() | NUMBERS, st.none() | COUNTS
)
LOSSES = st.builds(Loss, NUMBERS, COUNTS)
MATCHES = st.builds(Match, COUNTS, TEXT, TEXT, COUNTS)
SHARES = st.fixed_dictionaries(dict.fromkeys(range(3, 9), st.none() | NUMBERS))
FIGURES = st.builds(Figures, COUNTS, COUNTS, SHARES, st.none() | MATCHES, *[st.none() | NUMBERS] * 4)
SHARE = st.none() | NUMBERS
LIKENESS = st.none() | st.builds(Copied, SHARE, COUNTS), st.none() | st.builds(Overlap, SHARE, SHARE, SHARE)
TUNES = st.builds(TuneFigures, COUNTS, COUNTS, *[SHARE] * 7, *LIKENESS)
PIECES = st.builds(PieceFigures, COUNTS, COUNTS, SHARE, SHARE, *LIKENESS)
MUSIC = st.builds(Music, TUNES, TUNES, st.none() | TUNES, TEXT, COUNTS) | st.builds(
    Music, PIECES, PIECES, st.none() | PIECES, TEXT, COUNTS
)
MEASUREMENTS = st.builds(
    made_measurement,
    st.floats(1, 1e9),
    loss=LOSSES,
    unigram=st.none() | LOSSES,
    ngram=st.none() | LOSSES,
    mixture=st.none() | st.builds(Mixture, NUMBERS, LOSSES),
    with_cache=st.none() | st.builds(CacheLoss, st.builds(Cache, COUNTS, NUMBERS, NUMBERS), LOSSES),
    dynamic=st.none() | st.builds(DynamicLoss, NUMBERS, LOSSES),
    novelty=st.none() | st.builds(Novelty, FIGURES, FIGURES, TEXT, st.none() | st.just("recites"), st.integers(3, 8)),
    music_notes=st.none() | COUNTS,
    music=st.none() | MUSIC,
    notes=st.lists(TEXT, max_size=2).map(tuple),
)


def record_from(settings: dict[str, Any], epochs: Any, measurements: Any, more: dict[str, Any]) -> RunRecord:
    changes: dict[str, Any] = {"settings": TrainSettings(**settings), "epochs": tuple(epochs), **more}
    return replace(made_record(), measurements=measurements, **changes)


RECORDS = st.builds(
    record_from,
    SETTINGS,
    st.lists(EPOCHS, max_size=3),
    st.dictionaries(st.sampled_from(PARTS), MEASUREMENTS),
    st.fixed_dictionaries(
        {},
        optional={
            "devices": st.none() | TEXT,
            "best_epoch": st.none() | COUNTS,
            "best_step": st.none() | COUNTS,
            "validations": st.lists(EPOCHS, max_size=2).map(tuple),
            "samples": st.lists(SAMPLED, max_size=2).map(tuple),
            "ended": st.none() | TEXT,
            "seconds": st.none() | NUMBERS,
            "word_to_try": st.none() | TEXT,
            "head_start": st.none()
            | st.builds(HeadStart, base=TEXT, fingerprint=TEXT, known=COUNTS, new=COUNTS, besides=COUNTS),
        },
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(record=RECORDS)
def test_record_round_trips(record: RunRecord, tmp_path: Path):
    (tmp_path / "evaluation.json").unlink(missing_ok=True)
    save_record(tmp_path, record)
    for part, measurement in record.measurements.items():
        save_measurement(tmp_path, part, measurement)
    assert load_record(tmp_path) == record


def test_losses_of_passages_round_trip_exactly(tmp_path: Path):
    blocks = np.random.default_rng(1).normal(size=(20, 2))
    save_record(tmp_path, made_record())
    save_measurement(tmp_path, "test", made_measurement(9.0, loss=Loss(3.5, 20, blocks)))
    read = load_record(tmp_path).measurements["test"].loss.blocks
    assert read is not None
    np.testing.assert_array_equal(read, blocks)


def test_new_measurement_keeps_other_figures_of_the_same_model(tmp_path: Path):
    save_record(tmp_path, made_record())
    dynamic = DynamicLoss(0.1, Loss(1.0, 1))
    save_measurement(tmp_path, "test", made_measurement(9.0, dynamic=dynamic))
    save_measurement(tmp_path, "test", made_measurement(9.0))
    assert load_record(tmp_path).measurements["test"].dynamic == dynamic
    save_measurement(tmp_path, "test", made_measurement(9.0, step=30))
    assert load_record(tmp_path).measurements["test"].dynamic is None


def test_measurement_of_another_model_is_ignored(tmp_path: Path):
    save_record(tmp_path, made_record())
    save_measurement(tmp_path, "test", made_measurement(9.0, step=30))
    assert load_record(tmp_path).measured == {}
    save_measurement(tmp_path, "valid", made_measurement(9.0, step=20))
    assert list(load_record(tmp_path).measured) == ["valid"]


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"format": 3}', '{"format": 9, "parts": {"test": {}}}'])
def test_unreadable_measurements_are_ignored(content: str, tmp_path: Path):
    save_record(tmp_path, made_record())
    (tmp_path / "evaluation.json").write_text(content)
    assert load_record(tmp_path) == made_record()


RECORD_JSON: dict[str, Any] = {**to_json(made_record())}


@pytest.mark.parametrize("name", RECORD_JSON)
def test_missing_or_unknown_key_is_refused(name: str, tmp_path: Path):
    save_record(tmp_path, made_record())
    path = tmp_path / "report.json"
    mapping = json.loads(path.read_text())
    if name == "measurements":
        path.write_text(json.dumps({**mapping, "unheard": 1}))
        message = "the report has an unknown key 'unheard'"
    else:
        path.write_text(json.dumps({key: value for key, value in mapping.items() if key != name}))
        message = f"the report has no '{name}'"
    with pytest.raises(BundleError, match=message):
        load_record(tmp_path)


def test_number_too_large_for_a_float_is_refused(tmp_path: Path):
    save_record(tmp_path, made_record())
    path = tmp_path / "report.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seconds": 10**400}))
    with pytest.raises(BundleError, match="int too large to convert to float"):
        load_record(tmp_path)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, 1.0), (int, True), (int, "1"), (float, "1"), (float, True), (str, 1), (str, None), (bool, 1),
        (int | None, "x"), (tuple[int, ...], 3), (tuple[int, ...], [1, "x"]), (dict[str, int], []),
        (dict[str, int], {"a": "b"}), (Sample, {"mode": "m", "text": "t"}), (Sample, "m"),
        (NDArray[np.float64], [None, None]), (NDArray[np.float64], [[1.0, "x"]]), (NDArray[np.float64], 1.0),
    ],
)  # fmt: skip
def test_value_of_another_type_is_refused(kind: Any, value: Any):
    with pytest.raises(ValueError, match=r"must not be|has no"):
        from_json(kind, value)


@pytest.mark.parametrize("blocks", [[], [1.0, 2.0], [[1.0], [2.0]], [[1.0, 2.0, 3.0]], [[[1.0, 2.0]]]])
def test_blocks_of_another_shape_are_refused(blocks: list[Any]):
    with pytest.raises(ValueError, match="must have the shape"):
        from_json(Loss, {"nats": 1.0, "tokens": 1, "blocks": blocks})


def within(step: int, valid: float, *, best: bool) -> EpochReport:
    """A validation within an epoch of ten steps."""
    return made_epoch(1 + step // 10, valid, step=step, best=best, within_epoch=True)


def test_best_model_can_be_from_within_an_epoch(tmp_path: Path):
    record = replace(made_record(), validations=(within(14, 31.5, best=True), within(24, 30.0, best=True)))
    assert record.best == record.epochs[1]
    later = replace(record, best_epoch=3, best_step=24)
    assert later.best == record.validations[1]
    assert later.model_step == 24
    assert [each.step for each in later.all_validations] == [10, 14, 20, 24, 30]
    save_record(tmp_path, later)
    assert load_record(tmp_path).best == later.best


def test_time_of_an_epoch_counts_once():
    record = replace(
        made_record(),
        epochs=(made_epoch(1, 9.0, seconds=4.0), made_epoch(2, 8.0, seconds=8.0)),
        validations=(
            replace(within(5, 9.5, best=True), seconds=2.0),
            replace(within(21, 7.9, best=True), seconds=1.0),
            replace(within(25, 7.5, best=True), seconds=3.0),
        ),
    )
    assert record.training_seconds == 15.0


def writer_after_kill(tmp_path: Path, checkpoint: int) -> RecordWriter:
    """A writer whose run saved its model in step 6, was killed, and resumes from an older checkpoint."""
    writer = RecordWriter(tmp_path, replace(made_record(), epochs=(), best_epoch=None))
    reports = [within(step, valid, best=True) for step, valid in ((2, 9.0), (4, 8.0), (6, 7.0))]
    for report in reports:
        writer.validated(report)
        writer.sampled(SampleReport(1, report.step, (Sample("sample", f"text {report.step}"),)))
        writer.model_saved(report)
    restored = tuple(report for report in reports if report.step <= checkpoint)
    writer.begun(TrainingStart("one CPU", "float32", 30, checkpoint + 1, (), restored))
    assert writer.record.best == reports[-1]  # the saved model is newer than the checkpoint
    return writer


def test_reports_of_repeated_steps_replace_the_old_ones(tmp_path: Path):
    writer = writer_after_kill(tmp_path, 4)
    writer.validated(within(6, 6.5, best=True))
    writer.sampled(SampleReport(1, 6, (Sample("sample", "another text"),)))
    assert [each.valid_perplexity for each in writer.record.validations] == [9.0, 8.0, 6.5]
    assert [each.samples[0].text for each in writer.record.samples] == ["text 2", "text 4", "another text"]
    writer.epoch_ended(made_epoch(1, 6.0, best=True))
    writer.model_saved(made_epoch(1, 6.0, best=True))
    assert writer.record.best == writer.record.epochs[0]
    assert load_record(tmp_path) == writer.record


def test_report_of_the_saved_model_stays_until_the_next_save(tmp_path: Path):
    writer = writer_after_kill(tmp_path, 2)
    writer.validated(within(4, 9.5, best=False))
    assert [each.step for each in writer.record.validations] == [2, 4, 6]
    assert writer.record.model_step == 6
    writer.validated(within(5, 8.5, best=True))
    writer.model_saved(within(5, 8.5, best=True))
    writer.validated(within(6, 8.75, best=False))
    assert [each.valid_perplexity for each in writer.record.validations] == [9.0, 9.5, 8.5, 8.75]
    assert writer.record.model_step == 5


def test_full_epoch_replaces_an_incomplete_one(tmp_path: Path):
    writer = RecordWriter(tmp_path, replace(made_record(), epochs=(), best_epoch=None))
    incomplete = made_epoch(1, 9.0, step=5, best=True)
    writer.epoch_ended(incomplete)
    writer.model_saved(incomplete)
    writer.begun(TrainingStart("one CPU", "float32", 30, 6))
    assert writer.record.best == incomplete
    writer.epoch_ended(made_epoch(1, 8.0, best=True))
    assert [each.step for each in writer.record.epochs] == [10]


def test_verdict_of_plateau_without_decay_is_as_for_constant_rate():
    epochs = tuple(made_epoch(number, valid, best=True) for number, valid in enumerate((90, 60, 50, 49.2), start=1))
    record = made_record(settings={"schedule": "plateau"}, epochs=epochs, best_epoch=4)
    assert record.verdict is not None
    assert "was still improving in its last epoch" in record.verdict
    cosine = made_record(settings={"schedule": "cosine"}, epochs=epochs, best_epoch=4)
    assert "improving" not in (cosine.verdict or "")
