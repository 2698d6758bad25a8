"""Split passages into numbered tokens, keep the numbers on disk, and turn them into the ids of a vocabulary.

A text is tokenized batch by batch, in this process or in several processes at once. The numbers of a batch are indices
into the tokens of that batch. A reader that takes the batches in order can therefore give every token the same number,
whatever the number of processes. When the whole text is numbered, its vocabulary is known, and the numbers become ids,
with START and END around the passages.
"""

import os
import pickle
import signal
import subprocess
import sys
from array import array
from collections import defaultdict, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from wordgen.child_process import python_command
from wordgen.corpus.passages import Passage, visible_width
from wordgen.errors import CorpusError
from wordgen.text.settings import TokenizerName
from wordgen.text.tokenizers import Tokenizer, tokenizer_named
from wordgen.text.vocabulary import END, END_TOKEN, START, Vocabulary

Numbers = NDArray[np.uint32]
Records = NDArray[np.void]
"""A `PASSAGE` for each passage, or a `LINE` for each line."""

PASSAGE = np.dtype([("tokens", np.uint32), ("characters", np.uint32), ("lines", np.uint32), ("file", np.uint32)])
"""What is kept of a passage: how many tokens, characters and lines it has, and the number of its file."""
LINE = np.dtype([("token", np.uint32), ("number", np.uint32)])
"""What is kept of a line that is not blank: the position of its first token in its passage, and its line number."""
_MAX_PROCESSES = 6  # each process needs about 50 MB, and all together must stay below 400 MB


@dataclass(frozen=True)
class Batch:
    """Consecutive passages, each with the number of its file."""

    passages: Sequence[tuple[int, Passage]]
    bytes_read: int
    """The number of bytes of the corpus that had been read when the batch was complete."""


@dataclass(frozen=True)
class TokenizedBatch:
    """The tokens of a batch as numbers."""

    tokens: Sequence[str]
    """The different tokens, in the order in which they first occur."""
    numbers: Numbers
    """For each token of each passage its index in `tokens`."""
    passages: Records
    lines: Records
    bytes_read: int


def tokenize_batch(batch: Batch, tokenizer: Tokenizer) -> TokenizedBatch:
    """Tokenize a batch and number the tokens."""
    tokens = defaultdict[str, int](count().__next__)
    texts = (tokenizer.tokenize(passage.text) for _, passage in batch.passages)
    numbers_of_passages = [array("I", map(tokens.__getitem__, text)) for text in texts]
    widths = np.array([visible_width(tokenizer.piece(token, None)) for token in tokens], np.int64)
    passages: list[tuple[int, int, int, int]] = []
    lines: list[tuple[int, int]] = []
    for (file, passage), numbers in zip(batch.passages, numbers_of_passages, strict=True):
        passage_lines = _lines_of(passage, widths[numbers])
        passages.append((len(numbers), len(passage.text), len(passage_lines), file))
        lines += passage_lines
    all_numbers = np.concatenate(numbers_of_passages, dtype=np.uint32)
    return TokenizedBatch(
        list(tokens), all_numbers, np.array(passages, PASSAGE), np.array(lines, LINE), batch.bytes_read
    )


def _lines_of(passage: Passage, widths: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return a `LINE` for each line, given the number of visible characters of each token.

    A token belongs to the line that holds its first visible character. This works because a tokenizer may drop white
    space, but no other character.
    """
    if len(passage.widths) == 1:
        return [(0, passage.line)]
    firsts = np.searchsorted(np.cumsum(widths) - widths, np.cumsum(passage.widths) - passage.widths)
    return [(int(firsts[at]), passage.line + at) for at, width in enumerate(passage.widths) if width]


def useful_processes() -> int:
    """Return how many processes this machine can use to tokenize text."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not available on every system
        cores = os.cpu_count() or 1
    return min(cores, _MAX_PROCESSES)


def tokenize_batches(batches: Iterable[Batch], tokenizer: TokenizerName, processes: int) -> Generator[TokenizedBatch]:
    """Yield the results of all batches in order.

    The batches are tokenized in this process if `processes` is 1, otherwise in that number of other processes. Raises
    CorpusError if one of them ends unexpectedly.
    """
    if processes == 1:
        yield from (tokenize_batch(batch, tokenizer_named(tokenizer)) for batch in batches)
        return
    with ExitStack() as closing:
        idle: list[_TokenizerProcess] = []
        for _ in range(processes):
            idle.append(_TokenizerProcess(tokenizer))
            closing.callback(idle[-1].end)
        busy: deque[_TokenizerProcess] = deque()
        for batch in batches:
            if idle:
                process = idle.pop()
            else:
                process = busy.popleft()
                yield process.result()
            process.begin(batch)
            busy.append(process)
        yield from (process.result() for process in busy)


_PROGRAM = "from wordgen.dataset.numbering import tokenize_standard_input; tokenize_standard_input({!r})"


class _TokenizerProcess:
    """Calls `tokenize_batch` in a separate process. Batches and results are sent through pipes, pickled.

    The process is started directly, because multiprocessing would run the user's own script again in each process.
    """

    def __init__(self, tokenizer: TokenizerName) -> None:
        self._process = subprocess.Popen(
            python_command(_PROGRAM.format(tokenizer)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C must reach only the process that started this one
        )

    def begin(self, batch: Batch) -> None:
        assert self._process.stdin is not None
        with _as_corpus_error():
            pickle.dump(batch, self._process.stdin)
            self._process.stdin.flush()

    def result(self) -> TokenizedBatch:
        """Wait for the result of the batch."""
        assert self._process.stdout is not None
        with _as_corpus_error():
            return pickle.load(self._process.stdout)

    def end(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):  # the rest of the output has no reader any more
                pipe.close()
        self._process.wait()


@contextmanager
def _as_corpus_error() -> Generator[None]:
    try:
        yield
    except (OSError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise CorpusError(
            "A process that cuts the text into tokens ended unexpectedly: perhaps it was killed, or there was not "
            "enough memory. Run the command again. Existing files have not changed."
        ) from error


def tokenize_standard_input(tokenizer: TokenizerName) -> None:
    """Tokenize the batches from standard input until the input ends.

    SIGINT and SIGTERM are ignored: the process that started this one decides when to stop.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    batches, results = sys.stdin.buffer, sys.stdout.buffer
    try:
        while True:
            pickle.dump(tokenize_batch(pickle.load(batches), tokenizer_named(tokenizer)), results)
            results.flush()
    except (EOFError, BrokenPipeError):
        os._exit(0)  # without clean-up, because the pipe may be closed already


_TOKENS_AT_ONCE = 1 << 18
_PASSAGES_AT_ONCE = 1 << 14


@dataclass(frozen=True)
class Block:
    """Consecutive passages of the text."""

    first_passage: int
    tokens: Numbers
    """The numbers of all tokens of all passages."""
    passages: Records
    lines: Records


class NumberedText(ExitStack):
    """Collects the results of `tokenize_batch`, in order, and reads the whole text again in blocks as often as needed.

    The numbers are kept in files in `folder`. Leaving the context removes these files.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.tokens: dict[str, int] = {}
        """The number of each token of the text."""
        self.passages = self.characters = 0
        self._files = [self._opened(folder / f"{name}.numbers") for name in ("tokens", "passages", "lines")]

    def _opened(self, path: Path) -> BinaryIO:
        self.callback(path.unlink)
        return self.enter_context(path.open("wb+"))

    def add(self, batch: TokenizedBatch) -> None:
        numbers = np.array([self.tokens.setdefault(token, len(self.tokens)) for token in batch.tokens], np.uint32)
        for file, values in zip(self._files, (numbers[batch.numbers], batch.passages, batch.lines), strict=True):
            file.write(values.data)
        self.passages += len(batch.passages)
        self.characters += int(batch.passages["characters"].sum())

    def blocks(self) -> Iterator[Block]:
        tokens, passages, lines = self._files
        for file in self._files:
            file.flush()
            file.seek(0)
        first = 0
        while first < self.passages:
            records = np.fromfile(passages, PASSAGE, _PASSAGES_AT_ONCE)
            ends = np.cumsum(records["tokens"], dtype=np.int64)
            for part in np.split(records, np.flatnonzero(np.diff(ends // _TOKENS_AT_ONCE)) + 1):
                numbers = np.fromfile(tokens, np.uint32, int(part["tokens"].sum()))
                yield Block(first, numbers, part, np.fromfile(lines, LINE, int(part["lines"].sum())))
                first += len(part)


Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Frame:
    """Whether each passage begins with START and ends with END."""

    start: bool
    end: bool


def has_own_end_tokens(text: NumberedText) -> bool:
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
            token_ids = vocabulary.ids_of(token)
            lengths.append(len(token_ids))
            ids.extend(token_ids)
        self._ids = np.array(ids, np.uint32)
        self._lengths = np.array(lengths, np.int64)
        self._begins: Positions = np.cumsum(self._lengths) - self._lengths

    def to_ids(self, block: Block) -> Block:
        """Return the block with ids instead of token numbers, and with all lengths and positions adjusted."""
        lengths = self._lengths[block.tokens]
        ends: Positions = np.cumsum(lengths)
        within = np.arange(int(lengths.sum())) - np.repeat(ends - lengths, lengths)
        ids = self._ids[np.repeat(self._begins[block.tokens], lengths) + within]

        before = np.concatenate([np.zeros(1, np.int64), ends])  # number of ids before each token
        passages, lines = block.passages.copy(), block.lines.copy()
        passage_ends = np.cumsum(passages["tokens"], dtype=np.int64)
        passage_begins = passage_ends - passages["tokens"]
        line_passages = np.repeat(passage_begins, passages["lines"])
        passages["tokens"] = before[passage_ends] - before[passage_begins]
        lines["token"] = before[line_passages + lines["token"]] - before[line_passages]
        return Block(block.first_passage, ids, passages, lines)


def framed_passages(ids: Numbers, lengths: Numbers, frame: Frame) -> tuple[Numbers, Positions]:
    """Add START and END to passages. Return the new ids and the position where each passage begins.

    `ids` holds all passages one after another, and `lengths` the number of ids of each passage.
    """
    framed_lengths = lengths.astype(np.int64) + frame.start + frame.end
    ends: Positions = np.cumsum(framed_lengths)
    begins: Positions = ends - framed_lengths
    framed = np.empty(int(framed_lengths.sum()), np.uint32)
    is_content = np.ones(len(framed), bool)
    for is_added, positions, token in ((frame.start, begins, START), (frame.end, ends - 1, END)):
        if is_added:
            framed[positions] = token
            is_content[positions] = False
    framed[is_content] = ids
    return framed, begins


def line_positions(block: Block, members: NDArray[np.bool_], begins: Positions, frame: Frame) -> Positions:
    """Return for each line the position of its first token in the ids, its line number and the number of its file.

    Only the passages selected by `members` count. `begins` holds the position of each of these passages. The first line
    of a passage begins with its START, if it has one. The result has the shape `(lines, 3)`.
    """
    passages = block.passages[members]
    lines = block.lines[np.repeat(members, block.passages["lines"])]
    firsts = lines["token"].astype(np.int64)
    positions = np.repeat(begins, passages["lines"]) + firsts + (frame.start & (firsts > 0))
    return np.stack([positions, lines["number"], np.repeat(passages["file"], passages["lines"])], axis=1)


class ArrayFile:
    """Writes an array to a .npy file piece by piece. The array has one dimension, or two if `columns` is given."""

    def __init__(self, path: Path, kind: DTypeLike, columns: int | None = None) -> None:
        self._kind = np.dtype(kind)
        self._columns = columns
        self.length = 0
        self._file = path.open("wb")
        self._write_header()

    def __enter__(self) -> "ArrayFile":
        return self

    def __exit__(self, *error: object) -> None:
        with self._file:
            self._file.seek(0)
            self._write_header()  # of the same size as before, because NumPy reserves room for a longer shape

    def add(self, rows: NDArray[np.integer]) -> None:
        self._file.write(np.ascontiguousarray(rows, self._kind).data)
        self.length += len(rows)

    def _write_header(self) -> None:
        shape = (self.length,) if self._columns is None else (self.length, self._columns)
        described = {"descr": npy.dtype_to_descr(self._kind), "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(self._file, described)
