"""Split passages into numbered tokens, batch by batch, in this process or in several processes at once.

Each cutter numbers the tokens in the order in which it first sees them, and lists the new tokens of each batch. A
reader that takes the batches in order can therefore give every token the same number, whatever the number of processes.
"""

import os
import pickle
import signal
import subprocess
import sys
from array import array
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from wordgen.child_process import python_command
from wordgen.corpus.passages import Passage, visible_width
from wordgen.errors import CorpusError
from wordgen.text.settings import TokenizerName
from wordgen.text.tokenizers import tokenizer_named

Numbers = NDArray[np.uint32]

_MOST_PROCESSES = 6  # each process needs about 50 MB, and all together must stay below 400 MB


@dataclass(frozen=True)
class Batch:
    """Consecutive passages, each with the number of its file."""

    passages: Sequence[tuple[int, Passage]]
    bytes_read: int
    """The number of bytes of the corpus that had been read when the batch was complete."""


@dataclass(frozen=True)
class Cut:
    """The tokens of a batch as numbers."""

    cutter: int
    """The cutter that made it. Each cutter has its own numbers."""
    new_tokens: Sequence[str]
    """The tokens that the cutter had not seen before, in the order of their numbers."""
    numbers: Numbers
    """The numbers of all tokens of all passages, of shape `(tokens,)`."""
    passages: Numbers
    """For each passage: how many tokens, characters and lines it has, and the number of its file. Shape `(passages,
    4)`."""
    lines: Numbers
    """For each line: the position of its first token in its passage, and its line number in the file. Blank lines
    within a passage are left out. Shape `(lines, 2)`."""
    bytes_read: int


class Cutter:
    """Tokenizes batches and numbers the tokens. `name` identifies the cutter in its results."""

    def __init__(self, tokenizer: TokenizerName, name: int = 0) -> None:
        self._name = name
        self._tokenizer = tokenizer_named(tokenizer)
        self._numbers = _Numbering()
        self._widths = array("I")
        """The number of visible characters of each token."""

    def cut(self, batch: Batch) -> Cut:
        known = len(self._numbers)
        numbers, passages, lines = array("I"), array("I"), array("I")
        for file, passage in batch.passages:
            tokens = self._tokenizer.tokenize(passage.text)
            of_passage = array("I", map(self._numbers.__getitem__, tokens))
            numbers += of_passage
            line_places = self._line_places(passage, of_passage)
            lines.extend(line_places)
            passages.extend((len(tokens), len(passage.text), len(line_places) // 2, file))
        return Cut(
            self._name,
            self._numbers.newest(len(self._numbers) - known),
            np.array(numbers, np.uint32),
            np.array(passages, np.uint32).reshape(-1, 4),
            np.array(lines, np.uint32).reshape(-1, 2),
            batch.bytes_read,
        )

    def _line_places(self, passage: Passage, numbers: "array[int]") -> list[int]:
        """Return the position of the first token and the line number of each line, as a flat list of pairs.

        A token belongs to the line that holds its first visible character.
        """
        if len(passage.widths) == 1:
            return [0, passage.line]
        offsets = np.cumsum(passage.widths) - passage.widths
        firsts = np.searchsorted(self._visible_begins(numbers), offsets)
        written = np.flatnonzero(passage.widths)
        return np.stack([firsts[written], passage.line + written], axis=1).ravel().tolist()

    def _visible_begins(self, numbers: "array[int]") -> NDArray[np.int64]:
        """Return the number of visible characters before each token.

        This works because a tokenizer may drop white space, but no other character.
        """
        for token in self._numbers.newest(len(self._numbers) - len(self._widths)):
            self._widths.append(visible_width(self._tokenizer.piece(token, None)))
        widths = np.frombuffer(self._widths, np.uint32)[numbers].astype(np.int64)
        return np.cumsum(widths) - widths


class _Numbering(dict[str, int]):
    """Numbers tokens in the order in which they first occur."""

    def __missing__(self, token: str) -> int:
        self[token] = len(self)
        return self[token]

    def newest(self, count: int) -> list[str]:
        """Return the `count` tokens that were numbered last, in the order of their numbers."""
        return list(islice(reversed(self), count))[::-1]


def useful_processes() -> int:
    """Return how many processes this machine can use to tokenize text."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not available on every system
        cores = os.cpu_count() or 1
    return min(cores, _MOST_PROCESSES)


def cut_all(batches: Iterable[Batch], tokenizer: TokenizerName, processes: int) -> Generator[Cut]:
    """Yield the results of all batches in order.

    The batches are tokenized in this process if `processes` is 1, otherwise in that number of other processes. Raises
    CorpusError if one of them ends unexpectedly.
    """
    if processes == 1:
        yield from map(Cutter(tokenizer).cut, batches)
        return
    with ExitStack() as closing:
        threads = ThreadPoolExecutor(processes)
        closing.callback(threads.shutdown, cancel_futures=True)
        idle: SimpleQueue[_CutterProcess] = SimpleQueue()
        for name in range(processes):
            process = _CutterProcess(tokenizer, name)
            closing.callback(process.end)
            idle.put(process)
        under_way: deque[Future[Cut]] = deque()
        for batch in batches:
            under_way.append(threads.submit(_cut_by_any, idle, batch))
            if len(under_way) > 2 * processes:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _cut_by_any(idle: "SimpleQueue[_CutterProcess]", batch: Batch) -> Cut:
    process = idle.get()
    try:
        return process.cut(batch)
    finally:
        idle.put(process)


class _CutterProcess:
    """A cutter in a separate process. Batches and results are sent through pipes, pickled.

    The process is started directly, because multiprocessing would run the user's own script again in each process.
    """

    def __init__(self, tokenizer: TokenizerName, name: int) -> None:
        self._process = subprocess.Popen(
            python_command(f"from wordgen.dataset.cutting import serve; serve({tokenizer!r}, {name})"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C must reach only the process that started this one
        )

    def cut(self, batch: Batch) -> Cut:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump(batch, self._process.stdin)
            self._process.stdin.flush()
            return pickle.load(self._process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError, ValueError) as error:
            raise CorpusError(
                "A process that cuts the text into tokens ended unexpectedly: perhaps it was killed, or there was not "
                "enough memory. Run the command again. Existing files have not changed."
            ) from error

    def end(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):  # the rest of the output has no reader any more
                pipe.close()
        self._process.wait()


def serve(tokenizer: TokenizerName, name: int) -> None:
    """Tokenize the batches from standard input until the input ends.

    SIGINT and SIGTERM are ignored: the process that started this one decides when to stop.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    cutter = Cutter(tokenizer, name)
    batches, cuts = sys.stdin.buffer, sys.stdout.buffer
    try:
        while True:
            pickle.dump(cutter.cut(pickle.load(batches)), cuts)
            cuts.flush()
    except (EOFError, BrokenPipeError):
        os._exit(0)  # without clean-up, because the pipe may be closed already
