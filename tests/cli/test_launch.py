"""`wordgen launch`: real workers on this machine, one of them killed, all of them stopped."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conftest import run_command
from tests.workers import Process, started, wait_for
from wordgen.cli.launch import _Commands
from wordgen.cli.main import main
from wordgen.cli.private_network import PrivateNetwork

PRIVATE = PrivateNetwork.make()
if PRIVATE is not None:
    PRIVATE.close()
TRAIN = ["--corpus", "spells", "--layers", "1", "--units", "16"]
pytestmark = pytest.mark.slow


@contextmanager
def launched(room: Path, *train: str) -> Iterator[Process]:
    """The launcher of two workers that have saved a first checkpoint of the run `run`; none outlives the block."""
    command = ["-m", "wordgen", "launch", "--workers", "2", "--", *train, "--name", "run"]
    with started([command], room, [{}]) as (launcher,):
        try:
            wait_for(lambda: any((room / "saved_models" / "run" / "checkpoints").glob("step-*")), [launcher])
            yield launcher
        finally:
            launcher.terminate()  # killed outright it could not take its workers along
            launcher.communicate(timeout=60)


def workers_of(launcher: Process) -> list[int]:
    """Their process numbers, in their order."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    return [int(number) for number in children if b"train" in Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find the workers")
def test_all_start_again_when_one_is_killed(tmp_path: Path):
    train = [*TRAIN, "--dropout", "0.3", "--checkpoint-every", "5", "--epochs", "3", "--patience", "9"]
    whole = run_command("launch", "--workers", "2", "--", *train, "--name", "whole", cwd=tmp_path, timeout=120)
    assert whole.returncode == 0, whole.stderr
    assert "2 workers with 1 CPU each" in whole.stdout
    with launched(tmp_path, *train) as launcher:
        os.kill(workers_of(launcher)[1], signal.SIGKILL)
        shown, said = launcher.communicate(timeout=120)
    assert launcher.returncode == 0, said
    assert "Worker 1 was killed by signal 9. Starting all 2 again (restart 1 of 3)" in said
    assert shown.count("Plan for run") == 2
    assert shown.count("step 1/40") == whole.stdout.count("step 1/40")  # the first epoch did not begin twice
    weights = [(tmp_path / "saved_models" / name / "weights.safetensors").read_bytes() for name in ("whole", "run")]
    assert weights[0] == weights[1]


def test_what_train_would_refuse_is_refused_and_not_tried_again(tmp_path: Path):
    for given, part in (
        (["--corpus", "spells", "--layers", "none"], "--layers: invalid int value"),
        (["--corpus", "nowhere"], "nowhere"),
        (["--corpus", "spells", "--distribute", "none"], "leave out --distribute"),
        ([], "--corpus is required"),
        (["--corpus", "spells", "--batch-size", "7"], "--batch-size 7 cannot be shared evenly among 2 devices"),
    ):
        began = time.monotonic()
        ended = run_command("launch", "--workers", "2", "--", *given, cwd=tmp_path)
        assert ended.returncode == 2, ended.stderr
        assert part in ended.stderr
        assert "Starting all" not in ended.stderr
        assert ended.stderr.count("Error") == 1
        assert time.monotonic() - began < 30  # nobody waits for the time that a loss would be given
        assert not (tmp_path / "saved_models").exists()
    assert run_command("launch", "--workers", "0", "--", "--corpus", "spells", cwd=tmp_path).returncode == 2


def test_two_that_are_launched_at_once_get_names_of_their_own(in_empty_folder: Path):
    with ExitStack() as ending:
        names = {_Commands(TRAIN, ending).name for _ in range(3)}
        assert len(names) == 3
        assert {path.name for path in (in_empty_folder / "saved_models").iterdir()} == names
    assert not (in_empty_folder / "saved_models").exists()


def ports_of(worker: int) -> tuple[list[int], str]:
    """The ports of all workers of a run, and what listens in the network of one of them."""
    environment = Path(f"/proc/{worker}/environ").read_bytes().split(b"\0")
    (config,) = [value.partition(b"=")[2] for value in environment if value.startswith(b"TF_CONFIG=")]
    addresses = json.loads(config)["cluster"]["worker"]
    listening = "".join(Path(f"/proc/{worker}/net/{kind}").read_text() for kind in ("tcp", "tcp6"))
    return [int(address.rpartition(":")[2]) for address in addresses], listening


@pytest.mark.skipif(PRIVATE is None, reason="this system lets this user have no private network")
def test_nobody_else_reaches_the_workers_and_they_leave_with_their_launcher(tmp_path: Path):
    with launched(tmp_path, *TRAIN) as launcher:
        workers = workers_of(launcher)
        ports, listening = ports_of(workers[0])
        assert all(f":{port:04X} " in listening for port in ports)  # TensorFlow's servers are there
        for port in ports:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=5)
        launcher.kill()
        launcher.communicate(timeout=60)
        wait_for(lambda: not any(map(is_there, workers)), [])
        assert not any(map(is_there, workers))


def is_there(worker: int) -> bool:
    """Whether a process runs: one that has ended may wait for a parent that asks after it."""
    try:
        return Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_without_a_private_network_the_user_must_accept_open_ports(
    monkeypatch: pytest.MonkeyPatch, in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("sys.platform", "darwin")
    assert main(["launch", "--workers", "2", "--", "--corpus", "spells"]) == 2
    assert "add --open-ports before the --" in capsys.readouterr().err
    assert not (in_empty_folder / "saved_models").exists()


def test_a_lost_terminal_stops_all_and_it_says_how_to_go_on(tmp_path: Path):
    with launched(tmp_path, *TRAIN) as launcher:
        launcher.send_signal(signal.SIGHUP)
        shown, said = launcher.communicate(timeout=60)
    assert launcher.returncode == 130, said
    assert shown.endswith("Go on with all:  python -m wordgen launch --workers 2 -- --resume run\n")
    assert "restart" not in said
