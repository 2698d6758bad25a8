"""All settings of a run: put together from groups, from a recipe, or for a run that goes on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from wordgen.architecture import NetworkSettings
from wordgen.corpora.corpus import CorpusSettings, ReadingSettings
from wordgen.corpora.fetching import Fetching
from wordgen.corpora.finding import open_corpus
from wordgen.errors import SettingError
from wordgen.recipes import AUTO, NO_RECIPE, find_recipe, recipe_for
from wordgen.run_folder import find_base
from wordgen.settings import Settings, flag_name, setting
from wordgen.text.settings import TextSettings
from wordgen.training.settings import DeviceSettings, TrainingSettings


@dataclass(frozen=True, kw_only=True)
class RunSettings(Settings):
    recipe: str | None = setting(
        None,
        help="begin with settings that go well together: the name of a file in recipes/, a file of your own that "
        "ends in .toml, auto, which goes by the text, or none; flags given beside it win, and another --optimizer has "
        "its own learning rate; by default auto, but none where a flag of the network or of learning is given",
    )
    name: str | None = setting(None, help="what to call the run in saved_models/; by default the corpus and the time")
    overwrite: bool = setting(False, help="replace a run of the same name, once the new one has a model")


@dataclass(frozen=True, kw_only=True)
class TrainSettings(RunSettings, DeviceSettings, TrainingSettings, NetworkSettings, TextSettings, CorpusSettings):
    """Every setting of a training run, flat; each belongs to one of the groups above."""


def settings_of(given: Mapping[str, Any], fetching: Fetching = lambda file, done, total: None) -> TrainSettings:
    """All settings of a run: those given by name, else the recipe's, else the defaults.

    Where no recipe is given, `auto` is taken by itself, unless what is given decides about the network or the learning.
    """
    given = {name: _one_as_itself(_as_setting(value)) for name, value in given.items()}
    _check_types(given)
    of_recipe = _of_recipe(given, fetching)
    return TrainSettings(**{**of_recipe, **given, "recipe": of_recipe.get("recipe"), **_of_base(given)})


def _of_base(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that the base decides, where there is one; a given one that contradicts is refused."""
    if given.get("init_from") is None:
        return {}
    base = find_base(given["init_from"])
    decided = base.settings()
    if given.get("name") == base.name:
        raise SettingError(
            f"The run cannot replace the model that it begins from: take another --name than {base.name}."
        )
    for name, value in decided.items():
        wanted = given.get(name, value)
        if name == "units" and isinstance(wanted, int):
            wanted = (wanted,) * base.architecture.layers
            value = base.architecture.widths
        if wanted != value and (name, wanted) not in (("tokenizer", "auto"), ("embedding", None)):
            raise SettingError(
                f"{flag_name(name)} {_in_one(given[name])} contradicts the model that --init-from begins with: "
                f"{base.name} has {_in_one(decided[name])}. Leave one of the two out."
            )
    return {**decided, "init_from": base.name}


def _of_recipe(given: Mapping[str, Any], fetching: Fetching) -> dict[str, Any]:
    """The settings of the recipe that is given, or else taken by itself."""
    name = given.get("recipe")
    if name is None:
        name = AUTO if "corpus" in given and not decides(given) else NO_RECIPE
    if name == NO_RECIPE:
        return {}
    if name == AUTO:
        how = {each.name: given[each.name] for each in fields(ReadingSettings) if each.name in given}
        if "corpus" not in given:
            raise SettingError("--recipe auto goes by the size of the text: give a --corpus.")
        text_bytes = open_corpus(given["corpus"], ReadingSettings(**how), fetching).text_bytes
        name = recipe_for(text_bytes, given.get("tokenizer"))
    recipe = find_recipe(name)
    unknown = recipe.settings.keys() - _OF_A_RECIPE
    if unknown:
        raise SettingError(f"The recipe {name} has a setting '{sorted(unknown)[0]}', which recipes cannot have.")
    taken = dict(recipe.settings)
    if given.get("optimizer") not in (None, taken.get("optimizer", TrainSettings.optimizer)):
        taken.pop("learning_rate", None)  # that of another optimizer: 40 is right for sgd, and the end of adam
    return {**taken, "recipe": name}


def decides(given: Iterable[str]) -> bool:
    """Whether some of these settings are of the network or of learning: then no recipe is taken by itself."""
    return any(name in _DECIDING for name in given)


def _as_setting(value: Any) -> Any:
    """Paths are texts in settings, and lists are tuples; a caller may give both."""
    if isinstance(value, list | tuple):
        return tuple(map(_as_setting, value))
    return str(value) if isinstance(value, Path) else value


def _one_as_itself(value: Any) -> Any:
    """A list of one text or number is that one: as the command line has it, so a run is the same either way."""
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def _check_types(given: Mapping[str, Any]) -> None:
    """Of what is looked at before all settings are put together."""
    for name in ("recipe", "corpus", "init_from"):
        value = given.get(name)
        texts = value if isinstance(value, tuple) and name == "corpus" else (value,)
        if not all(isinstance(each, str | None) for each in texts):
            raise SettingError(f"{flag_name(name)} must be text, not {value!r}.")


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
    return {name: value if isinstance(value, bool | int | float) else _in_one(value) for name, value in told.items()}


def _in_one(value: Any) -> str:
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
_DECIDING -= _HOW_LONG_AND_WHAT_IS_KEPT

_OF_A_RECIPE = {
    each.name for group in (TrainingSettings, NetworkSettings, TextSettings, ReadingSettings) for each in fields(group)
}


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
