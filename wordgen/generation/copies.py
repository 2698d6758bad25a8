"""Which runs of symbols stand in the training text, and where.

Beside a bundle lies the training text itself, as ids, with an order of all its places: sorted by the symbols
that stand there, as the suffix arrays of text search are. So a run is found in a few dozen comparisons however
long the text is, and the files are memory-mapped: opening them reads nothing.
"""

import json
import mmap
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.dataset.encoding import Dataset
from wordgen.errors import BundleError
from wordgen.files import whole_folder
from wordgen.text.vocabulary import START, Vocabulary

COPY_INDEX = "copy_index"
FEWEST_SYMBOLS = 5
"""A run of fewer symbols is everybody's: no copy."""
DEPTH = 64
"""How many symbols of a place its rank goes by."""
_FORMAT = 1
_ID_BYTES = 4


@dataclass(frozen=True)
class Copy:
    """A run of a written text that stands so in the training text."""

    start: int
    """Where it begins in the written text, in symbols, the seed included."""
    symbols: int
    begin: int
    end: int
    """The same in characters of the text on the screen."""
    text: str
    file: str
    line: int
    """Where it stands first: the line of that file in which it begins, from 1."""


@dataclass(frozen=True)
class Run:
    """Some symbols in a row that stand in the training text."""

    start: int
    symbols: int
    file: str
    line: int


@dataclass(frozen=True)
class _Match:
    start: int
    length: int
    place: int


class CopyIndex:
    """Opened beside a bundle, by whose vocabulary its ids go."""

    def __init__(self, folder: Path, vocabulary: Vocabulary) -> None:
        try:
            described = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            if described["format"] != _FORMAT:
                raise ValueError(f"format {described['format']!r}")
            if described["vocabulary"] != vocabulary.digest():
                raise ValueError("it belongs to another model")
            self._files: list[str] = described["files"]
            self._ids = _mapped(folder / "ids.bin", described["symbols"])
            self._order = memoryview(_mapped(folder / "order.bin", described["symbols"])).cast("I")
            self._lines = np.load(folder / "lines.npy", mmap_mode="r")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"The copy index {folder} cannot be read ({error}): delete that folder to write without, "
                "or train the model again."
            ) from error
        self._size = len(self._order)

    def followers(self, run: Sequence[int]) -> NDArray[np.integer]:
        """The symbols that follow on this run anywhere in the training text; up to DEPTH - 1 symbols are looked at."""
        first, last = self._standing(run)
        ends = np.array(self._order[first:last], np.int64) + len(run)
        ids = np.frombuffer(self._ids, ">u4")
        return np.unique(ids[ends[ends < self._size]])

    def count(self, run: Sequence[int]) -> int:
        """How often a run of up to DEPTH symbols stands in the training text."""
        first, last = self._standing(run)
        return last - first

    def runs(self, ids: Sequence[int]) -> list[Run]:
        """What stands in the training text of another text, in runs of FEWEST_SYMBOLS or more that do not overlap.

        The longest come first when runs overlap; of a shorter one that is shown which is free.
        """
        text = _bytes(ids)
        matches = [self._longest(text, start) for start in range(len(ids))]
        taken = np.zeros(len(ids), np.bool_)
        found: list[Run] = []
        for match in sorted(matches, key=lambda match: (-match.length, match.start)):
            if match.length < FEWEST_SYMBOLS:
                break
            free = ~taken[match.start : match.start + match.length]
            if not free.any():
                continue
            begin = int(free.argmax())
            length = int(np.argmin(np.append(free[begin:], False)))
            if length >= FEWEST_SYMBOLS:
                taken[match.start + begin : match.start + begin + length] = True
                found.append(Run(match.start + begin, length, *self._source(match.place + begin)))
        return sorted(found, key=lambda run: run.start)

    def _standing(self, run: Sequence[int]) -> tuple[int, int]:
        """The part of the order in which all places begin with the run."""
        wanted, width = _bytes(run), len(run) * _ID_BYTES
        first = bisect_left(range(self._size), wanted, key=lambda rank: self._at(self._order[rank], width))
        last = bisect_right(range(self._size), wanted, lo=first, key=lambda rank: self._at(self._order[rank], width))
        return first, last

    def _at(self, place: int, width: int) -> bytes:
        return self._ids[place * _ID_BYTES : place * _ID_BYTES + width]

    def _longest(self, text: bytes, start: int) -> _Match:
        """The longest run from here on that stands in the training text, at its first place."""
        width = DEPTH * _ID_BYTES
        wanted = text[start * _ID_BYTES : start * _ID_BYTES + width]
        rank = bisect_left(range(self._size), wanted, key=lambda rank: self._at(self._order[rank], width))
        neighbours = [self._order[each] for each in (rank - 1, rank) if 0 <= each < self._size]
        length = max((_shared(wanted, self._at(place, width)) for place in neighbours), default=0)
        if length < FEWEST_SYMBOLS:
            return _Match(start, length, 0)
        begin = start * _ID_BYTES
        first, last = self._standing(np.frombuffer(wanted, ">u4")[:length].tolist())
        places = sorted(self._order[first:last])
        if length < DEPTH:
            return _Match(start, length, places[0])
        return max(
            (_Match(start, _shared(text[begin:], self._at(place, len(text))), place) for place in places),
            key=lambda match: match.length,
        )

    def _source(self, place: int) -> tuple[str, int]:
        row = int(np.searchsorted(self._lines[:, 0], place, side="right")) - 1
        _, line, file = (int(value) for value in self._lines[row])
        return self._files[file], line


def write_copy_index(dataset: Dataset, folder: Path) -> None:
    """Write the index of a dataset's training text beside a bundle, whole or not at all."""
    ids = np.asarray(dataset.ids["train"])
    kept = ids != START  # a text that goes on into the next unit is written without it
    moved = np.cumsum(kept) - kept
    lines = np.array(dataset.lines)
    lines[:, 0] = moved[lines[:, 0]]
    symbols = ids[kept]
    with whole_folder(folder) as partial:
        (partial / "ids.bin").write_bytes(symbols.astype(">u4").tobytes())
        (partial / "order.bin").write_bytes(_order(symbols).astype("=u4").tobytes())
        np.save(partial / "lines.npy", lines)
        described: dict[str, Any] = {
            "format": _FORMAT,
            "vocabulary": dataset.codec.vocabulary.digest(),
            "symbols": len(symbols),
            "files": dataset.files,
        }
        (partial / "index.json").write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")


def _order(symbols: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
    """All places, sorted by the DEPTH symbols from each on: ranks by one symbol give those by two, by four, ..."""
    size = len(symbols)
    rank = symbols.astype(np.int64) + 1  # 0 is behind the end
    width = 1
    order = np.argsort(rank, kind="stable")
    while width < DEPTH:
        behind = np.zeros(size, np.int64)
        behind[: max(0, size - width)] = rank[width:]
        key = rank * (int(rank.max(initial=0)) + 1) + behind
        order = np.argsort(key, kind="stable")
        in_order = key[order]
        rank = np.empty(size, np.int64)
        rank[order] = np.cumsum(np.append(True, in_order[1:] != in_order[:-1]))
        width *= 2
        if rank.max(initial=0) == size:
            break
    return order


def _mapped(path: Path, symbols: int) -> mmap.mmap:
    if path.stat().st_size != symbols * _ID_BYTES:
        raise ValueError(f"{path.name} is cut short")
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _bytes(ids: Sequence[int]) -> bytes:
    return np.asarray(ids, ">u4").tobytes()


def _shared(one: bytes, other: bytes) -> int:
    """How many symbols two texts share from their beginning."""
    size = min(len(one), len(other)) // _ID_BYTES
    different = np.frombuffer(one, ">u4", size) != np.frombuffer(other, ">u4", size)
    return int(different.argmax()) if different.any() else size
