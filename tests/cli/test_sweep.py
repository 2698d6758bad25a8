"""`wordgen sweep`: its output, the time left, and bad input."""

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
from tests.helpers.sweeps import GRID
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
    """Return rows: one run is done, one trains, one has diverged, and the others wait."""
    rows = [Row(run, RunFigures("missing"), "waiting") for run in planned.runs]
    rows[0].state, rows[0].figures = "done", RunFigures("finished", (40.0, 31.5), 31.5, 60.0)
    progress = Progress(3, best=35.25)
    for event in (
        {"event": "begun", "time": 100.0, "first_step": 1, "last_step": 60},
        {"event": "step", "time": 110.0, "epoch": 2, "step": 30, "first": False},
    ):
        progress.update(event)
    rows[1].state, rows[1].progress = "training", progress
    rows[2].state, rows[2].note = "diverged", "diverged"
    return rows


def test_sweep_without_name_lists_all_sweeps(capsys: pytest.CaptureFixture[str]):
    assert main(["sweep"]) == 0
    lines = capsys.readouterr().out.strip().split("\n")
    assert [line.split()[0] for line in lines] == sweep_names()
    assert all(find_sweep(line.split()[0]).about in line for line in lines)


def test_dry_run_shows_networks_and_writes_nothing(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    (in_empty_folder / "my.toml").write_text(GRID)
    assert main(["sweep", "my.toml", "--dry-run", "--at-once", "3"]) == 0
    out = capsys.readouterr().out
    assert "rnn, units 24 8" in out
    assert "8 runs (4 networks, random seeds 1, 2), 3 at the same time, in saved_models/my." in out
    assert not (in_empty_folder / "saved_models").exists()


def test_list_wraps_between_words_on_narrow_terminal(in_empty_folder: Path):
    terminal, process_end = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "wordgen", "sweep"],
        cwd=in_empty_folder, env=command_environment(TERM="xterm", COLUMNS="60"), stdout=process_end,
    ) as process:  # fmt: skip
        os.close(process_end)
        lines = read_until(terminal, None).replace("\r", "").split("\n")
    os.close(terminal)
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


def test_saved_run_with_other_settings_is_refused(planned: PlannedSweep, capsys: pytest.CaptureFixture[str]):
    run = planned.runs[3]
    settings = {**run.settings.to_mapping(), "epochs": 4}
    run.folder.mkdir(parents=True)
    save_record(run.folder, made_record(settings=settings, dataset=run.plan.dataset))
    assert main(["sweep", "my.toml"]) == 2
    assert f"{run.folder} was started with --epochs 4, but the sweep has --epochs 3." in capsys.readouterr().err
    save_record(run.folder, made_record(settings=run.settings.to_mapping(), dataset=made_dataset("another")))
    assert main(["sweep", "my.toml"]) == 2
    assert "was started with another text of spells" in capsys.readouterr().err
    (run.folder / "report.json").write_text("{")
    assert main(["sweep", "my.toml"]) == 2
    assert f"Delete the folder {run.folder} to train this run again." in capsys.readouterr().err
    assert not run.log.exists()


def test_live_table_shows_state_and_figures_of_runs(planned: PlannedSweep):
    rows = rows_of(planned)
    console = Console(force_terminal=True, width=100, height=40, record=True, color_system=None)
    table = LiveTable(console, 2)
    with console.capture():
        table.updated(rows)
        table.close()
    console = Console(width=100, height=40)
    with console.capture() as capture:
        for part in table._live.renderable.renderables:  # pyright: ignore[reportAttributeAccessIssue]
            console.print(part)
    lines = [line.split() for line in capture.get().split("\n")]
    assert ["rnn,", "units", "16", "1", "done", "2", "31.5"] in lines
    assert ["rnn,", "units", "24", "8", "1", "training", "2/3", "35.2", "10", "s"] in lines
    assert ["lstm,", "units", "16", "1", "diverged"] in lines
    assert "2 of 8 runs are finished" in capture.get()


def test_live_table_on_small_screen_shows_runs_in_training(planned: PlannedSweep):
    console = Console(force_terminal=True, width=100, height=9, color_system=None)
    table = LiveTable(console, 2)
    with console.capture():
        table.updated(rows_of(planned))
        table.close()
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table._live.renderable)
    assert "training" in capture.get()
    assert "done" not in capture.get()
    assert len(capture.get().strip().split("\n")) <= 9 - 4


def test_seconds_left_counts_current_and_waiting_runs(planned: PlannedSweep):
    rows = rows_of(planned)
    assert seconds_left(rows, 1) == pytest.approx(10 + 5 * 60)
    assert seconds_left(rows, 2) == pytest.approx((10 + 5 * 60) / 2)
    assert seconds_left([row for row in rows if row.state == "waiting"], 1) is None


def test_without_terminal_each_run_is_a_line(planned: PlannedSweep, capsys: pytest.CaptureFixture[str]):
    rows = rows_of(planned)
    lines = PlainLines(Console())
    lines.updated([])
    lines.begun(rows[3])
    lines.ended(rows[0])
    lines.ended(rows[2])
    lines.updated(rows)
    assert capsys.readouterr().out.split("\n")[:4] == [
        "my/lstm-units-24-8-1 begins.",
        "my/rnn-units-16-1: validation perplexity 31.5 in 2 epochs (1 min 00 s).",
        "my/lstm-units-16-1: diverged.",
        "2 of 8 runs are finished.",
    ]


def test_end_shows_table_summary_and_next_commands(planned: PlannedSweep, capsys: pytest.CaptureFixture[str]):
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
def test_diverged_run_is_left_out_of_results(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    """Only the run that diverges is trained: the other is saved as finished."""
    grid = 'cell = "rnn"\nlayers = 1\nunits = 8\nclip = 0.0\noptimizer = "sgd"\n[grid]\nlearning_rate = [0.1, 1e30]\n'
    (in_empty_folder / "wild.toml").write_text(f'[settings]\ncorpus = "spells"\nepochs = 1\nbatch_size = 32\n{grid}')
    finished = plan_sweep(find_sweep("wild.toml")).runs[0]
    finished.folder.mkdir(parents=True)
    save_record(finished.folder, made_record(settings=finished.settings.to_mapping(), dataset=finished.plan.dataset))
    assert main(["sweep", "wild.toml"]) == 0
    out = capsys.readouterr().out
    assert "1 of 1 diverged" in out
    networks = json.loads(Path("saved_models/wild/results.json").read_text())["networks"]
    assert [network["completed_runs"] for network in networks] == [1, 0]
