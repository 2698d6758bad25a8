"""A worker: a process that trains the runs of a study, one after another. This module has both of its sides.

A worker reads jobs from standard input and writes events to standard output, both as JSON lines. When its standard
input ends, it saves a checkpoint and exits. Before TensorFlow is imported there is nothing to save, and it exits at
once. The study, which starts the workers, does not import TensorFlow.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Literal, TextIO

from wordgen.child_process import environment_with, python_command
from wordgen.errors import EXIT_OK, WordgenError
from wordgen.files import as_storage_error, make_folder
from wordgen.palindromes.results import Point
from wordgen.palindromes.settings import LearningSettings, StudyRun, first_length
from wordgen.run.folder import training_lock
from wordgen.training.typed_json import from_json, to_json

_SECONDS_BETWEEN_STEPS = 0.3
_SECONDS_TO_TAKE_OVER = 60
"""How long to wait for a process that still holds the run but is about to end."""
_SOLVED_AFTER = 5
_LENGTHEN_FROM, _LENGTHEN_BY = 0.98, 1.5
"""A curriculum makes the palindromes longer if this share of the answers since the last point was right."""


@dataclass
class Progress:
    """How far a run is. All further steps follow from this and from the weights."""

    step: int = 0
    seconds: float = 0.0
    """The training time, over all starts of the run."""
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    """The summed loss, accuracy and gradient norm of the steps since the last point of the curve."""
    curve: list[Point] = field(default_factory=list)
    gradients_before: Sequence[float] = ()
    """The norm of the gradient at each time step, before the first step of the training."""

    @property
    def steps_since_point(self) -> int:
        return self.step - (self.curve[-1].step if self.curve else 0)

    @property
    def solved(self) -> bool:
        """Whether there was no mistake at the last five points, on the validation set and in the steps between.

        The validation set alone is too small: most of the runs without a mistake on it made one in 4,096 palindromes.
        """
        last = self.curve[-_SOLVED_AFTER:]
        return len(last) == _SOLVED_AFTER and all(point.valid_accuracy == point.accuracy == 1 for point in last)

    def length(self, run: StudyRun, settings: LearningSettings) -> int:
        """Return the length of the palindromes in the next step. It follows from the last point of the curve."""
        if not self.curve:
            return first_length(run, settings)
        last = self.curve[-1]
        return min(run.length, ceil(last.length * _LENGTHEN_BY)) if last.accuracy >= _LENGTHEN_FROM else last.length


@dataclass(frozen=True)
class Limits:
    """When a run ends that is not solved."""

    steps: int
    seconds: float | None = None
    """The training time over all starts of the run. None if there is no time budget."""
    time_budget: str | None = None
    """The time budget of the whole study, as the user gave it."""


@dataclass(frozen=True)
class Job:
    """A run for a worker to train."""

    run: StudyRun
    settings: LearningSettings
    folder: str
    limits: Limits


@dataclass(frozen=True)
class Event:
    """What a run reports. The event "exited" says that the process of the worker has ended."""

    kind: Literal["begun", "step", "point", "warning", "ended", "stopped", "failed", "exited"]
    step: int | None = None
    accuracy: float | None = None
    """On the validation set, for the event "point"."""
    sentence: str = ""
    """A warning, or why the run failed."""


Events = queue.SimpleQueue["tuple[Worker, Event]"]


class Worker:
    """A worker process. Its events go into a queue that all workers share."""

    def __init__(self, log: Path, threads: int, events: Events) -> None:
        """Start the process. Its error messages go into the log. Raises StorageError if that cannot be written."""
        make_folder(log.parent)
        self.log = log
        with as_storage_error(log), log.open("ab") as errors:
            self._process = subprocess.Popen(
                python_command("from wordgen.palindromes.worker import main; main()"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment_with(threads),
                process_group=0,  # only the study receives Ctrl-C, and lets the workers save
            )
        assert self._process.stdin is not None
        self._input = self._process.stdin
        threading.Thread(target=self._listen, args=(events,), daemon=True).start()

    def send_job(self, job: Job) -> None:
        """Give the worker a run to train."""
        with suppress(OSError, ValueError):  # the process has ended, and an event says so
            self._input.write(json.dumps(to_json(job)).encode() + b"\n")
            self._input.flush()

    def request_exit(self) -> None:
        """Ask the worker to finish its step, save a checkpoint and exit."""
        with suppress(OSError):
            self._input.close()

    def kill(self) -> None:
        """End the process at once. Its last checkpoint stays."""
        self._process.kill()

    @property
    def exit_reason(self) -> str:
        """Why the process has ended, in a few words."""
        code = self._process.returncode
        how_it_ended = (
            f"was killed by signal {-code}" if code is not None and code < 0 else f"left with exit code {code}"
        )
        return f"its process {how_it_ended}; see {self.log}"

    def _listen(self, events: Events) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                with suppress(ValueError):
                    events.put((self, from_json(Event, json.loads(line), "the event")))
        self._process.wait()
        self.request_exit()  # closes the pipe, also if the process was killed
        events.put((self, Event("exited")))


class EventWriter:
    """Writes events to a stream. Steps that follow each other quickly are left out.

    If the study was killed, nobody reads the stream any more, but the worker still has to save a checkpoint.
    """

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._wrote_step = 0.0

    def write(self, event: Event) -> None:
        if event.kind == "step":
            if time.monotonic() - self._wrote_step <= _SECONDS_BETWEEN_STEPS:
                return
            self._wrote_step = time.monotonic()
        with suppress(BrokenPipeError):
            print(json.dumps(to_json(event)), file=self._output, flush=True)


class JobReader:
    """Reads jobs from a stream, in a thread of its own."""

    def __init__(self, source: TextIO, on_early_end: Callable[[], None]) -> None:
        """`on_early_end` is called at the end of the stream if `started` is not set by then."""
        self.started = threading.Event()
        self.ended = threading.Event()
        """The stream has ended, so that the worker is to save and exit."""
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(source, on_early_end), daemon=True).start()

    def next(self) -> Job | None:
        """Wait for the next job. Return None at the end of the stream."""
        line = self._lines.get()
        return None if line is None or self.ended.is_set() else from_json(Job, json.loads(line), "the job")

    def _read(self, source: TextIO, on_early_end: Callable[[], None]) -> None:
        for line in source:
            self._lines.put(line)
        self.ended.set()
        self._lines.put(None)
        if not self.started.is_set():
            on_early_end()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the study receives Ctrl-C, and ends the standard input
    events = EventWriter(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # only events go to standard output; anything else that is printed goes to the log
    jobs = JobReader(sys.stdin, lambda: os._exit(EXIT_OK))
    import wordgen.palindromes.trainer  # noqa: F401 - imports TensorFlow, which takes seconds

    jobs.started.set()
    while (job := jobs.next()) is not None:
        train(job, events.write, jobs.ended.is_set)


def train(job: Job, on_event: Callable[[Event], None], should_stop: Callable[[], bool]) -> None:
    """Train a run until it ends, or until `should_stop` returns True. An error is reported as an event."""
    from wordgen.palindromes.trainer import PalindromeRun  # imports TensorFlow

    folder = Path(job.folder)
    try:
        make_folder(folder)
        with training_lock(folder, _SECONDS_TO_TAKE_OVER):
            result = PalindromeRun(job.run, job.settings, folder, on_event).train(job.limits, should_stop)
        on_event(Event("stopped" if result is None else "ended"))
    except WordgenError as error:
        on_event(Event("failed", sentence=str(error)))
    except Exception as error:
        traceback.print_exc()
        sentence = f"something in wordgen itself went wrong ({type(error).__name__}: {error})"
        on_event(Event("failed", sentence=sentence))
