"""Actions on the page of the playground, for tests and for pictures."""

import json

from tests.helpers.browser import Page

READY = "document.body.dataset.ready === 'yes'"
WRITTEN = (
    "document.querySelector('#stop').disabled && document.querySelector('.word') && !document.querySelector('.writing')"
)
LISTED = "document.querySelector('#alternatives-list button')"


def choose_model(page: Page, model: str, side: int = 0) -> None:
    """Choose the model of a side, and wait: what depends on the model arrives later and moves the buttons."""
    choose(page, ".model", model, side)
    page.wait(f"document.querySelectorAll('.side')[{side}].dataset.ready === {json.dumps(model)}")


def choose(page: Page, selector: str, value: str, number: int = 0) -> None:
    """Choose an option of a select element."""
    element = f"document.querySelectorAll({json.dumps(selector)})[{number}]"
    page.value(
        f"{element}.value = {json.dumps(value)}, {element}.dispatchEvent(new Event('change', {{bubbles: true}}))"
    )
    assert page.value(f"{element}.value") == value


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
