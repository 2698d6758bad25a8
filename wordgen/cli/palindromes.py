"""`wordgen palindromes`: compare plain RNN, GRU and LSTM on a task that only needs memory.

The progress is a bar for each run on a terminal, and plain lines in other output.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from wordgen.cli.flags import Parser, add_flags, add_switch, check_number, settings_from, verb_parser
from wordgen.cli.output import (
    STOPPING_MESSAGE,
    ProgressLines,
    finished_in_words,
    print_json,
    print_output,
    print_sanitized,
    render,
    results_table,
    table,
    wrapped,
)
from wordgen.errors import EXIT_OK, EXIT_STOPPED, EXIT_WORKER_LOST, pluralized
from wordgen.evaluation.figures import shown_duration
from wordgen.palindromes.settings import (
    ComparisonSettings,
    LearningSettings,
    StudySettings,
    architecture_of,
    trainable_parameters,
)
from wordgen.run.commands import palindromes_command

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import TaskID

    from wordgen.palindromes.study import Row, StudyEnd

_SECONDS_BETWEEN_LINES = 10


def palindromes_parser(prog: str) -> Parser:
    parser = verb_parser(
        prog,
        _run,
        "Train plain RNN, GRU and LSTM to predict the last digit of a palindrome, which is also the first one. Write a "
        "table, and plots of accuracy, loss and the gradient at each time step. The same command continues a study "
        "that was stopped or killed; lengths, cells, random seeds and steps may be added.",
        "--lengths 10 50 100 --cells lstm rnn --time-budget 20m",
    )
    add_flags(parser, ComparisonSettings, "what is compared")
    add_flags(parser, LearningSettings, "the network and its training")
    help = "the number of runs that train at the same time; by default one per processor, if there is enough memory"
    parser.add_argument("--at-once", type=int, metavar="N", help=help)
    add_switch(parser, "--dry-run", "show what would be trained, and leave")
    add_switch(parser, "--json", "print the results as one JSON object, and the progress to standard error")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    settings = settings_from(StudySettings, arguments)
    check_number("--at-once", arguments.at_once, 1, 64)

    from wordgen.palindromes.study import as_mapping, check_memory, choose_runs_at_once, run_study, study_rows
    from wordgen.training.screen import screen

    rows = study_rows(settings)
    at_once = choose_runs_at_once(settings, rows, arguments.at_once)
    check_memory(settings, at_once)
    if arguments.dry_run or not arguments.json:
        _show_plan(settings, rows, at_once)
    if arguments.dry_run:
        return EXIT_OK
    console = screen(sys.stderr if arguments.json else sys.stdout)
    left = TimeLeft(settings, rows, at_once)
    shown = ProgressBars(console, left, settings.steps) if console.is_terminal else PlainLines(console, left)
    with closing(shown) as watcher:
        end = run_study(settings, rows, at_once, watcher)
    if arguments.json:
        print_json({**as_mapping(settings, end.results, end.summary), "stopped": end.stopped})
    elif end.stopped:
        print_output(render(["", *_results(end)]))
        print_sanitized(f"Stopped. All progress is saved. Continue the study:  {palindromes_command(settings)}\n")
    else:
        show_end(settings, end)
    if end.stopped:
        return EXIT_STOPPED
    return EXIT_WORKER_LOST if end.failed else EXIT_OK


def _show_plan(settings: StudySettings, rows: "Sequence[Row]", at_once: int) -> None:
    cells = [(cell, f"{settings.units:,}", f"{trainable_parameters(cell, settings):,}") for cell in settings.all_cells]
    done = sum(row.state == "done" for row in rows)
    of_them = f" ({done} already done)" if done else ""
    lengths, seeds = (" ".join(map(str, each)) for each in (settings.all_lengths, settings.all_random_seeds))
    runs = f"{pluralized(len(rows), 'run')}{of_them}, {at_once} at once, in {settings.folder}"
    plan = f"Palindromes of {lengths} digits, random seeds {seeds}: {runs}."
    steps = f"Each run trains for at most {pluralized(settings.steps, 'step')}."
    print_output(render([table(("cell", "units", "parameters"), cells, left=("cell",)), wrapped(plan), wrapped(steps)]))


class TimeLeft:
    """Estimates an upper bound of the time that a study still takes, from the speed of its runs.

    The time of a step is assumed to grow with the number of multiplications: those of the recurrent layer, once for
    each digit.
    """

    def __init__(self, settings: StudySettings, rows: "Sequence[Row]", at_once: int) -> None:
        from wordgen.palindromes.study import budget_left

        self._settings, self._at_once = settings, at_once
        self._budget = budget_left(settings, rows, at_once)
        self._weights = {cell: architecture_of(cell, settings).recurrent_parameters for cell in settings.all_cells}
        self._began = time.monotonic()

    def seconds(self, rows: "Sequence[Row]") -> float | None:
        """Return the seconds that are left at most, or None if the speed of no run is known yet."""
        now = time.monotonic()
        speeds = [self._speed(row, now) for row in rows]
        known = [speed for speed in speeds if speed is not None]
        if not known:
            return None
        mean = sum(seconds for seconds, _ in known), sum(work for _, work in known)
        left = 0.0
        for row, speed in zip(rows, speeds, strict=True):
            if row.state in ("waiting", "at work"):
                seconds, work = speed or mean
                left += max(0, self._settings.steps - row.step) * self._work(row) * seconds / work / self._at_once
        return left if self._budget is None else min(left, max(0.0, self._budget - (now - self._began)))

    def _speed(self, row: "Row", now: float) -> tuple[float, float] | None:
        """Return the seconds that a run has trained for, and the work that it did. None if this is not known."""
        if row.state == "done" and row.seconds > 0 and row.step:
            return row.seconds, row.step * self._work(row)
        if row.state == "at work" and row.first_step_at is not None and row.step > row.first_step:
            return now - row.first_step_at, (row.step - row.first_step) * self._work(row)
        return None

    def _work(self, row: "Row") -> float:
        """Return the number of multiplications in a step of one palindrome."""
        return row.run.length * self._weights[row.run.cell]


class PlainLines(ProgressLines):
    """A watcher that prints a line when a run begins or ends, and how far the study is from time to time."""

    def __init__(self, console: "Console", estimate: TimeLeft) -> None:
        super().__init__(console)
        self._estimate = estimate
        self._last_line_at = time.monotonic()

    def begun(self, row: "Row") -> None:
        self._print_line(f"{row.run.name} {'continues' if row.step else 'begins'}.")

    def ended(self, row: "Row") -> None:
        self._print_line(f"{row.run.name}: {in_words(row)}.")

    def updated(self, rows: "Sequence[Row]") -> None:
        if time.monotonic() - self._last_line_at > _SECONDS_BETWEEN_LINES:
            self._print_line(f"{_how_far(rows)}{_shown_time_left(self._estimate.seconds(rows))}.")

    def warned(self, row: "Row", sentence: str) -> None:
        self._print_line(f"Warning: {row.run.name}: {sentence}")

    def _print_line(self, sentence: str) -> None:
        self._last_line_at = time.monotonic()
        super()._print_line(sentence)


class ProgressBars:
    """A watcher that shows a bar for each run at work, and one for all runs."""

    def __init__(self, console: "Console", estimate: TimeLeft, steps: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

        from wordgen.training.screen import Bar

        self._console, self._estimate, self._steps = console, estimate, steps
        shown = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
        self._bar = Bar(*shown, console=console, transient=True)
        self._all = self._bar.add_task("runs", total=None, note="")
        self._tasks: dict[str, TaskID] = {}
        self._note = ""
        self._bar.start()

    def begun(self, row: "Row") -> None:
        from rich.markup import escape

        steps = max(self._steps, row.step)
        self._tasks[row.run.name] = self._bar.add_task(escape(row.run.name), total=steps, note="")

    def ended(self, row: "Row") -> None:
        task = self._tasks.pop(row.run.name, None)
        if task is not None:
            self._bar.remove_task(task)
        if row.state != "stopped" or row.note:
            self._print_line(f"{row.run.name}: {in_words(row)}.")

    def updated(self, rows: "Sequence[Row]") -> None:
        from wordgen.palindromes.results import shown_share

        for row in rows:
            task = self._tasks.get(row.run.name)
            if task is not None:
                state = "starting" if row.first_step_at is None else "steps"
                right = "" if row.accuracy is None else f", {shown_share(row.accuracy)}% right"
                self._bar.update(task, completed=row.step, note=f"{state}{right}")
        note = self._note or f"finished{_shown_time_left(self._estimate.seconds(rows))}"
        self._bar.update(self._all, completed=_finished(rows), total=len(rows), note=note)

    def warned(self, row: "Row", sentence: str) -> None:
        self._print_line(f"Warning: {row.run.name}: {sentence}")

    def stopping(self) -> None:
        self._note = STOPPING_MESSAGE

    def close(self) -> None:
        self._bar.stop()

    def _print_line(self, sentence: str) -> None:
        self._console.print(sentence, markup=False, highlight=False)


def in_words(row: "Row") -> str:
    """Return how a run ended."""
    from wordgen.palindromes.results import shown_share

    if row.state == "done" and row.result is not None:
        return (
            f"{shown_share(row.result.accuracy)}% right after {pluralized(row.result.steps, 'step')} "
            f"({row.result.ended}, {shown_duration(row.result.seconds)})"
        )
    return row.note or row.state


def _how_far(rows: "Sequence[Row]") -> str:
    finished = finished_in_words(_finished(rows), len(rows))
    at_work = [f"{row.run.name} is at step {row.step:,}" for row in rows if row.state == "at work"]
    return "; ".join([finished, *at_work])


def _finished(rows: "Sequence[Row]") -> int:
    return sum(row.state in ("done", "failed", "stopped") for row in rows)


def _shown_time_left(seconds: float | None) -> str:
    return "" if seconds is None else f", at most {shown_duration(seconds)} left"


def show_end(settings: StudySettings, end: "StudyEnd") -> None:
    from wordgen.palindromes.results import ACCURACY, name_of_length

    parts: list[RenderableType] = ["", *_results(end), "", wrapped(end.summary), ""]
    if end.results:
        lengths = sorted({result.length for result in end.results})
        plots = ", ".join(f"{name}.png" for name in (ACCURACY, *map(name_of_length, lengths)))
        parts.append(wrapped(f"Table, figures and plots in {settings.folder}: results.md, results.json, {plots}"))
    if end.failed:
        first = f"{end.failed[0].run.name}: {end.failed[0].note}"
        parts.append(f"{pluralized(len(end.failed), 'run')} failed ({first}).")
        parts.append(f"Continue the study:  {palindromes_command(settings)}")
    print_output(render(parts))


def _results(end: "StudyEnd") -> "list[RenderableType]":
    from wordgen.palindromes.results import COLUMNS, group_runs
    from wordgen.sweep.results import table_lines

    return [results_table(*table_lines(COLUMNS, group_runs(end.results)))] if end.results else []
