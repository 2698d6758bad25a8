"""How far a run is, put together from what is told of it."""

import time

from wordgen.evaluation.in_words import shown_perplexity
from wordgen.evaluation.measures import perplexity_of
from wordgen.training.reports import Begun, EpochReport, Sample, StepReport


class Standing:
    def __init__(self, begun: Begun, steps_per_epoch: int) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.last_step = begun.last_step
        self.epochs = -(-begun.last_step // steps_per_epoch)
        """The most that there may be."""
        self.done = list(begun.done)
        """The epochs that were measured."""
        self.step = begun.first_step - 1
        self.epoch = len(self.done) + 1
        self.step_in_epoch = self.step - len(self.done) * steps_per_epoch
        self.validated: float | None = None
        """The share of the valid part that is measured, while it is."""
        self._first_step, self._began = begun.first_step, time.monotonic()
        self._forget()

    def stepped(self, report: StepReport) -> None:
        self.validated = None
        if report.epoch != self.epoch:
            self._forget()
        self.epoch, self.step_in_epoch, self.step = report.epoch, report.step_in_epoch, report.step
        if report.first:  # whose time went into making the graph
            self._first_step, self._began = report.step, time.monotonic()
        else:
            self._timed += report.symbols
            self._seconds += report.seconds
        self._loss += report.loss * report.symbols
        self._symbols += report.symbols

    def validating(self, done: int, batches: int) -> None:
        self.validated = done / batches

    def epoch_ended(self, report: EpochReport) -> None:
        self.validated = None
        self.done.append(report)

    @property
    def best(self) -> EpochReport | None:
        return next((epoch for epoch in reversed(self.done) if epoch.best), None)

    @property
    def sample(self) -> Sample | None:
        """The newest that was drawn by its odds."""
        return next((epoch.samples[-1] for epoch in reversed(self.done) if epoch.samples), None)

    @property
    def place(self) -> str:
        return f"epoch {self.epoch}/{self.epochs} {self.place_in_epoch}"

    @property
    def place_in_epoch(self) -> str:
        if self.validated is not None:
            return f"validating {self.validated:.0%}"
        return f"step {self.step_in_epoch:,}/{self.steps_per_epoch:,}"

    @property
    def share_of_epoch(self) -> float:
        """Of its steps; of the valid part, while that is measured."""
        return self.step_in_epoch / self.steps_per_epoch if self.validated is None else self.validated

    @property
    def words(self) -> str:
        """The loss of the epoch so far, and how fast it goes."""
        symbols, seconds = self._symbols, self._seconds  # what is drawn by another thread may be forgotten meanwhile
        if not symbols:
            return ""
        loss = self._loss / symbols
        speed = f" {self._timed / seconds:,.0f} tokens/s" if seconds else ""
        return f"loss {loss:.3f} ppl {shown_perplexity(perplexity_of(loss))}{speed}"

    @property
    def seconds_left(self) -> float | None:
        """Until all epochs are done, at the speed so far; it may end sooner."""
        done = self.step - self._first_step
        if done < 1:
            return None
        return (time.monotonic() - self._began) / done * (self.last_step - self.step)

    def _forget(self) -> None:
        """Another epoch begins."""
        self._loss, self._symbols = 0.0, 0
        self._timed, self._seconds = 0, 0.0
