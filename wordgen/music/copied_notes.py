"""Find notes in a row that other music has, too, in any key, and say which note would complete such a copy.

Notes are compared by their lengths, and by the interval and the wait since the note before them. Rests of a tune do not
count. In a piece with several notes at once, the notes are in the order of their onsets and from low to high.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wordgen.music.piece import MelodyNote

NOTES_OF_A_SEQUENCE = 12
"""The fewest notes in a row that count as copied."""
_LONGEST = 1000
"""The longest stretch that is looked for, so that two copies of a long piece do not take hours."""
_FACTOR, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)
_MASK = 0xFFFFFFFFFFFFFFFF

Hashes = NDArray[np.uint64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Copied:
    """How many of some notes are copied."""

    notes: int
    """The number of notes that are in a copied stretch of at least 12 notes."""
    longest: int
    """The notes of the longest copied stretch, also of one with fewer than 12."""


class Melodies:
    """The notes of some melodies, as hashes that are the same in any key."""

    def __init__(self, melodies: Iterable[Iterable[MelodyNote]] = ()) -> None:
        self._lengths, self._steps, self._sizes = array("Q"), array("Q"), array("q")
        for melody in melodies:
            self.add(melody)

    def add(self, melody: Iterable[MelodyNote]) -> None:
        before, size = None, len(self._lengths)
        for note in melody:
            interval, length = 0 if before is None else note.pitch - before, hash(note.length)
            self._lengths.append(length & _MASK)
            # The interval is doubled, because Python gives -1 and -2 the same hash.
            self._steps.append(hash((2 * interval, note.wait, length)) & _MASK)
            before = note.pitch
        self._sizes.append(len(self._lengths) - size)

    @property
    def notes(self) -> int:
        """The number of all notes."""
        return len(self._lengths)

    def hashes(self) -> tuple[Hashes, Hashes]:
        """Return the length of each note, and its step: its length, wait, and interval from the note before it."""
        return np.array(self._lengths, np.uint64), np.array(self._steps, np.uint64)

    def _single_notes(self) -> "_Stretches":
        """Return all notes as stretches of one note each."""
        sizes = np.array(self._sizes, np.int64)
        ends, owners = np.repeat(np.cumsum(sizes), sizes), np.repeat(np.arange(len(sizes)), sizes)
        return _Stretches(1, np.arange(self.notes), *self.hashes(), ends, owners)

    def copied_from(self, others: "Melodies") -> Copied:
        """Return how many notes are copied from other melodies. A melody that is its own neighbour in the same object
        (`melodies.copied_from(melodies)`) is only compared with the other ones.
        """
        own, other = self._single_notes(), others._single_notes()
        copied = np.zeros(self.notes + 1, np.int64)
        longest = 0
        while own.notes <= _LONGEST:
            if others is self:
                own = other = own.only(own.are_in_several_melodies())
            else:
                own, other = own.only(np.isin(own.hashes, other.hashes)), other.only(np.isin(other.hashes, own.hashes))
            if not len(own.places):
                break
            longest = own.notes
            if longest == NOTES_OF_A_SEQUENCE:
                copied[own.places] += 1
                np.subtract.at(copied, own.places + longest, 1)
            own, other = own.longer(), other.longer()
        return Copied(int((np.cumsum(copied) > 0).sum()), longest)


@dataclass(frozen=True)
class _Stretches:
    """Some stretches of notes in a row. The last three arrays are for all notes, the others for the stretches."""

    notes: int
    """The number of notes of each stretch."""
    places: Numbers
    """Where the stretches begin."""
    hashes: Hashes
    """The same in any key: the length of the first note, and the steps to the others."""
    steps: Hashes
    ends: Numbers
    """Where the melody of each note ends."""
    owners: Numbers
    """The number of the melody of each note."""

    def only(self, kept: NDArray[np.bool_]) -> "_Stretches":
        return replace(self, places=self.places[kept], hashes=self.hashes[kept])

    def longer(self) -> "_Stretches":
        """Return the stretches that can be longer by one note."""
        inside = self.only(self.places + self.notes < self.ends[self.places])
        hashes = _followed_by(inside.hashes, self.steps[inside.places + self.notes])
        return replace(inside, notes=self.notes + 1, hashes=hashes)

    def are_in_several_melodies(self) -> NDArray[np.bool_]:
        """Return for each stretch whether different melodies have it."""
        kinds, numbers = np.unique(self.hashes, return_inverse=True)
        owners = self.owners[self.places]
        lowest, highest = np.full(len(kinds), np.iinfo(np.int64).max), np.full(len(kinds), -1)
        np.minimum.at(lowest, numbers, owners)
        np.maximum.at(highest, numbers, owners)
        return (lowest < highest)[numbers]


def _followed_by(hashes: Hashes, steps: Hashes) -> Hashes:
    """Return the hashes of stretches that are longer by one note, given the steps to that note."""
    return (hashes ^ (hashes >> _SHIFT)) * _FACTOR + steps


def sequences(melody: Sequence[MelodyNote], notes: int = NOTES_OF_A_SEQUENCE) -> list[int]:
    """Return each `notes` notes in a row of a melody as a hash, which is the same in any key."""
    hashes, steps = Melodies([melody]).hashes()
    for at in range(1, notes):
        hashes = _followed_by(hashes[:-1], steps[at:])
    return hashes.tolist()


class KnownNotes:
    """Knows all sequences of a number of notes in some melodies. The length of their last note does not count."""

    def __init__(self, notes: int) -> None:
        """`notes` is the number of notes in a sequence, at least 3."""
        self._before = notes - 1
        self._next: dict[int, set[int]] = {}
        """By the beginning of a sequence, as a hash: the intervals to its last note."""

    def add(self, melody: Sequence[MelodyNote]) -> None:
        for at, beginning in enumerate(sequences(melody[:-1], self._before), self._before):
            self._next.setdefault(beginning, set()).add(melody[at].pitch - melody[at - 1].pitch)

    def would_copy(self, notes: Sequence[MelodyNote]) -> frozenset[int]:
        """Return the notes, in half steps, that complete a known sequence after `notes`."""
        known = (self._next.get(each, ()) for each in sequences(notes[-self._before :], self._before))
        return frozenset(notes[-1].pitch + interval for intervals in known for interval in intervals)
