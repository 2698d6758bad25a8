"""Making the ids of a corpus: all symbols numbered once, then the vocabulary, then the ids of each split.

The text goes by in batches and blocks, so memory does not grow with it. All that is made lies in a folder that takes
its name when it is whole.
"""

import json
import shutil
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.corpora.corpus import Corpus, Reading
from wordgen.corpora.published import SPLITS, Split
from wordgen.corpora.units import Unit
from wordgen.dataset.array_file import ArrayFile
from wordgen.dataset.cutting import Batch, cut_all, useful_processes
from wordgen.dataset.numbered import Block, NumberedText
from wordgen.dataset.splits import FEWEST_UNITS, splits_of
from wordgen.errors import CorpusError
from wordgen.files import file_checksum, whole_folder
from wordgen.text.escapes import END_TOKEN, RESERVED
from wordgen.text.settings import TextSettings
from wordgen.text.spelling import SPELLING
from wordgen.text.tokenizers import Tokenizer, TokenizerName
from wordgen.text.vocabulary import END, START, UNKNOWN, Vocabulary

_SMALL = 4_000_000
"""Up to so many bytes one process has cut a text before others have started."""
_CHARACTERS_AT_ONCE = 1 << 18
_COST_OF_A_UNIT = 30  # in characters: a batch of empty lines must end, too
_SECONDS_TO_BE_LEFT_OVER = 3600

Progress = Callable[[int, int], None]
"""Told how many bytes of how many have been encoded."""
Ids = NDArray[np.uint32]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class SplitStatistics:
    units: int
    symbols: int
    """Targets of the split: words, punctuation and END, but never START."""
    unknown: int
    characters: int
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

    def __add__(self, other: "SplitStatistics") -> "SplitStatistics":
        return SplitStatistics(*map(sum, zip(astuple(self), astuple(other), strict=True)))


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


def encode(
    corpus: Corpus,
    digest: str,
    tokenizer: Tokenizer,
    settings: TextSettings,
    place: Path,
    progress: Progress | None,
) -> None:
    """Encode the text that has this digest."""
    _remove_leftovers(place.parent)
    as_published = is_benchmark(corpus, tokenizer.name)
    reading = corpus.reading(every_line=as_published)
    with whole_folder(place) as partial:
        with NumberedText(partial) as text:
            number_symbols(reading, tokenizer, text, progress)
            _check_amount(corpus, text)
            frame = Frame.of(text, as_published=as_published)
            vocabulary, types = _vocabulary(corpus, text, settings, as_published=as_published)
            statistics = _Writing(corpus, text, vocabulary, frame).write(partial)
        for split, counted in statistics.items():
            if counted.symbols - (not frame.start) <= 0:  # without START the first symbol is never a target
                raise CorpusError(
                    f"Too little text: nothing of {corpus.name} is left for its {split} part. Take more text."
                )
        _write_json(partial / "vocabulary.json", vocabulary.to_json())
        sums = {file.name: file_checksum(file) for file in partial.iterdir()}
        facts = {split: asdict(counted) for split, counted in statistics.items()}
        described = {"statistics": facts, "types": types, "starts": frame.start, "sums": sums, "notes": reading.notes}
        _write_json(partial / "dataset.json", described)
        if corpus.digest() != digest:
            raise CorpusError(
                f"The text of {corpus.name} has changed while it was read: try again when it is complete."
            )


def is_benchmark(corpus: Corpus, tokenizer: TokenizerName) -> bool:
    """Whether a corpus is read as public benchmarks are: tokenized already, line by line, in splits of its own."""
    return bool(corpus.splits) and tokenizer == "whitespace" and corpus.unit == "line"


def number_symbols(reading: Reading, tokenizer: Tokenizer, text: NumberedText, progress: Progress | None) -> None:
    """Cut a text into symbols, by several processes where it is large, and number those."""
    size = reading.corpus.bytes
    processes = useful_processes() if size > _SMALL else 1
    with closing(cut_all(_batches(reading), tokenizer.name, processes)) as cuts:
        for cut in cuts:
            text.add(cut)
            if progress is not None:
                progress(min(cut.bytes_read, size), size)


def _batches(reading: Reading) -> Iterator[Batch]:
    units: list[tuple[int, Unit]] = []
    size = 0
    for file, unit in reading.units():
        units.append((file, unit))
        size += len(unit.text) + _COST_OF_A_UNIT
        if size >= _CHARACTERS_AT_ONCE:
            yield Batch(units, reading.bytes_read)
            units, size = [], 0
    if units:
        yield Batch(units, reading.bytes_read)


def _check_amount(corpus: Corpus, text: NumberedText) -> None:
    if not text.characters:
        raise CorpusError(f"The corpus {corpus.name} is empty: there is nothing to learn from.")
    if text.units < FEWEST_UNITS:
        raise CorpusError(
            f"The corpus {corpus.name} has {text.units} unit(s), but at least {FEWEST_UNITS} are needed, one each "
            "to train on, to validate and to test: take more text, or put blank lines between its paragraphs."
        )


def _splits(corpus: Corpus, text: NumberedText, block: Block) -> NDArray[np.uint8]:
    """The split of each unit of a block: its file's, where the corpus says so."""
    if corpus.splits:
        return np.array([SPLITS.index(split) for split in corpus.splits], np.uint8)[block.unit_files]
    return splits_of(block.first_unit + np.arange(len(block.unit_symbols)), text.units)


def _vocabulary(
    corpus: Corpus, text: NumberedText, settings: TextSettings, *, as_published: bool
) -> tuple[Vocabulary, int]:
    """The vocabulary of the training units alone, and how many different symbols those hold."""
    counted = np.zeros(len(text.symbols), np.int64)
    for block in text.blocks():
        training = np.repeat(_splits(corpus, text, block) == SPLITS.index("train"), block.unit_symbols)
        counted += np.bincount(block.symbols[training], minlength=len(counted))
    counts = {symbol: count for symbol, count in zip(text.symbols, counted.tolist(), strict=True) if count}
    size, min_count = settings.limits(all_words=as_published)
    vocabulary = Vocabulary.from_counts(counts, size, min_count, spelling=settings.unknown == "spell")
    return vocabulary, len(counts.keys() - set(RESERVED))


class _Writing:
    """The ids of each split, and where the lines of the training text begin in them, written block by block."""

    def __init__(self, corpus: Corpus, text: NumberedText, vocabulary: Vocabulary, frame: Frame) -> None:
        self._corpus, self._text, self._frame = corpus, text, frame
        self._vocabulary = vocabulary
        self._kind = np.min_scalar_type(len(vocabulary) - 1)
        self._table = IdTable(text.symbols, vocabulary)

    def write(self, folder: Path) -> dict[Split, SplitStatistics]:
        statistics = dict.fromkeys(SPLITS, SplitStatistics(0, 0, 0, 0))
        with ExitStack() as files:
            ids_files = {split: files.enter_context(ArrayFile(folder / f"{split}.npy", self._kind)) for split in SPLITS}
            lines_file = files.enter_context(ArrayFile(folder / "lines.npy", np.uint32, columns=3))
            for block in map(self._table.translated, self._text.blocks()):
                splits = _splits(self._corpus, self._text, block)
                for number, split in enumerate(SPLITS):
                    members = splits == number
                    of_split = block.symbols[np.repeat(members, block.unit_symbols)]
                    framed, begins = framed_units(of_split, block.unit_symbols[members], self._frame)
                    if split == "train":
                        begins += ids_files[split].length
                        lines_file.add(_line_places(block, members, begins, self._frame))
                    ids_files[split].add(framed)
                    statistics[split] += SplitStatistics.of(framed, block.unit_characters[members], self._vocabulary)
        return statistics


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


def _line_places(block: Block, members: NDArray[np.bool_], begins: Places, frame: Frame) -> Places:
    """For each line of some units: the place of its first symbol in the ids, its number and its file's.

    A unit's first line begins with its START, where it has one.
    """
    mine = np.repeat(members, block.unit_lines)
    firsts = block.line_symbols[mine].astype(np.int64)
    places = np.repeat(begins, block.unit_lines[members]) + firsts + (frame.start & (firsts > 0))
    files = np.repeat(block.unit_files[members], block.unit_lines[members])
    return np.stack([places, block.line_numbers[mine].astype(np.int64), files.astype(np.int64)], axis=1)


def _remove_leftovers(folder: Path) -> None:
    """What killed encodings left here: of the folders not yet whole those that nobody has touched for an hour."""
    for partial in folder.glob(".*"):
        try:
            touched = max(path.stat().st_mtime for path in (partial, *partial.iterdir()))
        except OSError:
            continue  # another process was quicker
        if time.time() - touched > _SECONDS_TO_BE_LEFT_OVER:
            shutil.rmtree(partial, ignore_errors=True)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
