"""What is known of each run in saved_models, whatever state it is in."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.saved_runs import made_measurement, made_record, make_run
from wordgen.errors import BundleError
from wordgen.model.bundle import CONFIG, VOCABULARY, WEIGHTS
from wordgen.run.folder import in_training
from wordgen.run.listing import Order, SavedRun, find_saved, look_at, saved_runs
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
