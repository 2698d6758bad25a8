"""Checkpoints: all that a run needs to go on as if it had never stopped.

A checkpoint is a folder that is written whole or not at all: the arrays (weights, optimizer, carry) as
safetensors, and the position as JSON with the checksum of both. Neither holds any code.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.errors import BundleError
from wordgen.files import read_json, read_regular, remove_unfinished, whole_folder, write_whole
from wordgen.training.reports import EpochReport, Sample

FOLDER = "checkpoints"
_ARRAYS, _POSITION = "state.safetensors", "position.json"
_FORMAT = 3
_KEPT = 3
_LARGEST_POSITION, _LARGEST_ARRAYS = 2**28, 2**36
"""Bytes that are read at most."""

Arrays = Mapping[str, NDArray[Any]]


@dataclass
class Position:
    """Where a run stands in the text, and what it has reached so far."""

    epoch: int = 1
    step_in_epoch: int = 0
    """How many steps of the epoch are done."""
    summed_loss: float = 0.0
    counted: int = 0
    """Loss and targets of the epoch so far."""
    best: float | None = None
    best_epoch: int = 0
    epochs: list[EpochReport] = field(default_factory=list)
    """The reports of all whole epochs."""
    seconds: float = 0.0
    """How long the run has learned so far, one process after the other."""
    last_step: int | None = None
    """Where a run with a time budget ends, settled once."""

    def to_mapping(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Position":
        return cls(**{**mapping, "epochs": [_epoch_report(each) for each in mapping["epochs"]]})


@dataclass(frozen=True)
class Checkpoint:
    """A whole one, as it was read."""

    content: bytes
    described: Mapping[str, Any]
    """The position as JSON has it."""

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        from safetensors.numpy import load

        return load(self.content)

    @property
    def position(self) -> Position:
        return Position.from_mapping(self.described)


class Checkpoints:
    """The checkpoints of one run: the newest three are kept."""

    def __init__(self, run: Path, warn: Callable[[str], None]) -> None:
        self._folder = run / FOLDER
        self._warn = warn

    def save(self, step: int, arrays: Arrays, position: Position) -> None:
        from safetensors.numpy import save

        content = save({name: np.asarray(array, order="C") for name, array in arrays.items()})
        mapping = position.to_mapping()
        described = {"format": _FORMAT, "sha256": _checksum(content, mapping), "position": mapping}
        shutil.rmtree(self._place(step), ignore_errors=True)  # of a run that came here before and is back
        with whole_folder(self._place(step)) as partial:
            write_whole(partial / _ARRAYS, content)
            write_whole(partial / _POSITION, _as_written(described))
        for old in self._places()[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def newest_position(self) -> Position:
        """Where the newest checkpoint says that it stands, or the beginning; if it is whole, only `newest` knows."""
        try:
            described = read_json(self._places()[-1] / _POSITION, _LARGEST_POSITION)
            return Position.from_mapping(described["position"])
        except (IndexError, OSError, ValueError, KeyError, TypeError):
            return Position()

    def newest(self) -> Checkpoint | None:
        """The newest whole checkpoint; damaged ones are named, set aside and passed over.

        Where there are checkpoints and none can be read, nothing begins anew in their place.
        """
        self._clear_unfinished()
        places = self._places()
        for place in reversed(places):
            try:
                return _read(place)
            except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError) as error:
                self._warn(f"The checkpoint {place} is damaged ({error}): it is set aside and passed over.")
                place.rename(place.with_name(f"damaged-{place.name}-{time.time_ns()}"))
            except OSError as error:
                self._warn(f"The checkpoint {place} cannot be read ({error}): it is passed over.")
        if places:
            raise BundleError(
                f"No checkpoint in {self._folder} can be read, so the run cannot go on: its model is untouched; "
                "train anew with another --name."
            )
        return None

    def _place(self, step: int) -> Path:
        return self._folder / f"step-{step:012d}"

    def _places(self) -> list[Path]:
        return sorted(self._folder.glob("step-*"))

    def _clear_unfinished(self) -> None:
        for partial in remove_unfinished(self._folder.parent):
            if partial.parent == self._folder:
                self._warn("A checkpoint was being written when the run ended: it is thrown away.")
            else:
                name = partial.name.removeprefix(".").rpartition(".")[0]
                self._warn(f"{name} was being written when the run ended: that is thrown away.")


def has_checkpoint(run: Path) -> bool:
    return any((run / FOLDER).glob("step-*"))


def check_names(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """A checkpoint must hold just what this run is made of."""
    if {name: tuple(array.shape) for name, array in arrays.items()} != dict(shapes):
        raise BundleError("The checkpoint belongs to a network of another shape: it cannot be resumed.")


def _read(place: Path) -> Checkpoint:
    written = read_regular(place / _POSITION, _LARGEST_POSITION)
    described = json.loads(written)
    if described["format"] != _FORMAT:
        raise BundleError(
            f"The checkpoint {place} has format {described['format']!r}, and this wordgen reads {_FORMAT}: "
            "resume it with the wordgen that wrote it."
        )
    content = read_regular(place / _ARRAYS, _LARGEST_ARRAYS)
    whole = _checksum(content, described["position"]) == described["sha256"]
    if not whole or written != _as_written(described):  # a flipped bit may leave the value as it was
        raise ValueError("its checksum is wrong")
    found = Checkpoint(content, described["position"])
    _ = found.position  # it must be one
    return found


def _as_written(described: Mapping[str, Any]) -> bytes:
    return json.dumps(described, ensure_ascii=False, allow_nan=False).encode()


def _checksum(content: bytes, position: Mapping[str, Any]) -> str:
    checksum = hashlib.sha256(content)
    checksum.update(json.dumps(position, sort_keys=True).encode())
    return checksum.hexdigest()


def _epoch_report(mapping: Mapping[str, Any]) -> EpochReport:
    return EpochReport(**{**mapping, "samples": tuple(Sample(**sample) for sample in mapping["samples"])})
