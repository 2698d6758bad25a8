"""Complete the settings of a run: from a recipe, from the base that the run begins from, and from the defaults.

Recipes are files in recipes/ with settings that work well together, and with the results they reached. This module also
chooses the base, or says in one sentence why a run begins from none.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cache
from itertools import product
from math import inf
from pathlib import Path
from typing import Any

from wordgen.corpus.corpus import Corpus
from wordgen.corpus.fetching import OnDownloadProgress
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.settings import ReadingSettings
from wordgen.dataset.encoding import tokenizer_name
from wordgen.errors import SettingError, WordgenError, reason_of
from wordgen.files import read_toml, shown_size
from wordgen.model.architecture import NetworkSettings
from wordgen.model.base import Base, shipped_bases
from wordgen.run.folder import find_base
from wordgen.run.names import shipped_folder
from wordgen.run.settings import AUTO, HEAD_START, NO_RECIPE, TrainSettings, as_flag, chooses_training
from wordgen.settings import flag_name
from wordgen.text.settings import TextSettings, TokenizerName, TokenizerSettings
from wordgen.training.settings import TrainingSettings

MAX_TEXT_BYTES = 20_000_000
"""The largest text, in bytes, for which wordgen chooses a base. A larger text is enough to learn its language from.

The number is a guess and has not been measured.
"""

_AUTOMATIC_VALUES = {"tokenizer": "auto", "embedding": None}
"""Values with which these two settings leave the choice to wordgen. They contradict no base."""


def contradiction(base: Base, wanted: Mapping[str, object]) -> str | None:
    """Return the name of the first wanted setting that differs from that of the base. None if no setting differs."""
    for name, value in base.settings().items():
        asked = wanted.get(name, value)
        if name == "units":
            value = base.architecture.widths
            asked = (asked,) * base.architecture.layers if isinstance(asked, int) else asked
        if asked != value and not (name in _AUTOMATIC_VALUES and asked == _AUTOMATIC_VALUES[name]):
            return name
    return None


def default_base(wanted: Mapping[str, object], corpus: Corpus) -> tuple[Base | None, str | None]:
    """Return the base for a text and the wanted settings, or None and the reason in words.

    Return (None, None) if this wordgen comes without bases.
    """
    bases = shipped_bases()
    if not bases:
        return None, None
    tokenizer = _tokenizer(corpus, wanted)
    base = next((each for each in bases.values() if each.text.tokenizer == tokenizer), None)
    if base is None:
        return None, f"no base that comes with wordgen has the tokenizer {tokenizer}"
    if corpus.text_bytes > MAX_TEXT_BYTES:
        size = shown_size(corpus.text_bytes)
        return None, f"the text has {size}, and bases are only for texts of up to {shown_size(MAX_TEXT_BYTES)}"
    if wanted.get("from_scratch"):
        return None, "because of --from-scratch or the recipe"
    if (name := contradiction(base, wanted)) is not None:
        has = as_flag(name, base.settings()[name])
        return None, f"{as_flag(name, wanted[name])} does not fit the base {base.name}, which has {has}"
    return base, None


def _tokenizer(corpus: Corpus, wanted: Mapping[str, object]) -> TokenizerName:
    """Return the tokenizer for a corpus: the wanted one, or else the one that fits the corpus."""
    return tokenizer_name(corpus, TokenizerSettings.from_mapping({"tokenizer": wanted.get("tokenizer", "auto")}))


def contradicts_all_bases(wanted: Mapping[str, object]) -> bool:
    """Return whether these settings contradict every base that comes with wordgen, so that no text can use one."""
    return all(contradiction(base, wanted) for base in shipped_bases().values())


def reason_for_no_base(settings: TrainSettings, corpus: Corpus) -> str | None:
    """Return why a run does not begin from a base, in words. None if its settings and its text give no reason."""
    chosen = {each.name: getattr(settings, each.name) for each in settings.non_default_fields()}
    for wanted in (chosen, settings.to_mapping()):  # a setting that the user changed is the likelier reason
        _, reason = default_base(wanted, corpus)
        if reason is not None:
            return reason
    return None


_TOKENIZER_RECIPES = {"characters": "char-rnn", "abc": "tunes", "notes": "piano", "chords": "piano"}
"""The recipes of tokenizers that have their own."""
_RECIPES_BY_SIZE = (
    (100_000, "short", "of up to 100 kB"),
    (3_000_000, "book", "from 100 kB to 3 MB"),
    (inf, "small", "over 3 MB"),
)
"""The largest text in bytes, the name of the recipe for it, and the range of sizes in words."""


@dataclass(frozen=True)
class Recipe:
    name: str
    about: str
    """The purpose of the recipe, in one sentence."""
    settings: Mapping[str, object]


def recipe_names() -> list[str]:
    return sorted(path.stem for path in shipped_folder("recipes").glob("*.toml"))


def find_recipe(name: str) -> Recipe:
    """Return a recipe: one that comes with wordgen by its name, or the user's by the path of its .toml file.

    The [[results]] of a recipe are for people who read the file: wordgen does not use them.
    """
    path = Path(name) if name.endswith(".toml") else shipped_folder("recipes") / f"{name}.toml"
    if not name.endswith(".toml") and name not in recipe_names():
        raise SettingError(
            f"There is no recipe '{name[:100]}': give {AUTO}, {NO_RECIPE}, {', '.join(recipe_names())}, or a file that "
            "ends in .toml."
        )
    try:
        table = read_toml(path)
        unknown = table.keys() - {"about", "settings", "results"}
        if unknown:
            raise SettingError(f"a recipe has about, [settings] and [[results]], but not {sorted(unknown)[0]}")
        settings = {key: tuple(v) if isinstance(v, list) else v for key, v in dict(table["settings"]).items()}
        return Recipe(path.stem, str(table["about"]), settings)
    except KeyError as error:
        raise SettingError(f"The recipe {path} cannot be read: {error} is missing.") from error
    except (OSError, ValueError, TypeError, AttributeError, SettingError) as error:
        raise SettingError(f"The recipe {path} cannot be read: {reason_of(error)}.") from error


def recipe_for(size: int, tokenizer: str | None = None) -> str:
    """Return the name of the recipe for a text of `size` bytes, or for its tokenizer if that has its own recipe."""
    return _TOKENIZER_RECIPES.get(tokenizer or "", _recipe_by_size(size)[0])


def recipe_in_words(name: str, size: int, tokenizer: str | None = None) -> str:
    """Return the name and the purpose of a recipe.

    If `auto` chooses this recipe for a text of `size` bytes with this tokenizer, say so and why.
    """
    recipe = f"{name}: {find_recipe(name).about}"
    tokenizers = [tokenizer for tokenizer, recipe_name in _TOKENIZER_RECIPES.items() if recipe_name == name]
    if tokenizers:
        return f"{recipe} --recipe auto chooses it for --tokenizer {' or '.join(tokenizers)}."
    chosen, size_range = _recipe_by_size(size)
    if chosen != name or tokenizer in _TOKENIZER_RECIPES:
        return recipe
    return f"{recipe} --recipe auto chooses it for texts {size_range}; this one has {shown_size(size)}."


def _recipe_by_size(size: int) -> tuple[str, str]:
    """Return the name of the recipe for a text of `size` bytes, and the range of sizes it is for, in words."""
    return next((name, size_range) for max_size, name, size_range in _RECIPES_BY_SIZE if size <= max_size)


_RECIPE_SETTINGS = {
    each.name for group in (TrainingSettings, NetworkSettings, TextSettings, ReadingSettings) for each in fields(group)
}
_DEPENDENT_SETTINGS = {"optimizer": ("learning_rate", "rho"), "schedule": ("decay", "decay_after")}
"""Settings that fit only the optimizer or the schedule of their recipe: a learning rate of 40 is good for sgd and too
high for adam, and a decay has no effect with cosine."""


def complete_settings(
    given: Mapping[str, object], on_progress: OnDownloadProgress = lambda file, done, total: None
) -> TrainSettings:
    """Return all settings of a run: the given ones, then those of the recipe, then the defaults.

    The run begins from a base that fits, unless `init_from` names another model or `from_scratch` is given. If no
    recipe is given, a run that begins from a model uses the recipe `head-start`. All other runs use `auto`, unless a
    given setting already chooses a network or a way to train.
    """
    given = {name: _as_setting(value) for name, value in given.items()}
    corpus = given.get("corpus", "")
    if not all(isinstance(each, str) for each in (corpus if isinstance(corpus, tuple) else (corpus,))):
        raise SettingError(f"{flag_name('corpus')} must be text, not {corpus!r}.")

    @cache
    def get_corpus() -> Corpus:
        reading_settings = {each.name: given[each.name] for each in fields(ReadingSettings) if each.name in given}
        return open_corpus(corpus, ReadingSettings.from_mapping(reading_settings), on_progress)  # pyright: ignore[reportArgumentType]

    return _complete(given, get_corpus)


def minimal_settings(wanted: TrainSettings, ignored: frozenset[str]) -> Iterator[dict[str, object]]:
    """Yield sets of given settings, mostly few, that `complete_settings` completes to the wanted ones.

    The `ignored` settings are not compared. Nothing is yielded if the text is missing.
    """
    compared = wanted.to_mapping().keys() - ignored
    get_corpus = cache(lambda: open_corpus(wanted.corpus, ReadingSettings.part_of(wanted)))
    base_choice = {name: getattr(wanted, name) for name in ("init_from", "from_scratch") if getattr(wanted, name)}
    for recipe, base in product(({}, {"recipe": wanted.recipe or NO_RECIPE}), ({}, base_choice)):
        chosen: dict[str, object] = {"corpus": wanted.corpus, **recipe, **base}
        with suppress(WordgenError):
            default_settings = _complete(chosen, get_corpus)
            changed = {
                name: getattr(wanted, name) for name in _different_names(default_settings, wanted) if name in compared
            }
            given = chosen | {name: value for name, value in changed.items() if value is not None}
            if compared.isdisjoint(_different_names(_complete(given, get_corpus), wanted)):
                yield given


def _different_names(one: TrainSettings, other: TrainSettings) -> list[str]:
    """Return the names of the settings that differ, in their order."""
    return [each.name for each in fields(one) if getattr(one, each.name) != getattr(other, each.name)]


def _complete(given: Mapping[str, object], get_corpus: Callable[[], Corpus]) -> TrainSettings:
    """Return all settings of a run. `get_corpus` opens the corpus, which is done only if the choice depends on it."""
    named = _get_name(given, "recipe")
    recipe_settings = {} if named in (None, AUTO, NO_RECIPE) else _recipe_settings(named, given)
    base = _choose_base({**recipe_settings, **given}, given, get_corpus)
    if named in (None, AUTO) and (default := _choose_recipe(named, given, base, get_corpus)) is not None:
        recipe_settings = _recipe_settings(default, given)
    base_settings: Mapping[str, object] = {}
    if base is not None:
        recipe_settings.pop("from_scratch", None)
        base_settings = {**base.settings(), "init_from": base.name}
    completed: dict[str, Any] = {**recipe_settings, **given, "recipe": recipe_settings.get("recipe"), **base_settings}
    settings = TrainSettings(**completed)
    _check_decay(settings)
    return settings


def _check_decay(settings: TrainSettings) -> None:
    """Raise a SettingError if the schedule does not use `decay` or `decay_after`, and it was changed."""
    used = {"exponential": ("decay", "decay_after"), "plateau": ("decay",)}.get(settings.schedule, ())
    for name, schedules in (("decay", "exponential or plateau"), ("decay_after", "exponential")):
        if name not in used and getattr(settings, name) != getattr(TrainSettings, name):
            raise SettingError(
                f"{flag_name(name)} has no effect with --schedule {settings.schedule}: leave it out, or give "
                f"--schedule {schedules}."
            )


def _choose_base(
    wanted: Mapping[str, object], given: Mapping[str, object], get_corpus: Callable[[], Corpus]
) -> Base | None:
    """Return the model to begin from: the one that `init_from` names, or else a base that fits the wanted settings."""
    if (named := _get_name(wanted, "init_from")) is not None:
        base = find_base(named)
        _check_base_fits(base, given)
        return base
    if "corpus" not in given or wanted.get("from_scratch") or contradicts_all_bases(wanted):
        return None
    return default_base(wanted, get_corpus())[0]


def _check_base_fits(base: Base, given: Mapping[str, object]) -> None:
    """Raise a SettingError if a given setting contradicts the model that `init_from` names."""
    if given.get("name") == base.name:
        raise SettingError(
            f"The run cannot replace the model that it begins from: use a --name other than {base.name}."
        )
    if (name := contradiction(base, given)) is not None:
        raise SettingError(
            f"{as_flag(name, given[name])} does not fit the model of --init-from: {base.name} has "
            f"{as_flag(name, base.settings()[name])}. Leave out one of the two flags."
        )


def _choose_recipe(
    named: str | None, given: Mapping[str, object], base: Base | None, get_corpus: Callable[[], Corpus]
) -> str | None:
    """Return the recipe that wordgen chooses if the user names none, or `auto`. None if the run uses no recipe."""
    if base is not None:
        return HEAD_START
    if named is None and ("corpus" not in given or chooses_training(given)):
        return None
    if "corpus" not in given:
        raise SettingError("--recipe auto depends on the size of the text: give a --corpus.")
    return recipe_for(get_corpus().text_bytes, _tokenizer(get_corpus(), given))


def _recipe_settings(name: str, given: Mapping[str, object]) -> dict[str, object]:
    recipe = find_recipe(name)
    unknown = recipe.settings.keys() - _RECIPE_SETTINGS
    if unknown:
        raise SettingError(
            f"The recipe {name} has the setting '{sorted(unknown)[0]}', which recipes cannot have: delete it."
        )
    settings = dict(recipe.settings)
    for choice, dependent in _DEPENDENT_SETTINGS.items():
        if given.get(choice) not in (None, settings.get(choice, getattr(TrainSettings, choice))):
            for each in dependent:
                settings.pop(each, None)
    return {**settings, "recipe": name}


def _as_setting(value: object) -> object:
    """Convert a value from Python to that of the command line, which has strings and tuples, but no tuple of one."""
    if isinstance(value, list | tuple):
        values = tuple(map(_as_setting, value))
        return values[0] if len(values) == 1 else values
    return str(value) if isinstance(value, Path) else value


def _get_name(given: Mapping[str, object], name: str) -> str | None:
    """Return the value of a setting that is a name or None. Raise a SettingError if it is anything else.

    Also raise a SettingError if a name cannot be written as UTF-8, because it goes into files of the run.
    """
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise SettingError(f"{flag_name(name)} must be text, not {value!r}.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise SettingError(
            f"{flag_name(name)} must be a name in UTF-8, not {value!r}: rename that file or folder."
        ) from error
    return value
