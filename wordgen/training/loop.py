"""The training loop: runs epochs of steps, validates after each epoch, keeps the best model, and decides when to stop.

With `validate_every` and `sample_every`, it also validates and writes samples within an epoch. If several things are
due after a step, the validation comes first, then the samples, then the checkpoint, which records both. What is due
depends only on the step and the position, so a resumed run does what an interrupted run has left undone.

With several workers, each of them runs this loop. All of them take the same decisions to go on, to save or to stop,
because the decisions depend only on results of the steps and on what the workers have sent each other. Only the chief
has a saver that writes files and an observer that shows the progress.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np

from wordgen.dataset.batches import Batches, PreparedBatches
from wordgen.errors import DivergedError
from wordgen.evaluation.measurement import perplexity_of
from wordgen.evaluation.perplexity import Evaluator
from wordgen.model.bundle import Weights
from wordgen.network.network import State
from wordgen.network.replicas import Replicas
from wordgen.training.checkpoint import BestModelSaver, CheckpointSaver, Position
from wordgen.training.plan import Schedule
from wordgen.training.reports import EpochReport, Observer, Outcome, SampleReport, StepReport
from wordgen.training.step import Requests, Stepper
from wordgen.training.stopping import StopRequest

_BUDGET_CHECKS = 10
"""How often a run with a time budget compares its speed with the plan."""
_BUDGET_TOLERANCE = 1.05
"""A run that would last longer than its time budget by this factor is shortened."""

Sampler = Callable[[Weights, int, int], SampleReport]
"""Writes samples with these weights, and returns their report. Also receives the epoch and the step for it."""


@dataclass(kw_only=True)
class Loop:
    replicas: Replicas
    stepper: Stepper
    batches: Batches
    evaluator: Evaluator
    schedule: Schedule
    sampler: Sampler
    best_model_saver: BestModelSaver
    checkpoint_saver: CheckpointSaver
    observer: Observer
    stop: StopRequest
    position: Position
    state: State

    def __post_init__(self) -> None:
        self._prepared = PreparedBatches(self.batches)
        self._timing_start = self.step, self.position.seconds

    def run(self) -> Outcome:
        """Train from the current position to the end of the run, or until a stop is requested."""
        while (reason := self.schedule.reason_to_end(self.position)) is None:
            stop = self.replicas.sum_over_workers(np.array([self.stop.requested], np.int64))[0]
            if stop or not self._train_epoch() or not self._end_epoch():
                return self._stop()
        return self.position.outcome(reason)

    @property
    def step(self) -> int:
        """The number of steps done since the beginning of the run."""
        steps = (self.position.epoch - 1) * self.batches.steps_per_epoch + self.position.step_in_epoch
        return min(steps, self.schedule.last_step)

    @property
    def _epoch_end(self) -> int:
        """The last step of the current epoch."""
        return min(self.position.epoch * self.batches.steps_per_epoch, self.schedule.last_step)

    def _train_epoch(self) -> bool:
        """Train for the rest of the epoch. Return False if a stop was requested before its end."""
        averaging_begins = self.schedule.averaging_begins(self.position.epochs)
        if not self._validate_and_sample_if_due():  # a resumed run may have stopped before it did that
            return False
        while self.step < self._epoch_end:
            before = self.step
            stop, save = self._call_stepper(averaging_begins)
            self._shorten_to_budget(before)
            if stop and self.step < self._epoch_end:
                return False
            if not self._validate_and_sample_if_due():
                return False
            if save and self.step < self._epoch_end:
                self._save()
        return True

    def _call_stepper(self, averaging_begins: int | None) -> tuple[bool, bool]:
        """Call the stepper once, for several steps. The first call of a process does only one, which builds the graph.

        Return whether a worker wants to stop, and whether a checkpoint is due. Raises DivergedError if the loss or the
        gradient is not finite.
        """
        began, position, first = time.monotonic(), self.position, not self.stepper.has_run
        until_save = self.checkpoint_saver.steps_left(self.step)
        number = 1 if first else self._steps_of_call(self.step)
        windows = self._prepared.take(position.epoch, position.step_in_epoch, number)
        if next_number := self._steps_of_call(self.step + number):
            self._prepared.prepare(position.epoch, position.step_in_epoch + number, next_number)
        steps = range(self.step + 1, self.step + number + 1)
        rates = [self.schedule.rate(step, position.epochs) for step in steps]
        average_shares = [0.0 if averaging_begins is None else 1 / (step - averaging_begins) for step in steps]
        results, requested, self.state = self.stepper(
            windows, self.state, self.step + 1, rates, self._requests(), average_shares
        )
        seconds = (time.monotonic() - began) / number
        for result, rate in zip(results, rates, strict=True):
            position.step_in_epoch += 1
            if not (isfinite(result.loss) and isfinite(result.norm)):
                raise self._diverged()
            position.summed_loss += result.loss
            position.counted_targets += result.count
            position.seconds += seconds
            report = StepReport(
                epoch=position.epoch,
                step_in_epoch=position.step_in_epoch,
                step=self.step,
                loss=result.loss / max(1, result.count),
                gradient_norm=result.norm,
                learning_rate=rate,
                tokens=result.count,
                seconds=seconds,
                first=first,
            )
            self.observer.stepped(report)
        if first:  # most of its time was spent on building the graph
            self._timing_start = self.step, position.seconds
        # Several workers go by the requests that they exchanged during the steps. A single worker uses the newest ones.
        stop, save = requested if self.replicas.workers > 1 else self._requests()
        return stop, save or number == until_save

    def _shorten_to_budget(self, before: int) -> None:
        """Shorten a run that would last longer than its time budget, because the machine has become slower.

        It is checked ten times in a run. `before` is the step before the latest call of the stepper.
        """
        position, step, last = self.position, self.step, self.schedule.last_step
        allowed = position.seconds_allowed
        if allowed is None or before * _BUDGET_CHECKS // last == step * _BUDGET_CHECKS // last:
            return
        first_step, first_second = self._timing_start
        per_step = (position.seconds - first_second) / max(1, step - first_step)  # 0 after the first step of a process
        left = allowed - position.seconds
        if position.seconds + per_step * (last - step) > _BUDGET_TOLERANCE * allowed:
            last = step + (int(left / per_step) if left > 0 else 0)
        last = self.replicas.broadcast_value(last)
        if last < self.schedule.last_step:
            position.last_step = last
            self.schedule = replace(self.schedule, last_step=last)
            self.observer.shortened(last)

    def _steps_of_call(self, done: int) -> int:
        """Return how many steps the next call does after `done` steps. 0 if the epoch ends with step `done`."""
        settings = self.schedule.settings
        until_due = [every - done % every for every in (settings.validate_every, settings.sample_every) if every]
        return min(
            self.stepper.max_steps,
            self._epoch_end - done,
            self.checkpoint_saver.steps_left(done) or self._epoch_end,
            *until_due,
        )

    def _requests(self) -> Requests:
        return self.stop.requested, self.replicas.is_chief and self.checkpoint_saver.is_due

    def _validate_and_sample_if_due(self) -> bool:
        """Validate and write samples, if that is due at this step within the epoch.

        Return False if the user asks twice to stop before the validation is finished. Then a resumed run begins with
        the validation.
        """
        position, settings = self.position, self.schedule.settings
        validated = position.validations[-1].step if position.validations else 0
        if self._is_due(settings.validate_every, validated):
            report = self._validate(within_epoch=True)
            if report is None:
                return False
            position.validations.append(report)
            self._update_best(report)
        if self._is_due(settings.sample_every, position.last_sample_step):
            self._write_samples()
        return True

    def _is_due(self, every: int | None, last: int) -> bool:
        """Return whether something is due that was last done at step `last`. The end of an epoch does it anyway."""
        within = self.position.step_in_epoch > 0 and self.step < self._epoch_end
        return every is not None and within and self.step % every == 0 and self.step != last

    def _update_best(self, report: EpochReport) -> None:
        if report.best:
            self.position.best, self.position.best_epoch = report.valid_perplexity, report.epoch

    def _write_samples(self) -> None:
        began, position = time.monotonic(), self.position
        weights, _ = self._weights()
        report = self.sampler(weights, position.epoch, self.step)
        position.last_sample_step = self.step
        position.seconds += time.monotonic() - began
        self.observer.sampled(report)

    def _weights(self) -> tuple[Weights, bool]:
        """Return the weights to validate and to write with, and whether they are the average over many steps."""
        averaged = self.schedule.averaging_begins(self.position.epochs) is not None
        return self.stepper.weights(averaged=averaged), averaged

    def _end_epoch(self) -> bool:
        """Validate, report, move on to the beginning of the next epoch, and save a checkpoint.

        Return False if the user asks twice to stop before the validation is finished. Then the position stays at the
        end of the epoch, and a resumed run begins with the validation.
        """
        report = self._validate()
        if report is None:
            return False
        position = self.position
        position.epochs.append(report)
        self._update_best(report)
        position.epoch += 1
        position.step_in_epoch = position.counted_targets = 0
        position.summed_loss = 0.0
        self.state = self.stepper.zero_state()
        self._save()
        return True

    def _stop(self) -> Outcome:
        """Save a checkpoint of the current position. If no model was kept before, keep the current one."""
        if self.step == 0:
            return self.position.outcome("stopped", stopped=True)
        self._save()
        report = self._validate() if self.position.best is None else None
        return self.position.outcome("stopped", partial=report, stopped=True)

    def _validate(self, *, within_epoch: bool = False) -> EpochReport | None:
        """Validate, write samples, notify the observers, and keep the weights if they are the best so far.

        With `within_epoch`, the epoch is not at its end. Then no samples are written: they have steps of their own.

        Return None if the user asks twice to stop before the validation is finished. Then the weights are kept only if
        no model was kept before. Raises DivergedError if a perplexity is not finite.
        """
        began, position = time.monotonic(), self.position
        weights, averaged = self._weights()
        valid_perplexity = self.evaluator.perplexity(
            weights,
            lambda: not self.stop.is_urgent,
            lambda done: self.observer.validating(done, self.evaluator.batches),
        )
        if valid_perplexity is None:
            if position.best is None:
                self.best_model_saver.save(weights)
            return None
        train_perplexity = perplexity_of(position.summed_loss / max(1, position.counted_targets))
        if not (isfinite(valid_perplexity) and isfinite(train_perplexity)):
            raise self._diverged()
        best = position.best is None or valid_perplexity < position.best
        epoch_and_step = position.epoch, self.step
        written = SampleReport(*epoch_and_step) if within_epoch else self.sampler(weights, *epoch_and_step)
        position.seconds += time.monotonic() - began
        report = EpochReport(
            **vars(written),
            train_perplexity=train_perplexity,
            valid_perplexity=valid_perplexity,
            best=best,
            seconds=position.seconds - sum(epoch.seconds for epoch in position.epochs),
            averaged=averaged,
            within_epoch=within_epoch,
            best_within_epoch=not within_epoch and position.best_epoch == position.epoch,
        )
        (self.observer.validated if within_epoch else self.observer.epoch_ended)(report)
        if best:
            self.best_model_saver.save(weights, report)
        return report

    def _save(self) -> None:
        """Save a checkpoint. All workers call this, because the state is gathered from all. The chief writes it.

        A checkpoint records which validation was the best, so it is written only after the model of that validation is
        saved. If the run is killed before, it resumes from an older checkpoint and reaches that model again.
        """
        snapshot = self.stepper.snapshot(self.state)
        if self.best_model_saver.retry():
            self.checkpoint_saver.save_in_background(self.step, snapshot, self.position)

    def _diverged(self) -> DivergedError:
        clip = self.schedule.settings.clip
        or_clip = " or --clip 1" if clip == 0 or clip > 1 else ""
        is_saved = self.best_model_saver.retry() and self.position.best is not None
        saved_note = " The best model so far is saved." if is_saved else ""
        return DivergedError(
            f"The training diverged in epoch {self.position.epoch}, step {self.step}: the loss or the gradient is no "
            f"longer a finite number. Use a smaller --learning-rate{or_clip}.{saved_note}"
        )
