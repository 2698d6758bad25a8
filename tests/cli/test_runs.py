"""The command runs: its list, one run, several side by side, whole sweeps, and what it removes."""

import io
import json
import re
import shlex
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from tests.helpers.commands import ROOT
from tests.helpers.saved_runs import made_dataset, made_measurement, made_record, make_run, make_runs
from wordgen.cli.flags import given_settings
from wordgen.cli.main import main
from wordgen.cli.runs import shown_age
from wordgen.cli.train import train_parser
from wordgen.evaluation.figures import sparkline
from wordgen.evaluation.measurement import Loss
from wordgen.model.bundle import CONFIG
from wordgen.run.folder import at_work_on_sweep, in_training
from wordgen.run.listing import Order, Status
from wordgen.run.names import SAVED_MODELS, SWEEP_RESULTS, SWEEP_TABLE
from wordgen.run.record import keep_measurement, save_record
from wordgen.run.settings import TrainSettings

pytestmark = pytest.mark.usefixtures("in_empty_folder")


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["runs", *arguments]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return told.out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["runs", *arguments]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("Error: ")
    assert told.err.count("\n") == 1
    return told.err


def rows(told: str) -> dict[str, list[str]]:
    """The cells of each row by its first one."""
    lines = [re.split(r" {2,}", line) for line in told.split("\n") if "  " in line]
    return {first: others for first, *others in lines if first}


def test_the_table_has_a_row_for_each_run(capsys: pytest.CaptureFixture[str]):
    folder = make_run("tale", test=33.5, age=3 * 3600)
    (folder / "more").write_bytes(b"x" * 5_000_000)
    make_run("stopped", ended="stopped", age=86_400)
    (make_run("damaged", age=7200) / CONFIG).write_text("?")
    told = shown(capsys)
    assert told == shown(capsys, "list")
    cells = rows(told)
    assert cells["name"] == ["corpus", "network", "epochs", "valid", "test", "size", "age", "status"]
    assert cells["tale"] == ["tale", "2 x 4 lstm", "3 (2)", "31.2", "33.5", "5.0 MB", "3 hours", "finished"]
    assert cells["stopped"][-2:] == ["yesterday", "can be resumed"]
    assert cells["damaged"][-2] == "2 hours"
    assert "broken, config.json cannot be read" in " ".join(told.split())
    assert "3 runs, 5.0 MB" in told
    assert list(cells)[1:4] == ["damaged", "tale", "stopped"]
    assert list(rows(shown(capsys, "--sort", "name")))[1:4] == ["damaged", "stopped", "tale"]
    assert list(rows(shown(capsys, "list", "--sort", "size")))[1] == "tale"


def test_a_narrow_screen_loses_nothing_of_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    make_run("a-name-as-long-as-20", ended="stopped", test=33.5, age=86_400, settings={"corpus": "wikitext-2"})
    wide = shown(capsys)
    monkeypatch.setattr("wordgen.cli.runs.screen_width", lambda: 80)
    monkeypatch.setattr("wordgen.cli.output.screen_width", lambda: 80)
    narrow = shown(capsys)
    table, below = narrow.split("\n\n")
    assert max(map(len, table.split("\n"))) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in narrow
    assert sorted("".join(table.split())) == sorted("".join(wide.partition("\n\n")[0].split()))
    assert below == wide.partition("\n\n")[2]


def test_where_there_are_none_it_says_how_to_get_one(capsys: pytest.CaptureFixture[str]):
    assert "There are no runs in saved_models/. Train one:  python -m wordgen train" in shown(capsys)
    assert json.loads(shown(capsys, "--json")) == []


def test_the_list_for_programs(capsys: pytest.CaptureFixture[str]):
    make_run("tale", test=33.5, bits=1.1)
    make_run("killed", model=False, ended=None, best_epoch=None)
    told = {run["name"]: run for run in json.loads(shown(capsys, "list", "--json"))}
    assert json.loads(shown(capsys, "--json", "list")) == list(told.values())
    assert told["tale"]["valid_perplexity"] == pytest.approx(31.21)
    assert told["tale"]["test_perplexity"] == pytest.approx(33.5)
    assert told["tale"]["valid_bits_per_character"] == pytest.approx(1.1)
    assert (told["killed"]["status"], told["killed"]["best_epoch"]) == ("interrupted", None)


def test_a_run_is_shown_from_top_to_bottom(capsys: pytest.CaptureFixture[str]):
    make_run("my tale", test=33.5, bits=1.1, settings={"units": 4, "tied": True, "clip": 2.0})
    told = shown(capsys, "show", "my tale")
    assert told.startswith("my tale: finished\n")
    cells = rows(told)
    assert cells["valid"] == ["▅▁▁", "62.4 to 33.7"]
    assert cells["train"] == ["█▄▁", "100.0 to 33.3"]
    assert cells["test"] == ["perplexity 33.5, 1.250 bits per character"]
    assert cells["--tied"] == ["yes"]
    assert cells["--clip"] == ["2.0"]
    assert "--dropout" not in cells
    assert cells["config.json"] == [f"{(SAVED_MODELS / 'my tale' / CONFIG).stat().st_size} bytes"]
    assert "  python -m wordgen evaluate 'my tale'\n" in told
    assert "  python -m wordgen generate --model 'my tale' --seed The\n" in told
    assert "--resume" not in told


def test_the_command_to_repeat_it_has_its_settings(capsys: pytest.CaptureFixture[str]):
    settings = {"units": (4, 8), "tied": True, "clip": 2.0, "copy_index": False}
    make_run("tale", ended="stopped", settings=settings)
    told = json.loads(shown(capsys, "show", "tale", "--json"))
    again, resume, *_ = (shlex.split(command)[4:] for command in told["commands"].values())
    wanted = TrainSettings(corpus="tale", layers=2, **settings)
    assert TrainSettings(**given_settings(TrainSettings, train_parser("").parse_args(again))) == wanted
    assert resume == ["--resume", "tale"]
    assert told["settings"] == {"corpus": "tale", "layers": 2, **settings, "units": [4, 8]}
    assert told["curves"] == [
        [epoch.epoch, epoch.train_perplexity, epoch.valid_perplexity] for epoch in made_record().epochs
    ]


def test_a_model_without_its_report_and_a_broken_run_are_shown_too(capsys: pytest.CaptureFixture[str]):
    (make_run("shared") / "report.json").unlink()
    told = shown(capsys, "show", "shared")
    assert told.startswith("shared: only a model\n")
    assert "python -m wordgen generate --model shared\n" in told
    (SAVED_MODELS / "begun").mkdir()
    told = shown(capsys, "show", "begun")
    assert told.startswith("begun: broken, no report and no model\n")
    assert "python -m wordgen runs rm begun\n" in told


def test_runs_stand_side_by_side(capsys: pytest.CaptureFixture[str]):
    make_run("one", valid=30, test=35, settings={"units": 4})
    make_run("two", valid=29, settings={"units": (4, 8)})
    told = shown(capsys, "compare", "one", "two")
    cells = rows(told)
    assert cells["--units"] == ["4", "4 8"]
    assert cells["valid perplexity"] == ["30.0", "29.0", "better"]
    assert cells["test perplexity"] == ["35.0", "–"]
    assert "--layers" not in cells
    assert "Measure the test set, too:  python -m wordgen evaluate two\n" in told
    told = json.loads(shown(capsys, "compare", "one", "two", "--json"))
    assert told["settings"] == {"units": [4, [4, 8]]}
    assert told["better"]["valid_perplexity"] == ["two"]


def test_what_may_be_chance_is_said_beside_the_figures(capsys: pytest.CaptureFixture[str]):
    losses: list[Loss] = []
    for name, change in (("one", 0.0), ("two", 0.1)):
        blocks = np.array([[40.0 + number % 3 + change * (-1) ** number * number, 10.0] for number in range(20)])
        loss = Loss(float(blocks[:, 0].sum()), 200, blocks)
        keep_measurement(make_run(name), "test", made_measurement(9.0, own=loss, characters=1000))
        losses.append(loss)
    told = " ".join(shown(capsys, "compare", "one", "two").split())
    one, two = (f"{loss.perplexity:.1f} ± {loss.off:.1f}" for loss in losses)
    bits = f"{losses[0].bits_per(1000):.3f} ± {losses[0].off_per(1000):.3f}"
    assert f"test perplexity {one} {two} test bits per character {bits}" in told
    assert "The test perplexity of one and two does not differ by more than chance (95% certainty)." in told
    assert "± gives a 95% confidence interval" in told
    told = json.loads(shown(capsys, "compare", "one", "two", "--json"))
    assert told["better"]["test_perplexity"] == []
    assert told["no_difference"]["test_perplexity"] == ["one", "two"]
    assert told["runs"][0]["test_perplexity_off"] == pytest.approx(losses[0].off)


def test_what_cannot_be_compared_is_said(capsys: pytest.CaptureFixture[str]):
    make_run("one", valid=30)
    make_run("two", valid=29, dataset=made_dataset("g"))
    told = " ".join(shown(capsys, "compare", "one", "two").split())
    assert told.count("better") == 1  # less is
    assert (
        "their perplexities cannot be compared. Their bits per character can be compared if only few words are" in told
    )
    make_run("three", valid=29, settings={"corpus": "else"}, dataset=made_dataset("h"))
    told = " ".join(shown(capsys, "compare", "one", "three").split())
    assert "The runs were trained on different texts" in told
    assert "python -m wordgen evaluate one --split" in told


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.mark.parametrize(("said", "goes"), [("y\n", True), ("YES\n", True), ("\n", False), ("n\n", False)])
def test_it_asks_before_it_removes(
    said: str, goes: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (make_run("tale") / "more").write_bytes(b"x" * 3_000_000)
    make_run("other")
    answer(monkeypatch, said)
    told = shown(capsys, "rm", "tale")
    assert "tale, a run on tale, 3.0 MB\nDelete it? (y/N) " in told
    assert ("Deleted tale: 3.0 MB freed.\n" in told, "Nothing was deleted.\n" in told) == (goes, not goes)
    assert (SAVED_MODELS / "tale").exists() == (not goes)
    assert (SAVED_MODELS / "other").exists()


def test_where_nobody_can_be_asked_nothing_goes_without_yes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    make_run("tale")
    answer(monkeypatch, "")
    assert "give --yes" in refused(capsys, "rm", "tale")
    assert (SAVED_MODELS / "tale").exists()
    assert "Deleted tale" in shown(capsys, "rm", "tale", "--yes")
    assert not (SAVED_MODELS / "tale").exists()


def test_bad_input_is_one_sentence(capsys: pytest.CaptureFixture[str]):
    make_run("tale")
    (make_run("bare") / "report.json").unlink()
    assert "two or more" in refused(capsys, "compare", "tale")
    assert "two or more" in refused(capsys, "compare", "tale", "ta")
    assert "cannot be compared" in refused(capsys, "compare", "tale", "bare")
    assert "There is no model 'x'" in refused(capsys, "show", "x")
    assert "not the name of a run" in refused(capsys, "rm", "../tale", "--yes")
    assert "in saved_models/. Did you mean tale?" in refused(capsys, "rm", "ta", "--yes")
    with in_training(SAVED_MODELS / "tale"):
        assert "Another process trains the run" in refused(capsys, "rm", "bare", "tale", "--yes")
    assert sorted(path.name for path in SAVED_MODELS.iterdir()) == ["bare", "tale"]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-50, "just now"),
        (59, "just now"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 hour"),
        (86_399, "23 hours"),
        (86_400, "yesterday"),
        (2 * 86_400, "2 days"),
        (7 * 86_400, "1 week"),
        (45 * 86_400, "1 month"),
        (800 * 86_400, "2 years"),
    ],
)
def test_an_age_is_told_as_one_says_it(seconds: float, told: str):
    assert shown_age(seconds) == told


def test_a_sparkline_falls_as_its_values_do_whatever_they_are(monkeypatch: pytest.MonkeyPatch):
    values = [1000.0, 100.0, 10.0, 1.0]
    assert sparkline(values, values) == "█▆▃▁"
    assert sparkline([float("inf"), 5.0, 5.0], [5.0]) == "█▁▁"
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert sparkline(values, values) == "8631"


def test_an_order_that_there_is_not_is_told_with_those_of_the_list(capsys: pytest.CaptureFixture[str]):
    """They are declared twice, so that --help needs no NumPy."""
    named = re.search(r"choose from (.*?)\)", refused(capsys, "--sort", "beauty"))
    assert named is not None
    assert {each.strip(" '") for each in named[1].split(",")} == set(get_args(Order))


def test_names_of_any_kind_do_no_harm_on_the_screen(capsys: pytest.CaptureFixture[str], in_empty_folder: Path):
    name = "[bold]\x1b[31mred"
    make_run("tale").rename(SAVED_MODELS / name)
    save_record(SAVED_MODELS / name, made_record(settings={"corpus": "\x1b[2Jtale"}, word_to_try="\x1b[2J"))
    (SAVED_MODELS / name / "\x07file").touch()
    make_run("other")
    told = shown(capsys) + shown(capsys, "show", name) + shown(capsys, "compare", name, "other")
    assert "[bold]" in told
    assert "?[2Jtale" in told
    assert "\x1b" not in told
    assert "\x07" not in told


def test_the_guide_names_all_that_programs_are_told(capsys: pytest.CaptureFixture[str]):
    guide = (ROOT / "docs" / "runs.md").read_text(encoding="utf-8")
    make_runs("one", "two")
    told = (
        json.loads(shown(capsys, "show", "one", "--json")),
        json.loads(shown(capsys, "compare", "one", "two", "--json")),
    )
    assert {*told[0], *told[1]} <= set(re.findall(r"`([a-z_]+)`", guide.partition("## For programs")[2]))
    assert [status for status in get_args(Status) if status not in guide] == []
    verbs = (["train"], ["runs", "list"], ["runs", "show"], ["runs", "compare"], ["runs", "rm"])
    assert {main([*verb, "--help"]) for verb in verbs} == {0}
    known = capsys.readouterr().out
    assert {flag for flag in re.findall(r"--[a-z]+", guide) if flag not in known} == set()


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
