"""Several processes on free loopback ports that learn together, for tests; every wait has its limit."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from tests.helpers.commands import command_environment
from wordgen.training.workers import SECRET

Process = subprocess.Popen[str]


class Worker(Protocol):
    """What a subprocess and a forked process (helpers/forked.py) have in common."""

    @property
    def returncode(self) -> int | Any: ...

    def poll(self) -> int | None: ...

    def communicate(self, *, timeout: float) -> tuple[str, str]: ...


def free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def tf_configs(workers: int) -> list[str]:
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    cluster = {"worker": addresses}
    return [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": n}}) for n in range(workers)]


def worker_environments(workers: int) -> list[dict[str, str]]:
    """The environment of each of several workers on this machine, which know one secret."""
    return [{"TF_CONFIG": config, SECRET: "of the tests"} for config in tf_configs(workers)]


@contextmanager
def started(
    commands: Sequence[Sequence[str]],
    rooms: Path | Sequence[Path],
    environments: Sequence[dict[str, str]] | None = None,
) -> Iterator[list[Process]]:
    """One Python process a command, as workers in one room or each in its own; none outlives the block."""
    each_room = [rooms] * len(commands) if isinstance(rooms, Path) else rooms
    told = environments or worker_environments(len(commands))
    processes = [
        subprocess.Popen(
            [sys.executable, *command],
            cwd=room,
            env=command_environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command, environment, room in zip(commands, told, each_room, strict=True)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def ended_well(processes: Sequence[Worker], timeout: float = 120) -> None:
    for process in processes:
        _, complaint = process.communicate(timeout=timeout)
        assert process.returncode == 0, complaint


def wait_for(what: Callable[[], bool], processes: Sequence[Worker], seconds: float = 100) -> None:
    """Until something is so, or a process has ended, or it takes too long: what follows will tell which."""
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end and all(process.poll() is None for process in processes):
        time.sleep(0.01)
