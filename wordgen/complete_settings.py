"""All settings of a run from those that were given: completed by a recipe, by the model that it begins from, or by
the defaults."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from wordgen.architecture import NetworkSettings
from wordgen.corpora.fetching import Fetching
from wordgen.corpora.finding import open_corpus
from wordgen.corpora.settings import ReadingSettings
from wordgen.errors import SettingError
from wordgen.recipes import find_recipe, recipe_for
from wordgen.run_folder import find_base
from wordgen.run_settings import AUTO, NO_RECIPE, TrainSettings, decides, in_words
from wordgen.settings import flag_name
from wordgen.text.settings import TextSettings
from wordgen.training.settings import TrainingSettings

_OF_A_RECIPE = {
    each.name for group in (TrainingSettings, NetworkSettings, TextSettings, ReadingSettings) for each in fields(group)
}


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
                f"{flag_name(name)} {in_words(given[name])} contradicts the model that --init-from begins with: "
                f"{base.name} has {in_words(decided[name])}. Leave one of the two out."
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
