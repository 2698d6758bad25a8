"""Describes the API: as OpenAPI for programs, and as a web page with tables for people."""

import json
from collections.abc import Iterator

from wordgen.report.page import page_environment
from wordgen.settings import Settings
from wordgen.web.limits import MOST_BYTES, ServingSettings
from wordgen.web.requests import MusicRequest, NextWordsRequest, Schema, ScoreRequest, TextRequest, schema_of

LINES = "application/x-ndjson"

_REFUSALS = {
    "400": "The request is not a JSON object, or its Host header is not an address or name of this server.",
    "403": "The token is missing or wrong, or the request comes from a page of another site.",
    "404": "There is no such model.",
    "405": "This path needs another method, for example POST.",
    "408": "The request did not arrive in time.",
    "413": f"The request has more than {MOST_BYTES // 1024} kB.",
    "422": "A setting has a value that is not allowed.",
    "500": "The model is damaged, or there is a bug in wordgen.",
    "503": "Too many requests are waiting or the request took too long (Retry-After says when to try again), or the "
    "server is shutting down.",
}
_NUMBER, _TEXT, _TRUTH = {"type": "number"}, {"type": "string"}, {"type": "boolean"}


def description(settings: ServingSettings, version: str) -> Schema:
    paths = {
        "/api/models": {"get": _operation("Lists the models, the newest first.", _object(models=_list(_MODEL)))},
        "/api/models/{name}": {
            "get": _operation("Describes a model and gives examples of prompts.", _ABOUT)
            | {"parameters": [{"name": "name", "in": "path", "required": True, "schema": _TEXT}]}
        },
        "/api/settings": {
            "get": _operation(
                "Lists all settings of text generation, as the page shows them.", _object(settings=_list({}))
            )
        },
        "/api/write": {"post": _operation(_WRITE, _EVENT, LINES) | _body(TextRequest, settings)},
        "/api/text": {"post": _operation("Writes a text and returns it whole.", _WHOLE) | _body(TextRequest, settings)},
        "/api/next": {
            "post": _operation("Returns the words that may follow, the most probable first.", _NEXT)
            | _body(NextWordsRequest, settings)
        },
        "/api/score": {
            "post": _operation("Returns how probable each word of a text is.", _SCORE) | _body(ScoreRequest, settings)
        },
        "/api/music": {
            "post": _operation("Returns a text of music as a score in ABC and as notes, in milliseconds.", _MUSIC)
            | _body(MusicRequest, settings)
        },
    }
    info = {"title": "wordgen", "version": version, "description": "Generates text with trained models."}
    return {
        "openapi": "3.1.0",
        "info": info,
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
    }


def _operation(summary: str, answer: Schema, media_type: str = "application/json") -> Schema:
    refused = {"application/json": {"schema": _object(error=_TEXT)}}
    responses = {status: {"description": why, "content": refused} for status, why in _REFUSALS.items()}
    good = {"description": "The answer.", "content": {media_type: {"schema": answer}}}
    return {"summary": summary, "responses": {"200": good, **responses}}


def _body(group: type[Settings], settings: ServingSettings) -> Schema:
    content = {"application/json": {"schema": schema_of(group, settings)}}
    return {"requestBody": {"required": True, "content": content}}


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
_ABOUT = _object(
    name=_TEXT, corpus=_TEXT, tokens=_NUMBER, knows_copies=_TRUTH, writes_tunes=_TRUTH, examples=_list(_TEXT)
)
_WORD = {"piece": _TEXT, "tokens": _list(_TEXT)}
_COPY = _object(start=_NUMBER, tokens=_NUMBER, text=_TEXT, file=_TEXT, line=_NUMBER)
_BEGIN = {
    "model": _TEXT,
    "random_seed": _NUMBER,
    "seed_words": _list(_object(**_WORD)),
    "unknown": _list(_object(word=_TEXT, near=_list(_TEXT))),
    "cut": _TRUTH,
    "music": _TRUTH,
}
_END = {"ended": _TEXT, "tokens": _NUMBER, "draws": _NUMBER, "perplexity": _NUMBER, "seconds": _NUMBER}
_COPIES = _or_null(_list(_COPY))
_EVENT = {
    "oneOf": [
        _object(event={"const": "wait"}, reason=_TEXT),
        _object(event={"const": "begin"}, **_BEGIN),
        _object(event={"const": "word"}, **_WORD, bits=_NUMBER, put_in=_TRUTH),
        _object(event={"const": "copies"}, copies=_COPIES),
        _object(event={"const": "end"}, **_END),
        _object(event={"const": "error"}, error=_TEXT),
    ]
}
_WHOLE = _object(
    **_BEGIN,
    text=_TEXT,
    words=_list(_object(**_WORD, bits=_NUMBER, put_in=_TRUTH)),
    copies=_COPIES,
    **_END,
)
_NEXT = _object(model=_TEXT, words=_list(_object(word=_TEXT, **_WORD, probability=_NUMBER, bits=_NUMBER)))
_SCORED = _object(piece=_TEXT, token=_TEXT, bits=_NUMBER, known=_TRUTH)
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


_NOTHING: Schema = {}


def description_page(described: Schema) -> str:
    template = page_environment("wordgen.web").get_template("api.html.j2")
    return template.render(operations=list(_operations(described)))


def _operations(described: Schema) -> Iterator[Schema]:
    """Yield each operation with the fields of its request, or with the path that has `like` fields."""
    paths: dict[str, str] = {}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            shown: Schema = {"name": f"{method.upper()} {path}", "summary": operation["summary"]}
            fields, like = [], None
            for content in operation.get("requestBody", _NOTHING).get("content", _NOTHING).values():
                earlier = paths.setdefault(json.dumps(content), path)
                fields, like = (list(_fields(content["schema"])), None) if earlier == path else ([], earlier)
            yield {**shown, "fields": fields, "like": like}


def _fields(schema: Schema) -> Iterator[tuple[str, str, str, str]]:
    for name, each in schema["properties"].items():
        default = each.get("default")
        yield name, "" if default in (None, "", []) else _shown(default), each["description"], _allowed(each)


def _shown(default: object) -> str:
    return {True: "true", False: "false"}[default] if isinstance(default, bool) else str(default)


def _allowed(schema: Schema) -> str:
    """Return the allowed values as a short phrase in brackets, or an empty string if there is no list and no range."""
    if "enum" in schema:
        return f"({', '.join(schema['enum'])})"
    least, most = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if least is None or most is None:
        return ""
    return f"({'above' if 'exclusiveMinimum' in schema else 'from'} {_plain(least)}, at most {_plain(most)})"


def _plain(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:f}"
