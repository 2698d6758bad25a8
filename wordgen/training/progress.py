"""What one sees in the terminal while it learns: the plan, a bar, a line and a sample an epoch.

Where the output is no terminal, there are plain lines instead of a bar.
"""

import shlex
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from wordgen.evaluation.in_words import perplexity_in_words, shown_perplexity
from wordgen.files import shown_size
from wordgen.settings import flag_name
from wordgen.training.live import LiveDisplay
from wordgen.training.memory import peak_memory
from wordgen.training.notebook import NotebookLive
from wordgen.training.plan_words import plan_in_words
from wordgen.training.reports import (
    Begun,
    Ending,
    EpochReport,
    Observer,
    Plan,
    Speed,
    StepReport,
    shown_duration,
)
from wordgen.training.standing import Standing
from wordgen.training.transfer import TransferDisplay, bytes_bar, tokens_bar

_SECONDS_BETWEEN_LINES = 10
_SAMPLE_WIDTH = 300
_MOST_LINES_SHOWN = 40
"""With more in its list, TensorBoard begins with none of them ticked, in Scalars and in Text."""
_LINES_OF_A_RUN = 3


class TerminalProgress(Observer):
    def __init__(self, console: Console, writing_command: str = "python -m wordgen generate") -> None:
        """`writing_command` is how the user would call what writes with the model."""
        self._console = console
        self._writing_command = writing_command
        self._training_command = writing_command.replace("generate", "train")
        self._transfer = TransferDisplay(console)
        self._live: Live | NotebookLive | None = None
        self._draws = console.is_terminal or console.is_jupyter
        self._encoding: Progress | None = None
        self._indexing: Progress | None = None
        self._plan: Plan | None = None
        self._said = time.monotonic()
        self._standing: Standing | None = None

    def downloading(self, file: str, done: int, total: int) -> None:
        self._transfer.tell(file, done, total)

    def encoding(self, done: int, size: int) -> None:
        if not self._console.is_terminal:
            if time.monotonic() - self._said > _SECONDS_BETWEEN_LINES:
                self._said = time.monotonic()
                self._console.print(f"Reading the text: {shown_size(done)} of {shown_size(size)}", highlight=False)
            return
        if self._encoding is None:
            self._encoding = bytes_bar(self._console, "Reading the text", size)
            self._encoding.start()
        self._encoding.update(self._encoding.task_ids[0], completed=done)

    def planned(self, plan: Plan) -> None:
        if self._encoding is not None:
            self._encoding.stop()
        self._plan = plan
        self._console.print(_plan_table(plan))

    def starting(self) -> None:
        self._console.print("Starting TensorFlow. Ctrl-C ends the training and keeps the best model.", style="dim")

    def indexing(self, done: int, size: int) -> None:
        if not self._console.is_terminal:
            if time.monotonic() - self._said > _SECONDS_BETWEEN_LINES:
                self._said = time.monotonic()
                self._console.print(f"Indexing the text: {done:,} of {size:,} tokens", highlight=False)
            return
        if self._indexing is None:
            self._indexing = tokens_bar(self._console, "Indexing the text", size)
            self._indexing.start()
        self._indexing.update(self._indexing.task_ids[0], completed=done)

    def begun(self, begun: Begun) -> None:
        assert self._plan is not None
        self._stop_bars()
        self._standing = Standing(begun, self._plan.steps_per_epoch)
        self._console.print(f"Learning on {begun.devices}, in {begun.precision}.", style="dim", highlight=False)
        if self._plan.settings.time_budget is not None:
            self._console.print(
                f"Steps that {self._plan.settings.time_budget} are enough for: {begun.last_step:,}.",
                style="dim",
                highlight=False,
            )

    def measured(self, begun: Begun, speed: Speed) -> None:
        assert self._plan is not None
        self._console.print(_speed_table(self._plan, begun, speed))
        self._console.print("Nothing was learned or kept. Without --dry-run it begins.")

    def stepped(self, report: StepReport) -> None:
        assert self._standing is not None
        self._standing.stepped(report)
        if self._draws:
            self._show_live(self._standing)
        else:
            self._say_where_it_stands(self._standing, must=report.first)

    def validating(self, done: int, batches: int) -> None:
        assert self._standing is not None
        self._standing.validating(done, batches)
        if self._draws:
            self._show_live(self._standing)
        else:
            self._say_where_it_stands(self._standing)

    def epoch_ended(self, report: EpochReport) -> None:
        assert self._standing is not None
        self._standing.epoch_ended(report)
        mark = "  best so far" if report.best else ""
        mark += "  averaged" if report.averaged else ""
        self._console.print(
            f"[bold]epoch {report.epoch}[/]: perplexity train {shown_perplexity(report.train_perplexity)}, "
            f"valid [bold]{shown_perplexity(report.valid_perplexity)}[/] ({shown_duration(report.seconds)}){mark}",
            highlight=False,
        )
        if not self._draws:
            self._show_sample()

    def _show_sample(self) -> None:
        """The newest."""
        sample = None if self._standing is None else self._standing.sample
        if sample is not None:
            short = sample.text if len(sample.text) < _SAMPLE_WIDTH else sample.text[:_SAMPLE_WIDTH] + " ..."
            self._console.print(Padding(Text(short, style="italic dim"), (0, 2)))

    def stopping(self) -> None:
        when = "Stopping" if self._plan is None else "Stopping after this step"
        self._console.print(f"{when} ... (Ctrl-C again: at once)")

    def warned(self, sentence: str) -> None:
        self._console.print(f"[yellow]Warning:[/] {escape(sentence)}", highlight=False)

    def ended(self, ending: Ending) -> None:
        assert self._plan is not None
        was_live = self._live is not None
        self._stop_bars()
        if was_live:  # its sample has gone with it
            self._show_sample()
        say = self._console.print
        stopped = "Stopped as you asked" if ending.stopped else f"Done ({ending.reason})"
        say(f"\n[bold]{stopped}[/] after {shown_duration(ending.seconds)}.", highlight=False)
        if ending.best is not None:
            factor = ending.unigram_perplexity / ending.best.valid_perplexity
            best = perplexity_in_words(ending.best.valid_perplexity, ending.off)
            say(
                f"Best valid perplexity (less is better): [bold]{best}[/] "
                f"(epoch {ending.best.epoch}). "
                f"Word frequencies alone: {shown_perplexity(ending.unigram_perplexity)}, {factor:,.2f} times as much.",
                highlight=False,
            )
            say(self._advice(ending, factor), highlight=False, end="")
        if not ending.model_kept:
            say("No model of this run is kept: it ended too early.")
            return
        say(f"The model lies in {escape(str(self._plan.folder))}", highlight=False, soft_wrap=True)
        if ending.stopped:
            say("Go on with it:  " + escape(f"{self._training_command} --resume {self._plan.run}"), soft_wrap=True)
        say("\nLet it write:   " + escape(self._command_to_try(ending)), highlight=False, soft_wrap=True)
        curves = f"tensorboard --logdir {shlex.quote(str(folder_of_curves(self._plan.folder)))}"
        say("See its curves: " + escape(curves), highlight=False, soft_wrap=True)

    def page_written(self, page: Path) -> None:
        self._console.print("Report:         " + escape(str(page)), highlight=False, soft_wrap=True)

    def close(self) -> None:
        self._stop_bars()

    def _advice(self, ending: Ending, factor: float) -> str:
        assert self._plan is not None
        if ending.stopped:
            return "" if factor > 1 else "So far it knows less than word frequencies say: it was stopped early.\n"
        if ending.still_falling:
            return f"It was still getting better when it ended. {escape(self._how_to_learn_longer())}\n"
        if factor < 1:
            return "That is worse than counting words: try more epochs, or a smaller --batch-size.\n"
        if factor < 1.1:
            return "That is hardly better than counting words: try a smaller --batch-size, or take more text.\n"
        return ""

    def _how_to_learn_longer(self) -> str:
        assert self._plan is not None
        longer = " ".join(f"{flag_name(name)} {value}" for name, value in self._plan.settings.longer().items())
        if self._plan.settings.settled:
            return f"For a better one train anew with {longer}."
        return f"To give it more epochs:  {self._training_command} --resume {self._plan.run} {longer}"

    def _command_to_try(self, ending: Ending) -> str:
        assert self._plan is not None
        seed = f"--seed {shlex.quote(ending.word_to_try)} " if ending.word_to_try else ""
        return f"{self._writing_command} --model {self._plan.run} {seed}--mode sample"

    def _say_where_it_stands(self, standing: Standing, *, must: bool = False) -> None:
        """A line every few seconds."""
        if must or time.monotonic() - self._said > _SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            left = standing.seconds_left
            told = "" if left is None else f" {shown_duration(left)} left at most"
            self._console.print(f"{standing.place} {standing.words}{told}", highlight=False)

    def _show_live(self, standing: Standing) -> None:
        if self._console.is_jupyter:
            self._live = self._live or NotebookLive(LiveDisplay(standing), self._console.width)
            self._live.refresh()
        elif self._live is None:
            self._live = Live(LiveDisplay(standing), console=self._console, transient=True)
            self._live.start()

    def _stop_bars(self) -> None:
        self._transfer.close()
        for shown in (self._encoding, self._indexing, self._live):
            if shown is not None:
                shown.stop()
        self._encoding = self._indexing = self._live = None


def folder_of_curves(run: Path) -> Path:
    """What TensorBoard is to look into: all that lies beside a run, as long as it shows that from the beginning."""
    beside = {path.parent for path in (*run.parent.glob("*/train"), *run.parent.glob("*/*/train"))}
    return run.parent if _LINES_OF_A_RUN * len(beside | {run}) <= _MOST_LINES_SHOWN else run


class QuietProgress(Observer):
    """Says nothing but what went wrong."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def warned(self, sentence: str) -> None:
        self._console.print(f"Warning: {sentence}", markup=False, highlight=False)


def _plan_table(plan: Plan) -> Table:
    table = Table(title=f"Plan for {plan.run}", title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    for what, told in plan_in_words(plan):
        table.add_row(what, escape(told))
    return table


def _speed_table(plan: Plan, begun: Begun, speed: Speed) -> Table:
    """What a dry run has measured."""
    epochs = -(-begun.last_step // plan.steps_per_epoch)
    table = Table(title="Measured", title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("learning on", f"{begun.devices}, in {begun.precision}")
    table.add_row("speed", f"{speed.tokens_per_second:,.0f} tokens/s ({speed.steps} steps of {speed.step:.3f} s)")
    table.add_row("first step", f"{speed.first_step:.1f} s more, to build the graph")
    table.add_row("memory", f"{peak_memory() / 2**30:.1f} GiB in use at most")
    epoch = shown_duration(speed.seconds(plan.steps_per_epoch, 1) - speed.first_step)
    table.add_row("an epoch", f"{plan.steps_per_epoch:,} steps, {epoch} with validating and saving")
    whole = shown_duration(speed.seconds(begun.last_step, epochs))
    table.add_row("the whole run", f"{begun.last_step:,} steps in {epochs:,} epochs, {whole} at most")
    return table
