"""Encode text as ids.

The dataset of a corpus is written to disk and used again by later runs: its sets, their vocabulary and their ids. All
other texts are encoded with the codec of a model.
"""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordgen.corpus.catalogue import SET_NAMES, SPLITS, Split
from wordgen.corpus.corpus import Corpus, Reading
from wordgen.corpus.passages import Passage
from wordgen.dataset.dataset import Dataset, SplitStatistics, TextConfig, UnknownWords, unknown_words
from wordgen.dataset.numbering import (
    ArrayFile,
    Batch,
    Block,
    Frame,
    IdTable,
    NumberedText,
    framed_passages,
    has_own_end_tokens,
    line_positions,
    tokenize_batches,
    useful_processes,
)
from wordgen.dataset.splits import MIN_PASSAGES, Splitting
from wordgen.errors import CorpusError, SettingError
from wordgen.files import as_storage_error, atomic_folder, file_checksum, read_json
from wordgen.settings import in_python
from wordgen.text.settings import DEFAULT_SHARES, TextSettings, TokenizerName, TokenizerSettings
from wordgen.text.tokenizers import Codec, Tokenizer, tokenizer_for, tokenizer_named
from wordgen.text.vocabulary import BaseVocabulary, Vocabulary

_FORMAT = 12  # increase it whenever the same text would get other ids
_SECONDS_BETWEEN_CALLS = 0.2
_SHARES_NOT_USED = "the text has its own validation and test set: --validation-share and --test-share have no effect"
_BLANK_LINES = "blank lines between its paragraphs"
_MAX_BYTES_FOR_ONE_PROCESS = 4_000_000
"""Up to this many bytes, one process finishes before further processes have even started."""
_CHARACTERS_AT_ONCE = 1 << 18
_COST_OF_A_PASSAGE = 30  # in characters, so that a batch of empty lines also reaches its limit
_SECONDS_UNTIL_LEFTOVER = 3600
_MAX_JSON_BYTES = 2**30

OnProgress = Callable[[int, int], None]
"""Receives the number of bytes encoded so far and the number of bytes in all."""


def prepare(
    corpus: Corpus,
    settings: TextSettings,
    folder: Path,
    on_progress: OnProgress = lambda done, size: None,
    base: Vocabulary | None = None,
) -> Dataset:
    """Return the dataset of a corpus. Encode the corpus into `folder` if it has not been encoded there before.

    `base` is the vocabulary of the model that a run begins from. `on_progress` receives the bytes done and the bytes in
    all. Raises CorpusError if the text is empty, too short or changes while it is read.
    """
    last_report = 0, corpus.bytes

    def report(done: int, size: int) -> None:
        nonlocal last_report
        last_report = done, size
        on_progress(done, size)

    on_block = _rate_limited(lambda: report(*last_report))
    name = tokenizer_name(corpus, settings)
    digest = corpus.digest(on_block)
    dataset_folder = folder / f"{corpus.name}-{_fingerprint(corpus, digest, name, settings, base)}"
    is_complete = dataset_folder.is_dir()  # a folder gets this name only then
    dataset = _load(dataset_folder, name, corpus, on_block)
    if dataset is None:
        if is_complete:  # but damaged
            shutil.rmtree(dataset_folder, ignore_errors=True)
        base_vocabulary = None if base is None else BaseVocabulary(base, settings.min_count or 1, settings.base_words)
        _encode(corpus, digest, tokenizer_named(name), settings, dataset_folder, base_vocabulary, report, on_block)
        dataset = _load(dataset_folder, name, corpus, on_block)
    if dataset is None:
        raise CorpusError(f"The encoded text in {dataset_folder} is damaged: delete this folder and try again.")
    if corpus.splits and settings.shares != DEFAULT_SHARES:
        return replace(dataset, notes=(*dataset.notes, _SHARES_NOT_USED))
    return dataset


def _rate_limited(call: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls `call` at most five times a second, and not in the first 0.2 seconds."""
    called = time.monotonic()

    def limited() -> None:
        nonlocal called
        if time.monotonic() - called > _SECONDS_BETWEEN_CALLS:
            called = time.monotonic()
            call()

    return limited


def fingerprint(corpus: Corpus, settings: TextSettings, base: Vocabulary | None = None) -> str:
    """Return the fingerprint that the dataset of this corpus has, without encoding the corpus."""
    return _fingerprint(corpus, corpus.digest(), tokenizer_name(corpus, settings), settings, base)


def tokenizer_name(corpus: Corpus, settings: TokenizerSettings) -> TokenizerName:
    """Return the name of the tokenizer for a corpus.

    The settings decide, else the catalogue, else the kind of the files, else the script of the text. Raises CorpusError
    if the catalogue names no valid tokenizer.
    """
    wanted = settings.tokenizer
    if wanted == "auto" and corpus.tokenizer is not None:
        try:
            wanted = TokenizerSettings(tokenizer=corpus.tokenizer).tokenizer  # pyright: ignore[reportArgumentType]
        except SettingError as error:
            raise CorpusError(f"The catalogue's entry for {corpus.name} is wrong: {in_python(str(error))}") from error
    if wanted != "auto":
        return wanted
    if corpus.is_midi:
        return "notes"
    return "abc" if corpus.passage == "tune" else tokenizer_for(corpus.sample())


def _fingerprint(corpus: Corpus, digest: str, tokenizer: str, settings: TextSettings, base: Vocabulary | None) -> str:
    limits = f"{settings.vocab_size} {settings.min_count} {settings.unknown}"
    if settings.shares != DEFAULT_SHARES and not corpus.splits:
        limits += f" {settings.shares}"
    if base is not None:
        limits += f" {settings.base_words} {base.digest()}"
    described = f"{_FORMAT} {digest} {tokenizer} {limits}"
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def _load(folder: Path, tokenizer: TokenizerName, corpus: Corpus, on_block: Callable[[], None]) -> Dataset | None:
    """Load the dataset that an earlier run wrote. Return None if it is missing or damaged."""
    try:
        record = read_json(folder / "dataset.json", _MAX_JSON_BYTES)
        if any(file_checksum(folder / name, on_block) != checksum for name, checksum in record["sums"].items()):
            return None
        vocabulary = Vocabulary(read_json(folder / "vocabulary.json", _MAX_JSON_BYTES))
        unknown = UnknownWords.from_json(read_json(folder / "unknown_words.json", _MAX_JSON_BYTES), vocabulary)
        ids: dict[Split, NDArray[np.unsignedinteger]] = {
            split: np.load(folder / f"{split}.npy", mmap_mode="r") for split in SPLITS
        }
        statistics: dict[Split, SplitStatistics] = {
            split: SplitStatistics(**record["statistics"][split]) for split in SPLITS
        }
        text, types = _text_config(corpus, tokenizer, starts=bool(record["starts"])), int(record["types"])
        notes = tuple(record["notes"])
        lines = np.load(folder / "lines.npy", mmap_mode="r")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    codec = Codec(tokenizer_named(tokenizer), vocabulary, text.separator)
    fingerprint = folder.name.rpartition("-")[2]
    return Dataset(codec, ids, fingerprint, statistics, text, types, corpus.file_names, lines, notes, unknown)


def _text_config(corpus: Corpus, tokenizer: TokenizerName, *, starts: bool) -> TextConfig:
    return TextConfig(
        corpus=corpus.name,
        tokenizer=tokenizer,
        passage=corpus.effective_passage,
        line_breaks=corpus.line_breaks,
        starts=starts,
        fold_width=corpus.reading_settings.fold_width,
        drop_latin=corpus.reading_settings.drop_latin,
        transpose=corpus.effective_transpose,
    )


@dataclass(frozen=True)
class ForeignText:
    """A text encoded as ids with the codec of a model."""

    ids: NDArray[np.uint32]
    statistics: SplitStatistics
    notes: tuple[str, ...]
    """Notes on how the text was read, in short sentences."""


def encode_foreign_text(reading: Reading, codec: Codec, on_progress: OnProgress, *, starts: bool) -> ForeignText:
    """Encode a text with the codec of a model.

    `starts` says whether the passages of the model's corpus begin with START. If they do, the passages of the text get
    START and END. If not, they get END only, or neither if the text has its own <eos>.
    """
    folder = Path(tempfile.gettempdir())
    parts: list[NDArray[np.uint32]] = []
    statistics = SplitStatistics(0, 0, 0, 0)
    with as_storage_error(folder), tempfile.TemporaryDirectory(dir=folder) as place, NumberedText(Path(place)) as text:
        _number_tokens(reading, codec.tokenizer, text, on_progress)
        frame = Frame(start=starts, end=starts or not has_own_end_tokens(text))
        table = IdTable(text.tokens, codec.vocabulary)
        for block in map(table.to_ids, text.blocks()):
            framed, _ = framed_passages(block.tokens, block.passages["tokens"], frame)
            parts.append(framed)
            statistics += SplitStatistics.of(framed, block.passages["characters"], codec.vocabulary)
    ids = np.concatenate(parts) if parts else np.zeros(0, np.uint32)
    return ForeignText(ids, statistics, reading.notes)


def _encode(
    corpus: Corpus,
    digest: str,
    tokenizer: Tokenizer,
    settings: TextSettings,
    folder: Path,
    base: BaseVocabulary | None,
    on_progress: OnProgress,
    on_block: Callable[[], None],
) -> None:
    """Encode a corpus and write the dataset to a folder.

    `digest` is the digest of the corpus's text. `on_block` is called often while checksums are computed. Raises
    CorpusError if the text is empty, too short for three splits, or has changed while it was read.
    """
    _remove_leftovers(folder.parent)
    splitting = Splitting(corpus, settings.shares)
    as_published = corpus.is_benchmark(tokenizer.name)
    reading = corpus.reading(every_line=as_published, chords=tokenizer.name == "chords")
    with atomic_folder(folder) as partial:
        with NumberedText(partial) as text:
            _number_tokens(reading, tokenizer, text, on_progress)
            _check_amount(corpus, text)
            frame = _frame_of_passages(text, as_published=as_published)
            counts = _training_counts(text, splitting)
            vocabulary = _vocabulary_of(counts, tokenizer, settings, base, all_words=as_published)
            unknown = unknown_words(_training_passages(text, splitting), list(text.tokens), vocabulary)
            statistics = _write_ids(text, vocabulary, frame, splitting, partial)
        _check_splits(corpus, statistics, starts=frame.start)
        _write_json(partial / "vocabulary.json", vocabulary.to_json())
        _write_json(partial / "unknown_words.json", unknown.to_json())
        record = {
            "statistics": {split: asdict(each) for split, each in statistics.items()},
            "types": len(tokenizer.ordinary_counts(counts)),
            "starts": frame.start,
            "sums": {file.name: file_checksum(file, on_block) for file in partial.iterdir()},
            "notes": reading.notes,
        }
        _write_json(partial / "dataset.json", record)
        _check_unchanged(corpus, digest, on_block)


def _frame_of_passages(text: NumberedText, *, as_published: bool) -> Frame:
    """Return which tokens enclose each passage. A text with END tokens of its own gets none."""
    has_end_tokens = has_own_end_tokens(text)
    return Frame(start=not has_end_tokens and not as_published, end=not has_end_tokens)


def _vocabulary_of(
    counts: Mapping[str, int],
    tokenizer: Tokenizer,
    settings: TextSettings,
    base: BaseVocabulary | None,
    *,
    all_words: bool,
) -> Vocabulary:
    """Return the vocabulary of a training set, given how often each token occurs. `all_words` is for benchmarks."""
    size, min_count = settings.limits(all_words=all_words)
    return Vocabulary.from_counts(
        counts,
        size,
        min_count,
        spelling=settings.unknown == "spell",
        merge_apostrophes=tokenizer.merge_apostrophes,
        base=base,
    )


def _check_unchanged(corpus: Corpus, digest: str, on_block: Callable[[], None]) -> None:
    if corpus.digest(on_block) != digest:
        raise CorpusError(
            f"The text of {corpus.name} changed while it was read: try again when nothing changes it any more."
        )


def _check_splits(corpus: Corpus, statistics: Mapping[Split, SplitStatistics], *, starts: bool) -> None:
    """Raise CorpusError if a split has no target. Without START, the first token of a split is never one."""
    for split, counted in statistics.items():
        if counted.tokens - (not starts) <= 0:
            raise CorpusError(
                f"Too little text: nothing of {corpus.name} is left for the {SET_NAMES[split]}. Use more text."
            )


def _number_tokens(reading: Reading, tokenizer: Tokenizer, text: NumberedText, on_progress: OnProgress) -> None:
    """Tokenize a text and number its tokens. A large text is tokenized by several processes."""
    size = reading.corpus.bytes
    processes = useful_processes() if size > _MAX_BYTES_FOR_ONE_PROCESS else 1
    with closing(tokenize_batches(_batches(reading), tokenizer.name, processes)) as batches:
        for batch in batches:
            text.add(batch)
            on_progress(min(batch.bytes_read, size), size)


def _batches(reading: Reading) -> Iterator[Batch]:
    passages: list[tuple[int, Passage]] = []
    size = 0
    for file, passage in reading.passages():
        passages.append((file, passage))
        size += len(passage.text) + _COST_OF_A_PASSAGE
        if size >= _CHARACTERS_AT_ONCE:
            yield Batch(passages, reading.bytes_read)
            passages, size = [], 0
    if passages:
        yield Batch(passages, reading.bytes_read)


def _check_amount(corpus: Corpus, text: NumberedText) -> None:
    if not text.characters and corpus.reading_settings.drop_latin:
        raise CorpusError(f"--drop-latin leaves no text of the corpus {corpus.name}: train without this flag.")
    if not text.characters:
        raise CorpusError(f"The corpus {corpus.name} is empty: there is no text to train on.")
    if text.passages < MIN_PASSAGES:
        advice = "two blank lines between its sections" if corpus.effective_passage == "section" else _BLANK_LINES
        raise CorpusError(
            f"The corpus {corpus.name} has {text.passages} passage(s), but at least {MIN_PASSAGES} are needed, one "
            f"each for the training, validation and test set: use more text, or put {advice}."
        )


def _splits(splitting: Splitting, text: NumberedText, block: Block) -> NDArray[np.uint8]:
    """Return the split of each passage of a block."""
    numbers = block.first_passage + np.arange(len(block.passages["tokens"]))
    return splitting.assign(numbers, block.passages["file"], text.passages)


def _training_counts(text: NumberedText, splitting: Splitting) -> dict[str, int]:
    """Return how often each token occurs in the training set."""
    counted = np.zeros(len(text.tokens), np.int64)
    for block in text.blocks():
        training = np.repeat(_splits(splitting, text, block) == SPLITS.index("train"), block.passages["tokens"])
        counted += np.bincount(block.tokens[training], minlength=len(counted))
    return {token: count for token, count in zip(text.tokens, counted.tolist(), strict=True) if count}


def _training_passages(text: NumberedText, splitting: Splitting) -> Iterator[NDArray[np.uint32]]:
    """Yield the token numbers of each training passage."""
    for block in text.blocks():
        passages = np.split(block.tokens, np.cumsum(block.passages["tokens"])[:-1])
        training = _splits(splitting, text, block) == SPLITS.index("train")
        yield from compress(passages, training)


def _write_ids(
    text: NumberedText, vocabulary: Vocabulary, frame: Frame, splitting: Splitting, folder: Path
) -> dict[Split, SplitStatistics]:
    """Write `train.npy`, `valid.npy`, `test.npy` and `lines.npy`. Return the statistics of each split.

    `lines.npy` has the positions where lines begin in the training ids.
    """
    table, kind = IdTable(text.tokens, vocabulary), np.min_scalar_type(len(vocabulary) - 1)
    statistics = dict.fromkeys(SPLITS, SplitStatistics(0, 0, 0, 0))
    with ExitStack() as files:
        ids_files = {split: files.enter_context(ArrayFile(folder / f"{split}.npy", kind)) for split in SPLITS}
        lines_file = files.enter_context(ArrayFile(folder / "lines.npy", np.uint32, columns=3))
        for block in map(table.to_ids, text.blocks()):
            splits = _splits(splitting, text, block)
            for number, split in enumerate(SPLITS):
                members = splits == number
                of_split = block.tokens[np.repeat(members, block.passages["tokens"])]
                framed, begins = framed_passages(of_split, block.passages["tokens"][members], frame)
                if split == "train":
                    begins += ids_files[split].length
                    lines_file.add(line_positions(block, members, begins, frame))
                ids_files[split].add(framed)
                statistics[split] += SplitStatistics.of(framed, block.passages["characters"][members], vocabulary)
    return statistics


def _remove_leftovers(folder: Path) -> None:
    """Remove unfinished folders that nobody has touched for an hour. They remain when an encoding is killed."""
    for partial in folder.glob(".*"):
        try:
            touched = max(path.stat().st_mtime for path in (partial, *partial.iterdir()))
        except OSError:
            continue  # another process has removed it
        if time.time() - touched > _SECONDS_UNTIL_LEFTOVER:
            shutil.rmtree(partial, ignore_errors=True)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
