"""`wordgen runs`: list, show, compare and remove runs and sweeps."""

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
from wordgen.run.folder import sweep_lock, training_lock
from wordgen.run.listing import Order, Status
from wordgen.run.names import LOGS, SAVED_MODELS, SWEEP_PLAN, SWEEP_RESULTS, SWEEP_TABLE
from wordgen.run.record import DIVERGED, save_measurement, save_record
from wordgen.run.settings import TrainSettings

pytestmark = pytest.mark.usefixtures("in_empty_folder")


def stdout_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["runs", *arguments]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return output.out


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["runs", *arguments]) == 2
    output = capsys.readouterr()
    assert output.err.startswith("Error: ")
    assert output.err.count("\n") == 1
    return output.err


def cells_by_row(output: str) -> dict[str, list[str]]:
    """Return the other cells of each row by its first cell."""
    lines = [re.split(r" {2,}", line) for line in output.split("\n") if "  " in line]
    return {first: others for first, *others in lines if first}


def test_list_has_a_row_for_each_run(capsys: pytest.CaptureFixture[str]):
    folder = make_run("tale", test=33.5, age=3 * 3600)
    (folder / "more").write_bytes(b"x" * 5_000_000)
    make_run("stopped", ended="stopped", age=86_400)
    (make_run("damaged", age=7200) / CONFIG).write_text("?")
    output = stdout_of(capsys)
    assert output == stdout_of(capsys, "list")
    cells = cells_by_row(output)
    assert cells["name"] == ["corpus", "network", "epochs", "valid", "test", "size", "age", "status"]
    assert cells["tale"] == ["tale", "2 x 4 lstm", "3 (2)", "31.2", "33.5", "5.0 MB", "3 hours", "finished"]
    assert cells["stopped"][-2:] == ["yesterday", "can be resumed"]
    assert cells["damaged"][-2] == "2 hours"
    assert "broken, config.json cannot be read" in " ".join(output.split())
    assert "3 runs, 5.0 MB" in output
    assert list(cells)[1:4] == ["damaged", "tale", "stopped"]
    assert list(cells_by_row(stdout_of(capsys, "--sort", "name")))[1:4] == ["damaged", "stopped", "tale"]
    assert list(cells_by_row(stdout_of(capsys, "list", "--sort", "size")))[1] == "tale"


def test_narrow_screen_shows_the_whole_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    make_run("a-name-as-long-as-20", ended="stopped", test=33.5, age=86_400, settings={"corpus": "wikitext-2"})
    wide = stdout_of(capsys)
    monkeypatch.setattr("wordgen.cli.runs.screen_width", lambda: 80)
    monkeypatch.setattr("wordgen.cli.output.screen_width", lambda: 80)
    narrow = stdout_of(capsys)
    table, rest = narrow.split("\n\n")
    assert max(map(len, table.split("\n"))) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in narrow
    assert sorted("".join(table.split())) == sorted("".join(wide.partition("\n\n")[0].split()))
    assert rest == wide.partition("\n\n")[2]


def test_list_without_runs_suggests_train(capsys: pytest.CaptureFixture[str]):
    assert "There are no runs in saved_models/. Train one:  python -m wordgen train" in stdout_of(capsys)
    assert json.loads(stdout_of(capsys, "--json")) == []


def test_list_as_json(capsys: pytest.CaptureFixture[str]):
    make_run("tale", test=33.5, bits=1.1)
    make_run("killed", model=False, ended=None, best_epoch=None)
    runs = {run["name"]: run for run in json.loads(stdout_of(capsys, "list", "--json"))}
    assert json.loads(stdout_of(capsys, "--json", "list")) == list(runs.values())
    assert runs["tale"]["valid_perplexity"] == pytest.approx(31.21)
    assert runs["tale"]["test_perplexity"] == pytest.approx(33.5)
    assert runs["tale"]["valid_bits_per_character"] == pytest.approx(1.1)
    assert (runs["killed"]["status"], runs["killed"]["best_epoch"]) == ("interrupted", None)


def test_show_has_curves_settings_files_and_commands(capsys: pytest.CaptureFixture[str]):
    make_run("my tale", test=33.5, bits=1.1, settings={"units": 4, "tied": True, "clip": 2.0})
    output = stdout_of(capsys, "show", "my tale")
    assert output.startswith("my tale: finished\n")
    cells = cells_by_row(output)
    assert cells["valid"] == ["▅▁▁", "62.4 to 33.7"]
    assert cells["train"] == ["█▄▁", "100.0 to 33.3"]
    assert cells["test"] == ["perplexity 33.5, 1.250 bits per character"]
    assert cells["--tied"] == ["yes"]
    assert cells["--clip"] == ["2.0"]
    assert "--dropout" not in cells
    assert cells["config.json"] == [f"{(SAVED_MODELS / 'my tale' / CONFIG).stat().st_size} bytes"]
    assert "  python -m wordgen evaluate 'my tale'\n" in output
    assert "  python -m wordgen generate --model 'my tale' --seed The\n" in output
    assert "--resume" not in output


def test_command_to_repeat_run_has_all_settings(capsys: pytest.CaptureFixture[str]):
    settings = {"units": (4, 8), "tied": True, "clip": 2.0, "copy_index": False}
    make_run("tale", ended="stopped", settings=settings)
    run = json.loads(stdout_of(capsys, "show", "tale", "--json"))
    repeat, resume, *_ = (shlex.split(command)[4:] for command in run["commands"].values())
    expected = TrainSettings(corpus="tale", layers=2, **settings)
    assert TrainSettings(**given_settings(TrainSettings, train_parser("").parse_args(repeat))) == expected
    assert resume == ["--resume", "tale"]
    assert run["settings"] == {"corpus": "tale", "layers": 2, **settings, "units": [4, 8]}
    assert run["curves"] == [
        [epoch.epoch, epoch.train_perplexity, epoch.valid_perplexity] for epoch in made_record().epochs
    ]


def test_show_model_without_report_and_broken_run(capsys: pytest.CaptureFixture[str]):
    (make_run("shared") / "report.json").unlink()
    output = stdout_of(capsys, "show", "shared")
    assert output.startswith("shared: only a model\n")
    assert "python -m wordgen generate --model shared\n" in output
    (SAVED_MODELS / "begun").mkdir()
    output = stdout_of(capsys, "show", "begun")
    assert output.startswith("begun: broken, no report and no model\n")
    assert "python -m wordgen runs rm begun\n" in output


def test_compare_shows_different_settings_and_better_run(capsys: pytest.CaptureFixture[str]):
    make_run("one", valid=30, test=35, settings={"units": 4})
    make_run("two", valid=29, settings={"units": (4, 8)})
    output = stdout_of(capsys, "compare", "one", "two")
    cells = cells_by_row(output)
    assert cells["--units"] == ["4", "4 8"]
    assert cells["valid perplexity"] == ["30.0", "29.0", "better"]
    assert cells["test perplexity"] == ["35.0", "–"]
    assert "--layers" not in cells
    assert "Measure the test set, too:  python -m wordgen evaluate two\n" in output
    output = json.loads(stdout_of(capsys, "compare", "one", "two", "--json"))
    assert output["settings"] == {"units": [4, [4, 8]]}
    assert output["better"]["valid_perplexity"] == ["two"]


def test_compare_reports_difference_within_chance(capsys: pytest.CaptureFixture[str]):
    losses: list[Loss] = []
    for name, change in (("one", 0.0), ("two", 0.1)):
        blocks = np.array([[40.0 + number % 3 + change * (-1) ** number * number, 10.0] for number in range(20)])
        loss = Loss(float(blocks[:, 0].sum()), 200, blocks)
        save_measurement(make_run(name), "test", made_measurement(9.0, loss=loss, characters=1000))
        losses.append(loss)
    output = " ".join(stdout_of(capsys, "compare", "one", "two").split())
    one, two = (f"{loss.perplexity:.1f} ± {loss.margin:.1f}" for loss in losses)
    bits = f"{losses[0].bits_per(1000):.3f} ± {losses[0].margin_per(1000):.3f}"
    assert f"test perplexity {one} {two} test bits per character {bits}" in output
    assert "The test perplexity of one and two does not differ by more than chance (95% certainty)." in output
    assert "± gives a 95% confidence interval" in output
    output = json.loads(stdout_of(capsys, "compare", "one", "two", "--json"))
    assert output["better"]["test_perplexity"] == []
    assert output["no_difference"]["test_perplexity"] == ["one", "two"]
    assert output["runs"][0]["test_perplexity_margin"] == pytest.approx(losses[0].margin)


def test_compare_warns_of_different_tokens_or_texts(capsys: pytest.CaptureFixture[str]):
    make_run("one", valid=30)
    make_run("two", valid=29, dataset=made_dataset("g"))
    output = " ".join(stdout_of(capsys, "compare", "one", "two").split())
    assert output.count("better") == 1  # in "Lower is better."
    assert (
        "their perplexities cannot be compared. Their bits per character can be compared if only few words are"
        in output
    )
    make_run("three", valid=29, settings={"corpus": "else"}, dataset=made_dataset("h"))
    output = " ".join(stdout_of(capsys, "compare", "one", "three").split())
    assert "The runs were trained on different texts" in output
    assert "python -m wordgen evaluate one --split" in output


def type_answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.mark.parametrize(("typed", "deleted"), [("y\n", True), ("YES\n", True), ("\n", False), ("n\n", False)])
def test_rm_deletes_only_after_yes(
    typed: str, deleted: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (make_run("tale") / "more").write_bytes(b"x" * 3_000_000)
    make_run("other")
    type_answer(monkeypatch, typed)
    output = stdout_of(capsys, "rm", "tale")
    assert "tale, a run on tale, 3.0 MB\nDelete it? (y/N) " in output
    assert ("Deleted tale: 3.0 MB freed.\n" in output, "Nothing was deleted.\n" in output) == (deleted, not deleted)
    assert (SAVED_MODELS / "tale").exists() == (not deleted)
    assert (SAVED_MODELS / "other").exists()


def test_answer_that_is_not_utf_8_deletes_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    make_run("tale")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\n"), encoding="utf-8"))
    assert "Nothing was deleted." in stdout_of(capsys, "rm", "tale")


def test_rm_without_input_needs_flag_yes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    make_run("tale")
    type_answer(monkeypatch, "")
    assert "give --yes" in error_of(capsys, "rm", "tale")
    assert (SAVED_MODELS / "tale").exists()
    assert "Deleted tale" in stdout_of(capsys, "rm", "tale", "--yes")
    assert not (SAVED_MODELS / "tale").exists()


def test_bad_input_gets_one_sentence(capsys: pytest.CaptureFixture[str]):
    make_run("tale")
    (make_run("bare") / "report.json").unlink()
    assert "two or more" in error_of(capsys, "compare", "tale")
    assert "two or more" in error_of(capsys, "compare", "tale", "ta")
    assert "cannot be compared" in error_of(capsys, "compare", "tale", "bare")
    assert "There is no model 'x'" in error_of(capsys, "show", "x")
    assert "not the name of a run" in error_of(capsys, "rm", "../tale", "--yes")
    assert "in saved_models/. Did you mean tale?" in error_of(capsys, "rm", "ta", "--yes")
    with training_lock(SAVED_MODELS / "tale"):
        assert "Another process trains the run" in error_of(capsys, "rm", "bare", "tale", "--yes")
    assert sorted(path.name for path in SAVED_MODELS.iterdir()) == ["bare", "tale"]


@pytest.mark.parametrize(
    ("seconds", "age"),
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
def test_shown_age(seconds: float, age: str):
    assert shown_age(seconds) == age


def test_sparkline_of_falling_infinite_and_equal_values(monkeypatch: pytest.MonkeyPatch):
    values = [1000.0, 100.0, 10.0, 1.0]
    assert sparkline(values, values) == "█▆▃▁"
    assert sparkline([float("inf"), 5.0, 5.0], [5.0]) == "█▁▁"
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert sparkline(values, values) == "8631"


def test_unknown_sort_order_lists_all_orders(capsys: pytest.CaptureFixture[str]):
    """The orders are declared twice, so that --help does not import NumPy."""
    choices = re.search(r"choose from (.*?)\)", error_of(capsys, "--sort", "beauty"))
    assert choices is not None
    assert {choice.strip(" '") for choice in choices[1].split(",")} == set(get_args(Order))


def test_hostile_names_are_printed_as_plain_text(capsys: pytest.CaptureFixture[str], in_empty_folder: Path):
    name = "[bold]\x1b[31mred"
    make_run("tale").rename(SAVED_MODELS / name)
    save_record(SAVED_MODELS / name, made_record(settings={"corpus": "\x1b[2Jtale"}, word_to_try="\x1b[2J"))
    (SAVED_MODELS / name / "\x07file").touch()
    make_run("other")
    output = stdout_of(capsys) + stdout_of(capsys, "show", name) + stdout_of(capsys, "compare", name, "other")
    assert "[bold]" in output
    assert "?[2Jtale" in output
    assert "\x1b" not in output
    assert "\x07" not in output


def test_docs_name_all_json_fields_statuses_and_flags(capsys: pytest.CaptureFixture[str]):
    guide = (ROOT / "docs" / "runs.md").read_text(encoding="utf-8")
    make_runs("one", "two")
    shown_fields = json.loads(stdout_of(capsys, "show", "one", "--json"))
    compared_fields = json.loads(stdout_of(capsys, "compare", "one", "two", "--json"))
    assert {*shown_fields, *compared_fields} <= set(re.findall(r"`([a-z_]+)`", guide.partition("## For programs")[2]))
    assert [status for status in get_args(Status) if status not in guide] == []
    verbs = (["train"], ["runs", "list"], ["runs", "show"], ["runs", "compare"], ["runs", "rm"])
    assert {main([*verb, "--help"]) for verb in verbs} == {0}
    help_text = capsys.readouterr().out
    assert {flag for flag in re.findall(r"--[a-z]+", guide) if flag not in help_text} == set()


def make_sweep(name: str = "sizes", *, finished: bool = True) -> None:
    make_run(f"{name}/large-1", valid=30.2, age=7200)
    make_run(f"{name}/large-2", valid=29.1, age=3600)
    (SAVED_MODELS / name / LOGS).mkdir()
    for file in (SWEEP_RESULTS, SWEEP_TABLE) if finished else ():
        (SAVED_MODELS / name / file).write_text("{}")


def test_list_has_sweeps_below_runs(capsys: pytest.CaptureFixture[str]):
    make_sweep()
    only_sweep = stdout_of(capsys)
    assert only_sweep.startswith("sweep ")
    assert "There are no runs" not in only_sweep
    make_run("tale")
    output = stdout_of(capsys)
    runs, sweeps = output.split("\n\nsweep ")
    assert "1 run, " in runs
    assert "large" not in runs
    sweeps = cells_by_row(f"sweep {sweeps}")
    assert sweeps["sweep"] == ["corpus", "runs", "best", "valid", "size", "age", "status"]
    assert sweeps["sizes"][:4] == ["tale", "2", "large-2", "29.1"]
    assert sweeps["sizes"][-2:] == ["1 hour", "finished"]
    assert "List the runs of a sweep:  python -m wordgen runs list sizes\n" in output


def test_folder_of_runs_is_no_sweep(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    make_run("books/emma", age=3600)
    make_run("tale")
    output = stdout_of(capsys)
    assert list(cells_by_row(output))[:3] == ["name", "tale", "books/emma"]
    assert "sweep" not in output
    assert {run["name"]: run["sweep"] for run in json.loads(stdout_of(capsys, "--json"))} == {
        "tale": None,
        "books/emma": None,
    }
    assert stdout_of(capsys, "show", "books/emma").startswith("books/emma: finished\n")
    assert "Existing sweeps: none" in error_of(capsys, "list", "books")
    type_answer(monkeypatch, "n\n")
    assert "books, a folder with 1 run, " in stdout_of(capsys, "rm", "books")
    assert "Deleted books/emma" in stdout_of(capsys, "rm", "books/emma", "--yes")
    assert not (SAVED_MODELS / "books").exists()


def test_status_of_sweep(capsys: pytest.CaptureFixture[str]):
    make_sweep(finished=False)
    assert cells_by_row(stdout_of(capsys))["sizes"][-1] == "interrupted"
    with sweep_lock(SAVED_MODELS / "sizes"):
        assert cells_by_row(stdout_of(capsys))["sizes"][-1] == "training now"
    (SAVED_MODELS / "sizes" / SWEEP_RESULTS).write_text("{}")
    assert cells_by_row(stdout_of(capsys))["sizes"][-1] == "finished"
    make_run("sizes/more", ended="stopped")
    assert cells_by_row(stdout_of(capsys))["sizes"][-1] == "interrupted"


def write_plan(folder: Path, *runs: str) -> None:
    (folder / SWEEP_PLAN).write_text(json.dumps({"runs": runs}))


def test_sweep_without_logs_stays_a_sweep(capsys: pytest.CaptureFixture[str]):
    make_sweep(finished=False)
    write_plan(SAVED_MODELS / "sizes", "large-1", "large-2", "small-1")
    (SAVED_MODELS / "sizes" / LOGS).rmdir()
    assert cells_by_row(stdout_of(capsys))["sizes"][-1] == "interrupted"


def test_sweep_without_all_planned_runs_is_interrupted(capsys: pytest.CaptureFixture[str]):
    """Results of an earlier plan, or of runs that were lost, do not make it finished."""

    def status(*rows: dict[str, str]) -> str:
        (SAVED_MODELS / "sizes" / SWEEP_RESULTS).write_text(json.dumps({"runs": rows}))
        return cells_by_row(stdout_of(capsys))["sizes"][-1]

    make_sweep()
    large = [{"name": f"sizes/large-{number}", "status": "finished", "note": ""} for number in (1, 2)]
    small = {"name": "sizes/small-1", "status": "missing", "note": "killed by signal 9"}
    write_plan(SAVED_MODELS / "sizes", "large-1", "large-2")
    assert status(*large) == "finished"
    write_plan(SAVED_MODELS / "sizes", "large-1", "large-2", "small-1")
    assert status(*large) == status(*large, small) == "interrupted"
    assert status(*large, {**small, "note": DIVERGED}) == status(*large, {**small, "status": "finished"}) == "finished"
    (SAVED_MODELS / "sizes" / SWEEP_PLAN).write_text("no JSON")
    assert status(*large) == "finished"


def test_sweep_of_different_texts_or_tokens_has_no_best_run(capsys: pytest.CaptureFixture[str]):
    make_sweep()
    make_run("sizes/other", valid=2.0, settings={"corpus": "another"}, dataset=made_dataset("g"))
    (SAVED_MODELS / "sizes/other" / CONFIG).unlink()
    assert cells_by_row(stdout_of(capsys))["sizes"][:4] == ["another, tale", "3", "–", "–"]
    make_sweep("tokens")
    make_run("tokens/letters", valid=2.0, dataset=made_dataset("g"))
    assert cells_by_row(stdout_of(capsys))["tokens"][:4] == ["tale", "3", "–", "–"]


def test_list_show_and_compare_runs_of_sweep(capsys: pytest.CaptureFixture[str]):
    make_run("tale")
    make_sweep()
    output = stdout_of(capsys, "list", "sizes", "--sort", "valid")
    assert list(cells_by_row(output))[1:3] == ["sizes/large-2", "sizes/large-1"]
    assert "python -m wordgen runs show sizes/large-2\n" in output
    assert "Results:  saved_models/sizes/results.md\n" in output
    assert stdout_of(capsys, "show", "sizes/large-2").startswith("sizes/large-2: finished\n")
    better = json.loads(stdout_of(capsys, "compare", "sizes/large-1", "sizes/large-2", "--json"))["better"]
    assert better["valid_perplexity"] == ["sizes/large-2"]
    assert "There is no sweep 'tale' in saved_models. Existing sweeps: sizes." in error_of(capsys, "list", "tale")
    assert "There is no sweep '../sizes'" in error_of(capsys, "list", "../sizes")


def test_broken_run_of_sweep_can_be_shown_and_removed(capsys: pytest.CaptureFixture[str]):
    make_sweep()
    (SAVED_MODELS / "sizes" / "large-1" / CONFIG).unlink()
    output = stdout_of(capsys, "show", "sizes/large-1")
    assert output.startswith("sizes/large-1: broken, config.json is missing\n")
    assert "python -m wordgen runs rm sizes/large-1\n" in output
    assert "Deleted sizes/large-1" in stdout_of(capsys, "rm", "sizes/large-1", "--yes")


def test_list_as_json_has_runs_of_sweeps(capsys: pytest.CaptureFixture[str]):
    make_run("tale")
    make_sweep()
    sweep_by_name = {run["name"]: run["sweep"] for run in json.loads(stdout_of(capsys, "--json"))}
    assert sweep_by_name == {"tale": None, "sizes/large-1": "sizes", "sizes/large-2": "sizes"}
    names = [run["name"] for run in json.loads(stdout_of(capsys, "list", "sizes", "--json"))]
    assert names == ["sizes/large-2", "sizes/large-1"]


def test_rm_asks_before_deleting_a_sweep(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    make_sweep()
    type_answer(monkeypatch, "y\n")
    output = stdout_of(capsys, "rm", "sizes")
    assert re.search(r"^sizes, a sweep with 2 runs, [\d.]+ k?B", output)
    assert not (SAVED_MODELS / "sizes").exists()
