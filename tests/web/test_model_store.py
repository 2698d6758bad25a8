"""Requests can use the listed models, by name, and nothing else on the disk."""

import gc
import os
import shutil
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from tests.helpers.playground import Playground, make_model, save_random_model, served, text_config
from wordgen.errors import BundleError, SettingError
from wordgen.model.architecture import Architecture
from wordgen.model.bundle import CONFIG, WEIGHTS, Bundle, load_bundle, save_bundle
from wordgen.run.names import REPORT
from wordgen.text.vocabulary import Vocabulary
from wordgen.web.answers import ModelStore
from wordgen.web.limits import MAX_LOADED_MODELS, RefusedError

VOCABULARY = Vocabulary.from_counts({"moon": 3, "light": 2}, 100, 1)


def add_model(name: str, time: float = 0.0, corpus: str = "tale") -> Path:
    folder = save_random_model(Path("saved_models") / name, VOCABULARY, text_config(corpus))
    os.utime(folder / WEIGHTS, (time, time))
    return folder


def test_models_are_listed_newest_first_and_as_they_appear(in_empty_folder: Path):
    store = ModelStore([])
    assert store.list() == []
    add_model("old", 100)
    add_model("new", 200)
    assert [each["name"] for each in store.list()] == ["new", "old"]
    assert store.find(None)[0] == "new"
    hostile_corpus = '<img src=x onerror="1">'
    add_model("newest", 300, corpus=hostile_corpus)
    assert store.find(None)[0] == "newest"
    assert store.list()[0] == {
        "name": "newest",
        "corpus": hostile_corpus,
        "network": "1 x 8 lstm, 5 tokens",
        "problem": None,
    }


def test_width_of_each_layer_is_listed(in_empty_folder: Path):
    size = len(VOCABULARY)
    architecture = Architecture(vocabulary_size=size, embedding=8, layers=3, units=(8, 4, 8), cell="gru", tied=False)
    weights = {name: np.zeros(shape, np.float32) for name, shape in architecture.weight_shapes().items()}
    save_bundle(Bundle(architecture, text_config(), VOCABULARY, weights), in_empty_folder / "saved_models" / "narrow")
    assert ModelStore([]).list()[0]["network"] == "8, 4 and 8 gru, 5 tokens"


def test_empty_folder_advises_training(in_empty_folder: Path):
    with pytest.raises(RefusedError, match=r"no trained model in saved_models yet\. Train one first: .* train"):
        ModelStore([]).find(None)


def make_secret_model(playground_folder: Path) -> Path:
    """A model beside saved_models, which the server does not offer."""
    folder = playground_folder / "secret"
    if not folder.exists():
        make_model(folder, "spells")
    return folder


@pytest.mark.parametrize(
    "name", ["../secret", "{folder}/secret", "spells/../../secret", ".", "..", "", "spells/", "SPELLS", "spell"]
)
def test_no_model_name_leads_out_of_saved_models(name: str, playground: Playground, playground_folder: Path):
    make_secret_model(playground_folder)
    name = name.format(folder=playground_folder)
    for place in ("/api/text", "/api/write", "/api/next"):
        answer = playground.post(place, model=name)
        assert answer.status == 404
        assert answer.content["error"] == f"There is no model '{name[:100]}'. There are: spells, lyrics, airs."
    assert playground.ask("GET", f"/api/models/{quote(name, safe='')}").status in (404, 307) or name == ""
    assert playground.ask("GET", f"/api/models/{name}").status != 200 or name == ""


def test_model_in_a_folder_has_its_own_address(in_empty_folder: Path):
    (add_model("books/emma") / REPORT).write_text("{}")
    with served(in_empty_folder) as server:
        assert [each["name"] for each in server.ask("GET", "/api/models").content["models"]] == ["books/emma"]
        for name in ("books/emma", "books%2Femma"):
            assert server.ask("GET", f"/api/models/{name}").content["name"] == "books/emma"
        assert server.ask("GET", "/api/models/books").status == 404


@pytest.mark.parametrize(
    "place", ["/../secret/config.json", "/%2e%2e/app.py", "/..%2fapp.py", "/static/index.html", "//etc/passwd"]
)
def test_no_path_leads_out_of_static_files(place: str, playground: Playground):
    assert playground.ask("GET", place).status == 404


def test_only_given_models_are_offered(in_empty_folder: Path):
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


def test_damaged_model_is_listed_with_its_problem(in_empty_folder: Path):
    folder = add_model("broken")
    (folder / CONFIG).write_text("{")
    assert "is damaged" in str(ModelStore([]).list()[0]["problem"])
    with pytest.raises(BundleError, match="is damaged"):
        ModelStore([]).find("broken")


def test_damaged_model_gives_status_500(in_empty_folder: Path):
    (add_model("broken") / WEIGHTS).write_bytes(b"no weights")
    with served(in_empty_folder) as playground:
        answers = [playground.post(place, model="broken") for place in ("/api/text", "/api/write", "/api/next")]
        answers.append(playground.ask("GET", "/api/models/broken"))
    assert [answer.status for answer in answers] == [500] * 4
    assert all("is damaged" in answer.content["error"] for answer in answers)


def test_deleted_model_is_not_found(in_empty_folder: Path):
    folder = add_model("tale", 100)
    store = ModelStore(["tale"])
    store.find("tale")
    shutil.rmtree(folder)
    add_model("tales")
    with pytest.raises(RefusedError, match="The model 'tale' is not there any more") as missing:
        store.find("tale")
    assert missing.value.status == 404


def test_retrained_model_is_loaded_again(in_empty_folder: Path):
    store = ModelStore([])
    add_model("tale", 100)
    first = store.find("tale")[1]
    assert store.find("tale")[1] is first
    shutil.rmtree("saved_models/tale")
    add_model("tale", 200, corpus="other")
    assert store.find("tale")[1].corpus == "other"


def test_old_weights_of_reloaded_model_are_freed(in_empty_folder: Path):
    store = ModelStore([])
    folder = add_model("tale", 100)
    first = weakref.ref(store.find("tale")[1])
    os.utime(folder / WEIGHTS, (200, 200))
    second = store.find("tale")[1]
    gc.collect()
    assert first() is None
    assert store.find("tale")[1] is second


def test_loading_a_large_model_does_not_block_others(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch):
    loaded: list[str] = []
    large_started, small_found = threading.Event(), threading.Event()

    def load_slowly(folder: Path) -> Bundle:
        loaded.append(folder.name)
        if folder.name == "large":
            large_started.set()
            assert small_found.wait(60)
        return load_bundle(folder)

    monkeypatch.setattr("wordgen.web.answers.load_bundle", load_slowly)
    store = ModelStore([])
    add_model("small")
    add_model("large")
    with ThreadPoolExecutor(3) as threads:
        large = [threads.submit(store.find, "large") for _ in range(2)]
        assert large_started.wait(30)
        small = threads.submit(store.find, "small")
        try:
            assert small.result(30)[0] == "small"
        finally:
            small_found.set()
        assert large[0].result(30)[1] is large[1].result(30)[1]
    assert sorted(loaded) == ["large", "small"]


def test_least_recently_used_model_is_unloaded(in_empty_folder: Path):
    store = ModelStore([])
    for number in range(MAX_LOADED_MODELS + 1):
        add_model(f"tale-{number}")
    loaded = [weakref.ref(store.find(f"tale-{number}")[1]) for number in range(MAX_LOADED_MODELS)]
    assert store.find("tale-0")[1] is loaded[0]()
    store.find(f"tale-{MAX_LOADED_MODELS}")
    gc.collect()
    assert [model() is None for model in loaded] == [False, True, *[False] * (MAX_LOADED_MODELS - 2)]
    assert store.find("tale-0")[1] is loaded[0]()
    assert store.find("tale-2")[1] is loaded[2]()
