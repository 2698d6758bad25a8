"""A whole text as numbers of its symbols, on disk: what there is of it before its vocabulary is known."""

from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from wordgen.dataset.cutting import Cut, Numbers

_SYMBOLS_AT_ONCE = 1 << 18
_UNITS_AT_ONCE = 1 << 14
_UNIT_COLUMNS, _LINE_COLUMNS = 4, 2


@dataclass(frozen=True)
class Block:
    """Some neighbouring units of the text."""

    first_unit: int
    symbols: Numbers
    """The number of each symbol of all units."""
    unit_symbols: Numbers
    """For each unit how many symbols it has."""
    unit_characters: Numbers
    unit_lines: Numbers
    unit_files: Numbers
    line_symbols: Numbers
    """For each line which symbol of its unit is its first."""
    line_numbers: Numbers


class NumberedText:
    """Takes the cuts of a text in their order, and gives it back block by block, as often as need be."""

    def __init__(self, folder: Path) -> None:
        self.symbols: dict[str, int] = {}
        self.units = self.characters = 0
        self._translations: dict[int, array[int]] = {}
        """For each cutter what its numbers are here."""
        self._paths = [folder / name for name in ("symbols.numbers", "units.numbers", "lines.numbers")]
        with ExitStack() as opening:
            self._files = [opening.enter_context(path.open("wb+")) for path in self._paths]
            self._closing = opening.pop_all()

    def __enter__(self) -> "NumberedText":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()
        for path in self._paths:
            path.unlink()

    def add(self, cut: Cut) -> None:
        translation = self._translations.setdefault(cut.cutter, array("I"))
        translation.extend(self.symbols.setdefault(symbol, len(self.symbols)) for symbol in cut.new_symbols)
        numbers = np.frombuffer(translation, np.uint32)[cut.numbers] if len(cut.numbers) else cut.numbers
        for file, values in zip(self._files, (numbers, cut.units, cut.lines), strict=True):
            file.write(np.ascontiguousarray(values).data)
        self.units += len(cut.units)
        self.characters += int(cut.units[:, 1].sum())

    def blocks(self) -> Iterator[Block]:
        symbols, units, lines = self._files
        for file in self._files:
            file.flush()
            file.seek(0)
        first = 0
        while first < self.units:
            table = np.fromfile(units, np.uint32, _UNIT_COLUMNS * _UNITS_AT_ONCE).reshape(-1, _UNIT_COLUMNS)
            ends = np.cumsum(table[:, 0], dtype=np.int64)
            pieces = np.split(table, np.flatnonzero(np.diff(ends // _SYMBOLS_AT_ONCE)) + 1)
            for piece in pieces:
                lengths, characters, line_counts, files = piece.T
                of_lines = np.fromfile(lines, np.uint32, _LINE_COLUMNS * int(line_counts.sum()))
                line_symbols, line_numbers = of_lines.reshape(-1, _LINE_COLUMNS).T
                every = np.fromfile(symbols, np.uint32, int(lengths.sum()))
                yield Block(first, every, lengths, characters, line_counts, files, line_symbols, line_numbers)
                first += len(piece)
