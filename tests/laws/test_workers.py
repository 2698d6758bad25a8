"""Two processes that learn together: killed, stopped, never there, resumed elsewhere."""

import json
import os
import random
import shutil
import signal
import socket
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.helpers.forked import ForkedProcess, forked, forked_alone
from tests.helpers.playground import make_model
from tests.helpers.texts import passages_of_split, write_text
from tests.helpers.workers import ended_well, tf_configs, wait_for
from wordgen.exporting import export
from wordgen.model.base import Base
from wordgen.model.bundle import load_bundle
from wordgen.run.record import load_record

EPOCHS = 2
STEPS = EPOCHS * 40
TOGETHER = {
    "distribute": "multiworker", "join_timeout": 60, "epochs": EPOCHS, "validate_every": 15, "sample_every": 30,
}  # fmt: skip
KILLS = int(os.environ.get("WORDGEN_KILLS", "2"))  # `make soak` sets more
pytestmark = pytest.mark.slow


def _both(room: Path, verb: str) -> AbstractContextManager[list[ForkedProcess]]:
    return forked([["-m", "tests.helpers.running", verb, json.dumps(TOGETHER)]] * 2, room)


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
    with _both(room, "train") as processes:
        ended_well(processes)
    assert len(_losses(room)) == STEPS
    return room


def test_one_of_two_killed_the_other_leaves_and_both_go_on_as_if_nothing_had_been(never_killed: Path, tmp_path: Path):
    dice = random.Random(KILLS)
    saved = 0
    for kill in range(KILLS):
        begun = len(_losses(tmp_path))
        with _both(tmp_path, "resume" if begun else "train") as processes:
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
    with _both(tmp_path, "resume" if _losses(tmp_path) else "train") as processes:
        ended_well(processes)
    _same(tmp_path, never_killed)


def _stop(room: Path, processes: list[ForkedProcess], worker: int, least: int) -> None:
    """Stop one of two after so many more steps: both save the same step."""
    before = len(_losses(room))
    wait_for(lambda: len(_losses(room)) >= before + least, processes)
    processes[worker].send_signal(signal.SIGTERM)
    ended_well(processes, timeout=60)
    steps = [step for step, _ in _losses(room)]
    assert before + least <= len(steps) < STEPS
    assert _newest(room).name == f"step-{len(steps):012d}"


@pytest.fixture(scope="module")
def stopped_half_way(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("half")
    with _both(room, "train") as processes:
        _stop(room, processes, 1, 50)
    return room


def test_a_stop_of_one_saves_the_same_step_on_all(never_killed: Path, stopped_half_way: Path, tmp_path: Path):
    room = shutil.copytree(stopped_half_way, tmp_path / "room")
    with _both(room, "resume") as processes:
        _stop(room, processes, 0, 5)
    with _both(room, "resume") as processes:
        ended_well(processes)
    assert [step for step, _ in _losses(room)] == list(range(1, STEPS + 1))  # no step twice, none left out
    _same(room, never_killed)


@pytest.mark.parametrize("chosen", [{"distribute": "none"}, {"local_devices": 2}], ids=["one device", "two parts"])
def test_what_two_processes_began_goes_on_elsewhere(
    never_killed: Path, stopped_half_way: Path, tmp_path: Path, chosen: dict[str, Any]
):
    """Its state is taken over to the bit; what follows differs by other dropout masks on one device."""
    room = shutil.copytree(stopped_half_way, tmp_path / "elsewhere")
    before = len(_losses(room))
    with forked_alone("-m", "tests.helpers.running", "resume", json.dumps(chosen), room=room) as process:
        ended_well([process])
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


@pytest.fixture
def with_base(tmp_path: Path) -> dict[str, Any]:
    """The settings of a short run without dropout that begins from a small base, which is in the same folder."""
    model = load_bundle(make_model(tmp_path / "saved_models" / "model", "spells", units=12))
    weights = {name: weight / 10 for name, weight in model.weights.items()}
    export(replace(model, weights=weights), "base", tmp_path / "base")
    text = write_text(tmp_path / "few.txt", "\n".join(passages_of_split(0)[:30] * 8))
    plain = {
        "dropout": 0.0, "word_dropout": 0.0, "weight_drop": 0.0, "locked_dropout": False, "vary_seq_len": False,
        "average_after": None,
    }  # fmt: skip
    base = Base("base", tmp_path / "base")
    short = {"corpus": text, "init_from": str(base.folder), "epochs": 1, "batch_size": 16, "seq_len": 8}
    return {**base.settings(), **plain, **short}


def test_two_processes_that_begin_from_a_base_learn_what_one_process_learns(with_base: dict[str, Any], tmp_path: Path):
    rooms = [tmp_path / "one", tmp_path / "two"]
    for processes, room in enumerate(rooms, start=1):
        room.mkdir()
        together = {"distribute": "multiworker", "join_timeout": 60} if processes > 1 else {"distribute": "none"}
        command = ["-m", "tests.helpers.running", "train", json.dumps({**with_base, **together})]
        with forked([command] * processes, room, None if processes > 1 else [{}]) as all_of_them:
            ended_well(all_of_them)
    one, two = ([float.fromhex(loss) for _, loss in _losses(room)] for room in rooms)
    assert len(one) > 5
    np.testing.assert_allclose(two, one, atol=1e-4)
    began = [load_bundle(_run(room)).head_start for room in rooms]
    assert began[0] == began[1] is not None
    whole = load_file(_run(rooms[0]) / "weights.safetensors")
    for name, array in load_file(_run(rooms[1]) / "weights.safetensors").items():
        np.testing.assert_allclose(array, whole[name], rtol=1e-3, atol=1e-4, err_msg=name)


def _train_command(*more: str) -> list[str]:
    return ["-m", "wordgen", "train", "--corpus", "spells", "--layers", "1", "--units", "16", *more]


def _alone_of_two(room: Path, config: str, *more: str) -> AbstractContextManager[list[ForkedProcess]]:
    command = _train_command("--name", "run", "--distribute", "multiworker", *more)
    return forked([command], room, [{"TF_CONFIG": config}])


@pytest.mark.parametrize(
    ("worker", "who"), [(0, "Worker 1 has not connected"), (1, "Not all of the 2 workers connected")]
)
def test_who_waits_for_a_worker_that_never_comes_says_so_and_leaves(tmp_path: Path, worker: int, who: str):
    with _alone_of_two(tmp_path, tf_configs(2)[worker], "--join-timeout", "2") as (process,):
        shown, said = process.communicate(timeout=60)
    assert process.returncode == 75, said
    assert said.startswith("Error: ")
    assert who in said
    assert "within 2 seconds" in said
    assert said.endswith(", or use a larger --join-timeout.\n")
    assert (shown == "") is (worker == 1)
    assert not _run(tmp_path).exists()


def test_who_waits_can_be_stopped(tmp_path: Path):
    config = tf_configs(2)[0]
    host, _, port = json.loads(config)["cluster"]["worker"][0].rpartition(":")
    with _alone_of_two(tmp_path, config) as (process,):
        wait_for(lambda: _listens(host, int(port)), [process])
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130, said


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def test_workers_that_do_not_agree_are_refused(tmp_path: Path):
    commands = [_train_command("--distribute", "multiworker", "--dropout", share) for share in ("0.1", "0.2")]
    with forked(commands, tmp_path) as processes:
        said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [2, 2]
    assert all("The workers are not the same" in each for each in said)
    assert not list((tmp_path / "saved_models").glob("*"))


def _by_slurm() -> list[dict[str, str]] | None:
    """SLURM's own variables, as srun sets them for two tasks on one node; srun itself was not there.

    None where the ports are taken that SLURM's resolver always takes.
    """
    try:
        for port in (8888, 8889):
            socket.create_server(("", port)).close()
    except OSError:
        return None
    slurm = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "127.0.0.1", "SLURM_STEP_TASKS_PER_NODE": "2"}
    return [{**slurm, "SLURM_PROCID": str(number), "CUDA_VISIBLE_DEVICES": ""} for number in range(2)]


def test_only_the_chief_needs_the_folder_of_the_run_and_slurm_may_say_who_it_is(tmp_path: Path):
    """Workers on machines without a shared disk, all with the whole command; killed, and started again by SLURM."""
    train = _train_command("--checkpoint-every", "5", "--epochs", "2", "--name", "run")
    command = [*train, "--resume", "--distribute", "multiworker"]
    rooms = [tmp_path / "chief", tmp_path / "other"]
    for room in rooms:
        room.mkdir()
    with forked([command, command], rooms) as processes:
        wait_for(lambda: any((_run(rooms[0]) / "checkpoints").glob("step-*")), processes)
        processes[1].kill()
        _, said = processes[0].communicate(timeout=60)
        assert processes[0].returncode == 75, said
    saved = _saved_step(rooms[0])
    assert saved > 0
    with forked([command, command], rooms, _by_slurm()) as processes:
        shown, said = processes[0].communicate(timeout=100)
        assert processes[0].returncode == 0, said
        ended_well(processes[1:])
    assert f"step {saved % 40 + 1}/40" in shown
    assert load_record(_run(rooms[0])).settings.precision in ("float32", "bfloat16")  # what `auto` was settled to
    assert (_run(rooms[0]) / "weights.safetensors").exists()
    assert not (rooms[1] / "saved_models").exists()
