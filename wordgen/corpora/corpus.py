"""A corpus: a named text, found by name, file or folder."""

import difflib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wordgen.corpora.catalogue import (
    CatalogueEntry,
    LineBreaks,
    UnitKind,
    bundled_data,
    catalogue,
    user_data,
)
from wordgen.corpora.reading import read_bytes, read_text
from wordgen.corpora.units import Unit, guess_layout, units_of
from wordgen.errors import CorpusError
from wordgen.settings import Settings, setting

FEWEST_DOCUMENTS = 20
_SAMPLE = 20_000
_LONGEST_NAME = 60


@dataclass(frozen=True, kw_only=True)
class CorpusSettings(Settings):
    corpus: str = setting(help="the text to learn: a name of the catalogue, a text file, or a folder of .txt files")


@dataclass(frozen=True)
class Corpus:
    name: str
    files: tuple[Path, ...]
    unit: UnitKind
    line_breaks: LineBreaks
    tokenizer: str | None
    """The tokenizer that the catalogue names; None where the text must speak for itself."""

    @property
    def cut_at(self) -> UnitKind:
        """What it is cut into: few documents at their paragraphs, or no split could be made of them."""
        few = self.unit == "document" and len(self.files) < FEWEST_DOCUMENTS
        return "paragraph" if few else self.unit

    def units(self) -> Iterator[tuple[int, Unit]]:
        """All units in order, with the number of the file that each stood in."""
        for number, path in enumerate(self.files):
            for unit in units_of(read_text(path), self.cut_at, self.line_breaks):
                yield number, unit

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names of its files, as they are shown: without where on this machine they lie."""
        if len(self.files) == 1:
            return (self.files[0].name,)
        folder = os.path.commonpath([path.parent for path in self.files])
        return tuple(path.relative_to(folder).as_posix() for path in self.files)

    def sample(self) -> str:
        return _first_text(self.files[0].parent, self.files)

    def digest(self) -> str:
        """A fingerprint of the bytes of all files and of how they are cut into units."""
        whole = hashlib.sha256(f"{self.unit} {self.line_breaks} {len(self.files)}".encode())
        for path in self.files:
            whole.update(hashlib.sha256(read_bytes(path)).digest())
        return whole.hexdigest()


def open_corpus(name_or_path: str) -> Corpus:
    """Find a corpus: a name of the catalogue, else a file or folder, else a folder of that name in data/."""
    entry = catalogue().get(name_or_path)
    if entry is not None:
        return _from_catalogue(entry)
    for path in (Path(name_or_path), user_data() / name_or_path):
        if name_or_path and _is_there(path):
            return _from_path(path)
    raise CorpusError(_not_found(name_or_path))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no path at all, as a name of 300 letters
        return False


def _from_catalogue(entry: CatalogueEntry) -> Corpus:
    files = _texts_in(user_data() / entry.name) or [bundled_data() / file for file in entry.files]
    return Corpus(entry.name, tuple(files), entry.unit, entry.line_breaks, entry.tokenizer)


def _from_path(path: Path) -> Corpus:
    files = _texts_in(path) if path.is_dir() else [path]
    if not files:
        raise CorpusError(f"The folder {path} holds no .txt file.")
    unit, line_breaks = guess_layout(_first_text(path, files))
    return Corpus(path.resolve().stem[:_LONGEST_NAME], tuple(files), unit, line_breaks, None)


def _texts_in(folder: Path) -> list[Path]:
    """All .txt files of a folder and of those in it, in the order of their names."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".txt" and not path.is_dir())


def _first_text(path: Path, files: Sequence[Path]) -> str:
    """The beginning of the first file that holds anything."""
    for file in files:
        text = read_text(file)
        if text.strip():
            return text[:_SAMPLE]
    raise CorpusError(f"{path} is empty: there is nothing to learn from.")


def _not_found(name: str) -> str:
    known = catalogue()
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    name = name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "..."
    return f"There is no corpus '{name}': it is neither a file, nor a folder, nor one of {', '.join(known)}.{hint}"
