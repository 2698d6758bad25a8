"""The plan of a run: everything that is decided before the first step, in words, and the schedule of its steps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from math import cos, inf, pi
from pathlib import Path

from wordgen.corpus.catalogue import Split
from wordgen.corpus.settings import LineBreaks, PassageKind
from wordgen.dataset.batches import Batches
from wordgen.dataset.dataset import Dataset, SplitStatistics, TextConfig
from wordgen.errors import in_a_sentence
from wordgen.model.architecture import Architecture, shown_layers
from wordgen.model.base import Base
from wordgen.model.bundle import HeadStart
from wordgen.text.settings import TokenizerName
from wordgen.training.checkpoint import Position
from wordgen.training.memory import Memory
from wordgen.training.reports import EpochReport
from wordgen.training.settings import TrainingSettings


@dataclass(frozen=True)
class TextRecord:
    """The text of a run, and the way it was read."""

    corpus: str
    source: str
    """The file of the text, or the number of files and their folder, in words."""
    tokenizer: TokenizerName
    passage: PassageKind
    line_breaks: LineBreaks
    fold_width: bool
    notes: tuple[str, ...]
    """Notes on the way the text was read, as short sentences."""
    drop_latin: bool = False

    @classmethod
    def of(cls, text: TextConfig, source: str, notes: tuple[str, ...]) -> "TextRecord":
        """Return the record of a text that becomes tokens as `text` says."""
        shared = {each.name: getattr(text, each.name) for each in fields(cls) if each.name not in ("source", "notes")}
        return cls(source=source, notes=notes, **shared)


@dataclass(frozen=True)
class DatasetRecord:
    """The tokens of the text of a run."""

    fingerprint: str
    """The fingerprint of the ids. It is the same for runs that train on the same tokens of the same text."""
    types: int
    """The number of different tokens in the text."""
    special_tokens: int
    """The number of tokens in the vocabulary that are not words of the text."""
    splits: Mapping[Split, SplitStatistics]

    def known_types(self, vocabulary_size: int, head_start: HeadStart | None) -> int:
        """Return how many of the different tokens of the text are in the vocabulary of the run."""
        return vocabulary_size - self.special_tokens - (0 if head_start is None else head_start.besides)


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before the first step."""

    run: str
    folder: Path
    recipe: str | None
    """The recipe that its settings come from, and its purpose, in words."""
    text: TextRecord
    dataset: DatasetRecord
    architecture: Architecture
    settings: TrainingSettings
    steps_per_epoch: int

    workers: int = 1
    """The number of processes that share each batch."""
    devices: int = 1
    """The number of parts of the CPU among which a process divides its rows of the batch."""
    head_start: HeadStart | None = None
    """The model whose weights the run begins with. None if they are random."""
    models_flag: str = ""
    """The flag `--models` with its folder, for commands about the run. Empty if the run is in saved_models."""
    initial_weights_in_words: str | None = None
    """The base that the run begins from and the text that it was trained on, or why the run begins without a base.

    None if there is nothing to say.
    """

    @property
    def memory(self) -> Memory:
        """The memory that each worker needs."""
        tokens: dict[Split, int] = {split: counted.tokens for split, counted in self.dataset.splits.items()}
        return Memory.of(self.architecture, self.settings, tokens, self.workers, self.devices)


@dataclass(frozen=True)
class PreparedRun:
    """A plan and its data."""

    plan: Plan
    dataset: Dataset
    batches: Batches
    began: float
    """The time when the preparation of the run began, in seconds of `time.monotonic`."""
    base: Base | None
    """The base whose weights the run begins with. None if they are random."""


def plan_in_words(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield the lines of the plan. Each line is a pair of its subject and its text.

    The subject is an empty string if it is the same as in the previous line.
    """
    train, valid, test = (plan.dataset.splits[split] for split in ("train", "valid", "test"))
    shape = plan.architecture
    text = plan.text
    breaks = " with line breaks" if text.line_breaks == "kept" and text.passage != "line" else ""
    yield "corpus", f"{text.corpus}: {text.source}"
    yield "", f"{text.tokenizer} tokenizer, one passage per {text.passage}{breaks}"
    for note in text.notes:
        yield "", note
    if plan.initial_weights_in_words is not None:
        yield "begins from", plan.initial_weights_in_words
    if plan.head_start is not None:
        yield "begins from" if plan.initial_weights_in_words is None else "", plan.head_start.describe()
    if plan.recipe is not None:
        yield "recipe", plan.recipe
        yield "", "--recipe none uses the plain defaults; other flags change single settings of the recipe"
    yield "tokens", f"{train.tokens:,} for training, {valid.tokens:,} for validation, {test.tokens:,} for the test"
    known = plan.dataset.known_types(shape.vocabulary_size, plan.head_start)
    words = f"{known:,} of {plan.dataset.types:,} different tokens"
    yield "vocabulary", f"{words}, covering {1 - train.unknown_share:.1%} of the training text"
    shares = f"train {train.unknown_share:.1%}, valid {valid.unknown_share:.1%}, test {test.unknown_share:.1%}"
    yield "spelled out" if train.spelled else "UNKNOWN share", shares
    output = "output weights tied to the word vectors" if shape.tied else "separate output weights"
    yield "network", f"{shown_layers(shape)}, {output}, {shape.parameters:,} parameters"
    yield "memory", f"about {plan.memory.total / 2**30:.1f} GiB"
    yield from _describe_training(plan)


def _describe_training(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield the lines of the plan about the training."""
    settings = plan.settings
    length = f"at most {settings.epochs} epochs" if settings.time_budget is None else f"for {settings.time_budget}"
    rate = f"{settings.optimizer} with learning rate {settings.first_learning_rate:g}"
    rate += "" if settings.schedule == "constant" else f", {settings.schedule} schedule"
    steps = f"{plan.steps_per_epoch:,} steps of {settings.batch_size} x {settings.seq_len} tokens per epoch"
    yield "training", ", ".join([steps, length, rate, *_describe_regularization(settings, plan.architecture.layers)])
    by_step = ((settings.validate_every, "validates"), (settings.sample_every, "writes samples"))
    if events := [f"{event} every {every:,} steps" for every, event in by_step if every is not None]:
        yield "", f"{in_a_sentence(events)}, and after each epoch"
    if settings.sampled_output is not None and settings.sampled_output < plan.architecture.vocabulary_size:
        estimate = "so training perplexity is an estimate"
        yield "", f"each step uses only {settings.sampled_output:,} tokens of the vocabulary, {estimate}"


def _describe_regularization(settings: TrainingSettings, layers: int) -> Iterator[str]:
    """Yield the methods against overfitting that the settings use, in words."""
    locked = "locked " if settings.locked_dropout else ""
    rates = {settings.rate_after(place, layers) for place in range(layers + 1)}
    yield f"{locked}dropout {' to '.join(f'{rate:g}' for rate in (min(rates), max(rates))[: len(rates)])}"
    for name in ("word_dropout", "weight_drop", "label_smoothing", "weight_decay", "average_after"):
        value = getattr(settings, name)
        if value or (name == "average_after" and value is not None):
            yield f"{name.replace('_', ' ')} {value:g}"


_COSINE_FINAL_FACTOR = 0.02
_COSINE_WARM_UP_STEPS = 200
_MAX_WARM_UP_SHARE = 0.1
_DEFAULT_DECAY = {"exponential": 0.8, "plateau": 0.5}


@dataclass(frozen=True)
class Schedule:
    """The end of a run and the rate of each step, as functions of the position and the reports of past epochs.

    They keep no state, so a resumed run has the same learning rates as a run that was never interrupted.
    """

    settings: TrainingSettings
    steps_per_epoch: int
    last_step: int
    """The last step of the whole run, as planned. `patience` may end the run earlier."""

    @classmethod
    def of(cls, settings: TrainingSettings, steps_per_epoch: int, position: Position) -> "Schedule":
        """Return the schedule of a run at this position, which has the last step if a time budget has fixed it."""
        return cls(settings, steps_per_epoch, position.last_step or settings.epochs * steps_per_epoch)

    def reason_to_end(self, position: Position) -> str | None:
        """Return why a run at this position is finished, in words. None if it is not finished."""
        if (position.epoch - 1) * self.steps_per_epoch >= self.last_step:
            return "all epochs done" if self.settings.budget is None else "time budget used up"
        if position.epoch - 1 - position.best_epoch >= self.settings.patience:
            epochs = self.settings.patience
            return f"no improvement for {epochs} epoch{'' if epochs == 1 else 's'}"
        return None

    def rate(self, step: int, epochs: Sequence[EpochReport]) -> float:
        """Return the learning rate of a step. Steps count from 1. `epochs` are the reports of the epochs before it."""
        warm_up = min(1.0, step / self._warm_up) if self._warm_up else 1.0
        return self.settings.first_learning_rate * warm_up * self.rate_factor(step, epochs)

    def averaging_begins(self, epochs: Sequence[EpochReport]) -> int | None:
        """Return the step after which the weights of all steps are averaged. None as long as it is not known.

        Averaging begins as in AWD-LSTM: after the last step of the first epoch that is worse than the best of the
        epochs before it, where the last `average_after` of these do not count. With a constant learning rate, the
        weights then move around a point that is better than any of them. This function looks at all epochs, so call it
        once per epoch and not in each step.
        """
        if self.settings.average_after is None:
            return None
        best = inf
        for before, epoch in zip(epochs, epochs[self.settings.average_after + 1 :], strict=False):
            best = min(best, before.valid_perplexity)
            if epoch.valid_perplexity > best:
                return epoch.step
        return None

    def rate_factor(self, step: int, epochs: Sequence[EpochReport]) -> float:
        decay = self.settings.decay or _DEFAULT_DECAY.get(self.settings.schedule, 1.0)
        match self.settings.schedule:
            case "constant":
                return 1.0
            case "exponential":
                epochs_before = (step - 1) // self.steps_per_epoch
                return decay ** max(0, epochs_before + 1 - self.settings.decay_after)
            case "plateau":
                return decay ** sum(not (epoch.best or epoch.best_within_epoch) for epoch in epochs)
            case "cosine":
                begin = self._warm_up
                done = min(1.0, max(0, step - begin) / max(1, self.last_step - begin))
                return _COSINE_FINAL_FACTOR + (1 - _COSINE_FINAL_FACTOR) * (1 + cos(pi * done)) / 2

    @property
    def _warm_up(self) -> int:
        if self.settings.warm_up is not None:
            return self.settings.warm_up
        return (
            min(_COSINE_WARM_UP_STEPS, int(_MAX_WARM_UP_SHARE * self.last_step))
            if self.settings.schedule == "cosine"
            else 0
        )


def has_constant_rate(settings: TrainingSettings, steps_per_epoch: int, epochs: Sequence[EpochReport]) -> bool:
    """Return whether the learning rate did not fall in these epochs, the first of a run.

    That is so also if the schedule would have lowered it only later, for example `plateau` if each epoch was better.
    """
    if not epochs:
        return settings.schedule == "constant"
    last = epochs[-1].step
    return Schedule(settings, steps_per_epoch, last).rate_factor(last, epochs[:-1]) == 1
