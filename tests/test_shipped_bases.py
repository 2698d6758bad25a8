"""Bases that come with wordgen: found by their name, used as any model, small, and described."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT, run_command
from tests.test_bundle import make_bundle
from wordgen import base as bases
from wordgen import default_base
from wordgen.base import Base, shipped_bases
from wordgen.bundle import load_bundle
from wordgen.cli.flags import given_settings
from wordgen.cli.train import make_parser
from wordgen.commands import training_arguments, training_command
from wordgen.complete_settings import settings_of
from wordgen.corpora.finding import open_corpus
from wordgen.default_base import why_from_nothing
from wordgen.errors import SettingError
from wordgen.exporting.base_folder import CARD
from wordgen.exporting.writing import export
from wordgen.lab.planning import plan_sweep
from wordgen.lab.sweep_file import _sweep_of
from wordgen.run_folder import find_base, find_model, folder_for
from wordgen.run_settings import TrainSettings
from wordgen.runs import plan_with
from wordgen.training.plan_words import plan_in_words
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


def test_a_run_begins_from_a_base_by_itself(checkout: Path, tmp_path: Path):
    options = "--corpus fables --epochs 1 --base-words 20 --name next"
    told = " ".join(run(checkout, tmp_path, "train", *options.split()).stdout.split())
    assert "base-english, which has read the corpus spells; --from-scratch begins from nothing" in told
    began = load_bundle(tmp_path / "saved_models" / "next").head_start
    base = Base("base-english", checkout / "data" / "bases" / "base-english")
    assert began is not None
    assert (began.base, began.fingerprint) == ("base-english", base.fingerprint)
    run(checkout, tmp_path, "evaluate", "next", "--samples", "0")


@pytest.fixture
def with_base(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Base:
    """This process has one base, of 2 x 48, which learned nothing."""
    made = make_bundle(units=48)
    shape = replace(made.architecture, embedding=48)
    weights = {name: np.zeros(each, np.float32) for name, each in shape.weight_shapes().items()}
    export(
        replace(made, architecture=shape, weights=weights), "base", in_empty_folder / "its" / "bases" / "base-english"
    )
    monkeypatch.setattr(bases, "bundled_data", lambda: in_empty_folder / "its")
    return shipped_bases()["base-english"]


def test_a_base_is_found_by_name_alone(with_base: Base):
    assert find_model("base-english") == with_base.folder
    assert find_base("base-english").name == find_base(str(with_base.folder)).name == "base-english"
    assert find_base("base-english").read == "the corpus tale"
    assert list(Shelf(["base-english"]).folders()) == ["base-english"]
    with pytest.raises(SettingError, match="a base that comes with wordgen is called so"):
        folder_for("base-english", overwrite=True)


@pytest.mark.parametrize(
    ("given", "recipe"),
    [
        ({}, "head-start"),
        ({"recipe": "auto"}, "head-start"),
        ({"recipe": "none"}, None),
        ({"layers": 2, "seq_len": 20}, "head-start"),
        ({"units": (48, 48), "tokenizer": "english", "tied": False, "optimizer": "adam"}, "head-start"),
        ({"init_from": "base-english", "recipe": "lyrics", "vocab_size": 500}, "lyrics"),
    ],
)
def test_what_goes_with_a_base_begins_from_it(given: dict[str, Any], recipe: str | None, with_base: Base):
    settings = settings_of({"corpus": "fables", **given})
    assert (settings.init_from, settings.from_scratch, settings.recipe) == ("base-english", False, recipe)
    assert {name: getattr(settings, name) for name in with_base.settings()} == with_base.settings()
    assert all(getattr(settings, name) == value for name, value in given.items() if name not in ("recipe", "units"))


NOTHING = "does not go with base-english, which has"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"layers": 1}, f"--layers 1 {NOTHING} --layers 2"),
        ({"units": 100}, f"--units 100 {NOTHING} --units 48"),
        ({"layers": 2, "units": (48, 40)}, f"--units 48 40 {NOTHING} --units 48"),
        ({"cell": "gru"}, f"--cell gru {NOTHING} --cell lstm"),
        ({"embedding": 7}, f"--embedding 7 {NOTHING} --embedding 48"),
        ({"tied": True}, f"--tied {NOTHING} --no-tied"),
        ({"unknown": "spell"}, f"--unknown spell {NOTHING} --unknown token"),
        ({"tokenizer": "characters"}, "no base that comes with wordgen has the tokenizer characters"),
        ({"corpus": "lyrics"}, "no base that comes with wordgen has the tokenizer japanese"),
        ({"from_scratch": True}, "--from-scratch, or the recipe, asks for it"),
        ({"recipe": "seed-report"}, "--from-scratch, or the recipe, asks for it"),
        ({"recipe": "short"}, f"--layers 1 {NOTHING} --layers 2"),
    ],
)
def test_what_does_not_go_with_a_base_begins_from_nothing_and_says_why(
    given: dict[str, Any], why: str, with_base: Base, monkeypatch: pytest.MonkeyPatch
):
    given = {"corpus": "fables", **given}
    settings = settings_of(given)
    assert settings.init_from is None
    assert why_from_nothing(settings, open_corpus(settings.corpus)) == why
    words = dict(plan_in_words(plan_with(settings)))
    assert words["begins from"] == f"nothing: {why}"
    monkeypatch.setattr(bases, "bundled_data", lambda: Path())
    assert settings_of(given) == settings


def test_a_large_text_begins_from_nothing(with_base: Base, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(default_base, "LARGEST_TEXT", 1_000)
    settings = settings_of({"corpus": "fables"})
    assert (settings.init_from, settings.recipe) == (None, "short")
    assert "are enough to learn from" in str(why_from_nothing(settings, open_corpus("fables")))


@pytest.mark.parametrize(
    "given",
    [{}, {"recipe": "none"}, {"from_scratch": True}, {"from_scratch": True, "layers": 2, "units": 48}, {"layers": 1}],
)
def test_a_recorded_command_begins_where_its_run_began(given: dict[str, Any], with_base: Base):
    settings = settings_of({"corpus": "fables", **given})
    arguments = training_arguments(settings, "again")
    again = settings_of(given_settings(TrainSettings, make_parser("train").parse_args(arguments[1:])))
    assert replace(again, name=None, recipe=settings.recipe) == settings


def test_the_command_of_a_run_from_before_there_were_bases_keeps_it_from_them(with_base: Base):
    settings = TrainSettings(corpus="fables", learning_rate=0.01)
    assert "--from-scratch" in training_command(settings)
    assert "--from-scratch" not in training_command(replace(settings, cell="gru"))


def test_runs_that_are_compared_begin_alike(with_base: Base):
    def begun(grid: dict[str, list[Any]]) -> set[str | None]:
        sweep = _sweep_of("tries", {"settings": {"corpus": "fables"}, "grid": grid})
        return {run.settings.init_from for run in plan_sweep(sweep).runs}

    assert begun({"learning_rate": [1.0, 2.0]}) == {"base-english"}
    assert begun({"layers": [1, 2]}) == {None}
    assert begun({"from_scratch": [True, False]}) == {None, "base-english"}


def test_a_named_model_and_from_scratch_are_a_contradiction(with_base: Base):
    with pytest.raises(SettingError, match="--from-scratch begins with random weights: leave it out with --init-from"):
        settings_of({"corpus": "fables", "init_from": "base-english", "from_scratch": True})
