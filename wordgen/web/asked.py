"""What a request may ask for. The settings are those of the flags: name, default, bounds and help stand once."""

import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from wordgen.errors import SettingError
from wordgen.generation.settings import GenerationSettings
from wordgen.settings import Settings, flag_name, setting
from wordgen.web.limits import MOST_NEXT_WORDS, ServingSettings
from wordgen.web.refusals import RefusedError

Asked = TypeVar("Asked", bound=Settings)
Schema = dict[str, Any]

_ONE_AT_A_TIME = "count"
"""The one setting of writing that is not here."""
_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean", NoneType: "null"}
_BOUNDS = {"at_least": "minimum", "at_most": "maximum", "above": "exclusiveMinimum", "below": "exclusiveMaximum"}


@dataclass(frozen=True, kw_only=True)
class _Beginning(Settings):
    model: str | None = setting(None, help="a model's name, as the list has it; by default the newest")
    seed: str = setting("", help="words to begin with; a model reads the end of a long one")
    symbols: tuple[str, ...] = setting(
        (), help="what stands behind the seed already, symbol by symbol, as other answers name them"
    )


@dataclass(frozen=True, kw_only=True)
class TextAsked(GenerationSettings, _Beginning):
    """A text that goes on from a seed."""

    @property
    def settings(self) -> GenerationSettings:
        return GenerationSettings.part_of(self)


@dataclass(frozen=True, kw_only=True)
class NextWordsAsked(_Beginning):
    """What could follow."""

    number: int = setting(10, at_least=1, at_most=MOST_NEXT_WORDS, help="how many words to name, the likeliest first")


@dataclass(frozen=True, kw_only=True)
class ScoreAsked(Settings):
    """How likely a text is."""

    model: str | None = setting(None, help="a model's name, as the list has it; by default the newest")
    text: str = setting(help="the text, as it stands")


def read_asked(group: type[Asked], body: bytes, limits: ServingSettings) -> Asked:
    """A request from its JSON; what is wrong with it is said in the words of the API."""
    try:
        content = json.loads(body)
        json.dumps(content, ensure_ascii=False).encode()  # half a character is no text
    except (ValueError, RecursionError):
        raise RefusedError(400, "The request must be JSON, in UTF-8.") from None
    if not isinstance(content, dict):
        raise RefusedError(400, 'The request must be a JSON object, as {"seed": "The road"}.')
    try:
        if _ONE_AT_A_TIME in content:
            raise SettingError(f"'{_ONE_AT_A_TIME}' is no setting here: ask for one text at a time.")
        asked = group.from_mapping(content)
        _check_limits(asked, limits)
    except SettingError as error:
        raise SettingError(in_words_of_the_api(str(error))) from None
    return asked


def _check_limits(asked: Settings, limits: ServingSettings) -> None:
    for name, most in limits.tighter.items():
        if getattr(asked, name, 0) > most:
            raise SettingError(f"{flag_name(name)} must be at most {most:,} here, not {getattr(asked, name):,}.")
    if isinstance(asked, _Beginning) and len(asked.symbols) > limits.most_symbols:
        raise SettingError(
            f"symbols must be at most {limits.most_symbols:,} here, not {len(asked.symbols):,}: put the text into "
            "seed, of which the end is read."
        )


def in_words_of_the_api(sentence: str) -> str:
    """Settings by their names instead of their flags."""
    names = {flag_name(each.name): each.name for group in (TextAsked, NextWordsAsked) for each in fields(group)}
    return re.sub(r"--[a-z][a-z-]*", lambda flag: names.get(flag[0], flag[0]), sentence)


def schemas(group: type[Settings], limits: ServingSettings) -> Iterator[tuple[str, Schema]]:
    """Each setting of a group as JSON Schema describes it."""
    hints = get_type_hints(group)
    for each in fields(group):
        if each.name != _ONE_AT_A_TIME:
            yield each.name, _schema(each, hints[each.name], limits.tighter.get(each.name))


def schema_of(group: type[Settings], limits: ServingSettings) -> Schema:
    """A group of settings as JSON Schema describes an object."""
    required = [each.name for each in fields(group) if each.default is MISSING]
    described: Schema = {"type": "object", "description": group.__doc__, "properties": dict(schemas(group, limits))}
    return {**described, "additionalProperties": False, **({"required": required} if required else {})}


def _schema(each: "Field[Any]", hint: Any, most: int | None) -> Schema:
    schema = _type(hint)
    for bound, keyword in _BOUNDS.items():
        if each.metadata[bound] is not None:
            schema[keyword] = each.metadata[bound]
    if most is not None:
        schema["maximum"] = most
    schema["description"] = in_words_of_the_api(each.metadata["help"])
    if each.default is not MISSING:
        schema["default"] = list(each.default) if isinstance(each.default, tuple) else each.default
    return schema


def _type(hint: Any) -> Schema:
    origin = get_origin(hint)
    if origin is Literal:
        return {"type": "string", "enum": list(get_args(hint))}
    if origin is tuple:
        return {"type": "array", "items": _type(get_args(hint)[0])}
    if origin in (Union, UnionType):
        return {"type": [_TYPES[part] for part in get_args(hint)]}
    return {"type": _TYPES[hint]}
