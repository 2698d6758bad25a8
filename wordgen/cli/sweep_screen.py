"""What one sees of a sweep: a table that fills while it goes, plain lines where the output is no terminal, the end."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from wordgen.cli.output import on_screen, put, show, wrapped
from wordgen.commands import listing_command
from wordgen.evaluation.in_words import shown_perplexity
from wordgen.lab.planning import PlannedSweep
from wordgen.lab.sweeping import SweepEnd
from wordgen.lab.tables import COLUMNS, as_rows
from wordgen.lab.working import Row, SweepWatcher
from wordgen.training.reports import Observer, shown_duration
from wordgen.training.screen import screen

_SHOWN_AROUND = 7  # lines that a table has besides its rows, and the prompt
_STYLES = {"at work": "bold", "failed": "red", "diverged": "yellow", "waiting": "dim", "stopped": "yellow"}
_ORDER = ("at work", "failed", "diverged", "stopped", "waiting", "done")
"""Where not all rows fit, these come first."""
_SETTLED = ("done", "diverged", "failed")


class Fetched(Observer):
    """Passes on how a text is fetched."""

    def __init__(self, told: Callable[[str, int, int], None]) -> None:
        self._told = told

    def downloading(self, file: str, done: int, total: int) -> None:
        self._told(file, done, total)


def show_plan(planned: PlannedSweep, at_once: int) -> None:
    sweep = planned.sweep
    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("network", "parameters", "steps an epoch", "epochs at most", "memory"):
        table.add_column(head, justify="left" if head == "network" else "right")
    for network in sweep.networks:
        run = planned.of(network)[0]
        plan = run.plan
        parameters, memory = f"{plan.architecture.parameters:,}", f"{plan.memory.all / 2**30:.1f} GiB"
        table.add_row(escape(network.name), parameters, f"{plan.steps_per_epoch:,}", f"{run.settings.epochs:,}", memory)
    seeds = ", ".join(map(str, sweep.random_seeds))
    many = f"{len(planned.runs)} runs ({len(sweep.networks)} networks, random seeds {seeds})"
    put(
        on_screen(
            [
                *([wrapped(sweep.about)] if sweep.about else []),
                table,
                wrapped(f"{many}, {at_once} at once, in {planned.folder}."),
            ]
        )
    )


@contextmanager
def screen_for(planned: PlannedSweep, at_once: int) -> Iterator[SweepWatcher]:
    """As it suits standard output."""
    console = screen()
    if not console.is_terminal:
        yield PlainLines(console, len(planned.runs))
        return
    filling = FillingTable(console, at_once)
    try:
        yield filling
    finally:
        filling.close()


class PlainLines(SweepWatcher):
    """A line for each run that begins and each that ends."""

    def __init__(self, console: Console, runs: int) -> None:
        self._console, self._runs = console, runs
        self._settled = 0

    def begun(self, row: Row) -> None:
        self._say(f"{row.run.name} {'goes on' if row.found.valid else 'begins'}.")

    def ended(self, row: Row) -> None:
        self._say(f"{row.run.name}: {_in_words(row)}")

    def looked(self, rows: Sequence[Row]) -> None:
        settled = sum(row.state in _SETTLED for row in rows)
        if settled > self._settled:
            self._say(f"{settled} of {self._runs} runs are over.")
        self._settled = settled

    def stopping(self) -> None:
        self._say(_STOPPING)

    def _say(self, sentence: str) -> None:
        self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)


_STOPPING = "Stopping after these steps ... (Ctrl-C again: at once)"


class FillingTable(SweepWatcher):
    """All runs, or as many as the screen has room for."""

    def __init__(self, console: Console, at_once: int) -> None:
        self._console, self._at_once = console, at_once
        self._began = time.monotonic()
        self._note = ""
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._live.start()

    def looked(self, rows: Sequence[Row]) -> None:
        self._live.update(Group(table_of(rows, self._console.height - _SHOWN_AROUND), self._below(rows)))

    def measuring(self, done: int, runs: int) -> None:
        self._live.update(Text(f"Measuring on the test part: {done} of {runs}", style="dim"))

    def stopping(self) -> None:
        self._note = _STOPPING

    def close(self) -> None:
        self._live.stop()

    def _below(self, rows: Sequence[Row]) -> Text:
        settled = sum(row.state in _SETTLED for row in rows)
        left = seconds_left(rows, self._at_once)
        told = "" if left is None else f", {shown_duration(left)} left at most"
        return Text(
            self._note or f"{settled} of {len(rows)} runs {'is' if settled == 1 else 'are'} over{told}.", style="dim"
        )


def seconds_left(rows: Sequence[Row], at_once: int) -> float | None:
    """At most, if what waits takes as long as what was done, or is being done."""
    own = [row.progress.seconds_left for row in rows if row.progress is not None]
    working = [left for left in own if left is not None]
    whole = [row.found.seconds for row in rows if row.state == "done" and row.found.seconds]
    whole = whole or [left + time.monotonic() - row.began for row in rows if (left := _left(row)) is not None]
    waiting = sum(row.state == "waiting" for row in rows)
    if not whole or (own and not working):
        return None
    return (sum(working) + waiting * sum(whole) / len(whole)) / at_once


def _left(row: Row) -> float | None:
    return None if row.progress is None else row.progress.seconds_left


def table_of(rows: Sequence[Row], room: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("network", "random seed", "state", "epoch", "best valid perplexity", "time left"):
        table.add_column(head, justify="left" if head in ("network", "state") else "right", no_wrap=head != "state")
    first = sorted(rows, key=lambda row: _ORDER.index(row.state))[: max(1, room)]
    chosen = {id(row) for row in first}
    for row in rows:
        if id(row) in chosen:
            table.add_row(*_cells(row), style=_STYLES.get(row.state))
    return table


def _cells(row: Row) -> tuple[str, ...]:
    progress = row.progress
    left = _left(row)
    epoch = f"{progress.epoch}/{progress.epochs}" if progress is not None else str(len(row.found.valid) or "")
    return (
        escape(row.run.network.name),
        str(row.run.random_seed),
        escape(row.note or row.state),
        epoch,
        "" if row.best is None else shown_perplexity(row.best),
        "" if left is None else shown_duration(left),
    )


def _in_words(row: Row) -> str:
    if row.state == "done" and row.found.best is not None:
        epochs = len(row.found.valid)
        return (
            f"valid perplexity {shown_perplexity(row.found.best)} in {epochs} epoch{'s' if epochs > 1 else ''} "
            f"({shown_duration(row.found.seconds)})."
        )
    return f"{row.note or row.state}."


def show_end(planned: PlannedSweep, end: SweepEnd, command: str) -> None:
    rows = as_rows(end.results)
    noted = any(row[-1] for row in rows)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in (*COLUMNS, *(("note",) if noted else ())):
        table.add_column(head, justify="left" if head in ("network", "note") else "right")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row[: len(table.columns)]))
    lost = len(end.failed)
    parts = [
        "",
        table,
        "",
        wrapped(end.mattered),
        "",
        f"Table, figures and curves: {planned.folder}/results.md, results.json, curves.png",
    ]
    parts.append(f"All runs:  {listing_command(planned.name)}")
    parts.append(f"In TensorBoard:  tensorboard --logdir {planned.folder}")
    if lost:
        parts.append(f"{lost} run{'s were' if lost > 1 else ' was'} lost on the way. Go on with it:  {command}")
    put(on_screen(parts))


def show_stopped(command: str) -> None:
    show(f"Stopped; what was learned is kept. Go on with it:  {command}\n")
