"""The list of saved runs, and the comparison of runs."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.saved_runs import made_dataset, made_measurement, made_record, make_run
from wordgen.errors import BundleError
from wordgen.evaluation.measurement import Loss
from wordgen.model.bundle import CONFIG, VOCABULARY, WEIGHTS
from wordgen.run.folder import training_lock
from wordgen.run.listing import Comparison, Order, SavedRun, compare, find_saved_run, read_run, saved_runs
from wordgen.run.names import SAVED_MODELS
from wordgen.run.record import save_measurement
from wordgen.training.typed_json import to_json

pytestmark = pytest.mark.usefixtures("in_empty_folder")


def status_and_note_by_name() -> dict[str, tuple[str, str]]:
    return {run.name: (run.status, run.note) for run in saved_runs()}


def test_listing_reads_the_files_of_a_finished_run():
    run = read_run(make_run("tale", test=33.5, bits=1.1))
    assert (run.status, run.note, run.corpus, run.network) == ("finished", "", "tale", "2 x 4 lstm")
    assert (run.epochs, run.best_label) == (3, "epoch 2")
    valid, test = run.measured("valid"), run.measured("test")
    assert valid is not None
    assert test is not None
    assert [run.perplexity("valid"), run.perplexity("test")] == pytest.approx([31.21, 33.5])
    assert [each.loss.bits_per(each.characters) for each in (valid, test)] == pytest.approx([1.1, 1.25])
    assert run.bytes == sum(path.stat().st_size for path in run.folder.iterdir())


def test_status_of_each_kind_of_run():
    make_run("whole")
    make_run("stopped", ended="stopped")
    make_run("killed", ended=None, model=False)
    make_run("diverged", ended="diverged")
    make_run("tale.before")
    (make_run("shared") / "report.json").unlink()
    with training_lock(make_run("learning", ended=None)):
        assert status_and_note_by_name() == {
            "whole": ("finished", ""),
            "stopped": ("interrupted", "can be resumed"),
            "killed": ("interrupted", "can be resumed"),
            "diverged": ("diverged", "its best model is kept"),
            "tale.before": ("set aside", "the run that replaces it has no model yet"),
            "shared": ("only a model", ""),
            "learning": ("training now", ""),
        }
    assert status_and_note_by_name()["learning"] == ("interrupted", "can be resumed")


@pytest.mark.parametrize("missing", [CONFIG, VOCABULARY, WEIGHTS])
@pytest.mark.parametrize("with_report", [True, False])
def test_note_names_the_missing_file(missing: str, with_report: bool):
    folder = make_run("tale")
    (folder / missing).unlink()
    if not with_report:
        (folder / "report.json").unlink()
    assert status_and_note_by_name() == {"tale": ("broken", f"{missing} is missing")}


RECORD_JSON: dict[str, Any] = {"format": 7, **to_json(made_record())}
del RECORD_JSON["measurements"]
DAMAGES: list[tuple[str, Any]] = [
    ("report.json", ""),
    ("report.json", "[" * 100_000),
    ("report.json", "{}"),
    ("report.json", {**RECORD_JSON, "epochs": [{"epoch": 1}]}),
    ("report.json", {**RECORD_JSON, "epochs": 7}),
    ("report.json", {**RECORD_JSON, "steps_per_epoch": 0}),
    ("report.json", {**RECORD_JSON, "architecture": {"layers": "many"}}),
    ("report.json", {**RECORD_JSON, "settings": {"corpus": 3}}),
    ("report.json", {**RECORD_JSON, "settings": {**RECORD_JSON["settings"], "layers": -1}}),
    ("report.json", {**RECORD_JSON, "format": 99}),
    ("report.json", {**RECORD_JSON, "epochs": [{**RECORD_JSON["epochs"][0], "valid_perplexity": "low"}]}),
    ("report.json", {**RECORD_JSON, "text": ["x"]}),
    ("report.json", {**RECORD_JSON, "text": {**RECORD_JSON["text"], "corpus": 7}}),
    ("report.json", {**RECORD_JSON, "unheard": 1}),
    ("report.json", {name: value for name, value in RECORD_JSON.items() if name != "recipe"}),
    (CONFIG, "no JSON"),
    (CONFIG, "[]"),
]


@pytest.mark.parametrize(("file", "content"), DAMAGES, ids=range(len(DAMAGES)))
def test_note_names_the_damaged_file(file: str, content: Any):
    folder = make_run("tale")
    (folder / file).write_text(content if isinstance(content, str) else json.dumps(content))
    assert status_and_note_by_name() == {"tale": ("broken", f"{file} cannot be read")}
    json.dumps(read_run(folder).to_mapping(), allow_nan=False)


@pytest.mark.parametrize(
    "parts", [{"test": {}}, {"test": 3}, {"test": {**to_json(made_measurement(2)), "loss": "low"}}, [1]]
)
def test_damaged_measurement_is_ignored(parts: Any):
    folder = make_run("tale")
    (folder / "evaluation.json").write_text(json.dumps({"format": 7, "parts": parts}))
    run = read_run(folder)
    assert (run.status, run.perplexity("valid"), run.perplexity("test")) == ("finished", 31.21, None)


def test_only_runs_are_listed():
    assert saved_runs() == []  # there is no saved_models
    make_run("tale")
    (SAVED_MODELS / "README.md").write_text("about")
    (SAVED_MODELS / "notes").mkdir()
    (SAVED_MODELS / "notes" / "diary.txt").write_text("dear")
    (SAVED_MODELS / ".removed.x").mkdir()
    (SAVED_MODELS / "begun").mkdir()
    assert status_and_note_by_name() == {"tale": ("finished", ""), "begun": ("broken", "no report and no model")}


def test_size_counts_files_but_not_targets_of_symlinks(tmp_path: Path):
    folder = make_run("tale")
    before = read_run(folder).bytes
    (folder / "checkpoints" / "step-1").mkdir(parents=True)
    (folder / "checkpoints" / "step-1" / "state").write_bytes(b"x" * 1000)
    (tmp_path / "elsewhere").write_bytes(b"x" * 100_000)
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "round").symlink_to(folder.resolve(), target_is_directory=True)
    links = sum(os.lstat(folder / name).st_size for name in ("link", "round"))
    assert read_run(folder).bytes == before + 1000 + links


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("age", ["b", "c", "a"]),
        ("name", ["a", "b", "c"]),
        ("corpus", ["c", "a", "b"]),
        ("valid", ["c", "a", "b"]),
        ("test", ["b", "a", "c"]),
        ("size", ["a", "c", "b"]),
    ],
)
def test_runs_are_sorted_with_unknown_values_last(order: Order, names: list[str]):
    a = make_run("a", age=200, valid=20, test=8, settings={"corpus": "kim"})
    b = make_run("b", age=0, valid=30, test=7, settings={"corpus": "tale"})
    c = make_run("c", age=100, valid=10, settings={"corpus": "emma"})
    for folder, size in ((a, 9000), (b, 0), (c, 5000)):
        (folder / "more").write_bytes(b"x" * size)
    assert [run.name for run in saved_runs(order)] == names


def test_find_saved_by_name_prefix_or_path():
    make_run("tale", model=False, ended=None)
    make_run("tale-2")
    assert find_saved_run("tale").name == "tale"
    assert find_saved_run("tale-").name == "tale-2"
    assert find_saved_run().name == "tale-2"
    assert find_saved_run(str(SAVED_MODELS / "tale-2")).command_argument == "tale-2"
    with pytest.raises(BundleError, match="Did you mean tale-2"):
        find_saved_run("tali-2")


def test_run_outside_saved_models_cannot_be_resumed(in_empty_folder: Path):
    folder = make_run("stopped", ended="stopped")
    assert read_run(folder).can_be_resumed
    assert read_run(folder.absolute()).can_be_resumed
    folder.rename("elsewhere")
    run = read_run(Path("elsewhere"))
    assert (run.note, run.can_be_resumed) == ("can be resumed only in saved_models/", False)


def test_listing_reads_no_weights(monkeypatch: pytest.MonkeyPatch):
    for number in range(3):
        make_run(f"run-{number}")

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("the weights are read")

    monkeypatch.setattr("safetensors.safe_open", refuse)
    runs: list[SavedRun] = saved_runs("valid")
    assert (len(runs), {run.status for run in runs}) == (3, {"finished"})


def compare_made_runs(*records: dict[str, Any]) -> Comparison:
    return compare([read_run(make_run(f"run-{number}", **record)) for number, record in enumerate(records)])


def better_runs(comparison: Comparison) -> dict[str, list[int]]:
    return {f"{each.part} {each.measure}": sorted(each.better) for each in comparison.figures}


def test_lower_figure_on_the_same_tokens_is_better():
    comparison = compare_made_runs(
        {"valid": 30, "bits": 1.2, "test": 35}, {"valid": 29, "bits": 1.3, "test": 34}, {"valid": 31}
    )
    assert comparison.common_ground == "tokens"
    assert better_runs(comparison) == {
        "valid perplexity": [1],
        "valid bits per character": [0],
        "test perplexity": [1],
        "test bits per character": better_runs(comparison)["test bits per character"],  # equal but for rounding
    }
    assert [run.name for run in comparison.unmeasured] == ["run-2"]


def test_equal_or_single_figures_are_not_better():
    assert better_runs(compare_made_runs({"valid": 30, "test": 35}, {"valid": 30})) == {
        "valid perplexity": [],
        "valid bits per character": [],
        "test perplexity": [],
        "test bits per character": [],
    }


def test_different_tokens_compare_only_bits_per_character():
    comparison = compare_made_runs(
        {"valid": 30, "bits": 1.2, "dataset": made_dataset("f")},
        {"valid": 20, "bits": 1.3, "dataset": made_dataset("g")},
    )
    assert comparison.common_ground == "text"
    assert better_runs(comparison)["valid perplexity"] == []
    assert better_runs(comparison)["valid bits per character"] == [0]


def make_measured_run(name: str, nats: Sequence[float], **record: Any) -> SavedRun:
    """A run whose test set has a passage of ten tokens for each number: its loss in nats."""
    folder = make_run(name, **record)
    blocks = np.array([(each, 10.0) for each in nats])
    loss = Loss(float(sum(nats)), 10 * len(nats), blocks)
    save_measurement(folder, "test", made_measurement(9.0, loss=loss, characters=1000))
    return read_run(folder)


def test_difference_within_chance_makes_no_run_better():
    """With the same tokens, the losses are compared by passage, which makes the interval of the difference narrow."""
    nats = [40.0, 30.0] * 10
    plain = make_measured_run("plain", nats)
    by_chance = make_measured_run(
        "by-chance", [loss - change for loss, change in zip(nats, [4.0, -3.0] * 10, strict=True)]
    )
    lower = make_measured_run("lower", [loss - 0.5 for loss in nats])
    comparison = compare([plain, by_chance])
    assert better_runs(comparison)["test perplexity"] == []
    assert [sorted(each.no_difference) for each in comparison.figures if each.part == "test"] == [[0, 1], [0, 1]]
    assert comparison.to_mapping()["no_difference"]["test_perplexity"] == ["plain", "by-chance"]
    comparison = compare([plain, lower])
    assert better_runs(comparison)["test perplexity"] == [1]
    assert not any(each.no_difference for each in comparison.figures)
    margin = comparison.figures[2].margins[0]
    assert margin is not None
    assert margin > plain.perplexity("test") - lower.perplexity("test")  # pyright: ignore[reportOperatorIssue]


def test_difference_of_other_tokens_must_exceed_both_intervals():
    nats = [40.0, 30.0] * 10
    one = make_measured_run("one", nats, dataset=made_dataset("f"))
    near = make_measured_run("near", [loss - 0.5 for loss in nats[1:]], dataset=made_dataset("g"))
    far = make_measured_run("far", [loss / 2 for loss in nats[1:]], dataset=made_dataset("g"))
    assert compare([one, near]).common_ground == "text"
    assert better_runs(compare([one, near]))["test bits per character"] == []
    assert better_runs(compare([one, far]))["test bits per character"] == [1]


@pytest.mark.parametrize(
    "other",
    [{"dataset": made_dataset("g", characters=9)}, {"dataset": made_dataset("g"), "settings": {"corpus": "else"}}],
)
def test_different_texts_are_not_compared(other: dict[str, Any]):
    comparison = compare_made_runs({"valid": 30, "bits": 1.2}, {"valid": 20, "bits": 1.3, **other})
    assert comparison.common_ground == "nothing"
    assert not any(better_runs(comparison).values())


def test_comparison_lists_only_different_settings():
    comparison = compare_made_runs(
        {"settings": {"units": 8, "name": "one"}}, {"settings": {"units": (4, 8), "name": "other"}}
    )
    assert comparison.settings == {"units": (8, (4, 8))}


def test_settings_without_effect_on_the_model_are_ignored():
    settings = {"join_timeout": 9, "histograms": True, "name": "other", "checkpoint_every": "5m"}
    assert compare_made_runs({}, {"settings": settings}).settings == {}


def test_run_without_report_cannot_be_compared():
    folder = make_run("bare")
    (folder / "report.json").unlink()
    with pytest.raises(BundleError, match="bare has no report"):
        compare([read_run(make_run("tale")), read_run(folder)])
