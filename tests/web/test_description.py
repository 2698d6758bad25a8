"""The description of the API is true: each operation answers as it is described."""

from typing import Any

import pytest

from tests.helpers.page_reader import read_page
from tests.helpers.playground import Playground
from tests.helpers.tunes import TUNE

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
