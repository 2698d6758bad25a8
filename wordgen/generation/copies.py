"""Copies of the training text: the index that is saved with a model, how it is made, and the search for matches."""

import mmap
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordgen.dataset.dataset import Dataset, count_ids, file_and_line_of
from wordgen.errors import BundleError, StorageError
from wordgen.files import (
    atomic_folder,
    file_checksum,
    from_checksummed_json,
    read_regular_file,
    regular_file_size,
    shown_size,
    to_checksummed_json,
)
from wordgen.text.vocabulary import BYTES, END, START, UNKNOWN, Vocabulary

COPY_INDEX = "copy_index"
MIN_TOKENS = 5
"""A shorter match does not count as a copy: any two texts have short sequences in common."""
DEPTH = 64
"""The index sorts the positions of the training text by this number of tokens."""
FORMAT = 2
DESCRIPTION, IDS, ORDER, LINES = "index.json", "ids.bin", "order.bin", "lines.npy"
_MAX_ARRAY_BYTES, _MAX_DESCRIPTION_BYTES = 2**34, 2**24
"""In bytes: of each array file, and of the description. 2**34 bytes hold all positions that 32 bits can number."""
_POSITIONS_TRIED = 16
_ID_BYTES = 4
_NOT_AN_ID = 2**32 - 1


@dataclass(frozen=True)
class Copy:
    """A match: tokens in a row of a generated text that the training text has, too."""

    start: int
    """Its first token in the generated text, counted from the start of the prompt."""
    tokens: int
    begin: int
    end: int
    """Where it begins and ends, in characters of the generated text as the user sees it."""
    text: str
    file: str
    line: int
    """The line of `file` where the match begins, from 1. If the match occurs several times, one of these lines."""


@dataclass(frozen=True)
class Match:
    """A match in terms of tokens: where it begins, its length, and where it begins in the training text."""

    start: int
    tokens: int
    place: int


class CopyIndex:
    """An index that finds sequences of tokens in the training text. It is a folder next to a bundle.

    It holds all ids of the training text, and all positions in it, sorted by the DEPTH tokens that begin at each (a
    suffix array).
    """

    def __init__(self, folder: Path, vocabulary: Vocabulary) -> None:
        """Open the index in `folder`. Raise BundleError if it is damaged or was made with another vocabulary."""
        try:
            description = from_checksummed_json(read_regular_file(folder / DESCRIPTION, _MAX_DESCRIPTION_BYTES))
            is_intact = description["format"] == FORMAT and all(
                regular_file_size(folder / name) <= _MAX_ARRAY_BYTES
                and file_checksum(folder / name) == description["sums"][name]
                for name in (IDS, ORDER, LINES)
            )
            if not is_intact:
                raise ValueError
            same_vocabulary = description["vocabulary"] == vocabulary.digest()
            self._files: list[str] = description["files"]
            self._bytes = _memory_map(folder / IDS)
            self.ids = np.frombuffer(self._bytes, ">u4")
            """The ids of the training text, with END after each passage, without START."""
            self._order = np.frombuffer(_memory_map(folder / ORDER), "<u4")
            self._lines = np.load(folder / LINES, mmap_mode="r")
            if same_vocabulary:
                self._check(len(vocabulary))
        except (OSError, ValueError, LookupError, TypeError, EOFError, SyntaxError, MemoryError) as error:
            raise BundleError(
                f"The copy index {folder} is damaged: delete this folder to write without it, or train the model again."
            ) from error
        if not same_vocabulary:
            raise BundleError(
                f"The copy index {folder} belongs to another model: delete this folder to write without it."
            )
        self._size = len(self._order)
        self._byte_ids = {vocabulary.id_of(token) for token in BYTES} if vocabulary.spells else set[int]()

    def _check(self, vocabulary_size: int) -> None:
        """Raise ValueError if the arrays do not fit together. Wrong arrays may have right checksums."""
        ids, lines = self.ids, self._lines
        fits = (
            len(ids) == len(self._order)
            and int(self._order.max()) < len(ids)
            and int(ids.max()) < vocabulary_size
            and all(isinstance(name, str) for name in self._files)  # pyright: ignore[reportUnnecessaryIsInstance] - from a file
            and lines.ndim == 2
            and lines.shape[1] == 3
            and lines.dtype.kind in "iu"
            and len(lines) > 0
            and bool((lines >= 0).all())
            and int(lines[:, 2].max()) < len(self._files)
        )
        if not fits:
            raise ValueError("its parts do not fit together")

    def followers(self, sequence: Sequence[int]) -> NDArray[np.integer]:
        """Return the ids of all tokens that follow `sequence` anywhere in the training text."""
        ends = self.positions(sequence) + len(sequence)
        return np.unique(self.ids[ends[ends < self._size]])

    def matches(self, ids: Sequence[int], new: Sequence[int] = ()) -> list[Match]:
        """Return the matches of `ids` with the training text: MIN_TOKENS or more each, no overlaps, in text order.

        Where matches overlap, the longer one wins, and the first free part of the shorter one is kept. A match does
        not begin or end with END or UNKNOWN. `new` lists positions of words that no match may have, because the
        training text does not have them, whatever their ids. A spelled word counts as one token.
        """
        searched = np.array(ids, np.int64)
        searched[list(new)] = _NOT_AN_ID
        taken = np.zeros(len(ids), np.bool_)
        found: list[Match] = []
        for match in sorted(self._longest_matches(searched), key=lambda match: (-match.tokens, match.start)):
            free = ~taken[match.start : match.start + match.tokens]
            if not free.any():
                continue
            begin = match.start + int(free.argmax())
            end = begin + int(np.argmin(np.append(~taken[begin : match.start + match.tokens], False)))
            begin, end = self._trimmed(ids, begin, end)
            if sum(each not in self._byte_ids for each in ids[begin:end]) >= MIN_TOKENS:
                taken[begin:end] = True
                found.append(Match(begin, end - begin, match.place + begin - match.start))
        return sorted(found, key=lambda match: match.start)

    def file_and_line(self, place: int) -> tuple[str, int]:
        """Return the file and the line number of a position in the training text."""
        return file_and_line_of(place, self._lines, self._files)

    def _trimmed(self, ids: Sequence[int], begin: int, end: int) -> tuple[int, int]:
        """Return the bounds of a match without END, UNKNOWN and parts of spelled words at its ends."""
        if begin and ids[begin - 1] in self._byte_ids:
            while begin < end and ids[begin] in self._byte_ids:
                begin += 1
            begin += 1  # the end of the word
        while begin < end and ids[begin] in (UNKNOWN, END):
            begin += 1
        while begin < end and (ids[end - 1] in (UNKNOWN, END) or ids[end - 1] in self._byte_ids):
            end -= 1
        return begin, end

    def _longest_matches(self, ids: NDArray[np.int64]) -> Iterator[Match]:
        """Yield for each position of `ids` the longest match that begins at it, if it has MIN_TOKENS or more.

        A position is skipped if DEPTH or more tokens of the previous match follow.
        """
        text = _bytes(ids)
        last = Match(0, 0, 0)
        for start in range(len(ids)):
            rest = last.start + last.tokens - start
            if rest >= DEPTH:
                continue
            last = self._longest(text, start)
            if last.tokens >= MIN_TOKENS:
                yield last

    def positions(self, sequence: Sequence[int]) -> NDArray[np.int64]:
        """Return all positions of the training text where `sequence` begins."""
        first, last = self._ranks(_bytes(sequence[:DEPTH]))
        places = self._order[first:last].astype(np.int64)
        for ahead in range(DEPTH, len(sequence)):
            places = places[places + ahead < self._size]
            places = places[self.ids[places + ahead] == sequence[ahead]]
        return places

    def _ranks(self, wanted: bytes) -> tuple[int, int]:
        """Return the first rank that begins with `wanted` (at most DEPTH tokens), and the rank after the last one."""
        first = bisect_left(range(self._size), wanted, key=self._prefix(len(wanted)))
        return first, bisect_right(range(self._size), wanted, lo=first, key=self._prefix(len(wanted)))

    def _prefix(self, width: int) -> Callable[[int], bytes]:
        """Return a function that gives the first `width` bytes of the text at the position of a rank."""
        return lambda rank: self._at(int(self._order[rank]), width)

    def _at(self, place: int, width: int) -> bytes:
        return self._bytes[place * _ID_BYTES : place * _ID_BYTES + width]

    def _longest(self, text: bytes, start: int) -> Match:
        """Return the longest match that begins at token `start` of `text`.

        If DEPTH tokens match at several positions, only the first _POSITIONS_TRIED are compared further. A match
        shorter than MIN_TOKENS has place 0.
        """
        wanted = text[start * _ID_BYTES : (start + DEPTH) * _ID_BYTES]
        rank = bisect_left(range(self._size), wanted, key=self._prefix(len(wanted)))
        neighbours = [int(self._order[each]) for each in (rank - 1, rank) if 0 <= each < self._size]
        length = max(_shared_length(wanted, self._at(place, len(wanted))) for place in neighbours)
        if length < MIN_TOKENS:
            return Match(start, length, 0)
        first, last = self._ranks(wanted[: length * _ID_BYTES])
        if length < DEPTH:
            return Match(start, length, int(self._order[first:last].min()))
        places = np.sort(self._order[first:last])[:_POSITIONS_TRIED].tolist()
        matches = [Match(start, self._shared_length_from(text, start, place), place) for place in places]
        return max(matches, key=lambda match: match.tokens)

    def _shared_length_from(self, text: bytes, start: int, place: int) -> int:
        """Return how many tokens are equal in `text` from `start` on and in the training text from `place` on."""
        width = 1024 * _ID_BYTES
        shared = 0
        while True:
            begin = (start + shared) * _ID_BYTES
            more = _shared_length(text[begin : begin + width], self._at(place + shared, width))
            shared += more
            if more * _ID_BYTES < width:
                return shared


def _memory_map(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _bytes(ids: Sequence[int] | NDArray[np.int64]) -> bytes:
    return np.asarray(ids, ">u4").tobytes()


def _shared_length(one: bytes, other: bytes) -> int:
    """Return how many tokens are equal at the beginning of two texts."""
    size = min(len(one), len(other)) // _ID_BYTES
    different = np.frombuffer(one, ">u4", size) != np.frombuffer(other, ">u4", size)
    return int(different.argmax()) if different.any() else size


OnProgress = Callable[[int, int], None]
"""Receives the numbers of positions sorted and of all. If it raises, the work stops, and no part of it is kept."""

_IDS_AT_ONCE = 2**20
_PLACES_AT_ONCE = 2**21
_BYTES_PER_POSITION = 64
"""Bytes of memory that sorting a part needs for each position. Measured (docs/benchmarks.md)."""
_KEY_BITS = 63


@dataclass(frozen=True)
class _Part:
    """The positions whose first token is in a range."""

    first: range
    second: range
    """The range of the second token if `first` has a single one. -1 means the end of the text."""
    size: int
    """The number of positions."""


def write_copy_index(
    dataset: Dataset, folder: Path, on_progress: OnProgress = lambda done, size: None, most_memory: int = 2**62
) -> None:
    """Write the copy index of the dataset's training set to `folder`, completely or not at all.

    Raise StorageError if sorting needs more than `most_memory` bytes, or if a file cannot be written.
    """
    train = dataset.ids["train"]
    vocabulary = len(dataset.codec.vocabulary)
    with atomic_folder(folder) as new_folder:
        starts = _write_without_starts(train, new_folder / IDS)
        ids = np.memmap(new_folder / IDS, ">u4", "r")
        parts = _parts(ids, vocabulary)
        needed = _BYTES_PER_POSITION * max(part.size for part in parts)
        if needed > most_memory:
            raise StorageError(
                f"Making it needs {shown_size(needed)} of memory, but only {shown_size(most_memory)} is available."
            )
        done = 0
        with (new_folder / ORDER).open("wb") as file:
            for part in parts:
                report_progress = partial(on_progress, done, len(ids))
                report_progress()
                _sort_by_suffix(ids, _places(ids, part), vocabulary, report_progress).astype("<u4").tofile(file)
                done += part.size
        on_progress(done, len(ids))
        lines = np.array(dataset.lines)
        lines[:, 0] -= np.searchsorted(starts, lines[:, 0]).astype(lines.dtype)
        np.save(new_folder / LINES, lines)
        description: dict[str, object] = {
            "format": FORMAT,
            "vocabulary": dataset.codec.vocabulary.digest(),
            "files": dataset.files,
            "sums": {
                file.name: file_checksum(file, partial(on_progress, done, len(ids))) for file in new_folder.iterdir()
            },
        }
        (new_folder / DESCRIPTION).write_bytes(to_checksummed_json(description))


def memory_of_index(tokens: int) -> int:
    """Return the bytes of memory that making the index of a text of `tokens` tokens needs.

    More is needed only if the same two tokens in a row occur more than _PLACES_AT_ONCE (two million) times.
    """
    return _BYTES_PER_POSITION * min(tokens, _PLACES_AT_ONCE)


def _write_without_starts(train: NDArray[np.unsignedinteger], path: Path) -> NDArray[np.int64]:
    """Write the ids of `train` without its START tokens, and return the positions of the START tokens.

    Without START, a match can continue from one passage into the next.
    """
    starts: list[NDArray[np.int64]] = []
    with path.open("wb") as file:
        for begin in range(0, len(train), _IDS_AT_ONCE):
            block = np.asarray(train[begin : begin + _IDS_AT_ONCE])
            starts.append(begin + np.flatnonzero(block == START))
            block[block != START].astype(">u4").tofile(file)
    return np.concatenate(starts)


def _parts(ids: NDArray[np.unsignedinteger], vocabulary: int) -> list[_Part]:
    """Divide all positions into parts of up to _PLACES_AT_ONCE, in sorted order.

    A part is larger only if the same two tokens in a row occur more often than that.
    """
    counts = count_ids(ids, vocabulary)
    every_second = range(-1, vocabulary)
    parts: list[_Part] = []
    for first in _ranges(counts):
        size = int(counts[first.start : first.stop].sum())
        if size <= _PLACES_AT_ONCE:
            parts.append(_Part(first, every_second, size))
            continue
        followers = _follower_counts(ids, first.start, vocabulary)
        parts += [
            _Part(first, range(each.start - 1, each.stop - 1), int(followers[each.start : each.stop].sum()))
            for each in _ranges(followers)
        ]
    return [part for part in parts if part.size]


def _ranges(counts: NDArray[np.int64]) -> Iterator[range]:
    """Divide the indices of `counts` into ranges with _PLACES_AT_ONCE counts at most, or with a single index."""
    begin = size = 0
    for number, count in enumerate(counts.tolist()):
        if number > begin and size + count > _PLACES_AT_ONCE:
            yield range(begin, number)
            begin, size = number, 0
        size += count
    yield range(begin, len(counts))


def _follower_counts(ids: NDArray[np.unsignedinteger], token: int, vocabulary: int) -> NDArray[np.int64]:
    """Return how often each token follows `token`, shape (vocabulary + 1,).

    Element n + 1 belongs to the id n. Element 0 is 1 if `token` is the last token of the text.
    """
    counts = np.zeros(vocabulary + 1, np.int64)
    for begin in range(0, len(ids), _IDS_AT_ONCE):
        places = begin + np.flatnonzero(ids[begin : begin + _IDS_AT_ONCE] == token)
        counts += np.bincount(_at(ids, places + 1), minlength=vocabulary + 1)
    return counts


def _places(ids: NDArray[np.unsignedinteger], part: _Part) -> NDArray[np.int64]:
    found: list[NDArray[np.int64]] = []
    for begin in range(0, len(ids), _IDS_AT_ONCE):
        block = ids[begin : begin + _IDS_AT_ONCE]
        places = begin + np.flatnonzero((block >= part.first.start) & (block < part.first.stop))
        if len(part.first) == 1:
            next_ids = _at(ids, places + 1) - 1
            places = places[(next_ids >= part.second.start) & (next_ids < part.second.stop)]
        found.append(places)
    return np.concatenate(found)


def _sort_by_suffix(
    ids: NDArray[np.unsignedinteger], places: NDArray[np.int64], vocabulary: int, report_progress: Callable[[], None]
) -> NDArray[np.int64]:
    """Sort the positions `places` by the DEPTH tokens at each, in place, and return them.

    One sort compares as many tokens as fit into a key of _KEY_BITS bits. Positions that are still equal are sorted by
    the next tokens, and so on, in the end by their place in the text.
    """
    bits = (vocabulary + 1).bit_length()
    tokens_a_key = max(1, _KEY_BITS // bits)
    unsorted, group = np.arange(len(places)), np.zeros(len(places), np.int64)
    for depth in range(0, DEPTH, tokens_a_key):
        report_progress()
        positions_to_sort = places[unsorted]
        key = np.zeros(len(unsorted), np.int64)
        for ahead in range(depth, depth + tokens_a_key):
            key = (key << bits) | _at(ids, positions_to_sort + ahead)
        order = np.argsort(key) if depth == 0 else np.lexsort((key, group))
        places[unsorted], key = positions_to_sort[order], key[order]
        same = np.append(False, (key[1:] == key[:-1]) & (group[1:] == group[:-1]))
        still_unsorted = same | np.append(same[1:], False)
        group = np.cumsum(~same)[still_unsorted]
        unsorted = unsorted[still_unsorted]
        if not len(unsorted):
            return places
    places[unsorted] = places[unsorted][np.lexsort((places[unsorted], group))]
    return places


def _at(ids: NDArray[np.unsignedinteger], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the ids at the positions `places`, each plus 1. A position after the end of the text gives 0."""
    within_text = places < len(ids)
    return np.where(within_text, ids[np.where(within_text, places, 0)].astype(np.int64) + 1, 0)
