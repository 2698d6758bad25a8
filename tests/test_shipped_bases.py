"""Bases that come with wordgen: found by their name, used as any model, small, and described."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, run_command
from wordgen import base as bases
from wordgen.base import Base, shipped_bases
from wordgen.bundle import load_bundle
from wordgen.errors import SettingError
from wordgen.exporting.base_folder import CARD
from wordgen.exporting.writing import export
from wordgen.run_folder import find_base, find_model, folder_for
from wordgen.web.shelf import Shelf

LARGEST = 20_000_000
"""Bytes of a whole folder."""


def test_a_base_is_small_and_its_card_speaks_of_it():
    for name, base in shipped_bases().items():
        assert sum(each.stat().st_size for each in base.folder.iterdir()) <= LARGEST
        card = (base.folder / CARD).read_text(encoding="utf-8")
        assert card.startswith(f"# {name}\n")
        assert base.fingerprint in card
        assert "CC0" in card
        assert base.read


@pytest.fixture(scope="module")
def checkout(trained_room: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wordgen that comes with the small model of the spells as its one base."""
    checkout = tmp_path_factory.mktemp("checkout")
    for folder in ("wordgen", "recipes", "sweeps"):
        shutil.copytree(ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (checkout / "data").mkdir()
    for path in (ROOT / "data").glob("*.t*"):
        shutil.copy(path, checkout / "data")
    model = load_bundle(trained_room / "saved_models" / "small")
    export(model, "base", checkout / "data" / "bases" / "base-english")
    return checkout


def run(checkout: Path, room: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    ended = run_command(*arguments, cwd=room, PYTHONPATH=str(checkout))
    assert ended.returncode == 0, ended.stderr
    return ended


def test_a_base_writes_and_is_measured_beside_the_model_that_it_was(checkout: Path, trained_room: Path, tmp_path: Path):
    written = run(checkout, tmp_path, "generate", "--model", "base-english", "--length", "5")
    assert written.stdout.strip()
    text = ["--split", str(ROOT / "data" / "fables.txt"), "--samples", "0", "--json"]
    eight_bits = json.loads(run(checkout, tmp_path, "evaluate", "base-english", *text).stdout)
    whole = json.loads(run(checkout, trained_room, "evaluate", "small", *text).stdout)
    assert eight_bits["perplexity"] != whole["perplexity"]
    assert eight_bits["perplexity"] == pytest.approx(whole["perplexity"], rel=0.01)


def test_a_run_begins_from_a_base_by_its_name(checkout: Path, tmp_path: Path):
    options = "--corpus fables --init-from base-english --epochs 1 --learning-rate 1e-12 --base-words 20 --name next"
    run(checkout, tmp_path, "train", *options.split())
    began = load_bundle(tmp_path / "saved_models" / "next").head_start
    base = Base("base-english", checkout / "data" / "bases" / "base-english")
    assert began is not None
    assert (began.base, began.fingerprint) == ("base-english", base.fingerprint)
    run(checkout, tmp_path, "evaluate", "next", "--samples", "0")


@pytest.fixture
def with_base(checkout: Path, in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Base:
    """This process has that base, too."""
    monkeypatch.setattr(bases, "bundled_data", lambda: checkout / "data")
    return shipped_bases()["base-english"]


def test_a_base_is_found_by_name_alone(with_base: Base):
    assert find_model("base-english") == with_base.folder
    assert find_base("base-english").name == find_base(str(with_base.folder)).name == "base-english"
    assert find_base("base-english").read == "the corpus spells"
    assert list(Shelf(["base-english"]).folders()) == ["base-english"]
    with pytest.raises(SettingError, match="a base that comes with wordgen is called so"):
        folder_for("base-english", overwrite=True)
