"""All settings of a run from those that were given: completed by a recipe, by the model that it begins from, or by
the defaults."""

from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any

from wordgen.architecture import NetworkSettings
from wordgen.base import Base
from wordgen.corpora.corpus import Corpus
from wordgen.corpora.fetching import Fetching
from wordgen.corpora.finding import open_corpus
from wordgen.corpora.settings import ReadingSettings
from wordgen.default_base import as_flag, contradiction, default_base, goes_with_none
from wordgen.errors import SettingError
from wordgen.recipes import find_recipe, recipe_for
from wordgen.run_folder import find_base
from wordgen.run_settings import AUTO, HEAD_START, NO_RECIPE, TrainSettings, decides, in_words
from wordgen.settings import flag_name
from wordgen.text.settings import TextSettings
from wordgen.training.settings import TrainingSettings

_OF_A_RECIPE = {
    each.name for group in (TrainingSettings, NetworkSettings, TextSettings, ReadingSettings) for each in fields(group)
}


def settings_of(given: Mapping[str, Any], fetching: Fetching = lambda file, done, total: None) -> TrainSettings:
    """All settings of a run: those given by name, else the recipe's, else the defaults.

    A run begins from the base that fits, unless it is to begin from another model or from scratch. Where no recipe is
    given, a run that begins from a model takes the one for that, and any other takes `auto`, unless what is given
    decides about the network or the learning.
    """
    given = {name: _one_as_itself(_as_setting(value)) for name, value in given.items()}
    _check_types(given)
    text = _Text(given, fetching)
    named = given.get("recipe")
    of_recipe = {} if named in (None, AUTO, NO_RECIPE) else _of_recipe(named, given)
    base = _base({**of_recipe, **given}, given, text)
    if named in (None, AUTO) and (by_itself := _recipe_by_itself(named, given, base, text)) is not None:
        of_recipe = _of_recipe(by_itself, given)
    decided: dict[str, Any] = {}
    if base is not None:
        of_recipe.pop("from_scratch", None)
        decided = {**base.settings(), "init_from": base.name}
    return TrainSettings(**{**of_recipe, **given, "recipe": of_recipe.get("recipe"), **decided})


class _Text:
    """The corpus that is given, opened once and only where it is asked for."""

    def __init__(self, given: Mapping[str, Any], fetching: Fetching) -> None:
        self._given, self._fetching = given, fetching

    @cached_property
    def corpus(self) -> Corpus:
        how = {each.name: self._given[each.name] for each in fields(ReadingSettings) if each.name in self._given}
        return open_corpus(self._given["corpus"], ReadingSettings(**how), self._fetching)


def _base(wanted: Mapping[str, Any], given: Mapping[str, Any], text: _Text) -> Base | None:
    """The model to begin from: the one that is named, else a base that goes with all that is wanted."""
    if wanted.get("init_from") is not None:
        base = find_base(wanted["init_from"])
        _check(base, given)
        return base
    if "corpus" not in given or wanted.get("from_scratch") or goes_with_none(wanted):
        return None
    return default_base(wanted, text.corpus)[0]


def _check(base: Base, given: Mapping[str, Any]) -> None:
    """Refuse what contradicts the model that is named."""
    if given.get("name") == base.name:
        raise SettingError(
            f"The run cannot replace the model that it begins from: take another --name than {base.name}."
        )
    if (name := contradiction(base, given)) is not None:
        raise SettingError(
            f"{as_flag(name, given[name])} contradicts the model that --init-from begins with: {base.name} has "
            f"{in_words(base.settings()[name])}. Leave one of the two out."
        )


def _recipe_by_itself(named: str | None, given: Mapping[str, Any], base: Base | None, text: _Text) -> str | None:
    """The recipe of a run for which none is named, if it takes one."""
    if base is not None:
        return HEAD_START
    if named is None and ("corpus" not in given or decides(given)):
        return None
    if "corpus" not in given:
        raise SettingError("--recipe auto goes by the size of the text: give a --corpus.")
    return recipe_for(text.corpus.text_bytes, given.get("tokenizer"))


def _of_recipe(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
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
        if name != "corpus" and isinstance(value, str):
            _check_utf8(name, value)


def _check_utf8(name: str, value: str) -> None:
    """A name that is written into files of the run must be one that can be."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise SettingError(
            f"{flag_name(name)} must be a name in UTF-8, not {value!r}: rename that file or folder."
        ) from error
