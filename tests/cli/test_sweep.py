"""The command: what it says before, while and after; bad input gets one sentence and exit code 2."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tests.helpers.commands import command_environment
from tests.helpers.saved_runs import made_dataset, made_record
from tests.helpers.sweep_files import GRID
from tests.helpers.terminal import read_until
from wordgen.cli.main import main
from wordgen.cli.sweep import LiveTable, PlainLines, seconds_left, show_end
from wordgen.run.record import save_record
from wordgen.sweep.planning import PlannedSweep, find_sweep, plan_sweep, sweep_names
from wordgen.sweep.results import Progress, Row, RunFigures, results_of
from wordgen.sweep.sweeping import SweepEnd


@pytest.fixture
def planned(in_empty_folder: Path) -> PlannedSweep:
    (in_empty_folder / "my.toml").write_text(GRID)
    return plan_sweep(find_sweep("my.toml"))


def rows_of(planned: PlannedSweep) -> list[Row]:
    """One run done, one at work, one diverged, the others waiting."""
    rows = [Row(run, RunFigures("missing"), "waiting") for run in planned.runs]
    rows[0].state, rows[0].figures = "done", RunFigures("finished", (40.0, 31.5), 31.5, 60.0)
    progress = Progress(3, best=35.25)
    for event in (
        {"event": "begun", "time": 100.0, "first_step": 1, "last_step": 60},
        {"event": "step", "time": 110.0, "epoch": 2, "step": 30, "first": False},
    ):
        progress.tell(event)
    rows[1].state, rows[1].progress = "training", progress
    rows[2].state, rows[2].note = "diverged", "diverged"
    return rows


def test_without_a_name_all_that_there_are_are_listed(capsys: pytest.CaptureFixture[str]):
    assert main(["sweep"]) == 0
    lines = capsys.readouterr().out.strip().split("\n")
    assert [line.split()[0] for line in lines] == sweep_names()
    assert all(find_sweep(line.split()[0]).about in line for line in lines)


def test_a_dry_run_shows_all_networks_and_leaves_nothing(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    (in_empty_folder / "my.toml").write_text(GRID)
    assert main(["sweep", "my.toml", "--dry-run", "--at-once", "3"]) == 0
    out = capsys.readouterr().out
    assert "rnn, units 24 8" in out
    assert "8 runs (4 networks, random seeds 1, 2), 3 at the same time, in saved_models/my." in out
    assert not (in_empty_folder / "saved_models").exists()


def test_no_word_is_broken_at_the_edge_of_a_terminal(in_empty_folder: Path):
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "wordgen", "sweep"],
        cwd=in_empty_folder, env=command_environment(TERM="xterm", COLUMNS="60"), stdout=theirs,
    ) as process:  # fmt: skip
        os.close(theirs)
        lines = read_until(ours, None).replace("\r", "").split("\n")
    os.close(ours)
    assert process.returncode == 0
    assert max(map(len, lines)) <= 60
    for name in sweep_names():
        assert set(find_sweep(name).about.split()) <= set(" ".join(lines).split())


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["cell"], "There is no sweep 'cell'. There are cells"),
        (["gone.toml"], "The sweep gone.toml cannot be read"),
        (["my.toml", "--at-once", "0"], "--at-once must be 1 to 64, not 0"),
        (["my.toml", "--at-once", "some"], "invalid int value"),
        (["my.toml", "--name", "a/b"], "--name cannot be 'a/b'"),
        (["my.toml", "--epochs", "3"], "Unrecognized arguments"),
    ],
)
def test_bad_input_gets_one_sentence(
    arguments: list[str], part: str, in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
):
    (in_empty_folder / "my.toml").write_text(GRID)
    assert main(["sweep", *arguments]) == 2
    errors = capsys.readouterr().err
    assert part in errors
    assert errors.count("\n") == 1
    assert not (in_empty_folder / "saved_models").exists()


def test_a_run_with_other_settings_is_refused_before_any_begins(
    planned: PlannedSweep, capsys: pytest.CaptureFixture[str]
):
    run = planned.runs[3]
    settings = {**run.settings.to_mapping(), "epochs": 4}
    run.folder.mkdir(parents=True)
    save_record(run.folder, made_record(settings=settings, dataset=run.plan.dataset))
    assert main(["sweep", "my.toml"]) == 2
    assert f"{run.folder} was started with --epochs 4, but the sweep has 3." in capsys.readouterr().err
    save_record(run.folder, made_record(settings=run.settings.to_mapping(), dataset=made_dataset("another")))
    assert main(["sweep", "my.toml"]) == 2
    assert "was started with another text of spells" in capsys.readouterr().err
    (run.folder / "report.json").write_text("{")
    assert main(["sweep", "my.toml"]) == 2
    assert f"Delete the folder {run.folder} to train this run again." in capsys.readouterr().err
    assert not run.log.exists()


def test_the_table_fills_with_what_is_known(planned: PlannedSweep, monkeypatch: pytest.MonkeyPatch):
    rows = rows_of(planned)
    console = Console(force_terminal=True, width=100, height=40, record=True, color_system=None)
    table = LiveTable(console, 2)
    with console.capture():
        table.looked(rows)
        table.close()
    console = Console(width=100, height=40)
    with console.capture() as shown:
        for part in table._live.renderable.renderables:  # pyright: ignore[reportAttributeAccessIssue]
            console.print(part)
    lines = [line.split() for line in shown.get().split("\n")]
    assert ["rnn,", "units", "16", "1", "done", "2", "31.5"] in lines
    assert ["rnn,", "units", "24", "8", "1", "training", "2/3", "35.2", "10", "s"] in lines
    assert ["lstm,", "units", "16", "1", "diverged"] in lines
    assert "2 of 8 runs are finished" in shown.get()


def test_on_a_small_screen_what_is_at_work_is_seen(planned: PlannedSweep):
    console = Console(force_terminal=True, width=100, height=9, color_system=None)
    table = LiveTable(console, 2)
    with console.capture() as shown:
        table.looked(rows_of(planned))
        table.close()
    small = Console(width=100)
    with small.capture() as shown:
        small.print(table._live.renderable)
    assert "training" in shown.get()
    assert "done" not in shown.get()
    assert len(shown.get().strip().split("\n")) <= 9 - 4


def test_the_time_left_is_that_of_what_is_at_work_and_of_what_waits(planned: PlannedSweep):
    rows = rows_of(planned)
    assert seconds_left(rows, 1) == pytest.approx(10 + 5 * 60)
    assert seconds_left(rows, 2) == pytest.approx((10 + 5 * 60) / 2)
    assert seconds_left([row for row in rows if row.state == "waiting"], 1) is None


def test_where_no_terminal_is_there_is_a_line_for_each_run(planned: PlannedSweep, capsys: pytest.CaptureFixture[str]):
    rows = rows_of(planned)
    lines = PlainLines(Console(), len(rows))
    lines.looked([])
    lines.begun(rows[3])
    lines.ended(rows[0])
    lines.ended(rows[2])
    lines.looked(rows)
    assert capsys.readouterr().out.split("\n")[:4] == [
        "my/lstm-units-24-8-1 begins.",
        "my/rnn-units-16-1: validation perplexity 31.5 in 2 epochs (1 min 00 s).",
        "my/lstm-units-16-1: diverged.",
        "2 of 8 runs are finished.",
    ]


def test_at_the_end_stand_table_sentence_and_what_to_do_next(planned: PlannedSweep, capsys: pytest.CaptureFixture[str]):
    rows = rows_of(planned)
    results = results_of(rows)
    lost = Row(planned.runs[1], RunFigures("interrupted"), "failed", "killed by signal 9")
    show_end(planned, SweepEnd(tuple(results), "It mattered.", False, (lost,)), "python -m wordgen sweep my.toml")
    out = capsys.readouterr().out
    assert results[0].network.name == "rnn, units 16"
    assert "2 of 2 diverged" not in out
    assert "It mattered." in out
    assert "tensorboard --logdir saved_models/my" in out
    assert "1 run was lost. Continue the sweep:  python -m wordgen sweep my.toml" in out


@pytest.mark.slow
def test_what_diverges_is_a_note_and_the_others_count(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    """The run that counts is there already, as one that has ended."""
    grid = 'cell = "rnn"\nlayers = 1\nunits = 8\nclip = 0.0\noptimizer = "sgd"\n[grid]\nlearning_rate = [0.1, 1e30]\n'
    (in_empty_folder / "wild.toml").write_text(f'[settings]\ncorpus = "spells"\nepochs = 1\nbatch_size = 32\n{grid}')
    ended = plan_sweep(find_sweep("wild.toml")).runs[0]
    ended.folder.mkdir(parents=True)
    save_record(ended.folder, made_record(settings=ended.settings.to_mapping(), dataset=ended.plan.dataset))
    assert main(["sweep", "wild.toml"]) == 0
    out = capsys.readouterr().out
    assert "1 of 1 diverged" in out
    networks = json.loads(Path("saved_models/wild/results.json").read_text())["networks"]
    assert [network["counted"] for network in networks] == [1, 0]
