"""report.html of a run of music in a real Chromium without a network: the score and the player."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.browser import PROGRAMS, Page, find_chromium, open_browser
from tests.helpers.music import scale
from tests.helpers.music_page import (
    HEAD,
    HOSTILE_WORDS,
    PLAYING,
    SCORE_DRAWN,
    STOPPED,
    audio_state,
    expected_tones,
    record_tones,
    recorded_tones,
    run_of_music,
    set_tempo,
)
from tests.helpers.tunes import TUNE
from wordgen.music.piece import as_title, notes_text
from wordgen.report.music import music_in
from wordgen.report.page import render_page
from wordgen.run.record import RunRecord

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason=f"none of {', '.join(PROGRAMS)} is installed"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Page]:
    with open_browser() as page:
        yield page


@pytest.fixture
def page(chromium: Page) -> Iterator[Page]:
    """A tab without a network; afterwards, checks for errors and requests."""
    chromium.call(
        "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1
    )
    chromium.errors.clear()
    chromium.requests.clear()
    yield chromium
    assert chromium.errors == []
    assert {request for request in chromium.requests if not request.startswith("file:")} == set()
    assert len(chromium.requests) == 1


def show(page: Page, folder: Path, record: RunRecord, *, dark: bool = False) -> None:
    path = folder / "report.html"
    path.write_text(render_page("tunes", record), encoding="utf-8")
    page.set_screen(1000, dark=dark)
    page.open(path.as_uri())
    page.value("document.querySelector('.music').scrollIntoView()")
    page.wait(SCORE_DRAWN)


def test_tune_is_drawn_and_played(page: Page, tmp_path: Path):
    show(page, tmp_path, run_of_music("abc", TUNE))
    music = music_in(TUNE, "abc")
    assert page.count(".score .abcjs-note") == len({position for *_, position in music.marks}) == 34
    assert page.count(".score .abcjs-chord") == 11
    assert page.text(".music-title") == "Test"
    record_tones(page)
    page.click(".play")
    page.wait(PLAYING)
    page.wait("document.querySelector('.score .sounding')")
    page.wait("window.tones.length > 20")
    assert audio_state(page) == "running"
    tones = zip(recorded_tones(page), expected_tones(music), strict=False)
    for (onset, frequency), (expected_onset, expected_frequency) in tones:
        assert onset == pytest.approx(expected_onset, abs=2)
        assert frequency == pytest.approx(expected_frequency, rel=1e-3)
    page.click(".play")
    page.wait(STOPPED)
    page.wait("window.tones.at(-1).context.state === 'closed'")
    assert page.text(".playing-status") == "Stopped."
    assert page.count(".sounding") == 0
    assert len(recorded_tones(page)) < len(music.notes)


def test_player_stops_at_the_end(page: Page, tmp_path: Path):
    show(page, tmp_path, run_of_music("notes", "C4 =6 +6 E4 =6"))
    record_tones(page)
    page.click(".play")
    page.wait("document.querySelector('.playing-status').textContent === 'The end.'")
    page.wait("window.tones.at(-1).context.state === 'closed'")
    assert [round(onset) for onset, _ in recorded_tones(page)] == [0, 250]
    assert page.text(".time") == "0:00 of 0:01"


def test_tempo_can_be_set_before_and_during_playing(page: Page, tmp_path: Path):
    text = "+6 ".join(f"{name}4 =6 " for name in 4 * "CDEFGABAGFEDCDEFGABAGFED")
    show(page, tmp_path, run_of_music("notes", text))
    music = music_in(text, "notes")
    set_tempo(page, 240)
    assert "240" in page.text(".tempo")
    assert page.text(".time") == "0:00 of 0:12"
    record_tones(page)
    page.click(".play")
    page.wait("window.tones.length > 8")
    onsets = [onset for onset, _ in recorded_tones(page)]
    assert onsets == pytest.approx([onset for onset, _ in expected_tones(music, 2)][: len(onsets)], abs=2)
    set_tempo(page, 60)
    page.wait("window.tones.length > 1")
    (first, _), (second, _), *_ = recorded_tones(page)
    assert second - first == pytest.approx(500, abs=2)
    page.click(".play")
    page.wait(STOPPED)


def test_keyboard_plays_one_piece_at_a_time(page: Page, tmp_path: Path):
    show(page, tmp_path, run_of_music("abc", TUNE, TUNE.replace("Test", "Other")))
    page.wait("document.querySelectorAll('.score svg').length === 2")
    record_tones(page)
    page.value("document.querySelector('.play').focus()")
    assert page.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press(" ")
    page.wait(PLAYING)
    page.press("Tab")
    assert page.value("document.activeElement.labels[0].innerText").startswith("Tempo")
    page.press("ArrowRight")
    assert "121" in page.text(".tempo")
    page.press("Tab")
    page.press("Enter")
    page.wait(f"{STOPPED} && document.querySelectorAll('.play')[1].textContent === 'Stop'")
    page.press("Enter")
    page.wait("document.querySelectorAll('.play')[1].textContent === 'Play'")
    groups = page.value("[...document.querySelectorAll('.music')].map(each => each.role + each.ariaLabel)")
    assert groups == ["groupMusic", "groupMusic"]
    assert page.value("document.querySelector('.score svg').getAttribute('aria-label')") == "Score of Test"


def test_folded_samples_are_drawn_when_opened(page: Page, tmp_path: Path):
    show(page, tmp_path, run_of_music("abc", TUNE, epochs=5))
    assert page.count("details .score svg") == 0
    page.value(
        "(each => (each.open = true, each.scrollIntoView()))"
        "([...document.querySelectorAll('details')].find(each => each.querySelector('.music')))"
    )
    page.wait("document.querySelector('details .score svg')")
    assert page.value("document.querySelector('details .abcjs-notehead').getBBox().width") > 5


def test_piano_music_has_two_staves_in_dark_mode(page: Page, tmp_path: Path):
    show(page, tmp_path, run_of_music("notes", notes_text(scale(12))), dark=True)
    assert page.count(".score .abcjs-clef") >= 2
    assert page.value("getComputedStyle(document.querySelector('.abcjs-notehead')).fill") == "rgb(232, 232, 234)"


@pytest.mark.parametrize("word", HOSTILE_WORDS)
def test_hostile_tune_adds_no_markup(page: Page, tmp_path: Path, word: str):
    hostile = (
        f'T:{word}<img src=x onerror="document.title=1">\nC:<b>x</b>\nR:<i>\n%%text <u>x</u>\n{HEAD}'
        '"^<u>x</u>"C4 "<b>"D4|\nw:<i>x</i>\n!<b>!E8|]'
    )
    show(page, tmp_path, run_of_music("abc", hostile))
    assert page.count(".score .abcjs-note") == 3
    assert page.count("img, b, i, u") == 0
    assert page.value("document.title") == "tunes: a model of tale"
    assert as_title(word) in page.value("document.querySelector('.music-title').textContent")
