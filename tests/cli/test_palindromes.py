"""The command: what it says before, while and after; bad input gets one sentence and exit code 2."""

import io
import json
import re
import time
from pathlib import Path

import pytest
from rich.console import Console

from tests.helpers.commands import ROOT
from tests.helpers.made_up_palindromes import run_result
from wordgen.cli.main import main
from wordgen.cli.palindromes import PlainLines, ProgressBars, TimeLeft, in_words, palindromes_parser, show_end
from wordgen.errors import SettingError
from wordgen.palindromes.results import save_result
from wordgen.palindromes.settings import StudySettings
from wordgen.palindromes.study import Row, StudyEnd, as_mapping, check_memory, room_for, study_rows

SETTINGS = StudySettings(lengths=(10, 20), cells=("rnn", "lstm"), random_seeds=(1, 2), steps=1000)


@pytest.fixture
def rows(in_empty_folder: Path) -> list[Row]:
    """One run done, one at work at half of its steps, the others waiting."""
    rows = study_rows(SETTINGS)
    rows[0].state, rows[0].result = "done", run_result("rnn", 10, 1, (0.2, 0.4))
    rows[0].step, rows[0].seconds = 1000, 10.0
    rows[1].state, rows[1].step, rows[1].accuracy = "at work", 500, 0.874
    rows[1].first_step_at, rows[1].first_step = time.monotonic() - 20, 0
    return rows


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--lengths", "1"], "--lengths must be at least 2 and at most 5,000, not 1."),
        (["--lengths", "ten"], "invalid int value: 'ten'"),
        (["--cells", "rnn", "LSTM"], "Did you mean lstm?"),
        (["--cell", "rnn"], "Did you mean --cells?"),
        (["--seeds", "1"], "Did you mean --random-seeds?"),
        (["--at-once", "0"], "--at-once must be 1 to 64, not 0"),
        (["--time-budget", "long"], "--time-budget must be seconds, minutes or hours"),
        (["--name", "a/b"], "--name cannot be 'a/b'"),
        (["--units", "8192", "--lengths", "5000", "--batch-size", "100000"], "GiB of memory: take fewer --units"),
    ],
)
def test_bad_input_gets_one_sentence(
    arguments: list[str], part: str, in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["palindromes", *arguments]) == 2
    errors = capsys.readouterr().err
    assert part in errors
    assert errors.count("\n") == 1
    assert not (in_empty_folder / "saved_models").exists()


def test_a_dry_run_shows_what_would_be_trained_and_leaves_nothing(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["palindromes", "--units", "128", "--encoding", "number", "--dry-run", "--at-once", "2"]) == 0
    out = capsys.readouterr().out
    assert "67,850" in out
    assert "Palindromes of 10 20 40 digits, random seeds 1 2 3: 27 runs, 2 at once, in saved_models/palindromes." in out
    assert not (in_empty_folder / "saved_models").exists()


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("{", "cannot be read: it is damaged"),
        ('{"units": "many"}', "cannot be read: it is damaged"),
        ("[" * 100_000, "cannot be read: it is damaged"),
        (json.dumps({**SETTINGS.learning.to_mapping(), "curriculum": True}), "began with --curriculum, and not with"),
        (
            json.dumps({**SETTINGS.learning.to_mapping(), "forget_bias": 2.0}),
            "began with --forget-bias 2.0, and not",
        ),
    ],
)
def test_a_study_of_another_kind_or_a_damaged_one_is_refused(
    content: str, part: str, in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
):
    SETTINGS.folder.mkdir(parents=True)
    (SETTINGS.folder / "palindromes.json").write_text(content)
    assert main(["palindromes"]) == 2
    errors = capsys.readouterr().err
    assert part in errors
    assert errors.count("\n") == 1
    assert [path.name for path in SETTINGS.folder.iterdir()] == ["palindromes.json"]


def test_a_folder_of_something_else_is_left_alone(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    SETTINGS.folder.mkdir(parents=True)
    (SETTINGS.folder / "report.json").write_text("{}")
    assert main(["palindromes"]) == 2
    assert "is not a study of palindromes: take another --name." in capsys.readouterr().err


def test_what_a_start_left_that_was_killed_at_once_is_in_nobodys_way(in_empty_folder: Path):
    SETTINGS.folder.mkdir(parents=True)
    (SETTINGS.folder / "sweep.lock").touch()
    (SETTINGS.folder / ".palindromes.json.x1y2").touch()
    assert len(study_rows(SETTINGS)) == 8


def test_it_is_listed_among_the_sweeps_and_removed_as_one(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    (SETTINGS.folder / "logs").mkdir(parents=True)
    for name in ("palindromes.json", "results.json"):
        (SETTINGS.folder / name).write_text("{}")
    for name in ("rnn-10-1", "lstm-10-1"):
        (SETTINGS.folder / "runs" / name).mkdir(parents=True)
        (SETTINGS.folder / "runs" / name / "result.json").touch()
    assert main(["runs"]) == 0
    listed = next(line.split() for line in capsys.readouterr().out.split("\n") if line.startswith("palindromes"))
    assert listed[2] == "2"
    assert listed[-1] == "finished"
    assert "year" not in " ".join(listed)
    assert main(["runs", "list", "palindromes"]) == 0
    assert capsys.readouterr().out == "2 runs of a study of palindromes, which write no text.\n"
    (SETTINGS.folder / "runs" / "rnn-10-1" / "result.json").unlink()
    assert main(["runs"]) == 0
    assert "interrupted" in capsys.readouterr().out
    assert main(["runs", "rm", "palindromes", "--yes"]) == 0
    assert not SETTINGS.folder.exists()


def test_a_damaged_result_is_named_with_what_to_do(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    (row, *_) = study_rows(SETTINGS)
    row.folder.mkdir(parents=True)
    (SETTINGS.folder / "palindromes.json").write_text(json.dumps(SETTINGS.learning.to_mapping()))
    save_result(row.folder, run_result("rnn", 10, 1))
    assert study_rows(SETTINGS)[0].state == "waiting"  # it has had fewer steps than are wanted now
    (row.folder / "result.json").write_text("{}")
    assert main(["palindromes"]) == 2
    assert f"remove the folder {row.folder} to have it trained anew" in capsys.readouterr().err


def test_the_time_left_is_that_of_all_steps_by_how_much_each_multiplies(rows: list[Row]):
    estimate = TimeLeft(SETTINGS, [], 1)
    rnn, lstm = 64 * (10 + 64 + 1), 4 * 64 * (10 + 64 + 1)
    mean = 30 / (1000 * 10 * rnn + 500 * 10 * lstm)
    own = 20
    waiting = [row for row in rows if row.state == "waiting"]
    others = sum(1000 * row.run.length * (rnn if row.run.cell == "rnn" else lstm) * mean for row in waiting)
    assert estimate.seconds(rows) == pytest.approx(own + others, rel=0.01)
    assert TimeLeft(SETTINGS, [], 2).seconds(rows) == pytest.approx((own + others) / 2, rel=0.01)
    assert estimate.seconds(waiting) is None
    short = StudySettings(**{**SETTINGS.to_mapping(), "time_budget": "30s"})
    left = TimeLeft(short, rows, 1).seconds(rows)  # the run that is done has taken 10 of the 30 seconds
    assert left == pytest.approx(20, abs=1)


def test_on_a_terminal_there_is_a_bar_for_each_run_at_work_and_the_time_left(rows: list[Row]):
    console = Console(force_terminal=True, width=100, file=io.StringIO(), color_system=None)
    bars = ProgressBars(console, TimeLeft(SETTINGS, [], 2), SETTINGS.steps)
    bars.begun(rows[1])
    bars.looked(rows)
    plain = Console(width=100, file=io.StringIO())
    plain.print(bars._bar.get_renderable())
    shown = plain.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    bars.stopping()
    bars.looked(rows)
    bars.close()
    assert "lstm-10-1" in shown
    assert "500/1000" in shown
    assert "87.4% right" in shown
    assert "1/8" in shown
    assert "finished, at most" in shown


def test_where_no_terminal_is_there_is_a_line_for_each_run(rows: list[Row], capsys: pytest.CaptureFixture[str]):
    lines = PlainLines(Console(width=100), TimeLeft(SETTINGS, [], 2))
    lines.begun(rows[2])
    lines.ended(rows[0])
    lines._said -= 60
    lines.looked(rows)
    lines.looked(rows)
    begun, ended, far, *rest = capsys.readouterr().out.split("\n")
    assert begun == "rnn-10-2 begins."
    assert ended == "rnn-10-1: 40.0% right after 100 steps (all steps done, 12 s)."
    assert far.startswith("1 of 8 runs are finished; lstm-10-1 is at step 500, at most ")
    assert far.endswith(" left.")
    assert rest == [""]


def test_at_the_end_stand_the_table_the_sentence_and_where_it_lies(rows: list[Row], capsys: pytest.CaptureFixture[str]):
    rows[1].state, rows[1].note = "failed", "its process was killed by signal 9; see the log"
    results = (run_result("rnn", 10, 1, (0.2, 0.4)), run_result("lstm", 10, 1))
    show_end(SETTINGS, StudyEnd(results, "LSTM: 100%.", False, (rows[1],)))
    out = capsys.readouterr().out
    assert "40.0%" in out
    assert "LSTM: 100%." in out
    assert "results.md, results.json, accuracy.png, length-10.png" in out
    assert "1 run failed (lstm-10-1: its process was killed by signal 9; see the log)." in out
    assert (
        "Continue the study:  python -m wordgen palindromes --lengths 10 20 --cells rnn lstm --random-seeds 1 2" in out
    )
    assert in_words(rows[1]).startswith("its process was killed")


def test_no_more_runs_train_at_the_same_time_than_wait(rows: list[Row]):
    assert [room_for(SETTINGS, rows, wanted) for wanted in (1, 6, 64)] == [1, 6, 6]
    assert room_for(SETTINGS, rows[:1], 64) == 1


def test_what_the_memory_cannot_hold_is_refused_before_it_is_tried():
    check_memory(SETTINGS, 2)
    with pytest.raises(SettingError, match="To train 2 runs with 5,000 digits takes about"):
        check_memory(StudySettings(lengths=5000, units=4096, batch_size=4096), 2)


def test_the_guide_names_flags_that_there_are_and_all_fields_of_json():
    guide = (ROOT / "docs" / "palindromes.md").read_text(encoding="utf-8")
    known = palindromes_parser("wordgen palindromes").format_help()
    assert {flag for flag in re.findall(r"--[a-z][a-z-]+", guide) if flag not in known} == set()
    told = json.loads(json.dumps(as_mapping(SETTINGS, [run_result("rnn", 10, 1)], "")))
    (average,), (run,) = told["averages"], told["runs"]
    fields = {*told, "stopped", *average, *average["accuracy"], *run, *run["curve"][0]}
    assert fields <= set(re.findall(r"`([a-z_0-9]+)`", guide))
