"""report.html of a run of music: the scripts, the data, and no markup from tunes."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

import wordgen.report
from tests.helpers.music_page import HEAD, HOSTILE_WORDS, run_of_music
from tests.helpers.page_reader import read_page
from tests.helpers.tunes import TUNE
from wordgen.report.music import music_in
from wordgen.report.page import render_page

STATIC = Path(wordgen.report.__file__).parent / "static"
ABCJS_6_7_2 = "3290ef44c918d5e882029d3a47ad3dd63c16c8819da5abe921f3d1e642b4f4f0"
"""The SHA-256 of dist/abcjs-basic-min.js in abcjs 6.7.2 from npm."""


def test_abcjs_is_the_published_file_with_licence():
    assert hashlib.sha256((STATIC / "abcjs-basic-min.js").read_bytes()).hexdigest() == ABCJS_6_7_2
    licence = (STATIC / "abcjs-basic-min.js.LICENSE").read_text(encoding="utf-8")
    assert "Permission is hereby granted, free of charge" in licence
    assert licence.strip() in render_page("tunes", run_of_music("abc", TUNE))


def test_only_runs_of_music_have_scripts_and_a_policy():
    records = (run_of_music("abc", TUNE), run_of_music("notes", "C4 =12"), run_of_music("chords", "C4.E4"))
    for page in (read_page(render_page("tunes", record)) for record in records):
        assert [script.get("type") for script in page.named("script")] == ["application/json", None, "module"]
        (policy,) = page.named("meta", **{"http-equiv": "Content-Security-Policy"})
        assert str(policy["content"]).startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")
    html = render_page("tale", run_of_music("characters", TUNE))
    assert "<script" not in html
    assert "Content-Security-Policy" not in html


def test_unplayable_music_is_replaced_by_a_sentence():
    page = read_page(render_page("tunes", run_of_music("abc", "K:C\n", HEAD + "CDEFGABc|" * 700)))
    assert "This text has no note." in page.shown
    assert "more than 5,000 notes to play" in page.shown
    assert len(page.named("div", class_="music")) == 0


def tune_with(word: str) -> str:
    return f"T:{word}\n{HEAD}C8|\nN:{word}\n{word}\nE8|]"


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(HOSTILE_WORDS) | st.text(min_size=1, max_size=40))
def test_tune_text_adds_no_tags(word: str):
    harmless, page = (read_page(render_page("n", run_of_music("abc", tune_with(each)))) for each in ("x", word))
    assert [(tag, sorted(names)) for tag, names in page.tags] == [(tag, sorted(names)) for tag, names in harmless.tags]
    assert page.within("script")[1:] == harmless.within("script")[1:]
    music = json.loads(page.within("script")[0])
    assert music == json.loads(json.dumps(asdict(music_in(tune_with(word), "abc"))))
