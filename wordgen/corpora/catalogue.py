"""The catalogue of known texts: data/corpora.toml, read as values."""

import os
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from wordgen.errors import CorpusError, SettingError
from wordgen.settings import Settings, setting

UnitKind = Literal["line", "paragraph", "document"]
LineBreaks = Literal["joined", "kept"]


@dataclass(frozen=True, kw_only=True)
class CatalogueEntry(Settings):
    """One text of the catalogue. A folder of the same name in data/ with .txt files in it goes before `files`."""

    name: str = setting()
    title: str = setting()
    files: tuple[str, ...] = setting()
    language: str = setting()
    tokenizer: str = setting()
    unit: UnitKind = setting()
    line_breaks: LineBreaks = setting()
    licence: str = setting()
    source: str = setting()
    note: str = setting("")


def bundled_data() -> Path:
    """Where the catalogue and the bundled texts lie: beside the code, or inside the installed package."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "data"
    return installed if installed.is_dir() else package.parent / "data"


def user_data() -> Path:
    """Where a user's own texts and all that is made from texts lie: $WORDGEN_DATA, or data/ right here."""
    return Path(os.environ.get("WORDGEN_DATA") or "data")


@cache
def catalogue() -> dict[str, CatalogueEntry]:
    path = bundled_data() / "corpora.toml"
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: CatalogueEntry.from_mapping({"name": name, **table}) for name, table in tables.items()}
    except (OSError, tomllib.TOMLDecodeError, SettingError, TypeError) as error:
        raise CorpusError(f"The catalogue {path} cannot be read: {error}") from error
