"""Checkpoints: everything that a run needs to resume as if it had never been interrupted.

A checkpoint is a folder that is written completely or not at all. It has the arrays (weights, optimizer, state) as
safetensors, and the position as JSON together with a checksum of both. Neither file contains code.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordgen.errors import BundleError, StorageError
from wordgen.files import atomic_folder, read_json, read_regular_file, remove_unfinished, write_atomically
from wordgen.model.bundle import Weights
from wordgen.training.reports import EpochReport, Outcome
from wordgen.training.settings import CheckpointInterval
from wordgen.training.typed_json import from_json, to_json

FOLDER = "checkpoints"
_ARRAYS, _POSITION = "state.safetensors", "position.json"
_DAMAGED = "damaged-"
"""The beginning of the new name of a damaged checkpoint."""
_FORMAT = 7
_CHECKPOINTS_KEPT = 3
_MAX_POSITION_BYTES, _MAX_ARRAYS_BYTES = 2**28, 2**36
"""The largest size in bytes of a file that is read."""

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass
class Position:
    """The position of a run in the training text, and its results so far."""

    epoch: int = 1
    step_in_epoch: int = 0
    """The number of steps of the epoch that are done."""
    summed_loss: float = 0.0
    """The summed loss in nats of the epoch so far."""
    counted_targets: int = 0
    """The number of counted targets of the epoch so far."""
    best: float | None = None
    """The best validation perplexity so far. None before the first validation."""
    best_epoch: int = 0
    """The epoch of the best validation. 0 before the first validation."""
    epochs: list[EpochReport] = field(default_factory=list)
    """The reports of all complete epochs."""
    validations: list[EpochReport] = field(default_factory=list)
    """The reports of all validations within epochs."""
    last_sample_step: int = 0
    """The last step within an epoch after which samples were written. 0 before the first one."""
    seconds: float = 0.0
    """The duration of the training so far, in all processes that have worked on the run one after another."""
    last_step: int | None = None
    """The last step of a run with a time budget. It decreases if the machine becomes slower. None for other runs."""
    seconds_allowed: float | None = None
    """The duration of the training after which a run with a time budget should end. None for other runs."""

    def outcome(self, reason: str, *, partial: EpochReport | None = None, stopped: bool = False) -> Outcome:
        """Return the result of a training that ends here. `partial` is the report of an incomplete epoch."""
        epochs = (*self.epochs, *([] if partial is None else [partial]))
        return Outcome(reason, epochs, self.epoch - 1, stopped, tuple(self.validations))


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint, as it was read from its files."""

    content: bytes
    """The arrays in the safetensors format."""
    position_mapping: Mapping[str, object]
    """The position as a JSON object."""

    @property
    def arrays(self) -> dict[str, NDArray[np.generic]]:
        from safetensors.numpy import load

        return load(self.content)

    @property
    def position(self) -> Position:
        return from_json(Position, self.position_mapping, "the position")


class Checkpoints:
    """The checkpoints of one run. Only the newest three are kept."""

    def __init__(self, run: Path, warn: Callable[[str], None]) -> None:
        self._folder = run / FOLDER
        self._warn = warn

    def save(self, step: int, arrays: Arrays, position: Position) -> None:
        from safetensors.numpy import save

        content = save({name: np.asarray(array, order="C") for name, array in arrays.items()})
        mapping = to_json(position)
        metadata = {"format": _FORMAT, "sha256": _checksum(content, mapping), "position": mapping}
        shutil.rmtree(self._path(step), ignore_errors=True)  # from before the run went back to an older checkpoint
        with atomic_folder(self._path(step)) as partial:
            write_atomically(partial / _ARRAYS, content)
            write_atomically(partial / _POSITION, _to_bytes(metadata))
        for old in self._paths()[:-_CHECKPOINTS_KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def newest_position(self) -> Position:
        """Return the position that the newest checkpoint claims, or the beginning of a run if it cannot be read.

        This does not check whether the checkpoint is complete. `newest` does.
        """
        try:
            metadata = read_json(self._paths()[-1] / _POSITION, _MAX_POSITION_BYTES)
            return from_json(Position, metadata["position"], "the position")
        except (IndexError, OSError, ValueError, KeyError, TypeError):
            return Position()

    def newest(self) -> Checkpoint | None:
        """Return the newest complete checkpoint, or None if the run has none.

        A damaged checkpoint is renamed and skipped, with a warning. After an OSError, a checkpoint is only skipped.
        Raises BundleError if there are checkpoints but none of them can be read, so that the run does not start again
        from the beginning. Also raises BundleError if a checkpoint has the format of another version of wordgen.
        """
        self._clear_unfinished()
        for path in reversed(self._paths()):
            try:
                return _read(path)
            except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError) as error:
                self._warn(f"The checkpoint {path} is damaged ({error}): it is renamed and skipped.")
                path.rename(path.with_name(f"{_DAMAGED}{path.name}-{time.time_ns()}"))
            except OSError as error:
                self._warn(f"The checkpoint {path} cannot be read ({error}): it is skipped.")
        if self._paths() or any(self._folder.glob(f"{_DAMAGED}*")):  # also if an earlier call has renamed them
            raise BundleError(
                f"No checkpoint in {self._folder} can be read, so the run cannot continue. Its model has not changed: "
                "use the model, train a new run with another --name, or delete that folder to begin the run again."
            )
        return None

    def _path(self, step: int) -> Path:
        return self._folder / f"step-{step:012d}"

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("step-*"))

    def _clear_unfinished(self) -> None:
        for partial in remove_unfinished(self._folder.parent):
            if partial.parent == self._folder:
                self._warn("The last run ended while it wrote a checkpoint: the incomplete checkpoint is deleted.")
            else:
                name = partial.name.removeprefix(".").rpartition(".")[0]
                self._warn(f"The last run ended while it wrote {name}: the incomplete file is deleted.")


def has_checkpoint(run: Path) -> bool:
    return any((run / FOLDER).glob("step-*"))


def check_names(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise BundleError if the arrays of a checkpoint do not have exactly these names and shapes."""
    if {name: tuple(array.shape) for name, array in arrays.items()} != dict(shapes):
        raise BundleError(
            "The checkpoint belongs to a network of another shape, so the run cannot be resumed: train a new run."
        )


def _read(path: Path) -> Checkpoint:
    written = read_regular_file(path / _POSITION, _MAX_POSITION_BYTES)
    metadata = json.loads(written)
    if metadata["format"] != _FORMAT:
        raise BundleError(
            f"The checkpoint {path} has format {metadata['format']!r}, but this version of wordgen reads "
            f"format {_FORMAT}: resume the run with the version that wrote it."
        )
    content = read_regular_file(path / _ARRAYS, _MAX_ARRAYS_BYTES)
    is_valid = _checksum(content, metadata["position"]) == metadata["sha256"]
    if not is_valid or written != _to_bytes(metadata):  # a flipped bit may leave the parsed value unchanged
        raise ValueError("its checksum is wrong")
    checkpoint = Checkpoint(content, metadata["position"])
    _ = checkpoint.position  # raises if it is not a valid position
    return checkpoint


def _to_bytes(metadata: Mapping[str, object]) -> bytes:
    return json.dumps(metadata, ensure_ascii=False, allow_nan=False).encode()


def _checksum(content: bytes, position: Mapping[str, object]) -> str:
    checksum = hashlib.sha256(content)
    checksum.update(json.dumps(position, sort_keys=True).encode())
    return checksum.hexdigest()


class BestModelSaver:
    """Saves the weights of the best model. If they cannot be written, it warns and tries again later."""

    def __init__(
        self,
        save: Callable[[Weights], None],
        warn: Callable[[str], None],
        on_saved: Callable[[EpochReport], None] = lambda report: None,
    ) -> None:
        """`on_saved` is called with the report of a validation as soon as the validated weights are on the disk."""
        self._save = save
        self._warn = warn
        self._on_saved = on_saved
        self._unsaved: tuple[Weights, EpochReport | None] | None = None

    def save(self, weights: Weights, report: EpochReport | None = None) -> None:
        """Save weights. `report` is that of their validation, if they are the best so far."""
        self._unsaved = weights, report
        try:
            self.finish()
        except StorageError as error:
            self._warn(f"The model cannot be saved yet, so no checkpoint is saved either. {error}")

    def retry(self) -> bool:
        """Try to save weights that could not be saved before. Return whether everything is saved now."""
        with suppress(StorageError):
            self.finish()
        return self._unsaved is None

    def finish(self) -> None:
        """Save weights that could not be saved before. Raises StorageError if they still cannot be written."""
        if self._unsaved is None:
            return
        weights, report = self._unsaved
        self._save(weights)
        self._unsaved = None
        if report is not None:
            self._on_saved(report)


class CheckpointSaver:
    """Knows when checkpoints are due, and saves them. A write error causes a warning and does not end the run."""

    def __init__(
        self, checkpoints: Checkpoints | None, interval: CheckpointInterval, warn: Callable[[str], None]
    ) -> None:
        """If `checkpoints` is None, nothing is saved. This is so on all workers but the chief."""
        self._checkpoints = checkpoints
        self._interval = interval
        self._warn = warn
        self._last_save_time = time.monotonic()
        self._writing: tuple[int, Future[None]] | None = None
        self._writer = ThreadPoolExecutor(max_workers=1)

    @property
    def is_due(self) -> bool:
        """Whether a checkpoint is due by the clock. For checkpoints due by the number of steps, see `steps_left`."""
        return self._interval.is_due(time.monotonic() - self._last_save_time)

    def steps_left(self, step: int) -> int | None:
        """Return the number of steps until the next checkpoint. None if checkpoints are due by the clock."""
        return None if self._interval.steps is None else self._interval.steps - step % self._interval.steps

    def save_in_background(self, step: int, state: Arrays, position: Position) -> None:
        """Write a checkpoint in a thread while training continues, as soon as the previous one is written."""
        self.wait()
        self._last_save_time = time.monotonic()
        if self._checkpoints is not None:
            self._writing = step, self._writer.submit(self._checkpoints.save, step, state, deepcopy(position))

    def wait(self) -> None:
        """Wait until the last checkpoint is written or has failed. Warn if it has failed."""
        if self._writing is None:
            return
        (step, writing), self._writing = self._writing, None
        try:
            writing.result()
        except StorageError as error:
            self._warn(f"The checkpoint of step {step} could not be saved. Training continues. {error}")
