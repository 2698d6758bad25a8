"""Find notes in a row that other music has, too, in any key: copies, and tunes that are nearly the same.

Notes are compared by their lengths, and by the interval and the wait since the note before them. Rests of a tune do not
count. In a piece with several notes at once, the notes are in the order of their onsets and from low to high.

Two tunes are near duplicates if half of the sequences of 12 notes, or half of the bars, of the shorter one are in the
other. Bars are compared by the distances of their notes from the tonic.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wordgen.music.piece import MelodyNote
from wordgen.music.tune import Tune

NOTES_OF_A_SEQUENCE = 12
"""The fewest notes in a row that count as copied."""
_MAX_STRETCH_NOTES = 1000
"""The longest stretch that is looked for. Two copies of a long piece would take hours."""
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
        ends, melody_numbers = np.repeat(np.cumsum(sizes), sizes), np.repeat(np.arange(len(sizes)), sizes)
        return _Stretches(1, np.arange(self.notes), *self.hashes(), ends, melody_numbers)

    def copied_from(self, others: "Melodies") -> Copied:
        """Return how many notes are copied from other melodies. A melody that is its own neighbour in the same object
        (`melodies.copied_from(melodies)`) is only compared with the other ones.
        """
        stretches, other_stretches = self._single_notes(), others._single_notes()
        copied = np.zeros(self.notes + 1, np.int64)
        longest = 0
        while stretches.notes <= _MAX_STRETCH_NOTES:
            if others is self:
                stretches = other_stretches = stretches.select(stretches.are_in_several_melodies())
            else:
                stretches, other_stretches = (
                    stretches.select(np.isin(stretches.hashes, other_stretches.hashes)),
                    other_stretches.select(np.isin(other_stretches.hashes, stretches.hashes)),
                )
            if not len(stretches.begins):
                break
            longest = stretches.notes
            if longest == NOTES_OF_A_SEQUENCE:
                copied[stretches.begins] += 1
                np.subtract.at(copied, stretches.begins + longest, 1)
            stretches, other_stretches = stretches.extended(), other_stretches.extended()
        return Copied(int((np.cumsum(copied) > 0).sum()), longest)


@dataclass(frozen=True)
class _Stretches:
    """Some stretches of notes in a row. The last three arrays are for all notes, the others for the stretches."""

    notes: int
    """The number of notes of each stretch."""
    begins: Numbers
    """Where the stretches begin."""
    hashes: Hashes
    """The same in any key: the length of the first note, and the steps to the others."""
    steps: Hashes
    ends: Numbers
    """Where the melody of each note ends."""
    melody_numbers: Numbers
    """The number of the melody of each note."""

    def select(self, kept: NDArray[np.bool_]) -> "_Stretches":
        return replace(self, begins=self.begins[kept], hashes=self.hashes[kept])

    def extended(self) -> "_Stretches":
        """Return the stretches that can be longer by one note."""
        inside = self.select(self.begins + self.notes < self.ends[self.begins])
        hashes = _followed_by(inside.hashes, self.steps[inside.begins + self.notes])
        return replace(inside, notes=self.notes + 1, hashes=hashes)

    def are_in_several_melodies(self) -> NDArray[np.bool_]:
        """Return for each stretch whether different melodies have it."""
        kinds, numbers = np.unique(self.hashes, return_inverse=True)
        melody_numbers = self.melody_numbers[self.begins]
        lowest, highest = np.full(len(kinds), np.iinfo(np.int64).max), np.full(len(kinds), -1)
        np.minimum.at(lowest, numbers, melody_numbers)
        np.maximum.at(highest, numbers, melody_numbers)
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
        self._beginning_length = notes - 1
        self._last_intervals: dict[int, set[int]] = {}
        """By the beginning of a sequence, as a hash: the intervals to its last note."""

    def add(self, melody: Sequence[MelodyNote]) -> None:
        for at, beginning in enumerate(sequences(melody[:-1], self._beginning_length), self._beginning_length):
            self._last_intervals.setdefault(beginning, set()).add(melody[at].pitch - melody[at - 1].pitch)

    def completing_notes(self, notes: Sequence[MelodyNote]) -> frozenset[int]:
        """Return the notes, in half steps, that complete a known sequence after `notes`."""
        beginnings = sequences(notes[-self._beginning_length :], self._beginning_length)
        known = (self._last_intervals.get(beginning, ()) for beginning in beginnings)
        return frozenset(notes[-1].pitch + interval for intervals in known for interval in intervals)


_SHARED_FRACTION = 0.5
_MIN_BARS = 4
_MIN_SEQUENCES = 4
_MAX_KEPT = 1_000_000
_NEIGHBOURS = 4
"""If many tunes share a sequence, each is compared with this many of the next ones."""


def _bar_contents(tune: Tune) -> Iterator[int]:
    """Yield the bars of two notes or more as hashes, which are the same in any key."""
    tonic = 0 if tune.key is None else tune.key.tonic.half_steps
    for bar in tune.bars:
        sounding = [((note.pitches[0].half_steps - tonic) % 12, note.length) for note in bar.notes if note.pitches]
        if len(sounding) > 1:
            yield hash(tuple(sounding))


Parts = tuple[frozenset[int], frozenset[int]]


def parts_of(tune: Tune) -> Parts:
    """Return what a tune is compared by: its sequences and its bars."""
    return frozenset(sequences(tune.melody)), frozenset(_bar_contents(tune))


def are_near_duplicates(one: Parts, other: Parts) -> bool:
    """Return whether two tunes are near duplicates."""
    fewest = (_MIN_SEQUENCES, _MIN_BARS)
    return any(
        len(a & b) >= max(least, _SHARED_FRACTION * min(len(a), len(b)))
        for a, b, least in zip(one, other, fewest, strict=True)
    )


class Families:
    """Takes tunes one by one, and finds families of near duplicates.

    If there are very many tunes, only a part of their sequences is kept and compared.
    """

    def __init__(self) -> None:
        self._kinds = (_PartsOfTunes(_MIN_SEQUENCES), _PartsOfTunes(_MIN_BARS))

    def add(self, tune: Tune) -> None:
        for kind, found in zip(self._kinds, parts_of(tune), strict=True):
            kind.add(found)

    def groups(self) -> list[int]:
        """Return the number of each tune's family. Families are numbered from 0, in the order of their first tunes."""
        parents = list(range(len(self._kinds[0].hashes)))
        for kind in self._kinds:
            for one, other in kind.near_duplicates():
                one, other = _root(parents, one), _root(parents, other)
                parents[max(one, other)] = min(one, other)
        numbers: dict[int, int] = {}
        return [numbers.setdefault(_root(parents, tune), len(numbers)) for tune in range(len(parents))]


def _root(parents: list[int], tune: int) -> int:
    while parents[tune] != tune:
        parents[tune] = parents[parents[tune]]
        tune = parents[tune]
    return tune


class _PartsOfTunes:
    """Holds hashes of parts of tunes, and finds the tunes that have many of them in common."""

    def __init__(self, fewest: int) -> None:
        self.hashes: list[Hashes] = []
        """Those of each tune."""
        self._fewest = fewest
        self._count = 0
        self._sample_every = np.uint64(1)

    def add(self, found: frozenset[int]) -> None:
        hashes = np.fromiter((each & _MASK for each in found), np.uint64, len(found)) * _FACTOR
        hashes ^= hashes >> _SHIFT
        self.hashes.append(self._sampled(hashes))
        self._count += len(self.hashes[-1])
        while self._count > _MAX_KEPT:
            self._sample_every *= np.uint64(2)
            self.hashes = [self._sampled(hashes) for hashes in self.hashes]
            self._count = sum(map(len, self.hashes))

    def _sampled(self, hashes: Hashes) -> Hashes:
        return hashes[hashes % self._sample_every == 0]

    def near_duplicates(self) -> Iterator[tuple[int, int]]:
        """Yield the pairs of tunes of which one has half of the parts of the other."""
        sizes, count = np.array([len(each) for each in self.hashes], np.int64), len(self.hashes)
        if not sizes.sum():
            return
        hashes, tunes = np.concatenate(self.hashes), np.repeat(np.arange(count), sizes)
        order = np.lexsort((tunes, hashes))
        hashes, tunes = hashes[order], tunes[order]
        pairs = [
            tunes[:-distance][same] * count + tunes[distance:][same]
            for distance in range(1, min(_NEIGHBOURS, len(hashes) - 1) + 1)
            for same in [hashes[:-distance] == hashes[distance:]]
        ]
        found, common = np.unique(np.concatenate([np.zeros(0, np.int64), *pairs]), return_counts=True)
        ones, others = np.divmod(found, count)
        smaller = np.minimum(sizes[ones], sizes[others])
        is_near = (common >= _SHARED_FRACTION * smaller) & (common >= self._fewest / float(self._sample_every))
        yield from zip(ones[is_near].tolist(), others[is_near].tolist(), strict=True)
