"""Two processes that learn together: killed, stopped, never there, resumed elsewhere."""

import json
import os
import random
import shutil
import signal
import socket
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.conftest import run_command, run_python
from tests.laws.running import EPOCHS
from tests.workers import Process, ended_well, started, tf_configs, wait_for

TOGETHER = {"distribute": "multiworker", "join_timeout": 60}
STEPS = EPOCHS * 40
KILLS = int(os.environ.get("WORDGEN_KILLS", "3"))  # `make soak` sets more
pytestmark = pytest.mark.slow


def _commands(verb: str, **chosen: Any) -> list[list[str]]:
    return [["-m", "tests.laws.running", verb, json.dumps({**TOGETHER, **chosen})]] * 2


def _losses(room: Path) -> list[tuple[int, str]]:
    if not (room / "losses").exists():
        return []
    lines = (room / "losses").read_text().split("\n")[:-1]
    return [(int(step), loss) for step, loss in (line.split() for line in lines)]


def _run(room: Path) -> Path:
    return room / "saved_models" / "run"


def _newest(room: Path) -> Path:
    return sorted((_run(room) / "checkpoints").glob("step-*"))[-1]


def _saved_step(room: Path) -> int:
    return int(_newest(room).name.removeprefix("step-")) if any((_run(room) / "checkpoints").glob("step-*")) else 0


def _same(room: Path, whole: Path) -> None:
    expected = dict(_losses(whole))
    assert [pair for pair in _losses(room) if expected[pair[0]] != pair[1]] == []
    assert {step for step, _ in _losses(room)} == set(expected)
    for name in ("checkpoints/" + _newest(whole).name + "/state.safetensors", "weights.safetensors"):
        assert (_run(room) / name).read_bytes() == (_run(whole) / name).read_bytes()


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("whole")
    with started(_commands("train"), room) as processes:
        ended_well(processes)
    assert len(_losses(room)) == STEPS
    return room


def test_one_of_two_killed_the_other_leaves_and_both_go_on_as_if_nothing_had_been(never_killed: Path, tmp_path: Path):
    dice = random.Random(KILLS)
    saved = 0
    for kill in range(KILLS):
        begun = len(_losses(tmp_path))
        with started(_commands("resume" if begun else "train"), tmp_path) as processes:
            until = len(_losses(tmp_path)) + dice.randrange(1, 25)
            wait_for(lambda until=until: len(_losses(tmp_path)) >= until, processes)
            doomed, other = processes[kill % 2], processes[1 - kill % 2]
            doomed.kill()
            killed_at = time.monotonic()
            _, said = other.communicate(timeout=60)
            assert time.monotonic() - killed_at < 30
            if other.returncode == 0:  # the run was over just before the kill
                assert _losses(tmp_path)[-1][0] == STEPS
            else:
                assert "WorkerLostError: Another worker was lost" in said
                assert "--resume run" in said
        assert [step for step, _ in _losses(tmp_path)[begun : begun + 1]] == [saved + 1]  # it went on, and from there
        saved = _saved_step(tmp_path)
        if _losses(tmp_path)[-1][0] >= STEPS:  # many kills outlast one run
            (tmp_path / "losses").unlink()
            shutil.rmtree(tmp_path / "saved_models")
            saved = 0
    with started(_commands("resume" if _losses(tmp_path) else "train"), tmp_path) as processes:
        ended_well(processes)
    _same(tmp_path, never_killed)


@pytest.mark.parametrize("worker", [0, 1])
def test_a_stop_of_one_saves_the_same_step_on_all(never_killed: Path, tmp_path: Path, worker: int):
    with started(_commands("train"), tmp_path) as processes:
        wait_for(lambda: len(_losses(tmp_path)) >= 50, processes)
        processes[worker].send_signal(signal.SIGTERM)
        ended_well(processes, timeout=40)
    steps = [step for step, _ in _losses(tmp_path)]
    assert 50 <= len(steps) < STEPS
    assert _newest(tmp_path).name == f"step-{len(steps):012d}"
    with started(_commands("resume"), tmp_path) as processes:
        ended_well(processes)
    assert [step for step, _ in _losses(tmp_path)] == list(range(1, STEPS + 1))  # no step twice, none left out
    _same(tmp_path, never_killed)


@pytest.fixture(scope="module")
def stopped_half_way(never_killed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("half")
    with started(_commands("train"), room) as processes:
        wait_for(lambda: len(_losses(room)) >= 60, processes)
        processes[1].send_signal(signal.SIGTERM)
        ended_well(processes, timeout=40)
    return room


@pytest.mark.parametrize("chosen", [{"distribute": "none"}, {"local_devices": 2}], ids=["one device", "two parts"])
def test_what_two_processes_began_goes_on_elsewhere(
    never_killed: Path, stopped_half_way: Path, tmp_path: Path, chosen: dict[str, Any]
):
    """Its state is taken over to the bit; what follows differs by other dropout masks on one device."""
    room = tmp_path / "elsewhere"
    shutil.copytree(stopped_half_way, room)
    before = len(_losses(room))
    ended = run_python("-m", "tests.laws.running", "resume", json.dumps(chosen), cwd=room, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert [step for step, _ in _losses(room)] == list(range(1, STEPS + 1))
    expected, found = dict(_losses(never_killed)), dict(_losses(room))
    rest = [abs(float.fromhex(found[k]) - float.fromhex(expected[k])) for k in range(before + 1, STEPS + 1)]
    if "local_devices" in chosen:  # the same masks, so the same losses but for the order of sums
        assert max(rest) < 1e-4
        whole = load_file(_newest(never_killed) / "state.safetensors")
        for name, array in load_file(_newest(room) / "state.safetensors").items():
            np.testing.assert_allclose(array, whole[name], rtol=1e-3, atol=1e-4, err_msg=name)
    else:
        assert max(rest) < 0.5


def test_without_dropout_one_device_goes_on_as_two_processes_would(tmp_path: Path):
    rooms = [tmp_path / "whole", tmp_path / "half"]
    for room, epochs in zip(rooms, (2, 1), strict=True):
        room.mkdir()
        with started(
            _commands("train", dropout=0.0, word_dropout=0.0, weight_drop=0.0, epochs=epochs), room
        ) as processes:
            ended_well(processes)
    resumed = run_command("train", "--resume", "run", "--epochs", "2", "--distribute", "none", cwd=rooms[1])
    assert resumed.returncode == 0, resumed.stderr
    whole, half = (load_file(_newest(room) / "state.safetensors") for room in rooms)
    for name, array in whole.items():
        np.testing.assert_allclose(half[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


def _train_command(*more: str) -> list[str]:
    return ["-m", "wordgen", "train", "--corpus", "spells", "--layers", "1", "--units", "16", *more]


def _alone_of_two(room: Path, worker: int, *more: str) -> AbstractContextManager[list[Process]]:
    command = _train_command("--name", "run", "--distribute", "multiworker", *more)
    return started([command], room, [{"TF_CONFIG": tf_configs(2)[worker]}])


@pytest.mark.parametrize(
    ("worker", "who"), [(0, "Worker 1 has not appeared"), (1, "Not all of the 2 workers appeared")]
)
def test_who_waits_for_a_worker_that_never_comes_says_so_and_leaves(tmp_path: Path, worker: int, who: str):
    with _alone_of_two(tmp_path, worker, "--join-timeout", "3") as (process,):
        shown, said = process.communicate(timeout=60)
    assert process.returncode == 75, said
    assert said.startswith("Error: ")
    assert who in said
    assert "within 3 seconds" in said
    assert said.endswith(", or wait longer with --join-timeout.\n")
    assert (shown == "") is (worker == 1)
    assert not _run(tmp_path).exists()


@pytest.mark.parametrize("worker", [0, 1])
def test_who_waits_can_be_stopped(tmp_path: Path, worker: int):
    with _alone_of_two(tmp_path, worker) as (process,):
        time.sleep(8)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130


def test_workers_that_do_not_agree_are_refused(tmp_path: Path):
    commands = [_train_command("--distribute", "multiworker", "--dropout", share) for share in ("0.1", "0.2")]
    with started(commands, tmp_path) as processes:
        said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [2, 2]
    assert all("The workers do not agree" in each for each in said)
    assert not list((tmp_path / "saved_models").glob("*"))


def _port_is_free(port: int) -> bool:
    try:
        socket.create_server(("", port)).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not all(map(_port_is_free, (8888, 8889))), reason="SLURM's resolver always takes these ports")
def test_slurm_says_who_the_workers_are(tmp_path: Path):
    """SLURM's own variables, as srun sets them for two tasks on one node; srun itself was not there."""
    command = _train_command("--name", "run", "--epochs", "1", "--distribute", "multiworker")
    slurm = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "127.0.0.1", "SLURM_STEP_TASKS_PER_NODE": "2"}
    environments = [{**slurm, "SLURM_PROCID": str(number), "CUDA_VISIBLE_DEVICES": ""} for number in range(2)]
    with started([command] * 2, tmp_path, environments) as processes:
        ended_well(processes)
    assert (_run(tmp_path) / "weights.safetensors").exists()


def test_only_the_chief_needs_the_folder_of_the_run(tmp_path: Path):
    """Workers on machines without a shared disk, all with the whole command; killed and started again."""
    train = ["--corpus", "spells", "--layers", "1", "--units", "16", "--checkpoint-every", "5", "--epochs", "3"]
    command = ["-m", "wordgen", "train", *train, "--name", "run", "--resume", "--distribute", "multiworker"]
    rooms = [tmp_path / "chief", tmp_path / "other"]
    for room in rooms:
        room.mkdir()
    with started([command, command], rooms) as processes:
        wait_for(lambda: any((_run(rooms[0]) / "checkpoints").glob("step-*")), processes)
        processes[1].kill()
        processes[0].communicate(timeout=60)
        assert processes[0].returncode == 75
    saved = _saved_step(rooms[0])
    assert saved > 0
    with started([command, command], rooms) as processes:
        shown, said = processes[0].communicate(timeout=100)
        assert processes[0].returncode == 0, said
        ended_well(processes[1:])
    assert f"step {saved % 40 + 1}/40" in shown
    assert (_run(rooms[0]) / "weights.safetensors").exists()
    assert not (rooms[1] / "saved_models").exists()
