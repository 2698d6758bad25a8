"""The pages about student reports and char-rnn: commands, flags and tables are correct."""

import re
import shlex

import pytest

from tests.helpers.commands import ROOT
from wordgen.cli.flags import parser_of
from wordgen.cli.main import VERBS
from wordgen.run.defaults import find_recipe
from wordgen.sweep.planning import find_sweep
from wordgen.text.tokenizers import tokenizer_named

STUDIES, CHAR_RNN, TEXTS = (
    (ROOT / "docs" / page).read_text(encoding="utf-8") for page in ("studies/README.md", "char-rnn.md", "texts.md")
)
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", STUDIES, re.DOTALL)
    for line in block.strip().split("\n")
    if line.startswith("python -m wordgen")
]
PARSERS = {verb: parser_of(verb, "x") for verb in VERBS}
ROWS = [
    [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
    for row in TEXTS.split("\n")
    if re.match(r"\| \d", row)
]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_studies_can_be_parsed(command: str):
    verb, *words = shlex.split(command)[3:]
    given = PARSERS[verb].parse_args(words)
    if getattr(given, "recipe", None):
        assert find_recipe(given.recipe).settings
    if verb == "sweep":
        assert find_sweep(given.sweep).networks


def test_each_study_has_commands_and_figures():
    studies = STUDIES.split("\n## ")[1:]
    assert len(studies) >= 6
    for study in studies:
        assert "```sh" in study
        assert re.search(r"^\| .*\d", study, re.MULTILINE)


def test_options_of_other_programs_map_to_existing_flags():
    known = "".join(parser.format_help() for parser in PARSERS.values())
    our_options = [row.rsplit("|", 2)[1] for row in CHAR_RNN.split("\n") if row.startswith("| ")]
    flags = {flag for cell in our_options for flag in re.findall(r"--[a-z][a-z-]+", cell)}
    assert {flag for flag in flags if not re.search(rf"{flag}\b(?!-)", known)} == set()
    for wanted in ("rho", "validation-share", "test-share", "clip-value", "sample-every", "validate-every", "models"):
        assert f"--{wanted}" in flags


def test_table_has_every_option_of_other_programs():
    options = """
        data_dir rnn_size num_layers model learning_rate learning_rate_decay learning_rate_decay_after decay_rate
        dropout seq_length batch_size max_epochs grad_clip train_frac val_frac init_from seed print_every eval_val_every
        checkpoint_dir savefile accurate_gpu_timing gpuid opencl sample primetext length temperature
        input_h5 input_json reset_iterations model_type wordvec_size lr_decay_every lr_decay_factor checkpoint_name
        checkpoint_every speed_benchmark memory_benchmark gpu gpu_backend checkpoint start_text verbose output
    """
    assert [name for name in options.split() if f"-{name}`" not in CHAR_RNN] == []


def test_table_of_japanese_tokens_is_what_the_tokenizer_does():
    lyrics = (ROOT / "data" / "lyrics.txt").read_text(encoding="utf-8").split("\n")
    assert len(ROWS) >= 15
    for line, tokens, correct in ROWS:
        text = lyrics[int(line) - 1]
        assert "|".join(tokenizer_named("japanese").tokenize(text)) == tokens
        assert correct.replace("|", "") == text
        assert correct != tokens
