"""What `wordgen runs compare` shows: a column for each run."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from wordgen.cli.runs_screen import UNKNOWN_FIGURE, perplexity
from wordgen.commands import evaluating_command
from wordgen.evaluation.in_words import OFF
from wordgen.files import shown_size
from wordgen.page import figures
from wordgen.saved.comparing import Comparison, Figure
from wordgen.settings import flag_name
from wordgen.training.reports import shown_duration

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text


def side_by_side(comparison: Comparison) -> "Iterator[RenderableType]":
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table("", box=None, padding=(0, 2, 0, 0))
    for run in comparison.runs:
        table.add_column(Text(run.name), overflow="fold")
    for name, values in comparison.settings.items():
        table.add_row(flag_name(name), *(Text(figures.value(value)) for value in values))
    if comparison.settings:
        table.add_row()
    for figure in comparison.figures:
        if any(value is not None for value in figure.values):
            table.add_row(f"{figure.part} {figure.measure}", *_cells(figure))
    for name, values in _beside(comparison):
        table.add_row(name, *values)
    yield Text("Side by side", "bold")
    yield Padding(table, (1, 0))
    yield Text(_what_can_be_compared(comparison))
    if any(off is not None for figure in comparison.figures for off in figure.off):
        yield Text(OFF)
    yield from (Text(sentence) for sentence in _no_difference(comparison))
    if comparison.unmeasured and comparison.ground != "nothing":
        yield f"Measure the test part, too:  {evaluating_command(comparison.unmeasured[0].called)}"


def _cells(figure: Figure) -> "Iterator[Text]":
    from rich.text import Text

    word = "better" if len(figure.values) == 2 else "best"
    for at, value in enumerate(figure.values):
        off = figure.off[at]
        shown = perplexity(value, off) if figure.measure == "perplexity" else _bits(value, off)
        yield Text(f"{shown}  {word}", "bold") if at in figure.better else Text(shown)


def _bits(value: float | None, off: float | None) -> str:
    return UNKNOWN_FIGURE if value is None else figures.bits(value, off)


def _no_difference(comparison: Comparison) -> Iterator[str]:
    """What looks better, but may be chance."""
    for figure in comparison.figures:
        if figure.no_difference:
            names = [comparison.runs[at].name for at in sorted(figure.no_difference)]
            which = f"{', '.join(names[:-1])} and {names[-1]}"
            yield f"In {figure.part} {figure.measure} {which} show no difference beyond chance (95% certainty)."


def _beside(comparison: Comparison) -> Iterator[tuple[str, Sequence[str]]]:
    """What it took."""
    runs = comparison.runs
    facts = [run.facts for run in runs if run.facts is not None]
    yield "epochs", [f"{run.epochs}" + (f", best {run.best_epoch}" if run.best_epoch else "") for run in runs]
    yield "time", [shown_duration(each.seconds) for each in facts]
    yield "parameters", [f"{each.architecture.parameters:,}" for each in facts]
    yield "size", [shown_size(run.bytes) for run in runs]


def _what_can_be_compared(comparison: Comparison) -> str:
    if comparison.ground == "symbols":
        return "All have learned the same symbols of the same text, so all can be compared. Less is better."
    if comparison.ground == "text":
        unknown = ", ".join(
            f"{run.name} {share:.1%}" for run, share in zip(comparison.runs, comparison.unknown_shares, strict=True)
        )
        return (
            "They cut the text into different symbols, so their perplexities cannot be compared. Bits per character "
            f"can, as long as little is UNKNOWN (in the valid part: {unknown}). Less is better."
        )
    return (
        "They have learned different texts, so these figures cannot be compared. What can be compared are the bits per "
        f"character on one text: {evaluating_command(comparison.runs[0].called)} --split text.txt, and so for each."
    )
