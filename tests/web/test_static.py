"""The files of the page: nothing from elsewhere, no text that could become markup, nothing named that is not there."""

import re
from pathlib import Path

import pytest

import wordgen.web
from tests.helpers.playground import Playground
from wordgen.report.music import PAGE_FILES, scripts

STATIC = Path(wordgen.web.__file__).parent / "static"
FILES = [*sorted(STATIC.iterdir()), *PAGE_FILES]
HTML = (STATIC / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_short_and_needs_nobody_else(path: Path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") < 300
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text)) - {"http://www.w3.org"}
    assert addresses == set()


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".js"], ids=lambda path: path.name)
def test_scripts_only_ever_put_in_text(path: Path):
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextual|eval\(|Function\(|srcdoc"
    assert re.findall(ways, path.read_text(encoding="utf-8")) == []


def test_the_page_has_no_script_or_style_within():
    assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", HTML) == []


def test_what_the_scripts_look_for_stands_in_the_page():
    scripts = "".join(path.read_text(encoding="utf-8") for path in FILES if path.suffix == ".js")
    ids = set(re.findall(r"(?:getElementById|byId)\(\"([\w-]+)\"\)", scripts))
    classes = set(re.findall(r"this\.find\(\"\.([\w-]+)\"\)", scripts))
    assert len(ids) > 8
    assert len(classes) > 8
    assert {each for each in ids if f'id="{each}"' not in HTML} == set()
    used = {name for each in re.findall(r'class="([^"]+)"', HTML) for name in each.split()}
    assert classes - used == set()


def test_each_file_is_served_as_what_it_is(playground: Playground):
    kinds = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    for path in FILES:
        place = "/" if path.name == "index.html" else f"/{path.name}"
        answer = playground.ask("GET", place)
        assert answer.status == 200
        assert answer.headers["content-type"].startswith(kinds[path.suffix])
        assert answer.body == path.read_bytes()


def test_the_program_that_draws_scores_is_served_with_its_licence(playground: Playground):
    answer = playground.ask("GET", "/abcjs.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.body == scripts().abcjs.encode()
