"""A page that tells the API to people: what OpenAPI says, as tables, from this server alone."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from wordgen.page.markup import Markup, element, joined

_NOTHING: dict[str, Any] = {}


def description_page(described: Mapping[str, Any]) -> str:
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", "The API of wordgen"),
        Markup('<link rel="icon" href="/icon.svg"><link rel="stylesheet" href="/playground.css">'),
    )
    main = element("main", _introduction(), list(_operations(described)), class_="told")
    return joined(Markup("<!DOCTYPE html>\n"), element("html", head, element("body", main), lang="en"), "\n")


def _introduction() -> Markup:
    example = 'curl -N http://127.0.0.1:8000/api/write -d \'{"seed": "The road"}\''
    return joined(
        element("h1", "The API"),
        element(
            "p",
            "What the ",
            element("a", "playground", href="/"),
            " asks, your programs may ask too. All of it as OpenAPI: ",
            element("a", "openapi.json", href="/openapi.json"),
            ".",
        ),
        element("pre", example, tabindex=0),
    )


def _operations(described: Mapping[str, Any]) -> Iterator[Markup]:
    told: dict[str, str] = {}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield element("h2", element("code", f"{method.upper()} {path}"))
            yield element("p", operation["summary"])
            body = operation.get("requestBody", _NOTHING).get("content", _NOTHING)
            for content in body.values():
                earlier = told.setdefault(json.dumps(content), path)
                yield _fields(content["schema"]) if earlier == path else element("p", f"It takes what {earlier} takes.")


def _fields(schema: Mapping[str, Any]) -> Markup:
    head = element("thead", element("tr", [element("th", each, scope="col") for each in ("name", "default", "what")]))
    rows = [
        element(
            "tr",
            element("th", element("code", name), scope="row"),
            element("td", "" if each.get("default") in (None, "", []) else _shown(each["default"])),
            element("td", each["description"], " ", element("span", _allowed(each), class_="faint")),
        )
        for name, each in schema["properties"].items()
    ]
    return element("div", element("table", head, element("tbody", rows)), class_="scroll")


def _shown(default: object) -> str:
    return {True: "true", False: "false"}[default] if isinstance(default, bool) else str(default)


def _allowed(schema: Mapping[str, Any]) -> str:
    """What a value may be, in few words."""
    if "enum" in schema:
        return f"({', '.join(schema['enum'])})"
    least, most = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if least is None or most is None:
        return ""
    return f"({'above' if 'exclusiveMinimum' in schema else 'from'} {_plain(least)}, at most {_plain(most)})"


def _plain(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:f}"
