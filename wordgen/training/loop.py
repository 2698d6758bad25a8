"""Epochs of steps, a measurement after each, the best model kept, and the reasons to stop.

With several workers each runs this same loop, and whatever leads it to go on, to save or to stop is the
same on all: what the step computed, or what they have told each other. Only the chief has anything that
writes or shows.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from wordgen.bundle import Weights
from wordgen.dataset.batches import Batches, PreparedBatches
from wordgen.errors import DivergedError
from wordgen.evaluation.measures import perplexity_of
from wordgen.evaluation.perplexity import Evaluator
from wordgen.model.network import Carry, Network
from wordgen.model.replicas import Replicas
from wordgen.training.checkpoint import Position
from wordgen.training.keeper import BestKeeper, CheckpointKeeper
from wordgen.training.reports import EpochReport, Observer, Outcome, StepReport, Written
from wordgen.training.schedule import Schedule
from wordgen.training.step import Stepper, Wishes
from wordgen.training.stopping import StopRequest

Sampler = Callable[[Weights], Written]


@dataclass
class Loop:
    network: Network
    replicas: Replicas
    stepper: Stepper
    batches: Batches
    evaluator: Evaluator
    schedule: Schedule
    sampler: Sampler
    keeper: BestKeeper
    checkpoints: CheckpointKeeper
    observers: Sequence[Observer]
    stop: StopRequest
    position: Position
    carry: Carry

    def __post_init__(self) -> None:
        self._prepared = PreparedBatches(self.batches)

    def run(self) -> Outcome:
        """Go on from the position to the end, or until there is a reason to stop."""
        while (reason := self.schedule.reason_to_end(self.position)) is None:
            if self._stop_is_wished() or not self._learn() or not self._end_epoch():
                return self._stopped()
        return self._outcome(reason)

    @property
    def step(self) -> int:
        """How many steps are done in all."""
        steps = (self.position.epoch - 1) * self.batches.steps_per_epoch + self.position.step_in_epoch
        return min(steps, self.schedule.last_step)

    def _stop_is_wished(self) -> bool:
        return bool(self.replicas.sum_over_workers(np.array([self.stop.requested], np.int64))[0])

    def _learn(self) -> bool:
        """Go through the rest of the epoch; whether it came to its end, or a stop was asked for before."""
        position = self.position
        end = min(position.epoch * self.batches.steps_per_epoch, self.schedule.last_step)
        averaging_begins = self.schedule.averaging_begins(position.epochs)
        while self.step < end:
            stop, save = self._call_stepper(end, averaging_begins)
            if stop and self.step < end:
                return False
            if save and self.step < end:
                self._save()
        return True

    def _call_stepper(self, end: int, averaging_begins: int | None) -> tuple[bool, bool]:
        """One call of the stepper; whether a worker wants to stop, and whether a checkpoint is due."""
        began, position, first = time.monotonic(), self.position, not self.stepper.has_run
        until_save = self.checkpoints.steps_left(self.step)
        number = 1 if first else self._steps_of_call(self.step, end)
        windows = self._prepared.take(position.epoch, position.step_in_epoch, number)
        if next_number := self._steps_of_call(self.step + number, end):
            self._prepared.prepare(position.epoch, position.step_in_epoch + number, next_number)
        rates = [self.schedule.rate(self.step + k, position.epochs) for k in range(1, number + 1)]
        shares = [
            0.0 if averaging_begins is None else 1 / (self.step + k - averaging_begins) for k in range(1, number + 1)
        ]
        done, wished, self.carry = self.stepper(windows, self.carry, self.step + 1, rates, self._wishes(), shares)
        seconds = (time.monotonic() - began) / number
        for one, rate in zip(done, rates, strict=True):
            position.step_in_epoch += 1
            if not (isfinite(one.loss) and isfinite(one.norm)):
                raise _diverged(position.epoch, self.step, self.schedule.settings.clip)
            position.summed_loss += one.loss
            position.counted += one.count
            position.seconds += seconds
            report = StepReport(
                epoch=position.epoch,
                step_in_epoch=position.step_in_epoch,
                step=self.step,
                loss=one.loss / max(1, one.count),
                gradient_norm=one.norm,
                learning_rate=rate,
                symbols=one.count,
                seconds=seconds,
                first=first,
            )
            for observer in self.observers:
                observer.stepped(report)
        # With others, what all told each other along with the steps counts; alone, what is wished by now.
        stop, save = wished if self.replicas.workers > 1 else self._wishes()
        return stop, save or number == until_save

    def _steps_of_call(self, done: int, end: int) -> int:
        """How many steps the call does that begins behind so many: none behind the last."""
        return min(self.stepper.most_steps, end - done, self.checkpoints.steps_left(done) or end)

    def _wishes(self) -> Wishes:
        return self.stop.requested, self.replicas.chief and self.checkpoints.time_is_up

    def _end_epoch(self) -> bool:
        """Measure, tell, and stand at the beginning of the next epoch, with a checkpoint of that.

        Stopped while it measures, it stands at the epoch's end still, and a resumed run begins with the measuring.
        """
        report = self._measure()
        if report is None:
            return False
        position = self.position
        position.epochs.append(report)
        if report.best:
            position.best, position.best_epoch = report.valid_perplexity, position.epoch
        position.epoch += 1
        position.step_in_epoch = position.counted = 0
        position.summed_loss = 0.0
        self.carry = self.stepper.zero_carry()
        self._save()
        return True

    def _stopped(self) -> Outcome:
        """Save where the run stands. If no model was kept before, keep what there is."""
        if self.step == 0:
            return self._outcome("stopped", stopped=True)
        self._save()
        report = self._measure() if self.position.best is None else None
        return self._outcome("stopped", partial=report, stopped=True)

    def _measure(self) -> EpochReport | None:
        """Validate, keep the weights if they are the best so far, write samples, tell the observers.

        Stopped a second time while it validates, it keeps what there is only if nothing was kept before.
        """
        began, position = time.monotonic(), self.position
        averaged = self.schedule.averaging_begins(position.epochs) is not None
        weights = self.stepper.weights(averaged=averaged)
        valid_perplexity = self.evaluator.perplexity(weights, lambda: not self.stop.urgent, self._tell_of_validating)
        if valid_perplexity is None:
            if position.best is None:
                self.keeper.keep(weights)
            return None
        train_perplexity = perplexity_of(position.summed_loss / max(1, position.counted))
        if not (isfinite(valid_perplexity) and isfinite(train_perplexity)):
            raise _diverged(position.epoch, self.step, self.schedule.settings.clip)
        best = position.best is None or valid_perplexity < position.best
        written = self.sampler(weights)
        position.seconds += time.monotonic() - began
        seconds = position.seconds - sum(epoch.seconds for epoch in position.epochs)
        report = EpochReport(
            epoch=position.epoch,
            step=self.step,
            train_perplexity=train_perplexity,
            valid_perplexity=valid_perplexity,
            best=best,
            seconds=seconds,
            samples=written.samples,
            averaged=averaged,
            distinct_2=written.distinct_2,
            longest_copy=written.longest_copy,
        )
        for observer in self.observers:
            observer.epoch_ended(report)
        if best:
            self.keeper.keep(weights, report)
        return report

    def _tell_of_validating(self, done: int) -> None:
        for observer in self.observers:
            observer.validating(done, self.evaluator.batches)

    def _save(self) -> None:
        """All workers gather the state, and the chief has a keeper that writes it.

        A checkpoint says which epoch was the best, so it waits until the model of that epoch is saved: a run that is
        killed before goes on from an older checkpoint, and reaches that model again.
        """
        state = self.stepper.state(self.carry)
        if self.keeper.try_again():
            self.checkpoints.keep(self.step, state, self.position)

    def _outcome(self, reason: str, *, partial: EpochReport | None = None, stopped: bool = False) -> Outcome:
        epochs = (*self.position.epochs, partial) if partial else tuple(self.position.epochs)
        return Outcome(reason, epochs, self.position.epoch - 1, stopped)


def _diverged(epoch: int, step: int, clip: float) -> DivergedError:
    or_clip = ", or let --clip be 1" if clip == 0 or clip > 1 else ""
    kept = " The best model of the epochs before is kept." if epoch > 1 else ""
    return DivergedError(
        f"The training diverged in epoch {epoch}, step {step}: its loss has left all bounds. "
        f"Take a smaller --learning-rate{or_clip}.{kept}"
    )
