"""What is drawn with rich: the console, progress bars, and the status of a training in a terminal or a notebook."""

import io
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from html import escape as escape_html
from typing import Any, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markup import escape
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from wordgen.errors import replace_controls
from wordgen.evaluation.figures import shown_duration, shown_perplexity, sparkline
from wordgen.training.reports import EpochReport, SampleReport, StepReport, TrainingStart, best_of, in_order


class Screen(Console):
    """A console that replaces control characters in the text it prints. Those that rich itself adds are kept."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(replace_controls(segment.text), segment.style)


def screen(stream: TextIO | None = None) -> Screen:
    """Return a console that writes to a stream, by default standard output, and ignores errors of the stream."""
    stream = sys.stdout if stream is None else stream
    # The stream is None if it was closed when Python started. Then rich prints nothing.
    return Screen(file=stream and cast(TextIO, _WithoutErrors(stream)), highlight=False, emoji=False)


def hide_native_messages() -> None:
    """Hide what TensorFlow's native code writes to standard error. What Python writes to it is still shown.

    With several workers, the native code writes long messages about the connections between them. If the user has set
    TF_CPP_MIN_LOG_LEVEL, this function does nothing.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    sys.stderr.flush()
    descriptor = os.dup(sys.stderr.fileno())
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    sys.stderr = open(descriptor, "w", buffering=1, encoding=sys.stderr.encoding, errors="replace")  # noqa: SIM115


class _WithoutErrors:
    """A stream that ignores write errors (OSError), so a closed terminal or a full disk does not end a training."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError):
            try:
                self._stream.write(text)
            except UnicodeEncodeError as error:  # a sample may have characters that the encoding of the terminal lacks
                self._stream.write(text.encode(error.encoding, "replace").decode(error.encoding))
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


_SECONDS_BETWEEN_LINES = 10
_MEGABYTE = 1_000_000


class TransferDisplay:
    """Shows the progress of downloads, one file after another.

    A terminal shows a bar. Any other output gets a line at most every ten seconds.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._file = ""
        self._bar: Progress | None = None
        self._began = self._last_line_time = 0.0
        self._bytes_before = 0

    def update(self, file: str, done: int, total: int) -> None:
        """Show that `done` of `total` bytes of a file have been downloaded."""
        if file != self._file:
            self._begin(file, done, total)
        elif self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done)
        elif done < total and time.monotonic() - self._last_line_time > _SECONDS_BETWEEN_LINES:
            self._last_line_time = time.monotonic()
            self._print_line(f"{_megabytes(done, total)} of {file}{self._speed_and_time_left(done, total)}")
        if done == total:
            self.close()
            self._print_line(f"Downloaded {file}, {_megabytes(total, total)}.")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._file = None, ""

    def _begin(self, file: str, done: int, total: int) -> None:
        self.close()
        self._file, self._bytes_before = file, done
        self._began = self._last_line_time = time.monotonic()
        if not self._console.is_terminal:
            self._print_line(f"Downloading {file}: {_megabytes(done, total)} are already here.")
            return
        self._bar = bytes_bar(self._console, f"Downloading {file}", total, done)
        self._bar.start()

    def _speed_and_time_left(self, done: int, total: int) -> str:
        speed = (done - self._bytes_before) / max(1e-9, time.monotonic() - self._began)
        return f", {speed / _MEGABYTE:.2f} MB/s, {(total - done) / speed:,.0f} s left" if speed > 0 else ""

    def _print_line(self, sentence: str) -> None:
        self._console.print(sentence, style="dim", markup=False)


class Bar(Progress):
    """A progress bar with an empty line below it.

    The cursor is on the empty line, so the `^C` that a terminal prints after Ctrl-C does not move the bar.
    """

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield Text("")


def bytes_bar(console: Console, activity: str, total: int | None = None, done: int = 0) -> Progress:
    """Return a bar for the bytes of a text that have been processed. It is hidden if the console is not a terminal.

    `total` is None if the number of bytes is unknown. The `done` bytes from before do not count towards the speed.
    """
    return _bar(console, activity, total, done, DownloadColumn(), TransferSpeedColumn())


def tokens_bar(console: Console, activity: str, total: int) -> Progress:
    """Return a bar for the tokens of a text that have been processed. It is hidden if the console is not a terminal."""
    return _bar(console, activity, total, 0, MofNCompleteColumn(), TextColumn("tokens"))


def _bar(console: Console, activity: str, total: int | None, done: int, *columns: ProgressColumn) -> Progress:
    shown = (TextColumn("{task.description}"), BarColumn(), *columns, TimeRemainingColumn(compact=True))
    bar = Bar(*shown, console=console, transient=True, disable=not console.is_terminal)
    bar.add_task(escape(activity), total=total, completed=done)
    return bar


def _megabytes(done: int, total: int) -> str:
    whole = f"{total / _MEGABYTE:,.1f} MB"
    return whole if done == total else f"{done / _MEGABYTE:,.1f} of {whole}"


class LiveStatus:
    """The progress of a run in numbers and short texts, updated by the events of the run."""

    def __init__(self, start: TrainingStart, steps_per_epoch: int) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.last_step = start.last_step
        self.epochs = -(-start.last_step // steps_per_epoch)
        """The largest number of epochs that the run can have."""
        self.finished_epochs = list(start.finished_epochs)
        """The reports of the epochs that are finished and validated."""
        self._within = list(start.validations)
        self.sample = next((epoch.samples[-1] for epoch in reversed(self.finished_epochs) if epoch.samples), None)
        """The newest sample whose words were drawn by their probabilities. None if there is none yet."""
        self.step = start.first_step - 1
        self.epoch = len(self.finished_epochs) + 1
        self.step_in_epoch = self.step - len(self.finished_epochs) * steps_per_epoch
        self.validated_share: float | None = None
        """The share of the validation set that has been read. None if no validation is in progress."""
        self._first_step, self._began = start.first_step, time.monotonic()
        self._reset_epoch()

    def shortened(self, last_step: int) -> None:
        self.last_step, self.epochs = last_step, -(-last_step // self.steps_per_epoch)

    def stepped(self, report: StepReport) -> None:
        self.validated_share = None
        if report.epoch != self.epoch:
            self._reset_epoch()
        self.epoch, self.step_in_epoch, self.step = report.epoch, report.step_in_epoch, report.step
        if report.first:  # most of its time was spent on building the graph
            self._first_step, self._began = report.step, time.monotonic()
        else:
            self._timed_tokens += report.tokens
            self._seconds += report.seconds
        self._loss += report.loss * report.tokens
        self._tokens += report.tokens

    def validating(self, done: int, batches: int) -> None:
        self.validated_share = done / batches

    def validated_within(self, report: EpochReport) -> None:
        self.validated_share = None
        self._within.append(report)

    def sampled(self, report: SampleReport) -> None:
        self.sample = report.samples[-1] if report.samples else self.sample

    def epoch_ended(self, report: EpochReport) -> None:
        self.validated_share = None
        self.finished_epochs.append(report)
        self.sampled(report)

    @property
    def best(self) -> EpochReport | None:
        return best_of(self.validations)

    @property
    def validations(self) -> list[EpochReport]:
        """The reports of all validations so far, at the end of epochs and within them."""
        return in_order((*self.finished_epochs, *self._within))

    @property
    def position(self) -> str:
        return f"epoch {self.epoch}/{self.epochs} {self.position_in_epoch}"

    @property
    def position_in_epoch(self) -> str:
        if self.validated_share is not None:
            return f"validating {self.validated_share:.0%}"
        return f"step {self.step_in_epoch:,}/{self.steps_per_epoch:,}"

    @property
    def share_of_epoch(self) -> float:
        """The share of the epoch's steps that are done. During validation, the share of the validation set."""
        return self.step_in_epoch / self.steps_per_epoch if self.validated_share is None else self.validated_share

    @property
    def figures(self) -> str:
        """The loss and perplexity of the epoch so far, and the tokens per second. Empty before the first step."""
        # Imported late: it needs NumPy, and most commands do not.
        from wordgen.evaluation.measurement import perplexity_of

        tokens, seconds = self._tokens, self._seconds  # another thread may reset them meanwhile
        if not tokens:
            return ""
        loss = self._loss / tokens
        speed = f" {self._timed_tokens / seconds:,.0f} tokens/s" if seconds else ""
        return f"loss {loss:.3f} ppl {shown_perplexity(perplexity_of(loss))}{speed}"

    @property
    def seconds_left(self) -> float | None:
        """The seconds until all epochs are done, at the speed so far; the run may end earlier. None at first."""
        done = self.step - self._first_step
        if done < 1:
            return None
        return (time.monotonic() - self._began) / done * (self.last_step - self.step)

    def _reset_epoch(self) -> None:
        """Reset the figures of the epoch, because another one begins."""
        self._loss, self._tokens = 0.0, 0
        self._timed_tokens, self._seconds = 0, 0.0


_MAX_IN_SPARKLINE = 24
_MAX_SAMPLE_LINES = 4
_MIN_WIDTH_FOR_BARS = 50
"""In a terminal with fewer columns, text replaces the bars."""


class LiveDisplay:
    """Draws a status with rich: two bars, the most important figures, and the newest sample."""

    def __init__(self, status: LiveStatus) -> None:
        self._status = status

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        status = self._status
        if options.max_width < _MIN_WIDTH_FOR_BARS:
            yield Text(status.position)
        else:
            yield self._bars()
        plain = options.ascii_only or options.legacy_windows
        yield Text(("  " if plain else " · ").join(self._facts(plain=plain)))
        if status.sample is not None:
            yield from self._sample(console, options)
        yield Text("")  # the cursor is on this line, so the `^C` that Ctrl-C prints does not move the lines above

    def _bars(self) -> Table:
        status = self._status
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        table.add_column(no_wrap=True, justify="right")
        table.expand = True
        of_epoch = ProgressBar(total=1, completed=status.share_of_epoch)
        table.add_row(f"epoch {status.epoch}/{status.epochs}", of_epoch, status.position_in_epoch)
        share = status.step / max(1, status.last_step)
        table.add_row("run", ProgressBar(total=status.last_step, completed=status.step), f"{share:.0%}")
        return table

    def _facts(self, *, plain: bool) -> Iterator[str]:
        status = self._status
        if status.figures:
            yield status.figures
        if status.seconds_left is not None:
            yield f"at most {shown_duration(status.seconds_left)} left"
        if status.best is not None:
            yield f"best valid {shown_perplexity(status.best.valid_perplexity)} ({status.best.label})"
        if len(status.validations) > 1 and not plain:
            values = [each.valid_perplexity for each in status.validations][-_MAX_IN_SPARKLINE:]
            yield sparkline(values, values)

    def _sample(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the first four lines of the sample. Lines below the edge of the screen could not be redrawn."""
        assert self._status.sample is not None
        text = Text(self._status.sample.text, style="italic dim")
        lines = text.wrap(console, max(1, options.max_width - 4))[:_MAX_SAMPLE_LINES]
        yield Padding(Text("\n").join(lines), (0, 2))


_SECONDS_BETWEEN_DRAWINGS = 0.5
_HTML = '<pre style="white-space: pre; line-height: normal; font-family: Menlo, Consolas, monospace">{code}</pre>'


class NotebookLive:
    """Shows something below the output of a notebook cell, updates it in place, and removes it at the end.

    rich itself can only update an output by means of ipywidgets, which is not always installed. IPython can replace an
    output without it.
    """

    def __init__(self, shown: RenderableType, width: int) -> None:
        self._shown, self._width = shown, width
        self._handle: Any = None
        self._last_drawing_time = 0.0

    def refresh(self) -> None:
        """Redraw, unless less than half a second has passed since the last time."""
        if self._handle is not None and time.monotonic() - self._last_drawing_time < _SECONDS_BETWEEN_DRAWINGS:
            return
        self._last_drawing_time = time.monotonic()
        self._show(self._as_html())

    def stop(self) -> None:
        if self._handle is not None:
            self._show("")

    def _as_html(self) -> str:
        console = Console(
            file=io.StringIO(),
            record=True,
            width=self._width,
            force_terminal=True,
            force_jupyter=False,
            legacy_windows=False,
        )
        console.print(self._shown)
        return console.export_html(inline_styles=True, code_format=_HTML)

    def _show(self, html: str) -> None:
        from IPython.display import HTML, display  # pyright: ignore[reportMissingImports]

        if self._handle is None:
            self._handle = display(HTML(html), display_id=True)
        else:
            self._handle.update(HTML(html))


def html_table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], footer: str = "") -> str:
    """Return a table as HTML, with `title` in a line above and `footer` in a line below. All text is escaped."""
    head = "".join(f"<th>{escape_html(each)}</th>" for each in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape_html(each)}</td>" for each in row) + "</tr>" for row in rows)
    return f"<p>{escape_html(title)}</p><table><tr>{head}</tr>{body}</table><p>{escape_html(footer)}</p>"
