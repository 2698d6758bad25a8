"""One run of the study: trains until there is a reason to end, and continues exactly where it was stopped."""

import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, fields
from math import isfinite
from pathlib import Path

import numpy as np

from wordgen.errors import BundleError
from wordgen.files import make_folder
from wordgen.palindromes.results import Ended, Limits, Point, Progress, RunObserver, RunResult, save_result
from wordgen.palindromes.settings import LearningSettings, StudyRun, trainable_parameters
from wordgen.palindromes.trainer import Trainer, draw_palindromes, random_generator
from wordgen.training.checkpoint import Checkpoints, Position

VALIDATED, TESTED, WITH_GRADIENTS = 512, 4096, 64
"""The numbers of palindromes in the validation set and in the test set, and of those whose gradients are measured."""
_SECONDS_BETWEEN_CHECKPOINTS = 20.0


class PalindromeRun:
    """A run of the study. It continues from its newest checkpoint, if there is one."""

    def __init__(self, run: StudyRun, settings: LearningSettings, folder: Path, observer: RunObserver) -> None:
        make_folder(folder)
        self._run, self._settings, self._folder, self._observer = run, settings, folder, observer
        self._valid = draw_palindromes(VALIDATED, run.length, random_generator(run, "valid"))
        self._trainer = Trainer(run, settings)
        self._checkpoints = Checkpoints(folder, observer.warned)
        self._progress = self._restored()
        self._counted_until = self._saved_at = time.monotonic()

    def train(self, limits: Limits, stopped: Callable[[], bool] = lambda: False) -> RunResult | None:
        """Train to the end of the run, save the result and return it.

        Return None if `stopped` returns True before: then only a checkpoint is saved.
        """
        self._counted_until = self._saved_at = time.monotonic()
        self._observer.begun(self._progress)
        while (ended := self._reason_to_end(limits)) is None:
            if stopped():
                self._save()
                return None
            self._step()
        self._save()
        result = self._result(ended, limits)
        save_result(self._folder, result)
        return result

    def _restored(self) -> Progress:
        """Load the newest checkpoint, and return its progress. Without one, return the beginning of the run."""
        checkpoint = self._checkpoints.newest()
        if checkpoint is None:
            return Progress(gradients_before=self._gradient_norms())
        arrays = dict(checkpoint.arrays)
        try:
            sums, curve, before = (arrays.pop(name) for name in ("sums", "curve", "gradients_before"))
            points = [_point(row) for row in curve.tolist()]
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"The checkpoint in {self._folder} belongs to another kind of run: use another --name, or remove this "
                "folder."
            ) from error
        self._trainer.restore(arrays)
        position = checkpoint.position
        return Progress(position.step_in_epoch, position.seconds, sums.tolist(), points, before.tolist())

    def _reason_to_end(self, limits: Limits) -> Ended | None:
        progress = self._progress
        if not all(map(isfinite, progress.sums)):
            return "diverged"
        if progress.solved and self._settings.stop_when_solved:
            return "solved"
        if progress.step >= limits.steps:
            return "all steps done"
        if limits.seconds is not None and progress.seconds >= limits.seconds:
            return "the time is up"
        return None

    def _step(self) -> None:
        progress = self._progress
        generator = random_generator(self._run, "train", progress.step)
        done = self._trainer.step(draw_palindromes(self._settings.batch_size, self._length, generator))
        progress.step += 1
        found = (done.loss, done.accuracy, done.gradient_norm)
        progress.sums = [one + other for one, other in zip(progress.sums, found, strict=True)]
        if progress.steps_since_point == self._settings.measure_every and all(map(isfinite, progress.sums)):
            progress.curve.append(self._next_point())
            progress.sums = [0.0, 0.0, 0.0]
            self._observer.measured(progress.curve[-1])
        self._count_time()
        self._observer.stepped(progress)

    @property
    def _length(self) -> int:
        return self._progress.length(self._run, self._settings)

    def _next_point(self) -> Point:
        progress = self._progress
        loss, accuracy, norm = (value / progress.steps_since_point for value in progress.sums)
        valid = self._trainer.measure(self._valid)
        return Point(progress.step, self._length, loss, accuracy, norm, valid.loss, valid.accuracy)

    def _count_time(self) -> None:
        """Add the time since the last call to the training time, and save a checkpoint every 20 seconds."""
        now = time.monotonic()
        self._progress.seconds += now - self._counted_until
        self._counted_until = now
        if now - self._saved_at > _SECONDS_BETWEEN_CHECKPOINTS:
            self._save()

    def _save(self) -> None:
        progress = self._progress
        points = [astuple(point) for point in progress.curve]
        own = {
            "sums": np.array(progress.sums, np.float64),
            "curve": np.array(points, np.float64).reshape(-1, len(fields(Point))),
            "gradients_before": np.array(progress.gradients_before, np.float64),
        }
        position = Position(step_in_epoch=progress.step, seconds=progress.seconds)
        self._checkpoints.save(progress.step, {**self._trainer.snapshot(), **own}, position)
        self._saved_at = time.monotonic()

    def _result(self, ended: Ended, limits: Limits) -> RunResult:
        progress = self._progress
        rest = [self._next_point()] if progress.steps_since_point and ended != "diverged" else []
        test = self._trainer.measure(draw_palindromes(TESTED, self._run.length, random_generator(self._run, "test")))
        return RunResult(
            cell=self._run.cell,
            length=self._run.length,
            random_seed=self._run.random_seed,
            parameters=trainable_parameters(self._run.cell, self._settings),
            ended=ended,
            time_budget=limits.time_budget if ended == "the time is up" else None,
            steps=progress.step,
            seconds=progress.seconds,
            test_palindromes=TESTED,
            accuracy=test.accuracy,
            loss=test.loss,
            curve=(*progress.curve, *rest),
            gradients_before=tuple(progress.gradients_before),
            gradients_after=tuple(self._gradient_norms()),
        )

    def _gradient_norms(self) -> list[float]:
        return self._trainer.gradient_norms(self._valid[:WITH_GRADIENTS]).tolist()


def _point(row: Sequence[float]) -> Point:
    step, length, *figures = row
    return Point(int(step), int(length), *figures)
