"""`wordgen launch`: real workers on this machine, one of them killed, all of them stopped."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.helpers.commands import run_command
from tests.helpers.workers import Process, started, wait_for
from wordgen.cli.launch import PrivateNetwork, _Commands
from wordgen.cli.main import main
from wordgen.run.record import load_record

PRIVATE = PrivateNetwork.make()
if PRIVATE is not None:
    PRIVATE.close()
TRAIN = ["--corpus", "spells", "--layers", "1", "--units", "16", "--checkpoint-every", "5"]
pytestmark = pytest.mark.slow


@contextmanager
def launched(room: Path, *more: str) -> Iterator[Process]:
    """The launcher of two workers that train the run `run`; none outlives the block."""
    command = ["-m", "wordgen", "launch", "--workers", "2", "--", *TRAIN, *more, "--name", "run"]
    with started([command], room, [{}]) as (launcher,):
        try:
            yield launcher
        finally:
            launcher.terminate()  # killed outright it could not take its workers along
            launcher.communicate(timeout=60)


def wait_for_a_checkpoint(room: Path, launcher: Process) -> None:
    wait_for(lambda: any((room / "saved_models" / "run" / "checkpoints").glob("step-*")), [launcher])


def workers_of(launcher: Process) -> list[int]:
    """Their process numbers, in their order."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    return [int(number) for number in children if b"train" in Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find the workers")
def test_all_start_again_when_one_is_killed(tmp_path: Path):
    """That the run then is the one that was never killed is told in tests/laws/test_workers.py."""
    with launched(tmp_path, "--dropout", "0.3", "--epochs", "2", "--patience", "9") as launcher:
        wait_for_a_checkpoint(tmp_path, launcher)
        os.kill(workers_of(launcher)[1], signal.SIGKILL)
        shown, said = launcher.communicate(timeout=120)
    assert launcher.returncode == 0, said
    assert "2 workers with 1 CPU each" in shown
    assert "Worker 1 was killed by signal 9. Starting all 2 workers again (restart 1 of 3)" in said
    assert shown.count("Plan for run") == 2
    assert shown.count("epoch 1/2 step 1/40") == 1  # the first epoch did not begin twice
    record = load_record(tmp_path / "saved_models" / "run")
    assert (record.ended, len(record.epochs)) == ("all epochs done", 2)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (["--corpus", "spells", "--layers", "none"], "--layers: invalid int value"),
        (["--corpus", "nowhere"], "nowhere"),
        (["--corpus", "spells", "--distribute", "none"], "leave out --distribute"),
        ([], "--corpus is required"),
    ],
)
def test_what_train_would_refuse_is_refused_before_any_worker_starts(
    given: list[str], part: str, in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["launch", "--workers", "2", "--", *given]) == 2
    told = capsys.readouterr().err
    assert part in told
    assert told.count("Error") == 1
    assert not (in_empty_folder / "saved_models").exists()
    assert main(["launch", "--workers", "0", "--", "--corpus", "spells"]) == 2


def test_what_the_workers_refuse_is_told_once_and_not_tried_again(tmp_path: Path):
    ended = run_command("launch", "--workers", "2", "--", "--corpus", "spells", "--batch-size", "5000", cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert "Too little text" in ended.stderr
    assert ended.stderr.count("Error") == 1
    assert "Starting all" not in ended.stderr
    assert not (tmp_path / "saved_models").exists()


def test_two_that_are_launched_at_once_get_names_of_their_own(in_empty_folder: Path):
    with ExitStack() as ending:
        names = {_Commands(TRAIN, ending).name for _ in range(3)}
        assert len(names) == 3
        assert {path.name for path in (in_empty_folder / "saved_models").iterdir()} == names
    assert not (in_empty_folder / "saved_models").exists()


def ports_of(worker: int) -> list[int]:
    """The ports of all workers of a run, as one of them knows them."""
    environment = Path(f"/proc/{worker}/environ").read_bytes().split(b"\0")
    (config,) = [value.partition(b"=")[2] for value in environment if value.startswith(b"TF_CONFIG=")]
    return [int(address.rpartition(":")[2]) for address in json.loads(config)["cluster"]["worker"]]


def all_listen(workers: list[int]) -> bool:
    """Whether two workers are there and listen at their ports, in the network that they are in."""
    if len(workers) < 2:
        return False
    listening = "".join(Path(f"/proc/{workers[0]}/net/{kind}").read_text() for kind in ("tcp", "tcp6"))
    return all(f":{port:04X} " in listening for port in ports_of(workers[0]))


@pytest.mark.skipif(PRIVATE is None, reason="this system lets this user have no private network")
def test_nobody_else_reaches_the_workers_and_they_leave_with_their_launcher(tmp_path: Path):
    with launched(tmp_path) as launcher:
        wait_for(lambda: all_listen(workers_of(launcher)), [launcher])
        workers = workers_of(launcher)
        assert all_listen(workers)
        for port in ports_of(workers[0]):
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
    with launched(tmp_path) as launcher:
        wait_for_a_checkpoint(tmp_path, launcher)
        launcher.send_signal(signal.SIGHUP)
        shown, said = launcher.communicate(timeout=60)
    assert launcher.returncode == 130, said
    assert shown.endswith("Continue with all workers:  python -m wordgen launch --workers 2 -- --resume run\n")
    assert "restart" not in said
