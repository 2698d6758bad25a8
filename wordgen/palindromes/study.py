"""Performs a study: plans its runs, trains those that are missing in parallel processes, and writes the results."""

import json
import os
import queue
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from math import ceil
from pathlib import Path
from typing import Literal, Protocol

from wordgen.corpus.catalogue import SPLITS
from wordgen.errors import BundleError, SettingError, pluralized
from wordgen.files import is_unfinished, make_folder, read_json, write_atomically
from wordgen.palindromes.results import COLUMNS, RunResult, group_runs, load_result, summary_of, write_plots
from wordgen.palindromes.settings import CELLS, LearningSettings, StudyRun, StudySettings, architecture_of
from wordgen.palindromes.worker import Event, Events, Job, Limits, Worker
from wordgen.run.commands import palindromes_command
from wordgen.run.folder import SWEEP_LOCK, sweep_lock
from wordgen.run.names import LOGS, PALINDROMES, STUDY_RUNS
from wordgen.run.settings import as_flag
from wordgen.sweep.planning import runs_at_once
from wordgen.sweep.results import markdown_table, provenance_of, table_lines, write_results
from wordgen.sweep.sweeping import ProgressWatcher
from wordgen.training.checkpoint import Checkpoints
from wordgen.training.memory import Memory, physical_memory
from wordgen.training.settings import TrainingSettings
from wordgen.training.stopping import StopRequest, stop_on_signals
from wordgen.training.typed_json import to_json

_POLL_SECONDS = 0.1
_MAX_SETTINGS_BYTES = 2**16

State = Literal["waiting", "at work", "stopped", "done", "failed"]


@dataclass
class Row:
    """A run and its state in the study."""

    run: StudyRun
    folder: Path
    state: State = "waiting"
    result: RunResult | None = None
    step: int = 0
    accuracy: float | None = None
    """On the validation set, at the last point of the curve."""
    seconds: float = 0.0
    """The training time of its earlier starts."""
    note: str = ""
    first_step: int = 0
    """The first step of this start that was reported, to measure the speed from."""
    first_step_at: float | None = None
    """When it was reported, in seconds of `time.monotonic`. None before that."""

    def end(self, result: RunResult) -> None:
        self.state, self.result = "done", result
        self.step, self.seconds, self.accuracy = result.steps, result.seconds, result.accuracy


def study_rows(settings: StudySettings) -> list[Row]:
    """Return all runs with their state, the shortest palindromes first.

    Raise SettingError if the folder belongs to something else or to a study with other settings, and BundleError if a
    file of the study is damaged.
    """
    _check_same(settings)
    return [
        _row(StudyRun(cell, length, random_seed), settings)
        for length in settings.all_lengths
        for random_seed in settings.all_random_seeds
        for cell in settings.all_cells
    ]


def _row(run: StudyRun, settings: StudySettings) -> Row:
    row = Row(run, settings.folder / STUDY_RUNS / run.name)
    result = load_result(row.folder)
    if result is not None and result.is_over(settings):
        row.end(result)
        return row
    position = Checkpoints(row.folder, lambda sentence: None).newest_position()
    row.step, row.seconds = position.step_in_epoch, position.seconds
    return row


def _check_same(settings: StudySettings) -> None:
    """Check that the study in the folder, if any, has the same settings for network and training."""
    path = settings.folder / PALINDROMES
    try:
        began = LearningSettings.from_mapping(read_json(path, _MAX_SETTINGS_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        if settings.folder.is_dir() and not all(
            _may_remain_of_killed_start(path) for path in settings.folder.iterdir()
        ):
            raise SettingError(f"{settings.folder} is not a study of palindromes: take another --name.") from None
        return
    except (OSError, ValueError, TypeError, AttributeError, SettingError) as error:
        raise BundleError(
            f"{path} cannot be read: it is damaged or from another version of wordgen. Take another --name, or remove "
            f"the folder {settings.folder}."
        ) from error
    for name, value in settings.learning.to_mapping().items():
        if getattr(began, name) != value:
            raise SettingError(
                f"The study {settings.name} began with {as_flag(name, getattr(began, name))}, not "
                f"{as_flag(name, value)}: take another --name."
            )


def _may_remain_of_killed_start(path: Path) -> bool:
    """Return whether a study may have left this file if it was killed before it wrote its settings."""
    return path.name == SWEEP_LOCK or is_unfinished(path)


def needed_memory(settings: StudySettings) -> int:
    """Return the memory that the largest run needs, in bytes."""
    training = TrainingSettings(
        seq_len=settings.all_lengths[-1],
        batch_size=settings.batch_size,
        optimizer=settings.optimizer,
        precision="float32",
        copy_index=False,
    )
    no_text = dict.fromkeys(SPLITS, 0)
    return max(Memory.of(architecture_of(cell, settings), training, no_text).total for cell in settings.all_cells)


def choose_runs_at_once(settings: StudySettings, rows: Sequence[Row], wanted: int | None = None) -> int:
    """Return how many runs to train at the same time: `wanted`, but no more than are waiting.

    For the default, see `wordgen.sweep.planning.runs_at_once`.
    """
    waiting = sum(row.state == "waiting" for row in rows)
    if wanted is not None:
        return max(1, min(wanted, waiting))
    return runs_at_once(waiting, os.cpu_count() or 1, needed_memory(settings))


def budget_left(settings: StudySettings, rows: Sequence[Row], at_once: int) -> float | None:
    """Return the seconds of the time budget that earlier starts have left. None if there is no time budget."""
    if settings.budget is None:
        return None
    return max(0.0, settings.budget - sum(row.seconds for row in rows) / at_once)


def check_memory(settings: StudySettings, at_once: int) -> None:
    """Raise SettingError if the machine has not enough memory for this number of runs at the same time."""
    needed, given = at_once * needed_memory(settings), physical_memory()
    if needed > given:
        raise SettingError(
            f"To train {pluralized(at_once, 'run')} with {settings.all_lengths[-1]:,} digits takes about "
            f"{needed / 2**30:,.0f} GiB, but there are {given / 2**30:,.1f} GiB of memory: take fewer --units, or a "
            "smaller --batch-size or --at-once."
        )


class StudyWatcher(ProgressWatcher[Row], Protocol):
    def warned(self, row: Row, sentence: str) -> None:
        """Something has gone wrong that does not end the run."""


@dataclass(frozen=True)
class StudyEnd:
    results: tuple[RunResult, ...]
    """The results of all runs in the folder, also of earlier commands."""
    summary: str
    """The results in sentences."""
    stopped: bool
    """Whether the user stopped the study."""
    failed: tuple[Row, ...]


def run_study(settings: StudySettings, rows: list[Row], at_once: int, watcher: StudyWatcher) -> StudyEnd:
    """Train the runs that are not done, and write the results, also if the user stops the study."""
    make_folder(settings.folder)
    with sweep_lock(settings.folder):
        if not (settings.folder / PALINDROMES).exists():
            write_atomically(
                settings.folder / PALINDROMES, json.dumps(settings.learning.to_mapping(), indent=1).encode()
            )
        stopped = _Scheduler(settings, rows, at_once, watcher).train()
        results = _all_results(settings.folder)
        summary = summary_of(group_runs(results))
        _write_results(settings, results, summary)
        failed = tuple(row for row in rows if row.state == "failed")
        return StudyEnd(tuple(results), summary, stopped, failed)


def _all_results(folder: Path) -> list[RunResult]:
    """Return the results of all runs in the folder of a study that have ended, in the order of the table."""
    found = [load_result(each) for each in (folder / STUDY_RUNS).glob("*") if each.is_dir()]
    known = [each for each in found if each is not None]
    return sorted(known, key=lambda each: (each.length, CELLS.index(each.cell), each.random_seed))


def job_of(row: Row, settings: StudySettings, seconds: float | None = None) -> Job:
    """Return the job of a run. `seconds` limits its training time, over all its starts."""
    limits = Limits(settings.steps, seconds, settings.time_budget)
    return Job(row.run, settings.learning, str(row.folder), limits)


@dataclass
class _Scheduler:
    """Gives the runs to workers until all are done or the user stops the study."""

    settings: StudySettings
    rows: list[Row]
    at_once: int
    watcher: StudyWatcher
    _events: Events = field(default_factory=queue.SimpleQueue)
    _workers: "dict[Worker, Row | None]" = field(default_factory=dict)
    """The workers, and the run of each. None if it has no run."""

    def __post_init__(self) -> None:
        self._waiting = deque(row for row in self.rows if row.state == "waiting")
        left = budget_left(self.settings, self.rows, self.at_once)
        self._deadline = None if left is None else time.monotonic() + left

    def train(self) -> bool:
        """Train all waiting runs. Return whether the user stopped the study.

        If a run fails, its row gets a note, and the others continue.
        """
        with stop_on_signals(self.watcher.stopping) as stop:
            try:
                while self._workers or (self._waiting and not stop.requested):
                    if stop.requested:
                        self._end_workers(immediately=stop.is_urgent)
                    else:
                        self._assign_runs()
                    self._handle_events(stop)
                    self.watcher.updated(self.rows)
            finally:
                self._end_workers(immediately=True)  # only after an error in wordgen, or a third Ctrl-C
        return stop.requested

    def _end_workers(self, *, immediately: bool) -> None:
        for worker in self._workers:
            worker.request_exit()
            if immediately:
                worker.kill()

    def _assign_runs(self) -> None:
        """Give the waiting runs to workers that have none, and to new ones. Workers that get none may leave."""
        free = [worker for worker, row in self._workers.items() if row is None]
        while (free or len(self._workers) < self.at_once) and (row := self._next_run()) is not None:
            worker = free.pop() if free else self._new_worker()
            row.state, row.note, row.first_step_at = "at work", "", None
            self._workers[worker] = row
            worker.send_job(job_of(row, self.settings, self._seconds_for(row)))
            self.watcher.begun(row)
        for worker in free:
            worker.request_exit()

    def _new_worker(self) -> Worker:
        in_use = {worker.log for worker in self._workers}
        logs = (self.settings.folder / LOGS / f"worker-{number}.log" for number in count(1))
        log = next(path for path in logs if path not in in_use)
        return Worker(log, max(1, (os.cpu_count() or 1) // self.at_once), self._events)

    def _next_run(self) -> Row | None:
        """Take the next waiting run. If the time is up, runs that have not begun are skipped."""
        while self._waiting:
            row = self._waiting.popleft()
            if row.step or self._deadline is None or time.monotonic() < self._deadline:
                return row
            row.state, row.note = "stopped", "no time was left for it"
            self.watcher.ended(row)
        return None

    def _seconds_for(self, row: Row) -> float | None:
        """Return the limit of a run's training time: all waiting runs get equal shares of the time that is left."""
        if self._deadline is None:
            return None
        turns = ceil((1 + len(self._waiting)) / self.at_once)
        return row.seconds + max(0.0, self._deadline - time.monotonic()) / turns

    def _handle_events(self, stop: StopRequest) -> None:
        """Handle all events of the workers. If there are none, wait for a moment."""
        events: list[tuple[Worker, Event]] = []
        with suppress(queue.Empty):
            events.append(self._events.get(timeout=_POLL_SECONDS))
            while True:
                events.append(self._events.get_nowait())
        for worker, event in events:
            row = self._workers[worker]
            if event.kind == "exited":
                del self._workers[worker]
                if row is not None:
                    self._end_without_result(row, "stopped" if stop.requested else "failed", worker.exit_reason)
            elif row is not None:
                self._handle_event(row, event)
                if row.state != "at work":
                    self._workers[worker] = None

    def _handle_event(self, row: Row, event: Event) -> None:
        row.step = row.step if event.step is None else event.step
        match event.kind:
            case "step" if row.first_step_at is None:  # the time before it went into building the graph
                row.first_step, row.first_step_at = row.step, time.monotonic()
            case "point":
                row.accuracy = event.accuracy
            case "warning":
                self.watcher.warned(row, event.sentence)
            case "ended":
                result = load_result(row.folder)
                assert result is not None  # the worker has written it
                row.end(result)
                self.watcher.ended(row)
            case "stopped" | "failed":
                self._end_without_result(row, event.kind, event.sentence)
            case _:
                pass

    def _end_without_result(self, row: Row, state: Literal["stopped", "failed"], note: str) -> None:
        row.state, row.note = state, "" if state == "stopped" else note
        self.watcher.ended(row)


def as_mapping(settings: StudySettings, results: Sequence[RunResult], summary: str) -> dict[str, object]:
    """Return the content of results.json."""
    return {
        "study": "palindromes",
        "name": settings.name,
        "folder": str(settings.folder),
        **provenance_of(palindromes_command(settings)),
        "settings": settings.learning.to_mapping(),
        "summary": summary,
        "averages": [each.to_mapping() for each in group_runs(results)],
        "runs": [{"name": each.run.name, **to_json(each)} for each in results],
    }


def _write_results(settings: StudySettings, results: Sequence[RunResult], summary: str) -> None:
    """Write results.json, results.md and the plots."""
    content = as_mapping(settings, results, summary)
    if not results:
        write_results(settings.folder, content, summary)
        return
    table = markdown_table(*table_lines(COLUMNS, group_runs(results)))
    write_results(settings.folder, content, table, summary)
    write_plots(settings.folder, results)
