"""The learning rate of every step, as a function of the step and of how the epochs went.

Nothing here remembers anything, so a resumed run has the rates of one that never stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi

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

    def rate(self, step: int, epochs: Sequence[EpochReport]) -> float:
        """The learning rate of a step (from 1), after the epochs so far."""
        return self.settings.first_learning_rate * self._warmth(step) * self._share(step, epochs)

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
