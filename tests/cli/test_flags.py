"""Flags are made from settings. An error about an unknown flag suggests similar ones."""

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.cli.flags import SYNONYMS, Parser, parser_of, settings_from
from wordgen.cli.main import VERBS
from wordgen.errors import SettingError
from wordgen.training.settings import TrainingSettings


@pytest.mark.parametrize("verb", ["train", "generate", "serve", "palindromes"])
def test_help_has_default_of_every_flag(verb: str):
    text = parser_of(verb, "wordgen").format_help()
    entries = re.findall(r"^  ((?:--|[A-Z])[^\n]*(?:\n {4,}[^\n]*)*)", text, re.MULTILINE)
    default = re.compile(r"\(default: .+\)|[Bb]y default|\(required\)")
    assert len(entries) > 5
    assert [entry for entry in entries if not default.search(" ".join(entry.split()))] == []


def test_missing_flags_take_defaults_of_settings():
    arguments = parser_of("train", "wordgen").parse_args(["--corpus", "lotr", "--batch-size", "7", "--no-tied"])
    assert settings_from(TrainingSettings, arguments) == TrainingSettings(batch_size=7)


def test_units_takes_one_number_or_one_per_layer():
    parser = parser_of("train", "wordgen")
    for value, units in (("64", 64), ("64 32", (64, 32))):
        assert parser.parse_args(["--corpus", "lotr", "--units", *value.split()]).units == units
    with pytest.raises(SettingError, match="--units: invalid int value: 'many'"):
        parser.parse_args(["--units", "64", "many"])


PARSERS = {verb: parser_of(verb, verb) for verb in VERBS}


def flags_of(verb: str) -> list[str]:
    return [flag for flag in PARSERS[verb]._option_string_actions if flag.startswith("--") and flag != "--help"]


KING = "king's"
FLAGS = [(verb, flag) for verb in VERBS for flag in flags_of(verb)]


def error_text(verb: str, *arguments: str) -> str:
    """Return the error about arguments, without `See ... --help` at its end."""
    needed = {"launch": ["--workers", "2"], "export": ["--to", "onnx"], "tune": ["tune.mid"]}.get(verb, [])
    with pytest.raises(SettingError) as error:
        PARSERS[verb].parse_args([*needed, *arguments])
    message, _, end = str(error.value).rpartition(" See ")
    assert end.endswith("--help")
    return message


def suggestion_of(verb: str, *arguments: str) -> str:
    """Return the second sentence of the error, the suggestion."""
    return error_text(verb, *arguments).partition(". ")[2]


@pytest.mark.parametrize(
    ("command", "suggestion"),
    [
        # What users of char-rnn, torch-rnn, textgenrnn, Keras and Hugging Face would type.
        ("train --lr 0.01", "Did you mean --learning-rate?"),
        ("train --lr=0.01", "Did you mean --learning-rate?"),
        ("train --hidden-size 256", "Did you mean --units?"),
        ("train --num-layers 2", "Did you mean --layers?"),
        ("train -rnn_size 128", "Did you mean --units?"),
        ("train --unit 64", "Did you mean --units?"),
        ("train --model lstm", "Did you mean --cell lstm?"),
        ("train --model LSTM", "Did you mean --cell lstm?"),
        ("train --model my-book", "Did you mean --name or --resume?"),
        ("train --dropout-rate 0.2", "Did you mean --dropout?"),
        ("train --batch 20", "Did you mean --batch-size?"),
        ("train --num_epochs 5", "Did you mean --epochs?"),
        ("train --data-dir books", "Did you mean --corpus?"),
        ("train --input book.txt", "Did you mean --corpus?"),
        ("train --max-steps 100", "Did you mean --epochs or --time-budget?"),
        ("train --seed 7", "Did you mean --random-seed?"),
        ("train --Layers 3", "Did you mean --layers?"),
        ("train --save_every 100", "Did you mean --checkpoint-every?"),
        ("train -eval_val_every 100", "Did you mean --validate-every?"),
        ("train -print_every 100", "Did you mean --log-every?"),
        ("train -val_frac 0.05", "Did you mean --validation-share?"),
        ("train -decay_rate 0.95", "Did you mean --rho or --decay?"),
        ("train -grad_clip 5", "Did you mean --clip or --clip-value?"),
        ("train --lr 1 --hidden-size 4", "Did you mean --learning-rate (--lr) and --units (--hidden-size)?"),
        ("train --cell LSTM", "Did you mean lstm?"),
        ("train --tokenizer char", "Did you mean characters?"),
        ("generate --prompt The", "Did you mean --seed?"),
        ("generate --primetext The", "Did you mean --seed?"),
        ("generate --temp 0.5", "Did you mean --temperature?"),
        ("generate --max-length 100", "Did you mean --length?"),
        ("generate --max-new-tokens 100", "Did you mean --length?"),
        ("generate --num-return-sequences 3", "Did you mean --count?"),
        ("generate --do-sample", "Did you mean --mode?"),
        ("generate --top 5", "Did you mean --top-k or --top-p?"),
        ("generate --checkpoint saved_models/x", "Did you mean --model?"),
        ("generate --corpus lotr", "Did you mean --model?"),
        ("generate --mode argmax", "Did you mean greedy?"),
        ("evaluate --num-samples 3", "Did you mean --samples?"),
        ("serve --address 0.0.0.0", "Did you mean --host?"),
        ("sweep --jobs 2", "Did you mean --at-once?"),
        ("export --outfile x.onnx", "Did you mean --output?"),
        ("runs list --order-by name", "Did you mean --sort?"),
        # Flags of other commands.
        ("train --temperature 0.5", "--temperature is a flag of generate."),
        ("generate --layers 2", "--layers is a flag of train."),
        ("launch --lr 3", "--learning-rate is a flag of train: give it after the --."),
        (
            "sweep --seed 3",
            "--random-seed is a flag of train: put it into the file of the sweep (see docs/sweeps.md).",
        ),
        # Words without a flag.
        ("train lotr", "Did you mean --corpus lotr?"),
        ("train lotr --layers 2", "Did you mean --corpus lotr?"),
        ("train lotr fables", "Did you mean --corpus lotr fables?"),
        ("train --layers 3 512", "--layers takes one value."),
        ("generate Aragorn", "Did you mean --seed Aragorn?"),
        ("generate --seed The king", 'Put several words into quotation marks: --seed "The king".'),
        ("generate --seed The king of it --mode sample", 'into quotation marks: --seed "The king of it".'),
        ("generate --until The end", 'Put several words into quotation marks: --until "The end".'),
        ("score The king sleeps.", 'Put several words into quotation marks: "The king sleeps.".'),
        ("runs my-book", "Did you mean runs show my-book?"),
        ("corpora lotr", "Did you mean corpora show lotr?"),
        ('corpora "king\'s"', f"Did you mean corpora show {shlex.quote(KING)}?"),
        # No suggestion.
        ("train --frobnicate 3", ""),
        ("generate -9", ""),
        ("train --cell transformer", ""),
    ],
)
def test_error_suggests_similar_names(command: str, suggestion: str):
    text = suggestion_of(*shlex.split(command))
    assert text.endswith(suggestion)
    assert bool(text) == bool(suggestion)


@pytest.mark.parametrize(
    ("command", "part"),
    [
        ("train --gpu 0", "wordgen uses all GPUs by itself"),
        ("generate --device cuda", "generate needs no GPU"),
        ("train --checkpoint-dir models", "in a folder of its own in saved_models/, or in the folder of --models"),
        ("train --log-dir runs", "The curves for TensorBoard are in the folder of the run"),
        ("train --keep-prob 0.7", "1 minus the share that is kept"),
    ],
)
def test_error_explains_flags_that_wordgen_does_not_need(command: str, part: str):
    assert part in suggestion_of(*shlex.split(command))


@given(st.sampled_from([pair for pair in FLAGS if len(pair[1]) > 6]), st.data())
def test_error_suggests_flag_for_misspelt_one(pair: tuple[str, str], data: st.DataObject):
    """One letter is missing, doubled or swapped with the next."""
    verb, flag = pair
    position = data.draw(st.integers(2, len(flag) - 2))
    misspellings = (
        flag[:position] + flag[position + 1 :],
        flag[: position + 1] + flag[position:],
        flag[:position] + flag[position + 1] + flag[position] + flag[position + 2 :],
    )
    misspelt = data.draw(st.sampled_from(misspellings))
    if misspelt in flags_of(verb):
        return
    assert "Did you mean --" in suggestion_of(verb, misspelt)


@given(st.sampled_from([*VERBS]), st.from_regex(r"--[a-z]{1,12}(-[a-z]{1,8})?", fullmatch=True))
def test_error_suggests_only_existing_flags(verb: str, word: str):
    if word in (*flags_of(verb), "--help"):
        return
    parts = suggestion_of(verb, word).split()
    suggested = {part.rstrip(".?:,") for part in parts if part.startswith("--")} - {"--", ""}
    assert suggested <= {"--help", *(flag for _, flag in FLAGS)}
    # A word that is no synonym must have most letters in common with the suggestion.
    synonyms = {name for names in SYNONYMS.values() for name in names.split()}
    if suggested and word[2:] not in synonyms | {"model"} and word not in {flag for _, flag in FLAGS}:
        assert any(len(set(word[2:]) & set(flag[2:])) * 2 > len(set(word[2:])) for flag in suggested)


def test_every_synonym_of_a_flag_gets_a_suggestion():
    for flag, synonyms in SYNONYMS.items():
        verbs = [verb for verb in VERBS if f"--{flag}" in flags_of(verb)]
        assert verbs or flag in ("sort", "yes"), f"no command has --{flag}"  # these two belong to actions
        names = synonyms.split()
        assert names == sorted(set(names))
        for name in names:
            assert name == name.lower()
            verbs_without = [verb for verb in verbs if f"--{name}" not in flags_of(verb)]
            assert verbs_without or not verbs, f"{name} is a flag itself wherever {flag} is"
            assert all(suggestion_of(verb, f"--{name}", "x") for verb in verbs_without)


@given(st.sampled_from([*VERBS]), st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_any_arguments_are_parsed_or_refused(verb: str, arguments: list[str]):
    without_help = [argument for argument in arguments if not argument.startswith("-h")]
    assert "--help" in str(error_or_none(PARSERS[verb], [*without_help, "--frobnicate"]))


def error_or_none(parser: Parser, arguments: list[str]) -> SettingError | None:
    try:
        parser.parse_args(arguments)
    except SettingError as error:
        return error
    return None
