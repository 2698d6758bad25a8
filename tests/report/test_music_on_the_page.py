"""report.html of a run of music: its scripts, its data, and that no tune becomes markup."""

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
from wordgen.report.page import page_of

STATIC = Path(wordgen.report.__file__).parent / "static"
ABCJS_6_7_2 = "3290ef44c918d5e882029d3a47ad3dd63c16c8819da5abe921f3d1e642b4f4f0"
"""The SHA-256 of dist/abcjs-basic-min.js in abcjs 6.7.2 from npm."""


def test_abcjs_is_the_one_that_was_published_and_has_its_licence():
    assert hashlib.sha256((STATIC / "abcjs-basic-min.js").read_bytes()).hexdigest() == ABCJS_6_7_2
    licence = (STATIC / "abcjs-basic-min.js.LICENSE").read_text(encoding="utf-8")
    assert "Permission is hereby granted, free of charge" in licence
    assert licence.strip() in page_of("tunes", run_of_music("abc", TUNE))


def test_only_runs_of_music_have_scripts_and_a_policy():
    runs = (run_of_music("abc", TUNE), run_of_music("notes", "C4 =12"), run_of_music("chords", "C4.E4"))
    for read in (read_page(page_of("tunes", run)) for run in runs):
        assert [its.get("type") for its in read.named("script")] == ["application/json", None, "module"]
        (policy,) = read.named("meta", **{"http-equiv": "Content-Security-Policy"})
        assert str(policy["content"]).startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")
    text = page_of("tale", run_of_music("characters", TUNE))
    assert "<script" not in text
    assert "Content-Security-Policy" not in text


def test_a_text_without_notes_or_too_long_has_a_sentence():
    read = read_page(page_of("tunes", run_of_music("abc", "K:C\n", HEAD + "CDEFGABc|" * 700)))
    assert "This text has no note." in read.shown
    assert "more than 5,000 notes to play" in read.shown
    assert len(read.named("div", class_="music")) == 0


def tune_about(word: str) -> str:
    return f"T:{word}\n{HEAD}C8|\nN:{word}\n{word}\nE8|]"


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(HOSTILE_WORDS) | st.text(min_size=1, max_size=40))
def test_no_tag_comes_from_a_tune(word: str):
    harmless, read = (read_page(page_of("n", run_of_music("abc", tune_about(each)))) for each in ("x", word))
    assert [(tag, sorted(its)) for tag, its in read.tags] == [(tag, sorted(its)) for tag, its in harmless.tags]
    assert read.within("script")[1:] == harmless.within("script")[1:]
    music = json.loads(read.within("script")[0])
    assert music == json.loads(json.dumps(asdict(music_in(tune_about(word), "abc"))))
