"""The batch of a given step, computed and not stored.

A split's ids are seen as a ring and read by B parallel streams, each going on from batch to batch where
it left off. Every epoch begins at another place of the ring, which follows from the random seed and the
epoch alone; so any batch can be had at once, and a resumed run needs no more than its step.
"""

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
        """Inputs and targets (one symbol later), each of shape (batch size, seq len)."""
        stream_length = len(self.ids) // self.batch_size
        begin = np.random.default_rng([self.random_seed, epoch]).integers(len(self.ids))
        rows = begin + stream_length * np.arange(self.batch_size) + step * self.seq_len
        places = (rows[:, None] + np.arange(self.seq_len + 1)) % len(self.ids)
        window = self.ids[places].astype(np.int32)
        return window[:, :-1], window[:, 1:]


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
