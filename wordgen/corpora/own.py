"""Texts of the user's own by name: entries in a catalogue that stays the user's file, comments and all."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wordgen.corpora.catalogue import (
    NAME,
    CatalogueEntry,
    bundled_catalogue,
    own_catalogue,
    own_catalogue_path,
    user_data,
)
from wordgen.corpora.corpus import Corpus, Reading
from wordgen.corpora.finding import corpus_of, texts_in
from wordgen.corpora.listing import KEPT_FOLDERS
from wordgen.corpora.settings import STANDARD_INPUT, Description, ReadingSettings
from wordgen.errors import CorpusError, SettingError
from wordgen.files import make_folder, told_plainly, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tomlkit.items import Table

_HEADER = """\
# Texts of your own, by name, as data/corpora.toml has those that wordgen brings. `wordgen corpora add` writes here, and
# so may you. Files are named from this folder, or by their whole path.
"""


def check_new_name(name: str, *, replace: bool) -> None:
    """Refuse a name that cannot be one, or is taken."""
    if not NAME.fullmatch(name) or name in KEPT_FOLDERS:
        raise SettingError(
            f"A corpus cannot be called '{name[:100]}': take up to 60 letters, digits, dots, dashes and underscores, "
            f"beginning with a letter or digit, but not {' or '.join(KEPT_FOLDERS)}."
        )
    if name in bundled_catalogue():
        raise SettingError(f"{name} is a text that wordgen brings: choose another name for yours.")
    if texts_in(user_data() / name):
        raise SettingError(
            f"The folder {user_data() / name} holds texts, and --corpus {name} takes those: choose another name."
        )
    if name in own_catalogue() and not replace:
        raise SettingError(f"There is a corpus {name} of yours already: choose another name, or give --replace.")


def corpus_of_files(files: Sequence[str], how: ReadingSettings) -> Corpus:
    """The corpus that files and folders make, whatever the catalogues know by those names."""
    for file in files:
        if file == STANDARD_INPUT:
            raise CorpusError("Standard input comes but once: put the text into a file, and add that.")
        if not os.path.exists(file):
            raise CorpusError(f"There is no file or folder {file}: nothing was added.")
    return corpus_of([Path(file) for file in files], how)


def read_through(corpus: Corpus, tell: Callable[[int, int], None] | None = None) -> tuple[Reading, int]:
    """Read a corpus to its end, so that what is wrong with any file is said now; how it was read, and its units.

    `tell` is told how many of all bytes have been read.
    """
    reading, size, units = corpus.reading(), corpus.bytes, 0
    holding_text: set[int] = set()
    for number, unit in reading.units():
        units += 1
        if unit.text:
            holding_text.add(number)
        if tell is not None:
            tell(reading.bytes_read, size)
    for number, path in enumerate(corpus.files):
        if number not in holding_text:
            raise CorpusError(f"{path} is empty: leave it out, or put its text into it.")
    return reading, units


def add_to_own_catalogue(
    name: str,
    files: Sequence[str],
    corpus: Corpus,
    tokenizer: str,
    description: Description,
    *,
    replace: bool = False,
) -> CatalogueEntry:
    """Write an entry for a corpus that was read through; all else that stands in the user's catalogue stays."""
    path = own_catalogue_path()
    make_folder(path.parent)
    with _alone_with(path):
        check_new_name(name, replace=replace)
        description = _with_what_was_said(description, own_catalogue().get(name))
        table = _table(name, [_named_from(path, file) for file in files], corpus, tokenizer, description)
        write_whole(Path(os.path.realpath(path)), _with_entry(_content(path), name, table).encode())
    return own_catalogue()[name]


def _with_what_was_said(description: Description, before: CatalogueEntry | None) -> Description:
    """What is not said anew of a text that is replaced stays as it was."""
    if before is None:
        return description
    said = {name: told for name, told in description.to_mapping().items() if told is not None}
    kept = {"title": before.title, "language": before.language, "licence": before.licence, "source": before.source}
    return Description(**{**kept, **said})


def _table(name: str, files: Sequence[str], corpus: Corpus, tokenizer: str, description: Description) -> dict[str, Any]:
    table = {
        "title": description.title or name,
        "files": list(files),
        "language": description.language or "",
        "tokenizer": tokenizer,
        "unit": corpus.unit,
        "line_breaks": corpus.line_breaks,
        "encoding": corpus.encoding,
        "keep_boilerplate": corpus.keep_boilerplate,
        "fold_width": corpus.fold_width,
        "licence": description.licence or "",
        "source": description.source or "",
    }
    if corpus.encoding == "auto":
        del table["encoding"]
    for switch in ("keep_boilerplate", "fold_width"):
        if not table[switch]:
            del table[switch]
    return table


def _named_from(catalogue: Path, file: str) -> str:
    """A whole path stays one; another is named from the catalogue's folder, so that it holds from any folder."""
    if os.path.isabs(file):
        return file
    folder, name = os.path.split(os.path.abspath(file))
    try:
        return Path(
            os.path.relpath(os.path.join(os.path.realpath(folder), name), catalogue.parent.resolve())
        ).as_posix()
    except ValueError:  # on another drive
        return os.path.abspath(file)


def _content(path: Path) -> str:
    with told_plainly(path):
        return path.read_bytes().decode("utf-8-sig") if path.exists() else _HEADER


def _with_entry(content: str, name: str, table: Mapping[str, Any]) -> str:
    """A catalogue with one entry more, or in the place of the one of that name; not a letter of the others changes."""
    import tomlkit

    document = tomlkit.parse(content)
    if name in document:
        _change(document[name], table)  # pyright: ignore[reportArgumentType]
        return tomlkit.dumps(document)
    new = tomlkit.document()
    new[name] = dict(table)
    return f"{content.rstrip()}\n\n{tomlkit.dumps(new)}"


def _change(entry: "Table", table: Mapping[str, Any]) -> None:
    for key in [key for key in entry if key not in table]:
        del entry[key]
    for key, value in table.items():
        entry[key] = value


@contextmanager
def _alone_with(path: Path) -> "Iterator[None]":
    """One process at a time, so that none overwrites what another has just written."""
    from filelock import FileLock

    lock = FileLock(path.with_name(f".{path.name}.lock"))
    with told_plainly(path):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
