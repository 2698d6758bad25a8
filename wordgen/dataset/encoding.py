"""From a corpus to ids on disk, once.

The result is kept in a folder whose name is the fingerprint of the text, the tokenizer and the
vocabulary's limits, so a second run starts at once and a text that changed is encoded anew.
"""

import hashlib
import json
import shutil
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.corpora.corpus import Corpus
from wordgen.corpora.units import Unit, unit_separator, visible_width
from wordgen.dataset.splits import FEWEST_UNITS, SPLITS, Split, split_of
from wordgen.errors import CorpusError, SettingError
from wordgen.files import file_checksum, whole_folder
from wordgen.text.codec import Codec
from wordgen.text.escapes import END_TOKEN
from wordgen.text.settings import TextSettings
from wordgen.text.tokenizers import Tokenizer, TokenizerName, tokenizer_for, tokenizer_named
from wordgen.text.vocabulary import END, START, UNKNOWN, Vocabulary

_FORMAT = 4  # raise it when the same text would give other ids
Progress = Callable[[int, int], None]


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


class _TypeNumbers(dict[str, int]):
    """Numbers symbols in the order in which they are first seen."""

    def __missing__(self, symbol: str) -> int:
        self[symbol] = len(self)
        return self[symbol]


def _encode(
    corpus: Corpus, tokenizer: Tokenizer, settings: TextSettings, place: Path, progress: Progress | None
) -> None:
    reading = corpus.reading()
    units = list(reading.units())
    if not any(unit.text for _, unit in units):
        raise CorpusError(f"The corpus {corpus.name} is empty: there is nothing to learn from.")
    if len(units) < FEWEST_UNITS:
        raise CorpusError(
            f"The corpus {corpus.name} has {len(units)} unit(s), but at least {FEWEST_UNITS} are needed, one each "
            "to train on, to validate and to test: take more text, or put blank lines between its paragraphs."
        )
    numbers = _TypeNumbers()
    numbered: list[array[int]] = []
    for done, (_, unit) in enumerate(units):
        numbered.append(array("i", [numbers[symbol] for symbol in tokenizer.tokenize(unit.text)]))
        if progress is not None:
            progress(done + 1, len(units))
    splits: list[Split] = [split_of(number, len(units)) for number in range(len(units))]
    vocabulary, types = _vocabulary(numbered, splits, numbers, settings)
    new_ids = np.array([vocabulary.id_of(symbol) for symbol in numbers], np.uint32)
    enclosed = END_TOKEN not in numbers  # texts that bring <eos> along use END alone
    split_ids = {
        split: _split_ids((unit for unit, of in zip(numbered, splits, strict=True) if of == split), new_ids, enclosed)
        for split in SPLITS
    }
    for split, ids in split_ids.items():
        if np.count_nonzero(ids[1:] != START) == 0:
            raise CorpusError(
                f"Too little text: nothing of {corpus.name} is left for its {split} part. Take more text."
            )
    widths = np.array([visible_width(tokenizer.piece(symbol, None)) for symbol in numbers], np.int64)
    training = [number for number, of in enumerate(splits) if of == "train"]
    lines = _line_places([(*units[number], widths[numbered[number]]) for number in training], enclosed)
    with whole_folder(place) as partial:
        np.save(partial / "lines.npy", lines)
        statistics = {}
        for split in SPLITS:
            members = [number for number, of in enumerate(splits) if of == split]
            ids = split_ids[split]
            np.save(partial / f"{split}.npy", ids.astype(np.min_scalar_type(len(vocabulary) - 1)))
            characters = sum(len(units[number][1].text) for number in members)
            targets = int(np.count_nonzero(ids != START))
            unknown = int(np.count_nonzero(ids == UNKNOWN))
            statistics[split] = asdict(SplitStatistics(len(members), targets, unknown, characters))
        _write_json(partial / "vocabulary.json", vocabulary.to_json())
        sums = {file.name: file_checksum(file) for file in partial.iterdir()}
        facts = {"statistics": statistics, "types": types, "starts": enclosed, "sums": sums}
        facts["notes"] = reading.notes
        _write_json(partial / "dataset.json", facts)


def _vocabulary(
    numbered: list["array[int]"], splits: list[Split], numbers: dict[str, int], settings: TextSettings
) -> tuple[Vocabulary, int]:
    """The vocabulary of the training units alone, and how many different symbols those hold."""
    training = (unit for unit, split in zip(numbered, splits, strict=True) if split == "train")
    counted = Counter(chain.from_iterable(training))
    counts = {symbol: counted[number] for symbol, number in numbers.items() if number in counted}
    return Vocabulary.from_counts(counts, settings.vocab_size, settings.min_count), len(counts)


def _split_ids(units: Iterable["array[int]"], new_ids: NDArray[np.uint32], enclosed: bool) -> NDArray[np.uint32]:
    start, end = np.array([START], np.uint32), np.array([END], np.uint32)
    parts: list[NDArray[np.uint32]] = [np.empty(0, np.uint32)]
    for unit in units:
        ids = new_ids[np.frombuffer(unit, np.int32)] if unit else parts[0]
        parts += [start, ids, end] if enclosed else [ids]
    return np.concatenate(parts)


def _line_places(units: Iterable[tuple[int, Unit, NDArray[np.int64]]], enclosed: bool) -> NDArray[np.uint32]:
    """For each line that is no blank: the place of its first symbol in the ids, its number and its file's.

    A symbol stands where its first visible character does: a tokenizer may drop white space, but nothing else.
    """
    rows: list[tuple[int, int, int]] = []
    place = 0
    for file, unit, widths in units:
        begins = np.cumsum(widths) - widths
        offset = 0
        for number, width in enumerate(unit.widths):
            first = int(np.searchsorted(begins, offset)) + enclosed if offset else 0
            if width or len(unit.widths) == 1:
                rows.append((place + first, unit.line + number, file))
            offset += width
        place += len(widths) + 2 * enclosed
    return np.array(rows, np.uint32).reshape(-1, 3)


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
