"""A corpus: a named text, how it is read, and what was met on the way."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, repeat
from pathlib import Path

from wordgen.corpora.boilerplate import Cuts, without_boilerplate
from wordgen.corpora.catalogue import (
    LineBreaks,
    UnitKind,
)
from wordgen.corpora.folding import folded_unit, forms_in
from wordgen.corpora.hyphens import Hyphens, hyphens_of
from wordgen.corpora.layout import Layout, guess_layout
from wordgen.corpora.published import Split
from wordgen.corpora.reading import LONGEST_PIECE, Line, TextFile
from wordgen.corpora.settings import Encoding, ReadingSettings
from wordgen.corpora.units import Unit, every_line, units_of
from wordgen.corpora.unreadable import left_out_in_words
from wordgen.errors import CorpusError

FEWEST_DOCUMENTS = 20
_SAMPLE = 200_000
_SAMPLE_LINES = 10_000


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
    layouts: tuple[Layout, ...] = ()
    """The layout of each file, where they are not all alike."""
    left_out: tuple[Path, ...] = ()
    """Files of its folders that are no texts."""

    @property
    def cut_at(self) -> UnitKind:
        """What it is cut into: few documents at their paragraphs, or no split could be made of them."""
        few = self.unit == "document" and len(self.files) < FEWEST_DOCUMENTS
        return "paragraph" if few else self.unit

    def reading(self, *, every_line: bool = False, unit: UnitKind | None = None) -> "Reading":
        return Reading(self, unit or self.cut_at, every_line)

    def layout_of(self, file: int, cut_at: UnitKind) -> Layout:
        """How a file is read, given by its number. `cut_at` says what becomes of documents."""
        layout = self.layouts[file] if self.layouts else Layout(self.unit, self.line_breaks)
        return replace(layout, unit=cut_at) if layout.unit == "document" else layout

    @property
    def bytes(self) -> int:
        """How large its files are, packed as they are."""
        return sum(path.stat().st_size for path in self.files if path.is_file())

    @property
    def text_bytes(self) -> int:
        """How large its text is, unpacked."""
        return sum(_unpacked_size(path) for path in self.files if path.is_file())

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names of its files, as they are shown: without where on this machine they lie."""
        if len(self.files) == 1:
            return (self.files[0].name,)
        folder = os.path.commonpath([path.absolute().parent for path in self.files])
        return tuple(path.absolute().relative_to(folder).as_posix() for path in self.files)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know before it is read, in short sentences."""
        return left_out_in_words(self.left_out)

    def sample(self) -> str:
        """The beginning of the first file that holds anything."""
        return sample_of(self.files, ReadingSettings(encoding=self.encoding, keep_boilerplate=self.keep_boilerplate))

    def digest(self, look: Callable[[], None] = lambda: None) -> str:
        """A fingerprint of the bytes of all files and of how they are read and cut into units.

        `look` is called every now and then: what it raises ends the reading of a large text.
        """
        layout = (self.unit, self.line_breaks, self.layouts, self.splits, len(self.files))
        how = (*layout, self.encoding, self.keep_boilerplate, self.fold_width)
        whole = hashlib.sha256(repr(how).encode())
        for path in self.files:
            of_file = hashlib.sha256()
            for block in TextFile(path).blocks():
                of_file.update(block)
                look()
            whole.update(of_file.digest())
        return whole.hexdigest()


def _unpacked_size(path: Path) -> int:
    if path.suffix.lower() != ".gz":
        return path.stat().st_size
    return sum(len(block) for block in TextFile(path).blocks())


@dataclass
class Reading:
    """One pass through a corpus; what was recognised and cut is known when it has ended."""

    corpus: Corpus
    cut_at: UnitKind
    every_line: bool = False
    """Whether each line of the files is a unit, blank or not, as benchmarks count them."""
    _files: list[tuple[TextFile, Cuts]] = field(default_factory=list)
    _hyphens: list[Hyphens] = field(default_factory=list)
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
            lines = self._lines_of(file, cuts)
            units = every_line(lines) if self.every_line else self._units_of(number, lines)
            yield from zip(repeat(number), self._folding(units) if corpus.fold_width else units)
            self._bytes_of_whole_files += file.bytes_read
            self._under_way = None

    def _lines_of(self, file: TextFile, cuts: Cuts) -> Iterator[Line]:
        return file.lines() if self.corpus.keep_boilerplate else without_boilerplate(file.lines(), cuts)

    def _units_of(self, number: int, lines: Iterable[Line]) -> Iterator[Unit]:
        layout = self.corpus.layout_of(number, self.cut_at)
        hyphens = Hyphens()
        if layout.unit != "line" and layout.line_breaks == "joined":
            path = self.corpus.files[number]
            hyphens = hyphens_of(lambda: self._lines_of(TextFile(path, self.corpus.encoding), Cuts()))
            self._hyphens.append(hyphens)
        yield from units_of(lines, layout.unit, layout.line_breaks, wrap=layout.wrap, hyphens=hyphens)

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
        else:
            notes += self._layouts_in_words()
        notes += self._documents_in_words()
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

    def _documents_in_words(self) -> Iterator[str]:
        kinds = Counter(file.kind for file, _ in self._files if file.kind)
        if kinds:
            of_all = len(self._files)
            told = ", ".join(_of_files(kind, n, of_all) for kind, n in kinds.items())
            left_out = sum(file.left_out for file, _ in self._files)
            parts = f", and {left_out:,} scripts, styles, navigations and the like" if left_out else ""
            yield f"took the text out of {told}: its formatting is left out{parts}"
        footnotes = sum(file.footnotes for file, _ in self._files)
        if footnotes:
            told = f"{footnotes:,} footnotes and endnotes stand" if footnotes > 1 else "a footnote stands"
            yield f"{told} behind the text"

    def _layouts_in_words(self) -> Iterator[str]:
        """How the files are laid out, where the corpus's own unit does not say it."""
        read = [number for number, (file, _) in enumerate(self._files) if file.bytes_read]
        layouts = Counter(self.corpus.layout_of(number, self.cut_at).in_words() for number in read)
        if len(layouts) > 1:
            yield "read " + ", ".join(_of_files(words, n, len(read)) for words, n in layouts.most_common())
        elif any("wrapped" in words for words in layouts):
            yield "lines wrapped without blank lines: a paragraph ends at a short line, or begins with an indented one"
        joined = sum(hyphens.joined for hyphens in self._hyphens)
        if joined:
            yield f"{joined:,} hyphens at the ends of lines taken away"


def _of_files(encoding: str, files: int, of_all: int) -> str:
    return encoding if of_all == 1 else f"{encoding} ({files:,} file{'s' if files > 1 else ''})"


def layouts_of(files: Sequence[Path], how: ReadingSettings) -> tuple[Layout, ...]:
    """The layout of each file, by its beginning; a file without anything in it has that of most others."""
    beginnings = (_beginning_of(path, how) for path in files)
    found = [guess_layout(beginning) if beginning else None for beginning in beginnings]
    usual = Counter(layout for layout in found if layout is not None).most_common(1)
    if not usual:
        raise _nothing_in(files)
    return tuple(layout or usual[0][0] for layout in found)


def sample_of(files: Sequence[Path], how: ReadingSettings) -> str:
    """The beginning of the first of some files that holds anything."""
    text = next(filter(None, (_beginning_of(path, how) for path in files)), None)
    if text is None:
        raise _nothing_in(files)
    return text


def _nothing_in(files: Sequence[Path]) -> CorpusError:
    where = files[0] if len(files) == 1 else files[0].parent
    return CorpusError(f"{where} is empty: there is nothing to read in it.")


def _beginning_of(path: Path, how: ReadingSettings) -> str:
    lines = TextFile(path, how.encoding).lines()
    return _beginning(lines if how.keep_boilerplate else without_boilerplate(lines, Cuts()))


def _beginning(lines: Iterable[Line]) -> str:
    """What is written in the first lines, those whole that come in pieces; never more than a sample needs."""
    written, size, last = list[str](), 0, 0
    for number, line in islice(lines, _SAMPLE_LINES):
        if written and number != last:
            written.append("\n")
        written.append(line)
        size, last = size + len(line) + 1, number
        if size > _SAMPLE:
            break
    return "".join(written).strip("\n")[:_SAMPLE].rstrip()
