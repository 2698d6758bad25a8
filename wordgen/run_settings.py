"""The settings of a run as groups, which of them decide what it learns, and what of them may change when it goes on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from wordgen.architecture import NetworkSettings
from wordgen.corpora.settings import CorpusSettings
from wordgen.errors import SettingError
from wordgen.settings import Settings, flag_name, setting
from wordgen.text.settings import TextSettings
from wordgen.training.settings import DeviceSettings, TrainingSettings

AUTO, NO_RECIPE = "auto", "none"
"""Recipes that are no files."""
HEAD_START = "head-start"
"""The recipe of a run that begins from another model, where none is asked for."""


@dataclass(frozen=True, kw_only=True)
class RunSettings(Settings):
    recipe: str | None = setting(
        None,
        help="begin with settings that go well together: the name of a file in recipes/, a file of your own that "
        "ends in .toml, auto, which goes by the text, or none; flags given beside it win, and another --optimizer has "
        "its own learning rate; by default head-start for a run that begins from another model, else auto, but none "
        "where a flag of the network or of learning is given",
    )
    name: str | None = setting(None, help="what to call the run in saved_models/; by default the corpus and the time")
    overwrite: bool = setting(False, help="replace a run of the same name, once the new one has a model")


@dataclass(frozen=True, kw_only=True)
class TrainSettings(RunSettings, DeviceSettings, TrainingSettings, NetworkSettings, TextSettings, CorpusSettings):
    """Every setting of a training run, flat; each belongs to one of the groups above."""


def decides(given: Iterable[str]) -> bool:
    """Whether some of these settings are of the network or of learning: then no recipe is taken by itself."""
    return any(name in _DECIDING for name in given)


def is_of_one_run(name: str) -> bool:
    """Whether a setting is about what a run is called and where it is done, and not about what is learned."""
    return name in _OF_ONE_RUN


_COMPARED = (
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
    """What runs are compared by: the settings that matter most, and those that are not what they are by default."""
    usual = {each.name: each.default for each in fields(settings)}
    values = {**settings.to_mapping(), "learning_rate": settings.first_learning_rate}
    told = {
        name: value
        for name, value in values.items()
        if name in _COMPARED or (value != usual[name] and name not in _OF_ONE_RUN)
    }
    return {name: value if isinstance(value, bool | int | float) else in_words(value) for name, value in told.items()}


def in_words(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


_OF_ONE_RUN = {"name", "overwrite", "histograms", "checkpoint_every", *(each.name for each in fields(DeviceSettings))}

_HOW_LONG_AND_WHAT_IS_KEPT = {
    "checkpoint_every",
    "copy_index",
    "epochs",
    "histograms",
    "patience",
    "precision",
    "random_seed",
    "time_budget",
}
"""Settings of learning that go with any recipe."""
_DECIDING = {each.name for group in (NetworkSettings, TrainingSettings) for each in fields(group)}
_DECIDING -= _HOW_LONG_AND_WHAT_IS_KEPT | {"init_from", "from_scratch"}

OF_THE_DEVICES = frozenset(each.name for each in fields(DeviceSettings))
_MAY_CHANGE = {"epochs", "checkpoint_every", *OF_THE_DEVICES}


def resumed_settings(run: str, began: TrainSettings, changes: Mapping[str, Any]) -> TrainSettings:
    auto = (("precision", "auto"), ("recipe", AUTO))  # what they chose at the beginning stays
    if began.recipe is None:
        auto = (*auto, ("recipe", NO_RECIPE))
    changes = {name: value for name, value in changes.items() if (name, value) not in auto}
    different = {
        name: value for name, value in changes.items() if value != getattr(began, name) and name not in _MAY_CHANGE
    }
    if different:
        shown = ", ".join(f"{flag_name(name)} {getattr(began, name)} and not {different[name]}" for name in different)
        raise SettingError(f"The run {run} was begun with {shown}: leave that out to resume it, or train anew.")
    epochs = changes.get("epochs", began.epochs)
    if epochs < began.epochs:
        raise SettingError(f"The run {run} is to have {began.epochs} epochs: --epochs may grow, but not shrink.")
    if epochs > began.epochs and began.time_budget is not None:
        raise SettingError(
            f"The run {run} has a time budget of {began.time_budget}, and its steps are settled: "
            "leave out --epochs to resume it, or train anew."
        )
    here = {name: changes[name] for name in changes.keys() & _MAY_CHANGE}
    return replace(began, **{**DeviceSettings().to_mapping(), **here})
