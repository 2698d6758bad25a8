"""When a run ends, and the learning rate of every step: functions of where it stands and how its epochs went.

Nothing here remembers anything, so a resumed run has the rates of one that never stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi

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

    def averaged(self, step: int, epochs: Sequence[EpochReport]) -> float:
        """How much a step's weights count in the average of all: nothing before there is one, then 1, 1/2, 1/3 ...

        It begins when an epoch is no better than the best of those that lie `average_after` epochs back: with a rate
        that stays, weights then go to and fro around a better place than any of them is.
        """
        begin = self._averaging_begins(epochs)
        return 0.0 if begin is None else 1 / (step - begin)

    def _averaging_begins(self, epochs: Sequence[EpochReport]) -> int | None:
        """The step after which it does."""
        back = self.settings.average_after
        if back is None:
            return None
        for number in range(back, len(epochs)):
            if epochs[number].valid_perplexity > min(each.valid_perplexity for each in epochs[: number + 1 - back]):
                return epochs[number].step
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
