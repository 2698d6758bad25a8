"""`wordgen runs` where sweeps have left many: a row for each, and its runs by its name."""

import io
import json
import re

import pytest

from tests.helpers.runs_screen import refused, rows, shown
from tests.helpers.saved_runs import made_dataset, make_run
from wordgen.model.bundle import CONFIG
from wordgen.run.folder import at_work_on_sweep
from wordgen.run.names import SAVED_MODELS, SWEEP_RESULTS, SWEEP_TABLE

pytestmark = pytest.mark.usefixtures("in_empty_folder")


def make_sweep(name: str = "sizes", *, whole: bool = True) -> None:
    make_run(f"{name}/large-1", valid=30.2, age=7200)
    make_run(f"{name}/large-2", valid=29.1, age=3600)
    if whole:
        for file in (SWEEP_RESULTS, SWEEP_TABLE):
            (SAVED_MODELS / name / file).write_text("{}")


def test_a_sweep_is_a_row_beneath_the_runs(capsys: pytest.CaptureFixture[str]):
    make_run("tale")
    make_sweep()
    told = shown(capsys)
    runs, sweeps = told.split("\n\nsweep ")
    assert "1 run, " in runs
    assert "large" not in runs
    sweeps = rows(f"sweep {sweeps}")
    assert sweeps["sweep"] == ["corpus", "runs", "best", "valid", "size", "age", "status"]
    assert sweeps["sizes"][:4] == ["tale", "2", "large-2", "29.1"]
    assert sweeps["sizes"][-2:] == ["1 hour", "finished"]
    assert "List the runs of a sweep:  python -m wordgen runs list sizes\n" in told


def test_where_there_are_sweeps_alone_it_does_not_say_that_there_is_nothing(capsys: pytest.CaptureFixture[str]):
    make_sweep()
    told = shown(capsys)
    assert told.startswith("sweep ")
    assert "There are no runs" not in told


def test_how_a_sweep_stands(capsys: pytest.CaptureFixture[str]):
    make_sweep(whole=False)
    assert rows(shown(capsys))["sizes"][-1] == "interrupted"
    with at_work_on_sweep(SAVED_MODELS / "sizes"):
        assert rows(shown(capsys))["sizes"][-1] == "training now"
    (SAVED_MODELS / "sizes" / SWEEP_RESULTS).write_text("{}")
    assert rows(shown(capsys))["sizes"][-1] == "finished"
    make_run("sizes/more", ended="stopped")
    assert rows(shown(capsys))["sizes"][-1] == "interrupted"


def test_of_different_texts_none_is_the_best(capsys: pytest.CaptureFixture[str]):
    make_sweep()
    make_run("sizes/other", valid=2.0, settings={"corpus": "another"}, dataset=made_dataset("g"))
    (SAVED_MODELS / "sizes/other" / CONFIG).unlink()
    assert rows(shown(capsys))["sizes"][:4] == ["another, tale", "3", "–", "–"]


def test_of_different_tokens_of_one_text_none_is_the_best(capsys: pytest.CaptureFixture[str]):
    make_sweep()
    make_run("sizes/letters", valid=2.0, dataset=made_dataset("g"))
    assert rows(shown(capsys))["sizes"][:4] == ["tale", "3", "–", "–"]


def test_the_runs_of_a_sweep_by_its_name(capsys: pytest.CaptureFixture[str]):
    make_run("tale")
    make_sweep()
    told = shown(capsys, "list", "sizes", "--sort", "valid")
    assert list(rows(told))[1:3] == ["sizes/large-2", "sizes/large-1"]
    assert "python -m wordgen runs show sizes/large-2\n" in told
    assert "Results:  saved_models/sizes/results.md\n" in told
    assert shown(capsys, "show", "sizes/large-2").startswith("sizes/large-2: finished\n")
    better = json.loads(shown(capsys, "compare", "sizes/large-1", "sizes/large-2", "--json"))["better"]
    assert better["valid_perplexity"] == ["sizes/large-2"]
    assert "There is no sweep 'tale' in saved_models. Existing sweeps: sizes." in refused(capsys, "list", "tale")
    assert "There is no sweep '../sizes'" in refused(capsys, "list", "../sizes")


def test_a_broken_run_of_a_sweep_is_shown_and_can_go(capsys: pytest.CaptureFixture[str]):
    make_sweep()
    (SAVED_MODELS / "sizes" / "large-1" / CONFIG).unlink()
    told = shown(capsys, "show", "sizes/large-1")
    assert told.startswith("sizes/large-1: broken, config.json is missing\n")
    assert "python -m wordgen runs rm sizes/large-1\n" in told
    assert "Deleted sizes/large-1" in shown(capsys, "rm", "sizes/large-1", "--yes")


def test_programs_are_told_of_all_runs(capsys: pytest.CaptureFixture[str]):
    make_run("tale")
    make_sweep()
    told = {run["name"]: run["sweep"] for run in json.loads(shown(capsys, "--json"))}
    assert told == {"tale": None, "sizes/large-1": "sizes", "sizes/large-2": "sizes"}
    names = [run["name"] for run in json.loads(shown(capsys, "list", "sizes", "--json"))]
    assert names == ["sizes/large-2", "sizes/large-1"]


def test_it_asks_before_a_sweep_goes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    make_sweep()
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    told = shown(capsys, "rm", "sizes")
    assert re.search(r"^sizes, a sweep with 2 runs, [\d.]+ k?B", told)
    assert not (SAVED_MODELS / "sizes").exists()
