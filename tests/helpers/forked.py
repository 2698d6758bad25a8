"""Python processes that are forked from a server which has imported TensorFlow, so each starts seconds earlier.

They are real processes, each with its own signals, exit code, folder and environment. But they share a hash seed and do
not do what `wordgen.cli.start` does before its imports: tests of that use helpers/commands.py.
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
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.helpers.commands import ROOT, command_environment
from tests.helpers.workers import worker_environments

_CONTEXT = multiprocessing.get_context("forkserver")
_PRELOADED = [
    "wordgen.network", "wordgen.training.trainer", "wordgen.training.event_file", "wordgen.training.progress",
    "wordgen.cli.train", "wordgen.run.train", "wordgen.report.page", "nltk.tokenize", "safetensors.numpy",
]  # fmt: skip
_SERVER_ENVIRONMENT = {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1", "OPENBLAS_NUM_THREADS": "1"}
_SET_BY_IMPORTS = ("GRPC_", "KERAS_", "TF_CPP_", "TF_ENABLE_")
"""Prefixes of the environment variables that `wordgen.network` sets on import."""
_KILL_TIMEOUT = 30


class ForkedProcess:
    """Does what `python ARGUMENTS` does (with -m or -c), with the methods of subprocess.Popen that tests use."""

    def __init__(self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> None:
        self._arguments = list(arguments)
        self._streams = Path(tempfile.mkdtemp(prefix="forked-"))
        run_arguments = (self._arguments, str(cwd), command_environment(**environment), str(self._streams))
        _start_server()
        self._process = _CONTEXT.Process(target=_run, args=run_arguments, daemon=True)
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
        """Wait for its end and return its standard output and standard error."""
        self.wait(timeout)
        return self._read_stream("1"), self._read_stream("2")

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None and self._process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def is_stopped(self) -> bool:
        """Return whether SIGSTOP has taken effect. Only Linux can tell: elsewhere, the answer is always yes."""
        stat = Path(f"/proc/{self._process.pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "T"

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Kill the process and delete its output."""
        self.kill()
        self._process.join(_KILL_TIMEOUT)
        shutil.rmtree(self._streams, ignore_errors=True)

    @property
    def output(self) -> str:
        """The standard output so far."""
        return self._read_stream("1")

    def _read_stream(self, stream: str) -> str:
        path = self._streams / stream
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


@contextmanager
def forked_processes(
    commands: Sequence[Sequence[str]],
    folders: Path | Sequence[Path],
    environments: Sequence[Mapping[str, str]] | None = None,
) -> Generator[list[ForkedProcess]]:
    """Start one process per command, as workers in one folder or each in its own; kill them after the block."""
    working_folders = [folders] * len(commands) if isinstance(folders, Path) else folders
    if environments is None:
        environments = worker_environments(len(commands))
    with ExitStack() as stack:
        processes: list[ForkedProcess] = []
        for command, cwd, environment in zip(commands, working_folders, environments, strict=True):
            processes.append(ForkedProcess(command, cwd, environment))
            stack.callback(processes[-1].close)
        yield processes


@contextmanager
def forked_process(*command: str, cwd: Path) -> Generator[ForkedProcess]:
    with forked_processes([command], cwd, [{}]) as (process,):
        yield process


def _start_server() -> None:
    """Start Python's fork server, if it does not run, and let it import what a training needs."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _SERVER_ENVIRONMENT.items():
            patch.setenv(name, value)
        _CONTEXT.set_forkserver_preload(_PRELOADED)
        multiprocessing.forkserver.ensure_running()


def _run(arguments: list[str], cwd: str, environment: dict[str, str], streams: str) -> None:
    """Run in the forked process. Python's flag -P is set here, so sys.path does not get the current folder."""
    os.chdir(cwd)
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
        atexit._run_exitfuncs()  # a process of `multiprocessing` does not call them
