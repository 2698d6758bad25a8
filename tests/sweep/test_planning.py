"""All runs of a sweep, before the first: their order, names, and how many there is room for."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.sweep_files import GRID, read
from wordgen.errors import SettingError
from wordgen.run import train as runs
from wordgen.sweep import planning
from wordgen.sweep.planning import PlannedSweep, plan_sweep, runs_at_once


def test_all_networks_come_with_the_first_random_seed_and_then_with_the_next(planned: PlannedSweep):
    assert [run.name for run in planned.runs][:5] == [
        "my/rnn-units-16-1",
        "my/rnn-units-24-8-1",
        "my/lstm-units-16-1",
        "my/lstm-units-24-8-1",
        "my/rnn-units-16-2",
    ]
    assert [run.settings.random_seed for run in planned.runs] == [1] * 4 + [2] * 4
    assert {run.settings.corpus for run in planned.runs} == {"spells"}
    assert planned.runs[1].settings.units == (24, 8)
    assert planned.runs[1].plan.architecture == planned.runs[5].plan.architecture
    assert planned.runs[1].plan.architecture != planned.runs[4].plan.architecture


def test_a_recipe_may_be_shared_and_the_name_be_another(in_empty_folder: Path):
    content = GRID.replace("epochs = 3", 'recipe = "short"').replace("units = [16, [24, 8]]", "units = [16]")
    first = plan_sweep(read(in_empty_folder, content), "other").runs[0]
    assert first.folder == Path("saved_models/other/rnn-1")
    assert (first.settings.batch_size, first.settings.units) == (4, 16)


@pytest.mark.parametrize("name", ["a/b", "../a", ".hidden", ""])
def test_a_name_that_no_folder_can_have_is_refused(name: str, in_empty_folder: Path):
    sweep = replace(read(in_empty_folder, GRID), name=name)
    with pytest.raises(SettingError, match="--name cannot be"):
        plan_sweep(sweep)


def test_a_run_of_the_name_is_left_alone(in_empty_folder: Path):
    (in_empty_folder / "saved_models" / "my").mkdir(parents=True)
    (in_empty_folder / "saved_models" / "my" / "report.json").write_text("{}")
    with pytest.raises(SettingError, match="There is already a run 'my': give the sweep another --name"):
        plan_sweep(read(in_empty_folder, GRID))


def test_as_many_at_once_as_there_are_cores_and_memory(planned: PlannedSweep, monkeypatch: pytest.MonkeyPatch):
    largest = max(run.plan.memory.all for run in planned.runs)

    def with_memory(times: float) -> Any:
        monkeypatch.setattr(planning, "physical_memory", lambda: int(times * largest))
        return [runs_at_once(len(planned.runs), cores, largest) for cores in (1, 2, 4, 64)]

    monkeypatch.setattr(planning, "gpu_is_here", lambda: False)
    assert with_memory(1000) == [1, 2, 4, 8]
    assert with_memory(4) == [1, 2, 3, 3]
    assert with_memory(1.1) == [1, 1, 1, 1]
    monkeypatch.setattr(planning, "gpu_is_here", lambda: True)  # each run would take all its memory
    assert with_memory(1000) == [1, 1, 1, 1]


def test_ctrl_c_ends_the_planning_before_any_run_begins(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch):
    """A text that is cut already is looked at without a word; the signal must not be forgotten over that."""
    real = runs.prepare_run

    def interrupted(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return real(*arguments)

    sweep = read(in_empty_folder, GRID.replace("[16, [24, 8]]", "[16]"))
    plan_sweep(sweep)
    monkeypatch.setattr(runs, "prepare_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        plan_sweep(sweep)
