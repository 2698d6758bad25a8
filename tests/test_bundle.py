import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.bundles import make_bundle, same_bundle
from wordgen.dataset.dataset import UnknownWords
from wordgen.errors import BundleError, StorageError
from wordgen.files import to_checksummed_json
from wordgen.model.bundle import (
    CONFIG,
    FORMAT,
    UNKNOWN_WORDS,
    VOCABULARY,
    WEIGHTS,
    load_bundle,
    save_bundle,
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_bundle(make_bundle(), tmp_path / "run")
    return tmp_path / "run"


def test_saved_bundle_loads_unchanged(saved: Path):
    assert same_bundle(load_bundle(saved), make_bundle())
    assert sorted(os.listdir(saved)) == [CONFIG, VOCABULARY, WEIGHTS]


UNKNOWN_EXAMPLES = UnknownWords(("crow", "Mice"), ((3, 0, 2, False), (2, 1, 4, True)))


@pytest.fixture
def saved_with_unknown_words(tmp_path: Path) -> Path:
    save_bundle(replace(make_bundle(), unknown_words=UNKNOWN_EXAMPLES), tmp_path / "words")
    return tmp_path / "words"


def test_unknown_words_load_unchanged_and_can_be_deleted(saved_with_unknown_words: Path):
    assert load_bundle(saved_with_unknown_words).unknown_words == UNKNOWN_EXAMPLES
    (saved_with_unknown_words / UNKNOWN_WORDS).unlink()
    assert same_bundle(load_bundle(saved_with_unknown_words), make_bundle())
    assert not load_bundle(saved_with_unknown_words).unknown_words


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not valid"),
        (b"[" * 100_000, "is not valid"),
        (b"[]", "is not valid"),
        (to_checksummed_json({"belongs_to": "x", "words": [], "places": []}), "does not belong to"),
    ],
)
def test_invalid_or_foreign_unknown_words_are_refused(saved_with_unknown_words: Path, content: bytes, message: str):
    (saved_with_unknown_words / UNKNOWN_WORDS).write_bytes(content)
    with pytest.raises(BundleError, match=message):
        load_bundle(saved_with_unknown_words)


def test_text_settings_are_saved_only_if_not_default(saved: Path, tmp_path: Path):
    """So bundles that were saved before a setting existed still load."""
    bundle = make_bundle()
    save_bundle(replace(bundle, text=replace(bundle.text, fold_width=True)), tmp_path / "folded")
    assert load_bundle(tmp_path / "folded").text.fold_width
    assert b"fold_width" not in (saved / CONFIG).read_bytes()
    assert not load_bundle(saved).text.fold_width
    save_bundle(replace(bundle, text=replace(bundle.text, passage="tune", transpose="common")), tmp_path / "tunes")
    assert load_bundle(tmp_path / "tunes").text.transpose == "common"
    assert b"transpose" not in (saved / CONFIG).read_bytes()


def test_save_replaces_old_weights(saved: Path):
    save_bundle(make_bundle(fill=0.5), saved)
    assert same_bundle(load_bundle(saved), make_bundle(fill=0.5))


def test_save_never_replaces_another_model(saved: Path):
    with pytest.raises(BundleError, match="already contains another model"):
        save_bundle(make_bundle(units=5), saved)
    assert same_bundle(load_bundle(saved), make_bundle())


def test_failed_save_keeps_the_old_bundle(saved: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="No space left"):
        save_bundle(make_bundle(fill=0.5), saved)
    assert same_bundle(load_bundle(saved), make_bundle())


def test_failed_first_save_leaves_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fsync, calls = os.fsync, []

    def fail_at_third_call(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_at_third_call)
    with pytest.raises(StorageError):
        save_bundle(make_bundle(), tmp_path / "run")
    with pytest.raises(BundleError, match="contains no trained model"):
        load_bundle(tmp_path / "run")


@pytest.mark.parametrize("name", [VOCABULARY, WEIGHTS])
def test_error_names_missing_file(saved: Path, name: str):
    (saved / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        load_bundle(saved)


def test_folders_without_a_bundle_are_refused(tmp_path: Path):
    with pytest.raises(BundleError, match="no trained model"):
        load_bundle(tmp_path)
    with pytest.raises(BundleError, match="There is no model folder"):
        load_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [CONFIG, VOCABULARY, WEIGHTS])
@given(share=st.floats(0, 0.999))
def test_truncated_file_is_refused(name: str, share: float, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("cut") / "run"
    save_bundle(make_bundle(), folder)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(BundleError, match=f"is damaged.*{name}"):
        load_bundle(folder)
    shutil.rmtree(folder)


def change_config(saved: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((saved / CONFIG).read_text())
    change(config)
    (saved / CONFIG).write_text(json.dumps(config))


@pytest.mark.parametrize("version", [0, FORMAT - 1, FORMAT + 1, str(FORMAT), None])
def test_unknown_format_is_refused_with_advice(saved: Path, version: object):
    change_config(saved, lambda config: config.update(format=version))
    with pytest.raises(
        BundleError, match=f"this version of wordgen reads format {FORMAT}: use the version that wrote it"
    ):
        load_bundle(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"units": 5},
        {"layers": 1},
        {"cell": "gru"},
        {"tied": True},
        {"embedding": 4},
        {"vocabulary_size": 8},
        {"units": -1},
        {"units": "4"},
        {"cell": "qrnn"},
        {"surprise": 1},
        {"units": 60_000, "layers": 60},
    ],
)
def test_config_with_other_shapes_is_refused(saved: Path, change: dict[str, object]):
    change_config(saved, lambda config: config["architecture"].update(change))
    with pytest.raises(BundleError, match="is damaged"):
        load_bundle(saved)


def test_config_with_huge_shapes_allocates_no_memory(saved: Path):
    import tracemalloc

    change_config(saved, lambda config: config["architecture"].update(units=65_536, layers=64))
    tracemalloc.start()
    with pytest.raises(BundleError, match=r"the shapes in weights\.safetensors are not those"):
        load_bundle(saved)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * 2**20


@pytest.mark.parametrize("content", ["[]", "3", '"x"', "{}", "null", "[" * 100_000])
def test_json_of_another_type_is_refused(saved: Path, content: str):
    for name in (CONFIG, VOCABULARY):
        whole = (saved / name).read_text()
        (saved / name).write_text(content)
        with pytest.raises(BundleError, match="is damaged"):
            load_bundle(saved)
        (saved / name).write_text(whole)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path):
    save_bundle(make_bundle(fill=float("nan")), tmp_path / "run")
    with pytest.raises(BundleError, match="values that are not finite"):
        load_bundle(tmp_path / "run")


def test_weights_of_another_model_are_refused(saved: Path, tmp_path: Path):
    other = make_bundle()
    other = replace(other, text=replace(other.text, corpus="another tale"))
    save_bundle(other, tmp_path / "other")
    shutil.copy(tmp_path / "other" / WEIGHTS, saved / WEIGHTS)
    with pytest.raises(BundleError, match="does not belong to"):
        load_bundle(saved)
