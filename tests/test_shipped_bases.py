"""Bases that come with wordgen: which runs begin from them, and what commands they use."""

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
from wordgen.exporting import CARD_FILE, export
from wordgen.model import base as bases
from wordgen.model.base import Base, shipped_bases
from wordgen.model.bundle import load_bundle
from wordgen.run import defaults
from wordgen.run.commands import short_training_command, training_arguments, training_command
from wordgen.run.defaults import complete_settings, reason_for_no_base
from wordgen.run.folder import find_base, find_model, folder_for
from wordgen.run.settings import TrainSettings
from wordgen.run.train import plan_run
from wordgen.sweep.planning import _sweep_of, plan_sweep
from wordgen.training.plan import plan_in_words
from wordgen.web.answers import ModelStore

MAX_BYTES = 20_000_000
"""The limit for the folder of a base."""


def test_shipped_bases_are_small_and_have_a_card():
    for name, base in shipped_bases().items():
        assert sum(each.stat().st_size for each in base.folder.iterdir()) <= MAX_BYTES
        card = (base.folder / CARD_FILE).read_text(encoding="utf-8")
        assert card.startswith(f"# {name}\n")
        assert base.fingerprint in card
        assert "CC0" in card
        assert base.read


@pytest.fixture
def spells_base(trained_folder: Path, in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Base:
    """Make the small model of the spells the only base of this process."""
    model = load_bundle(trained_folder / "saved_models" / "small")
    export(model, "base", in_empty_folder / "project" / "bases" / "base-english")
    monkeypatch.setattr(bases, "bundled_data", lambda: in_empty_folder / "project")
    return shipped_bases()["base-english"]


def test_base_writes_and_has_nearly_the_perplexity_of_its_model(
    spells_base: Base, trained_folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["generate", "--model", "base-english", "--length", "5"]) == 0
    assert capsys.readouterr().out.strip()
    fables = ROOT / "data" / "fables.txt"
    quantized, original = (
        wordgen.evaluate(model, fables, samples=0).perplexity
        for model in ("base-english", trained_folder / "saved_models" / "small")
    )
    assert quantized != original
    assert quantized == pytest.approx(original, rel=0.01)


def test_new_run_begins_from_base_by_default(spells_base: Base, capsys: pytest.CaptureFixture[str]):
    assert main(["train", "--corpus", "fables", "--epochs", "1", "--base-words", "20", "--name", "next"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "base-english, trained on the corpus spells; --from-scratch begins with random weights instead" in output
    head_start = load_bundle(Path("saved_models/next")).head_start
    assert head_start is not None
    assert (head_start.base, head_start.fingerprint) == ("base-english", spells_base.fingerprint)
    assert wordgen.evaluate("next", samples=0).tokens


@pytest.fixture
def untrained_base(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Base:
    """Make a model of 2 x 48 with zero weights the only base of this process."""
    bundle = make_bundle(units=48)
    architecture = replace(bundle.architecture, embedding=48)
    weights = {name: np.zeros(each, np.float32) for name, each in architecture.weight_shapes().items()}
    export(
        replace(bundle, architecture=architecture, weights=weights),
        "base",
        in_empty_folder / "project" / "bases" / "base-english",
    )
    monkeypatch.setattr(bases, "bundled_data", lambda: in_empty_folder / "project")
    return shipped_bases()["base-english"]


def test_base_is_found_by_name(untrained_base: Base):
    assert find_model("base-english") == untrained_base.folder
    assert find_base("base-english").name == find_base(str(untrained_base.folder)).name == "base-english"
    assert find_base("base-english").read == "the corpus tale"
    assert list(ModelStore(["base-english"]).folders()) == ["base-english"]
    with pytest.raises(SettingError, match="the name of a base that comes with wordgen"):
        folder_for("base-english", overwrite=True)


def test_replaced_base_is_loaded_again(untrained_base: Base):
    # A base that is the same is not loaded again, because that takes seconds.
    assert shipped_bases()["base-english"].vocabulary is untrained_base.vocabulary
    assert untrained_base.settings()["units"] == 48
    export(make_bundle(units=6), "base", untrained_base.folder, overwrite=True)
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
def test_run_that_fits_a_base_begins_from_it(given: dict[str, Any], recipe: str | None, untrained_base: Base):
    settings = complete_settings({"corpus": "fables", **given})
    assert (settings.init_from, settings.from_scratch, settings.recipe) == ("base-english", False, recipe)
    assert {name: getattr(settings, name) for name in untrained_base.settings()} == untrained_base.settings()
    assert all(getattr(settings, name) == value for name, value in given.items() if name not in ("recipe", "units"))


DOES_NOT_FIT = "does not fit the base base-english, which has"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"layers": 1}, f"--layers 1 {DOES_NOT_FIT} --layers 2"),
        ({"units": 100}, f"--units 100 {DOES_NOT_FIT} --units 48"),
        ({"layers": 2, "units": (48, 40)}, f"--units 48 40 {DOES_NOT_FIT} --units 48"),
        ({"cell": "gru"}, f"--cell gru {DOES_NOT_FIT} --cell lstm"),
        ({"embedding": 7}, f"--embedding 7 {DOES_NOT_FIT} --embedding 48"),
        ({"tied": True}, f"--tied {DOES_NOT_FIT} --no-tied"),
        ({"unknown": "spell"}, f"--unknown spell {DOES_NOT_FIT} --unknown token"),
        ({"tokenizer": "characters"}, "no base that comes with wordgen has the tokenizer characters"),
        ({"corpus": "lyrics"}, "no base that comes with wordgen has the tokenizer japanese"),
        ({"from_scratch": True}, "because of --from-scratch or the recipe"),
        ({"recipe": "seed-report"}, "because of --from-scratch or the recipe"),
        ({"recipe": "short"}, f"--layers 1 {DOES_NOT_FIT} --layers 2"),
    ],
)
def test_run_that_does_not_fit_a_base_begins_from_scratch(
    given: dict[str, Any], reason: str, untrained_base: Base, monkeypatch: pytest.MonkeyPatch
):
    given = {"corpus": "fables", **given}
    settings = complete_settings(given)
    assert settings.init_from is None
    assert reason_for_no_base(settings, open_corpus(settings.corpus)) == reason
    plan = dict(plan_in_words(plan_run(settings)))
    assert plan["begins from"] == f"random weights: {reason}"
    monkeypatch.setattr(bases, "bundled_data", lambda: Path())
    assert complete_settings(given) == settings


def test_run_on_large_text_begins_from_scratch(untrained_base: Base, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(defaults, "MAX_TEXT_BYTES", 1_000)
    settings = complete_settings({"corpus": "fables"})
    assert (settings.init_from, settings.recipe) == (None, "short")
    assert "bases are only for texts of up to" in str(reason_for_no_base(settings, open_corpus("fables")))


@pytest.mark.parametrize(
    "given",
    [{}, {"recipe": "none"}, {"from_scratch": True}, {"from_scratch": True, "layers": 2, "units": 48}, {"layers": 1}],
)
def test_recorded_command_begins_from_same_base(given: dict[str, Any], untrained_base: Base):
    settings = complete_settings({"corpus": "fables", **given})
    arguments = training_arguments(settings, "again")
    again = complete_settings(given_settings(TrainSettings, train_parser("train").parse_args(arguments[1:])))
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
def test_advised_commands_have_only_flags_of_the_user(
    given: dict[str, Any], changes: dict[str, Any], flags: str, untrained_base: Base
):
    settings = complete_settings({"corpus": "fables", **given})
    assert short_training_command(settings, changes) == f"python -m wordgen train --corpus fables {flags}"
    assert short_training_command(settings, changes, is_text_available=False) == training_command(settings, changes)


def test_command_of_run_older_than_bases_has_from_scratch(untrained_base: Base):
    settings = TrainSettings(corpus="fables", learning_rate=0.01)
    assert "--from-scratch" in training_command(settings)
    assert "--from-scratch" not in training_command(replace(settings, cell="gru"))


def test_all_networks_of_a_sweep_begin_alike(untrained_base: Base):
    def bases_of_runs(grid: dict[str, list[Any]]) -> set[str | None]:
        sweep = _sweep_of("tries", {"settings": {"corpus": "fables"}, "grid": grid})
        return {run.settings.init_from for run in plan_sweep(sweep).runs}

    assert bases_of_runs({"learning_rate": [1.0, 2.0]}) == {"base-english"}
    assert bases_of_runs({"layers": [1, 2]}) == {None}
    assert bases_of_runs({"from_scratch": [True, False]}) == {None, "base-english"}


def test_init_from_and_from_scratch_are_refused_together(untrained_base: Base):
    with pytest.raises(SettingError, match="--from-scratch begins with random weights: leave it out with --init-from"):
        complete_settings({"corpus": "fables", "init_from": "base-english", "from_scratch": True})
