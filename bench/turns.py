"""Ways to do the same work, each a process of its own, which take turns: a noisy machine then treats them alike.

The process of a way says what it is once it is ready, waits for a line, works for so many seconds, tells what that
took, and waits again. It ends when nobody listens any more. Plain Python: a peer's environment has no wordgen.
"""

import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_STATUS = Path("/proc/self/status")


class TimeUpError(Exception):
    """There is no time left to wait for an answer."""


class FailedError(Exception):
    """The process has ended without one."""


class Turns:
    """The side of the process that works."""

    def __init__(self) -> None:
        # What libraries print goes to standard error: the answers have standard output for themselves.
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._memory_of_import = 0
        self._cpu = self._wall = 0.0

    def imported(self) -> None:
        """Memory is counted from here."""
        if _STATUS.exists():
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            self._memory_of_import = _kilobytes("VmRSS")

    def answer(self, **facts: Any) -> None:
        self._answers.write(json.dumps(facts) + "\n")
        self._answers.flush()

    def wait(self) -> None:
        """For a turn; the process ends where none will come."""
        if not sys.stdin.readline():
            os._exit(0)
        self.begin()

    def begin(self) -> None:
        self._cpu, self._wall = time.process_time(), time.monotonic()

    def seconds(self) -> float:
        """Of this turn, so far."""
        return time.monotonic() - self._wall

    def done(self, tokens: int) -> dict[str, float]:
        """What the turn took: microseconds a token, and megabytes at most above what the import took."""
        wall, cpu = self.seconds(), time.process_time() - self._cpu
        peak = (_kilobytes("VmHWM") - self._memory_of_import) / 1000 if _STATUS.exists() else 0.0
        return {"cpu": 1e6 * cpu / tokens, "wall": 1e6 * wall / tokens, "peak_mb": peak}

    def take(self, work: Callable[[], int], seconds: float) -> None:
        """Turn after turn; `work` gives how many tokens it has learned."""
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
    ) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process is
        self._process = subprocess.Popen(
            [python, "-m", module, *arguments],
            cwd=room,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            # Ctrl-C is for the one that gives the turns: a training that heard it would save in the middle of an epoch.
            start_new_session=True,
        )
        self._read = b""

    def answer(self, until: float) -> dict[str, Any]:
        """The next one, until that moment of the monotonic clock."""
        assert self._process.stdout is not None
        stream = self._process.stdout.fileno()
        while b"\n" not in self._read:
            left = until - time.monotonic()
            if left <= 0 or not select.select([stream], [], [], left)[0]:
                raise TimeUpError
            more = os.read(stream, 1 << 16)
            if not more:
                raise FailedError(self._last_words())
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return json.loads(line)

    def turn(self, until: float) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"go\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise FailedError(self._last_words()) from error
        return self.answer(until)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()

    def _last_words(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        return " / ".join(self._errors.read().decode(errors="replace").strip().split("\n")[-3:])


def _kilobytes(field: str) -> int:
    return int(re.findall(rf"{field}:\s+(\d+)", _STATUS.read_text())[0])
