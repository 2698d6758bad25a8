"""Store the tokens of a text as numbers on disk, and turn them into the ids of a vocabulary.

The module also adds START and END around passages, and records where lines begin.
"""

from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from wordgen.dataset.cutting import Cut, Numbers
from wordgen.text.vocabulary import END, END_TOKEN, START, Vocabulary

_TOKENS_AT_ONCE = 1 << 18
_PASSAGES_AT_ONCE = 1 << 14
_PASSAGE_COLUMNS, _LINE_COLUMNS = 4, 2


@dataclass(frozen=True)
class Block:
    """Consecutive passages of the text."""

    first_passage: int
    tokens: Numbers
    """The numbers of all tokens of all passages."""
    passage_tokens: Numbers
    """The number of tokens of each passage."""
    passage_characters: Numbers
    passage_lines: Numbers
    passage_files: Numbers
    line_tokens: Numbers
    """For each line, the position of its first token in its passage. Blank lines within a passage are left out."""
    line_numbers: Numbers


class NumberedText(ExitStack):
    """Collects the results of the cutters, in order, and reads the whole text again in blocks as often as needed.

    The numbers are kept in files in `folder`. Leaving the context removes these files.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.tokens: dict[str, int] = {}
        self.passages = self.characters = 0
        self._translations: dict[int, array[int]] = {}
        """For each cutter, the number in `tokens` for each of the cutter's own numbers."""
        self._files = [self._opened(folder / f"{name}.numbers") for name in ("tokens", "passages", "lines")]

    def _opened(self, path: Path) -> BinaryIO:
        self.callback(path.unlink)
        return self.enter_context(path.open("wb+"))

    def add(self, cut: Cut) -> None:
        translation = self._translations.setdefault(cut.cutter, array("I"))
        translation.extend(self.tokens.setdefault(token, len(self.tokens)) for token in cut.new_tokens)
        numbers = np.frombuffer(translation, np.uint32)[cut.numbers] if len(cut.numbers) else cut.numbers
        for file, values in zip(self._files, (numbers, cut.passages, cut.lines), strict=True):
            file.write(np.ascontiguousarray(values).data)
        self.passages += len(cut.passages)
        self.characters += int(cut.passages[:, 1].sum())

    def blocks(self) -> Iterator[Block]:
        tokens, passages, lines = self._files
        for file in self._files:
            file.flush()
            file.seek(0)
        first = 0
        while first < self.passages:
            table = np.fromfile(passages, np.uint32, _PASSAGE_COLUMNS * _PASSAGES_AT_ONCE).reshape(-1, _PASSAGE_COLUMNS)
            ends = np.cumsum(table[:, 0], dtype=np.int64)
            pieces = np.split(table, np.flatnonzero(np.diff(ends // _TOKENS_AT_ONCE)) + 1)
            for piece in pieces:
                lengths, characters, line_counts, files = piece.T
                of_lines = np.fromfile(lines, np.uint32, _LINE_COLUMNS * int(line_counts.sum()))
                line_tokens, line_numbers = of_lines.reshape(-1, _LINE_COLUMNS).T
                every = np.fromfile(tokens, np.uint32, int(lengths.sum()))
                yield Block(first, every, lengths, characters, line_counts, files, line_tokens, line_numbers)
                first += len(piece)


Ids = NDArray[np.uint32]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Frame:
    """Whether each passage begins with START and ends with END."""

    start: bool
    end: bool

    @classmethod
    def of(cls, text: NumberedText, *, as_published: bool) -> "Frame":
        """Return the frame that suits a text.

        Passages get START and END. Lines of a benchmark get END only. Neither is added if the text has its own <eos>.
        """
        own_ends = brings_ends(text)
        return cls(start=not own_ends and not as_published, end=not own_ends)


def brings_ends(text: NumberedText) -> bool:
    """Return whether the text has its own <eos>: at least one for every two passages."""
    number = text.tokens.get(END_TOKEN)
    if number is None:
        return False
    ends = sum(int(np.count_nonzero(block.tokens == number)) for block in text.blocks())
    return 2 * ends >= text.passages


class IdTable:
    """The ids of each token of a text: one id, or several if the token is spelled out."""

    def __init__(self, tokens: Iterable[str], vocabulary: Vocabulary) -> None:
        lengths, ids = array("I"), array("I")
        for token in tokens:
            of_token = vocabulary.ids_of(token)
            lengths.append(len(of_token))
            ids.extend(of_token)
        self._ids = np.array(ids, np.uint32)
        self._lengths = np.array(lengths, np.int64)
        self._begins: Places = np.cumsum(self._lengths) - self._lengths

    def translated(self, block: Block) -> Block:
        """Return the block with ids instead of token numbers, and with all lengths and positions adjusted."""
        lengths = self._lengths[block.tokens]
        ends: Places = np.cumsum(lengths)
        begins = ends - lengths
        within = np.arange(int(lengths.sum())) - np.repeat(begins, lengths)
        ids = self._ids[np.repeat(self._begins[block.tokens], lengths) + within]

        before = np.concatenate([np.zeros(1, np.int64), ends])  # number of ids before each token
        passage_ends = np.cumsum(block.passage_tokens, dtype=np.int64)
        passage_begins = passage_ends - block.passage_tokens
        line_passages = np.repeat(passage_begins, block.passage_lines)
        return replace(
            block,
            tokens=ids,
            passage_tokens=(before[passage_ends] - before[passage_begins]).astype(np.uint32),
            line_tokens=(before[line_passages + block.line_tokens] - before[line_passages]).astype(np.uint32),
        )


def framed_passages(ids: Ids, lengths: Ids, frame: Frame) -> tuple[Ids, Places]:
    """Add START and END to passages. Return the new ids and the position where each passage begins.

    `ids` holds all passages one after another, and `lengths` the number of ids of each passage.
    """
    framed_lengths = lengths.astype(np.int64) + frame.start + frame.end
    ends: Places = np.cumsum(framed_lengths)
    begins: Places = ends - framed_lengths
    framed = np.empty(int(framed_lengths.sum()), np.uint32)
    ordinary = np.ones(len(framed), bool)
    for stands, places, token in ((frame.start, begins, START), (frame.end, ends - 1, END)):
        if stands:
            framed[places] = token
            ordinary[places] = False
    framed[ordinary] = ids
    return framed, begins


def line_places(block: Block, members: NDArray[np.bool_], begins: Places, frame: Frame) -> Places:
    """Return for each line the position of its first token in the ids, its line number and the number of its file.

    Only the passages selected by `members` count. `begins` holds the position of each of these passages. The first line
    of a passage begins with its START, if it has one. The result has the shape `(lines, 3)`.
    """
    mine = np.repeat(members, block.passage_lines)
    firsts = block.line_tokens[mine].astype(np.int64)
    places = np.repeat(begins, block.passage_lines[members]) + firsts + (frame.start & (firsts > 0))
    files = np.repeat(block.passage_files[members], block.passage_lines[members])
    return np.stack([places, block.line_numbers[mine].astype(np.int64), files.astype(np.int64)], axis=1)


class ArrayFile:
    """Writes an array to a .npy file piece by piece. The array has one dimension, or two if `columns` is given."""

    def __init__(self, path: Path, kind: DTypeLike, columns: int | None = None) -> None:
        self._kind = np.dtype(kind)
        self._columns = columns
        self.length = 0
        self._file = path.open("wb")
        self._write_header()  # NumPy reserves room for a longer shape, so the final header has the same size
        self._header_size = self._file.tell()

    def __enter__(self) -> "ArrayFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if error is None:
                self._file.seek(0)
                self._write_header()
                if self._file.tell() != self._header_size:
                    raise ValueError("the header of an array file has outgrown its place")

    def add(self, rows: NDArray[np.integer]) -> None:
        self._file.write(np.ascontiguousarray(rows, self._kind).data)
        self.length += len(rows)

    def _write_header(self) -> None:
        shape = (self.length,) if self._columns is None else (self.length, self._columns)
        described = {"descr": npy.dtype_to_descr(self._kind), "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(self._file, described)
