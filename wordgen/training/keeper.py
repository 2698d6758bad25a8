"""Keep the best model and the checkpoints on disk; a disk that refuses is warned of and tried again."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from wordgen.bundle import Weights
from wordgen.errors import StorageError
from wordgen.training.checkpoint import Arrays, Checkpoints, Position
from wordgen.training.reports import EpochReport
from wordgen.training.settings import CheckpointClock


class BestKeeper:
    """Saves the weights it is given; where the disk refuses, warns, remembers them and tries again later."""

    def __init__(
        self,
        save: Callable[[Weights], None],
        warn: Callable[[str], None],
        saved: Callable[[EpochReport], None] = lambda report: None,
    ) -> None:
        """`saved` is told of an epoch once its weights are on the disk."""
        self._save = save
        self._warn = warn
        self._tell = saved
        self._unsaved: tuple[Weights, EpochReport | None] | None = None

    def keep(self, weights: Weights, report: EpochReport | None = None) -> None:
        """Save weights, and tell of the epoch that they are the best of."""
        self._unsaved = weights, report
        try:
            self.finish()
        except StorageError as error:
            self._warn(f"The model is not saved yet, and no checkpoint is saved before it. {error}")

    def try_again(self) -> bool:
        """Save what could not be saved before; whether all is saved now."""
        with suppress(StorageError):
            self.finish()
        return self._unsaved is None

    def finish(self) -> None:
        """Save what could not be saved before; here a disk that still refuses is an error."""
        if self._unsaved is None:
            return
        weights, report = self._unsaved
        self._save(weights)
        self._unsaved = None
        if report is not None:
            self._tell(report)


class CheckpointKeeper:
    """Knows when checkpoints are due and saves them; a disk that refuses does not end the run."""

    def __init__(self, checkpoints: Checkpoints | None, clock: CheckpointClock, warn: Callable[[str], None]) -> None:
        """Without checkpoints nothing is ever saved: one worker alone, the chief, writes them."""
        self._checkpoints = checkpoints
        self._clock = clock
        self._warn = warn
        self._saved_at = time.monotonic()
        self._writing: Future[None] | None = None
        self._written_step = 0
        self._writer = ThreadPoolExecutor(max_workers=1)

    @property
    def time_is_up(self) -> bool:
        """Whether one is due by the clock; how many steps there are between two, `steps_left` says."""
        return self._clock.due(time.monotonic() - self._saved_at)

    def steps_left(self, step: int) -> int | None:
        """How many steps there are until the next that is due by their number."""
        return None if self._clock.steps is None else self._clock.steps - step % self._clock.steps

    def keep(self, step: int, state: Arrays, position: Position) -> None:
        """Begin to write a checkpoint; learning goes on meanwhile, and the next one waits for this."""
        self.wait()
        self._saved_at = time.monotonic()
        if self._checkpoints is not None:
            now = Position.from_mapping(position.to_mapping())
            self._writing = self._writer.submit(self._checkpoints.save, step, state, now)
            self._written_step = step

    def wait(self) -> None:
        """Until the last checkpoint is written, or is known not to be."""
        if self._writing is None:
            return
        writing, self._writing = self._writing, None
        try:
            writing.result()
        except StorageError as error:
            self._warn(f"The checkpoint of step {self._written_step} is not saved; the next one will be tried. {error}")
