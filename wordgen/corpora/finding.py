"""From what a user calls it to a corpus: a name of the catalogue, files, folders, or standard input."""

import difflib
import hashlib
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wordgen.corpora.catalogue import CatalogueEntry, LineBreaks, UnitKind, catalogue, user_data
from wordgen.corpora.corpus import Corpus, layouts_of
from wordgen.corpora.documents import KINDS
from wordgen.corpora.fetching import Fetching
from wordgen.corpora.fetching_many import fetch_all
from wordgen.corpora.layout import Layout
from wordgen.corpora.published import SPLITS, Split, name_without_split, published_splits
from wordgen.corpora.settings import ReadingSettings
from wordgen.corpora.unreadable import unreadable_by_name
from wordgen.errors import CorpusError
from wordgen.files import make_folder, told_plainly

_LONGEST_NAME = 60  # bytes, for a file system counts those
_BLOCK = 1 << 18
_TEXTS = (".txt", ".txt.gz", ".tokens", *KINDS)


def open_corpus(
    wanted: str | Sequence[str], how: ReadingSettings | None = None, fetching: Fetching | None = None
) -> Corpus:
    """Find a corpus: a name of the catalogue, else files or folders, else a folder of that name in data/.

    What the catalogue says can be fetched is fetched if it is not here, and `fetching` is told how far it is.
    """
    how = how or ReadingSettings()
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    if not names:
        raise CorpusError("No corpus is named: give a name, files or folders.")
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
    folder = user_data() / entry.name
    files = texts_in(folder)
    splits, left_out = published_splits(files), others_in([folder])
    if not files:
        entry = entry.opened()
        fetch_all(entry, fetching)
        files, splits = _texts_of(entry)
        left_out = others_in([entry.path_of(file) for file in entry.files])
        how = _with_what_is_known(entry, how)
    unit = entry.unit if how.unit == "auto" else how.unit
    line_breaks = entry.line_breaks if how.line_breaks == "auto" else how.line_breaks
    how = replace(how, unit=unit, line_breaks=line_breaks)
    return replace(_corpus(entry.name, files, splits, entry.tokenizer, how), left_out=left_out)


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
    return replace(_corpus(name, files, splits, None, how), left_out=others_in(paths))


def _text_files(paths: Sequence[Path]) -> list[Path]:
    """Files as they are, and for each folder the texts in it."""
    files: list[Path] = []
    for path in paths:
        inside = texts_in(path) if path.is_dir() else [path]
        if not inside:
            raise CorpusError(
                f"The folder {path} holds no .txt file, and no .md, .html, .docx or .epub.{_others(path)}"
            )
        files += inside
    for path in files:
        _check_file(path)
    return files


def _others(folder: Path) -> str:
    """A word on the files of a folder that cannot be read."""
    told = (unreadable_by_name(path) for path in sorted(folder.rglob("*")))
    first = next(filter(None, told), None)
    return f" {first}" if first else ""


def _check_file(path: Path) -> None:
    """What would be found out too late: a name that cannot be written down, what can be read but once, or no text."""
    unreadable = unreadable_by_name(path)
    if unreadable is not None:
        raise CorpusError(unreadable)
    if path.exists() and not path.is_file():
        raise CorpusError(f"{path} is no plain file: put the text into one, or give it with --corpus - instead.")
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise CorpusError(f"The name of {os.fsencode(path)!r} is not UTF-8: rename that file.") from error


def _corpus(
    name: str, files: Sequence[Path], splits: tuple[Split, ...], tokenizer: str | None, how: ReadingSettings
) -> Corpus:
    layouts = _layouts(files, how)
    unit, line_breaks = _of_most(files, layouts)
    alike = set(layouts) == {Layout(unit, line_breaks)}
    return Corpus(
        name,
        tuple(files),
        unit,
        line_breaks,
        tokenizer,
        how.encoding,
        how.keep_boilerplate,
        how.fold_width,
        splits,
        () if alike else layouts,
    )


def _layouts(files: Sequence[Path], how: ReadingSettings) -> tuple[Layout, ...]:
    """The layout of each file. What is said goes before what is found; where nothing is left to find, none is read."""
    unit = None if how.unit == "auto" else how.unit
    line_breaks = None if how.line_breaks == "auto" else how.line_breaks
    if unit and line_breaks and (unit, line_breaks) != ("paragraph", "joined"):
        return (Layout(unit, line_breaks),) * len(files)
    return tuple(found.with_said(unit, line_breaks) for found in layouts_of(files, how))


def _of_most(files: Sequence[Path], layouts: Sequence[Layout]) -> tuple[UnitKind, LineBreaks]:
    """What most of a text is cut into. Documents are it only where all files are."""
    sizes: Counter[tuple[UnitKind, LineBreaks]] = Counter()
    documents = all(layout.unit == "document" for layout in layouts)
    for path, layout in zip(files, layouts, strict=True):
        unit = "paragraph" if layout.unit == "document" and not documents else layout.unit
        sizes[unit, layout.line_breaks] += path.stat().st_size if path.is_file() else 0
    return sizes.most_common(1)[0][0]


def _name_of(path: Path) -> str:
    name = path.resolve().name
    ending = next((ending for ending in reversed(_TEXTS) if name.lower().endswith(ending)), path.suffix)
    return _shortened(name[: len(name) - len(ending)]) or _shortened(name)


def _shortened(name: str) -> str:
    return name.encode()[:_LONGEST_NAME].decode(errors="ignore")


def texts_in(folder: Path) -> list[Path]:
    """All texts and documents of a folder and of those in it, gzipped or not, in the order of their names."""
    texts = (path for path in folder.rglob("*") if path.name.lower().endswith(_TEXTS))
    # What systems leave beside files is hidden. A link that leads nowhere is no file, and its user should know.
    return sorted(path for path in texts if path.name[0] != "." and (path.is_file() or path.is_symlink()))


def others_in(paths: Sequence[Path]) -> tuple[Path, ...]:
    """All files of some folders that are no texts by their names; what is hidden, or lies in what is, was not meant."""
    others: list[Path] = []
    for folder in paths:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
            hidden = any(part[0] == "." for part in path.relative_to(folder).parts)
            if path.is_file() and not hidden and not path.name.lower().endswith(_TEXTS):
                others.append(path)
    return tuple(others)


def _not_found(name: str) -> str:
    known = catalogue()
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    name = name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "..."
    return f"There is no corpus '{name}': it is neither a file, nor a folder, nor one of {', '.join(known)}.{hint}"
