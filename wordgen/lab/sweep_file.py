"""A sweep as a file: settings that all runs share, those that differ, and the random seeds."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

from wordgen.errors import SettingError, reason_of
from wordgen.files import read_toml
from wordgen.recipes import shipped_folder
from wordgen.run_names import is_run_name
from wordgen.run_settings import OF_THE_DEVICES, TrainSettings

MOST_RUNS = 500
_MOST_SEEDS = 50
_KEYS = {"about", "settings", "grid", "networks", "random_seeds"}
_SETTINGS = {each.name for each in fields(TrainSettings)}


@dataclass(frozen=True)
class Network:
    """One of those that are compared; it is trained once for each random seed."""

    name: str
    settings: Mapping[str, Any]
    """In which it differs from the others, or may."""

    @property
    def folder(self) -> str:
        """Its name as a part of one of a folder."""
        return re.sub(r"[^\w.+]+", "-", re.sub(r"(?<=\d) x (?=\d)", "x", self.name.lower())).strip("-.")


@dataclass(frozen=True)
class Sweep:
    name: str
    about: str
    shared: Mapping[str, Any]
    networks: tuple[Network, ...]
    random_seeds: tuple[int, ...]

    @property
    def named(self) -> list[str]:
        """The settings that networks may differ in, in the order in which they are first named."""
        return list(dict.fromkeys(name for network in self.networks for name in network.settings))


def sweep_names() -> list[str]:
    return sorted(path.stem for path in shipped_folder("sweeps").glob("*.toml"))


def find_sweep(name: str) -> Sweep:
    """One of wordgen's own by its name, or a file of the user's that ends in .toml."""
    own = name.endswith(".toml")
    if not own and name not in sweep_names():
        raise SettingError(
            f"There is no sweep '{name[:100]}'. There are {', '.join(sweep_names())}; or give a file that ends in "
            ".toml."
        )
    path = Path(name) if own else shipped_folder("sweeps") / f"{name}.toml"
    try:
        return _sweep_of(path.stem, read_toml(path))
    except (OSError, ValueError, SettingError) as error:
        raise SettingError(f"The sweep {path} cannot be read: {reason_of(error)}.") from error


def _sweep_of(name: str, table: Mapping[str, Any]) -> Sweep:
    unknown = sorted(table.keys() - _KEYS)
    if unknown:
        raise SettingError(
            f"it has about, random_seeds, [settings], and [grid] or [[networks]], and no {unknown[0][:100]}"
        )
    if ("grid" in table) == ("networks" in table):
        raise SettingError("it needs either a [grid] of settings or several [[networks]]")
    seeds = _random_seeds(table.get("random_seeds", [1]))
    shared = _settings(_table(table.get("settings", {}), "[settings]"))
    networks = tuple(_in_grid(table["grid"], len(seeds)) if "grid" in table else _named(table["networks"]))
    if len(networks) * len(seeds) > MOST_RUNS:
        raise _too_many(len(networks) * len(seeds))
    _check_names(networks)
    for network in networks:
        both = sorted(shared.keys() & network.settings.keys())
        if both and "grid" in table:
            raise SettingError(f"{both[0]} stands in [settings] and in [grid]: leave one out")
    about = table.get("about", "")
    if not isinstance(about, str):
        raise SettingError("about must be text")
    return Sweep(name, about, shared, networks, seeds)


def _random_seeds(given: object) -> tuple[int, ...]:
    whole = isinstance(given, list) and all(isinstance(seed, int) and not isinstance(seed, bool) for seed in given)
    if not whole or not 1 <= len(given) <= _MOST_SEEDS or len(set(given)) < len(given):  # pyright: ignore[reportArgumentType]
        raise SettingError(f"random_seeds must be a list of 1 to {_MOST_SEEDS} different whole numbers, as [1, 2, 3]")
    return tuple(given)  # pyright: ignore[reportArgumentType]


def _table(given: object, what: str) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise SettingError(f"{what} must be a table of settings")
    return given


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """With lists as settings have them; whether the values are right is seen when all are put together."""
    for name in given:
        if name == "random_seed":
            raise SettingError("random_seed is not set here: give random_seeds = [1, 2, 3], outside of the tables")
        if name not in _SETTINGS:
            raise SettingError(f"there is no setting '{name[:100]}'; python -m wordgen train --help has them all")
        if name in {"name", "overwrite", *OF_THE_DEVICES}:
            raise SettingError(f"'{name}' is about one run alone, and cannot stand in a sweep")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def _in_grid(given: object, seeds: int) -> Iterator[Network]:
    """All combinations; those of the first setting lie furthest apart."""
    grid = _table(given, "[grid]")
    if not grid:
        raise SettingError("[grid] needs a setting with a list of values, as units = [64, 128]")
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise SettingError(f"{name} in [grid] must be a list of values, as units = [64, 128]")
    runs = seeds
    for values in grid.values():
        runs *= len(values)
    if runs > MOST_RUNS:
        raise _too_many(runs)
    told = [name for name, values in grid.items() if len(values) > 1] or list(grid)
    for values in product(*grid.values()):
        settings = _settings(dict(zip(grid, values, strict=True)))
        yield Network(_in_words({name: settings[name] for name in told}), settings)


def _in_words(settings: Mapping[str, Any]) -> str:
    """What differs, as short as it can be understood: `lstm 2 x 128, learning rate 0.01`."""
    left = dict(settings)
    words: list[str] = []
    shape = ""
    if {"layers", "units"} <= left.keys() and not isinstance(left["units"], tuple):
        shape = f"{left.pop('layers')} x {left.pop('units')}"
    for name, value in left.items():
        if isinstance(value, bool):
            words.append(name.replace("_", " ") if value else f"no {name.replace('_', ' ')}")
        elif isinstance(value, str):
            words.append(value)
        else:
            shown = " ".join(map(str, value)) if isinstance(value, tuple) else f"{value}"
            words.append(f"{name.replace('_', ' ')} {shown}")
    if shape and words and isinstance(next(iter(left.values())), str):
        return ", ".join([f"{words[0]} {shape}", *words[1:]])
    return ", ".join([shape, *words] if shape else words)


def _named(given: object) -> Iterator[Network]:
    if not isinstance(given, list) or not given:
        raise SettingError("[[networks]] must each have a name and settings")
    for each in given:
        table = dict(_table(each, "[[networks]]"))
        name = table.pop("name", None)
        if not isinstance(name, str) or not name.strip():
            raise SettingError('each of [[networks]] needs a name, as name = "1 x 128 LSTM"')
        yield Network(name.strip(), _settings(table))


def _check_names(networks: Sequence[Network]) -> None:
    seen: set[str] = set()
    for network in networks:
        if not is_run_name(network.folder) or len(network.folder) > 80 or not network.name.isprintable():
            raise SettingError(f"a network cannot be called '{network.name[:100]}': take a few letters and digits")
        if network.folder in seen:
            raise SettingError(f"two networks are called '{network.name}', or nearly so")
        seen.add(network.folder)


def _too_many(runs: int) -> SettingError:
    return SettingError(f"it would have {runs:,} runs, and {MOST_RUNS} is most: take fewer values or random seeds")
