"""The results of a sweep: the status of runs, and the table with means, deviations and notes."""

import json
import statistics
from pathlib import Path

import pytest

from tests.helpers.saved_runs import made_record
from tests.helpers.sweeps import network_result, sweep_with
from wordgen.run.record import save_record
from wordgen.sweep.planning import Network, PlannedSweep
from wordgen.sweep.results import (
    COLUMNS,
    NetworkResult,
    Row,
    RunFigures,
    Spread,
    figures_of,
    markdown_table,
    table_lines,
    write_results,
)
from wordgen.sweep.sweeping import RunningProcess, set_end_state


def test_spread_has_mean_and_deviation_of_random_seeds():
    spread = Spread((30.0, 32.0, 37.0))
    assert spread.mean == 33.0
    assert spread.deviation == statistics.stdev((30, 32, 37))
    assert spread.shown() == "33.0 ± 3.6"
    assert Spread((1234.5,)).shown() == "1,234.5"
    assert Spread((1e20, 3e20)).shown() == "2.0e+20 ± 1.4e+20"
    assert Spread.of([1, None, 2]) == Spread((1.0, 2.0))
    assert (Spread(()).shown(), Spread(()).to_mapping()) == ("-", None)


def test_diverged_runs_are_noted_and_in_no_mean():
    network = network_result(Network("a | b", {}), [30.0, None, 32.0])
    row = dict(zip(*table_lines(COLUMNS, [network]), strict=True))
    assert row["validation perplexity"] == "31.0 ± 1.4"
    assert row["test perplexity"] == "34.1 ± 1.6"
    assert (row["runs"], row["note"]) == ("2", "1 of 3 diverged")
    _, diverged_row = table_lines(COLUMNS, [network_result(Network("c", {}), [None, None])])
    assert diverged_row[1:5] == ("-", "-", "-", "-")
    assert diverged_row[-1] == "2 of 2 diverged"


def as_markdown(results: list[NetworkResult]) -> str:
    return markdown_table(*table_lines(COLUMNS, results))


def test_markdown_has_a_line_per_network_and_notes_if_any():
    _, results = sweep_with(("cell",), {("rnn",): [50.0, 51.0], ("lstm",): [40.0, 41.0]})
    lines = as_markdown(results).split("\n")
    assert len(lines) == 4
    assert lines[2].startswith("| lstm | 40.5 ± 0.7 |")
    assert "note" not in lines[0]
    noted = as_markdown([network_result(Network("a | b", {}), [None])]).split("\n")
    assert noted[0].endswith("| note |")
    assert noted[2].startswith("| a \\| b |")


def test_command_with_invalid_utf8_is_written(tmp_path: Path):
    command = "python -m wordgen sweep caf\udce9/cells.toml"  # a Latin-1 file name as Python reads it
    write_results(tmp_path, {"command": command, "date": "2026-11-29", "wordgen": "1", "about": "é"}, "A part.")
    content = (tmp_path / "results.json").read_text(encoding="utf-8")
    assert json.loads(content) == {"command": command, "date": "2026-11-29", "wordgen": "1", "about": "é"}
    assert '"é"' in content
    table = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert table == "`python -m wordgen sweep caf\\udce9/cells.toml`, 2026-11-29, wordgen 1.\n\nA part.\n"


@pytest.mark.parametrize(
    ("ended", "valid", "status"),
    [
        ("all epochs done", 30.0, "finished"),
        ("all epochs done", 770.0, "finished"),
        ("all epochs done", 771.0, "diverged"),  # worse than equal probabilities for 770 tokens
        ("diverged", 30.0, "diverged"),
        ("stopped", 1e30, "interrupted"),
        (None, 30.0, "interrupted"),
    ],
)
@pytest.mark.usefixtures("in_empty_folder")
def test_status_of_a_run(ended: str | None, valid: float, status: str, planned: PlannedSweep):
    run = planned.runs[0]
    assert figures_of(run).status == "missing"
    assert run.plan.architecture.vocabulary_size == 770
    run.folder.mkdir(parents=True)
    save_record(
        run.folder, made_record(valid, dataset=run.plan.dataset, ended=ended, settings=run.settings.to_mapping())
    )
    figures = figures_of(run)
    assert (figures.status, figures.best) == (status, valid)


@pytest.mark.usefixtures("in_empty_folder")
def test_unreadable_report_fails_only_that_run(planned: PlannedSweep):
    run = planned.runs[0]
    run.folder.mkdir(parents=True)
    (run.folder / "report.json").write_text("{")
    row = Row(run, RunFigures("missing"), "training")
    set_end_state(row, RunningProcess.__new__(RunningProcess), stopped=False)
    assert row.state == "failed"
    assert "The report in" in row.note
