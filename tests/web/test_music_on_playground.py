"""Music in the playground in a real Chromium: what a model of tunes writes is drawn and played, within the policy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.browser import PROGRAMS, Page, find_chromium
from tests.helpers.music_page import DRAWN, PLAYS, RESTS, heard, listen, state, tones_of
from tests.helpers.playground import Playground
from tests.helpers.playground_page import choose_model, set_number, write
from tests.helpers.tunes import TUNE
from wordgen.report.music import music_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason=f"none of {', '.join(PROGRAMS)} is installed"),
]
NO_MUSIC = "document.querySelector('.music').hidden"


@pytest.fixture
def tunes(page: Page, playground: Playground) -> Iterator[Page]:
    """The playground with the model of the airs; it may load nothing from elsewhere."""
    page.requests.clear()
    choose_model(page, "airs")
    set_number(page, "length", "3")
    yield page
    assert {each for each in page.requests if not each.startswith(f"http://127.0.0.1:{playground.port}/")} == set()


def test_what_a_model_of_tunes_writes_is_drawn_and_played(tunes: Page):
    write(tunes, TUNE)
    tunes.wait(DRAWN)
    text = tunes.value("document.querySelector('.text').textContent").replace("¶", "").replace("↵", "")
    music = music_in(text.strip(), "abc")
    assert tunes.count(".score .abcjs-note") == len({at for *_, at in music.marks}) > 20
    assert tunes.value("document.querySelector('.music').ariaLabel") == "First: music"
    listen(tunes)
    tunes.click(".play")
    tunes.wait(PLAYS)
    tunes.wait("document.querySelector('.score .sounding') && window.heard.length > 10")
    assert state(tunes) == "running"
    for (at, frequency), (right_at, right) in zip(heard(tunes), tones_of(music), strict=False):
        assert at == pytest.approx(right_at, abs=2)
        assert frequency == pytest.approx(right, rel=1e-3)
    write(tunes, "K:C")  # a new text stops the old one
    tunes.wait("window.heard.at(-1).context.state === 'closed'")


def test_a_text_without_notes_is_said_to_have_none(tunes: Page):
    write(tunes, TUNE)
    tunes.wait(DRAWN)
    tunes.value(
        "(real => { window.fetch = (place, options) => place === '/api/music'"
        " ? Promise.resolve(new Response('{\"notes\": []}')) : real(place, options); })(window.fetch)"
    )
    write(tunes, TUNE)
    tunes.wait("document.querySelector('.status').innerText.endsWith('The text has no notes to play.')")
    assert tunes.value(NO_MUSIC)


def test_a_model_of_words_has_no_music(page: Page, playground: Playground):
    choose_model(page, "spells")
    write(page, "The caster")
    assert page.value(NO_MUSIC)
    assert not [each for each in page.requests if each.endswith("/abcjs.js")] or page.count(".score") == 0
    answer = playground.post("/api/music", model="spells", text="K:C\nC")
    assert answer.status == 422
    assert answer.content["error"] == "spells writes text and no music (--tokenizer english): choose another model."
    assert playground.post("/api/music", model="airs", text="K:C\n" + "C" * 6000).status == 422


def test_two_texts_have_a_player_each_and_one_sounds(page: Page):
    page.click("#compare")
    page.wait("document.querySelectorAll('.side').length === 2")
    choose_model(page, "airs", 0)
    choose_model(page, "airs", 1)
    write(page, TUNE)
    page.wait("document.querySelectorAll('.score svg').length === 2")
    listen(page)
    page.click(".play", 1)
    page.wait("document.querySelectorAll('.play')[1].textContent === 'Stop'")
    page.click(".play", 0)
    page.wait(f"{PLAYS} && document.querySelectorAll('.play')[1].textContent === 'Play'")
    page.click("#compare")
    page.wait("document.querySelectorAll('.side').length === 1")
    page.click(".play")
    page.wait(RESTS)


def test_it_fits_a_phone_in_the_dark(tunes: Page, tmp_path: Path):
    tunes.show_as(390, 844, dark=True, phone=True)
    write(tunes, TUNE)
    tunes.wait(DRAWN)
    assert tunes.value("document.documentElement.scrollWidth") == 390
    assert tunes.value("document.querySelector('.score svg').getBoundingClientRect().right") <= 390
    tunes.value("document.querySelector('.music').scrollIntoView()")
    tunes.picture(tmp_path / "phone.png", whole=False)
