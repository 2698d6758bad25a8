"""What a training reports: its beginning, steps, epochs, samples and end. Observers receive these reports."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wordgen.evaluation.measurement import Measurement
    from wordgen.training.plan import Plan


@dataclass(frozen=True)
class StepReport:
    """The result of one step."""

    epoch: int
    step_in_epoch: int
    step: int
    loss: float
    """The mean loss of the step's counted targets, in nats."""
    gradient_norm: float
    """The global norm of the gradient, before it was clipped."""
    learning_rate: float
    tokens: int
    """The number of counted targets of the step."""
    seconds: float
    """The duration of the step: the duration of the call it was part of, divided by the number of steps."""
    first: bool
    """Whether this is the first step of this process. Most of its time is spent on building the graph."""


@dataclass(frozen=True)
class Sample:
    """A text that the model generated during the training. Prompts and random seed are the same each time."""

    mode: str
    text: str
    seed: str = ""
    """The prompt. An empty string if the text begins like a new passage of the corpus."""


@dataclass(frozen=True)
class SampleReport:
    """The texts that the model has generated at a step, and figures about them."""

    epoch: int
    step: int
    samples: tuple[Sample, ...] = field(default=(), repr=False)
    distinct_2: float | None = None
    """The share of different pairs among all pairs of neighbouring tokens, in texts drawn by the model's probabilities.

    A word that is spelled out counts as one token. None if there are no pairs.
    """
    longest_copy: int | None = None
    """The length in tokens of the longest match between these texts and the training text.

    A word that is spelled out counts as one token. None if the training text is too large to search it.
    """


@dataclass(frozen=True, kw_only=True)
class EpochReport(SampleReport):
    """The result of one epoch, or of a validation within an epoch, which has no samples."""

    train_perplexity: float
    valid_perplexity: float
    best: bool
    """Whether the validation perplexity was lower than in all validations before."""
    seconds: float
    averaged: bool = False
    """Whether the validated weights are the average over many steps."""
    within_epoch: bool = False
    """Whether this is a validation within the epoch. The other figures are then those of the epoch so far."""
    best_within_epoch: bool = False
    """At the end of an epoch: whether a validation within it was better than all before."""

    @property
    def label(self) -> str:
        """The epoch in words, and within an epoch also the step."""
        return f"epoch {self.epoch}, step {self.step:,}" if self.within_epoch else f"epoch {self.epoch}"


def best_of(reports: Iterable[EpochReport]) -> EpochReport | None:
    """Return the report of the best validation: the last one that was better than all before. None if there is none."""
    return max((each for each in reports if each.best), key=lambda each: each.step, default=None)


def in_order(reports: Iterable[EpochReport]) -> list[EpochReport]:
    """Return the reports in the order of their steps."""
    return sorted(reports, key=lambda each: each.step)


@dataclass(frozen=True)
class TrainingStart:
    """What is known as soon as TensorFlow runs and all workers have joined."""

    devices: str
    """The devices that train, in words."""
    precision: str
    last_step: int
    """The last step of the run. It may end earlier."""
    first_step: int = 1
    """The number of the next step. Greater than 1 if the run is resumed."""
    finished_epochs: tuple[EpochReport, ...] = ()
    """The reports of the epochs that were finished before."""
    validations: tuple[EpochReport, ...] = ()
    """The reports of the validations within epochs that were finished before."""
    last_sample_step: int = 0
    """The last step within an epoch after which samples were written. 0 if there is none."""


@dataclass(frozen=True)
class Outcome:
    """The result of the training loop."""

    reason: str
    """Why the loop ended, in words."""
    epochs: tuple[EpochReport, ...]
    """The reports of all validated epochs. The last epoch may be incomplete."""
    complete_epochs: int
    """The number of complete epochs."""
    stopped: bool = False
    """Whether the user stopped it."""
    validations: tuple[EpochReport, ...] = ()
    """The reports of all validations within epochs."""

    @property
    def best(self) -> EpochReport | None:
        return best_of((*self.epochs, *self.validations))


@dataclass(frozen=True)
class Ending:
    """The result of a run."""

    reason: str
    """Why the run ended, in words."""
    stopped: bool
    """Whether the user stopped it."""
    model_kept: bool
    best: EpochReport | None
    """The report of the best validation."""
    unigram_perplexity: float
    """The validation perplexity of word frequencies alone."""
    word_to_try: str | None
    """A word of the vocabulary that is a good prompt."""
    seconds: float
    still_falling: bool = False
    """Whether the validation perplexity was still falling when the run ended."""
    margin: float | None = None
    """Half the width of the 95% confidence interval of the best validation perplexity. None if not measured."""


@dataclass(frozen=True)
class Speed:
    """The speed of a training, measured with real steps. All durations are in seconds."""

    steps: int
    """The number of steps that were measured."""
    tokens_per_second: float
    first_step: float
    """The duration of the first step, which builds the graph."""
    step: float
    """The mean duration of a later step."""
    epoch_end: float
    """The time for validation, samples and saving after an epoch."""
    within_epoch: float = 0.0
    """The time for validations and samples within epochs, divided by the number of steps."""

    def seconds(self, steps: int, epochs: int) -> float:
        """Return the expected duration of a run in seconds, including the time to build the graph."""
        return self.first_step + steps * (self.step + self.within_epoch) + epochs * self.epoch_end


class Observer:
    """Receives the events of a run. Override the methods you need. Steps and epochs count from 1."""

    def downloading(self, file: str, done: int, total: int) -> None:
        """`done` of `total` bytes of a file of the corpus have been downloaded.

        Called at the beginning, during the download, and when the file is complete.
        """

    def encoding(self, done: int, size: int) -> None:
        """`done` of `size` bytes of the text have been split into tokens."""

    def planned(self, plan: "Plan") -> None:
        """The plan of the run is complete."""

    def starting(self) -> None:
        """There is something to train, so TensorFlow is being started, which takes some seconds."""

    def indexing(self, done: int, size: int) -> None:
        """`done` of `size` tokens of the training text are in the copy index."""

    def begun(self, start: TrainingStart) -> None:
        """The first step is about to run."""

    def shortened(self, last_step: int) -> None:
        """The machine has become slower, so a run with a time budget will end with an earlier step than planned."""

    def measured(self, start: TrainingStart, speed: Speed) -> None:
        """A dry run has measured the speed of the training."""

    def stepped(self, report: StepReport) -> None:
        """A step is done."""

    def validating(self, done: int, batches: int) -> None:
        """`done` of `batches` batches of the validation set have been read.

        Called after an epoch, within an epoch, or after a request to stop.
        """

    def validated(self, report: EpochReport) -> None:
        """A validation within an epoch is done. For that at the end of an epoch, `epoch_ended` is called."""

    def sampled(self, report: SampleReport) -> None:
        """Samples have been written within an epoch. For those at the end of an epoch, `epoch_ended` is called."""

    def epoch_ended(self, report: EpochReport) -> None:
        """An epoch is done and validated."""

    def model_saved(self, report: EpochReport) -> None:
        """The best model so far has been saved. This happens later if the disk was full at first."""

    def stopping(self) -> None:
        """The user has asked to stop the run. The current step is finished first."""

    def warned(self, sentence: str) -> None:
        """Something has gone wrong that does not end the run."""

    def ended(self, ending: Ending) -> None:
        """The run has ended. Its best model is saved, if there is one."""

    def compared(self, measurement: "Measurement") -> None:
        """The loss of the best model on the validation set has been compared with what counting words reaches.

        Called after `ended`.
        """

    def recorded(self, folder: Path) -> None:
        """The record of the run, in its folder, is complete."""

    def page_written(self, page: Path) -> None:
        """The report on the run has been written as an HTML page."""

    def close(self) -> None:
        """The last event, regardless of how the run ended."""


class Observers(Observer):
    """An observer that passes each event on to several observers, one after another.

    They get only one event at a time. `stopping` comes from a thread of its own, and waits until the event before it is
    done. Without this, its sentence and a display that is being closed would mix on the screen.
    """

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = tuple(observers)
        self._lock = threading.RLock()


def _forwarding(event: str) -> Callable[..., None]:
    def forward(self: Observers, *arguments: object) -> None:
        with self._lock:  # pyright: ignore[reportPrivateUsage]
            for observer in self._observers:  # pyright: ignore[reportPrivateUsage]
                getattr(observer, event)(*arguments)

    return forward


for _event in [name for name in vars(Observer) if not name.startswith("_")]:
    setattr(Observers, _event, _forwarding(_event))
