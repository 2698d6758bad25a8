"""A corpus: a named text, found by name, files or folder."""

import difflib
import hashlib
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, repeat
from pathlib import Path
from typing import Literal

from wordgen.corpora.boilerplate import Cuts, without_boilerplate
from wordgen.corpora.catalogue import (
    CatalogueEntry,
    LineBreaks,
    UnitKind,
    catalogue,
    user_data,
)
from wordgen.corpora.fetching import Fetching, fetch_all
from wordgen.corpora.folding import folded_unit, forms_in
from wordgen.corpora.published import SPLITS, Split, name_without_split, published_splits
from wordgen.corpora.reading import LONGEST_PIECE, Encoding, Line, TextFile
from wordgen.corpora.units import Unit, every_line, guess_layout, units_of
from wordgen.errors import CorpusError
from wordgen.files import make_folder, told_plainly
from wordgen.settings import Settings, setting

FEWEST_DOCUMENTS = 20
STANDARD_INPUT = "-"
_SAMPLE = 200_000
_SAMPLE_LINES = 10_000
_LONGEST_NAME = 60  # bytes, for a file system counts those
_BLOCK = 1 << 18
_TEXTS = (".txt", ".txt.gz", ".tokens")


@dataclass(frozen=True, kw_only=True)
class ReadingSettings(Settings):
    encoding: Encoding = setting(
        "auto", help="how the files spell letters as bytes; auto recognises it and says what it found"
    )
    unit: Literal["auto", "line", "paragraph", "document"] = setting(
        "auto", help="what stands for itself; auto takes the catalogue's word or looks at the text, and says so"
    )
    line_breaks: Literal["auto", "joined", "kept"] = setting(
        "auto", help="whether breaks between the lines of a unit are symbols (verse, plays) or mere wraps (prose)"
    )
    keep_boilerplate: bool = setting(
        False, help="keep what Project Gutenberg and Aozora Bunko put around and into their texts"
    )
    fold_width: bool = setting(
        False, help="read full-width letters, digits and punctuation as ASCII, and half-width katakana as full-width"
    )


@dataclass(frozen=True, kw_only=True)
class CorpusSettings(ReadingSettings):
    corpus: str | tuple[str, ...] = setting(
        help="the text to learn: a name that `wordgen corpora` lists, text files (.txt or .txt.gz), a folder of them, "
        "or - for standard input"
    )


@dataclass(frozen=True)
class Corpus:
    name: str
    files: tuple[Path, ...]
    unit: UnitKind
    line_breaks: LineBreaks
    tokenizer: str | None
    """The tokenizer that the catalogue names; None where the text must speak for itself."""
    encoding: Encoding = "auto"
    keep_boilerplate: bool = False
    fold_width: bool = False
    splits: tuple[Split, ...] = ()
    """The split of each file, where the text was published with its own."""

    @property
    def cut_at(self) -> UnitKind:
        """What it is cut into: few documents at their paragraphs, or no split could be made of them."""
        few = self.unit == "document" and len(self.files) < FEWEST_DOCUMENTS
        return "paragraph" if few else self.unit

    def reading(self, *, every_line: bool = False, unit: UnitKind | None = None) -> "Reading":
        return Reading(self, unit or self.cut_at, every_line)

    @property
    def bytes(self) -> int:
        """How large its files are, packed as they are."""
        return sum(path.stat().st_size for path in self.files if path.is_file())

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names of its files, as they are shown: without where on this machine they lie."""
        if len(self.files) == 1:
            return (self.files[0].name,)
        folder = os.path.commonpath([path.absolute().parent for path in self.files])
        return tuple(path.absolute().relative_to(folder).as_posix() for path in self.files)

    def sample(self) -> str:
        """The beginning of the first file that holds anything."""
        return _sample(self.files, ReadingSettings(encoding=self.encoding, keep_boilerplate=self.keep_boilerplate))

    def digest(self) -> str:
        """A fingerprint of the bytes of all files and of how they are read and cut into units."""
        layout = (self.unit, self.line_breaks, self.splits, len(self.files))
        how = (*layout, self.encoding, self.keep_boilerplate, self.fold_width)
        whole = hashlib.sha256(repr(how).encode())
        for path in self.files:
            of_file = hashlib.sha256()
            for block in TextFile(path).blocks():
                of_file.update(block)
            whole.update(of_file.digest())
        return whole.hexdigest()


@dataclass
class Reading:
    """One pass through a corpus; what was recognised and cut is known when it has ended."""

    corpus: Corpus
    cut_at: UnitKind
    every_line: bool = False
    """Whether each line of the files is a unit, blank or not, as benchmarks count them."""
    _files: list[tuple[TextFile, Cuts]] = field(default_factory=list)
    _folded_forms: int = 0
    _bytes_of_whole_files: int = 0
    _under_way: TextFile | None = None

    def units(self) -> Iterator[tuple[int, Unit]]:
        """All units in order, with the number of the file that each stood in."""
        corpus = self.corpus
        for number, path in enumerate(corpus.files):
            file, cuts = TextFile(path, corpus.encoding), Cuts()
            self._files.append((file, cuts))
            self._under_way = file
            lines = file.lines() if corpus.keep_boilerplate else without_boilerplate(file.lines(), cuts)
            units = every_line(lines) if self.every_line else units_of(lines, self.cut_at, corpus.line_breaks)
            yield from zip(repeat(number), self._folding(units) if corpus.fold_width else units)
            self._bytes_of_whole_files += file.bytes_read
            self._under_way = None

    def _folding(self, units: Iterable[Unit]) -> Iterator[Unit]:
        """Behind the boilerplate, whose marks are wide, and behind the joining of lines, which goes by letters."""
        for unit in units:
            self._folded_forms += forms_in(unit.text)
            yield folded_unit(unit)

    @property
    def bytes_read(self) -> int:
        """How much of all files has been read, packed as it is."""
        return self._bytes_of_whole_files + (self._under_way.bytes_read if self._under_way else 0)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of how the text was read, in short sentences."""
        notes: list[str] = []
        if self.corpus.splits:
            notes.append("split as its files are named")
        if self.every_line:
            notes.append("each line, blank or not, ends with <eos>, as benchmarks count")
        encodings = Counter(file.encoding_name for file, _ in self._files)
        if set(encodings) - {"UTF-8"}:
            notes.append("read as " + ", ".join(_of_files(name, n, len(self._files)) for name, n in encodings.items()))
        broken = sum(file.undecodable for file, _ in self._files)
        if broken:
            notes.append(f"{broken:,} byte{'s' if broken > 1 else ''} did not decode and became \ufffd")
        for library in dict.fromkeys(cuts.library for _, cuts in self._files if cuts.library):
            of_library = [cuts for _, cuts in self._files if cuts.library == library]
            lines, marks = sum(cuts.lines for cuts in of_library), sum(cuts.marks for cuts in of_library)
            told = f"cut {lines:,} lines of {library}'s own"
            notes.append(told + (f", and {marks:,} readings and editor's marks" if marks else ""))
        lost = sum(cuts.lost for _, cuts in self._files)
        if lost:
            notes.append(f"{lost:,} signs that no letter stands for became 〓")
        if self._folded_forms:
            notes.append(f"{self._folded_forms:,} wide and narrow letters and signs folded")
        long_lines = sum(file.long_lines for file, _ in self._files)
        if long_lines and self.cut_at == "line":
            lines = "lines" if long_lines > 1 else "line"
            notes.append(f"cut {long_lines:,} {lines} of more than {LONGEST_PIECE:,} characters into shorter units")
        return tuple(notes)


def open_corpus(
    wanted: str | Sequence[str], how: ReadingSettings | None = None, fetching: Fetching | None = None
) -> Corpus:
    """Find a corpus: a name of the catalogue, else files or folders, else a folder of that name in data/.

    What the catalogue says can be fetched is fetched if it is not here, and `fetching` is told how far it is.
    """
    how = how or ReadingSettings()
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    entry = catalogue().get(names[0]) if len(names) == 1 else None
    mixed = [name for name in names if name in catalogue() and not _is_there(Path(name))]
    if len(names) > 1 and mixed:
        raise CorpusError(
            f"{mixed[0]} is a text of the catalogue, and such a text is learned alone: leave out the rest."
        )
    if entry is not None:
        return _from_catalogue(entry, how, fetching)
    return corpus_of([_found(name) for name in names], how)


def keep_standard_input() -> str:
    """Keep what comes through standard input in data/, so that a run can be resumed; the path of the file."""
    kept = user_data() / "standard-input"
    make_folder(kept)
    with told_plainly(kept), tempfile.NamedTemporaryFile(dir=kept, prefix=".", delete=False) as coming:
        try:
            checksum, size = hashlib.sha256(), 0
            while block := sys.stdin.buffer.read(_BLOCK) if sys.stdin else b"":
                coming.write(block)
                checksum.update(block)
                size += len(block)
            coming.close()
            if not size:
                raise CorpusError("Nothing came through standard input: there is nothing to learn from.")
            path = kept / checksum.hexdigest()[:16] / "standard-input.txt"
            path.parent.mkdir(exist_ok=True)
            os.replace(coming.name, path)
        finally:
            Path(coming.name).unlink(missing_ok=True)
    return str(path)


def _of_files(encoding: str, files: int, of_all: int) -> str:
    return encoding if of_all == 1 else f"{encoding} ({files:,} file{'s' if files > 1 else ''})"


def _found(name: str) -> Path:
    for path in (Path(name), user_data() / name):
        if name and _is_there(path):
            return path
    raise CorpusError(_not_found(name))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no path at all, as a name of 300 letters
        return False


def _from_catalogue(entry: CatalogueEntry, how: ReadingSettings, fetching: Fetching | None) -> Corpus:
    files = texts_in(user_data() / entry.name)
    splits = published_splits(files)
    if not files:
        fetch_all(entry, fetching)
        files, splits = _texts_of(entry)
        how = _with_what_is_known(entry, how)
    return _corpus(entry.name, files, splits, (entry.unit, entry.line_breaks), entry.tokenizer, how)


def _with_what_is_known(entry: CatalogueEntry, how: ReadingSettings) -> ReadingSettings:
    """What is said goes before what the catalogue says of the files."""
    encoding = entry.encoding if how.encoding == "auto" else how.encoding
    return replace(
        how,
        encoding=encoding,
        keep_boilerplate=how.keep_boilerplate or entry.keep_boilerplate,
        fold_width=how.fold_width or entry.fold_width,
    )


def _texts_of(entry: CatalogueEntry) -> tuple[list[Path], tuple[Split, ...]]:
    """The files that an entry names, and their splits if it says so; a folder stands for the texts in it."""
    named = {"train": entry.files, "valid": entry.valid_files, "test": entry.test_files}
    found = {split: _text_files([_still_there(entry, file) for file in named[split]]) for split in SPLITS}
    files = [path for split in SPLITS for path in found[split]]
    if not entry.valid_files:
        return files, published_splits(files)
    return files, tuple(split for split in SPLITS for _ in found[split])


def _still_there(entry: CatalogueEntry, file: str) -> Path:
    path = entry.path_of(file)
    if not _is_there(path):
        raise CorpusError(
            f"{path} is gone, a file of the corpus {entry.name}: put it back, or mend the entry in the catalogue."
        )
    return path


def corpus_of(paths: Sequence[Path], how: ReadingSettings) -> Corpus:
    """The corpus of files, and of folders with files in them, that are there."""
    files = _text_files(paths)
    splits = published_splits(files)
    if splits:
        files.sort(key=dict(zip(files, map(SPLITS.index, splits), strict=True)).__getitem__)
        splits = published_splits(files)
    name = _name_of(paths[0])
    if splits and len(paths) > 1:
        name = name_without_split(name) or _name_of(paths[0].resolve().parent)
    return _corpus(name, files, splits, guess_layout(_sample(files, how)), None, how)


def _text_files(paths: Sequence[Path]) -> list[Path]:
    """Files as they are, and for each folder the texts in it."""
    files: list[Path] = []
    for path in paths:
        inside = texts_in(path) if path.is_dir() else [path]
        if not inside:
            raise CorpusError(f"The folder {path} holds no .txt file.")
        files += inside
    for path in files:
        _check_file(path)
    return files


def _check_file(path: Path) -> None:
    """What would be found out too late: a name that cannot be written down, or what can be read but once."""
    if path.exists() and not path.is_file():
        raise CorpusError(f"{path} is no plain file: put the text into one, or give it with --corpus - instead.")
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise CorpusError(f"The name of {os.fsencode(path)!r} is not UTF-8: rename that file.") from error


def _corpus(
    name: str,
    files: Sequence[Path],
    splits: tuple[Split, ...],
    layout: tuple[UnitKind, LineBreaks],
    tokenizer: str | None,
    how: ReadingSettings,
) -> Corpus:
    """What is said of the layout goes before what is known or found."""
    unit, line_breaks = layout
    return Corpus(
        name,
        tuple(files),
        unit if how.unit == "auto" else how.unit,
        line_breaks if how.line_breaks == "auto" else how.line_breaks,
        tokenizer,
        how.encoding,
        how.keep_boilerplate,
        how.fold_width,
        splits,
    )


def _name_of(path: Path) -> str:
    name = path.resolve().name
    ending = next((ending for ending in reversed(_TEXTS) if name.lower().endswith(ending)), path.suffix)
    return _shortened(name[: len(name) - len(ending)]) or _shortened(name)


def _shortened(name: str) -> str:
    return name.encode()[:_LONGEST_NAME].decode(errors="ignore")


def texts_in(folder: Path) -> list[Path]:
    """All .txt files of a folder and of those in it, gzipped or not, in the order of their names."""
    texts = (path for path in folder.rglob("*") if path.name.lower().endswith(_TEXTS))
    # What systems leave beside files is hidden. A link that leads nowhere is no file, and its user should know.
    return sorted(path for path in texts if path.name[0] != "." and (path.is_file() or path.is_symlink()))


def _sample(files: Sequence[Path], how: ReadingSettings) -> str:
    for path in files:
        lines = TextFile(path, how.encoding).lines()
        if not how.keep_boilerplate:
            lines = without_boilerplate(lines, Cuts())
        text = _beginning(lines)
        if text:
            return text
    where = files[0] if len(files) == 1 else files[0].parent
    raise CorpusError(f"{where} is empty: there is nothing to read in it.")


def _beginning(lines: Iterable[Line]) -> str:
    """What is written in the first lines; never more of them than a sample needs."""
    written, size = list[str](), 0
    for _, line in islice(lines, _SAMPLE_LINES):
        written.append(line)
        size += len(line) + 1
        if size > _SAMPLE:
            break
    return "\n".join(written).strip()[:_SAMPLE]


def _not_found(name: str) -> str:
    known = catalogue()
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    name = name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "..."
    return f"There is no corpus '{name}': it is neither a file, nor a folder, nor one of {', '.join(known)}.{hint}"
