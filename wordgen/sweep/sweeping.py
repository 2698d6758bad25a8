"""Performs a sweep: trains the missing runs in parallel processes, and writes the results."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from wordgen.errors import WordgenError
from wordgen.files import make_folder
from wordgen.run.commands import sweeping_command
from wordgen.run.folder import at_work_on_sweep
from wordgen.run.record import DIVERGED
from wordgen.sweep.curves import write_curves
from wordgen.sweep.effects import effects_of
from wordgen.sweep.mattered import what_mattered
from wordgen.sweep.planning import PlannedSweep
from wordgen.sweep.processes import RunningProcess
from wordgen.sweep.results import (
    COLUMNS,
    NetworkResult,
    Row,
    as_rows,
    figures_of,
    markdown_table,
    origin_of,
    perplexity_on_test_set,
    results_of,
    sweep_rows,
    with_note,
    write_results,
)
from wordgen.training.stopping import stop_on_signals

_LOOK_AFTER = 0.1
AnyRow = TypeVar("AnyRow", contravariant=True)


class ProgressWatcher(Protocol[AnyRow]):
    """Receives the progress of runs in parallel processes. Override the methods you need.

    A run comes with its state.
    """

    def begun(self, row: AnyRow) -> None:
        """A process begins with a run."""

    def looked(self, rows: Sequence[AnyRow]) -> None:
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
    mattered: str
    """Sentences about the settings that made a difference. An empty string if the sweep was stopped."""
    stopped: bool
    """Whether the user stopped the sweep. Then there are no results."""
    failed: tuple[Row, ...]
    """The runs that failed."""


def run_sweep(planned: PlannedSweep, given: str, at_once: int, threads: int, watcher: SweepWatcher) -> SweepEnd:
    """Train the runs of a sweep that are not over yet, measure all on the test set, and write the results.

    `given` is the name or path of the sweep as the user typed it; the results contain it as part of the command. Up to
    `at_once` processes run at the same time, each with `threads` threads. If the user stops the sweep, the results are
    not written.
    """
    make_folder(planned.folder)
    with at_work_on_sweep(planned.folder):
        rows = sweep_rows(planned.runs)
        stopped = _train(rows, at_once, threads, watcher)
        failed = tuple(row for row in rows if row.state == "failed")
        if stopped:
            return SweepEnd((), "", stopped, failed)
        for number, row in enumerate(rows):
            watcher.measuring(number, len(rows))
            row.figures = replace(row.figures, test=perplexity_on_test_set(row.run))
        results = results_of(rows)
        mattered = what_mattered(results, effects_of(planned.sweep, results))
        _write(planned, given, results, mattered)
        return SweepEnd(tuple(results), mattered, stopped, failed)


def _train(rows: Sequence[Row], at_once: int, threads: int, watcher: SweepWatcher) -> bool:
    """Train all runs that are waiting. Return whether the user has stopped the sweep.

    If a run fails, its row gets a note, and the other runs continue.
    """
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
                    process.pass_on(len(stop.signals))
                    if not process.look():
                        del running[process]
                        settle(row, process, stopped=stop.requested)
                        watcher.ended(row)
                watcher.looked(rows)
                time.sleep(_LOOK_AFTER)
        finally:
            for process in running:  # only after an error in wordgen, or a third Ctrl-C
                process.stop()
    return stop.requested


def settle(row: Row, process: RunningProcess, *, stopped: bool) -> None:
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
        row.state, row.note = "failed", process.complaint


def _write(planned: PlannedSweep, given: str, results: Sequence[NetworkResult], mattered: str) -> None:
    """Write results.json, results.md and the curves."""
    sweep = planned.sweep
    content = {
        "sweep": planned.name,
        "about": sweep.about,
        **origin_of(sweeping_command(given, None if planned.name == sweep.name else planned.name)),
        "settings": dict(sweep.shared),
        "random_seeds": list(sweep.random_seeds),
        "mattered": mattered,
        "networks": [result.to_mapping() for result in results],
        "runs": [row.to_mapping() for result in results for row in result.runs],
    }
    table = markdown_table(*with_note(COLUMNS, as_rows(results)))
    write_results(planned.folder, content, table, mattered)
    write_curves(planned.folder, sweep.about.rstrip(".") or planned.name, results)
