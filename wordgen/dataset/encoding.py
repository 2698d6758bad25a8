"""From a corpus to ids on disk, once.

The result is kept in a folder whose name is the fingerprint of the text, the tokenizer and the
vocabulary's limits, so a second run starts at once and a text that changed is encoded anew.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.corpora.corpus import Corpus, Reading
from wordgen.corpora.units import Unit, unit_separator
from wordgen.dataset.array_file import ArrayFile
from wordgen.dataset.cutting import Batch, cut_all, useful_processes
from wordgen.dataset.numbered import Block, NumberedText
from wordgen.dataset.splits import FEWEST_UNITS, SPLITS, Split, splits_of
from wordgen.errors import CorpusError, SettingError
from wordgen.files import file_checksum, whole_folder
from wordgen.text.codec import Codec
from wordgen.text.escapes import END_TOKEN
from wordgen.text.settings import TextSettings
from wordgen.text.tokenizers import Tokenizer, TokenizerName, tokenizer_for, tokenizer_named
from wordgen.text.vocabulary import END, START, UNKNOWN, Vocabulary

_FORMAT = 5  # raise it when the same text would give other ids
_SMALL = 4_000_000
"""Up to so many bytes one process has cut a text before others have started."""
_CHARACTERS_AT_ONCE = 1 << 18
_COST_OF_A_UNIT = 30  # in characters: a batch of empty lines must end, too
_SECONDS_TO_BE_LEFT_OVER = 3600

Progress = Callable[[int, int], None]
"""Told how many bytes of how many have been encoded."""


@dataclass(frozen=True)
class SplitStatistics:
    units: int
    symbols: int
    """Targets of the split: words, punctuation and END, but never START."""
    unknown: int
    characters: int

    @property
    def unknown_share(self) -> float:
        return self.unknown / max(1, self.symbols)

    def __add__(self, other: "SplitStatistics") -> "SplitStatistics":
        return SplitStatistics(
            self.units + other.units,
            self.symbols + other.symbols,
            self.unknown + other.unknown,
            self.characters + other.characters,
        )


@dataclass(frozen=True)
class Dataset:
    """A corpus as ids: one memory-mapped array a split, and the codec that made them."""

    codec: Codec
    ids: dict[Split, NDArray[np.unsignedinteger]]
    fingerprint: str
    """Of the text and of all that made ids of it."""
    statistics: dict[Split, SplitStatistics]
    starts: bool
    """Whether units begin with START: not where the text brought its own <eos>."""
    types: int
    """How many different symbols the training text has, known to the vocabulary or not."""
    files: tuple[str, ...]
    """The names of the corpus's files."""
    lines: NDArray[np.uint32]
    """Where the lines of the files begin in the training ids: place, number of the line, number of the file."""
    notes: tuple[str, ...] = ()
    """How the text was read: its encoding if it is no UTF-8, and what was cut."""


def prepare(corpus: Corpus, settings: TextSettings, folder: Path, progress: Progress | None = None) -> Dataset:
    """The corpus as ids: from the folder where it was encoded before, else encoded into it now."""
    name = _tokenizer_name(corpus, settings)
    place = folder / f"{corpus.name}-{_fingerprint(corpus, name, settings)}"
    kept = _load(place, name, corpus)
    if kept is None:
        shutil.rmtree(place, ignore_errors=True)  # a damaged one; whole ones alone ever take this name
        _encode(corpus, tokenizer_named(name), settings, place, progress)
        kept = _load(place, name, corpus)
    if kept is None:
        raise CorpusError(f"The encoded text in {place} is damaged: delete that folder and try again.")
    return kept


def _tokenizer_name(corpus: Corpus, settings: TextSettings) -> TokenizerName:
    if settings.tokenizer != "auto":
        return settings.tokenizer
    if corpus.tokenizer is None:
        return tokenizer_for(corpus.sample())
    try:
        named = TextSettings(tokenizer=corpus.tokenizer)  # pyright: ignore[reportArgumentType]
    except SettingError as error:
        raise CorpusError(f"The catalogue's entry for {corpus.name} is wrong: {error}") from error
    return tokenizer_for(corpus.sample()) if named.tokenizer == "auto" else named.tokenizer


def _fingerprint(corpus: Corpus, tokenizer: str, settings: TextSettings) -> str:
    described = f"{_FORMAT} {corpus.digest()} {tokenizer} {settings.vocab_size} {settings.min_count}"
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def _encode(
    corpus: Corpus, tokenizer: Tokenizer, settings: TextSettings, place: Path, progress: Progress | None
) -> None:
    """In a folder that takes its name when all is done, and in memory that does not grow with the text."""
    _remove_leftovers(place.parent)
    reading = corpus.reading()
    with whole_folder(place) as partial:
        with NumberedText(partial) as text:
            _number(reading, tokenizer, text, progress)
            _check_amount(corpus, text)
            enclosed = END_TOKEN not in text.symbols  # texts that bring <eos> along use END alone
            vocabulary, types = _vocabulary(text, settings)
            ids_of = np.fromiter(map(vocabulary.id_of, text.symbols), np.uint32, len(text.symbols))
            statistics = _write_ids(text, ids_of, len(vocabulary), enclosed, partial)
        for split, counted in statistics.items():
            if counted.symbols - (not enclosed) <= 0:  # without START the first symbol is never a target
                raise CorpusError(
                    f"Too little text: nothing of {corpus.name} is left for its {split} part. Take more text."
                )
        _write_json(partial / "vocabulary.json", vocabulary.to_json())
        sums = {file.name: file_checksum(file) for file in partial.iterdir()}
        facts = {split: asdict(counted) for split, counted in statistics.items()}
        described = {"statistics": facts, "types": types, "starts": enclosed, "sums": sums, "notes": reading.notes}
        _write_json(partial / "dataset.json", described)


def _number(reading: Reading, tokenizer: Tokenizer, text: NumberedText, progress: Progress | None) -> None:
    size = reading.corpus.size()
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


def _splits(block: Block, text: NumberedText) -> NDArray[np.uint8]:
    """The split of each unit of a block."""
    return splits_of(block.first_unit + np.arange(len(block.unit_symbols)), text.units)


def _vocabulary(text: NumberedText, settings: TextSettings) -> tuple[Vocabulary, int]:
    """The vocabulary of the training units alone, and how many different symbols those hold."""
    counted = np.zeros(len(text.symbols), np.int64)
    for block in text.blocks():
        training = np.repeat(_splits(block, text) == SPLITS.index("train"), block.unit_symbols)
        counted += np.bincount(block.symbols[training], minlength=len(counted))
    counts = {symbol: count for symbol, count in zip(text.symbols, counted.tolist(), strict=True) if count}
    return Vocabulary.from_counts(counts, settings.vocab_size, settings.min_count), len(counts)


def _write_ids(
    text: NumberedText, ids_of: NDArray[np.uint32], vocabulary_size: int, enclosed: bool, folder: Path
) -> dict[Split, SplitStatistics]:
    """The ids of each split, and where the lines of the training text begin in them."""
    statistics = dict.fromkeys(SPLITS, SplitStatistics(0, 0, 0, 0))
    kind = np.min_scalar_type(vocabulary_size - 1)
    with ExitStack() as files:
        ids_files = {split: files.enter_context(ArrayFile(folder / f"{split}.npy", kind)) for split in SPLITS}
        lines_file = files.enter_context(ArrayFile(folder / "lines.npy", np.dtype(np.uint32), columns=3))
        for block in text.blocks():
            unit_splits = _splits(block, text)
            ids = ids_of[block.symbols]
            for number, split in enumerate(SPLITS):
                members = unit_splits == number
                of_split = ids[np.repeat(members, block.unit_symbols)]
                written, begins = _enclosed(of_split, block.unit_symbols[members], enclosed)
                if split == "train":
                    lines_file.add(_line_places(block, members, begins + ids_files[split].length, enclosed))
                ids_files[split].add(written)
                characters = int(block.unit_characters[members].sum())
                targets, unknown = int(np.count_nonzero(written != START)), int(np.count_nonzero(written == UNKNOWN))
                statistics[split] += SplitStatistics(int(members.sum()), targets, unknown, characters)
    return statistics


def _enclosed(
    ids: NDArray[np.uint32], lengths: NDArray[np.uint32], enclosed: bool
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The ids of units, each between START and END, and where each begins."""
    written_lengths = lengths.astype(np.int64) + 2 * enclosed
    ends: NDArray[np.int64] = np.cumsum(written_lengths)
    begins: NDArray[np.int64] = ends - written_lengths
    if not enclosed:
        return ids, begins
    written = np.empty(int(written_lengths.sum()), np.uint32)
    ordinary = np.ones(len(written), bool)
    for places, symbol in ((begins, START), (ends - 1, END)):
        written[places] = symbol
        ordinary[places] = False
    written[ordinary] = ids
    return written, begins


def _line_places(
    block: Block, members: NDArray[np.bool_], begins: NDArray[np.int64], enclosed: bool
) -> NDArray[np.int64]:
    """For each line of some units: the place of its first symbol in the ids, its number and its file's.

    A unit's first line begins with its START, where it has one.
    """
    mine = np.repeat(members, block.unit_lines)
    firsts = block.line_symbols[mine].astype(np.int64)
    places = np.repeat(begins, block.unit_lines[members]) + firsts + (enclosed & (firsts > 0))
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


def _load(place: Path, tokenizer: TokenizerName, corpus: Corpus) -> Dataset | None:
    """What an earlier run left here, or nothing where it is missing or damaged."""
    try:
        described = json.loads((place / "dataset.json").read_text(encoding="utf-8"))
        if any(file_checksum(place / name) != whole for name, whole in described["sums"].items()):
            return None
        vocabulary = Vocabulary(json.loads((place / "vocabulary.json").read_text(encoding="utf-8")))
        ids: dict[Split, NDArray[np.unsignedinteger]] = {
            split: np.load(place / f"{split}.npy", mmap_mode="r") for split in SPLITS
        }
        statistics: dict[Split, SplitStatistics] = {
            split: SplitStatistics(**described["statistics"][split]) for split in SPLITS
        }
        starts, types = bool(described["starts"]), int(described["types"])
        notes = tuple(described["notes"])
        lines = np.load(place / "lines.npy", mmap_mode="r")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    codec = Codec(tokenizer_named(tokenizer), vocabulary, unit_separator(corpus.unit))
    fingerprint = place.name.rpartition("-")[2]
    return Dataset(codec, ids, fingerprint, statistics, starts, types, corpus.file_names, lines, notes)
