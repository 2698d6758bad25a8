"""What stays at the bottom of a terminal while a network learns, and is drawn again and again."""

import math
from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from wordgen.evaluation.in_words import shown_perplexity
from wordgen.training.reports import shown_duration
from wordgen.training.standing import Standing

_STEPS = "▁▂▃▄▅▆▇█"
_MOST_IN_SPARKLINE = 24
_SAMPLE_LINES = 4
_ROOM_FOR_BARS = 50
"""On fewer columns words alone are shown."""


class LiveDisplay:
    """Two bars, how well it goes, and what the model writes by now."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        standing = self._standing
        if options.max_width < _ROOM_FOR_BARS:
            yield Text(standing.place)
        else:
            yield self._bars()
        plain = options.ascii_only or options.legacy_windows
        yield Text(("  " if plain else " · ").join(self._facts(plain=plain)))
        if standing.sample is not None:
            yield from self._sample(console, options)
        yield Text("")  # here the cursor waits: what Ctrl-C writes pushes none of the lines above up

    def _bars(self) -> Table:
        standing = self._standing
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        table.add_column(no_wrap=True, justify="right")
        table.expand = True
        of_epoch = ProgressBar(total=1, completed=standing.share_of_epoch)
        table.add_row(f"epoch {standing.epoch}/{standing.epochs}", of_epoch, standing.place_in_epoch)
        share = standing.step / max(1, standing.last_step)
        table.add_row("run", ProgressBar(total=standing.last_step, completed=standing.step), f"{share:.0%}")
        return table

    def _facts(self, *, plain: bool) -> Iterator[str]:
        standing = self._standing
        if standing.words:
            yield standing.words
        if standing.seconds_left is not None:
            yield f"{shown_duration(standing.seconds_left)} left at most"
        if standing.best is not None:
            yield f"best valid {shown_perplexity(standing.best.valid_perplexity)} (epoch {standing.best.epoch})"
        if len(standing.done) > 1 and not plain:
            yield sparkline([epoch.valid_perplexity for epoch in standing.done][-_MOST_IN_SPARKLINE:])

    def _sample(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Its first lines: what stands below the screen could not be drawn anew."""
        assert self._standing.sample is not None
        text = Text(self._standing.sample.text, style="italic dim")
        lines = text.wrap(console, max(1, options.max_width - 4))[:_SAMPLE_LINES]
        yield Padding(Text("\n").join(lines), (0, 2))


def sparkline(values: Sequence[float]) -> str:
    """Small bars, the highest for the largest value; by logarithms, for perplexities fall by factors."""
    heights = [math.log(value) for value in values]
    low, high = min(heights), max(heights)
    room = (high - low) or 1.0
    return "".join(_STEPS[round((height - low) / room * (len(_STEPS) - 1))] for height in heights)
