"""Commands that are built: whatever a value is, it is read as that value and never as a flag."""

import shlex
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.cli.flags import given_settings, parser_of, settings_from
from wordgen.palindromes.settings import StudySettings
from wordgen.run import commands
from wordgen.run.defaults import settings_of
from wordgen.run.settings import TrainSettings
from wordgen.sweep.planning import find_sweep, plan_sweep
from wordgen.sweep.sweeping import _arguments

TEXTS = st.one_of(
    st.sampled_from(["--overwrite", "--name=precious", "-", "--", "-1", "--corpus", "a.txt", "", "a b", "$(ls)"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
)


TRAIN, GENERATE, EVALUATE, RUNS = (parser_of(verb, "x") for verb in ("train", "generate", "evaluate", "runs"))
PALINDROMES = parser_of("palindromes", "x")


def parsed_settings(words: list[str]) -> TrainSettings:
    arguments = TRAIN.parse_args(words)
    return TrainSettings(**given_settings(TrainSettings, arguments))


@given(corpus=st.lists(TEXTS, min_size=1, max_size=3), units=st.lists(st.integers(1, 99), min_size=1, max_size=2))
def test_training_commands_are_read_back_as_the_settings_they_were_made_from(corpus: list[str], units: list[int]):
    settings = settings_of({"corpus": tuple(corpus), "units": tuple(units), "layers": len(units), "tied": True})
    named = parsed_settings(commands.training_arguments(settings, "sweep/run")[1:])
    assert named.name == "sweep/run"
    shown = parsed_settings(shlex.split(commands.training_command(settings).removeprefix(commands.TRY))[1:])
    for read in (named, shown):
        assert (read.corpus, read.units, read.tied, read.overwrite) == (settings.corpus, settings.units, True, False)


@given(name=TEXTS, seed=TEXTS)
def test_names_and_seeds_in_advised_commands_are_read_as_such(name: str, seed: str):
    written = GENERATE.parse_args(words_of(commands.writing_command(name, seed), 1))
    assert (written.model, written.seed, written.json) == (name, seed, False)
    evaluated = EVALUATE.parse_args(words_of(commands.evaluating_command(name, samples=3), 1))
    assert (evaluated.named if evaluated.model is None else evaluated.model, evaluated.samples) == (name, 3)
    assert TRAIN.parse_args(words_of(commands.resuming_command(name), 1)).resume == name
    compared = RUNS.parse_args(words_of(commands.runs_command("compare", name, "other"), 1))
    assert compared.runs == [name, "other"]
    actions: tuple[Literal["show", "list", "rm"], ...] = ("show", "list", "rm")
    for action in actions:
        arguments = vars(RUNS.parse_args(words_of(commands.runs_command(action, name), 1)))
        assert name in (arguments.get("run"), arguments.get("sweep"), *arguments.get("runs", ()))


@given(
    lengths=st.lists(st.integers(2, 50), min_size=2, max_size=3).map(tuple),
    cells=st.sampled_from(["lstm", ("lstm", "rnn")]),
    forget_bias=st.none() | st.floats(-20, 20),
    curriculum=st.booleans(),
)
def test_the_command_of_a_study_of_palindromes_is_read_back_as_its_settings(
    lengths: tuple[int, ...], cells: Any, forget_bias: float | None, curriculum: bool
):
    settings = StudySettings(lengths=lengths, cells=cells, forget_bias=forget_bias, curriculum=curriculum)
    words = words_of(commands.palindromes_command(settings), 1)
    assert settings_from(StudySettings, PALINDROMES.parse_args(words)) == settings


def words_of(command: str, verbs: int) -> list[str]:
    return shlex.split(command.removeprefix(commands.TRY))[verbs:]


def test_a_text_called_as_a_flag_replaces_no_run(in_empty_folder: Path):
    for name in ("a.txt", "--name=precious", "--overwrite"):
        Path(name).write_text("One road goes on.\n\nOne road ends here.\n\nOne more road.\n\nOne last road.\n" * 30)
    Path("sweep.toml").write_text(
        '[settings]\ncorpus = ["a.txt", "--name=precious", "--overwrite"]\n[grid]\nunits = [[8], 9]\nlayers = [1]'
    )
    for run, units in zip(plan_sweep(find_sweep("sweep.toml")).runs, (8, 9), strict=True):
        read = parsed_settings(_arguments(run)[1:])
        assert read.corpus == ("a.txt", "--name=precious", "--overwrite")
        assert (read.name, read.overwrite, read.units) == (run.name, False, units)


@pytest.mark.parametrize(
    "given", [["--units=64", "--units=32"], ["--units", "64", "32"], ["--units", "64", "--units=32"]]
)
def test_a_flag_that_is_given_again_adds_to_its_list(given: list[str]):
    assert TRAIN.parse_args(given).units == (64, 32)
