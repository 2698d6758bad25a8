"""Recipes: their settings, which one auto chooses, and settings that override them."""

import gzip
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.music import scale, write_midi
from wordgen.cli.flags import given_settings
from wordgen.cli.main import main
from wordgen.cli.train import train_parser
from wordgen.errors import SettingError
from wordgen.files import read_toml
from wordgen.model import base as bases
from wordgen.model.architecture import NetworkSettings
from wordgen.run.commands import short_training_command, training_arguments, training_command
from wordgen.run.defaults import complete_settings, find_recipe, recipe_for, recipe_in_words, recipe_names
from wordgen.run.names import shipped_folder
from wordgen.run.record import load_record
from wordgen.run.settings import HEAD_START, TrainSettings, resumed_settings
from wordgen.sweep.planning import find_sweep, plan_sweep
from wordgen.training.settings import RHO, TrainingSettings

RECIPE = """
about = "My own."

[settings]
layers = 2
units = [32, 16]
learning_rate = 0.01

[[results]]
corpus = "spells"
command = "python train.py --corpus spells --recipe my.toml"
date = "2026-11-21"
commit = "abc1234"
minutes = 0.5
epoch = 3
valid_perplexity = 30.5
test_perplexity = 31.5
ngram_test_perplexity = 32.1
"""


WITHOUT_RESULTS = (HEAD_START, "tunes", "piano", "char-rnn", "grimm-characters")
"""Recipes without results. The results of head-start are in data/bases, those of tunes in docs/music.md."""


@pytest.fixture(autouse=True)
def no_bases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without bases, recipes begin with random weights. test_shipped_bases.py tests them with bases."""
    monkeypatch.setattr(bases, "bundled_data", lambda: tmp_path)


@pytest.mark.parametrize("name", recipe_names())
def test_bundled_recipe_sets_its_settings(name: str):
    recipe = find_recipe(name)
    settings = complete_settings({"corpus": "lotr", "recipe": name})
    assert settings.recipe == name
    for setting, value in recipe.settings.items():
        assert getattr(settings, setting) == value
    assert recipe.about.endswith(".")
    assert 20 < len(recipe.about) < 160


@pytest.mark.parametrize("name", recipe_names())
def test_bundled_recipe_has_its_results(name: str):
    """They say what was run, when, and what it reached. The n-grams are 5-grams, or 7-grams of characters."""
    results = read_toml(shipped_folder("recipes") / f"{name}.toml").get("results", [])
    assert bool(results) == (name not in WITHOUT_RESULTS)
    for result in results:
        assert result["command"] == f"python train.py --corpus {result['corpus']} --recipe {name}"
        assert date.fromisoformat(result["date"])
        assert len(result["commit"]) == 7
        assert result["epoch"] >= 1
        assert result["minutes"] > 0
        assert min(result[f"{measured}_perplexity"] for measured in ("valid", "test", "ngram_test")) > 1


def test_recipe_for_each_text_size_exists():
    sizes = {1: "short", 100_000: "short", 100_001: "book", 3_000_000: "book", 3_000_001: "small", 10**10: "small"}
    assert {size: recipe_for(size) for size in sizes} == sizes
    assert set(sizes.values()) <= set(recipe_names())


def test_description_says_why_auto_chose_the_recipe():
    assert recipe_in_words("book", 474_000) == (
        f"book: {find_recipe('book').about} --recipe auto chooses it for texts from 100 kB to 3 MB; "
        "this one has 474 kB."
    )
    assert recipe_in_words("book", 90_000) == f"book: {find_recipe('book').about}"
    assert recipe_in_words("book", 474_000, "characters") == f"book: {find_recipe('book').about}"


def test_auto_chooses_by_text_size(in_empty_folder: Path):
    long = b"A word or two.\n\n" * 20_000
    (in_empty_folder / "long.txt").write_bytes(long)
    (in_empty_folder / "packed.txt.gz").write_bytes(gzip.compress(long))
    for corpus, name in (("spells", "short"), ("long.txt", "book"), ("packed.txt.gz", "book")):
        settings = complete_settings({"corpus": corpus, "recipe": "auto", "epochs": 99})
        assert settings.recipe == name
        assert settings.epochs == 99


def test_auto_chooses_by_tokenizer():
    settings = complete_settings({"corpus": "spells", "tokenizer": "characters"})
    assert (settings.recipe, settings.seq_len) == ("char-rnn", 50)
    assert complete_settings({"corpus": "spells", "tokenizer": "whitespace"}).recipe == "short"
    assert complete_settings({"corpus": "airs"}).recipe == "tunes"
    assert complete_settings({"corpus": "airs", "tokenizer": "characters"}).recipe == "char-rnn"
    assert complete_settings({"corpus": "spells", "tokenizer": "abc"}).recipe == "tunes"
    assert recipe_in_words("char-rnn", 100).endswith("--recipe auto chooses it for --tokenizer characters.")


def test_auto_chooses_the_piano_recipe_for_midi(in_empty_folder: Path):
    write_midi(in_empty_folder / "tunes" / "scale.mid", scale())
    for settings in ({"corpus": "preludes"}, {"corpus": "tunes"}, {"corpus": "spells", "tokenizer": "chords"}):
        assert complete_settings(settings).recipe == "piano"
    assert complete_settings({"corpus": "preludes", "layers": 2}).recipe is None
    assert recipe_in_words("piano", 100).endswith("--recipe auto chooses it for --tokenizer notes or chords.")


NEUTRAL_SETTINGS = (
    "epochs",
    "time_budget",
    "patience",
    "random_seed",
    "validate_every",
    "sample_every",
    "log_every",
    "checkpoint_every",
    "copy_index",
    "histograms",
    "precision",
)
NETWORK_AND_TRAINING_SETTINGS = {
    each.name for group in (NetworkSettings, TrainingSettings) for each in fields(group)
} - {"init_from", "from_scratch"}


def test_network_or_training_setting_disables_auto():
    assert complete_settings({"corpus": "spells"}) == complete_settings({"corpus": "spells", "recipe": "auto"})
    for each in fields(TrainSettings):
        if each.name in ("corpus", "recipe", "local_devices", "tokenizer"):
            continue
        disables = each.name in NETWORK_AND_TRAINING_SETTINGS and each.name not in NEUTRAL_SETTINGS
        settings = complete_settings({"corpus": "spells", each.name: each.default})
        assert settings.recipe == (None if disables else "short"), each.name


@pytest.mark.parametrize("corpus", [None, 5, (None, "spells"), ("spells", 5)])
def test_corpus_that_is_not_text_is_refused(corpus: object):
    with pytest.raises(SettingError, match=r"--corpus must be text, not "):
        complete_settings({"corpus": corpus})


def test_settings_without_recipe_keep_the_defaults():
    """Also with the flags of the quick start in the README."""
    plain = TrainSettings(corpus="lotr", seq_len=15, layers=3)
    assert complete_settings({"corpus": "lotr", "seq_len": 15, "layers": 3}) == plain
    assert complete_settings({"corpus": "lotr", "recipe": "none"}) == plain
    arguments = train_parser("train").parse_args(["--corpus", "lotr", "--seq-len", "15", "--layers", "3"])
    assert complete_settings(given_settings(TrainSettings, arguments)) == plain


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "recipe": st.sampled_from(["none", "auto", "short", "book"]),
            "layers": st.integers(1, 4),
            "units": st.sampled_from([8, 512]),
            "epochs": st.integers(1, 20),
            "optimizer": st.sampled_from(["sgd", "rmsprop"]),
            "tied": st.booleans(),
        },
    )
)
def test_commands_that_repeat_a_run_parse_to_its_settings(chosen: dict[str, Any]):
    """Suggested commands and those of a sweep contain all settings of the recipe, and do not use auto."""
    settings = complete_settings({"corpus": "spells", **chosen})
    suggested = [make(settings, {}).split()[3:] for make in (training_command, short_training_command)]
    for arguments in (training_arguments(settings, "run"), *suggested):
        parsed = complete_settings(given_settings(TrainSettings, train_parser("train").parse_args(arguments[1:])))
        assert replace(parsed, name=None, recipe=None) == replace(settings, recipe=None)


def test_resumed_run_keeps_its_recipe():
    for chosen, recipe in (({}, "short"), ({"layers": 2}, None), ({"recipe": "book"}, "book")):
        settings = complete_settings({"corpus": "spells", **chosen})
        assert settings.recipe == recipe
        assert resumed_settings("run", settings, {}) == settings
        assert resumed_settings("run", settings, {"recipe": "auto"}) == settings
        if recipe is None:
            assert resumed_settings("run", settings, {"recipe": "none"}) == settings
        else:
            with pytest.raises(SettingError, match=f"began with --recipe {recipe}, not --recipe none"):
                resumed_settings("run", settings, {"recipe": "none"})


def test_networks_of_a_sweep_share_one_recipe_or_none(in_empty_folder: Path):
    def recipes(networks: str) -> list[str | None]:
        content = f'random_seeds = [1]\n[settings]\ncorpus = "spells"\n{networks}'
        (in_empty_folder / "own.toml").write_text(content, encoding="utf-8")
        return [run.settings.recipe for run in plan_sweep(find_sweep("own.toml")).runs]

    assert recipes("[grid]\nvocab_size = [500, 900]") == ["short"] * 2
    assert recipes('[[networks]]\nname = "plain"\n[[networks]]\nname = "two"\nlayers = 2\nunits = 8') == [None] * 2
    assert recipes('[[networks]]\nname = "plain"\n[[networks]]\nname = "two"\nrecipe = "short"') == ["short"] * 2


def test_given_setting_overrides_the_recipe(in_empty_folder: Path):
    (in_empty_folder / "my.toml").write_text(RECIPE, encoding="utf-8")
    settings = complete_settings({"corpus": "spells", "recipe": "my.toml", "learning_rate": None, "layers": 2})
    assert settings.units == (32, 16)
    assert settings.learning_rate is None
    assert complete_settings({"corpus": "spells", "units": 7}) == TrainSettings(corpus="spells", units=7)
    lists = {"corpus": [Path("a.txt"), "b.txt"], "units": [8, 4], "layers": 2}
    assert complete_settings(lists) == TrainSettings(corpus=("a.txt", "b.txt"), units=(8, 4), layers=2)
    assert complete_settings({"corpus": Path("a.txt"), "layers": 2}).corpus == "a.txt"


def test_other_optimizer_ignores_learning_rate_of_recipe(in_empty_folder: Path):
    (in_empty_folder / "my.toml").write_text(RECIPE, encoding="utf-8")
    book = find_recipe("book").settings
    assert complete_settings({"corpus": "spells", "recipe": "book", "optimizer": "adam"}).learning_rate is None
    assert (
        complete_settings({"corpus": "spells", "recipe": "book", "optimizer": "sgd"}).learning_rate
        == book["learning_rate"]
    )
    same_optimizer = complete_settings({"corpus": "spells", "recipe": "my.toml", "optimizer": "rmsprop"})
    assert same_optimizer.learning_rate == 0.01  # the recipe names no optimizer, and rmsprop is the default
    explicit = complete_settings({"corpus": "spells", "recipe": "book", "optimizer": "adam", "learning_rate": 0.01})
    assert explicit.learning_rate == 0.01


def test_other_optimizer_ignores_rho_of_recipe(in_empty_folder: Path):
    (in_empty_folder / "my.toml").write_text(RECIPE.replace("layers = 2", "layers = 2\nrho = 0.95"), encoding="utf-8")
    assert complete_settings({"corpus": "spells", "recipe": "my.toml"}).rho == 0.95
    with_adam = complete_settings({"corpus": "spells", "recipe": "my.toml", "optimizer": "adam"})
    assert (with_adam.rho, with_adam.recipe) == (RHO, "my.toml")


def test_other_schedule_ignores_decay_of_recipe():
    for chosen, decay in (({}, 0.97), ({"schedule": "exponential"}, 0.97), ({"schedule": "cosine"}, None)):
        settings = complete_settings({"corpus": "spells", "recipe": "char-rnn", **chosen})
        assert (settings.decay, settings.decay_after) == (decay, 10 if decay else TrainSettings.decay_after)


def test_decay_is_refused_if_the_schedule_does_not_use_it():
    given: dict[str, Any] = {"corpus": "spells", "layers": 1}
    for schedule in ("constant", "cosine"):
        with pytest.raises(SettingError, match=f"--decay has no effect with --schedule {schedule}: leave it out"):
            complete_settings({**given, "schedule": schedule, "decay": 0.5})
    for schedule in ("constant", "cosine", "plateau"):
        with pytest.raises(SettingError, match=f"--decay-after has no effect with --schedule {schedule}: leave it out"):
            complete_settings({**given, "schedule": schedule, "decay_after": 2})
    assert complete_settings({**given, "schedule": "plateau", "decay": 0.5}).decay == 0.5
    assert complete_settings({**given, "schedule": "exponential", "decay_after": 2}).decay_after == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("about = 'x'", "'settings' is missing"),
        ("about = 'x'\n[settings]\n[more]", "not more"),
        ("about = 'x'\nsettings = 3", "cannot be read"),
        ("[settings", "cannot be read"),
    ],
)
def test_error_says_why_a_recipe_cannot_be_read(in_empty_folder: Path, content: str, message: str):
    (in_empty_folder / "my.toml").write_text(content, encoding="utf-8")
    with pytest.raises(SettingError, match=r"The recipe my\.toml cannot be read") as error:
        find_recipe("my.toml")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"recipe": "nonsense"}, "There is no recipe 'nonsense': give auto, none, "),
        ({"recipe": "../recipes/lyrics"}, "There is no recipe"),
        ({"recipe": "gone.toml"}, "The recipe gone.toml cannot be read"),
        ({"recipe": "odd.toml"}, "has the setting 'name', which recipes cannot have"),
        ({"recipe": "wrong.toml"}, "--layers must be at least 1"),
    ],
)
def test_invalid_recipe_is_refused(in_empty_folder: Path, chosen: dict[str, str], message: str):
    (in_empty_folder / "odd.toml").write_text("about = 'x'\n[settings]\nname = 'x'", encoding="utf-8")
    (in_empty_folder / "wrong.toml").write_text("about = 'x'\n[settings]\nlayers = 0", encoding="utf-8")
    with pytest.raises(SettingError, match=r"recipe|layers") as error:
        complete_settings({"corpus": "spells", **chosen})
    assert message in str(error.value)


def test_train_shows_its_recipe_and_resumes_with_it(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    small = ["--layers", "1", "--units", "8", "--epochs", "1"]
    assert main(["train", "--corpus", "spells", "--recipe", "auto", *small, "--name", "run"]) == 0
    name = "short"
    output = " ".join(capsys.readouterr().out.split())
    assert "--recipe none uses the plain defaults; other flags change single settings of the recipe" in output
    assert f"{find_recipe(name).about} --recipe auto chooses it for texts of up to 100 kB; this one has " in output
    settings = load_record(Path("saved_models/run")).settings
    assert settings.recipe == name
    assert settings.batch_size == find_recipe(name).settings["batch_size"]
    assert main(["train", "--resume", "run", "--recipe", "auto"]) == 0
    assert main(["train", "--resume", "run", "--recipe", "lyrics"]) == 2
    assert f"--recipe {name}, not --recipe lyrics" in capsys.readouterr().err
