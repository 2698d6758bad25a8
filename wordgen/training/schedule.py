"""When a run ends, and the learning rate of every step: functions of where it stands and how its epochs went.

Nothing here remembers anything, so a resumed run has the rates of one that never stopped.
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
    """Of the whole run as it is planned."""

    @classmethod
    def of(cls, settings: TrainingSettings, steps_per_epoch: int, position: Position) -> "Schedule":
        """That of a run which stands there: a time budget has settled its last step, or else its epochs do."""
        return cls(settings, steps_per_epoch, position.last_step or settings.epochs * steps_per_epoch)

    def reason_to_end(self, position: Position) -> str | None:
        """Why a run that stands there has nothing left to do, if it has nothing."""
        if (position.epoch - 1) * self.steps_per_epoch >= self.last_step:
            return "all epochs done" if self.settings.budget is None else "the time is up"
        if position.epoch - 1 - position.best_epoch >= self.settings.patience:
            return f"no better for {self.settings.patience} epochs"
        return None

    def rate(self, step: int, epochs: Sequence[EpochReport]) -> float:
        """The learning rate of a step (from 1), after the epochs so far."""
        return self.settings.first_learning_rate * self._warmth(step) * self._share(step, epochs)

    def averaging_begins(self, epochs: Sequence[EpochReport]) -> int | None:
        """The step after which the weights of all steps are averaged; nothing before that is known.

        It is the last step of the first epoch that is worse than the best of the epochs before it, the last
        `average_after` of them left out, as AWD-LSTM has it: with a constant rate, weights then move around a better
        place than any of them is. This looks at every epoch, so ask once an epoch and not in each step.
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
                return decay ** sum(not epoch.best for epoch in epochs)
            case "cosine":
                begin = self._warm_up
                done = min(1.0, max(0, step - begin) / max(1, self.last_step - begin))
                return _COSINE_ENDS_AT + (1 - _COSINE_ENDS_AT) * (1 + cos(pi * done)) / 2

    def _warmth(self, step: int) -> float:
        return min(1.0, step / self._warm_up) if self._warm_up else 1.0

    @property
    def _warm_up(self) -> int:
        if self.settings.warm_up is not None:
            return self.settings.warm_up
        return min(_WARM_UP, int(_MOST_OF_A_RUN * self.last_step)) if self.settings.schedule == "cosine" else 0
