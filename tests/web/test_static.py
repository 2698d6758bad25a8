"""The files of the page: they use no other server, and scripts make no markup of texts."""

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
def test_file_is_short_and_names_no_other_server(path: Path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") < 300
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text)) - {"http://www.w3.org"}
    assert addresses == set()


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".js"], ids=lambda path: path.name)
def test_scripts_insert_only_text(path: Path):
    unsafe = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextual|eval\(|Function\(|srcdoc"
    )
    assert re.findall(unsafe, path.read_text(encoding="utf-8")) == []


def test_page_has_no_inline_script_or_style():
    assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", HTML) == []


def test_page_has_all_elements_that_scripts_look_for():
    scripts = "".join(path.read_text(encoding="utf-8") for path in FILES if path.suffix == ".js")
    ids = set(re.findall(r"(?:getElementById|byId)\(\"([\w-]+)\"\)", scripts))
    classes = set(re.findall(r"this\.find\(\"\.([\w-]+)\"\)", scripts))
    assert len(ids) > 8
    assert len(classes) > 8
    assert {each for each in ids if f'id="{each}"' not in HTML} == set()
    classes_of_page = {name for each in re.findall(r'class="([^"]+)"', HTML) for name in each.split()}
    assert classes - classes_of_page == set()


def test_files_are_served_with_their_types(playground: Playground):
    types = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    for path in FILES:
        place = "/" if path.name == "index.html" else f"/{path.name}"
        answer = playground.ask("GET", place)
        assert answer.status == 200
        assert answer.headers["content-type"].startswith(types[path.suffix])
        assert answer.body == path.read_bytes()


def test_abcjs_is_served(playground: Playground):
    answer = playground.ask("GET", "/abcjs.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.body == scripts().abcjs.encode()
