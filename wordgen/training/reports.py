"""What is known of a run before, while and after it learns; and who wants to be told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wordgen.architecture import Architecture
from wordgen.bundle import HeadStart
from wordgen.corpora.catalogue import LineBreaks, UnitKind
from wordgen.corpora.published import Split
from wordgen.dataset.ids import SplitStatistics
from wordgen.errors import SettingError
from wordgen.text.settings import TokenizerName
from wordgen.training.memory import Memory
from wordgen.training.settings import TrainingSettings


@dataclass(frozen=True)
class Plan:
    """All that is settled before the first step."""

    run: str
    folder: Path
    corpus: str
    source: str
    """Where the text lies."""
    recipe: str | None
    """Where its settings come from, and what for."""
    notes: tuple[str, ...]
    """How it was read, in short sentences."""
    unit: UnitKind
    line_breaks: LineBreaks
    fold_width: bool
    tokenizer: TokenizerName
    fingerprint: str
    """Of the ids that the corpus became."""
    statistics: dict[Split, SplitStatistics]
    types: int
    special_symbols: int
    """How many symbols of the vocabulary are no words of the text."""
    architecture: Architecture
    settings: TrainingSettings
    steps_per_epoch: int

    workers: int = 1
    """Among how many processes each batch is shared."""
    devices: int = 1
    """Among how many parts of a process's CPU its rows are shared."""
    head_start: HeadStart | None = None
    """The model whose weights it begins with."""
    beginning: str | None = None
    """What it begins from and what that has read, or why from nothing; where there is something to say."""

    @property
    def memory(self) -> Memory:
        """What each worker needs of its machine."""
        tokens: dict[Split, int] = {split: counted.symbols for split, counted in self.statistics.items()}
        return Memory.of(self.architecture, self.settings, tokens, self.workers, self.devices)

    def check_memory(self, given: int) -> None:
        """Refuse a network that the machine cannot hold, before it tries."""
        needed = self.memory.all
        if needed > given:
            raise SettingError(
                f"This network has {self.architecture.parameters:,} parameters and needs about {needed / 2**30:,.1f} "
                f"GiB to learn, but there are {given / 2**30:,.1f} GiB of memory: take fewer --units, --layers or "
                "words, or a smaller --batch-size or --seq-len; with large vocabularies --sampled-output helps. "
                "--force-memory tries it all the same."
            )


@dataclass(frozen=True)
class Speed:
    """Measured with real steps, in seconds but for the tokens."""

    steps: int
    """How many were measured."""
    tokens_per_second: float
    first_step: float
    """It makes the graph."""
    step: float
    epoch_end: float
    """Validating, writing samples and saving."""

    def seconds(self, steps: int, epochs: int) -> float:
        """A run of so many steps and epochs, which begins by making the graph."""
        return self.first_step + steps * self.step + epochs * self.epoch_end


def shown_duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


@dataclass(frozen=True)
class StepReport:
    epoch: int
    step_in_epoch: int
    step: int
    loss: float
    """Mean loss (nats) of the step's counted targets."""
    gradient_norm: float
    learning_rate: float
    symbols: int
    seconds: float
    first: bool
    """The first step of this process, whose time goes into making the graph."""


@dataclass(frozen=True)
class Sample:
    """A text written by the model as it was at that moment, always from the same seed."""

    mode: str
    text: str
    seed: str = ""
    """Nothing where the text begins anew, as a unit of the corpus does."""


@dataclass(frozen=True)
class Written:
    """What the model writes at the end of an epoch."""

    samples: tuple[Sample, ...] = ()
    distinct_2: float | None = None
    """Of some texts drawn by its own odds: the share of pairs of symbols that are different ones."""
    longest_copy: int | None = None
    """How many symbols of these in a row stand in the training text, at most."""


@dataclass(frozen=True)
class EpochReport:
    epoch: int
    step: int
    train_perplexity: float
    valid_perplexity: float
    best: bool
    seconds: float
    samples: tuple[Sample, ...] = field(repr=False)
    averaged: bool = False
    """Whether the weights that were measured are the average of many steps'."""
    distinct_2: float | None = None
    longest_copy: int | None = None
    """Both as they are of what was `Written`."""


@dataclass(frozen=True)
class Begun:
    """What is known once TensorFlow and all workers are there."""

    devices: str
    """What learns, in words."""
    precision: str
    last_step: int
    """Where the run ends at the latest."""
    first_step: int = 1
    """The step that comes next: a later one where a run goes on."""
    done: tuple[EpochReport, ...] = ()
    """The epochs that were measured before."""


@dataclass(frozen=True)
class Outcome:
    """How far the loop has come."""

    reason: str
    """Why it went no further, in words."""
    epochs: tuple[EpochReport, ...]
    whole_epochs: int
    stopped: bool = False
    """Whether the user stopped it."""

    @property
    def best(self) -> EpochReport | None:
        return next((epoch for epoch in reversed(self.epochs) if epoch.best), None)


@dataclass(frozen=True)
class Ending:
    reason: str
    """Why it ended, in words."""
    stopped: bool
    """Whether the user stopped it."""
    model_kept: bool
    best: EpochReport | None
    unigram_perplexity: float
    word_to_try: str | None
    seconds: float
    still_falling: bool = False
    """Whether the valid perplexity was, when the run ended."""
    off: float | None = None
    """How far the best valid perplexity may be off, with 95% certainty, where that was found out."""


class Observer:
    """Told what happens in a run; override what you care about. `step` and `epoch` count from 1."""

    def downloading(self, file: str, done: int, total: int) -> None:
        """So many bytes of a file of the text are here; told at its beginning, on the way, and when it is whole."""

    def encoding(self, done: int, size: int) -> None:
        """So many bytes of the text are cut into symbols."""

    def planned(self, plan: Plan) -> None:
        """What the run is to be is settled."""

    def starting(self) -> None:
        """There is something to learn, and TensorFlow is being started, which takes seconds."""

    def indexing(self, done: int, size: int) -> None:
        """So many places of the training text are in the copy index."""

    def begun(self, begun: Begun) -> None:
        """The first step comes next."""

    def measured(self, begun: Begun, speed: Speed) -> None:
        """A dry run has found out how fast it would go."""

    def stepped(self, report: StepReport) -> None:
        """One step is done."""

    def validating(self, done: int, batches: int) -> None:
        """So many batches of the valid part are measured, after an epoch or a stop."""

    def epoch_ended(self, report: EpochReport) -> None:
        """One epoch is done and measured."""

    def model_saved(self, report: EpochReport) -> None:
        """The model of the best epoch so far is saved: at once, or later where the disk was full."""

    def stopping(self) -> None:
        """The user wants the run to end; the step under way is finished first."""

    def warned(self, sentence: str) -> None:
        """Something went wrong that does not end the run."""

    def ended(self, ending: Ending) -> None:
        """The run is over and its best model is saved."""

    def page_written(self, page: Path) -> None:
        """All that one may want to show of the run stands on a page."""

    def close(self) -> None:
        """Called last, however the run ended."""


def warner(observers: Sequence[Observer]) -> Callable[[str], None]:
    def warn(sentence: str) -> None:
        for observer in observers:
            observer.warned(sentence)

    return warn
