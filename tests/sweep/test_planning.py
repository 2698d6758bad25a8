"""Sweep files, and the plan of all runs: order, names, and how many run at once."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.sweeps import GRID, read_sweep
from wordgen.errors import SettingError, WordgenError
from wordgen.run import train
from wordgen.sweep import planning
from wordgen.sweep.planning import PlannedSweep, find_sweep, plan_sweep, runs_at_once, sweep_names

NAMED = """
[settings]
corpus = "spells"
layers = 1

[[networks]]
name = "1 x 16 LSTM"
units = 16

[[networks]]
name = "2 x 16 RNN"
units = 16
layers = 2
cell = "rnn"
"""


@pytest.mark.parametrize("name", sweep_names())
def test_bundled_sweep_can_be_planned_and_has_a_title(name: str, in_empty_folder: Path):
    sweep = find_sweep(name)
    if sweep.shared["corpus"] == "nottingham":  # would be downloaded
        sweep = replace(sweep, shared={**sweep.shared, "corpus": "airs"})
    planned = plan_sweep(sweep)
    assert len(planned.runs) == len(sweep.networks) * len(sweep.random_seeds)
    assert len(sweep.random_seeds) >= 2
    assert 20 < len(sweep.about) < 70  # the title of a plot


def test_documented_sweeps_are_bundled():
    names = ["cells", "chords", "five-networks", "learning-rates", "optimizers", "options", "seq-lens"]
    assert sweep_names() == [*names, "tunes-characters", "tunes-notes"]
    assert find_sweep("cells").setting_names == ["cell", "layers", "units"]
    assert find_sweep("optimizers").setting_names == ["optimizer", "learning_rate"]


def test_five_networks_are_those_of_the_first_report():
    sweep = find_sweep("five-networks")
    shapes = [
        tuple({**sweep.shared, **each.settings}[name] for name in ("layers", "units", "cell"))
        for each in sweep.networks
    ]
    assert shapes == [(1, 128, "lstm"), (2, 128, "rnn"), (2, 128, "lstm"), (2, 128, "lstm"), (2, 160, "lstm")]
    lengths = [{**sweep.shared, **each.settings}["seq_len"] for each in sweep.networks]
    assert lengths == [15, 15, 15, 30, 15]


def test_grid_has_all_combinations_named_by_differences(in_empty_folder: Path):
    sweep = read_sweep(in_empty_folder, GRID)
    assert [each.name for each in sweep.networks] == [
        "rnn, units 16",
        "rnn, units 24 8",
        "lstm, units 16",
        "lstm, units 24 8",
    ]
    assert sweep.setting_names == ["cell", "units", "layers"]
    assert [each.folder for each in sweep.networks][:2] == ["rnn-units-16", "rnn-units-24-8"]
    assert sweep.networks[1].settings["units"] == (24, 8)


@pytest.mark.parametrize(
    ("grid", "names"),
    [
        ('cell = ["rnn", "gru"]\nlayers = [1, 2]\nunits = [8, 16]', ["rnn 1 x 8", "rnn 1 x 16", "rnn 2 x 8"]),
        ("learning_rate = [0.1, 1]\nlayers = [1]", ["learning rate 0.1", "learning rate 1"]),
        ("tied = [false, true]", ["no tied", "tied"]),
        ("units = [8]\nlayers = [1, 2]", ["layers 1", "layers 2"]),
        ("units = [8]", ["units 8"]),
    ],
)
def test_names_of_grid_networks_are_short(grid: str, names: list[str], in_empty_folder: Path):
    content = GRID.partition("[grid]")[0] + "[grid]\n" + grid
    assert [each.name for each in read_sweep(in_empty_folder, content).networks][:3] == names


def test_named_networks_have_own_and_shared_settings(in_empty_folder: Path):
    sweep = read_sweep(in_empty_folder, NAMED)
    assert sweep.random_seeds == (1,)
    assert [each.folder for each in sweep.networks] == ["1x16-lstm", "2x16-rnn"]
    assert [{**sweep.shared, **each.settings}["layers"] for each in sweep.networks] == [1, 2]
    assert sweep.setting_names == ["units", "layers", "cell"]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("[settings", "cannot be read"),
        (GRID + "[more]", "'more' is not allowed"),
        (GRID.replace("[grid]", "[[networks]]"), "needs a name"),
        (GRID + "[[networks]]\nname = 'x'", "either a [grid] of settings or several [[networks]]"),
        ("[settings]\ncorpus = 'spells'", "either a [grid] of settings or several [[networks]]"),
        (GRID.replace("cell =", "cells ="), "there is no setting 'cells'"),
        (GRID.replace("epochs = 3", "epoch = 3"), "there is no setting 'epoch'"),
        (GRID.replace("epochs = 3", "name = 'x'"), "a sweep cannot set 'name'"),
        (GRID.replace("epochs = 3", "distribute = 'none'"), "a sweep cannot set 'distribute'"),
        (GRID.replace("epochs = 3", "random_seed = 3"), "give random_seeds = [1, 2, 3]"),
        (GRID.replace("epochs = 3", "cell = 'gru'"), "cell is in [settings] and in [grid]"),
        (GRID.replace("layers = [2]", "layers = 2"), "layers in [grid] must be a list of values"),
        (GRID.replace("layers = [2]", "layers = []"), "layers in [grid] must be a list of values"),
        (GRID.replace("[1, 2]", "[1, 1]"), "random_seeds must be a list of 1 to 50 different whole numbers"),
        (GRID.replace("[1, 2]", "[true]"), "random_seeds must be"),
        (GRID.replace("[1, 2]", "[]"), "random_seeds must be"),
        (GRID.replace("[1, 2]", "3"), "random_seeds must be"),
        (GRID.replace('"rnn", "lstm"', '"rnn", "rnn"'), "two networks have the name 'rnn, units 16'"),
        (NAMED.replace("2 x 16 RNN", "1 X 16 lstm!"), "two networks have the name '1 X 16 lstm!'"),
        (NAMED.replace("2 x 16 RNN", "?"), "'?' cannot be the name of a network"),
        (NAMED.replace("2 x 16 RNN", "+ tied"), "'+ tied' cannot be the name of a network"),
        (GRID.replace("layers = [2]", f"layers = {list(range(1, 65))}\nseq_len = {list(range(1, 10))}"), "4,608 runs"),
        (GRID.replace("layers = [2]", f"layers = {list(range(9999))}\nclip = {list(range(9999))}"), "but at most 500"),
        (GRID.replace('about = "Cells and units."', "about = 3"), "about must be text"),
        ("settings = 3\n[grid]\nunits = [1]", "[settings] must be a table"),
        ("grid = 3", "[grid] must be a table"),
        ("networks = 3", "each of [[networks]] must have a name"),
    ],
)  # fmt: skip
def test_invalid_sweep_file_is_refused(content: str, part: str, in_empty_folder: Path):
    with pytest.raises(SettingError, match=r"The sweep my\.toml cannot be read") as raised:
        read_sweep(in_empty_folder, content)
    assert part in str(raised.value)
    assert str(raised.value).count(". ") == 0


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ('"rnn", "lstm"', '"rnn", "transformer"', "transformer, units 16: --cell must be one of lstm, gru, rnn"),
        ("units = [16, ", "units = [0, ", "rnn, units 0: --units must be at least 1"),
        ("[24, 8]", "[24, 8, 4]", "rnn, units 24 8 4: --units has 3 numbers, but --layers is 2"),
        ("epochs = 3", 'epochs = "3"', "--epochs must be a whole number, not '3'"),
        ("epochs = 3", "seq_len = 90000", "rnn, units 16: "),
        ('corpus = "spells"', 'corpus = "nowhere"', "rnn, units 16: "),
        ("epochs = 3", 'recipe = ["short", "book"]', "--recipe must be text, not ('short', 'book')"),
        ("epochs = 3", "recipe = 5", "--recipe must be text, not 5"),
        ('corpus = "spells"', 'corpus = 5\nrecipe = "auto"', "--corpus must be text, not 5"),
        ('corpus = "spells"', 'corpus = "-"', "put the text into a file"),
        ('corpus = "spells"', "", "corpus is missing"),
        ("[24, 8]", "60000", "GiB"),
    ],
)
def test_all_networks_are_checked_before_the_first_run(old: str, new: str, part: str, in_empty_folder: Path):
    sweep = read_sweep(in_empty_folder, GRID.replace(old, new))
    with pytest.raises(WordgenError) as raised:
        plan_sweep(sweep)
    assert part in str(raised.value)
    assert not (in_empty_folder / "saved_models").exists()


def test_unknown_name_error_lists_bundled_sweeps():
    with pytest.raises(SettingError, match=r"There is no sweep 'cell'\. There are cells, chords, .*, tunes-notes\. Or"):
        find_sweep("cell")
    with pytest.raises(SettingError, match=r"The sweep gone\.toml cannot be read: No such file or directory\.$"):
        find_sweep("gone.toml")


def test_runs_are_ordered_by_random_seed(planned: PlannedSweep):
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


def test_recipe_and_name_apply_to_all_runs(in_empty_folder: Path):
    content = GRID.replace("epochs = 3", 'recipe = "short"').replace("units = [16, [24, 8]]", "units = [16]")
    first = plan_sweep(read_sweep(in_empty_folder, content), "other").runs[0]
    assert first.folder == Path("saved_models/other/rnn-1")
    assert (first.settings.batch_size, first.settings.units) == (4, 16)


@pytest.mark.parametrize("name", ["a/b", "../a", ".hidden", ""])
def test_invalid_folder_name_is_refused(name: str, in_empty_folder: Path):
    sweep = replace(read_sweep(in_empty_folder, GRID), name=name)
    with pytest.raises(SettingError, match="--name cannot be"):
        plan_sweep(sweep)


def test_name_of_existing_run_is_refused(in_empty_folder: Path):
    (in_empty_folder / "saved_models" / "my").mkdir(parents=True)
    (in_empty_folder / "saved_models" / "my" / "report.json").write_text("{}")
    with pytest.raises(SettingError, match="There is already a run 'my': give the sweep another --name"):
        plan_sweep(read_sweep(in_empty_folder, GRID))


def test_runs_at_once_fit_cores_and_memory(planned: PlannedSweep, monkeypatch: pytest.MonkeyPatch):
    largest = max(run.plan.memory.total for run in planned.runs)

    def with_memory(times: float) -> Any:
        monkeypatch.setattr(planning, "physical_memory", lambda: int(times * largest))
        return [runs_at_once(len(planned.runs), cores, largest) for cores in (1, 2, 4, 64)]

    monkeypatch.setattr(planning, "has_gpu", lambda: False)
    assert with_memory(1000) == [1, 2, 4, 8]
    assert with_memory(4) == [1, 2, 3, 3]
    assert with_memory(1.1) == [1, 1, 1, 1]
    monkeypatch.setattr(planning, "has_gpu", lambda: True)  # each run would take all memory of the GPU
    assert with_memory(1000) == [1, 1, 1, 1]


def test_ctrl_c_stops_planning_of_an_encoded_text(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Reading an encoded text reports nothing to observers, but the signal must still count."""
    prepare_run = train.prepare_run

    def interrupted(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return prepare_run(*arguments)

    sweep = read_sweep(in_empty_folder, GRID.replace("[16, [24, 8]]", "[16]"))
    plan_sweep(sweep)
    monkeypatch.setattr(train, "prepare_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        plan_sweep(sweep)
