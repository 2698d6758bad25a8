"""Epochs of steps, a measurement after each, the best model kept, and the reasons to stop."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

from wordgen.bundle import Weights
from wordgen.dataset.batches import Batches
from wordgen.errors import DivergedError
from wordgen.evaluation.measures import perplexity_of
from wordgen.evaluation.perplexity import Evaluator
from wordgen.model.network import Carry, Network
from wordgen.training.checkpoint import Arrays, Position
from wordgen.training.keeper import BestKeeper, CheckpointKeeper
from wordgen.training.reports import EpochReport, Observer, Sample, StepReport
from wordgen.training.settings import TrainingSettings
from wordgen.training.step import Stepper
from wordgen.training.stopping import StopRequest

Sampler = Callable[[Weights], tuple[Sample, ...]]


@dataclass(frozen=True)
class Outcome:
    reason: str
    epochs: tuple[EpochReport, ...]
    whole_epochs: int
    stopped: bool = False

    @property
    def best(self) -> EpochReport | None:
        return next((epoch for epoch in reversed(self.epochs) if epoch.best), None)


@dataclass
class Loop:
    network: Network
    stepper: Stepper
    batches: Batches
    evaluator: Evaluator
    settings: TrainingSettings
    sampler: Sampler
    keeper: BestKeeper
    checkpoints: CheckpointKeeper
    observers: Sequence[Observer]
    stop: StopRequest
    position: Position
    carry: Carry

    def run(self) -> Outcome:
        """Go on from the position to the end, or until there is a reason to stop."""
        while self.position.epoch <= self.settings.epochs:
            if self.stop.requested:
                return self._stopped()
            self._learn()
            if self.position.step_in_epoch < self.batches.steps_per_epoch:
                return self._stopped()
            self._end_epoch()
            if self.position.epoch - 1 - self.position.best_epoch >= self.settings.patience:
                return self._outcome(f"no better for {self.settings.patience} epochs")
        return self._outcome("all epochs done")

    @property
    def step(self) -> int:
        """How many steps are done in all."""
        return (self.position.epoch - 1) * self.batches.steps_per_epoch + self.position.step_in_epoch

    def _learn(self) -> None:
        """Go through the rest of the epoch, or until a stop is asked for."""
        position, first = self.position, not self.stepper.has_run
        while position.step_in_epoch < self.batches.steps_per_epoch and not self.stop.requested:
            began = time.monotonic()
            inputs, targets = self.batches.batch(position.epoch, position.step_in_epoch)
            loss, count, norm, self.carry = self.stepper(inputs, targets, self.carry, self.step + 1)
            position.step_in_epoch += 1
            if not (isfinite(loss) and isfinite(norm)):
                raise _diverged(position.epoch, self.step)
            position.summed_loss += loss
            position.counted += count
            report = StepReport(
                epoch=position.epoch,
                step_in_epoch=position.step_in_epoch,
                step=self.step,
                loss=loss / max(1, count),
                gradient_norm=norm,
                learning_rate=float(self.stepper.optimizer.learning_rate),
                symbols=count,
                seconds=time.monotonic() - began,
                first=first,
            )
            first = False
            position.seconds += report.seconds
            for observer in self.observers:
                observer.stepped(report)
            if position.step_in_epoch < self.batches.steps_per_epoch:
                self.checkpoints.keep_if_due(self.step, self._state, position)

    def _end_epoch(self) -> None:
        """Measure, tell, and stand at the beginning of the next epoch, with a checkpoint of that."""
        report = self._measure()
        position = self.position
        if report is not None:
            position.epochs.append(report)
            if report.best:
                position.best, position.best_epoch = report.valid_perplexity, position.epoch
        position.epoch += 1
        position.step_in_epoch = position.counted = 0
        position.summed_loss = 0.0
        self.carry = self.stepper.zero_carry()
        self.checkpoints.keep(self.step, self._state, position)

    def _stopped(self) -> Outcome:
        """Save where the run stands. If no model was kept before, keep what there is."""
        if self.step == 0:
            return self._outcome("stopped", stopped=True)
        self.checkpoints.keep(self.step, self._state, self.position)
        report = self._measure() if self.position.best is None else None
        return self._outcome("stopped", partial=report, stopped=True)

    def _measure(self) -> EpochReport | None:
        """Validate, keep the weights if they are the best so far, write samples, tell the observers.

        Stopped a second time while it validates, it keeps what there is only if nothing was kept before.
        """
        began, position = time.monotonic(), self.position
        valid_perplexity = self.evaluator.perplexity(keep_on=lambda: not self.stop.urgent)
        weights = self.network.to_weights()
        if valid_perplexity is None:
            if position.best is None:
                self.keeper.keep(weights)
            return None
        train_perplexity = perplexity_of(position.summed_loss / max(1, position.counted))
        if not (isfinite(valid_perplexity) and isfinite(train_perplexity)):
            raise _diverged(position.epoch, self.step)
        best = position.best is None or valid_perplexity < position.best
        if best:
            self.keeper.keep(weights)
        samples = self.sampler(weights)
        position.seconds += time.monotonic() - began
        seconds = position.seconds - sum(epoch.seconds for epoch in position.epochs)
        report = EpochReport(position.epoch, self.step, train_perplexity, valid_perplexity, best, seconds, samples)
        for observer in self.observers:
            observer.epoch_ended(report)
        return report

    def _state(self) -> Arrays:
        return self.stepper.state(self.carry)

    def _outcome(self, reason: str, *, partial: EpochReport | None = None, stopped: bool = False) -> Outcome:
        epochs = (*self.position.epochs, partial) if partial else tuple(self.position.epochs)
        return Outcome(reason, epochs, self.position.epoch - 1, stopped)


def _diverged(epoch: int, step: int) -> DivergedError:
    kept = " The best model of the epochs before is kept." if epoch > 1 else ""
    return DivergedError(
        f"The training diverged in epoch {epoch}, step {step}: its loss has left all bounds. "
        f"Take a smaller --learning-rate, or let --clip be 1.{kept}"
    )
