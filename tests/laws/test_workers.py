"""A training by two processes that are killed, stopped, missing, or resumed on other devices."""

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

from tests.helpers.forked import ForkedProcess, forked_process, forked_processes
from tests.helpers.playground import make_model
from tests.helpers.texts import passages_of_split, write_text
from tests.helpers.training_process import read_losses
from tests.helpers.workers import tf_configs, wait_for, wait_for_success
from wordgen.exporting import export
from wordgen.model.base import Base
from wordgen.model.bundle import load_bundle
from wordgen.run.record import load_record

EPOCHS = 2
STEPS = EPOCHS * 40
TWO_WORKERS = {
    "distribute": "multiworker", "join_timeout": 60, "epochs": EPOCHS, "validate_every": 15, "sample_every": 30,
}  # fmt: skip
KILLS = int(os.environ.get("WORDGEN_KILLS", "2"))  # `make soak` sets more
pytestmark = pytest.mark.slow


def _start_both(folder: Path, action: str, *more: str) -> AbstractContextManager[list[ForkedProcess]]:
    command = ["-m", "tests.helpers.training_process", action, json.dumps(TWO_WORKERS), *more]
    return forked_processes([command] * 2, folder)


def _run(folder: Path) -> Path:
    return folder / "saved_models" / "run"


def _newest_checkpoint(folder: Path) -> Path:
    return sorted((_run(folder) / "checkpoints").glob("step-*"))[-1]


def _saved_step(folder: Path) -> int:
    checkpoints = (_run(folder) / "checkpoints").glob("step-*")
    return max((int(each.name.removeprefix("step-")) for each in checkpoints), default=0)


def _compare(folder: Path, uninterrupted: Path) -> None:
    expected = dict(read_losses(uninterrupted))
    assert [pair for pair in read_losses(folder) if expected[pair[0]] != pair[1]] == []
    assert {step for step, _ in read_losses(folder)} == set(expected)
    for name in ("checkpoints/" + _newest_checkpoint(uninterrupted).name + "/state.safetensors", "weights.safetensors"):
        assert (_run(folder) / name).read_bytes() == (_run(uninterrupted) / name).read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    with _start_both(folder, "train") as processes:
        wait_for_success(processes)
    assert len(read_losses(folder)) == STEPS
    return folder


def test_resume_after_kill_of_one_worker_equals_uninterrupted_run(uninterrupted: Path, tmp_path: Path):
    """The other worker notices within 30 seconds and exits."""
    rng = random.Random(KILLS)
    saved = 0
    for kill in range(KILLS):
        steps_before = len(read_losses(tmp_path))
        with _start_both(tmp_path, "resume" if steps_before else "train") as processes:
            wanted = steps_before + rng.randrange(1, 25)
            wait_for(lambda wanted=wanted: len(read_losses(tmp_path)) >= wanted, processes)
            victim, other = processes[kill % 2], processes[1 - kill % 2]
            victim.kill()
            killed_at = time.monotonic()
            _, stderr = other.communicate(timeout=60)
            assert time.monotonic() - killed_at < 30
            if other.returncode == 0:  # the run was complete just before the kill
                assert read_losses(tmp_path)[-1][0] == STEPS
            else:
                assert "WorkerLostError: Another worker was lost" in stderr
                assert "--resume run" in stderr
        # The run has continued, and from the last checkpoint.
        assert [step for step, _ in read_losses(tmp_path)[steps_before : steps_before + 1]] == [saved + 1]
        saved = _saved_step(tmp_path)
        if read_losses(tmp_path)[-1][0] >= STEPS:  # the run is complete, but there are kills left
            (tmp_path / "losses").unlink()
            shutil.rmtree(tmp_path / "saved_models")
            saved = 0
    with _start_both(tmp_path, "resume" if read_losses(tmp_path) else "train") as processes:
        wait_for_success(processes)
    _compare(tmp_path, uninterrupted)


def _stop(folder: Path, action: str, worker: int, step: int) -> None:
    """Train with two workers, of which one gets a signal after a step, and check that both save the same step."""
    with _start_both(folder, action, json.dumps([worker, step, signal.SIGTERM])) as processes:
        wait_for_success(processes)
    steps = [step for step, _ in read_losses(folder)]
    assert step <= len(steps) < STEPS
    assert _newest_checkpoint(folder).name == f"step-{len(steps):012d}"


@pytest.fixture(scope="module")
def half_trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("half")
    _stop(folder, "train", 1, 50)
    return folder


def test_resume_after_stop_of_one_worker_equals_uninterrupted_run(
    uninterrupted: Path, half_trained: Path, tmp_path: Path
):
    folder = shutil.copytree(half_trained, tmp_path / "folder")
    _stop(folder, "resume", 0, len(read_losses(folder)) + 5)
    with _start_both(folder, "resume") as processes:
        wait_for_success(processes)
    assert [step for step, _ in read_losses(folder)] == list(range(1, STEPS + 1))  # no step twice, none missing
    _compare(folder, uninterrupted)


@pytest.mark.parametrize("chosen", [{"distribute": "none"}, {"local_devices": 2}], ids=["one device", "two parts"])
def test_run_of_two_processes_resumes_on_other_devices(
    uninterrupted: Path, half_trained: Path, tmp_path: Path, chosen: dict[str, Any]
):
    """The state is loaded bitwise. After that, one device has other dropout masks, so its losses differ."""
    folder = shutil.copytree(half_trained, tmp_path / "folder")
    before = len(read_losses(folder))
    with forked_process("-m", "tests.helpers.training_process", "resume", json.dumps(chosen), cwd=folder) as process:
        wait_for_success([process])
    assert [step for step, _ in read_losses(folder)] == list(range(1, STEPS + 1))
    expected, actual = dict(read_losses(uninterrupted)), dict(read_losses(folder))
    differences = [abs(float.fromhex(actual[k]) - float.fromhex(expected[k])) for k in range(before + 1, STEPS + 1)]
    if "local_devices" in chosen:  # the same masks, so only the order of sums differs
        assert max(differences) < 1e-4
        wanted = load_file(_newest_checkpoint(uninterrupted) / "state.safetensors")
        for name, array in load_file(_newest_checkpoint(folder) / "state.safetensors").items():
            np.testing.assert_allclose(array, wanted[name], rtol=1e-3, atol=1e-4, err_msg=name)
    else:
        assert max(differences) < 0.5


@pytest.fixture
def settings_with_base(tmp_path: Path) -> dict[str, Any]:
    """Settings of a short run without dropout from a small base, which is saved in the same folder."""
    model = load_bundle(make_model(tmp_path / "saved_models" / "model", "spells", units=12))
    weights = {name: weight / 10 for name, weight in model.weights.items()}
    export(replace(model, weights=weights), "base", tmp_path / "base")
    text = write_text(tmp_path / "few.txt", "\n".join(passages_of_split(0)[:30] * 8))
    no_dropout = {
        "dropout": 0.0, "word_dropout": 0.0, "weight_drop": 0.0, "locked_dropout": False, "vary_seq_len": False,
        "average_after": None,
    }  # fmt: skip
    base = Base("base", tmp_path / "base")
    short = {"corpus": text, "init_from": str(base.folder), "epochs": 1, "batch_size": 16, "seq_len": 8}
    return {**base.settings(), **no_dropout, **short}


def test_two_processes_with_base_learn_same_as_one_process(settings_with_base: dict[str, Any], tmp_path: Path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for count, folder in enumerate(folders, start=1):
        folder.mkdir()
        devices = {"distribute": "multiworker", "join_timeout": 60} if count > 1 else {"distribute": "none"}
        command = ["-m", "tests.helpers.training_process", "train", json.dumps({**settings_with_base, **devices})]
        with forked_processes([command] * count, folder, None if count > 1 else [{}]) as workers:
            wait_for_success(workers)
    one, two = ([float.fromhex(loss) for _, loss in read_losses(folder)] for folder in folders)
    assert len(one) > 5
    np.testing.assert_allclose(two, one, atol=1e-4)
    bases = [load_bundle(_run(folder)).head_start for folder in folders]
    assert bases[0] == bases[1] is not None
    expected = load_file(_run(folders[0]) / "weights.safetensors")
    for name, array in load_file(_run(folders[1]) / "weights.safetensors").items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-3, atol=1e-4, err_msg=name)


def _train_command(*more: str) -> list[str]:
    return ["-m", "wordgen", "train", "--corpus", "spells", "--layers", "1", "--units", "16", *more]


def _start_one_of_two(folder: Path, config: str, *more: str) -> AbstractContextManager[list[ForkedProcess]]:
    command = _train_command("--name", "run", "--distribute", "multiworker", *more)
    return forked_processes([command], folder, [{"TF_CONFIG": config}])


@pytest.mark.parametrize(
    ("worker", "message"), [(0, "Worker 1 has not connected"), (1, "Not all of the 2 workers connected")]
)
def test_missing_worker_is_reported_after_timeout(tmp_path: Path, worker: int, message: str):
    with _start_one_of_two(tmp_path, tf_configs(2)[worker], "--join-timeout", "2") as (process,):
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 75, stderr
    assert stderr.startswith("Error: ")
    assert message in stderr
    assert "within 2 seconds" in stderr
    assert stderr.endswith(", or use a larger --join-timeout.\n")
    assert (stdout == "") is (worker == 1)
    assert not _run(tmp_path).exists()


def test_chief_that_waits_for_workers_can_be_stopped(tmp_path: Path):
    config = tf_configs(2)[0]
    host, _, port = json.loads(config)["cluster"]["worker"][0].rpartition(":")
    with _start_one_of_two(tmp_path, config) as (process,):
        wait_for(lambda: _listens(host, int(port)), [process])
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def test_workers_with_different_settings_are_refused(tmp_path: Path):
    commands = [_train_command("--distribute", "multiworker", "--dropout", share) for share in ("0.1", "0.2")]
    with forked_processes(commands, tmp_path) as processes:
        errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [2, 2]
    assert all("The workers are not the same" in stderr for stderr in errors)
    assert not list((tmp_path / "saved_models").glob("*"))


def _slurm_environments() -> list[dict[str, str]] | None:
    """Return the variables that srun sets for two tasks on one node. srun itself was not available.

    Return None if the ports that the SLURM resolver always uses are in use.
    """
    try:
        for port in (8888, 8889):
            socket.create_server(("", port)).close()
    except OSError:
        return None
    slurm = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "127.0.0.1", "SLURM_STEP_TASKS_PER_NODE": "2"}
    return [{**slurm, "SLURM_PROCID": str(number), "CUDA_VISIBLE_DEVICES": ""} for number in range(2)]


def test_resume_with_slurm_if_only_chief_has_run_folder(tmp_path: Path):
    """The workers have no shared disk and the same command. They are killed, then SLURM starts them again."""
    train = _train_command("--checkpoint-every", "5", "--epochs", "2", "--name", "run")
    command = [*train, "--resume", "--distribute", "multiworker"]
    folders = [tmp_path / "chief", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    with forked_processes([command, command], folders) as processes:
        wait_for(lambda: any((_run(folders[0]) / "checkpoints").glob("step-*")), processes)
        processes[1].kill()
        _, stderr = processes[0].communicate(timeout=60)
        assert processes[0].returncode == 75, stderr
    saved = _saved_step(folders[0])
    assert saved > 0
    with forked_processes([command, command], folders, _slurm_environments()) as processes:
        stdout, stderr = processes[0].communicate(timeout=100)
        assert processes[0].returncode == 0, stderr
        wait_for_success(processes[1:])
    assert f"step {saved % 40 + 1}/40" in stdout
    assert load_record(_run(folders[0])).settings.precision in ("float32", "bfloat16")  # not `auto`
    assert (_run(folders[0]) / "weights.safetensors").exists()
    assert not (folders[1] / "saved_models").exists()
