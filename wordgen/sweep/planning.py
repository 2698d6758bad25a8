"""Plans a sweep: reads its file, and plans all its runs before the first one begins.

The file has the settings that all runs share, the settings that differ, and the random seeds. Each run gets its
settings and its plan. If that fails for one of them, a sentence says why.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from math import prod
from pathlib import Path

from wordgen.errors import SettingError, WordgenError, reason_of
from wordgen.evaluation.figures import shown_value
from wordgen.files import read_toml
from wordgen.model.bundle import is_bundle
from wordgen.run.defaults import complete_settings
from wordgen.run.names import LOGS, PALINDROMES, is_run_name, models_folder, run_exists, run_name, shipped_folder
from wordgen.run.settings import NO_RECIPE, NOT_IN_SWEEPS, TrainSettings, chooses_training
from wordgen.run.train import plan_run
from wordgen.training.memory import has_gpu, physical_memory
from wordgen.training.plan import Plan
from wordgen.training.reports import Observer, Observers

_MAX_RUNS = 500
_MAX_SEEDS = 50
_SHARE_OF_MEMORY = 0.8
_KEYS = {"about", "settings", "grid", "networks", "random_seeds"}
_SETTINGS = {each.name for each in fields(TrainSettings)}


@dataclass(frozen=True)
class Network:
    """One of the networks that a sweep compares. It is trained once for each random seed."""

    name: str
    settings: Mapping[str, object]
    """The settings from [grid] or [[networks]]. Networks can differ only in these."""

    @property
    def folder(self) -> str:
        """The name in a form that can be part of the name of a folder."""
        return re.sub(r"[^\w.+]+", "-", re.sub(r"(?<=\d) x (?=\d)", "x", self.name.lower())).strip("-.")


@dataclass(frozen=True)
class Sweep:
    name: str
    about: str
    shared: Mapping[str, object]
    networks: tuple[Network, ...]
    random_seeds: tuple[int, ...]

    @property
    def setting_names(self) -> list[str]:
        """The names of the settings that networks may differ in, in the order of the file."""
        return list(dict.fromkeys(name for network in self.networks for name in network.settings))


def sweep_names() -> list[str]:
    return sorted(path.stem for path in shipped_folder("sweeps").glob("*.toml"))


def find_sweep(name: str) -> Sweep:
    """Return a sweep. A name that ends in .toml is the path of a file; any other is a sweep that comes with wordgen.

    Raises SettingError if there is no sweep of this name, or if its file is not valid.
    """
    is_path = name.endswith(".toml")
    if not is_path and name not in sweep_names():
        raise SettingError(
            f"There is no sweep '{name[:100]}'. There are {', '.join(sweep_names())}. Or give the path of a file that "
            "ends in .toml."
        )
    path = Path(name) if is_path else shipped_folder("sweeps") / f"{name}.toml"
    try:
        return _sweep_of(path.stem, read_toml(path))
    except (OSError, ValueError, SettingError) as error:
        raise SettingError(f"The sweep {path} cannot be read: {reason_of(error)}.") from error


def _sweep_of(name: str, table: Mapping[str, object]) -> Sweep:
    unknown = sorted(table.keys() - _KEYS)
    if unknown:
        raise SettingError(
            f"'{unknown[0][:100]}' is not allowed: there are about, random_seeds, [settings], and [grid] or "
            "[[networks]]"
        )
    if ("grid" in table) == ("networks" in table):
        raise SettingError("it needs either a [grid] of settings or several [[networks]]")
    seeds = _random_seeds(table.get("random_seeds", [1]))
    shared = _checked(_table(table.get("settings", {}), "[settings]"))
    if "grid" in table:
        grid = _grid(table["grid"], shared)
        runs, networks = len(seeds) * prod(map(len, grid.values())), _networks_of_grid(grid)
    else:
        networks = list(_named_networks(table["networks"]))
        runs = len(seeds) * len(networks)
    if runs > _MAX_RUNS:
        raise SettingError(
            f"it has {runs:,} runs, but at most {_MAX_RUNS} are allowed: use fewer values or random seeds"
        )
    networks = tuple(networks)
    _check_names(networks)
    about = table.get("about", "")
    if not isinstance(about, str):
        raise SettingError("about must be text")
    return Sweep(name, about, shared, networks, seeds)


def _random_seeds(given: object) -> tuple[int, ...]:
    given = given if isinstance(given, list) else []
    seeds = tuple(seed for seed in given if type(seed) is int)  # a bool is an int, too
    if not 1 <= len(set(seeds)) == len(given) <= _MAX_SEEDS:
        raise SettingError(
            f"random_seeds must be a list of 1 to {_MAX_SEEDS} different whole numbers, for example [1, 2, 3]"
        )
    return seeds


def _table(given: object, what: str) -> Mapping[str, object]:
    if not isinstance(given, dict):
        raise SettingError(f"{what} must be a table of settings")
    return given


def _checked(given: Mapping[str, object]) -> dict[str, object]:
    """Return the settings of a table, with tuples instead of lists.

    Raises SettingError for names that a sweep cannot have. The values are checked later, with all settings together.
    """
    for name in given:
        if name == "random_seed":
            raise SettingError("random_seed cannot be set: give random_seeds = [1, 2, 3] above the tables instead")
        if name not in _SETTINGS:
            raise SettingError(f"there is no setting '{name[:100]}'; python -m wordgen train --help lists all settings")
        if name in NOT_IN_SWEEPS:
            raise SettingError(f"a sweep cannot set '{name}', because it belongs to a single run or to its devices")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def _grid(given: object, shared: Mapping[str, object]) -> dict[str, list[object]]:
    """Return the values of each setting of a grid."""
    grid: dict[str, list[object]] = {}
    for name, values in _table(given, "[grid]").items():
        if not isinstance(values, list) or not values:
            raise SettingError(f"{name} in [grid] must be a list of values, for example units = [64, 128]")
        if name in shared:
            raise SettingError(f"{name} is in [settings] and in [grid]: remove one of them")
        grid[name] = values
    if not grid:
        raise SettingError("[grid] needs a setting with a list of values, for example units = [64, 128]")
    return grid


def _networks_of_grid(grid: Mapping[str, list[object]]) -> Iterator[Network]:
    """Yield a network for each combination of values. The value of the first setting changes most slowly."""
    differing = [name for name, values in grid.items() if len(values) > 1] or list(grid)
    for values in product(*grid.values()):
        settings = _checked(dict(zip(grid, values, strict=True)))
        yield Network(_short_name({name: settings[name] for name in differing}), settings)


def _short_name(settings: Mapping[str, object]) -> str:
    """Return a short name for a network with these settings: `lstm 2 x 128, learning rate 0.01`."""
    left = dict(settings)
    shape: list[str] = []
    if {"layers", "units"} <= left.keys() and not isinstance(left["units"], tuple):
        shape = [f"{left.pop('layers')} x {left.pop('units')}"]
    words = [_setting_in_words(name.replace("_", " "), value) for name, value in left.items()]
    if words and isinstance(next(iter(left.values())), str):
        return ", ".join([" ".join([words[0], *shape]), *words[1:]])
    return ", ".join([*shape, *words])


def _setting_in_words(name: str, value: object) -> str:
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return value if isinstance(value, str) else f"{name} {shown_value(value)}"


def _named_networks(given: object) -> Iterator[Network]:
    if not isinstance(given, list) or not given:
        raise SettingError("each of [[networks]] must have a name and settings")
    for each in given:
        table = dict(_table(each, "[[networks]]"))
        name = table.pop("name", None)
        if not isinstance(name, str) or not name.strip():
            raise SettingError('each of [[networks]] needs a name, for example name = "1 x 128 LSTM"')
        yield Network(name.strip(), _checked(table))


def _check_names(networks: Sequence[Network]) -> None:
    seen: set[str] = set()
    for network in networks:
        if not is_run_name(network.folder) or len(network.folder) > 80 or not network.name.isprintable():
            raise SettingError(f"'{network.name[:100]}' cannot be the name of a network: use a few letters and digits")
        if network.folder in seen:
            raise SettingError(f"two networks have the name '{network.name}', or a very similar one")
        seen.add(network.folder)


@dataclass(frozen=True)
class PlannedRun:
    """One network with one random seed."""

    name: str
    """The name for `--name` and `--model`: the name of the sweep, a slash, and the name of the run in it."""
    network: Network
    random_seed: int
    settings: TrainSettings
    plan: Plan
    """The plan of the network. Runs with other random seeds share it, so the name in it is not that of this run."""

    @property
    def folder(self) -> Path:
        return models_folder() / self.name

    @property
    def log(self) -> Path:
        return self.folder.parent / LOGS / f"{self.folder.name}.log"


@dataclass(frozen=True)
class PlannedSweep:
    sweep: Sweep
    name: str
    """The name of its folder in saved_models."""
    runs: tuple[PlannedRun, ...]
    """In the order in which they start: all networks with the first random seed, then all with the next."""

    @property
    def folder(self) -> Path:
        return models_folder() / self.name

    def runs_of(self, network: Network) -> list[PlannedRun]:
        return [run for run in self.runs if run.network == network]


def plan_sweep(sweep: Sweep, name: str | None = None, observers: Sequence[Observer] = ()) -> PlannedSweep:
    """Plan all runs of a sweep. `name` replaces the name of the sweep file.

    Missing texts are downloaded and encoded now, so that no two runs do this at the same time. Raises SettingError if
    the name is not allowed or is already used by a run. If a network cannot be planned, the error begins with its name.
    """
    name = run_name(name or sweep.name, "")
    if "/" in name:
        raise SettingError(f"--name cannot be '{name}': the name of a sweep must not contain /.")
    if run_exists(name) or is_bundle(models_folder() / name):
        raise SettingError(f"There is already a run '{name}': give the sweep another --name.")
    if (models_folder() / name / PALINDROMES).exists():
        raise SettingError(f"There is already a study of palindromes '{name}': give the sweep another --name.")
    observer = Observers(observers)
    settings = _all_settings(sweep, observer)
    plans: dict[str, Plan] = {}
    for network in sweep.networks:
        try:
            plans[network.name] = plan_run(settings[network.name], [observer])
        except WordgenError as error:
            raise type(error)(f"{network.name}: {error}") from error
    runs = tuple(
        PlannedRun(
            run_name(f"{name}/{network.folder}-{seed}", ""),
            network,
            seed,
            replace(settings[network.name], random_seed=seed),
            plans[network.name],
        )
        for seed in sweep.random_seeds
        for network in sweep.networks
    )
    return PlannedSweep(sweep, name, runs)


def _all_settings(sweep: Sweep, observer: Observer) -> dict[str, TrainSettings]:
    """Return the settings of each network by its name.

    Networks that do not name a model in `init_from` all begin from the same base, or all from scratch. Missing settings
    are filled in the same way for all. Otherwise the networks would differ in more than what the sweep compares.
    """

    def settings_with(fallbacks: Mapping[str, object]) -> dict[str, TrainSettings]:
        return {network.name: _settings_of(sweep, network, observer, fallbacks) for network in sweep.networks}

    separate_settings = settings_with({})
    bases = {each.init_from for each in separate_settings.values()}
    fallbacks: dict[str, object] = {} if len(bases) == 1 else {"from_scratch": True}
    if bases == {None} or fallbacks:
        if any(chooses_training(each.settings) for each in sweep.networks):
            fallbacks["recipe"] = NO_RECIPE  # or networks that set nothing would differ in all settings of a recipe
        return settings_with(fallbacks)
    return separate_settings


def _settings_of(sweep: Sweep, network: Network, observer: Observer, fallbacks: Mapping[str, object]) -> TrainSettings:
    """Return the settings of one network.

    `fallbacks` has values for settings that neither the network nor the sweep gives. Its `from_scratch` is ignored if
    `init_from` is given.
    """
    given = {**sweep.shared, **network.settings, "random_seed": sweep.random_seeds[0]}
    fallbacks = {name: value for name, value in fallbacks.items() if name != "from_scratch" or "init_from" not in given}
    given = {**fallbacks, **given}
    try:
        if "corpus" not in given:
            raise SettingError("corpus is missing: put it into [settings], [grid] or [[networks]].")
        if given["corpus"] == "-":
            raise SettingError("A sweep cannot read standard input in several processes: put the text into a file.")
        return complete_settings(given, observer.downloading)
    except WordgenError as error:
        raise type(error)(f"{network.name}: {error}") from error


def runs_at_once(runs: int, cores: int, memory: int) -> int:
    """Return how many runs to train at the same time: one for each core if there is enough memory, and 1 with a GPU.

    `memory` is what the largest run needs, in bytes.

    Parallel runs are faster than runs one after another (docs/experiments.md): a small network hardly makes use of two
    cores, and no network does so while it starts or is validated.
    """
    if has_gpu():  # each run would take all memory of every GPU
        return 1
    return max(1, min(cores, runs, int(_SHARE_OF_MEMORY * physical_memory() // memory)))
