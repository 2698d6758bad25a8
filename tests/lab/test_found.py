"""What lies there of a run is over, goes on, or has diverged."""

import json
from pathlib import Path

import pytest

from tests.lab.test_sweep_file import GRID, read
from tests.saved_runs import made_report
from wordgen.lab.found import look
from wordgen.lab.planning import plan_sweep


@pytest.mark.parametrize(
    ("ended", "valid", "standing"),
    [
        ("all epochs done", 30.0, "over"),
        ("all epochs done", 770.0, "over"),
        ("all epochs done", 771.0, "diverged"),  # worse than guessing evenly among 770 symbols
        ("diverged", 30.0, "diverged"),
        ("stopped", 1e30, "broken off"),
        (None, 30.0, "broken off"),
    ],
)
def test_how_a_run_stands(ended: str | None, valid: float, standing: str, in_empty_folder: Path):
    run = plan_sweep(read(in_empty_folder, GRID)).runs[0]
    assert look(run).standing == "missing"
    assert run.plan.architecture.vocabulary_size == 770
    report = made_report(valid=valid, ended=ended)
    report["settings"] = run.settings.to_mapping()
    report["dataset"]["fingerprint"] = run.plan.fingerprint
    run.folder.mkdir(parents=True)
    (run.folder / "report.json").write_text(json.dumps(report))
    found = look(run)
    assert (found.standing, found.best) == (standing, valid)
