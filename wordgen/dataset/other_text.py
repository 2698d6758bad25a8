"""A text that the vocabulary was not made of, as ids: read and cut as the corpus was, and no split of it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordgen.corpora.corpus import Reading
from wordgen.dataset.ids import Frame, IdTable, SplitStatistics, brings_ends, framed_units
from wordgen.dataset.making import Progress, number_symbols
from wordgen.dataset.numbered import NumberedText
from wordgen.files import told_plainly
from wordgen.text.codec import Codec


@dataclass(frozen=True)
class OtherText:
    ids: NDArray[np.uint32]
    statistics: SplitStatistics
    notes: tuple[str, ...]
    """How it was read, in short sentences."""


def encode_other(reading: Reading, codec: Codec, progress: Progress | None = None, *, starts: bool) -> OtherText:
    """The ids of a text; `starts` says whether the units of the corpus begin with START."""
    folder = Path(tempfile.gettempdir())
    parts: list[NDArray[np.uint32]] = []
    statistics = SplitStatistics(0, 0, 0, 0)
    with told_plainly(folder), tempfile.TemporaryDirectory(dir=folder) as place, NumberedText(Path(place)) as text:
        number_symbols(reading, codec.tokenizer, text, progress)
        frame = Frame(start=starts, end=starts or not brings_ends(text))
        table = IdTable(text.symbols, codec.vocabulary)
        for block in map(table.translated, text.blocks()):
            framed, _ = framed_units(block.symbols, block.unit_symbols, frame)
            parts.append(framed)
            statistics += SplitStatistics.of(framed, block.unit_characters, codec.vocabulary)
    ids = np.concatenate(parts) if parts else np.zeros(0, np.uint32)
    return OtherText(ids, statistics, reading.notes)
