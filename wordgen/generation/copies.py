"""Which runs of symbols stand in the training text, and where.

Beside a bundle lies the training text itself, as ids, with an order of all its places: sorted by the symbols
that stand there, as the suffix arrays of text search are. So a run is found in a few dozen comparisons however
long the text is, and the files are memory-mapped: opening them reads nothing.
"""

import mmap
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordgen.dataset.encoding import source_of
from wordgen.errors import BundleError
from wordgen.files import file_checksum, read_regular, regular_size, unsealed
from wordgen.text.vocabulary import END, UNKNOWN, Vocabulary

COPY_INDEX = "copy_index"
FEWEST_SYMBOLS = 5
"""A run of fewer symbols is everybody's: no copy."""
DEPTH = 64
"""How many symbols of a place its rank goes by."""
FORMAT = 2
DESCRIBED, IDS, ORDER, LINES = "index.json", "ids.bin", "order.bin", "lines.npy"
_LARGEST, _LARGEST_DESCRIPTION = 2**34, 2**24
"""Bytes that are read of each at most: places are numbered by 32 bits."""
_PLACES_TRIED = 16
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
    """The line of that file in which it begins, from 1; where it stands several times, one of them."""


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
            described = unsealed(read_regular(folder / DESCRIBED, _LARGEST_DESCRIPTION))
            whole = described["format"] == FORMAT and all(
                regular_size(folder / name) <= _LARGEST and file_checksum(folder / name) == described["sums"][name]
                for name in (IDS, ORDER, LINES)
            )
            if not whole:
                raise ValueError
            own = described["vocabulary"] == vocabulary.digest()
            self._files: list[str] = described["files"]
            self._ids = _mapped(folder / IDS)
            self._order = np.frombuffer(_mapped(folder / ORDER), "<u4")
            self._lines = np.load(folder / LINES, mmap_mode="r")
            if own:
                self._check(len(vocabulary))
        except (OSError, ValueError, LookupError, TypeError, EOFError, SyntaxError, MemoryError) as error:
            raise BundleError(
                f"The copy index {folder} is damaged: delete that folder to write without, or train the model again."
            ) from error
        if not own:
            raise BundleError(f"The copy index {folder} belongs to another model: delete that folder to write without.")
        self._size = len(self._order)

    def _check(self, vocabulary_size: int) -> None:
        """That its arrays fit together: whoever made them may have made their checksums, too."""
        ids, lines = np.frombuffer(self._ids, ">u4"), self._lines
        fits = (
            len(ids) == len(self._order)
            and int(self._order.max()) < len(ids)
            and int(ids.max()) < vocabulary_size
            and all(isinstance(name, str) for name in self._files)
            and lines.ndim == 2
            and lines.shape[1] == 3
            and lines.dtype.kind in "iu"
            and len(lines) > 0
            and bool((lines >= 0).all())
            and int(lines[:, 2].max()) < len(self._files)
        )
        if not fits:
            raise ValueError("its parts do not fit together")

    def followers(self, run: Sequence[int]) -> NDArray[np.integer]:
        """The symbols that follow on this run anywhere in the training text; up to DEPTH - 1 symbols are looked at."""
        first, last = self._standing(run)
        ends = self._order[first:last].astype(np.int64) + len(run)
        ids = np.frombuffer(self._ids, ">u4")
        return np.unique(ids[ends[ends < self._size]])

    def count(self, run: Sequence[int]) -> int:
        """How often a run of up to DEPTH symbols stands in the training text."""
        first, last = self._standing(run)
        return last - first

    def runs(self, ids: Sequence[int], new: Sequence[int] = ()) -> list[Run]:
        """What stands in the training text of another text, in runs of FEWEST_SYMBOLS or more that do not overlap.

        The longest come first when runs overlap; of a shorter one that is shown which is free. An END at either
        side of a run is no part of it, nor is an UNKNOWN, whose word may be another. `new` are the places of what the
        training text does not have, whatever its id.
        """
        taken = np.zeros(len(ids), np.bool_)
        taken[list(new)] = True
        found: list[Run] = []
        for match in sorted(self._matches(ids), key=lambda match: (-match.length, match.start)):
            free = ~taken[match.start : match.start + match.length]
            if not free.any():
                continue
            begin = int(free.argmax())
            end = begin + int(np.argmin(np.append(free[begin:], False)))
            while begin < end and ids[match.start + begin] in (UNKNOWN, END):
                begin += 1
            while begin < end and ids[match.start + end - 1] in (UNKNOWN, END):
                end -= 1
            if end - begin >= FEWEST_SYMBOLS:
                taken[match.start + begin : match.start + end] = True
                file, line = source_of(match.place + begin, self._lines, self._files)
                found.append(Run(match.start + begin, end - begin, file, line))
        return sorted(found, key=lambda run: run.start)

    def _matches(self, ids: Sequence[int]) -> Iterator[_Match]:
        """For each place of a text the longest run from there on that stands in the training text; short ones not.

        Inside a run longer than DEPTH its rest is taken for the longest.
        """
        text = _bytes(ids)
        last = _Match(0, 0, 0)
        for start in range(len(ids)):
            rest = last.start + last.length - start
            if rest >= DEPTH:
                continue
            last = self._longest(text, start)
            if last.length >= FEWEST_SYMBOLS:
                yield last

    def _standing(self, run: Sequence[int]) -> tuple[int, int]:
        """The part of the order in which all places begin with the run."""
        wanted, ranks = _bytes(run), range(self._size)
        first = bisect_left(ranks, wanted, key=self._prefix(len(run)))
        return first, bisect_right(ranks, wanted, lo=first, key=self._prefix(len(run)))

    def _prefix(self, symbols: int) -> Callable[[int], bytes]:
        """What stands at the place of a rank, as bytes that compare as the symbols do."""
        width = symbols * _ID_BYTES
        return lambda rank: self._at(int(self._order[rank]), width)

    def _at(self, place: int, width: int) -> bytes:
        return self._ids[place * _ID_BYTES : place * _ID_BYTES + width]

    def _longest(self, text: bytes, start: int) -> _Match:
        """The longest run from here on that stands in the training text; beyond DEPTH only a few places are tried."""
        width = DEPTH * _ID_BYTES
        wanted = text[start * _ID_BYTES : start * _ID_BYTES + width]
        rank = bisect_left(range(self._size), wanted, key=self._prefix(DEPTH))
        neighbours = [int(self._order[each]) for each in (rank - 1, rank) if 0 <= each < self._size]
        length = max((_shared(wanted, self._at(place, width)) for place in neighbours), default=0)
        if length < FEWEST_SYMBOLS:
            return _Match(start, length, 0)
        first, last = self._standing(np.frombuffer(wanted, ">u4")[:length].tolist())
        if length < DEPTH:
            return _Match(start, length, int(self._order[first:last].min()))
        places = np.sort(self._order[first:last])[:_PLACES_TRIED].tolist()
        matches = [_Match(start, self._shared_from(text, start, place), place) for place in places]
        return max(matches, key=lambda match: match.length)

    def _shared_from(self, text: bytes, start: int, place: int) -> int:
        """How many symbols a text and the training text share from two places on."""
        width = 1024 * _ID_BYTES
        shared = 0
        while True:
            begin = (start + shared) * _ID_BYTES
            more = _shared(text[begin : begin + width], self._at(place + shared, width))
            shared += more
            if more * _ID_BYTES < width:
                return shared


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _bytes(ids: Sequence[int]) -> bytes:
    return np.asarray(ids, ">u4").tobytes()


def _shared(one: bytes, other: bytes) -> int:
    """How many symbols two texts share from their beginning."""
    size = min(len(one), len(other)) // _ID_BYTES
    different = np.frombuffer(one, ">u4", size) != np.frombuffer(other, ">u4", size)
    return int(different.argmax()) if different.any() else size
