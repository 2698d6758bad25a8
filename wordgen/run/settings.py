"""All settings of a training run, and the sets of them that are used to compare, resume and share runs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from wordgen.corpus.settings import CorpusSettings
from wordgen.errors import SettingError
from wordgen.evaluation.figures import shown_value
from wordgen.model.architecture import NetworkSettings
from wordgen.settings import Scope, Settings, flag_name, setting
from wordgen.text.settings import TextSettings
from wordgen.training.settings import DeviceSettings, TrainingSettings

AUTO, NO_RECIPE = "auto", "none"
"""Values of `recipe` that are not the name of a file."""
HEAD_START = "head-start"
"""The default recipe of a run that begins from another model."""


@dataclass(frozen=True, kw_only=True)
class RunSettings(Settings):
    recipe: str | None = setting(
        None,
        help="settings that work well together: the name of a recipe that comes with wordgen, a file of your own that "
        "ends in .toml, auto (chosen by the text) or none. Other flags have priority over the recipe. With another "
        "--optimizer, its learning rate and rho are not used; with another --schedule, its decay and decay after. By "
        "default head-start for a run that begins from another model; for other runs auto, or none if a flag of the "
        "network or the training is given",
        scope="learning",
        keeps_recipe=True,
    )
    name: str | None = setting(
        None, help="the name of the run in saved_models/; by default the corpus and the time", scope="run"
    )
    overwrite: bool = setting(
        False, help="replace a run of the same name as soon as the new run has a model", scope="run"
    )


@dataclass(frozen=True, kw_only=True)
class TrainSettings(RunSettings, DeviceSettings, TrainingSettings, NetworkSettings, TextSettings, CorpusSettings):
    """Every setting of a training run in one flat class. Each setting belongs to one of the base classes."""


def names_of(*scopes: Scope) -> frozenset[str]:
    """Return the names of the settings that have one of these scopes."""
    return frozenset(each.name for each in fields(TrainSettings) if each.metadata["scope"] in scopes)


RUN_SPECIFIC_SETTINGS = names_of("run", "device", "display")
"""Settings that do not change what is trained: the name of the run, its devices and what it displays."""
NOT_IN_SWEEPS = names_of("run", "device")
SHARED_BY_WORKERS = names_of("text", "network", "learning", "display") - {"corpus", "precision"}
"""Settings that must be equal on all workers.

The path of the corpus may differ between the workers, and they choose the precision together.
"""
_MAY_CHANGE = names_of("device", "display") | {"epochs"}
_NETWORK_AND_TRAINING = names_of("network", "learning") - {
    each.name for each in fields(TrainSettings) if each.metadata["keeps_recipe"]
}


def chooses_training(given: Iterable[str]) -> bool:
    """Return whether one of these settings chooses a network or a way to train.

    If one does, a run that begins from no other model uses no recipe by default.
    """
    return any(name in _NETWORK_AND_TRAINING for name in given)


_ALWAYS_COMPARED = (
    "corpus",
    "cell",
    "layers",
    "units",
    "seq_len",
    "batch_size",
    "optimizer",
    "learning_rate",
    "dropout",
    "random_seed",
)


def compared_settings(settings: TrainSettings) -> dict[str, bool | int | float | str]:
    """Return the settings by which TensorBoard compares runs.

    These are the most important settings, and all others that differ from their defaults and are not in
    RUN_SPECIFIC_SETTINGS. Values that are neither numbers nor booleans become strings.
    """
    shown = {each.name for each in settings.non_default_fields()} - RUN_SPECIFIC_SETTINGS | {*_ALWAYS_COMPARED}
    values = {**settings.to_mapping(), "learning_rate": settings.first_learning_rate}
    return {
        name: value if isinstance(value, bool | int | float) else shown_value(value)
        for name, value in values.items()
        if name in shown
    }


def as_flag(name: str, value: object) -> str:
    """Return a setting with its value as the user types it: `--units 64 32`, `--no-tied`."""
    if value is None:
        return f"the default of {flag_name(name)}"
    if isinstance(value, bool):
        return flag_name(name if value else f"no_{name}")
    return f"{flag_name(name)} {shown_value(value)}"


def resumed_settings(run: str, original: TrainSettings, changes: Mapping[str, Any]) -> TrainSettings:
    """Return the settings with which a run continues: those it began with, and the changes.

    Only the number of epochs (it may only grow) and settings of the device and the display may change. Raise a
    SettingError for any other change, and for more epochs if the run has a time budget. Device settings that are not
    given return to their defaults.
    """
    auto = (("precision", "auto"), ("recipe", AUTO))  # these change nothing: the first choice stays
    if original.recipe is None:
        auto = (*auto, ("recipe", NO_RECIPE))
    changes = {name: value for name, value in changes.items() if (name, value) not in auto}
    different = {
        name: value for name, value in changes.items() if value != getattr(original, name) and name not in _MAY_CHANGE
    }
    if different:
        shown = ", ".join(
            f"{as_flag(name, getattr(original, name))}, not {as_flag(name, value)}" for name, value in different.items()
        )
        raise SettingError(f"The run {run} began with {shown}: leave this out to resume the run, or train a new run.")
    epochs = changes.get("epochs", original.epochs)
    if epochs < original.epochs:
        raise SettingError(f"The run {run} began with --epochs {original.epochs}: give this number or a larger one.")
    if epochs > original.epochs and original.time_budget is not None:
        raise SettingError(
            f"The run {run} has a time budget of {original.time_budget}, so its number of steps is fixed: "
            "leave out --epochs to resume it, or train a new run."
        )
    allowed = {name: changes[name] for name in changes.keys() & _MAY_CHANGE}
    return replace(original, **{**DeviceSettings().to_mapping(), **allowed})
