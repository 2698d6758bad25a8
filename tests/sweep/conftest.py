"""A sweep that is planned once. Tests only read it; its runs are relative to the current folder."""

from pathlib import Path

import pytest

from tests.helpers.sweeps import GRID, read_sweep
from wordgen.sweep.planning import PlannedSweep, plan_sweep


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory) -> PlannedSweep:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("planned"))
        monkeypatch.delenv("WORDGEN_DATA", raising=False)
        return plan_sweep(read_sweep(Path(), GRID))
