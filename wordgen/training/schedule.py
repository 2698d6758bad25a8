"""The end of a run and the learning rate of every step, as functions of the position and the reports of past epochs.

These functions keep no state, so a resumed run has the same learning rates as a run that was never interrupted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, inf, pi

from wordgen.training.checkpoint import Position
from wordgen.training.reports import EpochReport
from wordgen.training.settings import TrainingSettings

_COSINE_ENDS_AT = 0.02
_WARM_UP = 200
_MOST_OF_A_RUN = 0.1
_DECAY = {"exponential": 0.8, "plateau": 0.5}


@dataclass(frozen=True)
class Schedule:
    settings: TrainingSettings
    steps_per_epoch: int
    last_step: int
    """The last step of the whole run, as planned. `patience` may end the run earlier."""

    @classmethod
    def of(cls, settings: TrainingSettings, steps_per_epoch: int, position: Position) -> "Schedule":
        """Return the schedule of a run at this position.

        The last step comes from the position if a time budget has settled it, and otherwise from the number of epochs.
        """
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
        return self.settings.first_learning_rate * warm_up * self._share(step, epochs)

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

    def _share(self, step: int, epochs: Sequence[EpochReport]) -> float:
        decay = self.settings.decay or _DECAY.get(self.settings.schedule, 1.0)
        match self.settings.schedule:
            case "constant":
                return 1.0
            case "exponential":
                epochs_before = (step - 1) // self.steps_per_epoch
                return decay ** max(0, epochs_before + 1 - self.settings.decay_after)
            case "plateau":
                return decay ** sum(not (epoch.best or epoch.best_within) for epoch in epochs)
            case "cosine":
                begin = self._warm_up
                done = min(1.0, max(0, step - begin) / max(1, self.last_step - begin))
                return _COSINE_ENDS_AT + (1 - _COSINE_ENDS_AT) * (1 + cos(pi * done)) / 2

    @property
    def _warm_up(self) -> int:
        if self.settings.warm_up is not None:
            return self.settings.warm_up
        return min(_WARM_UP, int(_MOST_OF_A_RUN * self.last_step)) if self.settings.schedule == "cosine" else 0


def rate_stayed(settings: TrainingSettings, steps_per_epoch: int, epochs: Sequence[EpochReport]) -> bool:
    """Return whether the learning rate did not fall in these epochs, the first of a run.

    That is so also if the schedule would have lowered it only later, for example `plateau` if each epoch was better.
    """
    if not epochs:
        return settings.schedule == "constant"
    last = epochs[-1].step
    return Schedule(settings, steps_per_epoch, last)._share(last, epochs[:-1]) == 1
