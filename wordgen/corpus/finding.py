"""Find the corpus that a user names: a name of the catalogue, files, folders, or standard input. List all names."""

import difflib
import hashlib
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from wordgen.corpus.catalogue import (
    RESERVED_FOLDERS,
    SPLITS,
    CatalogueEntry,
    Split,
    bundled_catalogue,
    catalogue,
    name_without_split,
    published_splits,
    user_catalogue,
    user_data,
)
from wordgen.corpus.corpus import Corpus, Reading
from wordgen.corpus.documents import TEXT_ENDINGS, is_midi, texts_in, unread_files_in, unreadable
from wordgen.corpus.fetching import PART, OnDownloadProgress, fetch_all
from wordgen.corpus.layout import Layout, layouts_of
from wordgen.corpus.reading import TextFile
from wordgen.corpus.settings import STANDARD_INPUT, LineBreaks, PassageKind, ReadingSettings
from wordgen.errors import CorpusError
from wordgen.files import as_storage_error, make_folder

_MAX_NAME_BYTES = 60  # bytes, because file systems limit names in bytes
_BLOCK = 1 << 18


def open_corpus(
    corpus: str | Sequence[str],
    reading_settings: ReadingSettings | None = None,
    on_progress: OnDownloadProgress | None = None,
) -> Corpus:
    """Find a corpus: a name of the catalogue, else files or folders, else files or folders in data/.

    Missing files are downloaded if the catalogue has an address for them; `on_progress` receives the progress.
    Raise CorpusError if there is no corpus of this name, or if its files cannot be read or downloaded.
    """
    reading_settings = reading_settings or ReadingSettings()
    names = [corpus] if isinstance(corpus, str) else list(corpus)
    if not names:
        raise CorpusError("No corpus is given: give a name, files or folders.")
    entries = catalogue()
    if len(names) == 1 and names[0] in entries:
        return _from_catalogue(entries[names[0]], reading_settings, on_progress)
    mixed = [name for name in names if name in entries and not os.path.exists(name)]
    if mixed:
        raise CorpusError(
            f"{mixed[0]} is a text of the catalogue, which cannot be combined with other texts: give only one of them."
        )
    return corpus_of([_find_path(name) for name in names], reading_settings)


def save_standard_input() -> str:
    """Save standard input to a file in data/, so that a run can be resumed. Return the path of the file.

    The folder of the file is named after its checksum. Raise CorpusError if standard input is empty.
    """
    folder = user_data() / "standard-input"
    make_folder(folder)
    with as_storage_error(folder), tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False) as partial:
        try:
            checksum, size = hashlib.sha256(), 0
            while block := sys.stdin.buffer.read(_BLOCK) if sys.stdin else b"":
                partial.write(block)
                checksum.update(block)
                size += len(block)
            partial.close()
            if not size:
                raise CorpusError("Standard input is empty: there is no text to read.")
            path = folder / checksum.hexdigest()[:16] / "standard-input.txt"
            path.parent.mkdir(exist_ok=True)
            os.replace(partial.name, path)
        finally:
            Path(partial.name).unlink(missing_ok=True)
    return str(path)


def _find_path(name: str) -> Path:
    for path in (Path(name), user_data() / name):
        if name and os.path.exists(path):
            return path
    raise CorpusError(_not_found_message(name))


def _from_catalogue(
    entry: CatalogueEntry, reading_settings: ReadingSettings, on_progress: OnDownloadProgress | None
) -> Corpus:
    folder = user_data() / entry.name
    files = _user_texts(entry)
    splits, left_out = published_splits(files), unread_files_in([folder])
    if not files:
        entry = entry.with_listed_files()
        fetch_all(entry, on_progress)
        files, splits = _texts_of(entry)
        left_out = unread_files_in([entry.path_of(file) for file in entry.files])
        reading_settings = replace(
            reading_settings,
            encoding=entry.encoding if reading_settings.encoding == "auto" else reading_settings.encoding,
            keep_boilerplate=reading_settings.keep_boilerplate or entry.keep_boilerplate,
            fold_width=reading_settings.fold_width or entry.fold_width,
            drop_latin=reading_settings.drop_latin or entry.drop_latin,
        )
    reading_settings = replace(
        reading_settings,
        passage=entry.passage if reading_settings.passage == "auto" else reading_settings.passage,
        line_breaks=entry.line_breaks if reading_settings.line_breaks == "auto" else reading_settings.line_breaks,
    )
    return _corpus(entry.name, files, reading_settings, splits, left_out, entry.tokenizer)


def _texts_of(entry: CatalogueEntry) -> tuple[list[Path], tuple[Split, ...]]:
    """Return the files of an entry, with each folder replaced by the texts in it, and the split of each file.

    The splits are empty if neither the entry nor the file names tell them.
    """
    named = {"train": entry.files, "valid": entry.valid_files, "test": entry.test_files}
    found = {split: _text_files([_existing_path(entry, file) for file in named[split]]) for split in SPLITS}
    files = [path for split in SPLITS for path in found[split]]
    if not entry.valid_files:
        return files, published_splits(files)
    return files, tuple(split for split in SPLITS for _ in found[split])


def _existing_path(entry: CatalogueEntry, file: str) -> Path:
    path = entry.path_of(file)
    if not os.path.exists(path):
        raise CorpusError(
            f"{path}, a file of the corpus {entry.name}, is missing: put it back, or correct the entry in the "
            "catalogue."
        )
    return path


def corpus_of(paths: Sequence[Path], reading_settings: ReadingSettings) -> Corpus:
    """Return the corpus of some files and of the texts in some folders.

    It is named after the first path. Its splits are those that the file names tell, if any.
    """
    files = _text_files(paths)
    splits = published_splits(files)
    if splits:
        files.sort(key=dict(zip(files, map(SPLITS.index, splits), strict=True)).__getitem__)
        splits = published_splits(files)
    name = _name_of(paths[0])
    if splits and len(paths) > 1:
        name = name_without_split(name) or _name_of(paths[0].resolve().parent)
    return _corpus(name, files, reading_settings, splits, unread_files_in(paths))


def _text_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files, each folder replaced by the texts in it. Raise CorpusError for a folder without texts."""
    files: list[Path] = []
    for path in paths:
        inside = texts_in(path) if path.is_dir() else [path]
        if not inside:
            nothing = f"The folder {path} contains no .txt, .md, .html, .docx, .epub, .abc or .mid file."
            instead = filter(None, map(unreadable, unread_files_in([path])))
            raise CorpusError(" ".join([nothing, *islice(instead, 1)]))
        files += inside
    for path in files:
        _check_file(path)
    for path in paths:
        if path.is_file() and is_midi(path):
            TextFile(path).text()  # a damaged file in a folder is left out, but one that the user names is an error
    return files


def _check_file(path: Path) -> None:
    """Raise CorpusError for a file that would fail only later.

    It is of a format that cannot be read, or can be read only once (a pipe), or its name cannot be written as UTF-8.
    """
    message = unreadable(path)
    if message is not None:
        raise CorpusError(message)
    if path.exists() and not path.is_file():
        raise CorpusError(
            f"{path} is not a regular file: copy the text to one, or send it to standard input with --corpus -."
        )
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise CorpusError(f"The name of {os.fsencode(path)!r} is not UTF-8: rename that file.") from error


def _corpus(
    name: str,
    files: Sequence[Path],
    reading_settings: ReadingSettings,
    splits: tuple[Split, ...],
    left_out: tuple[Path, ...],
    tokenizer: str | None = None,
) -> Corpus:
    for path, times in Counter(map(os.path.realpath, files)).items():
        if times > 1:
            raise CorpusError(f"{path} is given {times} times: give each text once.")
    layouts = _layouts(files, reading_settings)
    _check_same_kind(files, layouts, reading_settings)
    passage, line_breaks = _most_common(files, layouts)
    layouts = () if set(layouts) == {Layout(passage, line_breaks)} else layouts
    return Corpus(name, tuple(files), passage, line_breaks, tokenizer, reading_settings, splits, layouts, left_out)


def _check_same_kind(files: Sequence[Path], layouts: Sequence[Layout], reading_settings: ReadingSettings) -> None:
    """Refuse a mixture of ABC tunes, MIDI and text, and settings for tunes if there are none."""
    found: dict[str, Path] = {}
    for path, layout in zip(files, layouts, strict=True):
        found.setdefault("MIDI" if is_midi(path) else "tunes" if layout.passage == "tune" else "text", path)
    if len(found) > 1:
        (one, path), (other, second), *_ = found.items()
        raise CorpusError(
            f"{path} contains {one} and {second} contains {other}: a model learns only one of these, so leave out the "
            "other."
        )
    wants_tunes, wants_copies = reading_settings.passage == "tune", reading_settings.transpose == "augment"
    flag = "--passage tune" if wants_tunes else "--transpose augment" if wants_copies else None
    if flag and "tunes" not in found:
        raise CorpusError(f"{flag} is for tunes in ABC, and {files[0]} has none: leave it out.")
    if reading_settings.drop_latin and "text" not in found:
        raise CorpusError(
            f"--drop-latin leaves out letters, which are the notes of {files[0]}: leave it out for music."
        )


def _layouts(files: Sequence[Path], reading_settings: ReadingSettings) -> tuple[Layout, ...]:
    """Return the layout of each file. The user's choices take precedence over what the files show.

    No file is read if the choices leave nothing to find out. Paragraphs with joined lines are always looked at, because
    they may be wrapped without blank lines between them.
    """
    passage = None if reading_settings.passage == "auto" else reading_settings.passage
    line_breaks = None if reading_settings.line_breaks == "auto" else reading_settings.line_breaks
    if passage == "tune":
        return (Layout("tune", "kept"),) * len(files)
    if passage and line_breaks and (passage, line_breaks) != ("paragraph", "joined"):
        return (Layout(passage, line_breaks),) * len(files)
    return tuple(found.with_choices(passage, line_breaks) for found in layouts_of(files, reading_settings))


def _most_common(files: Sequence[Path], layouts: Sequence[Layout]) -> tuple[PassageKind, LineBreaks]:
    """Return the kind of passage and the line breaks of most of a text, by size in bytes.

    Documents count as paragraphs unless all files are documents.
    """
    sizes: Counter[tuple[PassageKind, LineBreaks]] = Counter()
    documents = all(layout.passage == "document" for layout in layouts)
    for path, layout in zip(files, layouts, strict=True):
        passage = "paragraph" if layout.passage == "document" and not documents else layout.passage
        sizes[passage, layout.line_breaks] += path.stat().st_size if path.is_file() else 0
    return sizes.most_common(1)[0][0]


def _name_of(path: Path) -> str:
    path = path.resolve()
    ending = next((ending for ending in TEXT_ENDINGS if path.name.lower().endswith(ending)), path.suffix)
    stem = path.name if path.is_dir() else path.name[: len(path.name) - len(ending)]
    return _shortened(stem) or _shortened(path.name)


def _shortened(name: str) -> str:
    return name.encode()[:_MAX_NAME_BYTES].decode(errors="ignore")


def _user_texts(entry: CatalogueEntry) -> list[Path]:
    """Return the texts in data/NAME, which replace those of the catalogue.

    The list is empty if the entry of the catalogue names all these texts, or folders that contain them.
    """
    texts = texts_in(user_data() / entry.name)
    named = {entry.path_of(file) for file in entry.all_files}
    are_named = all(named.intersection((path, *path.parents)) for path in map(Path.resolve, texts))
    return [] if are_named else texts


def _not_found_message(name: str) -> str:
    known = catalogue()
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    name = name if len(name) <= _MAX_NAME_BYTES else name[:_MAX_NAME_BYTES] + "..."
    return f"There is no corpus '{name}': it is not a file, a folder or one of {', '.join(known)}.{hint}"


Location = Literal["bundled", "yours", "downloaded", "not downloaded", "missing"]


@dataclass(frozen=True)
class KnownText:
    """A text in the list of all corpora."""

    name: str
    title: str
    language: str
    licence: str
    bytes: int
    """Size of its files in bytes, including those that are not downloaded yet."""
    location: Location


def known_texts() -> list[KnownText]:
    """Return the texts of wordgen's catalogue, those of the user's catalogue, and the folders of texts in data/."""
    bundled_entries, user_entries = bundled_catalogue(), user_catalogue()
    texts = [_known_text(entry, "bundled") for name, entry in bundled_entries.items() if name not in user_entries]
    texts += [_known_text(entry, "yours") for entry in user_entries.values()]
    return texts + list(_folders_without_entry({*bundled_entries, *user_entries}))


def _known_text(entry: CatalogueEntry, location: Location) -> KnownText:
    files = _user_texts(entry)  # --corpus, too, prefers them
    if files:
        return _text(entry, _size(files), "yours")
    if entry.listing is not None:
        is_complete = _downloaded_files(entry.download_folder) >= entry.listing.files
        return _text(entry, entry.listing.bytes, "downloaded" if is_complete else "not downloaded")
    paths = [entry.path_of(file) for file in entry.all_files]
    missing = [path for path in paths if not os.path.exists(path)]  # also for invalid paths, unlike Path.exists
    if not missing:
        return _text(entry, _size(paths), "downloaded" if entry.downloads else location)
    download_sizes = {entry.path_of(each.file): each.bytes for each in entry.downloads}
    if not set(missing) <= download_sizes.keys():
        return _text(entry, _size(paths), "missing")
    return _text(entry, sum(download_sizes.values()) + _size(set(paths) - download_sizes.keys()), "not downloaded")


def _downloaded_files(folder: Path) -> int:
    """Return the number of complete files in a folder of downloads."""
    names = os.listdir(folder) if folder.is_dir() else []
    return sum(name[0] != "." and not name.endswith(PART) for name in names)


def _text(entry: CatalogueEntry, size: int, location: Location) -> KnownText:
    return KnownText(entry.name, entry.title, entry.language, entry.licence, size, location)


def _folders_without_entry(names: set[str]) -> Iterator[KnownText]:
    """Yield the folders data/NAME/ that contain texts: each is a corpus called NAME."""
    folders = sorted(user_data().iterdir()) if user_data().is_dir() else []
    for folder in folders:
        if folder.is_dir() and folder.name not in {*names, *RESERVED_FOLDERS} and not folder.name.startswith("."):
            files = texts_in(folder)
            if files:
                yield KnownText(folder.name, f"the texts in {folder}", "", "", _size(files), "yours")


def _size(paths: Iterable[Path]) -> int:
    """Return the size in bytes of some files and of the texts in some folders."""
    files = [file for path in paths for file in (texts_in(path) if os.path.isdir(path) else [path])]
    return sum(file.stat().st_size for file in files if os.path.isfile(file))


def corpus_of_files(files: Sequence[str], reading_settings: ReadingSettings) -> Corpus:
    """Return the corpus of files and folders. Their names are never looked up in the catalogues.

    Raise CorpusError if one does not exist or is standard input.
    """
    for file in files:
        if file == STANDARD_INPUT:
            raise CorpusError("Standard input can be read only once: put the text into a file, and add the file.")
        if not os.path.exists(file):
            raise CorpusError(f"There is no file or folder {file}, so nothing was added: give another path.")
    return corpus_of([Path(file) for file in files], reading_settings)


def read_through(corpus: Corpus, on_progress: Callable[[int, int], None] | None = None) -> tuple[Reading, int]:
    """Read a corpus to its end, to find any faulty file. Return how it was read, and its number of passages.

    `on_progress` receives the number of bytes read and the number of all bytes. Raise CorpusError if a file cannot be
    read or contains no text.
    """
    reading, size, passages = corpus.reading(), corpus.bytes, 0
    files_with_text: set[int] = set()
    for number, passage in reading.passages():
        passages += 1
        if passage.text:
            files_with_text.add(number)
        if on_progress is not None:
            on_progress(reading.bytes_read, size)
    for number, path in enumerate(corpus.files):
        if number not in files_with_text and number not in reading.damaged:
            raise CorpusError(f"{path} is empty: leave it out, or add text to it.")
    return reading, passages
