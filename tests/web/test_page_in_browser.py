"""The playground in a real Chromium, as somebody uses it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import PROGRAMS, Page, find_chromium, open_browser
from tests.playground import Playground, plain_text, save_drawn, served
from wordgen.corpora.finding import open_corpus
from wordgen.text.vocabulary import Vocabulary

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason=f"none of {', '.join(PROGRAMS)} is installed"),
]
READY = "document.body.dataset.ready === 'yes'"
WRITTEN = (
    "document.querySelector('#stop').disabled && document.querySelector('.word') && !document.querySelector('.writing')"
)
LISTED = "document.querySelector('#alternatives-list button')"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Page]:
    with open_browser() as page:
        yield page


@pytest.fixture
def page(chromium: Page, playground: Playground) -> Iterator[Page]:
    """The playground on a large screen; nothing may be complained of in its console."""
    chromium.complaints.clear()
    chromium.show_as(1280)
    chromium.open(playground.address)
    chromium.wait(READY)
    yield chromium
    assert chromium.complaints == []


def choose(page: Page, selector: str, value: str, number: int = 0) -> None:
    """An entry of a list of choices."""
    chosen = f"document.querySelectorAll({json.dumps(selector)})[{number}]"
    page.value(f"{chosen}.value = {json.dumps(value)}, {chosen}.dispatchEvent(new Event('change', {{bubbles: true}}))")
    assert page.value(f"{chosen}.value") == value


def set_number(page: Page, name: str, value: str) -> None:
    page.click(f"input[name={name}]")
    page.value(f"document.querySelector('input[name={name}]').select()")
    page.type(value)


def words(page: Page, side: int = 0) -> list[str]:
    return page.value(
        f"[...document.querySelectorAll('.side')[{side}].querySelectorAll('.word')].map(word => word.textContent)"
    )


def write(page: Page, seed: str) -> None:
    page.value("document.querySelector('#seed').value = ''")
    page.click("#seed")
    page.type(seed)
    page.click("#write")
    page.wait(WRITTEN)


def test_what_is_typed_is_written_on_each_word_tinted_by_its_surprisal(page: Page):
    choose(page, ".model", "spells")
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
    assert re.match(r"20 symbols in [\d.]+ s: the length is up\. Perplexity ", page.text(".status"))
    backgrounds = page.value(
        "[...document.querySelectorAll('.word')].map(word => getComputedStyle(word).backgroundColor)"
    )
    assert len(set(backgrounds)) > 5


def test_words_stream_in_and_a_text_can_be_stopped(chromium: Page, playground_room: Path):
    with served(playground_room, "spells", "--longest", "50000") as patient:
        chromium.show_as(1280)
        chromium.open(patient.address)
        chromium.wait(READY)
        set_number(chromium, "length", "50000")
        chromium.click("#write")
        for number in (1, 100, 200):
            chromium.wait(f"document.querySelectorAll('.word').length > {number}")
            assert not chromium.value("document.querySelector('#stop').disabled")
        chromium.click("#stop")
        chromium.wait(WRITTEN)
        stopped = len(words(chromium))
        assert 200 < stopped < 50_000
        assert chromium.text(".status") == f"Stopped after {stopped:,} words."
        assert patient.post("/api/text", length=1).status == 200


def test_another_word_can_be_chosen_to_go_on_from(page: Page):
    choose(page, ".model", "spells")
    write(page, "The caster")
    before = words(page)
    page.click(".word", 6)
    page.wait(LISTED)
    odds = page.value(
        "[...document.querySelectorAll('.bar')].map(bar => Number(bar.style.getPropertyValue('--share')))"
    )
    assert len(odds) == 12
    assert odds == sorted(odds, reverse=True)
    assert odds[0] == 1
    names = page.value(
        "[...document.querySelectorAll('#alternatives-list button')].map(each => each.firstChild.textContent)"
    )
    number = next(n for n, name in enumerate(names) if name not in (before[6], "(end)"))
    page.click("#alternatives-list button", number)
    page.wait(f"document.querySelectorAll('.word').length > 7 && {WRITTEN}")
    after = words(page)
    assert after[:7] == [*before[:6], names[number]]
    assert len(after) == 7 + 50
    assert not page.value("document.querySelector('dialog').open")


def test_the_alternatives_are_those_of_the_model_that_wrote(page: Page):
    choose(page, ".model", "spells")
    write(page, "The caster")
    before = words(page)
    choose(page, ".model", "lyrics")
    page.click(".word", 4)
    page.wait(LISTED)
    page.click("#alternatives-list button", 1)
    page.wait(f"document.querySelectorAll('.word').length > 5 && {WRITTEN}")
    assert words(page)[:4] == before[:4]
    assert not re.search("[ぁ-ん]", "".join(words(page)))


def test_spaces_and_ends_have_signs_to_be_chosen_by(page: Page):
    shown = page.value(
        """import('/words.js').then(({ Words }) => {
          const element = document.createElement('p');
          const words = new Words(element, () => {});
          for (const piece of ['a', ' b', '', '\\n\\nc', '\\n', '\u3000', ', ']) words.add({ piece, symbols: ['x'] });
          const whole = element.textContent;
          words.keep(2);
          return [[...element.querySelectorAll('.word')].map(word => word.textContent), whole, element.textContent];
        })"""
    )
    assert shown == [["a", "b"], "a b¶\n\nc↵\n␣\u3000, ", "a b"]


def test_two_models_or_two_settings_stand_side_by_side(page: Page):
    page.click("#compare")
    page.wait("document.querySelectorAll('.side').length === 2")
    choose(page, ".model", "spells", 0)
    choose(page, ".model", "lyrics", 1)
    write(page, "")
    assert words(page, 0) != words(page, 1)
    assert re.search("[ぁ-ん]", "".join(words(page, 1)))
    choose(page, ".model", "spells", 1)
    choose(page, "select[name=mode]", "greedy", 0)
    choose(page, "select[name=mode]", "greedy", 1)
    write(page, "The caster")
    assert words(page, 0) == words(page, 1)
    boxes = page.value("[...document.querySelectorAll('.written')].map(each => each.getBoundingClientRect().x)")
    assert boxes[0] < boxes[1]
    page.click("#compare")
    page.wait("document.querySelectorAll('.side').length === 1")


def test_what_stands_in_the_training_text_is_marked_with_its_line(page: Page):
    lines = Path(open_corpus("spells").files[0]).read_text(encoding="utf-8").split("\n")
    number, line = next((n, each) for n, each in enumerate(lines, 1) if len(each.split()) > 9)
    choose(page, ".model", "spells")
    page.wait("document.querySelector('.network').textContent.includes('spells')")
    write(page, line)
    titles = page.value("[...document.querySelectorAll('.word.copied')].map(word => word.title)")
    assert len(titles) >= 10
    assert titles[0].startswith(f"Word for word in the training text: spells.txt, line {number} (")
    page.click(".word", 3)
    page.wait(LISTED)
    assert f"spells.txt, line {number}" in page.text("#alternatives-facts")
    page.press("Escape")


def test_an_example_is_a_click_away_and_japanese_works(page: Page):
    choose(page, ".model", "lyrics")
    page.wait("/[ぁ-ん一-龠]/.test(document.querySelector('#examples').innerText)")
    example = page.text("#examples button")
    page.click("#examples button")
    page.wait(WRITTEN)
    assert page.value("document.querySelector('#seed').value") == example
    assert page.text(".text").replace("¶", "").startswith(example)
    assert " " not in page.text(".text").split("\n")[0]


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
        assert chromium.text(".status") == "The text broke off: is wordgen serve still running?"
        assert len(words(chromium)) > 50
        assert chromium.value("document.querySelector('#stop').disabled")


def test_a_server_that_has_gone_is_told(chromium: Page, playground_room: Path):
    with served(playground_room) as leaving:
        chromium.open(leaving.address)
        chromium.wait(READY)
        leaving.stop()
    chromium.click("#write")
    chromium.wait("document.querySelector('.status.problem')")
    assert chromium.text(".status") == "The server does not answer: is wordgen serve still running?"
