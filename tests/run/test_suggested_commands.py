"""Commands that wordgen builds: the parser reads every value back, and takes none for a flag."""

import shlex
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.cli.flags import given_settings, parser_of, settings_from
from wordgen.palindromes.settings import StudySettings
from wordgen.run import commands
from wordgen.run.defaults import complete_settings
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


def arguments_of(command: str) -> list[str]:
    """The arguments of a suggested command, without the program and its verb."""
    return shlex.split(command.removeprefix(commands.COMMAND_PREFIX))[1:]


@given(corpus=st.lists(TEXTS, min_size=1, max_size=3), units=st.lists(st.integers(1, 99), min_size=1, max_size=2))
def test_training_command_parses_to_the_same_settings(corpus: list[str], units: list[int]):
    settings = complete_settings({"corpus": tuple(corpus), "units": tuple(units), "layers": len(units), "tied": True})
    started = parsed_settings(commands.training_arguments(settings, "sweep/run")[1:])
    assert started.name == "sweep/run"
    suggested = parsed_settings(arguments_of(commands.training_command(settings)))
    for parsed in (started, suggested):
        assert (parsed.corpus, parsed.units, parsed.tied, parsed.overwrite) == (
            settings.corpus, settings.units, True, False,
        )  # fmt: skip


@given(name=TEXTS, seed=TEXTS)
def test_suggested_commands_keep_names_and_prompts(name: str, seed: str):
    generate = GENERATE.parse_args(arguments_of(commands.writing_command(name, seed)))
    assert (generate.model, generate.seed, generate.json) == (name, seed, False)
    evaluate = EVALUATE.parse_args(arguments_of(commands.evaluating_command(name, samples=3)))
    assert (evaluate.model_flag if evaluate.model is None else evaluate.model, evaluate.samples) == (name, 3)
    assert TRAIN.parse_args(arguments_of(commands.resuming_command(name))).resume == name
    compare = RUNS.parse_args(arguments_of(commands.runs_command("compare", name, "other")))
    assert compare.runs == [name, "other"]
    actions: tuple[Literal["show", "list", "rm"], ...] = ("show", "list", "rm")
    for action in actions:
        arguments = vars(RUNS.parse_args(arguments_of(commands.runs_command(action, name))))
        assert name in (arguments.get("run"), arguments.get("sweep"), *arguments.get("runs", ()))


@given(
    lengths=st.lists(st.integers(2, 50), min_size=2, max_size=3).map(tuple),
    cells=st.sampled_from(["lstm", ("lstm", "rnn")]),
    forget_bias=st.none() | st.floats(-20, 20),
    curriculum=st.booleans(),
)
def test_palindromes_command_parses_to_the_same_settings(
    lengths: tuple[int, ...], cells: Any, forget_bias: float | None, curriculum: bool
):
    settings = StudySettings(lengths=lengths, cells=cells, forget_bias=forget_bias, curriculum=curriculum)
    arguments = arguments_of(commands.palindromes_command(settings))
    assert settings_from(StudySettings, PALINDROMES.parse_args(arguments)) == settings


def test_sweep_reads_corpus_names_that_look_like_flags(in_empty_folder: Path):
    for name in ("a.txt", "--name=precious", "--overwrite"):
        Path(name).write_text("One road goes on.\n\nOne road ends here.\n\nOne more road.\n\nOne last road.\n" * 30)
    Path("sweep.toml").write_text(
        '[settings]\ncorpus = ["a.txt", "--name=precious", "--overwrite"]\n[grid]\nunits = [[8], 9]\nlayers = [1]'
    )
    for run, units in zip(plan_sweep(find_sweep("sweep.toml")).runs, (8, 9), strict=True):
        parsed = parsed_settings(_arguments(run)[1:])
        assert parsed.corpus == ("a.txt", "--name=precious", "--overwrite")
        assert (parsed.name, parsed.overwrite, parsed.units) == (run.name, False, units)


@pytest.mark.parametrize(
    "arguments", [["--units=64", "--units=32"], ["--units", "64", "32"], ["--units", "64", "--units=32"]]
)
def test_repeated_flag_extends_its_list(arguments: list[str]):
    assert TRAIN.parse_args(arguments).units == (64, 32)
