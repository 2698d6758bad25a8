"""Makes the index of a training text: all its places, sorted by the DEPTH tokens from each place on.

The places are sorted part by part, each part those of some first tokens, and written at once. So memory is needed for
the largest part alone, and between two steps of the work one can look how far it is, or end it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial as partial_of
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.dataset.encoding import Dataset
from wordgen.errors import StorageError
from wordgen.files import file_checksum, sealed, shown_size, whole_folder
from wordgen.generation.copies import DEPTH, DESCRIBED, FORMAT, IDS, LINES, ORDER
from wordgen.text.vocabulary import START

Tell = Callable[[int, int], None]
"""Told how many places of how many are sorted; what it raises ends the work, and nothing of the index is left."""

_BLOCK = 2**20
_PLACES_AT_ONCE = 2**21
_BYTES_A_PLACE = 64
"""What sorting a part needs, measured (docs/benchmarks.md)."""
_KEY_BITS = 63


@dataclass(frozen=True)
class _Part:
    """The places whose first tokens lie in a range; of one first token also those of a range of second tokens."""

    first: range
    second: range
    size: int


def write_copy_index(
    dataset: Dataset, folder: Path, tell: Tell = lambda done, size: None, most_memory: int = 2**62
) -> None:
    """Write the index of a dataset's training text beside a bundle, whole or not at all."""
    train = dataset.ids["train"]
    vocabulary = len(dataset.codec.vocabulary)
    with whole_folder(folder) as partial:
        starts = _write_without_starts(train, partial / IDS)
        ids = np.memmap(partial / IDS, ">u4", "r") if len(train) > len(starts) else np.empty(0, ">u4")
        parts = _parts(ids, vocabulary)
        _check_memory(parts, most_memory)
        done = 0
        with (partial / ORDER).open("wb") as file:
            for part in parts:
                look = partial_of(tell, done, len(ids))
                look()
                _sorted(ids, _places(ids, part), vocabulary, look).astype("<u4").tofile(file)
                done += part.size
        tell(done, len(ids))
        lines = np.array(dataset.lines)
        lines[:, 0] -= np.searchsorted(starts, lines[:, 0]).astype(lines.dtype)
        np.save(partial / LINES, lines)
        described: dict[str, Any] = {
            "format": FORMAT,
            "vocabulary": dataset.codec.vocabulary.digest(),
            "files": dataset.files,
            "sums": {file.name: file_checksum(file, partial_of(tell, done, len(ids))) for file in partial.iterdir()},
        }
        (partial / DESCRIBED).write_bytes(sealed(described))


def memory_of_index(tokens: int) -> int:
    """Bytes that making the index of so many tokens needs, but where two tokens in a row recur millions of times."""
    return _BYTES_A_PLACE * min(tokens, _PLACES_AT_ONCE)


def _write_without_starts(train: NDArray[np.unsignedinteger], path: Path) -> NDArray[np.int64]:
    """Write the ids of a text that goes on into the next passage without START; the places of what is left out."""
    starts: list[NDArray[np.int64]] = []
    with path.open("wb") as file:
        for begin in range(0, len(train), _BLOCK):
            block = np.asarray(train[begin : begin + _BLOCK])
            starts.append(begin + np.flatnonzero(block == START))
            block[block != START].astype(">u4").tofile(file)
    return np.concatenate(starts) if starts else np.empty(0, np.int64)


def _parts(ids: NDArray[Any], vocabulary: int) -> list[_Part]:
    """All places in order, in parts of up to _PLACES_AT_ONCE; of more only where two tokens recur so often."""
    counts = np.zeros(vocabulary, np.int64)
    for block in _blocks(ids):
        counts += np.bincount(block, minlength=vocabulary)
    every_second = range(-1, vocabulary)
    parts: list[_Part] = []
    for first in _ranges(counts):
        size = int(counts[first.start : first.stop].sum())
        if size <= _PLACES_AT_ONCE:
            parts.append(_Part(first, every_second, size))
            continue
        followers = _followers(ids, first.start, vocabulary)
        parts += [
            _Part(first, range(each.start - 1, each.stop - 1), int(followers[each.start : each.stop].sum()))
            for each in _ranges(followers)
        ]
    return [part for part in parts if part.size]


def _ranges(counts: NDArray[np.int64]) -> Iterator[range]:
    """Neighbours together as long as they are not too many; one that is too many by itself stays alone."""
    begin = size = 0
    for number, count in enumerate(counts.tolist()):
        if number > begin and size + count > _PLACES_AT_ONCE:
            yield range(begin, number)
            begin, size = number, 0
        size += count
    yield range(begin, len(counts))


def _followers(ids: NDArray[Any], token: int, vocabulary: int) -> NDArray[np.int64]:
    """How often each token stands behind this one; the first number is of its being the last of all."""
    counts = np.zeros(vocabulary + 1, np.int64)
    for begin in range(0, len(ids), _BLOCK):
        places = begin + np.flatnonzero(ids[begin : begin + _BLOCK] == token)
        counts += np.bincount(_at(ids, places + 1), minlength=vocabulary + 1)
    return counts


def _check_memory(parts: list[_Part], most: int) -> None:
    needed = _BYTES_A_PLACE * max((part.size for part in parts), default=0)
    if needed > most:
        raise StorageError(f"Making it needs {shown_size(needed)} of memory, and there are {shown_size(most)} for it.")


def _places(ids: NDArray[Any], part: _Part) -> NDArray[np.int64]:
    found: list[NDArray[np.int64]] = []
    for number, block in enumerate(_blocks(ids)):
        places = number * _BLOCK + np.flatnonzero((block >= part.first.start) & (block < part.first.stop))
        if len(part.first) == 1:
            behind = _at(ids, places + 1) - 1
            places = places[(behind >= part.second.start) & (behind < part.second.stop)]
        found.append(places)
    return np.concatenate(found)


def _sorted(
    ids: NDArray[Any], places: NDArray[np.int64], vocabulary: int, look: Callable[[], None]
) -> NDArray[np.int64]:
    """Sort places by several tokens at once, then those that are still alike by the next tokens, and so on."""
    bits = (vocabulary + 1).bit_length()
    tokens_a_key = max(1, _KEY_BITS // bits)
    alike, group = np.arange(len(places)), np.zeros(len(places), np.int64)
    for depth in range(0, DEPTH, tokens_a_key):
        look()
        here = places[alike]
        key = np.zeros(len(alike), np.int64)
        for ahead in range(depth, depth + tokens_a_key):
            key = (key << bits) | _at(ids, here + ahead)
        order = np.argsort(key) if depth == 0 else np.lexsort((key, group))
        places[alike], key = here[order], key[order]
        same = np.append(False, (key[1:] == key[:-1]) & (group[1:] == group[:-1]))
        still = same | np.append(same[1:], False)
        group = np.cumsum(~same)[still]
        alike = alike[still]
        if not len(alike):
            return places
    places[alike] = places[alike][np.lexsort((places[alike], group))]
    return places


def _at(ids: NDArray[Any], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """The tokens at these places, counted from 1, and 0 behind the end."""
    there = places < len(ids)
    return np.where(there, ids[np.where(there, places, 0)].astype(np.int64) + 1, 0)


def _blocks(ids: NDArray[Any]) -> Iterator[NDArray[np.int64]]:
    for begin in range(0, len(ids), _BLOCK):
        yield np.asarray(ids[begin : begin + _BLOCK]).astype(np.int64)
