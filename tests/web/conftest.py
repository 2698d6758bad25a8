"""Models and a server for the tests of the playground. Tests must not change them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.browser import Page, open_browser
from tests.helpers.playground import Playground, make_model, served
from tests.helpers.playground_page import READY
from wordgen.api import load
from wordgen.generation.trained import TrainedModel


@pytest.fixture(scope="session")
def playground_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with untrained models of the spells, the Japanese lyrics and the airs."""
    folder = tmp_path_factory.mktemp("playground")
    make_model(folder / "saved_models" / "airs", "airs")
    make_model(folder / "saved_models" / "lyrics", "lyrics")
    make_model(folder / "saved_models" / "spells", "spells")
    return folder


@pytest.fixture(scope="session")
def spells_model(playground_folder: Path) -> TrainedModel:
    return load(playground_folder / "saved_models" / "spells")


@pytest.fixture(scope="session")
def playground(playground_folder: Path) -> Iterator[Playground]:
    with served(playground_folder) as playground_server:
        yield playground_server


@pytest.fixture(scope="session")
def chromium() -> Iterator[Page]:
    with open_browser() as page:
        yield page


@pytest.fixture
def page(chromium: Page, playground: Playground) -> Iterator[Page]:
    """The playground on a large screen, with a fixed random seed. The console must stay free of errors."""
    chromium.open("about:blank")  # so that the page of the test before reports no more errors
    chromium.errors.clear()
    chromium.set_screen(1280)
    chromium.open(playground.address)
    chromium.wait(READY)
    chromium.value("document.querySelector('input[name=random_seed]').value = '1'")
    yield chromium
    assert chromium.errors == []
