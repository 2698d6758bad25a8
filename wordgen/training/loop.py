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
from wordgen.model.network import Network
from wordgen.training.keeper import BestKeeper
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
    observers: Sequence[Observer]
    stop: StopRequest

    def run(self) -> Outcome:
        epochs: list[EpochReport] = []
        best, best_epoch = float("inf"), 0
        for epoch in range(1, self.settings.epochs + 1):
            if self.stop.requested:
                return Outcome("stopped", tuple(epochs), epoch - 1, stopped=True)
            began = time.monotonic()
            train_perplexity, step = self._learn(epoch)
            report = self._measure(epoch, step, train_perplexity, best, began)
            if report is not None:
                epochs.append(report)
                if report.best:
                    best, best_epoch = report.valid_perplexity, epoch
                for observer in self.observers:
                    observer.epoch_ended(report)
            if step < epoch * self.batches.steps_per_epoch:
                return Outcome("stopped", tuple(epochs), epoch - 1, stopped=True)
            if epoch - best_epoch >= self.settings.patience:
                return Outcome(f"no better for {self.settings.patience} epochs", tuple(epochs), epoch)
        return Outcome("all epochs done", tuple(epochs), self.settings.epochs)

    def _learn(self, epoch: int) -> tuple[float, int]:
        """Go through the text once, or until a stop is asked for; the epoch's perplexity and the last step."""
        steps = self.batches.steps_per_epoch
        carry = self.stepper.zero_carry()
        summed, counted = 0.0, 0
        step = (epoch - 1) * steps
        for step_in_epoch in range(steps):
            began = time.monotonic()
            step += 1
            inputs, targets = self.batches.batch(epoch, step_in_epoch)
            loss, count, norm, carry = self.stepper(inputs, targets, carry, step)
            if not (isfinite(loss) and isfinite(norm)):
                raise _diverged(epoch, step)
            summed, counted = summed + loss, counted + count
            report = StepReport(
                epoch=epoch,
                step_in_epoch=step_in_epoch + 1,
                step=step,
                loss=loss / max(1, count),
                gradient_norm=norm,
                learning_rate=float(self.stepper.optimizer.learning_rate),
                symbols=count,
                seconds=time.monotonic() - began,
            )
            for observer in self.observers:
                observer.stepped(report)
            if self.stop.requested:
                break
        return perplexity_of(summed / max(1, counted)), step

    def _measure(self, epoch: int, step: int, train_perplexity: float, best: float, began: float) -> EpochReport | None:
        """Validate, keep the weights if they are the best so far, write samples.

        Stopped a second time while it validates, it keeps what there is only if nothing was kept before.
        """
        valid_perplexity = self.evaluator.perplexity(keep_on=lambda: not self.stop.urgent)
        weights = self.network.to_weights()
        if valid_perplexity is None:
            if best == float("inf"):
                self.keeper.keep(weights)
            return None
        if not (isfinite(valid_perplexity) and isfinite(train_perplexity)):
            raise _diverged(epoch, step)
        improved = valid_perplexity < best
        if improved:
            self.keeper.keep(weights)
        samples = self.sampler(weights)
        seconds = time.monotonic() - began
        return EpochReport(epoch, step, train_perplexity, valid_perplexity, improved, seconds, samples)


def _diverged(epoch: int, step: int) -> DivergedError:
    kept = " The best model of the epochs before is kept." if epoch > 1 else ""
    return DivergedError(
        f"The training diverged in epoch {epoch}, step {step}: its loss has left all bounds. "
        f"Take a smaller --learning-rate, or let --clip be 1.{kept}"
    )
