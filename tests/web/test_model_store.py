"""Which models may be asked for: those that are listed, by their names, and nothing else on the disk."""

import gc
import json
import os
import shutil
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.helpers.playground import Playground, make_model, plain_text, save_drawn, served
from wordgen.errors import BundleError, SettingError
from wordgen.model.bundle import CONFIG, VOCABULARY, WEIGHTS, Bundle, load_bundle
from wordgen.text.vocabulary import Vocabulary
from wordgen.web.answers import ModelStore
from wordgen.web.limits import MOST_LOADED_MODELS, RefusedError

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
    store = ModelStore([])
    assert store.list() == []
    add_model("old", 100)
    add_model("new", 200)
    assert [each["name"] for each in store.list()] == ["new", "old"]
    assert store.find(None)[0] == "new"
    add_model("newest", 300)
    assert store.find(None)[0] == "newest"
    assert store.list()[0] == {"name": "newest", "corpus": "tale", "network": "1 x 8 LSTM, 5 tokens", "problem": None}


def test_an_empty_room_says_how_to_get_a_model(room: Path):
    with pytest.raises(RefusedError, match=r"no trained model in saved_models yet\. Train one first: .* train"):
        ModelStore([]).find(None)


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
        assert answer.content["error"] == f"There is no model '{name[:100]}'. There are: spells, lyrics, airs."
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
    store = ModelStore(["two", "saved_models/two"])
    assert [each["name"] for each in store.list()] == ["two"]
    with pytest.raises(RefusedError, match=r"There is no model 'one'\. There are: two"):
        store.find("one")
    with pytest.raises(BundleError, match="no model 'three'"):
        ModelStore(["three"])
    shutil.copytree("saved_models/two", "elsewhere/two")
    with pytest.raises(SettingError, match="Two models have the name two"):
        ModelStore(["two", "elsewhere/two"])


def test_a_damaged_model_is_listed_with_what_is_wrong(room: Path):
    folder = add_model("broken")
    (folder / CONFIG).write_text("{")
    assert "is damaged" in str(ModelStore([]).list()[0]["problem"])
    with pytest.raises(BundleError, match="is damaged"):
        ModelStore([]).find("broken")


def test_a_damaged_model_is_a_fault_of_the_server_and_not_of_the_request(room: Path):
    (add_model("broken") / WEIGHTS).write_bytes(b"no weights")
    with served(room) as playground:
        answers = [playground.post(place, model="broken") for place in ("/api/text", "/api/write", "/api/next")]
        answers.append(playground.ask("GET", "/api/models/broken"))
    assert [answer.status for answer in answers] == [500] * 4
    assert all("is damaged" in answer.content["error"] for answer in answers)


def test_a_model_whose_folder_has_gone_since_is_missing(room: Path):
    folder = add_model("tale", 100)
    store = ModelStore(["tale"])
    store.find("tale")
    shutil.rmtree(folder)
    add_model("tales")
    with pytest.raises(RefusedError, match="The model 'tale' is not there any more") as missing:
        store.find("tale")
    assert missing.value.status == 404


def test_a_model_that_was_trained_anew_is_read_anew(room: Path):
    store = ModelStore([])
    add_model("tale", 100)
    first = store.find("tale")[1]
    assert store.find("tale")[1] is first
    shutil.rmtree("saved_models/tale")
    add_model("tale", 200, corpus="other")
    assert store.find("tale")[1].corpus == "other"


def test_the_old_weights_of_a_model_do_not_stay_in_memory(room: Path):
    store = ModelStore([])
    folder = add_model("tale", 100)
    first = weakref.ref(store.find("tale")[1])
    os.utime(folder / WEIGHTS, (200, 200))
    second = store.find("tale")[1]
    gc.collect()
    assert first() is None
    assert store.find("tale")[1] is second


def test_nobody_waits_while_the_model_of_another_request_is_loaded(room: Path, monkeypatch: pytest.MonkeyPatch):
    """The large model comes from a disk so slow that it ends only once the small one has been found."""
    loaded: list[str] = []
    begun, small_found = threading.Event(), threading.Event()

    def load_slowly(folder: Path) -> Bundle:
        loaded.append(folder.name)
        if folder.name == "large":
            begun.set()
            assert small_found.wait(30)
        return load_bundle(folder)

    monkeypatch.setattr("wordgen.web.answers.load_bundle", load_slowly)
    store = ModelStore([])
    add_model("small")
    add_model("large")
    with ThreadPoolExecutor(3) as threads:
        large = [threads.submit(store.find, "large") for _ in range(2)]
        assert begun.wait(30)
        small = threads.submit(store.find, "small")
        try:
            assert small.result(10)[0] == "small"
        finally:
            small_found.set()
        assert large[0].result(30)[1] is large[1].result(30)[1]
    assert sorted(loaded) == ["large", "small"]


def test_only_some_models_are_kept_at_hand(room: Path):
    store = ModelStore([])
    for number in range(MOST_LOADED_MODELS + 1):
        add_model(f"tale-{number}")
    kept = store.find("tale-1")[1]
    for number in range(MOST_LOADED_MODELS):
        store.find(f"tale-{number}")
    assert store.find("tale-1")[1] is kept
    store.find(f"tale-{MOST_LOADED_MODELS}")
    first = store.find("tale-2")[1]
    assert len(store._loaded) == MOST_LOADED_MODELS
    assert first is store.find("tale-2")[1]


def test_hostile_names_are_told_as_they_are(room: Path):
    add_model("tale", corpus='<img src=x onerror="1">')
    assert json.loads((Path("saved_models/tale") / CONFIG).read_text())["text"]["corpus"].startswith("<img")
    assert ModelStore([]).list()[0]["corpus"] == '<img src=x onerror="1">'
    assert (Path("saved_models/tale") / VOCABULARY).exists()
