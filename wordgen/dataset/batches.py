"""The batch of a given step, computed and not stored.

A split's ids are seen as a ring and read by B parallel streams, each going on from batch to batch where
it left off. Every epoch begins at another place of the ring, which follows from the random seed and the
epoch alone; so any batch can be had at once, and a resumed run needs no more than its step.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wordgen.errors import CorpusError
from wordgen.text.vocabulary import START

Ids = NDArray[np.int32]


@dataclass(frozen=True)
class Batches:
    ids: NDArray[np.unsignedinteger]
    batch_size: int
    seq_len: int
    random_seed: int
    vary: bool = False
    """Whether steps are of differing lengths, `seq_len` in the mean."""

    def __post_init__(self) -> None:
        needed = self.batch_size * self.seq_len
        if len(self.ids) < needed + 1:
            raise CorpusError(
                f"Too little text: its training part has {len(self.ids):,} symbols, but one batch of "
                f"{self.batch_size} x {self.seq_len} needs {needed + 1:,}. "
                "Take more text, or a smaller --batch-size or --seq-len."
            )

    @property
    def steps_per_epoch(self) -> int:
        return len(self.ids) // self.batch_size // self.seq_len

    def batch(self, epoch: int, step: int) -> tuple[Ids, Ids]:
        """Inputs and targets (one symbol later), each of shape (batch size, length of the step)."""
        stream_length = len(self.ids) // self.batch_size
        ring_begin = np.random.default_rng([self.random_seed, epoch]).integers(len(self.ids))
        begin, end = self._bound(epoch, step), self._bound(epoch, step + 1)
        rows = ring_begin + stream_length * np.arange(self.batch_size) + begin
        places = (rows[:, None] + np.arange(end - begin + 1)) % len(self.ids)
        window = self.ids[places].astype(np.int32)
        return window[:, :-1], window[:, 1:]

    def _bound(self, epoch: int, step: int) -> int:
        """Where a step begins in its stream; each bound between two is moved by itself, so no step must know others."""
        if not self.vary or step in (0, self.steps_per_epoch):
            return step * self.seq_len
        most = self.seq_len // 4
        moved = np.random.default_rng([self.random_seed, epoch, step]).integers(-most, most + 1)
        return step * self.seq_len + int(moved)


class PreparedBatches:
    """The batches of a run, those that come next prepared in a thread while a step runs."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._ahead: dict[tuple[int, int, int], Future[list[tuple[Ids, Ids]]]] = {}

    def take(self, epoch: int, first: int, number: int) -> list[tuple[Ids, Ids]]:
        """So many batches of an epoch from the first one on, whether they were prepared or not."""
        prepared = self._ahead.pop((epoch, first, number), None)
        return self._batches_of(epoch, first, number) if prepared is None else prepared.result()

    def prepare(self, epoch: int, first: int, number: int) -> None:
        """Begin with what will be taken next, in the place of what was prepared before and not taken."""
        self._ahead = {(epoch, first, number): self._worker.submit(self._batches_of, epoch, first, number)}

    def _batches_of(self, epoch: int, first: int, number: int) -> list[tuple[Ids, Ids]]:
        return [self._batches.batch(epoch, first + k) for k in range(number)]


def longest_step(seq_len: int, *, vary: bool) -> int:
    """The most symbols of a step: where both its bounds may move by a quarter, half as many again."""
    return seq_len + 2 * (seq_len // 4) if vary else seq_len


def evaluation_batches(
    ids: NDArray[np.unsignedinteger], streams: int, seq_len: int, rows: int | None = None
) -> list[tuple[Ids, Ids]]:
    """Every symbol of a split but the first once as a target, in `streams` parallel streams.

    The streams are filled up at their ends with START as the target, which no loss ever counts; and so are
    whole rows, where more rows than streams are wanted.
    """
    targets = ids[1:].astype(np.int32)
    length = -(-len(targets) // streams)
    chunks = -(-length // seq_len)
    padded = np.full((2, rows or streams, chunks * seq_len), START, np.int32)
    for row in range(streams):
        row_targets = targets[row * length : (row + 1) * length]
        padded[0, row, : len(row_targets)] = ids[:-1][row * length : (row + 1) * length]
        padded[1, row, : len(row_targets)] = row_targets
    windows = np.split(padded, chunks, axis=2)
    return [(window[0], window[1]) for window in windows]
