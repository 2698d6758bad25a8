"""The commands that wordgen suggests or records. They are quoted for a shell, so that a user can copy them."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from wordgen.corpus.settings import CorpusSettings
from wordgen.evaluation.settings import EvaluationSettings
from wordgen.generation.settings import WHOLE_PIECE
from wordgen.run.names import SAVED_MODELS, argument_for, models_folder
from wordgen.run.settings import AUTO, NO_RECIPE, TrainSettings, chooses_training, names_of
from wordgen.settings import Settings, flag_name

if TYPE_CHECKING:
    from wordgen.run.evaluate import Evaluation
    from wordgen.run.record import RunRecord

COMMAND_PREFIX = "python -m wordgen"
"""The beginning of each command. It works in a checkout and with an installed wordgen."""

_RUN_SPECIFIC = names_of("run", "device") | {"recipe"}
_RUN_OR_MACHINE_SPECIFIC = _RUN_SPECIFIC | {"precision"}


def training_command(
    settings: TrainSettings, changes: Mapping[str, object] | None = None, *, as_computed: bool = False
) -> str:
    """Return the command that trains a new run with these settings, except for `changes`.

    Name and devices are left out, because a new run has its own. With `as_computed`, the command has the precision
    (float32 or bfloat16), too, because another machine may choose another one.
    """
    left_out = _RUN_SPECIFIC if as_computed else _RUN_OR_MACHINE_SPECIFIC
    return _command("train", *_all_flags(replace(settings, **(changes or {})), left_out))


def short_training_command(
    settings: TrainSettings, changes: Mapping[str, object], *, is_text_available: bool = True
) -> str:
    """Return the shortest command that trains a new run with these settings, except for `changes`.

    Unlike `training_command`, it may rely on the recipe and the base that wordgen chooses for the text. If the text is
    not here, the command names all settings.
    """
    # Imported late: --help imports this module and must not need NumPy.
    from wordgen.run.defaults import minimal_settings

    full_command = training_command(settings, changes)
    if not is_text_available:
        return full_command
    candidates = minimal_settings(replace(settings, **changes), _RUN_OR_MACHINE_SPECIFIC)
    return min([full_command, *(_command("train", *_flags(given)) for given in candidates)], key=len)


def training_arguments(settings: TrainSettings, run: str) -> list[str]:
    """Return the arguments that begin a run of this name with these settings, except for those of the devices."""
    return ["train", *models_flag(), *flag_words("--name", run), *_all_flags(settings, _RUN_SPECIFIC)]


def resuming_arguments(run: str) -> list[str]:
    return ["train", *models_flag(), *flag_words("--resume", run)]


def first_training(command: str = f"{COMMAND_PREFIX} train") -> str:
    """Return the command for users who have not trained anything yet. `command` is its beginning."""
    return shlex.join([*command.split(), *models_flag(), "--corpus", "lotr"])


def models_flag() -> list[str]:
    """Return the flag `--models` with its folder, or nothing if runs are in saved_models."""
    folder = models_folder()
    return [] if folder == SAVED_MODELS else flag_words("--models", folder)


def sweeping_command(sweep: str, name: str | None = None) -> str:
    path = f"./{sweep}" if sweep.startswith("-") else sweep
    return _command("sweep", path, *([] if name is None else flag_words("--name", name)))


def palindromes_command(settings: Settings) -> str:
    """Return the command for a study of palindromes with these settings."""
    return _command("palindromes", *_flags(_changed_values(settings)))


def resuming_command(run: str, epochs: int | None = None) -> str:
    return _command("train", *flag_words("--resume", run), *([] if epochs is None else flag_words("--epochs", epochs)))


def writing_command(model: str, seed: str | None = None, *, music: bool = False) -> str:
    """Return the command that writes with a model. A model of music (`music`) writes a whole piece without a prompt."""
    flags = WHOLE_PIECE if music else () if seed is None else flag_words("--seed", seed)
    return _command("generate", *flag_words("--model", model), *flags)


def evaluating_command(model: str, **settings: int | bool | None) -> str:
    """Return the command that evaluates a model. Settings that have their default values are left out."""
    changed = {name: value for name, value in settings.items() if value != getattr(EvaluationSettings, name)}
    model_words = flag_words("--model", model) if model.startswith("-") else [model]
    return _command("evaluate", *model_words, *_flags(changed))


def runs_command(action: Literal["list", "show", "compare", "rm"], *names: str) -> str:
    """Return the command that does something with the runs or sweeps of these names."""
    dashes = ["--"] if any(name.startswith("-") for name in names) else []  # or a name is taken for a flag
    return _command("runs", action, *dashes, *names)


def flag_words(flag: str, value: object) -> list[str]:
    """Return a flag with its values: as `--flag=value` if a value begins with a dash and would be read as a flag."""
    values = [str(each) for each in (value if isinstance(value, list | tuple) else (value,))]
    if any(each.startswith("-") for each in values):
        return [f"{flag}={each}" for each in values]
    return [flag, *values]


def _command(verb: str, *words: str) -> str:
    return f"{COMMAND_PREFIX} {shlex.join([verb, *models_flag(), *words])}"


def commands_about(
    run: str, record: "RunRecord", *, can_be_resumed: bool, has_model: bool
) -> Iterator[tuple[str, str]]:
    """Yield what a user can do with a run, in words, with the command for it."""
    yield "Train this model again", training_command(record.settings, as_computed=True)
    if can_be_resumed:
        yield "Continue this run", resuming_command(run)
    if has_model:
        yield "Write text with it", writing_command(run, record.word_to_try, music=record.is_music)
        yield "Measure how good it is", evaluating_command(run, **record.evaluation)


def command_to_try(evaluated: "Evaluation") -> str:
    """Return the command that the verdict of an evaluation suggests.

    If no change is suggested, it writes with the model. But for a bad model whose curves show nothing, it trains with
    the recipe for the text, or for longer if the run had a recipe already.
    """
    found, settings, model = evaluated.finding, evaluated.settings, argument_for(evaluated.folder)
    can_improve = evaluated.is_bad if found is None else bool(found.changes)
    if settings is None or not can_improve:
        return writing_command(model, music=evaluated.music_notes is not None)
    if found is None and settings.recipe in (None, NO_RECIPE):
        corpus_settings = _changed_values(CorpusSettings.part_of(settings))
        return _command("train", *_flags(corpus_settings), flag_name("recipe"), AUTO)
    changes = settings.longer_training() if found is None else found.changes
    if (found is None or found.fit == "undertrained") and evaluated.can_be_extended:
        return resuming_command(model, int(changes["epochs"]))
    return short_training_command(settings, changes, is_text_available=evaluated.unigram is not None)


def _all_flags(settings: TrainSettings, left_out: frozenset[str]) -> Iterator[str]:
    """Yield the flags for all settings that differ from their defaults.

    Add `--from-scratch` and `--recipe none` if the other flags do not already rule out a base and a recipe.
    """
    # Imported late: --help imports this module and must not need NumPy.
    from wordgen.run.defaults import contradicts_all_bases

    given = {name: value for name, value in _changed_values(settings).items() if name not in left_out}
    yield from _flags(given)
    if settings.init_from is None and not settings.from_scratch and not contradicts_all_bases(given):
        yield flag_name("from_scratch")
    if settings.init_from is not None or not chooses_training(given):
        yield from (flag_name("recipe"), NO_RECIPE)


def _changed_values(settings: Settings) -> dict[str, object]:
    return {each.name: getattr(settings, each.name) for each in settings.non_default_fields()}


def _flags(given: Mapping[str, object]) -> Iterator[str]:
    for name, value in given.items():
        if isinstance(value, bool):
            yield flag_name(name if value else f"no_{name}")
        else:
            yield from flag_words(flag_name(name), value)
