"""Performs a sweep: trains the missing runs in parallel processes, and writes the results.

Each process trains one run and writes a log, which the sweep reads at the same time. A log has the JSON lines of
`train`, and between them anything else that the process prints.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from wordgen.child_process import environment_with, wordgen_command
from wordgen.errors import EXIT_USER, StorageError, WordgenError
from wordgen.files import as_storage_error, make_folder, write_atomically
from wordgen.run.commands import resuming_arguments, sweeping_command, training_arguments
from wordgen.run.folder import sweep_lock
from wordgen.run.names import SWEEP_PLAN, run_exists
from wordgen.run.record import DIVERGED
from wordgen.sweep.effects import effects_of, summarize_effects
from wordgen.sweep.planning import PlannedRun, PlannedSweep
from wordgen.sweep.results import (
    COLUMNS,
    NetworkResult,
    Progress,
    Row,
    figures_of,
    markdown_table,
    perplexity_on_test_set,
    provenance_of,
    results_of,
    row_of,
    table_lines,
    write_curves,
    write_results,
)
from wordgen.training.stopping import stop_on_signals

STARTED = "started"
"""The event that the sweep writes to the log at each start of a run. It has the process id and the command."""
_SECONDS_TO_EXIT = 60
"""How long to wait for the process of an earlier sweep. It only has to finish its step and save a checkpoint."""
_POLL_SECONDS = 0.1


class LogReader:
    """Reads the new lines of a log and passes their events to a `Progress`."""

    def __init__(self, path: Path, progress: Progress) -> None:
        """Begin at the current end of the log, because the lines before it are about earlier starts of the run."""
        self._path, self._progress = path, progress
        self._offset = path.stat().st_size if path.exists() else 0
        self.error_message: str | None = None
        """The last line that was an error message (without "Error: "), or None. It says why a run has failed."""

    def read_new_lines(self) -> None:
        """Read all new complete lines."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
        except OSError:
            return
        complete_lines = new[: new.rfind(b"\n") + 1]
        self._offset += len(complete_lines)
        for line in complete_lines.decode(errors="replace").split("\n"):
            try:
                self._progress.update(json.loads(line))
            except (ValueError, KeyError, TypeError):
                if line.startswith("Error: "):
                    self.error_message = line.removeprefix("Error: ").strip()


@dataclass(frozen=True)
class StartedProcess:
    """A process, as the log of its run describes it."""

    id: int
    command: tuple[str, ...]
    """Its arguments, without the path of Python."""

    def is_running(self) -> bool:
        """Return whether the process with this id has this command. The system may have given the id to another one.

        Where there is no /proc, this cannot be checked; the answer is then True.
        """
        try:
            words = Path(f"/proc/{self.id}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return not Path("/proc").is_dir()
        return tuple(map(os.fsdecode, words[1:-1])) == self.command


def last_started_process(path: Path) -> StartedProcess | None:
    """Return the process that was started last, according to the log. None if the log does not have it."""
    try:
        lines = path.read_bytes().decode(errors="replace").split("\n")
    except OSError:
        return None
    for line in reversed(lines):
        if f'"event": "{STARTED}"' in line:
            with suppress(ValueError, KeyError, TypeError):  # it was killed while it wrote the line
                event = json.loads(line)
                return StartedProcess(int(event["process"]), tuple(map(str, event["command"])))
    return None


class RunningProcess:
    """The process that trains a run."""

    def __init__(self, run: PlannedRun, threads: int, best: float | None) -> None:
        """Start the run, or resume it if it was interrupted.

        `best` is the lowest validation perplexity so far, if any. Raises StorageError if the log cannot be written, or
        if a process of an earlier sweep still works on the run and does not end.
        """
        make_folder(run.log.parent)
        stop_leftover_process(run)
        self.run = run
        self.progress = Progress(run.settings.epochs, best=best)
        self._log = LogReader(run.log, self.progress)
        self._signals_sent = 0
        command = wordgen_command(*_arguments(run), "--log-format", "json")
        with as_storage_error(run.log), run.log.open("ab") as log:
            lock_file(log.fileno())
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment_with(threads),
                process_group=0,  # only the sweep receives Ctrl-C, and passes it on once
            )
            started = {"event": STARTED, "time": time.time(), "process": self._process.pid, "command": command[1:]}
            try:
                log.write(json.dumps(started).encode() + b"\n")
                log.flush()
            except BaseException:  # without its id in the log, the process could not be found later
                self._process.kill()
                raise

    def poll(self) -> bool:
        """Read the new lines of the log. Return whether the process is still running."""
        working = self._process.poll() is None
        self._log.read_new_lines()
        return working

    def forward_signals(self, signals: int) -> None:
        """Pass on the signals of the user. `signals` counts all so far; the process receives those that are new."""
        while self._signals_sent < signals:
            self.stop()

    def stop(self) -> None:
        """Ask the process to finish its step, save a checkpoint and end. A second call ends it at once."""
        self._signals_sent += 1
        with suppress(ProcessLookupError):
            # On Windows, only SIGTERM can be sent to a single process. It ends at once; the run can be resumed from its
            # last checkpoint.
            self._process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGINT)

    @property
    def diverged(self) -> bool:
        """Whether the training diverged before there was a model. In that case the run leaves no folder behind."""
        return self._process.returncode == EXIT_USER and (self._log.error_message or "").startswith(
            "The training diverged"
        )

    @property
    def failure_reason(self) -> str:
        """Why the process failed, in a few words."""
        code = self._process.returncode
        if code is not None and code < 0:
            return f"killed by signal {-code}"
        return self._log.error_message or f"ended with exit code {code}; see {self.run.log}"


def _arguments(run: PlannedRun) -> list[str]:
    if run_exists(run.name):
        return resuming_arguments(run.name)
    arguments = training_arguments(run.settings, run.name)
    # If a folder has no report, its run was killed before the training began.
    return [*arguments, "--overwrite"] if run.folder.exists() else arguments


def stop_leftover_process(run: PlannedRun) -> None:
    """Stop the process that still works on this run after its sweep was killed. It saves a checkpoint before it ends.

    The process holds a lock on the log, which is its standard output. The lock shows reliably whether the process is
    still running. Raises StorageError if it does not end in time. Does nothing on Windows, where no lock is held.
    """
    if not run.log.exists() or is_unlocked(run.log):
        return
    started = last_started_process(run.log)
    deadline = time.monotonic() + _SECONDS_TO_EXIT
    if started is not None and started.is_running():
        with suppress(ProcessLookupError, PermissionError):
            os.kill(started.id, signal.SIGTERM)
    while not is_unlocked(run.log):
        if time.monotonic() > deadline:
            which = f"of {run.name}" if started is None else started.id
            raise StorageError(
                f"A process of an earlier sweep is still training {run.name} and does not end: "
                f"stop process {which} and run the command again."
            )
        time.sleep(_POLL_SECONDS)


def lock_file(file: int) -> None:
    """Lock an open file until this process and all that inherit it have closed it. Does nothing on Windows."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)


def is_unlocked(path: Path) -> bool:
    """Return whether no process holds the lock of a file. Always True on Windows."""
    if sys.platform == "win32":
        return True
    import fcntl

    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


AnyRow = TypeVar("AnyRow", contravariant=True)


class ProgressWatcher(Protocol[AnyRow]):
    """Receives the progress of runs in parallel processes, each with its state. Override the methods you need."""

    def begun(self, row: AnyRow) -> None:
        """A process begins with a run."""

    def updated(self, rows: Sequence[AnyRow]) -> None:
        """Called several times a second with the current state of all runs."""

    def ended(self, row: AnyRow) -> None:
        """The process of a run has ended, or has ended its work on it. The state of the run says how."""

    def stopping(self) -> None:
        """The user wants to stop. The processes finish their current step and save a checkpoint."""


class SweepWatcher(ProgressWatcher[Row], Protocol):
    def measuring(self, done: int, runs: int) -> None:
        """Training is over. `done` of the `runs` have been measured on their test set."""


@dataclass(frozen=True)
class SweepEnd:
    results: tuple[NetworkResult, ...]
    summary: str
    """Sentences about the settings that made a difference. An empty string if the sweep was stopped."""
    stopped: bool
    """Whether the user stopped the sweep. Then there are no results."""
    failed: tuple[Row, ...]
    """The runs that failed."""


def run_sweep(
    planned: PlannedSweep, sweep_argument: str, at_once: int, threads: int, watcher: SweepWatcher
) -> SweepEnd:
    """Train the runs of a sweep that are not over yet, measure all on the test set, and write the results.

    `sweep_argument` is the name or path of the sweep as the user typed it; the results contain it as part of the
    command. Up to `at_once` processes run at the same time, each with `threads` threads. If the user stops the sweep,
    the results are not written.
    """
    make_folder(planned.folder)
    with sweep_lock(planned.folder):
        rows = [row_of(run) for run in planned.runs]
        plan = {"runs": [run.folder.name for run in planned.runs]}
        write_atomically(planned.folder / SWEEP_PLAN, json.dumps(plan, ensure_ascii=False, indent=1).encode())
        stopped = _train(rows, at_once, threads, watcher)
        failed = tuple(row for row in rows if row.state == "failed")
        if stopped:
            return SweepEnd((), "", stopped, failed)
        for number, row in enumerate(rows):
            watcher.measuring(number, len(rows))
            row.figures = replace(row.figures, test=perplexity_on_test_set(row.run))
        results = results_of(rows)
        summary = summarize_effects(results, effects_of(planned.sweep, results))
        _write(planned, sweep_argument, results, summary)
        return SweepEnd(tuple(results), summary, stopped, failed)


def _train(rows: Sequence[Row], at_once: int, threads: int, watcher: SweepWatcher) -> bool:
    """Train all waiting runs, also after one has failed. Return whether the user has stopped the sweep."""
    waiting = deque(row for row in rows if row.state == "waiting")
    running: dict[RunningProcess, Row] = {}
    with stop_on_signals(watcher.stopping) as stop:
        try:
            while running or (waiting and not stop.requested):
                while waiting and len(running) < at_once and not stop.requested:
                    row = waiting.popleft()
                    process = RunningProcess(row.run, threads, row.figures.best)
                    running[process] = row
                    row.state, row.progress, row.began = "training", process.progress, time.monotonic()
                    watcher.begun(row)
                for process, row in list(running.items()):
                    process.forward_signals(len(stop.signals))
                    if not process.poll():
                        del running[process]
                        set_end_state(row, process, stopped=stop.requested)
                        watcher.ended(row)
                watcher.updated(rows)
                time.sleep(_POLL_SECONDS)
        finally:
            for process in running:  # only after an error in wordgen, or a third Ctrl-C
                process.stop()
    return stop.requested


def set_end_state(row: Row, process: RunningProcess, *, stopped: bool) -> None:
    """Set the state of a run whose process has ended, as its report says. The others go on if that cannot be read."""
    row.progress = None
    try:
        row.figures = figures_of(row.run)
    except WordgenError as error:
        row.state, row.note = "failed", str(error)
        return
    if row.figures.status == "finished":
        row.state = "done"
    elif row.figures.status == "diverged" or process.diverged:
        row.state, row.note = "diverged", DIVERGED
    elif stopped:
        row.state = "stopped"
    else:
        row.state, row.note = "failed", process.failure_reason


def _write(planned: PlannedSweep, sweep_argument: str, results: Sequence[NetworkResult], summary: str) -> None:
    """Write results.json, results.md and the curves."""
    sweep = planned.sweep
    content = {
        "sweep": planned.name,
        "about": sweep.about,
        **provenance_of(sweeping_command(sweep_argument, None if planned.name == sweep.name else planned.name)),
        "settings": dict(sweep.shared),
        "random_seeds": list(sweep.random_seeds),
        "summary": summary,
        "networks": [result.to_mapping() for result in results],
        "runs": [row.to_mapping() for result in results for row in result.runs],
    }
    table = markdown_table(*table_lines(COLUMNS, results))
    write_results(planned.folder, content, table, summary)
    write_curves(planned.folder, sweep.about.rstrip(".") or planned.name, results)
