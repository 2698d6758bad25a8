"""Bases that come with wordgen: found by their name, used as any model, small, and described."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wordgen
from tests.helpers.bundles import make_bundle
from tests.helpers.commands import ROOT
from wordgen.cli.flags import given_settings
from wordgen.cli.main import main
from wordgen.cli.train import train_parser
from wordgen.corpus.finding import open_corpus
from wordgen.errors import SettingError
from wordgen.exporting import CARD, export
from wordgen.model import base as bases
from wordgen.model.base import Base, shipped_bases
from wordgen.model.bundle import load_bundle
from wordgen.run import defaults as default_base
from wordgen.run.commands import short_training_command, training_arguments, training_command
from wordgen.run.defaults import settings_of, why_from_nothing
from wordgen.run.folder import find_base, find_model, folder_for
from wordgen.run.settings import TrainSettings
from wordgen.run.train import plan_run
from wordgen.sweep.planning import _sweep_of, plan_sweep
from wordgen.training.plan import plan_in_words
from wordgen.web.answers import ModelStore

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


@pytest.fixture
def with_spells(trained_room: Path, in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Base:
    """This process has the small model of the spells as its one base."""
    model = load_bundle(trained_room / "saved_models" / "small")
    export(model, "base", in_empty_folder / "its" / "bases" / "base-english")
    monkeypatch.setattr(bases, "bundled_data", lambda: in_empty_folder / "its")
    return shipped_bases()["base-english"]


def test_a_base_writes_and_is_measured_beside_the_model_that_it_was(
    with_spells: Base, trained_room: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["generate", "--model", "base-english", "--length", "5"]) == 0
    assert capsys.readouterr().out.strip()
    fables = ROOT / "data" / "fables.txt"
    eight_bits, whole = (
        wordgen.evaluate(model, fables, samples=0).perplexity
        for model in ("base-english", trained_room / "saved_models" / "small")
    )
    assert eight_bits != whole
    assert eight_bits == pytest.approx(whole, rel=0.01)


def test_a_run_begins_from_a_base_by_itself(with_spells: Base, capsys: pytest.CaptureFixture[str]):
    assert main(["train", "--corpus", "fables", "--epochs", "1", "--base-words", "20", "--name", "next"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "base-english, trained on the corpus spells; --from-scratch begins with random weights instead" in told
    began = load_bundle(Path("saved_models/next")).head_start
    assert began is not None
    assert (began.base, began.fingerprint) == ("base-english", with_spells.fingerprint)
    assert wordgen.evaluate("next", samples=0).tokens


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
    assert list(ModelStore(["base-english"]).folders()) == ["base-english"]
    with pytest.raises(SettingError, match="the name of a base that comes with wordgen"):
        folder_for("base-english", overwrite=True)


def test_a_base_that_is_replaced_is_read_anew(with_base: Base):
    assert shipped_bases()["base-english"].vocabulary is with_base.vocabulary  # reading it takes a while
    assert with_base.settings()["units"] == 48
    export(make_bundle(units=6), "base", with_base.folder, overwrite=True)
    assert shipped_bases()["base-english"].settings()["units"] == 6


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


NOTHING = "does not fit the base base-english, which has"


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
        ({"from_scratch": True}, "because of --from-scratch or the recipe"),
        ({"recipe": "seed-report"}, "because of --from-scratch or the recipe"),
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
    words = dict(plan_in_words(plan_run(settings)))
    assert words["begins from"] == f"random weights: {why}"
    monkeypatch.setattr(bases, "bundled_data", lambda: Path())
    assert settings_of(given) == settings


def test_a_large_text_begins_from_nothing(with_base: Base, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(default_base, "LARGEST_TEXT", 1_000)
    settings = settings_of({"corpus": "fables"})
    assert (settings.init_from, settings.recipe) == (None, "short")
    assert "bases are only for texts of up to" in str(why_from_nothing(settings, open_corpus("fables")))


@pytest.mark.parametrize(
    "given",
    [{}, {"recipe": "none"}, {"from_scratch": True}, {"from_scratch": True, "layers": 2, "units": 48}, {"layers": 1}],
)
def test_a_recorded_command_begins_where_its_run_began(given: dict[str, Any], with_base: Base):
    settings = settings_of({"corpus": "fables", **given})
    arguments = training_arguments(settings, "again")
    again = settings_of(given_settings(TrainSettings, train_parser("train").parse_args(arguments[1:])))
    assert replace(again, name=None, recipe=settings.recipe) == settings


@pytest.mark.parametrize(
    ("given", "changes", "flags"),
    [
        ({"time_budget": "4m"}, {"time_budget": "8m"}, "--time-budget 8m"),
        ({}, {"dropout": 0.5}, "--dropout 0.5"),
        ({"learning_rate": 3.0}, {"learning_rate": 1.0}, "--learning-rate 1.0"),
        ({"from_scratch": True}, {"epochs": 80}, "--from-scratch --epochs 80"),
        ({"recipe": "short", "units": 100}, {"units": 200}, "--recipe short --units 200"),
        ({"layers": 1, "seq_len": 20}, {"epochs": 80}, "--layers 1 --seq-len 20 --epochs 80"),
    ],
)
def test_advised_commands_name_only_what_the_user_chose(
    given: dict[str, Any], changes: dict[str, Any], flags: str, with_base: Base
):
    settings = settings_of({"corpus": "fables", **given})
    assert short_training_command(settings, changes) == f"python -m wordgen train --corpus fables {flags}"
    assert short_training_command(settings, changes, text_is_here=False) == training_command(settings, changes)


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
