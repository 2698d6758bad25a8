"""What packed files may unpack to: far more than any text does is no text, but made to fill memory, disk or time."""

from dataclasses import dataclass
from pathlib import Path

from wordgen.errors import CorpusError

LARGEST_UNCHECKED = 1 << 26
MOST_TIMES_ITS_SIZE = 200
"""Prose packs to a third or a fifth; a log of one line over and over to a hundredth."""


@dataclass
class Unpacked:
    """How much of a packed file has been unpacked."""

    path: Path
    packed: int
    """How many bytes the file has."""
    bytes: int = 0

    def add(self, size: int) -> None:
        self.bytes += size
        if self.bytes > max(LARGEST_UNCHECKED, MOST_TIMES_ITS_SIZE * self.packed):
            raise CorpusError(
                f"{self.path} cannot be read: it unpacks to more than {MOST_TIMES_ITS_SIZE} times its size, as no text "
                "does. If it is one, unpack it yourself and give the plain file."
            )
