"""The page in a real Chromium without a mouse, on a phone, with hostile texts, and when things go wrong."""

from pathlib import Path

import pytest

from tests.helpers.browser import PROGRAMS, Page, find_chromium
from tests.helpers.playground import plain_text, save_drawn, served
from tests.helpers.playground_page import LISTED, READY, WRITTEN, set_number, words, write
from wordgen.text.vocabulary import Vocabulary

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason=f"none of {', '.join(PROGRAMS)} is installed"),
]


def test_it_can_be_used_by_keyboard_alone(page: Page):
    page.value("document.querySelector('#seed').focus()")
    page.type("The caster")
    page.press("Enter", control=True)
    page.wait(WRITTEN)
    for _ in range(60):
        page.press("Tab")
        if page.value("document.activeElement.classList.contains('word')"):
            break
    page.press("ArrowRight")
    page.press("ArrowRight")
    assert page.value("document.activeElement.textContent") == words(page)[2]
    assert page.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press("Enter")
    page.wait(f"{LISTED} && document.activeElement.closest('#alternatives-list')")
    page.press("Escape")
    page.wait("!document.querySelector('dialog').open")
    assert page.value("document.activeElement.textContent") == words(page)[2]
    page.press(" ")
    page.wait(f"{LISTED} && document.activeElement.closest('#alternatives-list')")
    page.press("ArrowDown")
    chosen = page.value("document.activeElement.firstChild.textContent")
    page.press("Enter")
    page.wait(f"!document.querySelector('dialog').open && {WRITTEN}")
    assert words(page)[2] == chosen.replace("(end)", "¶")
    unnamed = page.value(
        "[...document.querySelectorAll('input, select, textarea')].filter(each => !each.labels.length"
        " && !each.getAttribute('aria-label')).length"
    )
    assert unnamed == 0


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone(dark: bool, page: Page):
    page.show_as(390, 844, dark=dark, phone=True)
    page.value("for (const each of document.querySelectorAll('details')) each.open = true")
    page.click("#compare")
    write(page, "The caster")
    assert page.value("document.documentElement.scrollWidth") == 390
    wide = page.value(
        "[...document.querySelectorAll('main *')].filter(each => !each.closest('.heard')"
        " && each.getBoundingClientRect().right > 391).length"
    )
    assert wide == 0
    page.click(".word", 1)
    page.wait(LISTED)
    box = page.value(
        "(box => [box.left, box.right, box.bottom])(document.querySelector('dialog').getBoundingClientRect())"
    )
    assert box == [0, 390, 844]
    word = page.value("document.querySelectorAll('.word')[1].getBoundingClientRect().bottom")
    assert word < page.value("document.querySelector('dialog').getBoundingClientRect().top")


@pytest.mark.parametrize("dark", [False, True])
def test_the_most_surprising_words_can_be_read_best_of_all(dark: bool, page: Page):
    page.show_as(1280, dark=dark)
    write(page, "The caster")
    colours = page.value(
        """(word => {
          word.style.setProperty("--tint", 1);
          const own = getComputedStyle(word);
          const below = getComputedStyle(document.querySelector(".text")).backgroundColor;
          return [own.color, own.backgroundColor, below].map(each => each.match(/[\\d.]+/g).map(Number));
        })(document.querySelectorAll(".word")[3])"""
    )
    letters, (*tint, share), panel = colours
    ground = [share * over + (1 - share) * under for over, under in zip(tint, panel, strict=True)]
    brighter, darker = sorted((luminance(letters), luminance(ground)), reverse=True)
    assert (brighter + 0.05) / (darker + 0.05) >= 4.5  # what WCAG asks for


def luminance(colour: list[float]) -> float:
    """As WCAG defines it."""
    linear = [(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for c in (each / 255 for each in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_where_the_browser_does_not_let_it_copy_it_selects_the_text_and_says_so(page: Page):
    write(page, "The caster")
    page.value("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.click(".copy-text")
    page.wait("document.querySelector('.status').innerText.includes('so you can copy it yourself')")
    assert page.value("getSelection().toString()").startswith("The caster")


def test_what_is_refused_is_shown_and_the_text_stays(page: Page):
    write(page, "The caster")
    before = words(page)
    set_number(page, "length", "99999")
    page.click("#write")
    page.wait("document.querySelector('.status.problem')")
    assert words(page) == before
    set_number(page, "length", "5")
    page.click(".word", 4)
    page.wait(LISTED)
    page.value("window.fetch = () => Promise.reject(new TypeError('gone'))")
    page.click("#alternatives-list button", 3)
    page.wait("document.querySelector('.status').innerText.includes('The server does not answer')")
    assert words(page) == before
    page.complaints[:] = [each for each in page.complaints if "422" not in each]


def test_what_is_refused_is_shown_and_the_page_goes_on(page: Page):
    set_number(page, "length", "99999")
    page.click("#write")
    page.wait("document.querySelector('.status.problem')")
    assert page.text(".status") == "length must be at most 1,000 here, not 99,999."
    set_number(page, "length", "5")
    write(page, "The caster")
    assert page.count(".status.problem") == 0
    assert all("422" in each for each in page.complaints)
    page.complaints.clear()


def test_an_empty_model_folder_is_shown_with_what_to_do(chromium: Page, tmp_path: Path):
    with served(tmp_path) as empty:
        chromium.show_as(1280)
        chromium.open(empty.address)
        chromium.wait("document.querySelector('[role=alert]:not([hidden])')")
        told = chromium.text("[role=alert]")
        assert told == (
            "There is no trained model in saved_models yet. Train one first: python -m wordgen train --corpus lotr"
        )
        assert chromium.value("document.querySelector('form').inert")


def test_nothing_from_a_model_or_a_user_becomes_markup(chromium: Page, tmp_path: Path):
    bad = '<img src=x onerror="document.title=1">'
    vocabulary = Vocabulary.from_counts({bad: 3, "<b>moon</b>": 2, "&amp;": 2}, 100, 1)
    text = plain_text(bad)
    save_drawn(tmp_path / "saved_models" / "<b>bold<i>", vocabulary, text)
    with served(tmp_path) as hostile:
        chromium.complaints.clear()
        chromium.show_as(1280)
        chromium.open(hostile.address)
        chromium.wait(READY)
        write(chromium, f"{bad} <script>document.title = 1</script> &lt;b&gt;")
        chromium.click(".word", 0)
        chromium.wait(LISTED)
        assert chromium.count("img, main script, b, i, .text script") == 0
        assert chromium.value("document.title") == "wordgen playground"
        assert bad in chromium.value("document.querySelector('.text').textContent")
        assert bad in chromium.text(".network")
        assert chromium.value("document.querySelector('.model').value") == "<b>bold<i>"
        assert chromium.complaints == []


def test_a_text_that_breaks_off_is_told_and_stays(chromium: Page, playground_room: Path):
    with served(playground_room, "spells", "--longest", "50000") as leaving:
        chromium.open(leaving.address)
        chromium.wait(READY)
        set_number(chromium, "length", "50000")
        chromium.click("#write")
        chromium.wait("document.querySelectorAll('.word').length > 50")
        leaving.process.kill()
        chromium.wait("document.querySelector('.status.problem')")
        assert chromium.text(".status") == "The text was interrupted. Is wordgen serve still running?"
        assert len(words(chromium)) > 50
        assert chromium.value("document.querySelector('#stop').disabled")


def test_a_server_that_has_gone_is_told(chromium: Page, playground_room: Path):
    with served(playground_room) as leaving:
        chromium.open(leaving.address)
        chromium.wait(READY)
        leaving.stop()
    chromium.click("#write")
    chromium.wait("document.querySelector('.status.problem')")
    assert chromium.text(".status") == "The server does not answer. Is wordgen serve still running?"
