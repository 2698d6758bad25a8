"""The catalogue: the texts that wordgen knows by name, the paths or web addresses of their files, and their splits."""

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import urlsplit

from wordgen.corpus.documents import texts_in
from wordgen.corpus.settings import Description, Encoding, LineBreaks, PassageKind, ReadingSettings
from wordgen.errors import CorpusError, SettingError, reason_of
from wordgen.files import as_storage_error, make_folder, read_regular_file, read_toml, write_atomically
from wordgen.settings import Settings, in_python, setting

if TYPE_CHECKING:
    from tomlkit.items import Table


Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")
SET_NAMES: Mapping[Split, str] = {"train": "training set", "valid": "validation set", "test": "test set"}
"""The names of the splits in sentences."""

_SPLIT_OF_WORD: dict[str, Split] = {
    "train": "train", "training": "train", "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid",
    "test": "test", "testing": "test",
}  # fmt: skip
_WORDS = re.compile(r"[a-z]+")


def published_splits(files: Sequence[Path]) -> tuple[Split, ...]:
    """Return the split of each file, as its name tells (`ptb.valid.txt`).

    Return an empty tuple if a name tells no split, or if one of the three splits has no file.
    """
    named: list[set[Split]] = [
        {_SPLIT_OF_WORD[word] for word in _WORDS.findall(path.name.lower()) if word in _SPLIT_OF_WORD} for path in files
    ]
    splits: tuple[Split, ...] = tuple(meant.pop() for meant in named if len(meant) == 1)
    return splits if len(splits) == len(files) and set(splits) == set(SPLITS) else ()


def name_without_split(name: str) -> str:
    """Return a name without its words for a split, the other words joined by hyphens: `ptb` for `ptb.train`."""
    return "-".join(word for word in re.split(r"[\W_]+", name) if word.lower() not in _SPLIT_OF_WORD)


NAME = re.compile(r"\w[\w.+-]{0,59}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_LISTING_BYTES = 2**24


@dataclass(frozen=True, kw_only=True)
class Download(Settings):
    """A file that is downloaded on first use: its address, and the checksum and size that it must have."""

    file: str = setting()
    """The file name under which the download is kept."""
    address: str = setting()
    sha256: str = setting()
    bytes: int = setting(at_least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _is_web_address(self.address):
            raise SettingError(f"address must begin with https:// or http://, not {self.address!r}.")
        if not _SHA256.fullmatch(self.sha256):
            raise SettingError(f"sha256 must be 64 digits and letters from a to f, not {self.sha256!r}.")
        if self.file in ("", ".", "..") or self.file != PurePosixPath(self.file).name or "\\" in self.file:
            raise SettingError(f"file must be the name of a file without any folder, not {self.file!r}.")


@dataclass(frozen=True, kw_only=True)
class Listing(Settings):
    """Many files that are downloaded on first use. A table beside the catalogue names them; it is read when needed.

    The columns of the table are separated by tabs and named in its first line: file, bytes, sha256, and path if the
    addresses of the files do not end with their names.
    """

    table: str = setting()
    """The file name of the table, from the folder of the catalogue."""
    address: str = setting()
    """The common beginning of the addresses of all files."""
    files: int = setting(at_least=1)
    """Number of files in the table. It is stated in the catalogue so that the table need not be read to know it."""
    bytes: int = setting(at_least=1)
    """Size of all files together in bytes, stated for the same reason."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (_is_web_address(self.address) and self.address.endswith("/")):
            raise SettingError(f"address must begin with https:// or http:// and end with /, not {self.address!r}.")

    def downloads(self, folder: Path) -> tuple[Download, ...]:
        """Read the table in `folder` and return all its files. Raise CorpusError if the table is missing or wrong."""
        path, where = folder / self.table, ""
        try:
            text = read_regular_file(path, _MAX_LISTING_BYTES).decode("utf-8-sig")
            columns, *rows = (line.split("\t") for line in text.splitlines() or [""])
            downloads: list[Download] = []
            for number, row in enumerate(rows, 2):
                where = f"line {number}: "
                downloads.append(self._download(columns, row))
            where = ""
            self._check(downloads)
            return tuple(downloads)
        except (OSError, ValueError, SettingError) as error:
            raise CorpusError(f"The listing {path} cannot be read: {where}{_reason(error)}.") from error

    def _download(self, columns: list[str], row: list[str]) -> Download:
        if len(row) != len(columns):
            raise SettingError(f"it has {len(row)} columns, but the first line has {len(columns)}.")
        cells = dict(zip(columns, row, strict=True))
        size = cells.get("bytes", "")
        address = self.address + cells.pop("path", cells.get("file", ""))
        return Download.from_mapping({**cells, "bytes": int(size) if size.isdecimal() else size, "address": address})

    def _check(self, downloads: list[Download]) -> None:
        names = Counter(each.file.casefold() for each in downloads)
        twice = [each.file for each in downloads if names[each.file.casefold()] > 1]
        if twice:
            raise SettingError(f"{twice[0]} is in it twice.")
        found = len(downloads), sum(each.bytes for each in downloads)
        if found != (self.files, self.bytes):
            raise SettingError(
                f"it has {found[0]:,} files with {found[1]:,} bytes, but the catalogue says {self.files:,} files with "
                f"{self.bytes:,} bytes."
            )


@dataclass(frozen=True, kw_only=True)
class CatalogueEntry(Settings):
    """One text of the catalogue.

    If the user's data folder has a folder of the same name with texts in it, those are used instead of its files.
    """

    name: str = setting()
    title: str = setting()
    files: tuple[str, ...] = setting(())
    valid_files: tuple[str, ...] = setting(())
    """The files of the validation set, if the text was published with its own splits. `files` is the training set."""
    test_files: tuple[str, ...] = setting(())
    """The files of the test set, if the text was published with its own splits."""
    language: str = setting()
    tokenizer: str = setting()
    passage: Literal["auto", PassageKind] = setting()
    """The kind of passage. "auto", also for `line_breaks`: decided for each file by its layout."""
    line_breaks: Literal["auto", LineBreaks] = setting()
    encoding: Encoding = setting("auto")
    keep_boilerplate: bool = setting(False)
    fold_width: bool = setting(False)
    drop_latin: bool = setting(False)
    licence: str = setting()
    source: str = setting()
    note: str = setting("")
    downloads: tuple[Download, ...] = setting(())
    listing: Listing | None = setting(None)
    """Replaces `files` and `downloads` for texts of many files.

    Its files are the training set, except those in `valid_files` and `test_files`.
    """
    folder: Path = setting(Path())
    """The folder of the catalogue. File names are relative to it, except those of downloaded files."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.listing is not None and (self.files or self.downloads):
            raise SettingError("its listing names all files, so leave out files and downloads.")
        if not self.files and self.listing is None:
            raise SettingError("files must name at least one file.")
        if bool(self.valid_files) != bool(self.test_files):
            raise SettingError("valid_files and test_files must be given together.")
        if len(set(self.all_files)) < len(self.all_files):
            raise SettingError("each file must be in only one of files, valid_files and test_files, and only once.")
        unnamed = {each.file for each in self.downloads}.difference(self.all_files)
        if unnamed:
            raise SettingError(f"{min(unnamed)} is in downloads, but not in files.")

    @classmethod
    def from_table(cls, name: str, table: object, folder: Path) -> "CatalogueEntry":
        """Return the entry that a table of the catalogue in `folder` describes. Raise SettingError if it is wrong."""
        if not isinstance(table, Mapping):
            raise SettingError(f"it must be a table that begins with [{name}].")
        if not NAME.fullmatch(name):
            raise SettingError("a name has up to 60 letters, digits, dots, dashes and underscores.")
        for key in ("name", "folder"):
            if key in table:
                raise SettingError(f"'{key}' is not a setting.")
        if "files" not in table and "listing" not in table:
            raise SettingError("the setting 'files' is missing.")
        downloads, listing = table.get("downloads", []), table.get("listing")
        if not (isinstance(downloads, list) and all(isinstance(each, Mapping) for each in downloads)):
            raise SettingError(f"downloads must be tables that begin with [[{name}.downloads]].")
        if not isinstance(listing, Mapping | None):
            raise SettingError(f"listing must be a table that begins with [{name}.listing].")
        parts = {
            "downloads": tuple(map(Download.from_mapping, downloads)),
            "listing": None if listing is None else Listing.from_mapping(listing),
        }
        return cls.from_mapping({"name": name, **table, **parts, "folder": folder})

    def with_listed_files(self) -> "CatalogueEntry":
        """Return the entry with the files of its listing in `files` and `downloads`; without a listing, return itself.

        Raise CorpusError if the listing cannot be read, or does not contain a file of the validation or test set.
        """
        if self.listing is None:
            return self
        downloads = self.listing.downloads(self.folder)
        names = [each.file for each in downloads]
        held_out = {*self.valid_files, *self.test_files}
        missing = held_out.difference(names)
        if missing:
            raise CorpusError(
                f"The listing of {self.name} does not contain {min(missing)}, which valid_files or test_files name."
            )
        files = tuple(name for name in names if name not in held_out)
        return replace(self, files=files, downloads=downloads, listing=None)

    @property
    def all_files(self) -> tuple[str, ...]:
        """Its files of all splits, without those of its listing."""
        return (*self.files, *self.valid_files, *self.test_files)

    @property
    def download_folder(self) -> Path:
        """The folder of its downloaded files."""
        return user_data() / "downloads" / self.name

    def path_of(self, file: str) -> Path:
        """Return the path of one of its files, also if the file is not downloaded yet."""
        if file in self._downloaded_names:
            return self.download_folder / file
        return Path(os.path.normpath(self.folder / file))

    @cached_property
    def _downloaded_names(self) -> frozenset[str]:
        return frozenset(each.file for each in self.downloads)


def bundled_data() -> Path:
    """Return the folder of the catalogue and the bundled texts: beside the package, or inside it once installed."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "data"
    return installed if installed.is_dir() else package.parent / "data"


def user_data() -> Path:
    """Return the folder of the user's own texts and of all files made from texts.

    It is $WORDGEN_DATA if that is set, else data/ in the current folder.
    """
    return Path(os.environ.get("WORDGEN_DATA") or "data")


def user_catalogue_path() -> Path:
    """Return the path of the user's catalogue.

    It is not called corpora.toml, because in a checkout the user's data folder also contains wordgen's catalogue.
    """
    return user_data() / "own.toml"


def catalogue() -> dict[str, CatalogueEntry]:
    """Return all texts known by name. An entry of the user's catalogue replaces a bundled one of the same name."""
    return {**bundled_catalogue(), **user_catalogue()}


@cache
def bundled_catalogue() -> dict[str, CatalogueEntry]:
    return _entries(bundled_data() / "corpora.toml")


def user_catalogue() -> dict[str, CatalogueEntry]:
    path = user_catalogue_path()
    return _entries(path) if os.path.lexists(path) else {}


def _entries(path: Path) -> dict[str, CatalogueEntry]:
    entry = ""
    try:
        entries: dict[str, CatalogueEntry] = {}
        for name, table in read_toml(path).items():
            entry = f"the entry {name}: "
            # After a symbolic link, `..` leads to another folder than the path suggests, so links are resolved first.
            entries[name] = CatalogueEntry.from_table(name, table, path.parent.resolve())
        return entries
    except (OSError, ValueError, SettingError) as error:
        raise CorpusError(f"The catalogue {path} cannot be read: {entry}{_reason(error)}.") from error


def _reason(error: Exception) -> str:
    return in_python(reason_of(error))  # names of settings instead of flags


def _is_web_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and address.isascii()


RESERVED_FOLDERS = ("downloads", "encoded", "standard-input", "bases")
"""Folders in the user's data folder that are not corpora.

wordgen writes to them, or has its bases there: in a checkout, the user's data folder is that of wordgen.
"""
_HEADER = """\
# Your own texts, by name, like those of wordgen in data/corpora.toml. `wordgen corpora add` writes to this file, and
# you may edit it. The paths of files are relative to this folder, or absolute.
"""


def check_new_name(name: str, *, replace: bool) -> None:
    """Raise SettingError if a name for a corpus is not valid or already taken.

    `replace` allows a name in the user's catalogue.
    """
    if not NAME.fullmatch(name) or name in RESERVED_FOLDERS:
        raise SettingError(
            f"A corpus cannot have the name '{name[:100]}': use up to 60 letters, digits, dots, dashes and "
            f"underscores, begin with a letter or digit, and do not use {' or '.join(RESERVED_FOLDERS)}."
        )
    if name in bundled_catalogue():
        raise SettingError(f"{name} is the name of a text that comes with wordgen: choose another name.")
    if texts_in(user_data() / name):
        raise SettingError(
            f"The folder {user_data() / name} contains texts that --corpus {name} already uses: choose another name."
        )
    if name in user_catalogue() and not replace:
        raise SettingError(f"You already have a corpus {name}: choose another name, or use --replace.")


def add_to_user_catalogue(
    name: str,
    files: Sequence[str],
    reading_settings: ReadingSettings,
    tokenizer: str,
    description: Description,
    *,
    replace: bool = False,
) -> CatalogueEntry:
    """Add an entry for a corpus to the user's catalogue and return it. The rest of the catalogue stays unchanged.

    Read the files first with `read_through`. `reading_settings` has no `auto` for the kind of passage and the line
    breaks. An entry that is replaced completes the description; its note stays if it has the same files.

    Raise SettingError if the name is not valid or already taken.
    """
    path = user_catalogue_path()
    make_folder(path.parent)
    with _locked(path):
        check_new_name(name, replace=replace)
        before = user_catalogue().get(name)
        given = description.to_mapping().items()
        description = Description(
            **{key: getattr(before, key, None) if value is None else value for key, value in given}
        )
        paths = [_path_in_catalogue(path, file) for file in files]
        table = _table(name, paths, reading_settings, tokenizer, description)
        if before is not None and before.note and _are_the_same(before.all_files, paths, before.folder):
            table["note"] = before.note
        with as_storage_error(path):
            content = path.read_bytes().decode("utf-8-sig") if path.exists() else _HEADER
        write_atomically(Path(os.path.realpath(path)), _with_entry(content, name, table).encode())
    return user_catalogue()[name]


def _table(
    name: str, files: Sequence[str], reading_settings: ReadingSettings, tokenizer: str, description: Description
) -> dict[str, object]:
    switches = [each for each in ("keep_boilerplate", "fold_width", "drop_latin") if getattr(reading_settings, each)]
    return {
        "title": description.title or name,
        "files": list(files),
        "language": description.language or "",
        "tokenizer": tokenizer,
        "passage": reading_settings.passage,
        "line_breaks": reading_settings.line_breaks,
        **({} if reading_settings.encoding == "auto" else {"encoding": reading_settings.encoding}),
        **dict.fromkeys(switches, True),
        "licence": description.licence or "",
        "source": description.source or "",
    }


def _path_in_catalogue(catalogue: Path, file: str) -> str:
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


def _are_the_same(files: Sequence[str], others: Sequence[str], folder: Path) -> bool:
    """Return whether two lists, with paths relative to a folder, name the same files, however they are written."""
    resolved, others_resolved = ({os.path.realpath(folder / file) for file in each} for each in (files, others))
    return resolved == others_resolved


def _with_entry(content: str, name: str, table: Mapping[str, object]) -> str:
    """Return the text of a catalogue with an entry added, or replaced if the name exists. No other entry changes."""
    import tomlkit

    document = tomlkit.parse(content)
    if name in document:
        entry = cast("Table", document[name])
        for key in [key for key in entry if key not in table]:
            del entry[key]
        entry.update(table)
        return tomlkit.dumps(document)
    new = tomlkit.document()
    new[name] = dict(table)
    return f"{content.rstrip()}\n\n{tomlkit.dumps(new)}"


def _locked(path: Path) -> AbstractContextManager[object]:
    """Return the lock of a file, acquired, so that no process overwrites what another has just written."""
    from filelock import FileLock

    with as_storage_error(path):
        return FileLock(path.with_name(f".{path.name}.lock")).acquire()
