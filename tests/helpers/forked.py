"""Python processes that have TensorFlow imported already: forked from a server, so that each starts seconds earlier.

They are real processes, with signals, exit codes, folders and environments of their own. Only a fresh interpreter has a
hash seed of its own and does what `wordgen.cli.start` does before it imports: tests of that take helpers/commands.py.
"""

import atexit
import multiprocessing
import multiprocessing.forkserver
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.helpers.commands import ROOT, command_environment
from tests.helpers.workers import worker_environments

_FORKING = multiprocessing.get_context("forkserver")
_IMPORTED = [
    "wordgen.network", "wordgen.training.trainer", "wordgen.training.event_file", "wordgen.training.progress",
    "wordgen.cli.train", "wordgen.run.train", "wordgen.report.page", "nltk.tokenize", "safetensors.numpy",
]  # fmt: skip
_OF_THE_SERVER = {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1", "OPENBLAS_NUM_THREADS": "1"}
_SET_BY_IMPORTS = ("GRPC_", "KERAS_", "TF_CPP_", "TF_ENABLE_")
"""How the names of the variables begin that `wordgen.network` sets when it is imported."""
_SECONDS_TO_DIE = 30


class ForkedProcess:
    """Does what `python ARGUMENTS` does (with -m or -c), and has the part of subprocess.Popen that tests use."""

    def __init__(self, arguments: Sequence[str], room: Path, environment: Mapping[str, str]) -> None:
        self._arguments = list(arguments)
        self._streams = Path(tempfile.mkdtemp(prefix="forked-"))
        told = (self._arguments, str(room), command_environment(**environment), str(self._streams))
        _start_server()
        self._process = _FORKING.Process(target=_run, args=told, daemon=True)
        self._process.start()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._arguments, timeout)
        return self._process.exitcode

    def communicate(self, *, timeout: float) -> tuple[str, str]:
        """Wait for its end: what it has written to standard output and to standard error."""
        self.wait(timeout)
        return self._written("1"), self._written("2")

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None and self._process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """End it, whatever it does, and throw away what it has written."""
        self.kill()
        self._process.join(_SECONDS_TO_DIE)
        shutil.rmtree(self._streams, ignore_errors=True)

    @property
    def shown(self) -> str:
        """What it has written to standard output so far."""
        return self._written("1")

    def _written(self, stream: str) -> str:
        path = self._streams / stream
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


@contextmanager
def forked(
    commands: Sequence[Sequence[str]],
    rooms: Path | Sequence[Path],
    environments: Sequence[Mapping[str, str]] | None = None,
) -> Iterator[list[ForkedProcess]]:
    """One process a command, as workers in one room or each in its own; none outlives the block."""
    each_room = [rooms] * len(commands) if isinstance(rooms, Path) else rooms
    told = worker_environments(len(commands)) if environments is None else environments
    with ExitStack() as ending:
        processes: list[ForkedProcess] = []
        for command, room, environment in zip(commands, each_room, told, strict=True):
            processes.append(ForkedProcess(command, room, environment))
            ending.callback(processes[-1].close)
        yield processes


@contextmanager
def forked_alone(*command: str, room: Path) -> Iterator[ForkedProcess]:
    with forked([command], room, [{}]) as (process,):
        yield process


def _start_server() -> None:
    """Let Python's own fork server import what a training needs, if it has not done so."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _OF_THE_SERVER.items():
            patch.setenv(name, value)
        _FORKING.set_forkserver_preload(_IMPORTED)
        multiprocessing.forkserver.ensure_running()


def _run(arguments: list[str], room: str, environment: dict[str, str], streams: str) -> None:
    """What the forked process does. Here Python's flag -P is set, so no folder is put into the path of modules."""
    os.chdir(room)
    for name in os.environ.keys() - environment.keys():
        if not name.startswith(_SET_BY_IMPORTS):
            del os.environ[name]
    os.environ.update(environment)
    for number in (1, 2):
        os.dup2(os.open(Path(streams) / str(number), os.O_WRONLY | os.O_CREAT, 0o600), number)
    kind, program, *rest = arguments
    try:
        if kind == "-m":
            sys.argv = [program, *rest]
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        else:
            sys.argv = [kind, *rest]
            exec(program, {"__name__": "__main__"})
    finally:
        atexit._run_exitfuncs()  # a process of `multiprocessing` leaves them out
