"""A corpus: a named text, how its files are read, and what was found while they were read."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import repeat
from pathlib import Path, PurePath

from wordgen.corpus.catalogue import Split
from wordgen.corpus.documents import MAX_NAMED_FILES, is_midi, left_out_in_words
from wordgen.corpus.layout import Layout, sample_of
from wordgen.corpus.passages import (
    Changes,
    Hyphens,
    Passage,
    TuneReading,
    every_line,
    folded_passage,
    hyphens_of,
    passages_of,
    without_latin,
)
from wordgen.corpus.reading import MAX_PIECE_CHARACTERS, Boilerplate, Line, TextFile, lines_of
from wordgen.corpus.settings import LineBreaks, PassageKind, ReadingSettings, Transpose
from wordgen.errors import CorpusError, in_a_sentence, pluralized
from wordgen.music.abc_text import COPIES

_MIN_DOCUMENTS = 20


@dataclass(frozen=True)
class Corpus:
    """A named text: its files, and how they are read and cut into passages."""

    name: str
    files: tuple[Path, ...]
    passage: PassageKind
    line_breaks: LineBreaks
    tokenizer: str | None
    """The tokenizer that the catalogue names; None if it is chosen by looking at the text."""
    reading_settings: ReadingSettings
    """How its files are read. `passage` and `line_breaks` of the corpus are what these settings lead to."""
    splits: tuple[Split, ...] = ()
    """The split of each file if the text was published with its own splits; else empty."""
    layouts: tuple[Layout, ...] = ()
    """The layout of each file; empty if `passage` and `line_breaks` describe all of them."""
    left_out: tuple[Path, ...] = ()
    """Files in its folders that are not read because they are not texts, or are in a folder with tunes."""

    @property
    def effective_transpose(self) -> Transpose:
        """The keys in which its tunes are read; "none" for a corpus without tunes."""
        return self.reading_settings.transpose if self.passage == "tune" else "none"

    @property
    def effective_passage(self) -> PassageKind:
        """The kind of passage that the text is cut into.

        Fewer than 20 documents are cut into paragraphs, because they are too few to be divided into three splits.
        """
        few = self.passage == "document" and len(self.files) < _MIN_DOCUMENTS
        return "paragraph" if few else self.passage

    @property
    def is_midi(self) -> bool:
        """Whether all of its files are MIDI files."""
        return all(map(is_midi, self.files))

    def is_benchmark(self, tokenizer: str) -> bool:
        """Return whether it is read as a public benchmark: already tokenized, in lines, and with its own splits."""
        return bool(self.splits) and tokenizer == "whitespace" and self.passage == "line"

    def reading(
        self, *, every_line: bool = False, passage: PassageKind | None = None, chords: bool = False
    ) -> "Reading":
        """Return a pass through the corpus. MIDI files are read as notes, or if `chords` as pitches without lengths."""
        return Reading(self, passage or self.effective_passage, every_line, chords)

    def layout_of(self, file: int, passage_kind: PassageKind) -> Layout:
        """Return the layout of a file, given its number (from 0). Documents are cut into passages of `passage_kind`."""
        layout = self.layouts[file] if self.layouts else Layout(self.passage, self.line_breaks)
        return replace(layout, passage=passage_kind) if layout.passage == "document" else layout

    @property
    def bytes(self) -> int:
        """Size of its files in bytes as they are on disk, without unpacking."""
        return sum(path.stat().st_size for path in self.files if path.is_file())

    @cached_property
    def text_bytes(self) -> int:
        """Size of its files in bytes, gzipped files after unpacking."""
        return sum(
            sum(map(len, TextFile(path).blocks())) if path.suffix.lower() == ".gz" else path.stat().st_size
            for path in self.files
            if path.is_file()
        )

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names of its files as shown to users, relative to their common folder."""
        return names_within([path.absolute() for path in self.files])

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know before the text is read, in short sentences: which files are left out."""
        return left_out_in_words(self.left_out)

    def sample(self) -> str:
        """Return the beginning of the first file that is not empty. Raise CorpusError if all are empty."""
        return sample_of(self.files, self.reading_settings)

    def digest(self, on_block: Callable[[], None] = lambda: None) -> str:
        """Return a checksum (SHA-256) of the bytes of all files and of how they are read and cut into passages.

        `on_block` is called after each block of a file. It may raise an exception to end the reading of a large text.
        """
        layout = (self.passage, self.line_breaks, self.layouts, self.splits, len(self.files))
        settings = self.reading_settings
        dropped = ("no Latin",) if settings.drop_latin else ()
        keys = (settings.transpose,) if self.passage == "tune" else ()
        described = (*layout, settings.encoding, settings.keep_boilerplate, settings.fold_width, *dropped, *keys)
        whole = hashlib.sha256(repr(described).encode())
        for path in self.files:
            of_file = hashlib.sha256()
            for block in TextFile(path).blocks():
                of_file.update(block)
                on_block()
            whole.update(of_file.digest())
        return whole.hexdigest()


def names_within(paths: Sequence[PurePath]) -> tuple[str, ...]:
    """Return the names of files relative to their innermost common folder, given their absolute paths.

    Files on several drives of Windows have no common folder. Their names are their whole paths.
    """
    common = next((folder for folder in paths[0].parents if all(folder in path.parents for path in paths)), None)
    return tuple((path if common is None else path.relative_to(common)).as_posix() for path in paths)


@dataclass
class Reading:
    """One pass through a corpus. What was recognised and removed is known after the last passage."""

    corpus: Corpus
    passage_kind: PassageKind
    every_line: bool = False
    """Whether each line of the files, blank or not, is a passage, as benchmarks count."""
    chords: bool = False
    """Whether MIDI files are read as pitches without lengths."""
    damaged: dict[int, str] = field(default_factory=dict, init=False)
    """Why MIDI files were left out, by the number of the file."""
    _files: list[tuple[TextFile, Boilerplate]] = field(default_factory=list)
    _hyphens: list[Hyphens] = field(default_factory=list)
    _changes: Changes = field(default_factory=Changes)
    _bytes_of_whole_files: int = 0
    _current_file: TextFile | None = None
    _tunes: TuneReading = field(init=False)

    def __post_init__(self) -> None:
        self._tunes = TuneReading(self.corpus.effective_transpose)

    def passages(self) -> Iterator[tuple[int, Passage]]:
        """Yield all passages in order, each with the number of its file (from 0)."""
        corpus = self.corpus
        for number, path in enumerate(corpus.files):
            file, boilerplate = TextFile(path, corpus.reading_settings.encoding, chords=self.chords), Boilerplate()
            self._files.append((file, boilerplate))
            self._current_file = file
            lines = lines_of(file, corpus.reading_settings, boilerplate)
            passages = every_line(lines) if self.every_line else self._passages_of(number, lines)
            # Only now, because marks that libraries add are wide letters, and letters say how lines are joined.
            if corpus.reading_settings.fold_width:
                passages = (folded_passage(passage, self._changes) for passage in passages)
            if corpus.reading_settings.drop_latin:
                passages = without_latin(passages, self._changes)
            try:
                yield from zip(repeat(number), passages)
            except CorpusError as error:
                if len(corpus.files) == 1 or not is_midi(path):
                    raise
                self.damaged[number] = str(error)
            self._bytes_of_whole_files += file.bytes_read
            self._current_file = None
        if self.passage_kind == "tune" and corpus.effective_transpose == "augment":
            yield from self._copies()

    def _copies(self) -> Iterator[tuple[int, Passage]]:
        """Yield all tunes in other keys, one key after the other, so that no tune follows its own copy."""
        for copy in range(COPIES):
            for number, path in enumerate(self.corpus.files):
                yield from zip(repeat(number), self._tunes.copies(self._reread_lines(path), copy))

    def _reread_lines(self, path: Path) -> Iterator[Line]:
        settings = self.corpus.reading_settings
        return lines_of(TextFile(path, settings.encoding), settings, Boilerplate())

    def _passages_of(self, number: int, lines: Iterable[Line]) -> Iterator[Passage]:
        layout = self.corpus.layout_of(number, self.passage_kind)
        if layout.passage == "tune":
            yield from self._tunes.passages(lines)
            return
        hyphens = Hyphens()
        path = self.corpus.files[number]
        if layout.passage != "line" and layout.line_breaks == "joined" and not is_midi(path):
            hyphens = hyphens_of(lambda: self._reread_lines(path))
            self._hyphens.append(hyphens)
        yield from passages_of(lines, layout.passage, layout.line_breaks, wrap=layout.wrap, hyphens=hyphens)

    @property
    def bytes_read(self) -> int:
        """Number of bytes read so far of all files as they are on disk, without unpacking."""
        return self._bytes_of_whole_files + (self._current_file.bytes_read if self._current_file else 0)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about how the text was read, in short sentences."""
        notes: list[str] = []
        if self.corpus.splits:
            notes.append("training, validation and test set as the names of the files say")
        if self.every_line:
            notes.append("each line, blank or not, ends with <eos>, as in benchmarks")
        else:
            notes += self._layouts_in_words()
        notes += self._documents_in_words()
        notes += self._tunes.notes if self.passage_kind == "tune" else ()
        encodings = Counter(file.encoding_name for file, _ in self._files)
        if set(encodings) - {"UTF-8"}:
            notes.append(f"read as {_kinds_in_words(encodings, len(self._files))}")
        broken = sum(file.undecodable for file, _ in self._files)
        if broken:
            notes.append(f"{pluralized(broken, 'byte')} could not be decoded and became \ufffd")
        notes += self._boilerplate_in_words()
        changes = self._changes
        if changes.forms:
            notes.append(f"replaced {changes.forms:,} wide and narrow characters by the usual forms")
        if self.corpus.reading_settings.drop_latin:
            notes.append(f"left out {pluralized(changes.latin_words, 'word')} in Latin letters")
        long_lines = sum(file.long_lines for file, _ in self._files)
        if long_lines and self.passage_kind == "line":
            long = f"{pluralized(long_lines, 'line')} of more than {MAX_PIECE_CHARACTERS:,} characters"
            notes.append(f"cut {long} into shorter passages")
        return tuple(notes)

    def _boilerplate_in_words(self) -> Iterator[str]:
        for library in dict.fromkeys(boilerplate.library for _, boilerplate in self._files):
            of_library = [boilerplate for _, boilerplate in self._files if boilerplate.library == library]
            lines, marks = sum(each.lines for each in of_library), sum(each.marks for each in of_library)
            removed = [pluralized(lines, "line")] if lines else []
            removed += [f"{marks:,} readings and editor's marks"] if marks else []
            if removed:
                yield f"removed {in_a_sentence(removed)} that {library} added"
        missing_characters = sum(boilerplate.missing_characters for _, boilerplate in self._files)
        if missing_characters:
            yield f"{pluralized(missing_characters, 'character')} not found in Unicode became 〓"

    def _documents_in_words(self) -> Iterator[str]:
        if self.damaged:
            names = [self.corpus.files[number].name for number in self.damaged]
            are = "is not MIDI, or is damaged" if len(names) == 1 else "are not MIDI, or are damaged"
            left_out = in_a_sentence(names, limit=MAX_NAMED_FILES)
            yield f"left out {left_out}, which {are}: wordgen tune FILE says what is wrong"
        midi = sum(file.kind == "MIDI" for file, _ in self._files) - len(self.damaged)
        if midi:
            form = "pitches without lengths" if self.chords else "notes in steps of a twelfth of a quarter"
            yield f"read {pluralized(midi, 'MIDI file')} as {form}"
        kinds = Counter(file.kind for file, _ in self._files if file.kind and file.kind != "MIDI")
        if kinds:
            documents = _kinds_in_words(kinds, len(self._files))
            left_out = sum(file.document.left_out for file, _ in self._files)
            parts = f", and so are {left_out:,} scripts, styles, navigation parts and the like" if left_out else ""
            yield f"took the text from {documents}: formatting is left out{parts}"
        footnotes = sum(file.document.footnotes for file, _ in self._files)
        if footnotes:
            notes = f"{footnotes:,} footnotes and endnotes are" if footnotes > 1 else "a footnote is"
            yield f"{notes} placed after the text"

    def _layouts_in_words(self) -> Iterator[str]:
        """Yield sentences about the layout of the files, if the corpus's passage alone does not describe it."""
        read = [number for number, (file, _) in enumerate(self._files) if file.bytes_read]
        layouts = Counter(self.corpus.layout_of(number, self.passage_kind).in_words() for number in read)
        if len(layouts) > 1:
            yield f"read with {_kinds_in_words(dict(layouts.most_common()), len(read))}"
        elif any("wrapped" in words for words in layouts):
            yield "no blank lines between paragraphs: a paragraph ends at a short line, or begins with an indented line"
        joined = sum(hyphens.joined for hyphens in self._hyphens)
        if joined:
            yield f"removed {pluralized(joined, 'hyphen')} at the ends of lines"


def _kinds_in_words(kinds: Mapping[str, int], of_all: int) -> str:
    """Return kinds with their numbers of files. A single file needs no number."""
    if of_all == 1:
        return ", ".join(kinds)
    return ", ".join(f"{kind} ({pluralized(files, 'file')})" for kind, files in kinds.items())
