"""Recipes: settings that go well together, each with what it reached, as files in recipes/."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from wordgen.corpora.catalogue import bundled_data
from wordgen.errors import SettingError, reason_of
from wordgen.files import read_toml, shown_size
from wordgen.run_settings import AUTO, NO_RECIPE
from wordgen.settings import Settings, setting

_OF_LETTERS = "char-rnn"
_BY_SIZE = ((100_000, "short", "of up to 100 kB"), (3_000_000, "book", "from 100 kB to 3 MB"))
"""Up to so many bytes of text, that recipe; beyond, the one for large texts."""
_LARGE = ("small", "over 3 MB")


@dataclass(frozen=True, kw_only=True)
class Result(Settings):
    """What a recipe reached on a text, once."""

    corpus: str = setting()
    command: str = setting()
    date: str = setting()
    commit: str = setting()
    minutes: float = setting(above=0)
    epoch: int = setting(at_least=1)
    valid_perplexity: float = setting(above=1)
    test_perplexity: float = setting(above=1)
    ngram_test_perplexity: float = setting(above=1)
    """What n-grams have on the same test part: 5-grams, or 7-grams of characters."""

    def __post_init__(self) -> None:
        super().__post_init__()
        date.fromisoformat(self.date)


@dataclass(frozen=True)
class Recipe:
    name: str
    about: str
    """What it is for, in a sentence."""
    settings: Mapping[str, Any]
    results: tuple[Result, ...]


def recipe_names() -> list[str]:
    return sorted(path.stem for path in shipped_folder("recipes").glob("*.toml"))


def find_recipe(name: str) -> Recipe:
    """One of wordgen's own by its name, or a file of the user's that ends in .toml."""
    path = Path(name) if name.endswith(".toml") else shipped_folder("recipes") / f"{name}.toml"
    if not name.endswith(".toml") and name not in recipe_names():
        raise SettingError(
            f"There is no recipe '{name[:100]}'. There are {AUTO}, {NO_RECIPE}, {', '.join(recipe_names())}; or give a "
            "file that ends in .toml."
        )
    try:
        table = read_toml(path)
        unknown = table.keys() - {"about", "settings", "results"}
        if unknown:
            raise SettingError(f"it has about, [settings] and [[results]], and no {sorted(unknown)[0]}")
        results = tuple(Result.from_mapping(each) for each in table.get("results", []))
        settings = {key: tuple(v) if isinstance(v, list) else v for key, v in dict(table["settings"]).items()}
        return Recipe(path.stem, str(table["about"]), settings, results)
    except KeyError as error:
        raise SettingError(f"The recipe {path} cannot be read: {error} is missing.") from error
    except (OSError, ValueError, TypeError, AttributeError, SettingError) as error:
        raise SettingError(f"The recipe {path} cannot be read: {reason_of(error)}.") from error


def recipe_for(size: int, tokenizer: str | None = None) -> str:
    """The name of the one that goes well with so many bytes of text, and with letters where those are asked for."""
    return _OF_LETTERS if tokenizer == "characters" else _choice(size)[0]


def recipe_in_words(name: str, size: int) -> str:
    """Which it is and what for; and why, where it is the one that auto takes for so many bytes of text."""
    told = f"{name}: {find_recipe(name).about}"
    if name == _OF_LETTERS:
        return f"{told} It is what auto takes where --tokenizer is characters."
    chosen, which = _choice(size)
    why = f" It is what auto takes for texts {which}, and this one has {shown_size(size)}."
    return told + why if chosen == name else told


def _choice(size: int) -> tuple[str, str]:
    """Its name, and of which texts it is."""
    return next(((name, which) for most, name, which in _BY_SIZE if size <= most), _LARGE)


def shipped_folder(name: str) -> Path:
    """Where files of wordgen's own lie: beside the code, or inside the installed package."""
    data = bundled_data()
    return data / name if (data / name).is_dir() else data.parent / name
