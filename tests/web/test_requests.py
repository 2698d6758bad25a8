"""The requests of the API and its description, which is true: each operation answers as it is described."""

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
GROUPS = (TextRequest, NextWordsRequest, ScoreRequest)
BOUNDED = [
    (group, name, schema)
    for group in GROUPS
    for name, schema in schema_of(group, LIMITS)["properties"].items()
    if {"minimum", "maximum", "exclusiveMinimum"} & set(schema)
]
NEEDED = {TextRequest: {"length": 300}, NextWordsRequest: {}, ScoreRequest: {"text": "x"}}


def read(group: Any, content: Any) -> Any:
    return read_request(group, json.dumps(content).encode(), LIMITS)


@pytest.mark.parametrize(("group", "name", "schema"), BOUNDED)
def test_the_told_bounds_are_those_that_are_kept(group: Any, name: str, schema: dict[str, Any]):
    whole = "integer" in schema["type"]
    for bound, way in (("minimum", -1), ("maximum", 1), ("exclusiveMinimum", 0)):
        if bound not in schema:
            continue
        at = schema[bound]
        beyond = at if way == 0 else at + way if whole else math.nextafter(at, way * math.inf)
        assert way == 0 or getattr(read(group, {**NEEDED[group], name: at}), name) == at
        with pytest.raises(SettingError, match=rf"^{name} "):
            read(group, {**NEEDED[group], name: beyond})


@pytest.mark.parametrize("group", GROUPS)
def test_the_told_defaults_are_the_defaults(group: Any):
    schema = schema_of(group, LIMITS)
    asked = read(group, dict.fromkeys(schema.get("required", []), "x"))
    for name, its in schema["properties"].items():
        if "default" in its:
            given = getattr(asked, name)
            assert (list(given) if isinstance(given, tuple) else given) == its["default"]


def test_the_settings_of_writing_are_those_of_the_flags():
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
def test_what_cannot_be_is_said_in_the_words_of_the_api(content: Any, sentence: str):
    with pytest.raises(WordgenError) as error:
        read(TextRequest, content)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"seed": "\\ud800"}', b"[" * 100_000, b"1" * 5000])
def test_what_is_no_json_is_refused(body: bytes, playground: Playground):
    with pytest.raises(WordgenError):
        read_request(TextRequest, body, LIMITS)
    answer = playground.ask("POST", "/api/text", body)
    assert answer.status == 400
    assert answer.content["error"].startswith("The request must be")


def test_each_slider_goes_over_allowed_values_and_holds_the_default():
    told = controls(LIMITS)
    assert [each["name"] for each in told] == [f.name for f in fields(GenerationSettings) if f.name != "count"]
    slid = [each for each in told if each["slider"]]
    numbers = [each["name"] for each in told if each["type"] in ("integer", "number")]
    assert [each["name"] for each in slid] == numbers
    for each in slid:
        first, last, step = each["slider"]
        assert first <= each["default"] <= last
        for value in (first, last):
            read(TextRequest, {"length": 300, "beams": 20, each["name"]: value})
        assert ((each["default"] - first) / step) == pytest.approx(round((each["default"] - first) / step))
    assert flag_name("top_p") not in json.dumps(told)


def test_the_settings_of_tunes_are_told_apart():
    of_tunes = [each["name"] for each in controls(LIMITS) if each["only_for_tunes"]]
    assert of_tunes == ["key", "metre", "only_valid", "max_copy_notes"]


ASKED = {
    "/api/write": {"model": "spells", "seed": "The caster", "length": 3},
    "/api/text": {"model": "spells", "seed": "The castr", "length": 3},
    "/api/next": {"model": "spells", "seed": "The caster"},
    "/api/score": {"model": "spells", "text": "The caster sleeps."},
    "/api/music": {"model": "airs", "text": TUNE},
}
PYTHON = {"string": str, "number": (int, float), "integer": int, "boolean": bool, "null": type(None), "array": list}


@pytest.fixture(scope="module")
def described(playground: Playground) -> dict[str, Any]:
    return playground.ask("GET", "/openapi.json").content


def check(value: Any, schema: dict[str, Any], place: str) -> None:
    """A value against the part of JSON Schema that is used here; nothing is told that is not described."""
    if "const" in schema:
        assert value == schema["const"], place
    elif schema.get("type") == "object":
        assert set(value) == set(schema["properties"]), place
        for name, each in value.items():
            check(each, schema["properties"][name], f"{place}.{name}")
    elif schema:
        kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        assert any(isinstance(value, PYTHON[kind]) for kind in kinds), (place, value)
        for each in value if isinstance(value, list) else []:
            check(each, schema["items"], f"{place}[]")


def answer_schema(operation: dict[str, Any]) -> dict[str, Any]:
    (content,) = operation["responses"]["200"]["content"].values()
    return content["schema"]


def test_answers_are_as_described(described: dict[str, Any], playground: Playground):
    for path, methods in described["paths"].items():
        if "get" in methods:
            answer = playground.ask("GET", path.replace("{name}", "spells"))
            check(answer.content, answer_schema(methods["get"]), path)
        else:
            answer = playground.ask("POST", path, ASKED[path])
            schema = answer_schema(methods["post"])
            if path != "/api/write":
                check(answer.content, schema, path)
            else:
                by_event = {each["properties"]["event"]["const"]: each for each in schema["oneOf"]}
                for line in answer.lines:
                    check(line, by_event[line["event"]], path)
        assert answer.status == 200


def test_refusals_are_as_described(described: dict[str, Any], playground: Playground):
    asked = [(400, "x"), (404, {"model": "none"}), (422, {"length": -1}), (413, {"seed": "x" * 300_000})]
    for status, content in asked:
        answer = playground.ask("POST", "/api/write", content)
        assert answer.status == status
        assert list(answer.content) == ["error"]
        assert str(status) in described["paths"]["/api/write"]["post"]["responses"]


def test_the_page_of_the_api_tells_every_operation_and_setting(described: dict[str, Any], playground: Playground):
    answer = playground.ask("GET", "/api")
    assert answer.headers["content-type"].startswith("text/html")
    page = playground_page(answer.body)
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert f"{method.upper()} {path}" in page
            for content in operation.get("requestBody", {}).get("content", {}).values():
                assert all(name in page for name in content["schema"]["properties"])


def playground_page(body: bytes) -> str:
    return read_page(
        body.decode().replace('href="/icon.svg">', 'href="/icon.svg"></link>').replace('.css">', '.css"></link>')
    ).shown
