"""Compute the batch of any step. Batches are never stored.

The ids of a split form a ring. `batch_size` parallel streams read the ring, and each stream continues in the next batch
where it stopped in the last one. Each epoch begins at another position of the ring. This position depends only on the
random seed and the epoch, so any batch can be computed directly, and a resumed run only needs to know its step.
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
    """Computes the batches of a run from the ids of its training set.

    Raises CorpusError if the ids do not fill one batch.
    """

    ids: NDArray[np.unsignedinteger]
    batch_size: int
    seq_len: int
    random_seed: int
    vary_seq_len: bool = False
    """Whether batches differ in length. Their mean length is `seq_len`."""

    def __post_init__(self) -> None:
        needed = self.batch_size * self.seq_len
        if len(self.ids) < needed + 1:
            raise CorpusError(
                f"Too little text: the training set has {len(self.ids):,} tokens, but one batch of "
                f"{self.batch_size} x {self.seq_len} needs {needed + 1:,}. "
                "Use more text, or a smaller --batch-size or --seq-len."
            )

    @property
    def steps_per_epoch(self) -> int:
        return len(self.ids) // self.batch_size // self.seq_len

    def batch(self, epoch: int, step: int) -> tuple[Ids, Ids]:
        """Return the inputs and the targets of a step, each of shape `(batch_size, length)`.

        The targets are the inputs shifted by one token.
        """
        stream_length = len(self.ids) // self.batch_size
        ring_begin = np.random.default_rng([self.random_seed, epoch]).integers(len(self.ids))
        begin, end = self._bound(epoch, step), self._bound(epoch, step + 1)
        rows = ring_begin + stream_length * np.arange(self.batch_size) + begin
        positions = (rows[:, None] + np.arange(end - begin + 1)) % len(self.ids)
        window = self.ids[positions].astype(np.int32)
        return window[:, :-1], window[:, 1:]

    def _bound(self, epoch: int, step: int) -> int:
        """Return the position in a stream where a step begins.

        If lengths vary, each bound between two steps moves by at most a quarter of `seq_len`. The shift depends only on
        the random seed, the epoch and the step, so no other step needs to be computed first.
        """
        if not self.vary_seq_len or step in (0, self.steps_per_epoch):
            return step * self.seq_len
        max_shift = self.seq_len // 4
        shift = np.random.default_rng([self.random_seed, epoch, step]).integers(-max_shift, max_shift + 1)
        return step * self.seq_len + int(shift)


class PreparedBatches:
    """The batches of a run. A thread prepares the next batches while the current step runs."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._prepared: dict[tuple[int, int, int], Future[list[tuple[Ids, Ids]]]] = {}

    def take(self, epoch: int, first: int, number: int) -> list[tuple[Ids, Ids]]:
        """Return `number` batches of an epoch, from step `first` on. Compute them now if they were not prepared."""
        prepared = self._prepared.pop((epoch, first, number), None)
        return self._compute(epoch, first, number) if prepared is None else prepared.result()

    def prepare(self, epoch: int, first: int, number: int) -> None:
        """Start to compute the batches that `take` will return next. Drop prepared batches that were not taken."""
        self._prepared = {(epoch, first, number): self._worker.submit(self._compute, epoch, first, number)}

    def _compute(self, epoch: int, first: int, number: int) -> list[tuple[Ids, Ids]]:
        return [self._batches.batch(epoch, first + k) for k in range(number)]


def longest_seq_len(seq_len: int, *, vary_seq_len: bool) -> int:
    """Return the largest number of tokens per row in a batch.

    With `vary_seq_len` this is about 1.5 x `seq_len`, because both bounds of a step may move by a quarter of `seq_len`.
    """
    return seq_len + 2 * (seq_len // 4) if vary_seq_len else seq_len


def evaluation_batches(
    ids: NDArray[np.unsignedinteger], streams: int, seq_len: int, rows: int | None = None
) -> list[tuple[Ids, Ids]]:
    """Return batches in which every token of a split, except the first, is a target exactly once.

    The tokens are read in `streams` parallel streams of equal length. The ends of the streams are padded with START as
    the target, which no loss counts. If `rows` is greater than `streams`, the additional rows consist of padding only.
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
