"""A sweep that is planned once: tests only look at it, and its runs lie in whatever folder they are in."""

from pathlib import Path

import pytest

from tests.helpers.sweep_files import GRID, read
from wordgen.sweep.planning import PlannedSweep, plan_sweep


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory) -> PlannedSweep:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("planned"))
        patch.delenv("WORDGEN_DATA", raising=False)
        return plan_sweep(read(Path(), GRID))
