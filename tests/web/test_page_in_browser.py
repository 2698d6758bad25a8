"""The playground in a real Chromium, as a user works with it."""

import re
from pathlib import Path

import pytest

from tests.helpers.browser import PROGRAMS, Page, find_chromium
from tests.helpers.playground import served
from tests.helpers.playground_page import LISTED, READY, WRITTEN, choose, choose_model, set_number, words, write
from wordgen.corpus.finding import open_corpus

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason=f"none of {', '.join(PROGRAMS)} is installed"),
]
NAMES = "[...document.querySelectorAll('#alternatives-list button')].map(each => each.firstChild.textContent)"


def test_words_are_tinted_by_their_surprisal(page: Page):
    choose_model(page, "spells")
    set_number(page, "length", "20")
    write(page, "The caster")
    assert words(page)[:2] == ["The", "caster"]
    assert len(words(page)) == 22
    tints = page.value("[...document.querySelectorAll('.word')].map(word => word.style.getPropertyValue('--tint'))")
    assert tints[:2] == ["", ""]
    titles = page.value("[...document.querySelectorAll('.word')].map(word => word.title)")
    for tint, title in list(zip(tints, titles, strict=True))[2:]:
        bits = float(re.match(r"([\d.]+) bits: one in ", title)[1])  # pyright: ignore[reportOptionalSubscript]
        assert float(tint) == pytest.approx(min(bits / 14, 1), abs=0.01)
    assert re.match(r"20 tokens in [\d.]+ s: the length is reached\. Perplexity ", page.text(".status"))
    backgrounds = page.value(
        "[...document.querySelectorAll('.word')].map(word => getComputedStyle(word).backgroundColor)"
    )
    assert len(set(backgrounds)) > 5


def test_words_stream_and_writing_can_be_stopped(chromium: Page, playground_folder: Path):
    with served(playground_folder, "spells", "--longest", "50000") as server:
        chromium.set_screen(1280)
        chromium.open(server.address)
        chromium.wait(READY)
        set_number(chromium, "length", "50000")
        chromium.click("#write")
        for number in (1, 100, 200):
            chromium.wait(f"document.querySelectorAll('.word').length > {number}")
            assert not chromium.value("document.querySelector('#stop').disabled")
        chromium.click("#stop")
        chromium.wait(WRITTEN)
        number_of_words = len(words(chromium))
        assert 200 < number_of_words < 50_000
        assert chromium.text(".status") == f"Stopped after {number_of_words:,} words."
        assert server.post("/api/text", length=1).status == 200


def test_text_continues_from_chosen_alternative(page: Page):
    choose_model(page, "spells")
    write(page, "The caster")
    before = words(page)
    page.click(".word", 6)
    page.wait(LISTED)
    shares = page.value(
        "[...document.querySelectorAll('.bar')].map(bar => Number(bar.style.getPropertyValue('--share')))"
    )
    assert len(shares) == 12
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1
    names = page.value(NAMES)
    number = next(n for n, name in enumerate(names) if name not in (before[6], "(end)"))
    page.click("#alternatives-list button", number)
    page.wait(f"document.querySelectorAll('.word').length > 7 && {WRITTEN}")
    after = words(page)
    assert after[:7] == [*before[:6], names[number]]
    assert len(after) == 7 + 50
    assert not page.value("document.querySelector('dialog').open")


def test_late_alternatives_of_another_word_are_ignored(page: Page):
    choose_model(page, "spells")
    write(page, "The caster")
    page.value(
        """(() => {
          const real = window.fetch;
          window.fetch = (place, options) => {
            if (place !== '/api/next' || window.release) return real(place, options);
            return new Promise((done) => { window.release = () => real(place, options).then(done); });
          };
        })()"""
    )
    page.click(".word", 3)
    page.wait("document.querySelector('#alternatives-status').innerText === 'Loading …'")
    page.press("Escape")
    page.click(".word", 6)
    page.wait(LISTED)
    names = page.value(NAMES)
    page.value("window.release(), new Promise((done) => setTimeout(done, 500))")
    assert page.value(NAMES) == names
    assert words(page)[6] in page.text("#alternatives-title")
    page.press("Escape")


def test_alternatives_are_those_of_the_model_that_wrote(page: Page):
    choose_model(page, "spells")
    write(page, "The caster")
    before = words(page)
    choose_model(page, "lyrics")
    page.click(".word", 4)
    page.wait(LISTED)
    page.click("#alternatives-list button", 1)
    page.wait(f"document.querySelectorAll('.word').length > 5 && {WRITTEN}")
    assert words(page)[:4] == before[:4]
    assert not re.search("[ぁ-ん]", "".join(words(page)))


def test_spaces_and_ends_are_shown_as_signs(page: Page):
    pieces = page.value(
        """import('/words.js').then(({ Words }) => {
          const element = document.createElement('p');
          const words = new Words(element, () => {});
          for (const piece of ['a', ' b', '', '\\n\\nc', '\\n', '\u3000', ', ']) words.add({ piece, tokens: ['x'] });
          const whole = element.textContent;
          words.truncate(2);
          return [[...element.querySelectorAll('.word')].map(word => word.textContent), whole, element.textContent];
        })"""
    )
    assert pieces == [["a", "b"], "a b¶\n\nc↵\n␣\u3000, ", "a b"]


def test_two_models_or_settings_can_be_compared(page: Page):
    page.click("#compare")
    page.wait("document.querySelectorAll('.side').length === 2")
    choose_model(page, "spells", 0)
    choose_model(page, "lyrics", 1)
    write(page, "")
    assert words(page, 0) != words(page, 1)
    assert re.search("[ぁ-ん]", "".join(words(page, 1)))
    choose_model(page, "spells", 1)
    choose(page, "select[name=mode]", "greedy", 0)
    choose(page, "select[name=mode]", "greedy", 1)
    write(page, "The caster")
    assert words(page, 0) == words(page, 1)
    boxes = page.value("[...document.querySelectorAll('.written')].map(each => each.getBoundingClientRect().x)")
    assert boxes[0] < boxes[1]
    page.click("#compare")
    page.wait("document.querySelectorAll('.side').length === 1")


def test_match_is_marked_with_file_and_line(page: Page):
    lines = Path(open_corpus("spells").files[0]).read_text(encoding="utf-8").split("\n")
    number, line = next((n, each) for n, each in enumerate(lines, 1) if len(each.split()) > 9)
    choose_model(page, "spells")
    page.wait("document.querySelector('.network').textContent.includes('spells')")
    write(page, line)
    titles = page.value("[...document.querySelectorAll('.word.copied')].map(word => word.title)")
    assert len(titles) >= 10
    assert titles[0].startswith(f"Copied from the training text: spells.txt, line {number} (")
    page.click(".word", 3)
    page.wait(LISTED)
    assert f"spells.txt, line {number}" in page.text("#alternatives-facts")
    page.press("Escape")


def test_click_on_example_writes_japanese(page: Page):
    choose_model(page, "lyrics")
    page.wait("/[ぁ-ん一-龠]/.test(document.querySelector('#examples').innerText)")
    example = page.text("#examples button")
    page.click("#examples button")
    page.wait(WRITTEN)
    assert page.value("document.querySelector('#seed').value") == example
    assert page.text(".text").replace("¶", "").startswith(example)
    assert " " not in page.text(".text").split("\n")[0]


def test_tune_settings_are_shown_only_for_models_of_tunes(page: Page):
    hidden = (
        "['key', 'metre', 'only_valid', 'max_copy_notes']"
        ".map(name => document.querySelector(`[name=${name}]`).closest('fieldset').hidden)"
    )
    choose_model(page, "airs")
    assert page.value(hidden) == [False] * 4
    page.value("document.querySelector('[name=key]').value = 'D'")
    choose_model(page, "spells")
    assert page.value(hidden) == [True] * 4
    write(page, "The caster")
    assert page.text(".status").startswith("50 tokens in ")  # the key was not sent


def test_copies_can_be_forbidden_only_with_copy_index(page: Page):
    disabled = page.value(
        """(async () => {
          const { Controls } = await import('/controls.js');
          const { settings } = await (await fetch('/api/settings')).json();
          const controls = new Controls(settings, document.createElement('div'), document.createElement('div'));
          return [true, false].map((has_copy_index) => {
            controls.setModel({ has_copy_index, writes_tunes: true });
            return ['max_copy', 'max_copy_notes'].map((name) => controls.of(name).fieldset.disabled);
          });
        })()"""
    )
    assert disabled == [[False, False], [True, True]]
