"""The progress of a training on standard output: for people, or as JSON lines for other programs.

A terminal shows the plan, two bars, and a line and a sample for each epoch. Any other output gets plain lines.
docs/watching.md lists the events in JSON.
"""

import json
import shlex
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from wordgen.evaluation.figures import perplexity_in_words, shown_duration, shown_perplexity
from wordgen.files import shown_size
from wordgen.generation.settings import WHOLE_PIECE
from wordgen.settings import flag_name
from wordgen.text.tokenizers import MUSIC_TOKENIZERS
from wordgen.training.memory import peak_memory
from wordgen.training.plan import Plan, plan_in_words
from wordgen.training.reports import Ending, EpochReport, Observer, SampleReport, Speed, StepReport, TrainingStart
from wordgen.training.screen import LiveDisplay, LiveStatus, NotebookLive, TransferDisplay, bytes_bar, tokens_bar

_SECONDS_BETWEEN_LINES = 10
_SAMPLE_WIDTH = 300
_MAX_LINES_SELECTED = 40
"""If its list of runs is longer, TensorBoard selects none of them at first, in Scalars and in Text."""
_LINES_PER_RUN = 3
_STOPPED_EARLY = "The model is not yet better than word frequencies, because it was stopped early.\n"


class TerminalProgress(Observer):
    _plan: Plan
    _status: LiveStatus

    def __init__(self, console: Console, writing_command: str = "python -m wordgen generate") -> None:
        """`writing_command` is the command with which the user generates text with the model."""
        self._console = console
        self._writing_command = writing_command
        self._transfer = TransferDisplay(console)
        self._live: Live | NotebookLive | None = None
        self._has_live_display = console.is_terminal or console.is_jupyter
        self._bar: Progress | None = None
        self._last_line_time = time.monotonic()

    def downloading(self, file: str, done: int, total: int) -> None:
        self._transfer.update(file, done, total)

    def encoding(self, done: int, size: int) -> None:
        amount = f"{shown_size(done)} of {shown_size(size)}"
        self._show_bar("Reading the text", bytes_bar, done, size, amount)

    def planned(self, plan: Plan) -> None:
        self._stop_bars()
        self._plan = plan
        lines = ((subject, escape(text)) for subject, text in plan_in_words(plan))
        self._console.print(_table(f"Plan for {escape(plan.run)}", lines))

    def starting(self) -> None:
        self._console.print("Starting TensorFlow. Ctrl-C ends the training and keeps the best model.", style="dim")

    def indexing(self, done: int, size: int) -> None:
        self._show_bar("Indexing the text", tokens_bar, done, size, f"{done:,} of {size:,} tokens")

    def _show_bar(
        self, activity: str, make: Callable[[Console, str, int], Progress], done: int, size: int, amount: str
    ) -> None:
        """Move a bar to `done`. The first call makes it.

        If the output is no terminal, there is no bar. Then a line with `amount` is printed every ten seconds.
        """
        if not self._console.is_terminal:
            self._print_line(f"{activity}: {amount}")
            return
        if self._bar is None:
            self._bar = make(self._console, activity, size)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done)

    def begun(self, start: TrainingStart) -> None:
        self._stop_bars()
        self._status = LiveStatus(start, self._plan.steps_per_epoch)
        self._console.print(f"Training on {start.devices}, in {start.precision}.", style="dim")
        if (budget := self._plan.settings.time_budget) is not None:
            enough = f"The time budget of {budget} is enough for {start.last_step:,} steps."
            self._console.print(enough, style="dim")

    def shortened(self, last_step: int) -> None:
        self._status.shortened(last_step)
        sentence = f"The machine has become slower, so the run ends after step {last_step:,} to keep its time budget."
        self._print_line(sentence, always=True)

    def measured(self, start: TrainingStart, speed: Speed) -> None:
        self._console.print(_table("Measured", _describe_measurement(self._plan, start, speed)))
        self._console.print("No model was trained or saved. To begin the training, leave out --dry-run.")

    def stepped(self, report: StepReport) -> None:
        self._status.stepped(report)
        every = self._plan.settings.log_every
        if every is not None and (report.first or report.step % every == 0):
            self._print_progress(always=True)
        if self._has_live_display:
            self._show_live()
        elif every is None:
            self._print_progress(always=report.first)

    def validating(self, done: int, batches: int) -> None:
        self._status.validating(done, batches)
        if self._has_live_display:
            self._show_live()
        else:
            self._print_progress()

    def validated(self, report: EpochReport) -> None:
        self._status.validated_within(report)
        self._print_validation(report)

    def sampled(self, report: SampleReport) -> None:
        self._status.sampled(report)
        if self._has_live_display:
            self._show_live()
        else:
            self._console.print(f"epoch {report.epoch}, step {report.step:,}: sample")
            self._show_sample()

    def epoch_ended(self, report: EpochReport) -> None:
        self._status.epoch_ended(report)
        self._print_validation(report)
        if not self._has_live_display:
            self._show_sample()

    def _print_validation(self, report: EpochReport) -> None:
        mark = "  best so far" if report.best else ""
        mark += "  averaged weights" if report.averaged else ""
        self._console.print(
            f"[bold]{report.label}[/]: perplexity train {shown_perplexity(report.train_perplexity)}, "
            f"valid [bold]{shown_perplexity(report.valid_perplexity)}[/] ({shown_duration(report.seconds)}){mark}"
        )

    def _show_sample(self) -> None:
        """Print the newest sample, at most 300 characters of it."""
        if (sample := self._status.sample) is not None:
            short = sample.text if len(sample.text) < _SAMPLE_WIDTH else sample.text[:_SAMPLE_WIDTH] + " ..."
            self._console.print(Padding(Text(short, style="italic dim"), (0, 2)))

    def stopping(self) -> None:
        when = "Stopping after this step" if hasattr(self, "_plan") else "Stopping"
        self._console.print(f"{when} ... (press Ctrl-C again to stop at once)")

    def warned(self, sentence: str) -> None:
        self._console.print(f"[yellow]Warning:[/] {escape(sentence)}")

    def ended(self, ending: Ending) -> None:
        was_live = self._live is not None
        self._stop_bars()
        if was_live:  # the sample disappeared together with the live display
            self._show_sample()
        print_line = self._console.print
        stopped = "Stopped as you asked" if ending.stopped else f"Done ({ending.reason})"
        print_line(f"\n[bold]{stopped}[/] after {shown_duration(ending.seconds)}.")
        if ending.best is not None:
            factor = ending.unigram_perplexity / ending.best.valid_perplexity
            best = perplexity_in_words(ending.best.valid_perplexity, ending.margin)
            print_line(
                f"Best validation perplexity (lower is better): [bold]{best}[/] ({ending.best.label}). "
                f"Word frequencies alone: {shown_perplexity(ending.unigram_perplexity)}, {factor:,.2f} times as much."
            )
            print_line(self._advice(ending, factor), end="")
        if not ending.model_kept:
            print_line("No model of this run was saved, because the run ended too early.")
            return
        print_line(f"The model is in {escape(str(self._plan.folder))}", soft_wrap=True)
        if ending.stopped:
            print_line("Continue:       " + escape(self._resuming_command), soft_wrap=True)
        print_line("\nWrite text:     " + escape(self._command_to_try(ending)), soft_wrap=True)
        curves = f"tensorboard --logdir {shlex.quote(str(folder_of_curves(self._plan.folder)))}"
        print_line("Show curves:    " + escape(curves), soft_wrap=True)

    def page_written(self, page: Path) -> None:
        self._console.print("Report:         " + escape(str(page)), soft_wrap=True)

    def close(self) -> None:
        self._stop_bars()

    def _advice(self, ending: Ending, factor: float) -> str:
        if ending.stopped:
            return "" if factor > 1 else _STOPPED_EARLY
        if ending.still_falling:
            return f"The model was still improving when the run ended. {escape(self._training_longer_advice())}\n"
        if factor < 1:
            return "The model is worse than word frequencies: try more epochs or a smaller --batch-size.\n"
        if factor < 1.1:
            return "The model is hardly better than word frequencies: try a smaller --batch-size or more text.\n"
        return ""

    def _training_longer_advice(self) -> str:
        longer = " ".join(f"{flag_name(name)} {value}" for name, value in self._plan.settings.longer_training().items())
        if self._plan.settings.has_fixed_steps:
            return f"For a better model, train a new run with {longer}."
        return f"To train for more epochs:  {self._resuming_command} {longer}"

    @property
    def _resuming_command(self) -> str:
        return f"{self._writing_command.replace('generate', 'train')} --resume {self._name_of_run}"

    @property
    def _name_of_run(self) -> str:
        """The name of the run as words of a command, with the flag `--models` if it is not in saved_models."""
        return f"{self._plan.run} {self._plan.models_flag}".rstrip()

    def _command_to_try(self, ending: Ending) -> str:
        command = f"{self._writing_command} --model {self._name_of_run}"
        if self._plan.text.tokenizer in MUSIC_TOKENIZERS:
            return f"{command} {shlex.join(WHOLE_PIECE)}"
        seed = f"--seed {shlex.quote(ending.word_to_try)} " if ending.word_to_try else ""
        return f"{command} {seed}--mode sample"

    def _print_progress(self, *, always: bool = False) -> None:
        """Print a line if the last one is more than ten seconds old, or in any case with `always`."""
        left = self._status.seconds_left
        limit = "" if left is None else f", at most {shown_duration(left)} left"
        self._print_line(f"{self._status.position} {self._status.figures}{limit}", always=always)

    def _print_line(self, sentence: str, *, always: bool = False) -> None:
        if always or time.monotonic() - self._last_line_time > _SECONDS_BETWEEN_LINES:
            self._last_line_time = time.monotonic()
            self._console.print(sentence)

    def _show_live(self) -> None:
        if self._console.is_jupyter:
            self._live = self._live or NotebookLive(LiveDisplay(self._status), self._console.width)
            self._live.refresh()
        elif self._live is None:
            self._live = Live(LiveDisplay(self._status), console=self._console, transient=True)
            self._live.start()

    def _stop_bars(self) -> None:
        self._transfer.close()
        for shown in (self._bar, self._live):
            if shown is not None:
                shown.stop()
        self._bar = self._live = None


def folder_of_curves(run: Path) -> Path:
    """Return the folder for TensorBoard's `--logdir`.

    This is the folder that contains the run, so that TensorBoard shows its other runs, too. If they are too many for
    TensorBoard to select them at first, it is the folder of the run. A run is three lines in the list of TensorBoard.
    """
    run_folders = {path.parent for path in (*run.parent.glob("*/train"), *run.parent.glob("*/*/train"))}
    return run.parent if _LINES_PER_RUN * len(run_folders | {run}) <= _MAX_LINES_SELECTED else run


class QuietProgress(Observer):
    """Prints warnings only."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def warned(self, sentence: str) -> None:
        self._console.print(f"Warning: {sentence}", markup=False)


def _table(title: str, lines: Iterable[tuple[str, str]]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    for subject, text in lines:
        table.add_row(subject, text)
    return table


def _describe_measurement(plan: Plan, start: TrainingStart, speed: Speed) -> Iterator[tuple[str, str]]:
    epochs = -(-start.last_step // plan.steps_per_epoch)
    yield "devices", f"{start.devices}, in {start.precision}"
    yield "speed", f"{speed.tokens_per_second:,.0f} tokens/s ({speed.steps} steps of {speed.step:.3f} s)"
    yield "first step", f"takes {speed.first_step:.1f} s longer, to build the graph"
    yield "memory", f"at most {peak_memory() / 2**30:.1f} GiB in use"
    epoch = shown_duration(speed.seconds(plan.steps_per_epoch, 1) - speed.first_step)
    yield "one epoch", f"{plan.steps_per_epoch:,} steps, {epoch} with validation and saving"
    whole = shown_duration(speed.seconds(start.last_step, epochs))
    yield "the whole run", f"{start.last_step:,} steps in {epochs:,} epochs, at most {whole}"


_SECONDS_BETWEEN_STEPS = 1


class JsonLog(Observer):
    """Prints each event as a line of JSON with its name (`event`) and its `time` in seconds since 1970.

    Of frequent events, like steps and the progress of a download, at most about one per second is printed. With
    `log_every`, the steps that it asks for are printed instead.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last_event_time = 0.0
        self._log_every: int | None = None

    def downloading(self, file: str, done: int, total: int) -> None:
        self._print_event_now_and_then("fetching", done in (0, total), file=file, bytes=done, total=total)

    def encoding(self, done: int, size: int) -> None:
        self._print_event_now_and_then("reading", done == size, bytes=done, total=size)

    def planned(self, plan: Plan) -> None:
        self._log_every = plan.settings.log_every
        self._print_event(
            "planned",
            run=plan.run,
            folder=str(plan.folder),
            corpus=plan.text.corpus,
            parameters=plan.architecture.parameters,
            steps_per_epoch=plan.steps_per_epoch,
            epochs=plan.settings.epochs,
            plan=[list(line) for line in plan_in_words(plan)],
        )

    def indexing(self, done: int, size: int) -> None:
        self._print_event_now_and_then("indexing", done == size, tokens=done, total=size)

    def begun(self, start: TrainingStart) -> None:
        self._print_event(
            "begun",
            devices=start.devices,
            precision=start.precision,
            first_step=start.first_step,
            last_step=start.last_step,
        )

    def shortened(self, last_step: int) -> None:
        self._print_event("shortened", last_step=last_step)

    def measured(self, start: TrainingStart, speed: Speed) -> None:
        self._print_event("measured", last_step=start.last_step, **asdict(speed))

    def stepped(self, report: StepReport) -> None:
        if self._log_every is None:
            self._print_event_now_and_then("step", report.first, **asdict(report))
        elif report.first or report.step % self._log_every == 0:
            self._print_event("step", **asdict(report))

    def validating(self, done: int, batches: int) -> None:
        self._print_event_now_and_then("validating", False, done=done, total=batches)

    def validated(self, report: EpochReport) -> None:
        self._print_event("validated", **asdict(report))

    def sampled(self, report: SampleReport) -> None:
        self._print_event("samples", **asdict(report))

    def epoch_ended(self, report: EpochReport) -> None:
        self._print_event("epoch", **asdict(report))

    def stopping(self) -> None:
        self._print_event("stopping")

    def warned(self, sentence: str) -> None:
        self._print_event("warning", sentence=sentence)

    def ended(self, ending: Ending) -> None:
        best = ending.best
        self._print_event(
            "ended",
            reason=ending.reason,
            stopped=ending.stopped,
            model_kept=ending.model_kept,
            best_epoch=best and best.epoch,
            best_step=best and best.step,
            valid_perplexity=best and best.valid_perplexity,
            valid_perplexity_margin=ending.margin,
            unigram_perplexity=ending.unigram_perplexity,
            seconds=ending.seconds,
        )

    def page_written(self, page: Path) -> None:
        self._print_event("page", path=str(page))

    def _print_event_now_and_then(self, event: str, always: bool, **content: object) -> None:
        if always or time.monotonic() - self._last_event_time >= _SECONDS_BETWEEN_STEPS:
            self._last_event_time = time.monotonic()
            self._print_event(event, **content)

    def _print_event(self, event: str, **content: object) -> None:
        line = json.dumps({"event": event, "time": round(time.time(), 3), **content})
        self._console.print(line, markup=False, soft_wrap=True)
