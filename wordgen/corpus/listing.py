"""List the texts that a user can train on, and add a user's own texts to the catalogue."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wordgen.corpus.catalogue import (
    NAME,
    CatalogueEntry,
    bundled_catalogue,
    own_catalogue,
    own_catalogue_path,
    user_data,
)
from wordgen.corpus.corpus import Corpus, Reading
from wordgen.corpus.fetching import PART
from wordgen.corpus.finding import corpus_of, own_texts, texts_in
from wordgen.corpus.settings import STANDARD_INPUT, Description, ReadingSettings
from wordgen.errors import CorpusError, SettingError
from wordgen.files import as_storage_error, make_folder, write_whole

if TYPE_CHECKING:
    from tomlkit.items import Table

Whereabouts = Literal["bundled", "yours", "downloaded", "not downloaded", "missing"]

KEPT_FOLDERS = ("downloads", "encoded", "standard-input", "bases")
"""Folders in the user's data folder that are not corpora.

wordgen writes to them, or has its bases there: in a checkout, the user's data folder is that of wordgen.
"""


@dataclass(frozen=True)
class KnownText:
    """A text in the list of all corpora."""

    name: str
    title: str
    language: str
    licence: str
    bytes: int
    """Size of its files in bytes, including those that are not downloaded yet."""
    whereabouts: Whereabouts


def known_texts() -> list[KnownText]:
    """Return the texts of wordgen's catalogue, those of the user's catalogue, and the folders of texts in data/."""
    bundled, own = bundled_catalogue(), own_catalogue()
    texts = [_known(entry, "bundled") for name, entry in bundled.items() if name not in own]
    texts += [_known(entry, "yours") for entry in own.values()]
    return texts + list(_folders_without_entry({*bundled, *own}))


def _known(entry: CatalogueEntry, whereabouts: Whereabouts) -> KnownText:
    files = own_texts(entry)  # --corpus, too, prefers them
    if files:
        return _text(entry, _size(files), "yours")
    if entry.listing is not None:
        all_here = _fetched(entry.download_folder) >= entry.listing.files
        return _text(entry, entry.listing.bytes, "downloaded" if all_here else "not downloaded")
    paths = [entry.path_of(file) for file in (*entry.files, *entry.valid_files, *entry.test_files)]
    gone = [path for path in paths if not path.exists()]
    if not gone:
        return _text(entry, _size(paths), "downloaded" if entry.downloads else whereabouts)
    coming = {entry.path_of(each.file): each.bytes for each in entry.downloads}
    if not set(gone) <= coming.keys():
        return _text(entry, _size(paths), "missing")
    return _text(entry, sum(coming.values()) + _size(set(paths) - coming.keys()), "not downloaded")


def _fetched(folder: Path) -> int:
    """Return the number of complete files in a folder of downloads."""
    names = os.listdir(folder) if folder.is_dir() else []
    return sum(name[0] != "." and not name.endswith(PART) for name in names)


def _text(entry: CatalogueEntry, size: int, whereabouts: Whereabouts) -> KnownText:
    return KnownText(entry.name, entry.title, entry.language, entry.licence, size, whereabouts)


def _folders_without_entry(names: set[str]) -> Iterator[KnownText]:
    """Yield the folders data/NAME/ that contain texts: each is a corpus called NAME."""
    folders = sorted(user_data().iterdir()) if user_data().is_dir() else []
    for folder in folders:
        if folder.is_dir() and folder.name not in {*names, *KEPT_FOLDERS} and not folder.name.startswith("."):
            files = texts_in(folder)
            if files:
                yield KnownText(folder.name, f"the texts in {folder}", "", "", _size(files), "yours")


def _size(paths: Iterable[Path]) -> int:
    """Return the size in bytes of some files and of the texts in some folders."""
    files = [file for path in paths for file in (texts_in(path) if path.is_dir() else [path])]
    return sum(file.stat().st_size for file in files if file.is_file())


_HEADER = """\
# Your own texts, by name, like those of wordgen in data/corpora.toml. `wordgen corpora add` writes to this file, and
# you may edit it. The paths of files are relative to this folder, or absolute.
"""


def check_new_name(name: str, *, replace: bool) -> None:
    """Raise SettingError if a name for a corpus is not valid or already taken.

    `replace` allows a name in the user's catalogue.
    """
    if not NAME.fullmatch(name) or name in KEPT_FOLDERS:
        raise SettingError(
            f"A corpus cannot have the name '{name[:100]}': use up to 60 letters, digits, dots, dashes and "
            f"underscores, begin with a letter or digit, and do not use {' or '.join(KEPT_FOLDERS)}."
        )
    if name in bundled_catalogue():
        raise SettingError(f"{name} is the name of a text that comes with wordgen: choose another name.")
    if texts_in(user_data() / name):
        raise SettingError(
            f"The folder {user_data() / name} contains texts that --corpus {name} already uses: choose another name."
        )
    if name in own_catalogue() and not replace:
        raise SettingError(f"You already have a corpus {name}: choose another name, or use --replace.")


def corpus_of_files(files: Sequence[str], how: ReadingSettings) -> Corpus:
    """Return the corpus of files and folders. Their names are never looked up in the catalogues.

    Raise CorpusError if one does not exist or is standard input.
    """
    for file in files:
        if file == STANDARD_INPUT:
            raise CorpusError("Standard input can be read only once: put the text into a file, and add the file.")
        if not os.path.exists(file):
            raise CorpusError(f"There is no file or folder {file}, so nothing was added: give another path.")
    return corpus_of([Path(file) for file in files], how)


def read_through(corpus: Corpus, tell: Callable[[int, int], None] | None = None) -> tuple[Reading, int]:
    """Read a corpus to its end, to find any faulty file. Return how it was read, and its number of passages.

    `tell` receives the number of bytes read and the number of all bytes. Raise CorpusError if a file cannot be read or
    contains no text.
    """
    reading, size, passages = corpus.reading(), corpus.bytes, 0
    holding_text: set[int] = set()
    for number, passage in reading.passages():
        passages += 1
        if passage.text:
            holding_text.add(number)
        if tell is not None:
            tell(reading.bytes_read, size)
    for number, path in enumerate(corpus.files):
        if number not in holding_text and number not in reading.damaged:
            raise CorpusError(f"{path} is empty: leave it out, or add text to it.")
    return reading, passages


def add_to_own_catalogue(
    name: str,
    files: Sequence[str],
    corpus: Corpus,
    tokenizer: str,
    description: Description,
    *,
    replace: bool = False,
) -> CatalogueEntry:
    """Add an entry for a corpus to the user's catalogue and return it. The rest of the catalogue stays unchanged.

    Call `read_through` with the corpus first. Raise SettingError if the name is not valid or already taken.
    """
    path = own_catalogue_path()
    make_folder(path.parent)
    with _locked(path):
        check_new_name(name, replace=replace)
        description = _completed(description, own_catalogue().get(name))
        table = _table(name, [_named_from(path, file) for file in files], corpus, tokenizer, description)
        write_whole(Path(os.path.realpath(path)), _with_entry(_content(path), name, table).encode())
    return own_catalogue()[name]


def _completed(description: Description, before: CatalogueEntry | None) -> Description:
    """Return the description, with what it leaves out taken from the entry that is replaced."""
    if before is None:
        return description
    given = {name: value for name, value in description.to_mapping().items() if value is not None}
    kept = {"title": before.title, "language": before.language, "licence": before.licence, "source": before.source}
    return Description(**{**kept, **given})


def _table(
    name: str, files: Sequence[str], corpus: Corpus, tokenizer: str, description: Description
) -> dict[str, object]:
    how = corpus.how
    switches = {name: True for name in ("keep_boilerplate", "fold_width", "drop_latin") if getattr(how, name)}
    return {
        "title": description.title or name,
        "files": list(files),
        "language": description.language or "",
        "tokenizer": tokenizer,
        "passage": corpus.passage,
        "line_breaks": corpus.line_breaks,
        **({} if how.encoding == "auto" else {"encoding": how.encoding}),
        **switches,
        "licence": description.licence or "",
        "source": description.source or "",
    }


def _named_from(catalogue: Path, file: str) -> str:
    """Return how the catalogue names a file: an absolute path as given, else relative to the catalogue's folder.

    So the name is valid whatever the current folder is.
    """
    if os.path.isabs(file):
        return file
    folder, name = os.path.split(os.path.abspath(file))
    try:
        return Path(
            os.path.relpath(os.path.join(os.path.realpath(folder), name), catalogue.parent.resolve())
        ).as_posix()
    except ValueError:  # the file is on another drive
        return os.path.abspath(file)


def _content(path: Path) -> str:
    with as_storage_error(path):
        return path.read_bytes().decode("utf-8-sig") if path.exists() else _HEADER


def _with_entry(content: str, name: str, table: Mapping[str, object]) -> str:
    """Return the text of a catalogue with an entry added, or replaced if the name exists. No other entry changes."""
    import tomlkit

    document = tomlkit.parse(content)
    if name in document:
        _change(document[name], table)  # pyright: ignore[reportArgumentType]
        return tomlkit.dumps(document)
    new = tomlkit.document()
    new[name] = dict(table)
    return f"{content.rstrip()}\n\n{tomlkit.dumps(new)}"


def _change(entry: "Table", table: Mapping[str, object]) -> None:
    for key in [key for key in entry if key not in table]:
        del entry[key]
    for key, value in table.items():
        entry[key] = value


def _locked(path: Path) -> AbstractContextManager[object]:
    """Return the lock of a file, acquired, so that no process overwrites what another has just written."""
    from filelock import FileLock

    with as_storage_error(path):
        return FileLock(path.with_name(f".{path.name}.lock")).acquire()
