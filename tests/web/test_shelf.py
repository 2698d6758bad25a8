"""Which models may be asked for: those that are listed, by their names, and nothing else on the disk."""

import json
import os
import shutil
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.playground import Playground, make_model, plain_text, save_drawn
from wordgen.bundle import CONFIG, VOCABULARY, WEIGHTS
from wordgen.errors import BundleError, SettingError
from wordgen.text.vocabulary import Vocabulary
from wordgen.web.limits import MOST_MODELS_AT_HAND
from wordgen.web.refusals import RefusedError
from wordgen.web.shelf import Shelf

WORDS = Vocabulary.from_counts({"moon": 3, "light": 2}, 100, 1)


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def add_model(name: str, time: float = 0.0, corpus: str = "tale") -> Path:
    folder = save_drawn(Path("saved_models") / name, WORDS, plain_text(corpus))
    os.utime(folder / WEIGHTS, (time, time))
    return folder


def test_all_models_are_listed_the_newest_first_and_new_ones_as_they_come(room: Path):
    shelf = Shelf([])
    assert shelf.list() == []
    add_model("old", 100)
    add_model("new", 200)
    assert [each["name"] for each in shelf.list()] == ["new", "old"]
    assert shelf.find(None)[0] == "new"
    add_model("newest", 300)
    assert shelf.find(None)[0] == "newest"
    assert shelf.list()[0] == {"name": "newest", "corpus": "tale", "network": "1 x 8 LSTM, 5 symbols", "problem": None}


def test_an_empty_room_says_how_to_get_a_model(room: Path):
    with pytest.raises(RefusedError, match=r"no trained model in saved_models yet\. Train one first: .* train"):
        Shelf([]).find(None)


def outside(playground_room: Path) -> Path:
    """A model beside saved_models, which nobody has offered."""
    folder = playground_room / "secret"
    if not folder.exists():
        make_model(folder, "spells")
    return folder


@pytest.mark.parametrize(
    "name", ["../secret", "{room}/secret", "spells/../../secret", ".", "..", "", "spells/", "SPELLS", "spell"]
)
def test_no_name_leads_out_of_saved_models(name: str, playground: Playground, playground_room: Path):
    outside(playground_room)
    name = name.format(room=playground_room)
    for place in ("/api/text", "/api/write", "/api/next"):
        answer = playground.post(place, model=name)
        assert answer.status == 404
        assert answer.content["error"] == f"There is no model '{name[:100]}' here; there are: spells, lyrics."
    assert playground.ask("GET", f"/api/models/{quote(name, safe='')}").status in (404, 307) or name == ""
    assert playground.ask("GET", f"/api/models/{name}").status != 200 or name == ""


@pytest.mark.parametrize(
    "place", ["/../secret/config.json", "/%2e%2e/app.py", "/..%2fapp.py", "/static/index.html", "//etc/passwd"]
)
def test_no_path_leads_out_of_the_pages(place: str, playground: Playground):
    assert playground.ask("GET", place).status == 404


def test_models_that_are_named_are_the_only_ones(room: Path):
    add_model("one")
    add_model("two")
    shelf = Shelf(["two", "saved_models/two"])
    assert [each["name"] for each in shelf.list()] == ["two"]
    with pytest.raises(RefusedError, match="There is no model 'one' here; there are: two"):
        shelf.find("one")
    with pytest.raises(BundleError, match="no model 'three'"):
        Shelf(["three"])
    shutil.copytree("saved_models/two", "elsewhere/two")
    with pytest.raises(SettingError, match="Two models are called two"):
        Shelf(["two", "elsewhere/two"])


def test_a_damaged_model_is_listed_with_what_is_wrong(room: Path):
    folder = add_model("broken")
    (folder / CONFIG).write_text("{")
    assert "is damaged" in str(Shelf([]).list()[0]["problem"])
    with pytest.raises(BundleError, match="is damaged"):
        Shelf([]).find("broken")


def test_a_model_that_was_trained_anew_is_read_anew(room: Path):
    shelf = Shelf([])
    add_model("tale", 100)
    first = shelf.find("tale")[1]
    assert shelf.find("tale")[1] is first
    shutil.rmtree("saved_models/tale")
    add_model("tale", 200, corpus="other")
    assert shelf.find("tale")[1].corpus == "other"


def test_only_some_models_are_kept_at_hand(room: Path):
    shelf = Shelf([])
    for number in range(MOST_MODELS_AT_HAND + 1):
        add_model(f"tale-{number}")
    kept = shelf.find("tale-1")[1]
    for number in range(MOST_MODELS_AT_HAND):
        shelf.find(f"tale-{number}")
    assert shelf.find("tale-1")[1] is kept
    shelf.find(f"tale-{MOST_MODELS_AT_HAND}")
    first = shelf.find("tale-2")[1]
    assert len(shelf._at_hand) == MOST_MODELS_AT_HAND
    assert first is shelf.find("tale-2")[1]


def test_hostile_names_are_told_as_they_are(room: Path):
    add_model("tale", corpus='<img src=x onerror="1">')
    assert json.loads((Path("saved_models/tale") / CONFIG).read_text())["text"]["corpus"].startswith("<img")
    assert Shelf([]).list()[0]["corpus"] == '<img src=x onerror="1">'
    assert (Path("saved_models/tale") / VOCABULARY).exists()
