"""Recipes: each can be read and taken, flags by hand win, and auto goes by the size of the text."""

import gzip
from dataclasses import fields, replace
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
from wordgen.model import base as bases
from wordgen.model.architecture import NetworkSettings
from wordgen.run.commands import short_training_command, training_arguments, training_command
from wordgen.run.defaults import find_recipe, recipe_for, recipe_in_words, recipe_names, settings_of
from wordgen.run.record import load_record
from wordgen.run.settings import HEAD_START, TrainSettings, resumed_settings
from wordgen.sweep.planning import find_sweep, plan_sweep
from wordgen.training.settings import RHO, TrainingSettings

OWN = """
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


NOT_MEASURED_YET = ("char-rnn", "grimm-characters")
"""Recipes without results. A recipe that gets results must be removed from here."""


@pytest.mark.parametrize("name", recipe_names())
def test_each_can_be_taken_and_says_what_it_is_for(name: str):
    recipe = find_recipe(name)
    settings = settings_of({"corpus": "lotr", "recipe": name})
    assert settings.recipe == name
    for setting, value in recipe.settings.items():
        assert getattr(settings, setting) == value
    assert recipe.about.endswith(".")
    assert 20 < len(recipe.about) < 160
    # head-start is measured with the bases, and the recipes of music with the studies
    without_results = (HEAD_START, "tunes", "piano", *NOT_MEASURED_YET)
    assert bool(recipe.results) == (name not in without_results)
    for result in recipe.results:
        assert result.command == f"python train.py --corpus {result.corpus} --recipe {name}"


def test_those_that_auto_takes_are_there():
    sizes = {1: "short", 100_000: "short", 100_001: "book", 3_000_000: "book", 3_000_001: "small", 10**10: "small"}
    assert {size: recipe_for(size) for size in sizes} == sizes
    assert set(sizes.values()) <= set(recipe_names())


def test_each_text_has_one_and_it_is_told_why():
    assert recipe_in_words("book", 474_000) == (
        f"book: {find_recipe('book').about} --recipe auto chooses it for texts from 100 kB to 3 MB; "
        "this one has 474 kB."
    )
    assert recipe_in_words("book", 90_000) == f"book: {find_recipe('book').about}"
    assert recipe_in_words("book", 474_000, "characters") == f"book: {find_recipe('book').about}"


def test_auto_goes_by_the_size_of_the_text(in_empty_folder: Path):
    long = b"A word or two.\n\n" * 20_000
    (in_empty_folder / "long.txt").write_bytes(long)
    (in_empty_folder / "packed.txt.gz").write_bytes(gzip.compress(long))
    for corpus, name in (("spells", "short"), ("long.txt", "book"), ("packed.txt.gz", "book")):
        settings = settings_of({"corpus": corpus, "recipe": "auto", "epochs": 99})
        assert settings.recipe == name
        assert settings.epochs == 99


def test_letters_have_one_of_their_own():
    settings = settings_of({"corpus": "spells", "tokenizer": "characters"})
    assert (settings.recipe, settings.seq_len) == ("char-rnn", 50)
    assert settings_of({"corpus": "spells", "tokenizer": "whitespace"}).recipe == "short"
    assert settings_of({"corpus": "airs"}).recipe == "tunes"
    assert settings_of({"corpus": "airs", "tokenizer": "characters"}).recipe == "char-rnn"
    assert settings_of({"corpus": "spells", "tokenizer": "abc"}).recipe == "tunes"
    assert recipe_in_words("char-rnn", 100).endswith("--recipe auto chooses it for --tokenizer characters.")


def test_music_has_one_of_its_own(in_empty_folder: Path):
    write_midi(in_empty_folder / "tunes" / "scale.mid", scale())
    for chosen in ({"corpus": "preludes"}, {"corpus": "tunes"}, {"corpus": "spells", "tokenizer": "chords"}):
        assert settings_of(chosen).recipe == "piano"
    assert settings_of({"corpus": "preludes", "layers": 2}).recipe is None
    assert recipe_in_words("piano", 100).endswith("--recipe auto chooses it for --tokenizer notes or chords.")


HOW_LONG = (
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
OF_NETWORK_OR_LEARNING = {each.name for group in (NetworkSettings, TrainingSettings) for each in fields(group)}
OF_NETWORK_OR_LEARNING -= {"init_from", "from_scratch"}


@pytest.fixture(autouse=True)
def no_bases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is taken where wordgen comes with none; test_shipped_bases.py is about the others."""
    monkeypatch.setattr(bases, "bundled_data", lambda: tmp_path)


def test_one_is_taken_unless_something_of_network_or_learning_is_given():
    assert settings_of({"corpus": "spells"}) == settings_of({"corpus": "spells", "recipe": "auto"})
    for each in fields(TrainSettings):
        if each.name in ("corpus", "recipe", "local_devices", "tokenizer"):
            continue
        decides = each.name in OF_NETWORK_OR_LEARNING and each.name not in HOW_LONG
        settings = settings_of({"corpus": "spells", each.name: each.default})
        assert settings.recipe == (None if decides else "short"), each.name


@pytest.mark.parametrize("corpus", [None, 5, (None, "spells"), ("spells", 5)])
def test_what_is_no_text_is_no_corpus(corpus: object):
    with pytest.raises(SettingError, match=r"--corpus must be text, not "):
        settings_of({"corpus": corpus})


def test_without_one_all_is_as_by_default():
    """The first command of all keeps its meaning: its flags say what the network is."""
    plain = TrainSettings(corpus="lotr", seq_len=15, layers=3)
    assert settings_of({"corpus": "lotr", "seq_len": 15, "layers": 3}) == plain
    assert settings_of({"corpus": "lotr", "recipe": "none"}) == plain
    arguments = train_parser("train").parse_args(["--corpus", "lotr", "--seq-len", "15", "--layers", "3"])
    assert settings_of(given_settings(TrainSettings, arguments)) == plain


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
def test_the_commands_that_repeat_a_run_mean_its_settings(given: dict[str, Any]):
    """Whatever recipe it began with: what is advised, and what a sweep starts, takes none by itself."""
    settings = settings_of({"corpus": "spells", **given})
    shown = [make(settings, {}).split()[3:] for make in (training_command, short_training_command)]
    for arguments in (training_arguments(settings, "run"), *shown):
        again = settings_of(given_settings(TrainSettings, train_parser("train").parse_args(arguments[1:])))
        assert replace(again, name=None, recipe=None) == replace(settings, recipe=None)


def test_a_run_that_goes_on_keeps_what_it_took():
    for chosen, taken in (({}, "short"), ({"layers": 2}, None), ({"recipe": "book"}, "book")):
        began = settings_of({"corpus": "spells", **chosen})
        assert began.recipe == taken
        assert resumed_settings("run", began, {}) == began
        assert resumed_settings("run", began, {"recipe": "auto"}) == began
        if taken is None:
            assert resumed_settings("run", began, {"recipe": "none"}) == began
        else:
            with pytest.raises(SettingError, match=f"began with --recipe {taken}, not none"):
                resumed_settings("run", began, {"recipe": "none"})


def test_in_a_sweep_all_networks_have_one_or_none(in_empty_folder: Path):
    def recipes(networks: str) -> list[str | None]:
        content = f'random_seeds = [1]\n[settings]\ncorpus = "spells"\n{networks}'
        (in_empty_folder / "own.toml").write_text(content, encoding="utf-8")
        return [run.settings.recipe for run in plan_sweep(find_sweep("own.toml")).runs]

    assert recipes("[grid]\nvocab_size = [500, 900]") == ["short"] * 2
    assert recipes('[[networks]]\nname = "plain"\n[[networks]]\nname = "two"\nlayers = 2\nunits = 8') == [None] * 2
    assert recipes('[[networks]]\nname = "plain"\n[[networks]]\nname = "two"\nrecipe = "short"') == ["short"] * 2


def test_what_is_given_by_hand_wins_even_where_it_is_the_default(in_empty_folder: Path):
    (in_empty_folder / "my.toml").write_text(OWN, encoding="utf-8")
    settings = settings_of({"corpus": "spells", "recipe": "my.toml", "learning_rate": None, "layers": 2})
    assert settings.units == (32, 16)
    assert settings.learning_rate is None
    assert settings_of({"corpus": "spells", "units": 7}) == TrainSettings(corpus="spells", units=7)
    lists = {"corpus": [Path("a.txt"), "b.txt"], "units": [8, 4], "layers": 2}
    assert settings_of(lists) == TrainSettings(corpus=("a.txt", "b.txt"), units=(8, 4), layers=2)
    assert settings_of({"corpus": Path("a.txt"), "layers": 2}).corpus == "a.txt"


def test_a_learning_rate_is_of_its_optimizer(in_empty_folder: Path):
    (in_empty_folder / "my.toml").write_text(OWN, encoding="utf-8")
    book = find_recipe("book").settings
    assert settings_of({"corpus": "spells", "recipe": "book", "optimizer": "adam"}).learning_rate is None
    assert (
        settings_of({"corpus": "spells", "recipe": "book", "optimizer": "sgd"}).learning_rate == book["learning_rate"]
    )
    own = settings_of({"corpus": "spells", "recipe": "my.toml", "optimizer": "rmsprop"})
    assert own.learning_rate == 0.01  # rmsprop is what it has by default
    by_hand = settings_of({"corpus": "spells", "recipe": "book", "optimizer": "adam", "learning_rate": 0.01})
    assert by_hand.learning_rate == 0.01


def test_another_optimizer_does_not_take_the_rho_of_a_recipe(in_empty_folder: Path):
    (in_empty_folder / "my.toml").write_text(OWN.replace("layers = 2", "layers = 2\nrho = 0.95"), encoding="utf-8")
    assert settings_of({"corpus": "spells", "recipe": "my.toml"}).rho == 0.95
    by_adam = settings_of({"corpus": "spells", "recipe": "my.toml", "optimizer": "adam"})
    assert (by_adam.rho, by_adam.recipe) == (RHO, "my.toml")


def test_what_it_reached_stands_beside_it(in_empty_folder: Path):
    (in_empty_folder / "my.toml").write_text(OWN, encoding="utf-8")
    (result,) = find_recipe("my.toml").results
    assert (result.epoch, result.test_perplexity, result.ngram_test_perplexity) == (3, 31.5, 32.1)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("about = 'x'", "'settings' is missing"),
        ("about = 'x'\n[settings]\n[more]", "not more"),
        ("about = 'x'\nsettings = 3", "cannot be read"),
        ("[settings", "cannot be read"),
        (OWN.replace("abc1234", "abc").replace("minutes = 0.5", "minutes = 0"), "--minutes must be above 0"),
        (OWN.replace("2026-11-21", "yesterday"), "Invalid isoformat string"),
        (OWN + "who = 3", "'who' is not a setting"),
    ],
)
def test_a_recipe_that_cannot_be_read_says_why(in_empty_folder: Path, content: str, part: str):
    (in_empty_folder / "my.toml").write_text(content, encoding="utf-8")
    with pytest.raises(SettingError, match=r"The recipe my\.toml cannot be read") as refused:
        find_recipe("my.toml")
    assert part in str(refused.value)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"recipe": "nonsense"}, "There is no recipe 'nonsense': give auto, none, "),
        ({"recipe": "../recipes/lyrics"}, "There is no recipe"),
        ({"recipe": "gone.toml"}, "The recipe gone.toml cannot be read"),
        ({"recipe": "odd.toml"}, "has the setting 'name', which recipes cannot have"),
        ({"recipe": "wrong.toml"}, "--layers must be at least 1"),
    ],
)
def test_what_is_no_recipe_is_refused(in_empty_folder: Path, given: dict[str, str], part: str):
    (in_empty_folder / "odd.toml").write_text("about = 'x'\n[settings]\nname = 'x'", encoding="utf-8")
    (in_empty_folder / "wrong.toml").write_text("about = 'x'\n[settings]\nlayers = 0", encoding="utf-8")
    with pytest.raises(SettingError, match=r"recipe|layers") as refused:
        settings_of({"corpus": "spells", **given})
    assert part in str(refused.value)


def test_a_run_says_which_recipe_it_took_and_what_for_and_goes_on_with_it(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
):
    small = ["--layers", "1", "--units", "8", "--epochs", "1"]
    assert main(["train", "--corpus", "spells", "--recipe", "auto", *small, "--name", "run"]) == 0
    name = "short"
    told = " ".join(capsys.readouterr().out.split())
    assert "--recipe none uses the plain defaults; other flags change single settings of the recipe" in told
    assert f"{find_recipe(name).about} --recipe auto chooses it for texts of up to 100 kB; this one has " in told
    settings = load_record(Path("saved_models/run")).settings
    assert settings.recipe == name
    assert settings.batch_size == find_recipe(name).settings["batch_size"]
    assert main(["train", "--resume", "run", "--recipe", "auto"]) == 0
    assert main(["train", "--resume", "run", "--recipe", "lyrics"]) == 2
    assert f"--recipe {name}, not lyrics" in capsys.readouterr().err
