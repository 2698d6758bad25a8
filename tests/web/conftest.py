"""The room that the tests of the playground share, and a server in it; none of them changes either."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.browser import Page, open_browser
from tests.helpers.playground import Playground, make_model, served
from tests.helpers.playground_page import READY
from wordgen.api import load
from wordgen.generation.trained import TrainedModel


@pytest.fixture(scope="session")
def playground_room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of the spells, one of the Japanese lyrics and one of the airs."""
    room = tmp_path_factory.mktemp("playground")
    make_model(room / "saved_models" / "airs", "airs")
    make_model(room / "saved_models" / "lyrics", "lyrics")
    make_model(room / "saved_models" / "spells", "spells")
    return room


@pytest.fixture(scope="session")
def spells(playground_room: Path) -> TrainedModel:
    return load(playground_room / "saved_models" / "spells")


@pytest.fixture(scope="session")
def playground(playground_room: Path) -> Iterator[Playground]:
    with served(playground_room) as running:
        yield running


@pytest.fixture(scope="session")
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
