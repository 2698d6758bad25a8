"""All texts that can be called by name, and whether each is here."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wordgen.corpora.catalogue import CatalogueEntry, bundled_catalogue, own_catalogue, user_data
from wordgen.corpora.fetching import PART
from wordgen.corpora.finding import texts_in

Whereabouts = Literal["bundled", "yours", "downloaded", "on first use", "missing"]

KEPT_FOLDERS = ("downloads", "encoded", "standard-input")
"""What wordgen itself keeps in the user's data folder."""


@dataclass(frozen=True)
class KnownText:
    name: str
    title: str
    language: str
    licence: str
    bytes: int
    """How large its files are, or will be."""
    whereabouts: Whereabouts


def known_texts() -> list[KnownText]:
    """Those of wordgen's catalogue, of the user's own, and folders of texts in data/."""
    bundled, own = bundled_catalogue(), own_catalogue()
    texts = [_known(entry, "bundled") for name, entry in bundled.items() if name not in own]
    texts += [_known(entry, "yours") for entry in own.values()]
    return texts + list(_folders_without_entry({*bundled, *own}))


def _known(entry: CatalogueEntry, lies: Whereabouts) -> KnownText:
    files = texts_in(user_data() / entry.name)  # as --corpus does
    if files:
        return _text(entry, _size(files), "yours")
    if entry.listing is not None:
        all_here = _fetched(entry.download_folder) >= entry.listing.files
        return _text(entry, entry.listing.bytes, "downloaded" if all_here else "on first use")
    paths = [entry.path_of(file) for file in (*entry.files, *entry.valid_files, *entry.test_files)]
    gone = [path for path in paths if not path.exists()]
    if not gone:
        return _text(entry, _size(paths), "downloaded" if entry.downloads else lies)
    coming = {entry.path_of(each.file): each.bytes for each in entry.downloads}
    if not set(gone) <= coming.keys():
        return _text(entry, _size(paths), "missing")
    return _text(entry, sum(coming.values()) + _size(set(paths) - coming.keys()), "on first use")


def _fetched(folder: Path) -> int:
    """How many files are here whole, of many."""
    names = os.listdir(folder) if folder.is_dir() else []
    return sum(name[0] != "." and not name.endswith(PART) for name in names)


def _text(entry: CatalogueEntry, size: int, whereabouts: Whereabouts) -> KnownText:
    return KnownText(entry.name, entry.title, entry.language, entry.licence, size, whereabouts)


def _folders_without_entry(names: set[str]) -> Iterator[KnownText]:
    """A folder data/NAME/ with texts in it is a corpus of that name, too."""
    folders = sorted(user_data().iterdir()) if user_data().is_dir() else []
    for folder in folders:
        if folder.is_dir() and folder.name not in {*names, *KEPT_FOLDERS} and not folder.name.startswith("."):
            files = texts_in(folder)
            if files:
                yield KnownText(folder.name, f"the texts in {folder}", "", "", _size(files), "yours")


def _size(paths: Iterable[Path]) -> int:
    """Of files, and of the texts in folders."""
    files = [file for path in paths for file in (texts_in(path) if path.is_dir() else [path])]
    return sum(file.stat().st_size for file in files if file.is_file())
