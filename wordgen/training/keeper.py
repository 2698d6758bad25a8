"""Keep the best model and the checkpoints on disk; a disk that refuses is warned of and tried again."""

import time
from collections.abc import Callable

from wordgen.bundle import Weights
from wordgen.errors import StorageError
from wordgen.training.checkpoint import Arrays, Checkpoints, Position
from wordgen.training.settings import CheckpointClock


class BestKeeper:
    """Saves the weights it is given; where the disk refuses, warns, remembers them and tries again later."""

    def __init__(self, save: Callable[[Weights], None], warn: Callable[[str], None]) -> None:
        self._save = save
        self._warn = warn
        self._unsaved: Weights | None = None

    def keep(self, weights: Weights) -> None:
        self._unsaved = weights
        try:
            self.finish()
        except StorageError as error:
            self._warn(f"The model is not saved yet. {error}")

    def finish(self) -> None:
        """Save what could not be saved before; here a disk that still refuses is an error."""
        if self._unsaved is not None:
            self._save(self._unsaved)
            self._unsaved = None


class CheckpointKeeper:
    """Saves checkpoints when they are due; a disk that refuses does not end the run."""

    def __init__(self, checkpoints: Checkpoints, clock: CheckpointClock, warn: Callable[[str], None]) -> None:
        self._checkpoints = checkpoints
        self._clock = clock
        self._warn = warn
        self._saved_at = time.monotonic()

    def keep_if_due(self, step: int, state: Callable[[], Arrays], position: Position) -> None:
        if self._clock.due(step, time.monotonic() - self._saved_at):
            self.keep(step, state, position)

    def keep(self, step: int, state: Callable[[], Arrays], position: Position) -> None:
        self._saved_at = time.monotonic()
        try:
            self._checkpoints.save(step, state(), position)
        except StorageError as error:
            self._warn(f"The checkpoint of step {step} is not saved; the next one will be tried. {error}")
