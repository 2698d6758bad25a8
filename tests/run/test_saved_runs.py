"""The list says what is known of each run, and a comparison which of several runs is better."""

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
from wordgen.run.folder import in_training
from wordgen.run.listing import Comparison, Order, SavedRun, compare, find_saved, look_at, saved_runs
from wordgen.run.names import SAVED_MODELS
from wordgen.run.record import keep_measurement
from wordgen.training.typed_json import to_json

pytestmark = pytest.mark.usefixtures("in_empty_folder")


def states() -> dict[str, tuple[str, str]]:
    return {run.name: (run.status, run.note) for run in saved_runs()}


def test_a_finished_run_tells_what_its_files_say():
    run = look_at(make_run("tale", test=33.5, bits=1.1))
    assert (run.status, run.note, run.corpus, run.network) == ("finished", "", "tale", "2 x 4 lstm")
    assert (run.epochs, run.best_place) == (3, "epoch 2")
    valid, test = run.measured("valid"), run.measured("test")
    assert valid is not None
    assert test is not None
    assert [run.perplexity("valid"), run.perplexity("test")] == pytest.approx([31.21, 33.5])
    assert [each.own.bits_per(each.characters) for each in (valid, test)] == pytest.approx([1.1, 1.25])
    assert run.bytes == sum(path.stat().st_size for path in run.folder.iterdir())


def test_what_was_measured_of_an_older_model_is_not_told():
    folder = make_run("tale")
    keep_measurement(folder, "test", made_measurement(33.5, step=10))
    assert look_at(folder).perplexity("test") is None


def test_each_state_has_its_name():
    make_run("whole")
    make_run("stopped", ended="stopped")
    make_run("killed", ended=None, model=False)
    make_run("diverged", ended="diverged")
    make_run("tale.before")
    (make_run("shared") / "report.json").unlink()
    with in_training(make_run("learning", ended=None)):
        assert states() == {
            "whole": ("finished", ""),
            "stopped": ("interrupted", "can be resumed"),
            "killed": ("interrupted", "can be resumed"),
            "diverged": ("diverged", "its best model is kept"),
            "tale.before": ("set aside", "the run that replaces it has no model yet"),
            "shared": ("only a model", ""),
            "learning": ("training now", ""),
        }
    assert states()["learning"] == ("interrupted", "can be resumed")


@pytest.mark.parametrize("missing", [CONFIG, VOCABULARY, WEIGHTS])
@pytest.mark.parametrize("with_report", [True, False])
def test_a_missing_file_is_named(missing: str, with_report: bool):
    folder = make_run("tale")
    (folder / missing).unlink()
    if not with_report:
        (folder / "report.json").unlink()
    assert states() == {"tale": ("broken", f"{missing} is missing")}


WRITTEN: dict[str, Any] = {"format": 7, **to_json(made_record())}
del WRITTEN["measurements"]
DAMAGES: list[tuple[str, Any]] = [
    ("report.json", ""),
    ("report.json", "[" * 100_000),
    ("report.json", "{}"),
    ("report.json", {**WRITTEN, "epochs": [{"epoch": 1}]}),
    ("report.json", {**WRITTEN, "epochs": 7}),
    ("report.json", {**WRITTEN, "steps_per_epoch": 0}),
    ("report.json", {**WRITTEN, "architecture": {"layers": "many"}}),
    ("report.json", {**WRITTEN, "settings": {"corpus": 3}}),
    ("report.json", {**WRITTEN, "settings": {**WRITTEN["settings"], "layers": -1}}),
    ("report.json", {**WRITTEN, "format": 99}),
    ("report.json", {**WRITTEN, "epochs": [{**WRITTEN["epochs"][0], "valid_perplexity": "low"}]}),
    ("report.json", {**WRITTEN, "text": ["x"]}),
    ("report.json", {**WRITTEN, "text": {**WRITTEN["text"], "corpus": 7}}),
    ("report.json", {**WRITTEN, "unheard": 1}),
    ("report.json", {name: value for name, value in WRITTEN.items() if name != "recipe"}),
    (CONFIG, "no JSON"),
    (CONFIG, "[]"),
]


@pytest.mark.parametrize(("file", "content"), DAMAGES, ids=range(len(DAMAGES)))
def test_a_damaged_file_is_named_and_nothing_is_raised(file: str, content: Any):
    folder = make_run("tale")
    (folder / file).write_text(content if isinstance(content, str) else json.dumps(content))
    assert states() == {"tale": ("broken", f"{file} cannot be read")}
    json.dumps(look_at(folder).to_mapping(), allow_nan=False)


@pytest.mark.parametrize(
    "parts", [{"test": {}}, {"test": 3}, {"test": {**to_json(made_measurement(2)), "own": "low"}}, [1]]
)
def test_a_damaged_measurement_is_passed_over(parts: Any):
    folder = make_run("tale")
    (folder / "evaluation.json").write_text(json.dumps({"format": 7, "parts": parts}))
    run = look_at(folder)
    assert (run.status, run.perplexity("valid"), run.perplexity("test")) == ("finished", 31.21, None)


def test_what_is_no_run_is_no_row():
    make_run("tale")
    (SAVED_MODELS / "README.md").write_text("about")
    (SAVED_MODELS / "notes").mkdir()
    (SAVED_MODELS / "notes" / "diary.txt").write_text("dear")
    (SAVED_MODELS / ".removed.x").mkdir()
    (SAVED_MODELS / "begun").mkdir()
    assert states() == {"tale": ("finished", ""), "begun": ("broken", "no report and no model")}


def test_no_folder_is_no_run(in_empty_folder: Path):
    assert saved_runs() == []


def test_the_size_is_that_of_all_files_and_of_nothing_else(tmp_path: Path):
    folder = make_run("tale")
    before = look_at(folder).bytes
    (folder / "checkpoints" / "step-1").mkdir(parents=True)
    (folder / "checkpoints" / "step-1" / "state").write_bytes(b"x" * 1000)
    (tmp_path / "elsewhere").write_bytes(b"x" * 100_000)
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "round").symlink_to(folder.resolve(), target_is_directory=True)
    links = sum(os.lstat(folder / name).st_size for name in ("link", "round"))
    assert look_at(folder).bytes == before + 1000 + links


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
def test_they_are_sorted_and_what_is_unknown_comes_last(order: Order, names: list[str]):
    a = make_run("a", age=200, valid=20, test=8, settings={"corpus": "kim"})
    b = make_run("b", age=0, valid=30, test=7, settings={"corpus": "tale"})
    c = make_run("c", age=100, valid=10, settings={"corpus": "emma"})
    for folder, size in ((a, 9000), (b, 0), (c, 5000)):
        (folder / "more").write_bytes(b"x" * size)
    assert [run.name for run in saved_runs(order)] == names


def test_a_run_is_found_by_name_even_without_a_model_and_else_as_a_model_is():
    make_run("tale", model=False, ended=None)
    make_run("tale-2")
    assert find_saved("tale").name == "tale"
    assert find_saved("tale-").name == "tale-2"
    assert find_saved().name == "tale-2"
    assert find_saved(str(SAVED_MODELS / "tale-2")).called == "tale-2"
    with pytest.raises(BundleError, match="Did you mean tale-2"):
        find_saved("tali-2")


def test_a_hundred_runs_are_listed_without_their_weights_being_read(monkeypatch: pytest.MonkeyPatch):
    for number in range(100):
        make_run(f"run-{number}", epochs=made_record().epochs * 10)

    def refuse(*given: object, **named: object) -> None:
        raise AssertionError("the weights are read")

    monkeypatch.setattr("safetensors.safe_open", refuse)
    runs: list[SavedRun] = saved_runs("valid")
    assert (len(runs), {run.status for run in runs}) == (100, {"finished"})


def compared(*reports: dict[str, Any]) -> Comparison:
    return compare([look_at(make_run(f"run-{number}", **report)) for number, report in enumerate(reports)])


def better(comparison: Comparison) -> dict[str, list[int]]:
    return {f"{each.part} {each.measure}": sorted(each.better) for each in comparison.figures}


def test_of_the_same_tokens_the_lower_figure_is_better():
    found = compared({"valid": 30, "bits": 1.2, "test": 35}, {"valid": 29, "bits": 1.3, "test": 34}, {"valid": 31})
    assert found.ground == "tokens"
    assert better(found) == {
        "valid perplexity": [1],
        "valid bits per character": [0],
        "test perplexity": [1],
        "test bits per character": better(found)["test bits per character"],  # equal but for rounding
    }
    assert [run.name for run in found.unmeasured] == ["run-2"]


def test_equal_figures_are_no_better_and_a_single_one_neither():
    assert better(compared({"valid": 30, "test": 35}, {"valid": 30})) == {
        "valid perplexity": [],
        "valid bits per character": [],
        "test perplexity": [],
        "test bits per character": [],
    }


def test_of_the_same_text_in_other_tokens_bits_per_character_alone_are_compared():
    found = compared(
        {"valid": 30, "bits": 1.2, "dataset": made_dataset("f")},
        {"valid": 20, "bits": 1.3, "dataset": made_dataset("g")},
    )
    assert found.ground == "text"
    assert better(found)["valid perplexity"] == []
    assert better(found)["valid bits per character"] == [0]


def measured(name: str, nats: Sequence[float], **report: Any) -> SavedRun:
    """A run that was measured on a test part of passages that cost so many nats for ten tokens each."""
    folder = make_run(name, **report)
    blocks = np.array([(each, 10.0) for each in nats])
    loss = Loss(float(sum(nats)), 10 * len(nats), blocks)
    keep_measurement(folder, "test", made_measurement(9.0, own=loss, characters=1000))
    return look_at(folder)


def test_a_difference_that_may_be_chance_makes_none_better():
    """By the same passages, where both were cut into the same tokens: what is hard for one is hard for all."""
    hard = [40.0, 30.0] * 10
    plain, lucky, surely = (
        measured("plain", hard),
        measured("lucky", [each - change for each, change in zip(hard, [4.0, -3.0] * 10, strict=True)]),
        measured("surely", [each - 0.5 for each in hard]),
    )
    found = compare([plain, lucky])
    assert better(found)["test perplexity"] == []
    assert [sorted(each.no_difference) for each in found.figures if each.part == "test"] == [[0, 1], [0, 1]]
    assert found.to_mapping()["no_difference"]["test_perplexity"] == ["plain", "lucky"]
    found = compare([plain, surely])
    assert better(found)["test perplexity"] == [1]
    assert not any(each.no_difference for each in found.figures)
    off = found.figures[2].off[0]
    assert off is not None
    assert off > plain.perplexity("test") - surely.perplexity("test")  # pyright: ignore[reportOperatorIssue]


def test_of_other_tokens_a_difference_must_be_larger_than_both_may_be_off_by():
    hard = [40.0, 30.0] * 10
    one = measured("one", hard, dataset=made_dataset("f"))
    near = measured("near", [each - 0.5 for each in hard[1:]], dataset=made_dataset("g"))
    far = measured("far", [each / 2 for each in hard[1:]], dataset=made_dataset("g"))
    assert compare([one, near]).ground == "text"
    assert better(compare([one, near]))["test bits per character"] == []
    assert better(compare([one, far]))["test bits per character"] == [1]


@pytest.mark.parametrize(
    "other",
    [{"dataset": made_dataset("g", characters=9)}, {"dataset": made_dataset("g"), "settings": {"corpus": "else"}}],
)
def test_of_other_texts_nothing_is_compared(other: dict[str, Any]):
    found = compared({"valid": 30, "bits": 1.2}, {"valid": 20, "bits": 1.3, **other})
    assert found.ground == "nothing"
    assert not any(better(found).values())


def test_the_settings_that_differ_are_told_and_no_others():
    found = compared({"settings": {"units": 8, "name": "one"}}, {"settings": {"units": (4, 8), "name": "other"}})
    assert found.settings == {"units": (8, (4, 8))}


def test_settings_of_one_run_alone_are_no_difference():
    where = {"join_timeout": 9, "histograms": True, "name": "other", "checkpoint_every": "5m"}
    assert compared({}, {"settings": where}).settings == {}


def test_a_run_without_a_report_cannot_be_compared():
    folder = make_run("bare")
    (folder / "report.json").unlink()
    with pytest.raises(BundleError, match="bare has no report"):
        compare([look_at(make_run("tale")), look_at(folder)])
