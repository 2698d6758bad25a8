"""`wordgen launch`: workers on this machine, one of them killed, all of them stopped."""

import json
import os
import signal
import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.helpers.commands import run_command
from tests.helpers.workers import Process, started_processes, wait_for
from wordgen.cli.launch import _Commands, private_network
from wordgen.cli.main import main
from wordgen.run.record import load_record

with private_network() as join_network:
    HAS_PRIVATE_NETWORK = join_network is not None
TRAIN = ["--corpus", "spells", "--layers", "1", "--units", "16", "--checkpoint-every", "5"]
pytestmark = pytest.mark.slow


@contextmanager
def launched(folder: Path, *flags: str) -> Generator[Process]:
    """Start a launcher of two workers that train the run `run`. All of them end with the block."""
    command = ["-m", "wordgen", "launch", "--workers", "2", "--", *TRAIN, *flags, "--name", "run"]
    with started_processes([command], folder, [{}]) as (launcher,):
        try:
            yield launcher
        finally:
            launcher.terminate()  # a killed launcher could not stop its workers
            launcher.communicate(timeout=120)


def wait_for_checkpoint(folder: Path, launcher: Process) -> None:
    wait_for(lambda: any((folder / "saved_models" / "run" / "checkpoints").glob("step-*")), [launcher])


def workers_of(launcher: Process) -> list[int]:
    """Return the process ids in the order of the workers."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    workers: list[int] = []
    for number in children:
        with suppress(OSError):  # a short-lived child has ended
            if b"train" in Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0"):
                workers.append(int(number))
    return workers


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find the workers")
def test_all_workers_restart_when_one_is_killed(tmp_path: Path):
    """tests/laws/test_workers.py checks that the result equals that of a run that was never killed."""
    with launched(tmp_path, "--dropout", "0.3", "--epochs", "2", "--patience", "9") as launcher:
        wait_for_checkpoint(tmp_path, launcher)
        os.kill(workers_of(launcher)[1], signal.SIGKILL)
        stdout, stderr = launcher.communicate(timeout=120)
    assert launcher.returncode == 0, stderr
    assert "2 workers with 1 CPU each" in stdout
    assert "Worker 1 was killed by signal 9. Starting all 2 workers again (restart 1 of 3)" in stderr
    assert stdout.count("Plan for run") == 2
    assert stdout.count("epoch 1/2 step 1/40") == 1  # the first epoch begins only once
    record = load_record(tmp_path / "saved_models" / "run")
    assert (record.ended, len(record.epochs)) == ("all epochs done", 2)


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--corpus", "spells", "--layers", "none"], "--layers: invalid int value"),
        (["--corpus", "spells", "--layers", "none"], "See python -m wordgen train --help"),
        (["--corpus", "nowhere"], "nowhere"),
        (["--corpus", "spells", "--distribute", "none"], "leave out --distribute"),
        (["--corpus", "-"], "Several workers cannot share standard input"),
        ([], "--corpus is required"),
    ],
)
def test_bad_flags_of_train_are_refused_before_workers_start(
    flags: list[str], part: str, in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["launch", "--workers", "2", "--", *flags], "python -m wordgen") == 2
    stderr = capsys.readouterr().err
    assert part in stderr
    assert stderr.count("Error") == 1
    assert not (in_empty_folder / "saved_models").exists()
    assert main(["launch", "--workers", "0", "--", "--corpus", "spells"]) == 2


def test_error_of_all_workers_is_printed_once_without_restart(tmp_path: Path):
    result = run_command("launch", "--workers", "2", "--", "--corpus", "spells", "--batch-size", "5000", cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert "Too little text" in result.stderr
    assert result.stderr.count("Error") == 1
    assert "Starting all" not in result.stderr
    assert not (tmp_path / "saved_models").exists()


def test_concurrent_launches_reserve_different_names(in_empty_folder: Path):
    with ExitStack() as stack:
        names = {_Commands(TRAIN, stack, "train").name for _ in range(3)}
        assert len(names) == 3
        assert {path.name for path in (in_empty_folder / "saved_models").iterdir()} == names
    assert not (in_empty_folder / "saved_models").exists()


def ports_of(worker: int) -> list[int]:
    """Return the ports of all workers of a run, from the environment of one."""
    environment = Path(f"/proc/{worker}/environ").read_bytes().split(b"\0")
    (config,) = [value.partition(b"=")[2] for value in environment if value.startswith(b"TF_CONFIG=")]
    return [int(address.rpartition(":")[2]) for address in json.loads(config)["cluster"]["worker"]]


def all_listen(workers: list[int]) -> bool:
    """Return whether two workers exist and listen at their ports, in their own network."""
    if len(workers) < 2:
        return False
    listening = "".join(Path(f"/proc/{workers[0]}/net/{kind}").read_text() for kind in ("tcp", "tcp6"))
    return all(f":{port:04X} " in listening for port in ports_of(workers[0]))


@pytest.mark.skipif(not HAS_PRIVATE_NETWORK, reason="this system lets this user have no private network")
def test_workers_are_unreachable_and_end_with_their_launcher(tmp_path: Path):
    with launched(tmp_path) as launcher:
        wait_for(lambda: all_listen(workers_of(launcher)), [launcher])
        workers = workers_of(launcher)
        assert all_listen(workers)
        for port in ports_of(workers[0]):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=5)
        launcher.kill()
        launcher.communicate(timeout=120)
        wait_for(lambda: not any(map(is_running, workers)), [])
        assert not any(map(is_running, workers))


def is_running(worker: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_open_ports_is_required_without_private_network(
    monkeypatch: pytest.MonkeyPatch, in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("sys.platform", "darwin")
    assert main(["launch", "--workers", "2", "--", "--corpus", "spells"]) == 2
    assert "add --open-ports before the --" in capsys.readouterr().err
    assert not (in_empty_folder / "saved_models").exists()


def test_sighup_stops_all_workers_and_prints_resume_command(tmp_path: Path):
    with launched(tmp_path) as launcher:
        wait_for_checkpoint(tmp_path, launcher)
        launcher.send_signal(signal.SIGHUP)
        stdout, stderr = launcher.communicate(timeout=120)
    assert launcher.returncode == 130, stderr
    assert stdout.endswith("Continue with all workers:  python -m wordgen launch --workers 2 -- --resume run\n")
    assert "restart" not in stderr
