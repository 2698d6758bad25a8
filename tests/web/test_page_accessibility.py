"""The page in a real Chromium: keyboard, phone, contrast, hostile texts and errors."""

from pathlib import Path

import pytest

from tests.helpers.browser import PROGRAMS, Page, find_chromium
from tests.helpers.playground import save_random_model, served, text_config
from tests.helpers.playground_page import LISTED, READY, WRITTEN, set_number, words, write
from wordgen.text.vocabulary import Vocabulary

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason=f"none of {', '.join(PROGRAMS)} is installed"),
]


def test_page_works_with_keyboard_alone(page: Page):
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
    controls_without_label = page.value(
        "[...document.querySelectorAll('input, select, textarea')].filter(each => !each.labels.length"
        " && !each.getAttribute('aria-label')).length"
    )
    assert controls_without_label == 0


def test_page_fits_phone(page: Page):
    page.set_screen(390, 844, phone=True)
    page.value("for (const each of document.querySelectorAll('details')) each.open = true")
    page.click("#compare")
    write(page, "The caster")
    assert page.value("document.documentElement.scrollWidth") == 390
    too_wide = page.value(
        "[...document.querySelectorAll('main *')].filter(each => !each.closest('.announcements')"
        " && each.getBoundingClientRect().right > 391).length"
    )
    assert too_wide == 0
    page.click(".word", 1)
    page.wait(LISTED)
    box = page.value(
        "(box => [box.left, box.right, box.bottom])(document.querySelector('dialog').getBoundingClientRect())"
    )
    assert box == [0, 390, 844]
    word = page.value("document.querySelectorAll('.word')[1].getBoundingClientRect().bottom")
    assert word < page.value("document.querySelector('dialog').getBoundingClientRect().top")


@pytest.mark.parametrize("dark", [False, True])
def test_words_with_strongest_tint_have_enough_contrast(dark: bool, page: Page):
    page.set_screen(1280, dark=dark)
    write(page, "The caster")
    colours = page.value(
        """(word => {
          word.style.setProperty("--tint", 1);
          const own = getComputedStyle(word);
          const below = getComputedStyle(document.querySelector(".text")).backgroundColor;
          return [own.color, own.backgroundColor, below].map(each => each.match(/[\\d.]+/g).map(Number));
        })(document.querySelectorAll(".word")[3])"""
    )
    text_colour, (*tint, share), panel_colour = colours
    background = [share * over + (1 - share) * under for over, under in zip(tint, panel_colour, strict=True)]
    brighter, darker = sorted((luminance(text_colour), luminance(background)), reverse=True)
    assert (brighter + 0.05) / (darker + 0.05) >= 4.5  # the least contrast that WCAG allows


def luminance(colour: list[float]) -> float:
    """The relative luminance as WCAG defines it."""
    linear = [(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for c in (each / 255 for each in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_is_selected_if_browser_forbids_copying(page: Page):
    write(page, "The caster")
    page.value("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.click(".copy-text")
    page.wait("document.querySelector('.status').innerText.includes('so you can copy it yourself')")
    assert page.value("getSelection().toString()").startswith("The caster")


def test_errors_are_shown_and_text_stays(page: Page):
    write(page, "The caster")
    before = words(page)
    set_number(page, "length", "99999")
    page.click("#write")
    page.wait("document.querySelector('.status.problem')")
    assert page.text(".status") == "length must be at most 1,000 here, not 99,999."
    assert words(page) == before
    set_number(page, "length", "5")
    write(page, "The caster")
    assert page.count(".status.problem") == 0
    before = words(page)
    page.click(".word", 4)
    page.wait(LISTED)
    page.value("window.fetch = () => Promise.reject(new TypeError('gone'))")
    page.click("#alternatives-list button", 3)
    page.wait("document.querySelector('.status').innerText.includes('The server does not answer')")
    assert words(page) == before
    assert all("422" in each for each in page.errors)
    page.errors.clear()


def test_page_without_models_advises_training(chromium: Page, tmp_path: Path):
    with served(tmp_path, "--models", "mine") as server:
        chromium.set_screen(1280)
        chromium.open(server.address)
        chromium.wait("document.querySelector('[role=alert]:not([hidden])')")
        message = chromium.text("[role=alert]")
        command = "python -m wordgen train --models mine --corpus lotr"
        assert message == f"There is no trained model in mine yet. Train one first: {command}"
        assert chromium.value("document.querySelector('form').inert")


def test_texts_of_models_and_users_never_become_markup(chromium: Page, tmp_path: Path):
    markup = '<img src=x onerror="document.title=1">'
    vocabulary = Vocabulary.from_counts({markup: 3, "<b>moon</b>": 2, "&amp;": 2}, 100, 1)
    text = text_config(markup)
    save_random_model(tmp_path / "saved_models" / "<b>bold<i>", vocabulary, text)
    with served(tmp_path) as server:
        chromium.errors.clear()
        chromium.set_screen(1280)
        chromium.open(server.address)
        chromium.wait(READY)
        write(chromium, f"{markup} <script>document.title = 1</script> &lt;b&gt;")
        chromium.click(".word", 0)
        chromium.wait(LISTED)
        assert chromium.count("img, main script, b, i, .text script") == 0
        assert chromium.value("document.title") == "wordgen playground"
        assert markup in chromium.value("document.querySelector('.text').textContent")
        assert markup in chromium.text(".network")
        assert chromium.value("document.querySelector('.model').value") == "<b>bold<i>"
        assert chromium.errors == []


def test_page_reports_lost_server_and_keeps_text(chromium: Page, playground_folder: Path):
    with served(playground_folder, "spells", "--longest", "50000") as server:
        chromium.open(server.address)
        chromium.wait(READY)
        set_number(chromium, "length", "50000")
        chromium.click("#write")
        chromium.wait("document.querySelectorAll('.word').length > 50")
        server.process.kill()
        chromium.wait("document.querySelector('.status.problem')")
        assert chromium.text(".status") == "The text was interrupted. Is wordgen serve still running?"
        assert len(words(chromium)) > 50
        assert chromium.value("document.querySelector('#stop').disabled")
        chromium.click("#write")
        chromium.wait("document.querySelector('.status').innerText.includes('The server does not answer')")
        assert chromium.text(".status") == "The server does not answer. Is wordgen serve still running?"
