"""The ids of a text's units: what each symbol becomes, what stands around a unit, where its lines begin, how many."""

from array import array
from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wordgen.dataset.numbered import Block, NumberedText
from wordgen.text.escapes import END_TOKEN
from wordgen.text.spelling import SPELLING
from wordgen.text.vocabulary import END, START, UNKNOWN, Vocabulary

Ids = NDArray[np.uint32]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Frame:
    """What stands around each unit."""

    start: bool
    end: bool

    @classmethod
    def of(cls, text: NumberedText, *, as_published: bool) -> "Frame":
        """START and END; END alone around a benchmark's lines; neither where most units bring their own <eos>."""
        own_ends = brings_ends(text)
        return cls(start=not own_ends and not as_published, end=not own_ends)


def brings_ends(text: NumberedText) -> bool:
    """Whether most units of a text have an <eos> of their own."""
    number = text.symbols.get(END_TOKEN)
    if number is None:
        return False
    ends = sum(int(np.count_nonzero(block.symbols == number)) for block in text.blocks())
    return 2 * ends >= text.units


class IdTable:
    """For each symbol of a text its id, or the several of its spelling."""

    def __init__(self, symbols: Iterable[str], vocabulary: Vocabulary) -> None:
        lengths, ids = array("I"), array("I")
        for symbol in symbols:
            of_symbol = vocabulary.ids_of(symbol)
            lengths.append(len(of_symbol))
            ids.extend(of_symbol)
        self._ids = np.array(ids, np.uint32)
        self._lengths = np.array(lengths, np.int64)
        self._begins: Places = np.cumsum(self._lengths) - self._lengths

    def translated(self, block: Block) -> Block:
        """A block with ids in the place of its symbols' numbers, and all places moved to fit."""
        lengths = self._lengths[block.symbols]
        ends: Places = np.cumsum(lengths)
        begins = ends - lengths
        within = np.arange(int(lengths.sum())) - np.repeat(begins, lengths)
        ids = self._ids[np.repeat(self._begins[block.symbols], lengths) + within]

        before = np.concatenate([np.zeros(1, np.int64), ends])  # how many ids stand before each symbol
        unit_ends = np.cumsum(block.unit_symbols, dtype=np.int64)
        unit_begins = unit_ends - block.unit_symbols
        line_units = np.repeat(unit_begins, block.unit_lines)
        return replace(
            block,
            symbols=ids,
            unit_symbols=(before[unit_ends] - before[unit_begins]).astype(np.uint32),
            line_symbols=(before[line_units + block.line_symbols] - before[line_units]).astype(np.uint32),
        )


def framed_units(ids: Ids, lengths: Ids, frame: Frame) -> tuple[Ids, Places]:
    """The ids of units with what stands around each, and where each begins."""
    framed_lengths = lengths.astype(np.int64) + frame.start + frame.end
    ends: Places = np.cumsum(framed_lengths)
    begins: Places = ends - framed_lengths
    framed = np.empty(int(framed_lengths.sum()), np.uint32)
    ordinary = np.ones(len(framed), bool)
    for stands, places, symbol in ((frame.start, begins, START), (frame.end, ends - 1, END)):
        if stands:
            framed[places] = symbol
            ordinary[places] = False
    framed[ordinary] = ids
    return framed, begins


def line_places(block: Block, members: NDArray[np.bool_], begins: Places, frame: Frame) -> Places:
    """For each line of some units: the place of its first symbol in the ids, its number and its file's.

    A unit's first line begins with its START, where it has one.
    """
    mine = np.repeat(members, block.unit_lines)
    firsts = block.line_symbols[mine].astype(np.int64)
    places = np.repeat(begins, block.unit_lines[members]) + firsts + (frame.start & (firsts > 0))
    files = np.repeat(block.unit_files[members], block.unit_lines[members])
    return np.stack([places, block.line_numbers[mine].astype(np.int64), files.astype(np.int64)], axis=1)


@dataclass(frozen=True)
class SplitStatistics:
    units: int
    symbols: int
    """Targets of the split: words, punctuation and END, but never START."""
    unknown: int
    characters: int
    """Those within the units."""
    spelled: int = 0
    """Words that are spelled out."""
    letters: int = 0
    """The symbols that spell them."""

    @classmethod
    def of(cls, framed: Ids, unit_characters: Ids, vocabulary: Vocabulary) -> "SplitStatistics":
        """Of the ids of some units."""
        counted = np.bincount(framed, minlength=len(vocabulary))
        spelling = [vocabulary.id_of(symbol) for symbol in SPELLING] if vocabulary.spells else []
        return cls(
            units=len(unit_characters),
            symbols=len(framed) - int(counted[START]),
            unknown=int(counted[UNKNOWN]),
            characters=int(unit_characters.sum()),
            spelled=int(counted[spelling[-1]]) if spelling else 0,
            letters=int(counted[spelling].sum()) if spelling else 0,
        )

    @property
    def words(self) -> int:
        """The targets, where a word that is spelled out counts once."""
        return self.symbols - self.letters + self.spelled

    @property
    def unknown_share(self) -> float:
        """The share of words that the vocabulary does not know, whether they are UNKNOWN or spelled out."""
        return (self.unknown + self.spelled) / max(1, self.words)

    @property
    def all_characters(self) -> int:
        """Those within the units, and the separator behind each, which END stands for."""
        return self.characters + self.units

    def __add__(self, other: "SplitStatistics") -> "SplitStatistics":
        return SplitStatistics(*map(sum, zip(astuple(self), astuple(other), strict=True)))
