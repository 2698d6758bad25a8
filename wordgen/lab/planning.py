"""All runs of a sweep, settled before the first begins: each with settings and plan, or one sentence why not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wordgen.bundle import is_bundle
from wordgen.complete_settings import settings_of
from wordgen.errors import SettingError, WordgenError
from wordgen.lab.sweep_file import Network, Sweep
from wordgen.run_names import LOGS, SAVED_MODELS, is_run, run_name
from wordgen.run_settings import NO_RECIPE, TrainSettings, decides
from wordgen.runs import plan_with
from wordgen.training.memory import physical_memory
from wordgen.training.reports import Observer, Plan

_SHARE_OF_MEMORY = 0.8


@dataclass(frozen=True)
class PlannedRun:
    """One network with one random seed."""

    name: str
    """As `--name` and `--model` have it: the sweep's and its own."""
    network: Network
    random_seed: int
    settings: TrainSettings
    plan: Plan
    """That of its network, which all random seeds share but for their name."""

    @property
    def folder(self) -> Path:
        return SAVED_MODELS / self.name

    @property
    def log(self) -> Path:
        return self.folder.parent / LOGS / f"{self.folder.name}.log"


@dataclass(frozen=True)
class PlannedSweep:
    sweep: Sweep
    name: str
    """What its folder in saved_models is called."""
    runs: tuple[PlannedRun, ...]
    """In the order in which they begin: all networks with the first random seed, then with the next."""

    @property
    def folder(self) -> Path:
        return SAVED_MODELS / self.name

    def of(self, network: Network) -> list[PlannedRun]:
        return [run for run in self.runs if run.network == network]


def plan_sweep(
    sweep: Sweep,
    name: str | None = None,
    observers: Sequence[Observer] = (),
) -> PlannedSweep:
    """Settle everything. Texts that are not here yet are fetched now, and cut, so that no two runs do that at once."""
    name = run_name(name or sweep.name, "")
    if "/" in name:
        raise SettingError(f"--name cannot be '{name}': the name of a sweep has no /.")
    if is_run(name) or is_bundle(SAVED_MODELS / name):
        raise SettingError(f"There is a run '{name}' already: give the sweep another --name.")
    settings = _all_settings(sweep, observers)
    plans: dict[str, Plan] = {}
    for network in sweep.networks:
        try:
            plans[network.name] = plan_with(settings[network.name], observers)
        except WordgenError as error:
            raise type(error)(f"{network.name}: {error}") from error
    return PlannedSweep(sweep, name, tuple(_runs(sweep, name, settings, plans)))


def _all_settings(sweep: Sweep, observers: Sequence[Observer]) -> dict[str, TrainSettings]:
    """By network: all begin alike and are completed alike, or more would be compared than what they differ in."""

    def settings_with(more: Mapping[str, Any]) -> dict[str, TrainSettings]:
        return {network.name: _settings(sweep, network, observers, more) for network in sweep.networks}

    by_themselves = settings_with({})
    bases = {each.init_from for each in by_themselves.values()}
    more: dict[str, Any] = {} if len(bases) == 1 else {"from_scratch": True}
    if bases == {None} or more:
        if any(decides(each.settings) for each in sweep.networks):
            more["recipe"] = NO_RECIPE  # those that say nothing would differ in all that a recipe has
        return settings_with(more)
    return by_themselves


def _settings(sweep: Sweep, network: Network, observers: Sequence[Observer], more: Mapping[str, Any]) -> TrainSettings:
    """Of one network; `more` holds where it says nothing: not to begin from scratch where it names a model."""
    given = {**sweep.shared, **network.settings, "random_seed": sweep.random_seeds[0]}
    more = {name: value for name, value in more.items() if name != "from_scratch" or "init_from" not in given}
    given = {**more, **given}

    def fetching(file: str, done: int, total: int) -> None:
        for observer in observers:
            observer.downloading(file, done, total)

    try:
        if "corpus" not in given:
            raise SettingError("corpus is missing: put it into [settings], [grid] or [[networks]].")
        if given["corpus"] == "-":
            raise SettingError("Standard input comes to one process alone: put the text into a file.")
        return settings_of(given, fetching)
    except WordgenError as error:
        raise type(error)(f"{network.name}: {error}") from error


def _runs(sweep: Sweep, name: str, settings: dict[str, TrainSettings], plans: dict[str, Plan]) -> "list[PlannedRun]":
    runs: list[PlannedRun] = []
    for seed in sweep.random_seeds:
        for network in sweep.networks:
            called = run_name(f"{name}/{network.folder}-{seed}", "")
            own = replace(settings[network.name], random_seed=seed)
            runs.append(PlannedRun(called, network, seed, own, plans[network.name]))
    return runs


def room_for(runs: Sequence[PlannedRun], cores: int) -> int:
    """How many runs at once: one a core, as far as the memory goes.

    A small network hardly uses two cores, and starting up and validating none does: side by side is faster than
    one after another (docs/experiments.md).
    """
    if any(Path("/dev").glob("nvidia[0-9]*")):  # each run would take all of every GPU
        return 1
    largest = max(run.plan.memory.all for run in runs)
    return max(1, min(cores, len(runs), int(_SHARE_OF_MEMORY * physical_memory() // largest)))
