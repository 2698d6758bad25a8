"""What `wordgen runs` shows: the table of all runs, and one of them from top to bottom."""

import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wordgen.cli.output import screen_width
from wordgen.commands import (
    TRY,
    commands_about,
    comparing_command,
    listing_command,
    removing_command,
    showing_command,
    writing_command,
)
from wordgen.files import shown_size
from wordgen.page import figures
from wordgen.page.curves import thinned
from wordgen.run_names import SAVED_MODELS
from wordgen.saved.listing import SavedRun, size_of
from wordgen.saved.sweeps import SavedSweep
from wordgen.settings import flag_name
from wordgen.training.reports import shown_duration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from wordgen.page.facts import Facts, Score

UNKNOWN_FIGURE = "\N{EN DASH}"
_COLUMNS = {
    "name": 10, "corpus": 7, "network": 8, "epochs": 7, "valid": 5, "test": 5, "size": 8, "age": 3, "status": 8,
}  # fmt: skip
_SWEEP_COLUMNS = {"sweep": 10, "corpus": 7, "runs": 4, "best": 10, "valid": 5, "size": 8, "age": 3, "status": 8}
"""How narrow each may become on a narrow screen."""
_FIGURES = ("runs", "valid", "test", "size")
_WIDE = 100
_LEVELS = "▁▂▃▄▅▆▇█"
_MOST_LEVELS = 60
_AGES = ((365, "year"), (30, "month"), (7, "week"), (1, "day"))
_DAY = 86_400


def listed(runs: Sequence[SavedRun], sweeps: Sequence[SavedSweep] = ()) -> "Iterator[RenderableType]":
    """All runs in a table; those of sweeps are a row for each sweep beneath it."""
    if not runs and not sweeps:
        yield f"There are no runs in {SAVED_MODELS} here. Train one:  {TRY} train --corpus lotr"
        return
    if runs:
        yield _table(_COLUMNS, (tuple(_row(run)) for run in runs))
        yield ""
        told = "Valid and test are perplexities, in brackets is the best epoch."
        yield f"{figures.many(len(runs), 'run')}, {shown_size(sum(run.bytes for run in runs))}. {told}"
        yield f"Look into one:  {showing_command(runs[0].name)}"
        if len(runs) > 1:
            yield f"Side by side:  {comparing_command(run.name for run in runs[:2])}"
    if runs and sweeps:
        yield ""
    if sweeps:
        yield _table(_SWEEP_COLUMNS, (tuple(_sweep_row(sweep)) for sweep in sweeps))
        yield ""
        yield f"{figures.many(len(sweeps), 'sweep')}, {shown_size(sum(sweep.bytes for sweep in sweeps))}."
        yield f"The runs of one:  {listing_command(sweeps[0].name)}"


def listed_of(sweep: SavedSweep, runs: Sequence[SavedRun]) -> "Iterator[RenderableType]":
    """The runs of one sweep, in the order that was asked for."""
    yield from listed(runs)
    if sweep.table is not None:
        yield f"What came out:  {sweep.table}"


def _table(columns: Mapping[str, int], rows: Iterable[Sequence[str]]) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    wide = screen_width() >= _WIDE
    table = Table(box=None, padding=(0, 2 if wide else 1, 0, 0), pad_edge=False)
    for number, (name, narrowest) in enumerate(columns.items()):
        figure = name in _FIGURES
        table.add_column(
            name,
            min_width=narrowest,
            no_wrap=figure or name == "age" or (wide and number == 0),
            justify="right" if figure else "left",
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _row(run: SavedRun) -> Iterator[str]:
    yield run.name
    yield run.corpus or UNKNOWN_FIGURE
    yield run.network or UNKNOWN_FIGURE
    yield _epochs(run)
    yield perplexity(run.score("valid").perplexity)
    yield perplexity(run.score("test").perplexity)
    yield shown_size(run.bytes)
    yield shown_age(time.time() - run.saved_at)
    yield _in_short(run)


def _sweep_row(sweep: SavedSweep) -> Iterator[str]:
    best = sweep.best
    yield sweep.name
    yield ", ".join(sweep.corpora) or UNKNOWN_FIGURE
    yield f"{len(sweep.runs)}"
    yield UNKNOWN_FIGURE if best is None else best.folder.name
    yield UNKNOWN_FIGURE if best is None else perplexity(best.score("valid").perplexity)
    yield shown_size(sweep.bytes)
    yield shown_age(time.time() - sweep.saved_at)
    yield sweep.status


def _epochs(run: SavedRun) -> str:
    if run.epochs is None:
        return UNKNOWN_FIGURE
    return f"{run.epochs}" if run.best_epoch is None else f"{run.epochs} ({run.best_epoch})"


def perplexity(value: float | None, off: float | None = None) -> str:
    return UNKNOWN_FIGURE if value is None else figures.perplexity(value, off)


def _status(run: SavedRun) -> str:
    return f"{run.status}, {run.note}" if run.note else run.status


def _in_short(run: SavedRun) -> str:
    """What one would do something about."""
    if run.can_be_resumed:
        return run.note
    return _status(run) if run.status == "broken" else run.status


def shown_age(seconds: float) -> str:
    """As one says it."""
    days = int(seconds // _DAY)
    if days == 1:
        return "yesterday"
    for length, name in _AGES:
        if days >= length:
            return figures.many(days // length, name)
    if seconds < 60:
        return "just now"
    return figures.many(int(seconds // 3600), "hour") if seconds >= 3600 else f"{int(seconds // 60)} min"


def about(run: SavedRun) -> "Iterator[RenderableType]":
    from rich.padding import Padding
    from rich.text import Text

    yield Text(f"{run.name}: {_status(run)}", "bold")
    yield Padding(_two_columns(_figures(run)), (0, 0, 1, 0))
    if run.facts is not None:
        yield Text("What is not as by default", "bold")
        yield Padding(_two_columns(_settings(run.facts)), (0, 0, 1, 0))
        if run.facts.epochs:
            yield Text("Perplexity, epoch by epoch", "bold")
            yield Padding(_two_columns(_curves(run.facts)), (0, 0, 1, 0))
    yield Text("Files", "bold")
    yield Padding(_two_columns(_files(run)), (0, 0, 1, 0))
    for told, command in _commands(run):
        yield Text(told)
        yield f"  {command}"


def as_mapping(run: SavedRun) -> dict[str, Any]:
    """For programs: the row of the list and what stands beneath it."""
    facts = run.facts
    return {
        **run.to_mapping(),
        "settings": None
        if facts is None
        else {each.name: getattr(facts.settings, each.name) for each in facts.settings.chosen()},
        "curves": None if facts is None else [[epoch.number, epoch.train, epoch.valid] for epoch in facts.epochs],
        "files": dict(_sizes(run)),
        "commands": dict(_commands(run)),
    }


def _two_columns(rows: Iterator[tuple[str, str]]) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    for name, told in rows:
        table.add_row(Text(name), Text(told))
    return table


def _figures(run: SavedRun) -> Iterator[tuple[str, str]]:
    facts = run.facts
    yield "corpus", run.corpus or UNKNOWN_FIGURE
    if run.network is not None and run.architecture is not None:
        yield "network", f"{run.network}, {figures.many(run.architecture.parameters, 'parameter')}"
    if facts is not None and facts.head_start is not None:
        yield "began from", facts.head_start.describe()
    if facts is not None:
        of = f" of at most {facts.settings.epochs}" if facts.settings.time_budget is None else ""
        best = "" if run.best_epoch is None else f", the best was epoch {run.best_epoch}"
        yield "epochs", f"{len(facts.epochs)}{of}{best}, {shown_duration(facts.seconds)}"
        for part in ("valid", "test"):
            if run.score(part).perplexity is not None:
                yield part, _told(run.score(part))
        if facts.ngram is not None:
            yield f"{facts.ngram[0]}-gram", f"perplexity {figures.perplexity(facts.ngram[1])} on the valid part"
        if facts.word_frequencies is not None:
            yield "frequencies", f"perplexity {figures.perplexity(facts.word_frequencies)} on the valid part"
    yield "size", shown_size(run.bytes)
    yield "age", shown_age(time.time() - run.saved_at)


def _told(score: "Score") -> str:
    bits = "" if score.bits_per_character is None else f", {figures.bits(score.bits_per_character)} bits per character"
    return f"perplexity {figures.perplexity(score.perplexity)}{bits}"


def _settings(facts: "Facts") -> Iterator[tuple[str, str]]:
    for each in facts.settings.chosen():
        yield flag_name(each.name), figures.value(getattr(facts.settings, each.name))


def _curves(facts: "Facts") -> Iterator[tuple[str, str]]:
    shown = thinned(facts.epochs, _MOST_LEVELS, facts.best)
    every = [value for epoch in shown for value in (epoch.train, epoch.valid)]
    for name, values in (("train", [each.train for each in shown]), ("valid", [each.valid for each in shown])):
        yield name, f"{sparkline(values, every)}  {figures.perplexity(values[0])} to {figures.perplexity(values[-1])}"
    if facts.best is not None:
        yield "", f"the best: {figures.perplexity(facts.best.valid)} in epoch {facts.best.number}"


def sparkline(values: Sequence[float], every: Sequence[float]) -> str:
    """A bar for each value, by its logarithm between the least and the greatest of all; digits on a poor screen."""
    known = [math.log(value) for value in every if 0 < value < math.inf]
    least, room = min(known, default=0.0), (max(known, default=0.0) - min(known, default=0.0)) or 1.0
    levels = _LEVELS if _can_be_shown(_LEVELS) else "12345678"
    return "".join(levels[_level(value, least, room)] for value in values)


def _level(value: float, least: float, room: float) -> int:
    if not 0 < value < math.inf:
        return len(_LEVELS) - 1
    return round((math.log(value) - least) / room * (len(_LEVELS) - 1))


def _can_be_shown(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _files(run: SavedRun) -> Iterator[tuple[str, str]]:
    for name, size in _sizes(run):
        yield name, shown_size(size)


def _sizes(run: SavedRun) -> Iterator[tuple[str, int]]:
    """Of what lies in its folder; folders with all that is in them."""
    for path in sorted(run.folder.iterdir()):
        yield f"{path.name}/" if path.is_dir() else path.name, size_of(path)


def _commands(run: SavedRun) -> Iterator[tuple[str, str]]:
    if run.facts is not None:
        seed = run.facts.report.get("word_to_try")
        yield from commands_about(
            run.called,
            run.facts.settings,
            seed,
            can_be_resumed=run.can_be_resumed,
            has_model=run.has_model,
            evaluation=run.facts.evaluation,
        )
    elif run.has_model:
        yield "To write with it", writing_command(run.called)
    if run.status == "broken":
        yield "To remove it", removing_command(run.name)
