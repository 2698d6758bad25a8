"""Units cut into numbered symbols, batch by batch, in this process or in several at once.

Each cutter numbers symbols in the order in which it first sees them, and tells with each batch which were new. So
whoever takes the batches in their order can give all symbols the same numbers, however many processes there were.
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
from wordgen.corpora.units import Unit, visible_width
from wordgen.errors import CorpusError
from wordgen.text.settings import TokenizerName
from wordgen.text.tokenizers import tokenizer_named

Numbers = NDArray[np.uint32]

_MOST_PROCESSES = 6  # each takes some fifty megabytes, and all together must stay under four hundred


@dataclass(frozen=True)
class Batch:
    """Some neighbouring units, each with the number of its file."""

    units: Sequence[tuple[int, Unit]]
    bytes_read: int
    """How much of the corpus had been read when they were complete."""


@dataclass(frozen=True)
class Cut:
    """A batch as numbers."""

    cutter: int
    """Which cutter made it: the numbers are its own."""
    new_symbols: Sequence[str]
    """Those that it had not seen before, in the order of their numbers."""
    numbers: Numbers
    """All symbols of all units."""
    units: Numbers
    """For each unit how many symbols, characters and lines it has, and its file."""
    lines: Numbers
    """For each line that is no blank: which symbol of its unit is its first, and its number in the file."""
    bytes_read: int


class Cutter:
    def __init__(self, tokenizer: TokenizerName, name: int = 0) -> None:
        self._name = name
        self._tokenizer = tokenizer_named(tokenizer)
        self._numbers = _Numbering()
        self._widths = array("I")
        """How many visible characters each symbol has."""

    def cut(self, batch: Batch) -> Cut:
        known = len(self._numbers)
        numbers, units, lines = array("I"), array("I"), array("I")
        for file, unit in batch.units:
            symbols = self._tokenizer.tokenize(unit.text)
            of_unit = array("I", map(self._numbers.__getitem__, symbols))
            numbers += of_unit
            line_places = self._line_places(unit, of_unit)
            lines.extend(line_places)
            units.extend((len(symbols), len(unit.text), len(line_places) // 2, file))
        return Cut(
            self._name,
            self._numbers.newest(len(self._numbers) - known),
            np.array(numbers, np.uint32),
            np.array(units, np.uint32).reshape(-1, 4),
            np.array(lines, np.uint32).reshape(-1, 2),
            batch.bytes_read,
        )

    def _line_places(self, unit: Unit, numbers: "array[int]") -> list[int]:
        """For each line its first symbol and its number: a symbol stands where its first visible character does."""
        if len(unit.widths) == 1:
            return [0, unit.line]
        offsets = np.cumsum(unit.widths) - unit.widths
        firsts = np.searchsorted(self._visible_begins(numbers), offsets)
        written = np.flatnonzero(unit.widths)
        return np.stack([firsts[written], unit.line + written], axis=1).ravel().tolist()

    def _visible_begins(self, numbers: "array[int]") -> NDArray[np.int64]:
        """How many visible characters stand before each symbol: a tokenizer may drop white space, but nothing else."""
        for symbol in self._numbers.newest(len(self._numbers) - len(self._widths)):
            self._widths.append(visible_width(self._tokenizer.piece(symbol, None)))
        widths = np.frombuffer(self._widths, np.uint32)[numbers].astype(np.int64)
        return np.cumsum(widths) - widths


class _Numbering(dict[str, int]):
    """Numbers symbols in the order in which they are first seen."""

    def __missing__(self, symbol: str) -> int:
        self[symbol] = len(self)
        return self[symbol]

    def newest(self, count: int) -> list[str]:
        return list(islice(reversed(self), count))[::-1]


def useful_processes() -> int:
    """How many cutters this machine has work for."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not every system tells
        cores = os.cpu_count() or 1
    return min(cores, _MOST_PROCESSES)


def cut_all(batches: Iterable[Batch], tokenizer: TokenizerName, processes: int) -> Generator[Cut]:
    """All batches in their order, cut in this process if one is enough, else in as many others."""
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
    """A cutter in a process of its own: batches go in and cuts come out, pickled.

    It is started by hand, for multiprocessing would run the user's own script again in each process.
    """

    def __init__(self, tokenizer: TokenizerName, name: int) -> None:
        self._process = subprocess.Popen(
            python_command(f"from wordgen.dataset.cutting import serve; serve({tokenizer!r}, {name})"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the process that asked
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
                "A process that cuts the text has come to a sudden end: perhaps it was killed, or memory ran out. "
                "Start again; what was there before is whole."
            ) from error

    def end(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):  # what was left to write has no reader any more
                pipe.close()
        self._process.wait()


def serve(tokenizer: TokenizerName, name: int) -> None:
    """Cut what comes in until nothing more comes; whoever asked decides when to stop, not a signal to all."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    cutter = Cutter(tokenizer, name)
    batches, cuts = sys.stdin.buffer, sys.stdout.buffer
    try:
        while True:
            pickle.dump(cutter.cut(pickle.load(batches)), cuts)
            cuts.flush()
    except (EOFError, BrokenPipeError):
        os._exit(0)  # at once, for the pipe may be gone
