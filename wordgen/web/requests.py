"""The requests of the API as groups of settings, and what is made from them: controls of the page, and descriptions.

The values in a request are checked like the flags of a command. The API is described as OpenAPI for programs, and as a
web page with tables for people.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from wordgen import __version__
from wordgen.errors import SettingError
from wordgen.generation.settings import ONLY_MODE_OF, GenerationSettings, ScoringSettings, WritingSettings
from wordgen.report.page import page_environment
from wordgen.settings import Settings, flag_name, setting
from wordgen.web.limits import MAX_BYTES, MAX_NEXT_WORDS, RefusedError, ServingSettings

Group = TypeVar("Group", bound=Settings)
Schema = dict[str, Any]

_EXCLUDED_SETTING = "count"
"""The only setting of generation that the API does not have: each request writes one text."""
_TYPES: dict[object, str] = {int: "integer", float: "number", str: "string", bool: "boolean", NoneType: "null"}
_BOUNDS = {"at_least": "minimum", "at_most": "maximum", "above": "exclusiveMinimum", "below": "exclusiveMaximum"}


@dataclass(frozen=True, kw_only=True)
class _ModelRequest(Settings):
    model: str | None = setting(None, help="the name of a model in /api/models; by default, the newest")


@dataclass(frozen=True, kw_only=True)
class _PromptRequest(_ModelRequest):
    seed: str = setting("", help="the prompt; of a long prompt, only the end is read")
    tokens: tuple[str, ...] = setting(
        (), help="the tokens that follow the prompt, from earlier answers: the text continues after them"
    )


@dataclass(frozen=True, kw_only=True)
class TextRequest(GenerationSettings, _PromptRequest):
    """Request a text that continues the prompt in `seed`. The other fields control how the model writes it."""

    @property
    def settings(self) -> GenerationSettings:
        return GenerationSettings.part_of(self)


@dataclass(frozen=True, kw_only=True)
class NextWordsRequest(ScoringSettings, _PromptRequest):
    """Request the words that are most likely to follow the prompt in `seed`, with their probabilities."""

    number: int = setting(
        10, at_least=1, at_most=MAX_NEXT_WORDS, help="the number of words to return, the most probable first"
    )
    key: str | None = setting(None, help="the key that the tune was written in, if a key was asked for")
    metre: str | None = setting(None, help="the metre that the tune was written in, if a metre was asked for")


@dataclass(frozen=True, kw_only=True)
class ScoreRequest(ScoringSettings, _ModelRequest):
    """Request how probable a text is to a model: each word, each sentence, and the text as a whole."""

    text: str = setting(help="the text to score")


@dataclass(frozen=True, kw_only=True)
class MusicRequest(_ModelRequest):
    """Request a text of a model of music as a score, and as notes to play."""

    text: str = setting(help="the text that the model wrote")


def read_request(group: type[Group], body: bytes, limits: ServingSettings) -> Group:
    """Return the request that is in the JSON of `body`.

    Raises RefusedError (400) if the body is not a JSON object, and SettingError if a setting is unknown or has a value
    that is not allowed. The messages call settings by the names that they have in the API.
    """
    try:
        content = json.loads(body)
        json.dumps(content, ensure_ascii=False).encode()  # fails if a string has half of a surrogate pair
    except (ValueError, RecursionError):
        raise RefusedError(400, "The request must be JSON, in UTF-8.") from None
    if not isinstance(content, dict):
        raise RefusedError(400, 'The request must be a JSON object, for example {"seed": "The road"}.')
    try:
        if _EXCLUDED_SETTING in content:
            raise SettingError(f"'{_EXCLUDED_SETTING}' is not allowed: each request writes one text.")
        if issubclass(group, GenerationSettings):
            content = {"length": min(group.length, limits.longest), **content}
        request = group.from_mapping(content)
        _check_limits(request, limits)
    except SettingError as error:
        raise SettingError(with_api_names(str(error))) from None
    return request


def _check_limits(request: Settings, limits: ServingSettings) -> None:
    for name, most in limits.upper_limits.items():
        if getattr(request, name, 0) > most:
            raise SettingError(f"{flag_name(name)} must be at most {most:,} here, not {getattr(request, name):,}.")
    if isinstance(request, _PromptRequest) and len(request.tokens) > limits.most_tokens:
        raise SettingError(
            f"tokens must be at most {limits.most_tokens:,} here, not {len(request.tokens):,}: put a longer text into "
            "seed, where only the end is read."
        )


def with_api_names(sentence: str) -> str:
    """Replace flags in a sentence by the names of the settings: `top_p` instead of `--top-p`."""
    names = {flag_name(each.name): each.name for group in (TextRequest, NextWordsRequest) for each in fields(group)}
    return re.sub(r"--[a-z][a-z-]*", lambda flag: names.get(flag[0], flag[0]), sentence)


def schemas(group: type[Settings], limits: ServingSettings) -> Iterator[tuple[str, Schema]]:
    """Yield the name and the JSON Schema of each setting of a group."""
    hints = get_type_hints(group)
    for each in fields(group):
        if each.name == _EXCLUDED_SETTING:
            continue
        schema = _schema(each, hints[each.name])
        most = limits.upper_limits.get(each.name)
        if most is not None:
            schema.update(maximum=most, default=min(schema["default"], most))
        yield each.name, schema


def schema_of(group: type[Settings], limits: ServingSettings) -> Schema:
    """Return the JSON Schema of a group of settings: an object with one property for each setting."""
    required = [each.name for each in fields(group) if each.default is MISSING]
    described: Schema = {"type": "object", "description": group.__doc__, "properties": dict(schemas(group, limits))}
    return {**described, "additionalProperties": False, **({"required": required} if required else {})}


def _schema(each: "Field[object]", hint: object) -> Schema:
    schema = _type(hint)
    for bound, keyword in _BOUNDS.items():
        if each.metadata[bound] is not None:
            schema[keyword] = each.metadata[bound]
    schema["description"] = with_api_names(each.metadata["help"])
    if each.default is not MISSING:
        schema["default"] = list(each.default) if isinstance(each.default, tuple) else each.default
    return schema


def _type(hint: object) -> Schema:
    origin = get_origin(hint)
    if origin is Literal:
        return {"type": "string", "enum": list(get_args(hint))}
    if origin is tuple:
        return {"type": "array", "items": _type(get_args(hint)[0])}
    if origin in (Union, UnionType):
        return {"type": [_TYPES[part] for part in get_args(hint)]}
    return {"type": _TYPES[hint]}


SLIDERS: dict[str, tuple[float, float, float]] = {
    "length": (5, 300, 5),
    "at_least": (1, 300, 1),
    "temperature": (0.1, 2.0, 0.05),
    "top_k": (0, 200, 1),
    "top_p": (0.0, 1.0, 0.01),
    "min_p": (0.0, 0.5, 0.01),
    "repetition_penalty": (1.0, 2.0, 0.05),
    "no_repeat_ngram": (0, 10, 1),
    "max_copy": (0, 30, 1),
    "mix": (0.0, 0.5, 0.01),
    "max_copy_notes": (0, 30, 1),
    "beams": (1, 20, 1),
    "length_penalty": (0.0, 2.0, 0.1),
}
"""The first value, the last value and the step of each slider on the page. A slider only covers the useful range; users
can also type any other allowed number."""
_MAIN_SETTINGS = frozenset({"mode", "length", "stop", "temperature", "top_p"})
"""The settings that the page shows from the start. A click shows the others."""
_TUNE_SETTINGS = {each.name for each in fields(GenerationSettings)} - {each.name for each in fields(WritingSettings)}
"""The settings that only models of tunes in ABC have."""


def controls(settings: ServingSettings) -> list[Schema]:
    """Return each setting of generation: its JSON Schema and what the page needs to know to show a control for it."""
    return [
        {
            "name": name,
            **schema,
            "slider": _slider(name, schema),
            "only_in_mode": ONLY_MODE_OF.get(name),
            "only_for_tunes": name in _TUNE_SETTINGS,
            "is_main": name in _MAIN_SETTINGS,
        }
        for name, schema in schemas(GenerationSettings, settings)
    ]


def _slider(name: str, schema: Schema) -> list[float] | None:
    if name not in SLIDERS:
        return None
    first, last, step = SLIDERS[name]
    last = min(last, schema.get("maximum", last))
    return [min(first, last), last, step]


_JSON, LINES = "application/json", "application/x-ndjson"

_REFUSALS = {
    "400": "The request is not a JSON object, or its Host header is not an address or name of this server.",
    "403": "The token is missing or wrong, or the request comes from a page of another site.",
    "404": "There is no such model.",
    "405": "This path needs another method, for example POST.",
    "408": "The request did not arrive in time.",
    "413": f"The request has more than {MAX_BYTES // 1024} kB.",
    "422": "A setting has a value that is not allowed.",
    "500": "The model is damaged, or there is a bug in wordgen.",
    "503": "Too many requests are waiting or the request took too long (Retry-After says when to try again), or the "
    "server is shutting down.",
}
_NUMBER, _TEXT, _BOOLEAN = {"type": "number"}, {"type": "string"}, {"type": "boolean"}


def description(settings: ServingSettings) -> Schema:
    """Return the description of the API as OpenAPI."""

    def post(summary: str, answer: Schema, group: type[Settings], media_type: str = _JSON) -> Schema:
        body = {"required": True, "content": {_JSON: {"schema": schema_of(group, settings)}}}
        return {"post": {**_operation(summary, answer, media_type), "requestBody": body}}

    about = _operation("Describes a model and gives examples of prompts.", _MODEL_DETAILS)
    about["parameters"] = [{"name": "name", "in": "path", "required": True, "schema": _TEXT}]
    every_setting = "Lists all settings of text generation, as the page shows them."
    score = "Returns a text of music as a score in ABC and as notes, in milliseconds."
    paths = {
        "/api/models": {"get": _operation("Lists the models, the newest first.", _object(models=_list(_MODEL)))},
        "/api/models/{name}": {"get": about},
        "/api/settings": {"get": _operation(every_setting, _object(settings=_list({})))},
        "/api/write": post(_WRITE, _EVENT, TextRequest, LINES),
        "/api/text": post("Writes a text and returns it whole.", _WHOLE_TEXT, TextRequest),
        "/api/next": post("Returns the words that may follow, the most probable first.", _NEXT, NextWordsRequest),
        "/api/score": post("Returns how probable each word of a text is.", _SCORE, ScoreRequest),
        "/api/music": post(score, _MUSIC, MusicRequest),
    }
    info = {"title": "wordgen", "version": __version__, "description": "Generates text with trained models."}
    return {
        "openapi": "3.1.0",
        "info": info,
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
    }


def _operation(summary: str, answer: Schema, media_type: str = _JSON) -> Schema:
    refused = {_JSON: {"schema": _object(error=_TEXT)}}
    responses = {status: {"description": why, "content": refused} for status, why in _REFUSALS.items()}
    good = {"description": "The answer.", "content": {media_type: {"schema": answer}}}
    return {"summary": summary, "responses": {"200": good, **responses}}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


_WRITE = (
    "Writes a text and sends it word by word, as one JSON object per line. The events are: begin; word, for each word; "
    "copies, with the matches with the training text; end. Before begin, wait may say what must be done first. If "
    "something goes wrong after the first event, the last event is error."
)
_MODEL = _object(name=_TEXT, corpus=_or_null(_TEXT), network=_or_null(_TEXT), problem=_or_null(_TEXT))
_MODEL_DETAILS = _object(
    name=_TEXT, corpus=_TEXT, tokens=_NUMBER, has_copy_index=_BOOLEAN, writes_tunes=_BOOLEAN, examples=_list(_TEXT)
)
_WORD = {"piece": _TEXT, "tokens": _list(_TEXT)}
_COPY = _object(start=_NUMBER, tokens=_NUMBER, text=_TEXT, file=_TEXT, line=_NUMBER)
_BEGIN = {
    "model": _TEXT,
    "random_seed": _NUMBER,
    "seed_words": _list(_object(**_WORD)),
    "unknown": _list(_object(word=_TEXT, similar=_list(_TEXT))),
    "cut": _BOOLEAN,
    "music": _BOOLEAN,
}
_END = {"ended": _TEXT, "tokens": _NUMBER, "draws": _NUMBER, "perplexity": _NUMBER, "seconds": _NUMBER}
_COPIES = _or_null(_list(_COPY))
_EVENT = {
    "oneOf": [
        _object(event={"const": "wait"}, reason=_TEXT),
        _object(event={"const": "begin"}, **_BEGIN),
        _object(event={"const": "word"}, **_WORD, bits=_NUMBER, replaces_unknown=_BOOLEAN),
        _object(event={"const": "copies"}, copies=_COPIES),
        _object(event={"const": "end"}, **_END),
        _object(event={"const": "error"}, error=_TEXT),
    ]
}
_WHOLE_TEXT = _object(
    **_BEGIN,
    text=_TEXT,
    words=_list(_object(**_WORD, bits=_NUMBER, replaces_unknown=_BOOLEAN)),
    copies=_COPIES,
    **_END,
)
_NEXT = _object(model=_TEXT, words=_list(_object(word=_TEXT, **_WORD, probability=_NUMBER, bits=_NUMBER)))
_SCORED = _object(piece=_TEXT, token=_TEXT, bits=_NUMBER, known=_BOOLEAN)
_SCORE = _object(
    model=_TEXT, words=_list(_SCORED), sentences=_list(_object(text=_TEXT, perplexity=_NUMBER)), perplexity=_NUMBER
)
_MUSIC = _object(
    model=_TEXT,
    title=_TEXT,
    tempo=_NUMBER,
    abc=_TEXT,
    notes=_list(_list(_NUMBER)),
    marks=_list(_list(_NUMBER)),
    faults=_list(_TEXT),
)


def description_page(described: Schema) -> str:
    template = page_environment("wordgen.web").get_template("api.html.j2")
    return template.render(operations=list(_operations(described)))


def _operations(described: Schema) -> Iterator[Schema]:
    """Yield each operation with the fields of its request, or with the path that has the same fields."""
    paths: dict[str, str] = {}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            schema = operation["requestBody"]["content"][_JSON]["schema"] if method == "post" else {"properties": {}}
            earlier = paths.setdefault(json.dumps(schema), path) if method == "post" else path
            yield {
                "name": f"{method.upper()} {path}",
                "summary": operation["summary"],
                "fields": list(_fields(schema)) if earlier == path else [],
                "same_fields_as": None if earlier == path else earlier,
            }


def _fields(schema: Schema) -> Iterator[tuple[str, str, str, str]]:
    for name, each in schema["properties"].items():
        default = each.get("default")
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        yield name, "" if default in (None, "", []) else shown, each["description"], _allowed_values(each)


def _allowed_values(schema: Schema) -> str:
    """Return the allowed values as a short phrase in brackets, or an empty string if there is no list and no range."""
    if "enum" in schema:
        return f"({', '.join(schema['enum'])})"
    least, most = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if least is None or most is None:
        return ""
    return (
        f"({'above' if 'exclusiveMinimum' in schema else 'from'} {_shown_number(least)}, at most {_shown_number(most)})"
    )


def _shown_number(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:f}"
