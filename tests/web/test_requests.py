"""The requests of the API, and their OpenAPI description, which the answers match."""

import json
import math
from dataclasses import fields
from typing import Any

import pytest

from tests.helpers.page_reader import read_page
from tests.helpers.playground import Playground
from tests.helpers.tunes import TUNE
from wordgen.errors import SettingError, WordgenError
from wordgen.generation.settings import GenerationSettings
from wordgen.settings import flag_name
from wordgen.web.limits import ServingSettings
from wordgen.web.requests import NextWordsRequest, ScoreRequest, TextRequest, controls, read_request, schema_of

LIMITS = ServingSettings(longest=300)
REQUEST_TYPES = (TextRequest, NextWordsRequest, ScoreRequest)
BOUNDED_SETTINGS = [
    (request_type, name, schema)
    for request_type in REQUEST_TYPES
    for name, schema in schema_of(request_type, LIMITS)["properties"].items()
    if {"minimum", "maximum", "exclusiveMinimum"} & set(schema)
]
REQUIRED = {TextRequest: {"length": 300}, NextWordsRequest: {}, ScoreRequest: {"text": "x"}}


def read(request_type: Any, content: Any, limits: ServingSettings = LIMITS) -> Any:
    return read_request(request_type, json.dumps(content).encode(), limits)


@pytest.mark.parametrize(("request_type", "name", "schema"), BOUNDED_SETTINGS)
def test_described_bounds_are_enforced(request_type: Any, name: str, schema: dict[str, Any]):
    is_integer = "integer" in schema["type"]
    for bound, direction in (("minimum", -1), ("maximum", 1), ("exclusiveMinimum", 0)):
        if bound not in schema:
            continue
        limit = schema[bound]
        beyond = (
            limit
            if direction == 0
            else limit + direction
            if is_integer
            else math.nextafter(limit, direction * math.inf)
        )
        assert direction == 0 or getattr(read(request_type, {**REQUIRED[request_type], name: limit}), name) == limit
        with pytest.raises(SettingError, match=rf"^{name} "):
            read(request_type, {**REQUIRED[request_type], name: beyond})


@pytest.mark.parametrize("limits", [LIMITS, ServingSettings(longest=3)])
@pytest.mark.parametrize("request_type", REQUEST_TYPES)
def test_described_defaults_are_used(request_type: Any, limits: ServingSettings):
    schema = schema_of(request_type, limits)
    request = read(request_type, dict.fromkeys(schema.get("required", []), "x"), limits)
    for name, property_schema in schema["properties"].items():
        if "default" in property_schema:
            value = getattr(request, name)
            assert (list(value) if isinstance(value, tuple) else value) == property_schema["default"]


def test_text_request_has_all_generation_settings():
    properties = schema_of(TextRequest, LIMITS)["properties"]
    for each in fields(GenerationSettings):
        if each.name != "count":
            assert properties[each.name]["default"] == each.default
            assert "--" not in properties[each.name]["description"]
    assert "count" not in properties
    assert properties["length"]["maximum"] == 300


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"lenth": 3}, "'lenth' is not a setting; the settings are "),
        ({"count": 3}, "'count' is not allowed: each request writes one text."),
        ({"length": 301}, "length must be at most 300 here, not 301."),
        ({"length": "9"}, "length must be a whole number, not '9'."),
        ({"at_least": 60}, "at_least 60 is more than length 50: give a larger length."),
        ({"mode": "best"}, "mode must be one of greedy, sample, beam, not 'best'."),
        ({"until": ""}, "until must not be empty."),
        ({"tokens": "moon"}, "tokens must be a list of texts, not 'moon'."),
        ({"tokens": [1]}, "tokens must be a list of texts, not (1,)."),
        ({"tokens": ["a"] * 3001}, "tokens must be at most 3,000 here, not 3,001: put a longer text into seed, where"),
        ({"temperature": math.nan}, "temperature must be at least 1e-06 and at most 1,000,000.0, not nan."),
        ([], 'The request must be a JSON object, for example {"seed": "The road"}.'),
        (3, 'The request must be a JSON object, for example {"seed": "The road"}.'),
    ],
)
def test_errors_name_settings_as_in_the_api(content: Any, sentence: str):
    with pytest.raises(WordgenError) as error:
        read(TextRequest, content)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"seed": "\\ud800"}', b"[" * 100_000, b"1" * 5000])
def test_invalid_json_is_refused(body: bytes, playground: Playground):
    with pytest.raises(WordgenError):
        read_request(TextRequest, body, LIMITS)
    answer = playground.ask("POST", "/api/text", body)
    assert answer.status == 400
    assert answer.content["error"].startswith("The request must be")


def test_slider_of_short_texts_has_no_values_above_the_limit():
    (length,) = (each for each in controls(ServingSettings(longest=3)) if each["name"] == "length")
    assert (length["default"], length["slider"]) == (3, [3, 3, 5])


def test_slider_ranges_are_allowed_and_contain_the_default():
    settings = controls(LIMITS)
    assert [each["name"] for each in settings] == [f.name for f in fields(GenerationSettings) if f.name != "count"]
    sliders = [each for each in settings if each["slider"]]
    numbers = [each["name"] for each in settings if each["type"] in ("integer", "number")]
    assert [each["name"] for each in sliders] == numbers
    for each in sliders:
        first, last, step = each["slider"]
        assert first <= each["default"] <= last
        for value in (first, last):
            read(TextRequest, {"length": 300, "beams": 20, each["name"]: value})
        assert ((each["default"] - first) / step) == pytest.approx(round((each["default"] - first) / step))
    assert flag_name("top_p") not in json.dumps(settings)


def test_tune_settings_are_marked():
    names = [each["name"] for each in controls(LIMITS) if each["only_for_tunes"]]
    assert names == ["key", "metre", "only_valid", "max_copy_notes"]


REQUESTS = {
    "/api/write": {"model": "spells", "seed": "The caster", "length": 3},
    "/api/text": {"model": "spells", "seed": "The castr", "length": 3},
    "/api/next": {"model": "spells", "seed": "The caster"},
    "/api/score": {"model": "spells", "text": "The caster sleeps."},
    "/api/music": {"model": "airs", "text": TUNE},
}
PYTHON_TYPES = {
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
    "array": list,
}


@pytest.fixture(scope="module")
def openapi(playground: Playground) -> dict[str, Any]:
    return playground.ask("GET", "/openapi.json").content


def check_schema(value: Any, schema: dict[str, Any], place: str) -> None:
    """Check a value against the part of JSON Schema that is used here. Each key must be described."""
    if "const" in schema:
        assert value == schema["const"], place
    elif schema.get("type") == "object":
        assert set(value) == set(schema["properties"]), place
        for name, each in value.items():
            check_schema(each, schema["properties"][name], f"{place}.{name}")
    elif schema:
        types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        assert any(isinstance(value, PYTHON_TYPES[each]) for each in types), (place, value)
        for each in value if isinstance(value, list) else []:
            check_schema(each, schema["items"], f"{place}[]")


def answer_schema(operation: dict[str, Any]) -> dict[str, Any]:
    (content,) = operation["responses"]["200"]["content"].values()
    return content["schema"]


def test_answers_match_their_description(openapi: dict[str, Any], playground: Playground):
    for path, methods in openapi["paths"].items():
        if "get" in methods:
            answer = playground.ask("GET", path.replace("{name}", "spells"))
            check_schema(answer.content, answer_schema(methods["get"]), path)
        else:
            answer = playground.ask("POST", path, REQUESTS[path])
            schema = answer_schema(methods["post"])
            if path != "/api/write":
                check_schema(answer.content, schema, path)
            else:
                by_event = {each["properties"]["event"]["const"]: each for each in schema["oneOf"]}
                for line in answer.lines:
                    check_schema(line, by_event[line["event"]], path)
        assert answer.status == 200


def test_errors_match_their_description(openapi: dict[str, Any], playground: Playground):
    requests = [(400, "x"), (404, {"model": "none"}), (422, {"length": -1}), (413, {"seed": "x" * 300_000})]
    for status, content in requests:
        answer = playground.ask("POST", "/api/write", content)
        assert answer.status == status
        assert list(answer.content) == ["error"]
        assert str(status) in openapi["paths"]["/api/write"]["post"]["responses"]


def test_api_page_lists_every_operation_and_setting(openapi: dict[str, Any], playground: Playground):
    answer = playground.ask("GET", "/api")
    assert answer.headers["content-type"].startswith("text/html")
    page = visible_text(answer.body)
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            assert f"{method.upper()} {path}" in page
            for content in operation.get("requestBody", {}).get("content", {}).values():
                assert all(name in page for name in content["schema"]["properties"])


def visible_text(body: bytes) -> str:
    return read_page(
        body.decode().replace('href="/icon.svg">', 'href="/icon.svg"></link>').replace('.css">', '.css"></link>')
    ).shown
