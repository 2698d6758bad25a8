"""Music on the playground in a real Chromium: texts of a model of tunes are drawn and played."""

from collections.abc import Iterator

import pytest

from tests.helpers.browser import PROGRAMS, Page, find_chromium
from tests.helpers.music_page import (
    PLAYING,
    SCORE_DRAWN,
    STOPPED,
    audio_state,
    expected_tones,
    record_tones,
    recorded_tones,
)
from tests.helpers.playground import Playground
from tests.helpers.playground_page import LISTED, WRITTEN, choose_model, set_number, words, write
from tests.helpers.tunes import TUNE
from wordgen.report.music import music_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason=f"none of {', '.join(PROGRAMS)} is installed"),
]
NO_MUSIC = "document.querySelector('.music').hidden"


@pytest.fixture
def tunes_page(page: Page, playground: Playground) -> Iterator[Page]:
    """The playground with the model of the airs. It must load nothing from other servers."""
    page.requests.clear()
    choose_model(page, "airs")
    set_number(page, "length", "3")
    yield page
    assert {each for each in page.requests if not each.startswith(f"http://127.0.0.1:{playground.port}/")} == set()


def test_written_tune_is_drawn_and_played(tunes_page: Page):
    write(tunes_page, TUNE)
    tunes_page.wait(SCORE_DRAWN)
    text = tunes_page.value("document.querySelector('.text').textContent").replace("¶", "").replace("↵", "")
    music = music_in(text.strip(), "abc")
    assert tunes_page.count(".score .abcjs-note") == len({at for *_, at in music.marks}) > 20
    assert tunes_page.value("document.querySelector('.music').ariaLabel") == "First: music"
    record_tones(tunes_page)
    tunes_page.click(".play")
    tunes_page.wait(PLAYING)
    tunes_page.wait("document.querySelector('.score .sounding') && window.tones.length > 10")
    assert audio_state(tunes_page) == "running"
    for (at, frequency), (expected_at, expected) in zip(
        recorded_tones(tunes_page), expected_tones(music), strict=False
    ):
        assert at == pytest.approx(expected_at, abs=2)
        assert frequency == pytest.approx(expected, rel=1e-3)
    write(tunes_page, "K:C")  # a new text stops the old one
    tunes_page.wait("window.tones.at(-1).context.state === 'closed'")


def test_page_reports_text_without_notes(tunes_page: Page):
    write(tunes_page, TUNE)
    tunes_page.wait(SCORE_DRAWN)
    tunes_page.value(
        "(real => { window.fetch = (place, options) => place === '/api/music'"
        " ? Promise.resolve(new Response('{\"notes\": []}')) : real(place, options); })(window.fetch)"
    )
    write(tunes_page, TUNE)
    tunes_page.wait("document.querySelector('.status').innerText.endsWith('The text has no notes to play.')")
    assert tunes_page.value(NO_MUSIC)


def test_model_of_words_has_no_music(page: Page, playground: Playground):
    choose_model(page, "spells")
    write(page, "The caster")
    assert page.value(NO_MUSIC)
    assert page.count(".score") == 0
    answer = playground.post("/api/music", model="spells", text="K:C\nC")
    assert answer.status == 422
    assert answer.content["error"] == "spells writes text and no music (--tokenizer english): choose another model."
    assert playground.post("/api/music", model="airs", text="K:C\n" + "C" * 6000).status == 422


def test_starting_one_player_stops_the_other(page: Page):
    page.click("#compare")
    page.wait("document.querySelectorAll('.side').length === 2")
    choose_model(page, "airs", 0)
    choose_model(page, "airs", 1)
    write(page, TUNE)
    page.wait("document.querySelectorAll('.score svg').length === 2")
    record_tones(page)
    page.click(".play", 1)
    page.wait("document.querySelectorAll('.play')[1].textContent === 'Stop'")
    page.click(".play", 0)
    page.wait(PLAYING)
    labels = "[...document.querySelectorAll('.play')].map(button => button.textContent)"
    page.wait(f"{labels}.join() === 'Stop,Play'")
    page.click("#compare")
    page.wait("document.querySelectorAll('.side').length === 1")
    page.click(".play")
    page.wait(STOPPED)


def test_text_continues_after_the_prompt_and_the_header_of_its_metre(tunes_page: Page):
    set_number(tunes_page, "random_seed", "1")
    tunes_page.value("document.querySelector('[name=metre]').value = '6/8'")
    write(tunes_page, "T:")
    header = ["T:", "↵", "M:6/8", "↵"]
    assert words(tunes_page)[:4] == header
    tunes_page.value("document.querySelector('[name=metre]').value = ''")  # the text keeps its own
    tunes_page.value(
        "window.asked = []; (real => { window.fetch = (place, options) => {"
        " if (place === '/api/write') window.asked.push(JSON.parse(options.body));"
        " return real(place, options); } })(window.fetch)"
    )
    for place in (5, 1):  # after the header, and within it
        kept = words(tunes_page)[:place]
        tunes_page.click(".word", place)
        tunes_page.wait(LISTED)
        tunes_page.value("document.querySelectorAll('.word').forEach(word => { word.dataset.old = 'yes' })")
        tunes_page.click("#alternatives-list button", 1)
        new = "document.querySelector('.word:not([data-old])')"
        tunes_page.wait(f"{new} && document.querySelectorAll('.word').length > {place + 3} && {WRITTEN}")
        assert words(tunes_page)[:place] == kept
    after_header, within_header = tunes_page.value("window.asked")
    assert (after_header["seed"], after_header["metre"], len(after_header["tokens"])) == ("T:", "6/8", 2)
    assert (within_header.get("seed"), within_header["metre"]) == (None, None)
    assert within_header["tokens"][0] == "T:"
    assert len(within_header["tokens"]) == 2


def test_score_fits_phone(tunes_page: Page):
    tunes_page.set_screen(390, 844, dark=True, phone=True)
    write(tunes_page, TUNE)
    tunes_page.wait(SCORE_DRAWN)
    assert tunes_page.value("document.documentElement.scrollWidth") == 390
    assert tunes_page.value("document.querySelector('.score svg').getBoundingClientRect().right") <= 390
