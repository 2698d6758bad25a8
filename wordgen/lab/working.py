"""Works through the runs of a sweep, several at once: what is over stays, what was broken off goes on."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from wordgen.lab.found import DIVERGED, Found, look
from wordgen.lab.log import Progress
from wordgen.lab.planning import PlannedRun, PlannedSweep
from wordgen.lab.process import RunningProcess
from wordgen.training.stopping import StopRequest, stop_on_signals

State = Literal["waiting", "at work", "stopped", "done", "diverged", "failed"]
_LOOK_AFTER = 0.1


@dataclass
class Row:
    """One run as a sweep sees it."""

    run: PlannedRun
    found: Found
    state: State
    note: str = ""
    progress: Progress | None = None
    """While it is at work."""
    began: float = 0.0

    @property
    def best(self) -> float | None:
        """The lowest valid perplexity so far."""
        return self.found.best if self.progress is None else self.progress.best


class SweepWatcher:
    """Told how a sweep goes on; override what you care about."""

    def begun(self, row: Row) -> None:
        """A run is at work."""

    def looked(self, rows: Sequence[Row]) -> None:
        """Several times a second, how all runs stand."""

    def ended(self, row: Row) -> None:
        """A run is over, or has failed, or was stopped."""

    def measuring(self, done: int, runs: int) -> None:
        """All runs are over, and so many are measured on their test part."""

    def stopping(self) -> None:
        """The user wants an end; the steps under way are finished, and checkpoints saved."""


@dataclass
class Work:
    planned: PlannedSweep
    at_once: int
    threads: int
    """For each process."""
    watcher: SweepWatcher
    rows: list[Row] = field(default_factory=list)

    def do(self, found: Sequence[Found]) -> bool:
        """Until all is done or stopped; whether it was stopped. A run that fails is a note, and the others go on."""
        self.rows = [_row(run, each) for run, each in zip(self.planned.runs, found, strict=True)]
        waiting = deque(row for row in self.rows if row.state == "waiting")
        running: list[tuple[Row, RunningProcess]] = []
        with stop_on_signals(self.watcher.stopping) as stop:
            try:
                while running or (waiting and not stop.requested):
                    while waiting and len(running) < self.at_once and not stop.requested:
                        running.append(self._begin(waiting.popleft()))
                    running = self._still_running(running, stop)
                    self.watcher.looked(self.rows)
                    time.sleep(_LOOK_AFTER)
            finally:
                for _, process in running:  # by an error of ours, or a third Ctrl-C
                    process.stop()
        return stop.requested

    def _begin(self, row: Row) -> tuple[Row, RunningProcess]:
        process = RunningProcess(row.run, self.threads, row.found.best)
        row.state, row.progress, row.began = "at work", process.progress, time.monotonic()
        self.watcher.begun(row)
        return row, process

    def _still_running(
        self, running: list[tuple[Row, RunningProcess]], stop: StopRequest
    ) -> list[tuple[Row, RunningProcess]]:
        left: list[tuple[Row, RunningProcess]] = []
        for row, process in running:
            process.pass_on(len(stop.signals))
            if process.look():
                left.append((row, process))
                continue
            _settle(row, process, stopped=stop.requested)
            self.watcher.ended(row)
        return left


def _row(run: PlannedRun, found: Found) -> Row:
    if found.standing == "diverged":
        return Row(run, found, "diverged", DIVERGED)
    return Row(run, found, "done" if found.standing == "over" else "waiting")


def _settle(row: Row, process: RunningProcess, *, stopped: bool) -> None:
    """What became of a run whose process has ended: its report knows."""
    row.found, row.progress = look(row.run), None
    if row.found.standing == "over":
        row.state = "done"
    elif row.found.standing == "diverged" or process.diverged:
        row.state, row.note = "diverged", DIVERGED
    elif stopped:
        row.state = "stopped"
    else:
        row.state, row.note = "failed", process.complaint
