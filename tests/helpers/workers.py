"""Starts the processes of a distributed training on free loopback ports. Every wait has a timeout."""

import itertools
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from tests.helpers.commands import command_environment
from wordgen.training.workers import SECRET

Process = subprocess.Popen[str]

_FIRST_PORT, _PORTS_OF_A_TEST_PROCESS, _TEST_PROCESSES = 20_000, 500, 24
"""The ports are below those which the system gives to connections, and each process of pytest has its own."""
_offsets = itertools.count(random.SystemRandom().randrange(_PORTS_OF_A_TEST_PROCESS))


class Worker(Protocol):
    """The common methods of a subprocess and a forked process (helpers/forked.py)."""

    @property
    def returncode(self) -> int | Any: ...

    def poll(self) -> int | None: ...

    def communicate(self, *, timeout: float) -> tuple[str, str]: ...


def free_ports(number: int) -> list[int]:
    """Return free ports that the system gives to no connection, and pytest's other processes to no worker."""
    test_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % _TEST_PROCESSES
    first = _FIRST_PORT + test_process * _PORTS_OF_A_TEST_PROCESS
    ports: list[int] = []
    for offset in itertools.islice(_offsets, _PORTS_OF_A_TEST_PROCESS):
        port = first + offset % _PORTS_OF_A_TEST_PROCESS
        with suppress(OSError), socket.create_server(("", port)):
            ports.append(port)
        if len(ports) == number:
            return ports
    raise AssertionError(f"fewer than {number} ports are free from {first} on")


def tf_configs(workers: int) -> list[str]:
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    cluster = {"worker": addresses}
    return [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": n}}) for n in range(workers)]


def worker_environments(workers: int) -> list[dict[str, str]]:
    """Return the environment of each worker; all have the same secret."""
    return [{"TF_CONFIG": config, SECRET: "of the tests"} for config in tf_configs(workers)]


@contextmanager
def started_processes(
    commands: Sequence[Sequence[str]],
    folders: Path | Sequence[Path],
    environments: Sequence[dict[str, str]] | None = None,
) -> Generator[list[Process]]:
    """Start one Python process per command, in one folder or each in its own; kill them after the block."""
    working_folders = [folders] * len(commands) if isinstance(folders, Path) else folders
    processes = [
        subprocess.Popen(
            [sys.executable, *command],
            cwd=cwd,
            env=command_environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command, environment, cwd in zip(
            commands, environments or worker_environments(len(commands)), working_folders, strict=True
        )
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def wait_for_success(processes: Sequence[Worker], timeout: float = 120) -> None:
    for process in processes:
        _, stderr = process.communicate(timeout=timeout)
        assert process.returncode == 0, stderr


def wait_for(condition: Callable[[], bool], processes: Sequence[Worker], seconds: float = 100) -> None:
    """Wait until a condition is true, a process has ended or the time is over. The caller must check which."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline and all(process.poll() is None for process in processes):
        time.sleep(0.01)
