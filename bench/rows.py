"""The networks that are measured, and the tokens and texts that they learn: the same for wordgen and its peers.

This module is plain Python and NumPy, so that an environment without wordgen can import it.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

DROPOUT = 0.3
CLIP = 1.0
LEARNING_RATE = {"rmsprop": 0.001, "sgd": 1.0}
SPECIAL = 3
"""UNKNOWN, START and END, which every vocabulary of wordgen has."""


@dataclass(frozen=True)
class Row:
    layers: int
    units: int
    batch_size: int
    seq_len: int
    vocabulary: int
    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    optimizer: Literal["rmsprop", "sgd"] = "rmsprop"
    tied: bool = False

    def __str__(self) -> str:
        named = [self.cell] * (self.cell != "lstm") + ["tied"] * self.tied + ["SGD"] * (self.optimizer == "sgd")
        network = " ".join([f"{self.layers}x{self.units}", *named])
        return f"{network}, {self.batch_size}x{self.seq_len}, {self.vocabulary:,}"


_LARGE = Row(layers=3, units=512, batch_size=64, seq_len=15, vocabulary=10_000)
ROWS = {
    "defaults": Row(layers=3, units=512, batch_size=16, seq_len=15, vocabulary=1_335),
    "large": _LARGE,
    "tied": Row(layers=2, units=200, batch_size=20, seq_len=35, vocabulary=33_278, optimizer="sgd", tied=True),
    "letters": Row(layers=2, units=128, batch_size=50, seq_len=50, vocabulary=100),
    "short": Row(layers=1, units=128, batch_size=4, seq_len=15, vocabulary=1_335),
    "gru": replace(_LARGE, cell="gru"),
    "rnn": replace(_LARGE, cell="rnn"),
}


def tokens(number: int, vocabulary: int) -> NDArray[np.int64]:
    """Return made-up tokens, always the same, without special ones. Frequencies fall with the rank, as in a text."""
    ranks = np.arange(vocabulary - SPECIAL)
    shares = 1 / (ranks + 3)
    drawn = np.random.default_rng(1).choice(len(ranks), number, p=shares / shares.sum())
    return drawn + SPECIAL


def batches(row: Row, number: int) -> NDArray[np.int64]:
    """Return inputs, and one token later the targets, in the shape (steps, batch size, seq len + 1)."""
    length = number * row.seq_len
    streams = tokens(row.batch_size * (length + 1), row.vocabulary).reshape(row.batch_size, length + 1)
    starts = range(0, length, row.seq_len)
    return np.stack([streams[:, start : start + row.seq_len + 1] for start in starts])


_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WORDS_A_LINE, _LINES_A_PARAGRAPH = 20, 20
_TIMES = 3


def write_text(path: Path, number: int, vocabulary: int) -> None:
    """Write a text of `number` made-up words, with the frequencies of `tokens`.

    It begins with all words of the vocabulary, each in three paragraphs: not all three are outside the training set.
    If `number` is too small for that, the text is longer.
    """
    words = np.array([word(each) for each in range(vocabulary - SPECIAL)])
    all_words = np.concatenate([np.roll(words, turn * len(words) // _TIMES) for turn in range(_TIMES)])
    drawn = tokens(max(number - len(all_words), 0), vocabulary) - SPECIAL
    with path.open("w", encoding="utf-8") as file:
        for part in (all_words, *(words[drawn[first : first + 10**6]] for first in range(0, len(drawn), 10**6))):
            lines = [" ".join(part[first : first + _WORDS_A_LINE]) for first in range(0, len(part), _WORDS_A_LINE)]
            for first in range(0, len(lines), _LINES_A_PARAGRAPH):
                file.write("\n".join(lines[first : first + _LINES_A_PARAGRAPH]) + "\n\n")


def word(number: int) -> str:
    """Return a word of four letters, another one for each number below 26**4."""
    return "".join(_LETTERS[number // 26**place % 26] for place in range(4))
