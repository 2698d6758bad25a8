"""Making the ids of a corpus: all symbols numbered once, then the vocabulary, then the ids of each split.

The text goes by in batches and blocks, so memory does not grow with it. All that is made lies in a folder that takes
its name when it is whole.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.corpora.corpus import Corpus, Reading
from wordgen.corpora.published import SPLITS, Split
from wordgen.corpora.units import Unit
from wordgen.dataset.array_file import ArrayFile
from wordgen.dataset.cutting import Batch, cut_all, useful_processes
from wordgen.dataset.ids import Frame, IdTable, SplitStatistics, framed_units, line_places
from wordgen.dataset.numbered import Block, NumberedText
from wordgen.dataset.splits import FEWEST_UNITS, splits_of
from wordgen.dataset.unknown_words import unknown_words
from wordgen.errors import CorpusError
from wordgen.files import file_checksum, seldom, whole_folder
from wordgen.text.settings import TextSettings, TokenizerName
from wordgen.text.tokenizers import Tokenizer
from wordgen.text.vocabulary import BaseVocabulary, Vocabulary

_SMALL = 4_000_000
"""Up to so many bytes one process has cut a text before others have started."""
_CHARACTERS_AT_ONCE = 1 << 18
_COST_OF_A_UNIT = 30  # in characters: a batch of empty lines must end, too
_SECONDS_TO_BE_LEFT_OVER = 3600

Progress = Callable[[int, int], None]
"""Told how many bytes of how many have been encoded."""


def encode(
    corpus: Corpus,
    digest: str,
    tokenizer: Tokenizer,
    settings: TextSettings,
    place: Path,
    progress: Progress | None,
    base: BaseVocabulary | None = None,
) -> None:
    """Encode the text that has this digest."""
    _remove_leftovers(place.parent)
    as_published = is_benchmark(corpus, tokenizer.name)
    reading = corpus.reading(every_line=as_published)
    look = seldom(lambda: progress(reading.bytes_read, corpus.bytes)) if progress is not None else lambda: None
    with whole_folder(place) as partial:
        with NumberedText(partial) as text:
            number_symbols(reading, tokenizer, text, progress)
            _check_amount(corpus, text)
            frame = Frame.of(text, as_published=as_published)
            counts = _training_counts(corpus, text)
            vocabulary = _vocabulary(counts, tokenizer, settings, base, as_published=as_published)
            unknown = unknown_words(_training_units(corpus, text), list(text.symbols), vocabulary)
            statistics = _Writing(corpus, text, vocabulary, frame).write(partial)
        for split, counted in statistics.items():
            if counted.symbols - (not frame.start) <= 0:  # without START the first symbol is never a target
                raise CorpusError(
                    f"Too little text: nothing of {corpus.name} is left for its {split} part. Take more text."
                )
        _write_json(partial / "vocabulary.json", vocabulary.to_json())
        _write_json(partial / "unknown_words.json", unknown.to_json())
        sums = {file.name: file_checksum(file, look) for file in partial.iterdir()}
        facts = {split: asdict(counted) for split, counted in statistics.items()}
        types = len(tokenizer.ordinary(counts))
        described = {"statistics": facts, "types": types, "starts": frame.start, "sums": sums, "notes": reading.notes}
        _write_json(partial / "dataset.json", described)
        if corpus.digest(look) != digest:
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


def _training_counts(corpus: Corpus, text: NumberedText) -> dict[str, int]:
    """How often each symbol stands in the training units."""
    counted = np.zeros(len(text.symbols), np.int64)
    for block in text.blocks():
        training = np.repeat(_splits(corpus, text, block) == SPLITS.index("train"), block.unit_symbols)
        counted += np.bincount(block.symbols[training], minlength=len(counted))
    return {symbol: count for symbol, count in zip(text.symbols, counted.tolist(), strict=True) if count}


def _training_units(corpus: Corpus, text: NumberedText) -> Iterator[NDArray[np.uint32]]:
    """The numbers of the symbols of each unit to train on."""
    for block in text.blocks():
        units = np.split(block.symbols, np.cumsum(block.unit_symbols)[:-1])
        training = _splits(corpus, text, block) == SPLITS.index("train")
        yield from compress(units, training)


def _vocabulary(
    counts: dict[str, int],
    tokenizer: Tokenizer,
    settings: TextSettings,
    base: BaseVocabulary | None,
    *,
    as_published: bool,
) -> Vocabulary:
    size, min_count = settings.limits(all_words=as_published)
    spelling = settings.unknown == "spell"
    one = tokenizer.one_apostrophe
    return Vocabulary.from_counts(counts, size, min_count, spelling=spelling, one_apostrophe=one, base=base)


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
                        lines_file.add(line_places(block, members, begins, self._frame))
                    ids_files[split].add(framed)
                    statistics[split] += SplitStatistics.of(framed, block.unit_characters[members], self._vocabulary)
        return statistics


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
