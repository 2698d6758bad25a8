"""Processes that do the same work in different ways and take turns, so that a noisy machine treats them alike.

The process of a way answers what it is once it is ready. Then it waits for a line, works for some seconds, answers what
that took, and waits again. It ends when its standard input ends. Answers are lines of JSON. This module is plain
Python, because the environment of a peer has no wordgen.
"""

import json
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_STATUS = Path("/proc/self/status")


class TimeUpError(Exception):
    """No time is left to wait for an answer."""


class FailedError(Exception):
    """The process has ended without an answer."""


@contextmanager
def can_continue() -> Generator[None]:
    """End the block when the time is up, at Ctrl-C, or when a process has failed, and say why.

    All results are saved by then, and the next run of the script continues.
    """
    try:
        yield
    except TimeUpError:
        print("The time is up. The next run continues from here.", file=sys.stderr)
    except KeyboardInterrupt:
        print("Stopped. The next run continues from here.", file=sys.stderr)
    except FailedError as error:
        print(error, file=sys.stderr)


class Turns:
    """The side of the process that works."""

    def __init__(self) -> None:
        # What libraries print goes to standard error, so standard output has only answers.
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._memory_of_import = 0
        self._started = time.monotonic()
        self.begin()

    def imported(self) -> None:
        """Count memory from here on."""
        if _STATUS.exists():
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            self._memory_of_import = _kilobytes("VmRSS")

    def answer(self, **facts: Any) -> None:
        self._answers.write(json.dumps(facts) + "\n")
        self._answers.flush()

    def wait(self) -> str:
        """Wait for a turn, and return its line. The process ends if no turn will come."""
        line = sys.stdin.readline()
        if not line:
            os._exit(0)
        self.begin()
        return line.rstrip("\n")

    def begin(self) -> None:
        self._cpu, self._wall = cpu_seconds(), time.monotonic()

    def seconds(self) -> float:
        """Return the seconds of this turn so far."""
        return time.monotonic() - self._wall

    def spent(self) -> dict[str, float]:
        """Return the CPU and wall seconds of this turn so far."""
        return {"cpu": cpu_seconds() - self._cpu, "wall": self.seconds()}

    def spent_from_start(self) -> dict[str, float]:
        """Return the CPU and wall seconds of the process so far."""
        return {"cpu": cpu_seconds(), "wall": time.monotonic() - self._started}

    def done(self, tokens: int) -> dict[str, float]:
        """Return what the turn took: microseconds per token, and peak memory above that of the import, in megabytes."""
        spent = {kind: 1e6 * seconds / tokens for kind, seconds in self.spent().items()}
        peak = (_kilobytes("VmHWM") - self._memory_of_import) / 1000 if _STATUS.exists() else 0.0
        return {**spent, "peak_mb": peak}

    def take(self, work: Callable[[], int], seconds: float) -> None:
        """Take turn after turn. `work` returns how many tokens it has learned."""
        while True:
            self.wait()
            learned = 0
            while self.seconds() < seconds:
                learned += work()
            self.answer(**self.done(learned))


class Way:
    """The side that gives the turns."""

    def __init__(
        self,
        python: str,
        module: str,
        arguments: Sequence[str],
        room: Path,
        environment: Mapping[str, str] | None = None,
        until: float | None = None,
    ) -> None:
        """Start the process in the folder `room`. Answers must come `until` a time of the monotonic clock, if any."""
        self._until = until
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process is
        self._process = subprocess.Popen(
            [python, "-m", module, *arguments],
            cwd=room,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            # Only the process that gives the turns receives Ctrl-C: a training would save in the middle of an epoch.
            start_new_session=True,
        )
        self._read = b""

    def answer(self) -> dict[str, Any]:
        """Wait for the next answer."""
        assert self._process.stdout is not None
        stream = self._process.stdout.fileno()
        while b"\n" not in self._read:
            left = None if self._until is None else self._until - time.monotonic()
            if (left is not None and left <= 0) or not select.select([stream], [], [], left)[0]:
                raise TimeUpError
            more = os.read(stream, 1 << 16)
            if not more:
                raise FailedError(self._last_words())
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return json.loads(line)

    def begin_turn(self, line: str = "go") -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise FailedError(self._last_words()) from error

    def turn(self, line: str = "go") -> dict[str, Any]:
        self.begin_turn(line)
        return self.answer()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()

    def _last_words(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        return " / ".join(self._errors.read().decode(errors="replace").strip().split("\n")[-3:])


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its children that have ended, for example those that cut texts."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def worker_environments(workers: int) -> list[dict[str, str]]:
    """Return the variables that make each of these processes one worker of a training on this machine."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(workers)]
    cluster = {"worker": [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]}
    for each in sockets:
        each.close()
    tasks = [{"type": "worker", "index": number} for number in range(workers)]
    return [{"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})} for task in tasks]


def _kilobytes(field: str) -> int:
    return int(re.findall(rf"{field}:\s+(\d+)", _STATUS.read_text())[0])
