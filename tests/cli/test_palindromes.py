"""`wordgen palindromes`: its output, the time left, and bad input."""

import io
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from tests.helpers.commands import ROOT
from tests.helpers.made_up_palindromes import run_result
from wordgen.cli.main import main
from wordgen.cli.palindromes import PlainLines, ProgressBars, TimeLeft, in_words, palindromes_parser, show_end
from wordgen.errors import SettingError
from wordgen.palindromes.results import save_result
from wordgen.palindromes.settings import StudySettings
from wordgen.palindromes.study import Row, StudyEnd, as_mapping, check_memory, choose_runs_at_once, study_rows

SETTINGS = StudySettings(lengths=(10, 20), cells=("rnn", "lstm"), random_seeds=(1, 2), steps=1000)
NOW = 1_000_000.0


@pytest.fixture
def rows(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """One run is done, one is at half of its steps, and the others wait. The clock of the command stands still."""
    monkeypatch.setattr("wordgen.cli.palindromes.time", SimpleNamespace(monotonic=lambda: NOW))
    rows = study_rows(SETTINGS)
    rows[0].state, rows[0].result = "done", run_result("rnn", 10, 1, (0.2, 0.4))
    rows[0].step, rows[0].seconds = 1000, 10.0
    rows[1].state, rows[1].step, rows[1].accuracy = "at work", 500, 0.874
    rows[1].first_step_at, rows[1].first_step = NOW - 20, 0
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


def test_dry_run_shows_plan_and_writes_nothing(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
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
        (json.dumps({**SETTINGS.learning.to_mapping(), "curriculum": True}), "began with --curriculum, not --no-"),
        (
            json.dumps({**SETTINGS.learning.to_mapping(), "forget_bias": 2.0}),
            "began with --forget-bias 2.0, not the default of --forget-bias: take",
        ),
    ],
)
def test_damaged_study_or_study_with_other_settings_is_refused(
    content: str, part: str, in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
):
    SETTINGS.folder.mkdir(parents=True)
    (SETTINGS.folder / "palindromes.json").write_text(content)
    assert main(["palindromes"]) == 2
    errors = capsys.readouterr().err
    assert part in errors
    assert errors.count("\n") == 1
    assert [path.name for path in SETTINGS.folder.iterdir()] == ["palindromes.json"]


def test_folder_of_a_run_is_refused(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    SETTINGS.folder.mkdir(parents=True)
    (SETTINGS.folder / "report.json").write_text("{}")
    assert main(["palindromes"]) == 2
    assert "is not a study of palindromes: take another --name." in capsys.readouterr().err


def test_study_starts_after_a_start_that_was_killed(in_empty_folder: Path):
    SETTINGS.folder.mkdir(parents=True)
    (SETTINGS.folder / "sweep.lock").touch()
    (SETTINGS.folder / ".palindromes.json.x1y2").touch()
    assert len(study_rows(SETTINGS)) == 8


def test_runs_lists_and_removes_study(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
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


def test_damaged_result_is_reported(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    (row, *_) = study_rows(SETTINGS)
    row.folder.mkdir(parents=True)
    (SETTINGS.folder / "palindromes.json").write_text(json.dumps(SETTINGS.learning.to_mapping()))
    save_result(row.folder, run_result("rnn", 10, 1))
    assert study_rows(SETTINGS)[0].state == "waiting"  # it has fewer steps than the settings
    (row.folder / "result.json").write_text("{}")
    assert main(["palindromes"]) == 2
    assert f"remove the folder {row.folder} to have it trained anew" in capsys.readouterr().err


def test_time_left_counts_multiplications_of_all_steps(rows: list[Row]):
    estimate = TimeLeft(SETTINGS, [], 1)
    rnn, lstm = 64 * (10 + 64 + 1), 4 * 64 * (10 + 64 + 1)
    mean = 30 / (1000 * 10 * rnn + 500 * 10 * lstm)
    running = 20
    waiting = [row for row in rows if row.state == "waiting"]
    others = sum(1000 * row.run.length * (rnn if row.run.cell == "rnn" else lstm) * mean for row in waiting)
    assert estimate.seconds(rows) == pytest.approx(running + others)
    assert TimeLeft(SETTINGS, [], 2).seconds(rows) == pytest.approx((running + others) / 2)
    assert estimate.seconds(waiting) is None
    short = StudySettings(**{**SETTINGS.to_mapping(), "time_budget": "30s"})
    left = TimeLeft(short, rows, 1).seconds(rows)  # the finished run has taken 10 of the 30 seconds
    assert left == pytest.approx(20)


def test_terminal_shows_bars_and_time_left(rows: list[Row]):
    console = Console(force_terminal=True, width=100, file=io.StringIO(), color_system=None)
    bars = ProgressBars(console, TimeLeft(SETTINGS, [], 2), SETTINGS.steps)
    bars.begun(rows[1])
    bars.updated(rows)
    buffer = Console(width=100, file=io.StringIO())
    buffer.print(bars._bar.get_renderable())
    output = buffer.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    bars.stopping()
    bars.updated(rows)
    bars.close()
    assert "lstm-10-1" in output
    assert "500/1000" in output
    assert "87.4% right" in output
    assert "1/8" in output
    assert "finished, at most" in output


def test_without_terminal_each_run_is_a_line(rows: list[Row], capsys: pytest.CaptureFixture[str]):
    lines = PlainLines(Console(width=100), TimeLeft(SETTINGS, [], 2))
    lines.begun(rows[2])
    lines.ended(rows[0])
    lines._last_line_at -= 60
    lines.updated(rows)
    lines.updated(rows)
    begun, ended, progress, *rest = capsys.readouterr().out.split("\n")
    assert begun == "rnn-10-2 begins."
    assert ended == "rnn-10-1: 40.0% right after 100 steps (all steps done, 12 s)."
    assert progress.startswith("1 of 8 runs is finished; lstm-10-1 is at step 500, at most ")
    assert progress.endswith(" left.")
    assert rest == [""]


def test_end_shows_table_files_failures_and_next_command(rows: list[Row], capsys: pytest.CaptureFixture[str]):
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


def test_room_for_is_at_most_number_of_waiting_runs(rows: list[Row]):
    assert [choose_runs_at_once(SETTINGS, rows, wanted) for wanted in (1, 6, 64)] == [1, 6, 6]
    assert choose_runs_at_once(SETTINGS, rows[:1], 64) == 1


def test_study_that_does_not_fit_into_memory_is_refused():
    check_memory(SETTINGS, 2)
    with pytest.raises(SettingError, match="To train 2 runs with 5,000 digits takes about"):
        check_memory(StudySettings(lengths=5000, units=4096, batch_size=4096), 2)


def test_docs_name_existing_flags_and_all_json_fields():
    guide = (ROOT / "docs" / "palindromes.md").read_text(encoding="utf-8")
    help_text = palindromes_parser("wordgen palindromes").format_help()
    assert {flag for flag in re.findall(r"--[a-z][a-z-]+", guide) if flag not in help_text} == set()
    results = json.loads(json.dumps(as_mapping(SETTINGS, [run_result("rnn", 10, 1)], "")))
    (average,), (run,) = results["averages"], results["runs"]
    fields = {*results, "stopped", *average, *average["accuracy"], *run, *run["curve"][0]}
    assert fields <= set(re.findall(r"`([a-z_0-9]+)`", guide))
