"""The catalogue of known texts, read as values: data/corpora.toml, and own.toml in the user's data folder."""

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

from wordgen.corpora.settings import Encoding
from wordgen.errors import CorpusError, SettingError, reason_of
from wordgen.files import read_regular, read_toml
from wordgen.settings import Settings, setting

UnitKind = Literal["line", "paragraph", "document"]
LineBreaks = Literal["joined", "kept"]

NAME = re.compile(r"\w[\w.+-]{0,59}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST_LISTING = 2**24


@dataclass(frozen=True, kw_only=True)
class Download(Settings):
    """A file that is fetched on first use: where from, and what it must be."""

    file: str = setting()
    """The name to keep it under."""
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
    """Many files that are fetched on first use: a table beside the catalogue, read only when they are wanted.

    Its columns are separated by tabs and named in its first line: file, bytes, sha256, and path where the address
    of a file does not end with its name.
    """

    table: str = setting()
    address: str = setting()
    """What the addresses of all files begin with."""
    files: int = setting(at_least=1)
    """How many there are, and how large they are together, so that the table need not be read to tell it."""
    bytes: int = setting(at_least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (_is_web_address(self.address) and self.address.endswith("/")):
            raise SettingError(f"address must begin with https:// or http:// and end with /, not {self.address!r}.")

    def downloads(self, folder: Path) -> tuple[Download, ...]:
        """All files of the table, which lies in a folder; what is wrong with it is told as CorpusError."""
        path, where = folder / self.table, ""
        try:
            text = read_regular(path, _LARGEST_LISTING).decode("utf-8-sig")
            columns, *rows = (line.split("\t") for line in text.splitlines() or [""])
            downloads: list[Download] = []
            for number, row in enumerate(rows, 2):
                where = f"line {number}: "
                downloads.append(self._download(columns, row))
            where = ""
            self._check(downloads)
            return tuple(downloads)
        except (OSError, ValueError, SettingError) as error:
            raise CorpusError(f"The listing {path} cannot be read: {where}{reason_of(error)}.") from error

    def _download(self, columns: list[str], row: list[str]) -> Download:
        if len(row) != len(columns):
            raise SettingError(f"it has {len(row)} columns, and the first line names {len(columns)}.")
        cells: dict[str, Any] = dict(zip(columns, row, strict=True))
        size = cells.get("bytes", "")
        address = self.address + cells.pop("path", cells.get("file", ""))
        return Download.from_mapping({**cells, "bytes": int(size) if size.isdecimal() else size, "address": address})

    def _check(self, downloads: list[Download]) -> None:
        names = Counter(each.file.casefold() for each in downloads)
        twice = [each.file for each in downloads if names[each.file.casefold()] > 1]
        if twice:
            raise SettingError(f"{twice[0]} stands in it twice.")
        found = len(downloads), sum(each.bytes for each in downloads)
        if found != (self.files, self.bytes):
            raise SettingError(
                f"it has {found[0]:,} files of {found[1]:,} bytes, and the catalogue says {self.files:,} "
                f"of {self.bytes:,}."
            )


@dataclass(frozen=True, kw_only=True)
class CatalogueEntry(Settings):
    """One text of the catalogue. A folder of the same name in data/ with .txt files in it goes before `files`."""

    name: str = setting()
    title: str = setting()
    files: tuple[str, ...] = setting(())
    valid_files: tuple[str, ...] = setting(())
    """Where the text was published with splits of its own: the files to validate on, and those to test on."""
    test_files: tuple[str, ...] = setting(())
    language: str = setting()
    tokenizer: str = setting()
    unit: UnitKind | Literal["auto"] = setting()
    """auto, here and for line breaks: each file as it is laid out."""
    line_breaks: LineBreaks | Literal["auto"] = setting()
    encoding: Encoding = setting("auto")
    keep_boilerplate: bool = setting(False)
    fold_width: bool = setting(False)
    licence: str = setting()
    source: str = setting()
    note: str = setting("")
    downloads: tuple[Download, ...] = setting(())
    listing: Listing | None = setting(None)
    """In the place of `files` and `downloads`, where there are many. Those that are not held out are for training."""
    folder: Path = setting(Path())
    """Where the catalogue lies that it stands in: its files are named from there, but for those that are fetched."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.listing is not None and (self.files or self.downloads):
            raise SettingError("its listing names all files: leave out files and downloads.")
        if not self.files and self.listing is None:
            raise SettingError("files must name one file at least.")
        if bool(self.valid_files) != bool(self.test_files):
            raise SettingError("valid_files and test_files go together.")
        held_out = self._held_out
        if len(held_out) < len(self.valid_files) + len(self.test_files) or held_out & {*self.files}:
            raise SettingError("each file is for training, validation or test, and named once.")
        unnamed = {each.file for each in self.downloads} - {*self.files, *held_out}
        if unnamed:
            raise SettingError(f"{min(unnamed)} is fetched, but not among its files.")

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any], folder: Path) -> "CatalogueEntry":
        """The entry that a table of a catalogue in `folder` describes."""
        if not isinstance(table, Mapping):
            raise SettingError(f"it must be a table that begins with [{name}].")
        if not NAME.fullmatch(name):
            raise SettingError("a name has up to 60 letters, digits, dots, dashes and underscores.")
        for key in ("name", "folder"):
            if key in table:
                raise SettingError(f"'{key}' is no setting.")
        if "files" not in table and "listing" not in table:
            raise SettingError("the setting 'files' is missing.")
        if not isinstance(table.get("downloads", []), list):
            raise SettingError(f"downloads must be tables that begin with [[{name}.downloads]].")
        if not isinstance(table.get("listing", {}), Mapping):
            raise SettingError(f"listing must be a table that begins with [{name}.listing].")
        downloads = [Download.from_mapping(each) for each in table.get("downloads", [])]
        listing = Listing.from_mapping(table["listing"]) if "listing" in table else None
        whole = {"name": name, **table, "downloads": downloads, "listing": listing, "folder": folder}
        return cls.from_mapping(whole)

    def opened(self) -> "CatalogueEntry":
        """The same with all files by name, whether or not they stand in a listing."""
        if self.listing is None:
            return self
        downloads = self.listing.downloads(self.folder)
        names = [each.file for each in downloads]
        missing = self._held_out.difference(names)
        if missing:
            raise CorpusError(f"The listing of {self.name} has no {min(missing)}, which is to be held out.")
        files = tuple(name for name in names if name not in self._held_out)
        return replace(self, files=files, downloads=downloads, listing=None)

    @property
    def _held_out(self) -> frozenset[str]:
        return frozenset({*self.valid_files, *self.test_files})

    @property
    def is_fetched(self) -> bool:
        """Whether any of its files come from elsewhere."""
        return bool(self.downloads or self.listing)

    @property
    def download_folder(self) -> Path:
        """Where its files lie that are fetched."""
        return user_data() / "downloads" / self.name

    def path_of(self, file: str) -> Path:
        """Where one of its files lies, or will lie once it is fetched."""
        if file in self._fetched:
            return self.download_folder / file
        return Path(os.path.normpath(self.folder / file))

    @cached_property
    def _fetched(self) -> frozenset[str]:
        return frozenset(each.file for each in self.downloads)


def bundled_data() -> Path:
    """Where the catalogue and the bundled texts lie: beside the code, or inside the installed package."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "data"
    return installed if installed.is_dir() else package.parent / "data"


def user_data() -> Path:
    """Where a user's own texts and all that is made from texts lie: $WORDGEN_DATA, or data/ right here."""
    return Path(os.environ.get("WORDGEN_DATA") or "data")


def own_catalogue_path() -> Path:
    """Not corpora.toml: in a checkout the user's data folder is also that of wordgen's own catalogue."""
    return user_data() / "own.toml"


def catalogue() -> dict[str, CatalogueEntry]:
    """All texts known by name; one of the user's own goes before another of that name."""
    return {**bundled_catalogue(), **own_catalogue()}


@cache
def bundled_catalogue() -> dict[str, CatalogueEntry]:
    return _entries(bundled_data() / "corpora.toml")


def own_catalogue() -> dict[str, CatalogueEntry]:
    path = own_catalogue_path()
    return _entries(path) if os.path.lexists(path) else {}


def _entries(path: Path) -> dict[str, CatalogueEntry]:
    entry = ""
    try:
        entries: dict[str, CatalogueEntry] = {}
        for name, table in read_toml(path).items():
            entry = f"the entry {name}: "
            # `..` after a link leads elsewhere than it says, so the folder is the one the links lead to.
            entries[name] = CatalogueEntry.from_table(name, table, path.parent.resolve())
        return entries
    except (OSError, ValueError, SettingError, TypeError, AttributeError) as error:
        raise CorpusError(f"The catalogue {path} cannot be read: {entry}{reason_of(error)}.") from error


def _is_web_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and address.isascii()
