"""The API as OpenAPI describes it, made from the settings that its requests are checked with."""

from typing import Any

from wordgen.settings import Settings
from wordgen.web.asked import NextWordsAsked, Schema, ScoreAsked, TextAsked, schema_of
from wordgen.web.limits import MOST_BYTES, ServingSettings

LINES = "application/x-ndjson"

_REFUSALS = {
    "400": "The request is no JSON object, or calls the server by a name that is not its own.",
    "403": "The token is missing, or a page of another site asks.",
    "404": "There is no such model.",
    "405": "That is asked for in another way, as POST.",
    "408": "The request did not come in time.",
    "413": f"The request has more than {MOST_BYTES // 1024} kB.",
    "422": "A setting has a value that cannot work.",
    "429": "Too many requests are waiting: Retry-After says when to try again.",
    "500": "Something in wordgen itself went wrong.",
    "503": "It took too long, or the server is being closed.",
}
_NUMBER, _TEXT, _TRUTH = {"type": "number"}, {"type": "string"}, {"type": "boolean"}


def description(settings: ServingSettings, version: str) -> Schema:
    paths = {
        "/api/models": {"get": _operation("The models there are, the newest first.", _object(models=_list(_MODEL)))},
        "/api/models/{name}": {
            "get": _operation("One model, with beginnings to try.", _ABOUT)
            | {"parameters": [{"name": "name", "in": "path", "required": True, "schema": _TEXT}]}
        },
        "/api/settings": {
            "get": _operation("All settings of writing, as the page shows them.", _object(settings=_list({})))
        },
        "/api/write": {"post": _operation(_WRITE, _EVENT, LINES) | _body(TextAsked, settings)},
        "/api/text": {"post": _operation("Write a text and give it as a whole.", _WHOLE) | _body(TextAsked, settings)},
        "/api/next": {
            "post": _operation("The words that could follow, the likeliest first.", _NEXT)
            | _body(NextWordsAsked, settings)
        },
        "/api/score": {"post": _operation("How likely each word of a text is.", _SCORE) | _body(ScoreAsked, settings)},
    }
    info = {"title": "wordgen", "version": version, "description": "Write with trained models."}
    return {
        "openapi": "3.1.0",
        "info": info,
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
    }


def _operation(summary: str, answer: Schema, media_type: str = "application/json") -> dict[str, Any]:
    refused = {"application/json": {"schema": _object(error=_TEXT)}}
    responses = {status: {"description": why, "content": refused} for status, why in _REFUSALS.items()}
    good = {"description": "As asked.", "content": {media_type: {"schema": answer}}}
    return {"summary": summary, "responses": {"200": good, **responses}}


def _body(group: type[Settings], settings: ServingSettings) -> dict[str, Any]:
    content = {"application/json": {"schema": schema_of(group, settings)}}
    return {"requestBody": {"required": True, "content": content}}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


_WRITE = (
    "Write a text, one JSON object a line as it comes: begin; a word each; copies, which are what stands so in the "
    "training text; end. What goes wrong on the way is an object error."
)
_MODEL = _object(name=_TEXT, corpus=_or_null(_TEXT), network=_or_null(_TEXT), problem=_or_null(_TEXT))
_ABOUT = _object(name=_TEXT, corpus=_TEXT, symbols=_NUMBER, knows_copies=_TRUTH, examples=_list(_TEXT))
_WORD = {"piece": _TEXT, "symbols": _list(_TEXT)}
_COPY = _object(start=_NUMBER, symbols=_NUMBER, text=_TEXT, file=_TEXT, line=_NUMBER)
_BEGIN = {
    "model": _TEXT,
    "random_seed": _NUMBER,
    "seed_words": _list(_object(**_WORD)),
    "unknown": _list(_object(word=_TEXT, near=_list(_TEXT))),
    "cut": _TRUTH,
}
_END = {"ended": _TEXT, "perplexity": _NUMBER, "seconds": _NUMBER}
_COPIES = _or_null(_list(_COPY))
_EVENT = {
    "oneOf": [
        _object(event={"const": "begin"}, **_BEGIN),
        _object(event={"const": "word"}, **_WORD, bits=_NUMBER, put_in=_TRUTH),
        _object(event={"const": "copies"}, copies=_COPIES),
        _object(event={"const": "end"}, symbols=_NUMBER, **_END),
        _object(event={"const": "error"}, error=_TEXT),
    ]
}
_WHOLE = _object(
    **_BEGIN,
    text=_TEXT,
    words=_list(_object(**_WORD, bits=_NUMBER, put_in=_TRUTH)),
    copies=_COPIES,
    symbols=_NUMBER,
    **_END,
)
_NEXT = _object(model=_TEXT, words=_list(_object(word=_TEXT, **_WORD, probability=_NUMBER, bits=_NUMBER)))
_SCORED = _object(piece=_TEXT, symbol=_TEXT, bits=_NUMBER, known=_TRUTH)
_SCORE = _object(
    model=_TEXT, words=_list(_SCORED), sentences=_list(_object(text=_TEXT, perplexity=_NUMBER)), perplexity=_NUMBER
)
