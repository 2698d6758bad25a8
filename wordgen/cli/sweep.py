"""`wordgen sweep`: train many networks, each with several random seeds, and report which settings mattered.

The progress is a table that fills on a terminal, and plain lines in other output.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from wordgen.cli.flags import Parser, add_switch, check_number, verb_parser
from wordgen.cli.output import (
    STOPPING_MESSAGE,
    ProgressLines,
    download_progress,
    finished_in_words,
    paragraph,
    print_output,
    print_sanitized,
    render,
    results_table,
    table,
    wrapped,
)
from wordgen.cli.start import limit_threads
from wordgen.errors import EXIT_OK, EXIT_STOPPED, EXIT_WORKER_LOST, pluralized
from wordgen.evaluation.figures import shown_duration, shown_perplexity
from wordgen.run.commands import runs_command, sweeping_command
from wordgen.training.reports import Observer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from wordgen.sweep.planning import PlannedSweep
    from wordgen.sweep.results import Row
    from wordgen.sweep.sweeping import SweepEnd

_LINES_AROUND_TABLE = 7  # lines besides the rows: the head, the text below the table, the prompt of the shell
_STYLES = {"training": "bold", "failed": "red", "diverged": "yellow", "waiting": "dim", "stopped": "yellow"}
_STATES_BY_PRIORITY = ("training", "failed", "diverged", "stopped", "waiting", "done")
"""If the screen has no room for all rows, rows with the first of these states are shown."""


def sweep_parser(prog: str) -> Parser:
    parser = verb_parser(
        prog,
        _run,
        "Train networks that differ in some settings, each with several random seeds. The results are a table, curves "
        "and a summary of which settings mattered. To continue a sweep that was stopped or killed, run the same "
        "command again.",
        "cells",
    )
    help = "the name of a sweep that comes with wordgen, or a file that ends in .toml; by default, list the sweeps"
    parser.add_argument("sweep", nargs="?", metavar="SWEEP", help=help)
    help = "the name of its folder in saved_models/ or in the folder of --models; by default the name of the sweep"
    parser.add_argument("--name", metavar="TEXT", help=help)
    help = "the number of runs to train at the same time; by default one per processor, or fewer if memory is short"
    parser.add_argument("--at-once", type=int, metavar="N", help=help)
    add_switch(parser, "--dry-run", "show what would be trained, and stop")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    check_number("--at-once", arguments.at_once, 1, 64)
    limit_threads(1)  # wordgen measures models with threads of its own, so NumPy needs only one
    from wordgen.sweep.planning import find_sweep, plan_sweep, runs_at_once
    from wordgen.sweep.sweeping import run_sweep
    from wordgen.training.screen import screen

    if arguments.sweep is None:
        return _list()
    sweep = find_sweep(arguments.sweep)
    with download_progress() as report:
        planned = plan_sweep(sweep, arguments.name, [_Downloads(report)])
    cores = os.cpu_count() or 1
    largest = max(run.plan.memory.total for run in planned.runs)
    at_once = arguments.at_once or runs_at_once(len(planned.runs), cores, largest)
    _show_plan(planned, at_once)
    if arguments.dry_run:
        return EXIT_OK
    console = screen()
    shown = LiveTable(console, at_once) if console.is_terminal else PlainLines(console)
    with closing(shown) as watcher:
        end = run_sweep(planned, arguments.sweep, at_once, max(1, cores // at_once), watcher)
    command = sweeping_command(arguments.sweep, arguments.name)
    if end.stopped:
        print_sanitized(f"Stopped. All progress is saved. Continue the sweep:  {command}\n")
        return EXIT_STOPPED
    show_end(planned, end, command)
    return EXIT_WORKER_LOST if end.failed else EXIT_OK


def _list() -> int:
    from wordgen.sweep.planning import find_sweep, sweep_names

    sweeps = [find_sweep(name) for name in sweep_names()]
    width = max(len(sweep.name) for sweep in sweeps)
    for sweep in sweeps:
        runs = len(sweep.networks) * len(sweep.random_seeds)
        print_sanitized(wrapped(f"{sweep.name:<{width}}  {runs:>3} runs  {sweep.about}") + "\n")
    return EXIT_OK


class _Downloads(Observer):
    """Passes the progress of downloads on to a function."""

    def __init__(self, report: Callable[[str, int, int], None]) -> None:
        self._report = report

    def downloading(self, file: str, done: int, total: int) -> None:
        self._report(file, done, total)


def _show_plan(planned: "PlannedSweep", at_once: int) -> None:
    sweep = planned.sweep
    rows: list[tuple[str, ...]] = []
    for network in sweep.networks:
        run = planned.runs_of(network)[0]
        parameters, memory = f"{run.plan.architecture.parameters:,}", f"{run.plan.memory.total / 2**30:.1f} GiB"
        rows.append((network.name, parameters, f"{run.plan.steps_per_epoch:,}", f"{run.settings.epochs:,}", memory))
    heads = ("network", "parameters", "steps per epoch", "maximum epochs", "memory")
    seeds = ", ".join(map(str, sweep.random_seeds))
    runs = f"{len(planned.runs)} runs ({len(sweep.networks)} networks, random seeds {seeds})"
    plan = wrapped(f"{runs}, {at_once} at the same time, in {planned.folder}.")
    about = [wrapped(sweep.about)] if sweep.about else []
    print_output(render([*about, table(heads, rows, left=("network",)), plan]))


class PlainLines(ProgressLines):
    """A watcher that prints a line when a run begins or ends, and the number of finished runs."""

    _finished = 0

    def begun(self, row: "Row") -> None:
        self._print_line(f"{row.run.name} {'continues' if row.figures.valid else 'begins'}.")

    def ended(self, row: "Row") -> None:
        self._print_line(f"{row.run.name}: {_in_words(row)}")

    def updated(self, rows: "Sequence[Row]") -> None:
        finished = _finished(rows)
        if finished > self._finished:
            self._print_line(f"{finished_in_words(finished, len(rows))}.")
        self._finished = finished

    def measuring(self, done: int, runs: int) -> None:
        """Print nothing: this takes seconds."""


class LiveTable:
    """A watcher that shows a table of all runs, or of as many as fit on the screen, and updates it."""

    def __init__(self, console: "Console", at_once: int) -> None:
        from rich.live import Live

        self._console, self._at_once = console, at_once
        self._note = ""
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._live.start()

    def begun(self, row: "Row") -> None:
        """Do nothing: `updated` shows it."""

    def ended(self, row: "Row") -> None:
        """Do nothing: `updated` shows it."""

    def updated(self, rows: "Sequence[Row]") -> None:
        from rich.console import Group

        self._live.update(Group(table_of(rows, self._console.height - _LINES_AROUND_TABLE), self._below(rows)))

    def measuring(self, done: int, runs: int) -> None:
        self._live.update(paragraph(f"Measuring on the test set: {done} of {runs}", "dim"))

    def stopping(self) -> None:
        self._note = STOPPING_MESSAGE

    def close(self) -> None:
        self._live.stop()

    def _below(self, rows: "Sequence[Row]") -> "Text":
        finished = finished_in_words(_finished(rows), len(rows))
        left = seconds_left(rows, self._at_once)
        limit = "" if left is None else f", at most {shown_duration(left)} left"
        return paragraph(self._note or f"{finished}{limit}.", "dim")


def _finished(rows: "Sequence[Row]") -> int:
    return sum(row.state in ("done", "diverged", "failed") for row in rows)


def seconds_left(rows: "Sequence[Row]", at_once: int) -> float | None:
    """Return an upper bound of the seconds that the sweep still takes, or None if it is not known yet.

    It assumes that a waiting run takes as long as the mean of the runs that are done. If no run is done, it takes the
    estimates of the runs at work.
    """
    estimates = [_seconds_left_of(row) for row in rows if row.progress is not None]
    known = [left for left in estimates if left is not None]
    run_times = [row.figures.seconds for row in rows if row.state == "done" and row.figures.seconds]
    run_times = run_times or [
        left + time.monotonic() - row.began for row in rows if (left := _seconds_left_of(row)) is not None
    ]
    waiting = sum(row.state == "waiting" for row in rows)
    if not run_times or (estimates and not known):
        return None
    return (sum(known) + waiting * sum(run_times) / len(run_times)) / at_once


def _seconds_left_of(row: "Row") -> float | None:
    return None if row.progress is None else row.progress.seconds_left


def table_of(rows: "Sequence[Row]", most_rows: int) -> "Table":
    """Return a table with a row for each run, or for `most_rows` of them."""
    first = sorted(rows, key=lambda row: _STATES_BY_PRIORITY.index(row.state))[: max(1, most_rows)]
    chosen = {id(row) for row in first}
    kept = [row for row in rows if id(row) in chosen]
    heads = ("network", "random seed", "state", "epoch", "best validation perplexity", "time left")
    shown = table(heads, map(_cells, kept), left=("network", "state"), styles=[_STYLES.get(row.state) for row in kept])
    for column, head in zip(shown.columns, heads, strict=True):
        column.no_wrap = head != "state"
    return shown


def _cells(row: "Row") -> tuple[str, ...]:
    progress = row.progress
    left = _seconds_left_of(row)
    return (
        row.run.network.name,
        str(row.run.random_seed),
        row.note or row.state,
        f"{progress.epoch}/{progress.epochs}" if progress is not None else str(len(row.figures.valid) or ""),
        "" if row.best is None else shown_perplexity(row.best),
        "" if left is None else shown_duration(left),
    )


def _in_words(row: "Row") -> str:
    if row.state == "done" and row.figures.best is not None:
        return (
            f"validation perplexity {shown_perplexity(row.figures.best)} in "
            f"{pluralized(len(row.figures.valid), 'epoch')} ({shown_duration(row.figures.seconds)})."
        )
    return f"{row.note or row.state}."


def show_end(planned: "PlannedSweep", end: "SweepEnd", command: str) -> None:
    from wordgen.sweep.results import COLUMNS, table_lines

    lost = len(end.failed)
    parts = [
        "",
        results_table(*table_lines(COLUMNS, end.results)),
        "",
        wrapped(end.summary),
        "",
        f"Table, figures and curves: {planned.folder}/results.md, results.json, curves.png",
        f"All runs:  {runs_command('list', planned.name)}",
        f"In TensorBoard:  tensorboard --logdir {planned.folder}",
    ]
    if lost:
        parts.append(f"{lost} run{'s were' if lost > 1 else ' was'} lost. Continue the sweep:  {command}")
    print_output(render(parts))
