"""report.html of a run of music in a real Chromium without a network: the score is drawn, and the player plays it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.browser import PROGRAMS, Page, find_chromium, open_browser
from tests.helpers.music import scale
from tests.helpers.music_page import (
    DRAWN,
    HEAD,
    HOSTILE_WORDS,
    PLAYS,
    RESTS,
    heard,
    listen,
    run_of_music,
    set_tempo,
    state,
    tones_of,
)
from tests.helpers.tunes import TUNE
from wordgen.music.piece import as_title, notes_text
from wordgen.report.music import music_in
from wordgen.report.page import page_of
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
    """A tab without a network, in which nothing goes wrong."""
    chromium.call(
        "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1
    )
    chromium.complaints.clear()
    chromium.requests.clear()
    yield chromium
    assert chromium.complaints == []
    assert {each for each in chromium.requests if not each.startswith("file:")} == set()
    assert len(chromium.requests) == 1


def show(page: Page, folder: Path, of: RunRecord, *, dark: bool = False) -> None:
    path = folder / "report.html"
    path.write_text(page_of("tunes", of), encoding="utf-8")
    page.show_as(1000, dark=dark)
    page.open(path.as_uri())
    page.value("document.querySelector('.music').scrollIntoView()")
    page.wait(DRAWN)


def test_a_tune_is_drawn_and_played(page: Page, tmp_path: Path):
    show(page, tmp_path, run_of_music("abc", TUNE))
    music = music_in(TUNE, "abc")
    assert page.count(".score .abcjs-note") == len({at for *_, at in music.marks}) == 34
    assert page.count(".score .abcjs-chord") == 11
    assert page.text(".music-title") == "Test"
    listen(page)
    page.click(".play")
    page.wait(PLAYS)
    page.wait("document.querySelector('.score .sounding')")
    page.wait("window.heard.length > 20")
    assert state(page) == "running"
    tones = heard(page)
    for (at, frequency), (right_at, right) in zip(tones, tones_of(music), strict=False):
        assert at == pytest.approx(right_at, abs=2)
        assert frequency == pytest.approx(right, rel=1e-3)
    page.click(".play")
    page.wait(RESTS)
    page.wait("window.heard.at(-1).context.state === 'closed'")
    assert page.text(".playing-status") == "Stopped."
    assert page.count(".sounding") == 0
    assert len(heard(page)) < len(music.notes)


def test_a_short_piece_ends_by_itself(page: Page, tmp_path: Path):
    show(page, tmp_path, run_of_music("notes", "C4 =6 +6 E4 =6"))
    listen(page)
    page.click(".play")
    page.wait("document.querySelector('.playing-status').textContent === 'The end.'")
    page.wait("window.heard.at(-1).context.state === 'closed'")
    assert [round(at) for at, _ in heard(page)] == [0, 250]
    assert page.text(".time") == "0:00 of 0:01"


def test_the_tempo_can_be_set_before_and_while_it_plays(page: Page, tmp_path: Path):
    text = "+6 ".join(f"{name}4 =6 " for name in "CDEFGABAGFEDCDEFGABAGFED")
    show(page, tmp_path, run_of_music("notes", text))
    music = music_in(text, "notes")
    set_tempo(page, 240)
    assert "240" in page.text(".tempo")
    assert page.text(".time") == "0:00 of 0:03"
    listen(page)
    page.click(".play")
    page.wait("window.heard.length > 8")
    begins = [at for at, _ in heard(page)]
    assert begins == pytest.approx([at for at, _ in tones_of(music, 2)][: len(begins)], abs=2)
    set_tempo(page, 60)
    page.wait("window.heard.length > 1")
    (begin, _), (after, _), *_ = heard(page)
    assert after - begin == pytest.approx(500, abs=2)
    page.click(".play")
    page.wait(RESTS)


def test_by_keyboard_one_piece_at_a_time(page: Page, tmp_path: Path):
    show(page, tmp_path, run_of_music("abc", TUNE, TUNE.replace("Test", "Other")))
    page.wait("document.querySelectorAll('.score svg').length === 2")
    listen(page)
    page.value("document.querySelector('.play').focus()")
    assert page.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press(" ")
    page.wait(PLAYS)
    page.press("Tab")
    assert page.value("document.activeElement.labels[0].innerText").startswith("Tempo")
    page.press("ArrowRight")
    assert "121" in page.text(".tempo")
    page.press("Tab")
    page.press("Enter")
    page.wait(f"{RESTS} && document.querySelectorAll('.play')[1].textContent === 'Stop'")
    page.press("Enter")
    page.wait("document.querySelectorAll('.play')[1].textContent === 'Play'")
    groups = page.value("[...document.querySelectorAll('.music')].map(each => each.role + each.ariaLabel)")
    assert groups == ["groupMusic", "groupMusic"]
    assert page.value("document.querySelector('.score svg').getAttribute('aria-label')") == "Score of Test"


def test_folded_samples_are_drawn_when_they_are_opened(page: Page, tmp_path: Path):
    show(page, tmp_path, run_of_music("abc", TUNE, epochs=5))
    assert page.count("details .score svg") == 0
    page.value(
        "(each => (each.open = true, each.scrollIntoView()))"
        "([...document.querySelectorAll('details')].find(each => each.querySelector('.music')))"
    )
    page.wait("document.querySelector('details .score svg')")
    assert page.value("document.querySelector('details .abcjs-notehead').getBBox().width") > 5


def test_piano_music_has_two_staves_in_the_dark(page: Page, tmp_path: Path):
    show(page, tmp_path, run_of_music("notes", notes_text(scale(12))), dark=True)
    assert page.count(".score .abcjs-clef") >= 2
    assert page.value("getComputedStyle(document.querySelector('.abcjs-notehead')).fill") == "rgb(232, 232, 234)"


@pytest.mark.parametrize("word", HOSTILE_WORDS)
def test_hostile_tunes_become_no_markup(page: Page, tmp_path: Path, word: str):
    bad = (
        f'T:{word}<img src=x onerror="document.title=1">\nC:<b>x</b>\nR:<i>\n%%text <u>x</u>\n{HEAD}'
        '"^<u>x</u>"C4 "<b>"D4|\nw:<i>x</i>\n!<b>!E8|]'
    )
    show(page, tmp_path, run_of_music("abc", bad))
    assert page.count(".score .abcjs-note") == 3
    assert page.count("img, b, i, u") == 0
    assert page.value("document.title") == "tunes: a model of tale"
    assert as_title(word) in page.value("document.querySelector('.music-title').textContent")
