"""Find tunes that are nearly the same, in any key, by sequences of 12 notes and by whole bars.

Two tunes are near duplicates if half of the sequences, or half of the bars, of the shorter one are in the other.
Sequences are compared by their intervals and lengths, bars by the distances of their notes from the tonic.
"""

from collections.abc import Iterator

import numpy as np

from wordgen.music.copied_notes import Hashes, sequences
from wordgen.music.tune import Tune

_NEAR = 0.5
_FEWEST_BARS = 4
_FEWEST_SEQUENCES = 4
_MOST_KEPT = 1_000_000
_NEIGHBOURS = 4
"""If many tunes share a sequence, each is compared with this many of the next ones."""
_MIXED = np.uint64(0x9E3779B97F4A7C15)


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


def are_near(one: Parts, other: Parts) -> bool:
    """Return whether two tunes are near duplicates."""
    fewest = (_FEWEST_SEQUENCES, _FEWEST_BARS)
    return any(
        len(a & b) >= max(least, _NEAR * min(len(a), len(b))) for a, b, least in zip(one, other, fewest, strict=True)
    )


class Families:
    """Takes tunes one by one, and finds families of near duplicates.

    If there are very many tunes, only a part of their sequences is kept and compared.
    """

    def __init__(self) -> None:
        self._kinds = (_Shared(_FEWEST_SEQUENCES), _Shared(_FEWEST_BARS))

    def add(self, tune: Tune) -> None:
        for kind, found in zip(self._kinds, parts_of(tune), strict=True):
            kind.add(found)

    def groups(self) -> list[int]:
        """Return the number of each tune's family. Families are numbered from 0, in the order of their first tunes."""
        first = list(range(self._kinds[0].tunes))
        for kind in self._kinds:
            for one, other in kind.near():
                one, other = _root(first, one), _root(first, other)
                first[max(one, other)] = min(one, other)
        numbers: dict[int, int] = {}
        return [numbers.setdefault(_root(first, tune), len(numbers)) for tune in range(len(first))]


def _root(first: list[int], tune: int) -> int:
    while first[tune] != tune:
        first[tune] = first[first[tune]]
        tune = first[tune]
    return tune


class _Shared:
    """Holds hashes of parts of tunes, and finds the tunes that have many of them in common."""

    def __init__(self, fewest: int) -> None:
        self.tunes = 0
        self._fewest = fewest
        self._hashes: list[Hashes] = []
        self._kept = 0
        self._one_of = np.uint64(1)

    def add(self, found: frozenset[int]) -> None:
        hashes = np.fromiter((each & 0xFFFFFFFFFFFFFFFF for each in found), np.uint64, len(found)) * _MIXED
        hashes ^= hashes >> np.uint64(29)
        self._hashes.append(self._some(hashes))
        self._kept += len(self._hashes[-1])
        self.tunes += 1
        while self._kept > _MOST_KEPT:
            self._one_of *= np.uint64(2)
            self._hashes = [self._some(hashes) for hashes in self._hashes]
            self._kept = sum(map(len, self._hashes))

    def _some(self, hashes: Hashes) -> Hashes:
        return hashes[hashes % self._one_of == 0]

    def near(self) -> Iterator[tuple[int, int]]:
        """Yield the pairs of tunes of which one has half of the parts of the other."""
        sizes = np.array([len(each) for each in self._hashes], np.int64)
        if not sizes.sum():
            return
        hashes, tunes = np.concatenate(self._hashes), np.repeat(np.arange(self.tunes), sizes)
        order = np.lexsort((tunes, hashes))
        hashes, tunes = hashes[order], tunes[order]
        pairs = [
            tunes[:-away][same] * self.tunes + tunes[away:][same]
            for away in range(1, min(_NEIGHBOURS, len(hashes) - 1) + 1)
            for same in [hashes[:-away] == hashes[away:]]
        ]
        found, common = np.unique(np.concatenate([np.zeros(0, np.int64), *pairs]), return_counts=True)
        ones, others = np.divmod(found, self.tunes)
        smaller = np.minimum(sizes[ones], sizes[others])
        near = (common >= _NEAR * smaller) & (common >= self._fewest / float(self._one_of))
        yield from zip(ones[near].tolist(), others[near].tolist(), strict=True)
