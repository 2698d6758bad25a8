"""The commands that wordgen advises or records, as a user can type them: quoted for a shell, in one place for all."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from itertools import chain
from typing import TYPE_CHECKING, Any

from wordgen.corpora.settings import CorpusSettings
from wordgen.evaluation.settings import EvaluationSettings
from wordgen.run_settings import AUTO, NO_RECIPE, TrainSettings, decides
from wordgen.settings import flag_name
from wordgen.training.settings import DeviceSettings

if TYPE_CHECKING:
    from wordgen.evaluation.verdict import Finding

TRY = "python -m wordgen"
"""How a command begins: that works in a checkout and where wordgen is installed."""

_OF_ONE_RUN = frozenset({"name", "recipe", "overwrite", *(each.name for each in fields(DeviceSettings))})


def training_command(
    settings: TrainSettings, changes: Mapping[str, Any] | None = None, *, as_computed: bool = False
) -> str:
    """To train with such settings, some of them changed; a new run has its own name and place.

    `as_computed` asks for the numbers that were computed with as well, which another machine may not choose by itself.
    """
    values = {**settings.to_mapping(), **(changes or {})}
    left_out = _OF_ONE_RUN if as_computed else _OF_ONE_RUN | {"precision"}
    return _command("train", *_every_flag(settings, values, left_out))


def training_arguments(settings: TrainSettings, run: str) -> list[str]:
    """Those with which `train` begins a run of this name; every setting is said, so no recipe is taken."""
    return ["train", *flag_words("--name", run), *_every_flag(settings, settings.to_mapping(), _OF_ONE_RUN)]


def resuming_arguments(run: str) -> list[str]:
    return ["train", *flag_words("--resume", run)]


def sweeping_command(sweep: str, name: str | None = None) -> str:
    path = f"./{sweep}" if sweep.startswith("-") else sweep
    return _command("sweep", path, *([] if name is None else flag_words("--name", name)))


def resuming_command(run: str, epochs: int | None = None) -> str:
    return _command(*resuming_arguments(run), *([] if epochs is None else flag_words("--epochs", epochs)))


def writing_command(model: str, seed: str | None = None) -> str:
    beginning = [] if seed is None else flag_words("--seed", seed)
    return _command("generate", *flag_words("--model", model), *beginning)


def evaluating_command(model: str, **asked: int | bool | None) -> str:
    """Of the settings of evaluating those that are not as they would be by themselves."""
    changed = {name: value for name, value in asked.items() if value != getattr(EvaluationSettings, name)}
    flags = chain.from_iterable(
        [flag_name(name)] if value is True else flag_words(flag_name(name), value) for name, value in changed.items()
    )
    return _command("evaluate", *(flag_words("--model", model) if model.startswith("-") else [model]), *flags)


def listing_command(sweep: str) -> str:
    return _command("runs", "list", *_named(sweep))


def showing_command(run: str) -> str:
    return _command("runs", "show", *_named(run))


def comparing_command(runs: Iterable[str]) -> str:
    return _command("runs", "compare", *_named(*runs))


def removing_command(run: str) -> str:
    return _command("runs", "rm", *_named(run))


def flag_words(flag: str, value: object) -> list[str]:
    """A flag with its value or values, so that no value is read as another flag, whatever it is."""
    values = [str(each) for each in (value if isinstance(value, list | tuple) else (value,))]
    if any(each.startswith("-") for each in values):
        return [f"{flag}={each}" for each in values]
    return [flag, *values]


def _named(*names: str) -> list[str]:
    """Arguments without a flag, behind a mark where one of them would be read as a flag."""
    return ["--", *names] if any(name.startswith("-") for name in names) else list(names)


def _command(*words: str) -> str:
    return f"{TRY} {shlex.join(words)}"


def commands_about(
    run: str,
    settings: TrainSettings,
    seed: str | None,
    *,
    can_be_resumed: bool,
    has_model: bool,
    evaluation: Mapping[str, int | bool | None] | None = None,
) -> Iterator[tuple[str, str]]:
    """What one may want to do with a run, in words, and the command for it; `evaluation` has how it was evaluated."""
    yield "To train such a model again", training_command(settings, as_computed=True)
    if can_be_resumed:
        yield "To go on with this run", resuming_command(run)
    if has_model:
        yield "To write with it", writing_command(run, seed)
        yield "To measure how good it is", evaluating_command(run, **(evaluation or {}))


def command_to_try(
    found: "Finding | None", settings: TrainSettings | None, model: str, *, can_go_on: bool, bad: bool = False
) -> str:
    """What a verdict advises; or to let the model write, but for a bad one what may make it better."""
    if settings is None or (found is None and not bad):
        return writing_command(model)
    if found is None:
        return _helping_command(settings, model, can_go_on=can_go_on)
    if found.fit == "undertrained" and can_go_on:
        return resuming_command(model, found.changes["epochs"])
    return training_command(settings, found.changes)


def _helping_command(settings: TrainSettings, model: str, *, can_go_on: bool) -> str:
    """Where the curves advise nothing: the recipe for such texts, or with a recipe already, to learn for longer."""
    if settings.recipe in (None, NO_RECIPE):
        of_the_text = {each.name for each in fields(CorpusSettings)}
        usual = {each.name: each.default for each in fields(settings) if each.name not in of_the_text}
        flags = _flags(settings, {**settings.to_mapping(), **usual}, _OF_ONE_RUN | {"precision"})
        return f"{TRY} train {shlex.join(flags)} {flag_name('recipe')} {AUTO}"
    longer = settings.longer()
    if can_go_on and "epochs" in longer:
        return resuming_command(model, int(longer["epochs"]))
    return training_command(settings, longer)


def _every_flag(settings: TrainSettings, values: Mapping[str, Any], left_out: frozenset[str]) -> Iterator[str]:
    """The settings that are not as by default; and that no recipe is to be taken and no base, where they do not say it
    already."""
    from wordgen.default_base import goes_with_none  # --help imports these commands, and does without NumPy

    yield from _flags(settings, values, left_out)
    usual = {each.name: each.default for each in fields(settings)}
    given = {name: value for name, value in values.items() if name not in left_out and value != usual[name]}
    begins_from_nothing = values["init_from"] is None and not values["from_scratch"]
    if begins_from_nothing and not goes_with_none(given):
        yield flag_name("from_scratch")
    if values["init_from"] is not None or not decides(given):
        yield from (flag_name("recipe"), NO_RECIPE)


def _flags(settings: TrainSettings, values: Mapping[str, Any], left_out: frozenset[str]) -> Iterator[str]:
    """The settings that are not as they would be by themselves."""
    for each in fields(settings):
        value = values[each.name]
        if each.name in left_out or (each.default is not MISSING and value == each.default):
            continue
        if isinstance(value, bool):
            yield flag_name(each.name) if value else flag_name("no_" + each.name)
            continue
        yield from flag_words(flag_name(each.name), value)
