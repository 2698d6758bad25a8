"""Flags are made from the declarations of the settings; for unknown ones, what may be meant is told."""

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
def test_every_flag_says_its_default(verb: str):
    text = parser_of(verb, "wordgen").format_help()
    entries = re.findall(r"^  ((?:--|[A-Z])[^\n]*(?:\n {4,}[^\n]*)*)", text, re.MULTILINE)
    told = re.compile(r"\(default: .+\)|by default|\(required\)")
    assert len(entries) > 5
    assert [each for each in entries if not told.search(" ".join(each.split()))] == []


def test_what_is_not_given_is_left_to_the_settings():
    arguments = parser_of("train", "wordgen").parse_args(["--corpus", "lotr", "--batch-size", "7", "--no-tied"])
    assert settings_from(TrainingSettings, arguments) == TrainingSettings(batch_size=7)


def test_a_width_for_all_layers_or_one_for_each():
    parser = parser_of("train", "wordgen")
    for words, units in (("64", 64), ("64 32", (64, 32))):
        assert parser.parse_args(["--corpus", "lotr", "--units", *words.split()]).units == units
    with pytest.raises(SettingError, match="--units: invalid int value: 'many'"):
        parser.parse_args(["--units", "64", "many"])


PARSERS = {verb: parser_of(verb, verb) for verb in VERBS}


def flags_of(verb: str) -> list[str]:
    return [flag for flag in PARSERS[verb]._option_string_actions if flag.startswith("--") and flag != "--help"]


FLAGS = [(verb, flag) for verb in VERBS for flag in flags_of(verb)]


def refusal(verb: str, *arguments: str) -> str:
    """What is said of arguments, but for the end that all have."""
    needed = {"launch": ["--workers", "2"], "export": ["--to", "onnx"], "tune": ["tune.mid"]}.get(verb, [])
    with pytest.raises(SettingError) as refused:
        PARSERS[verb].parse_args([*needed, *arguments])
    told, _, end = str(refused.value).rpartition(" See ")
    assert end.endswith("--help")
    return told


def hint(verb: str, *arguments: str) -> str:
    """What was perhaps meant; what was given is told before it."""
    return refusal(verb, *arguments).partition(". ")[2]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        # What users of char-rnn, torch-rnn, textgenrnn, Keras and Hugging Face would type.
        ("train --lr 0.01", "Did you mean --learning-rate?"),
        ("train --lr=0.01", "Did you mean --learning-rate?"),
        ("train --hidden-size 256", "Did you mean --units?"),
        ("train --hidden_size 256", "Did you mean --units?"),
        ("train --num-layers 2", "Did you mean --layers?"),
        ("train -rnn_size 128", "Did you mean --units?"),
        ("train --rnn-size 128", "Did you mean --units?"),
        ("train --unit 64", "Did you mean --units?"),
        ("train --model lstm", "Did you mean --cell lstm?"),
        ("train --model LSTM", "Did you mean --cell lstm?"),
        ("train --model my-book", "Did you mean --name or --resume?"),
        ("train --dropout-rate 0.2", "Did you mean --dropout?"),
        ("train --batch 20", "Did you mean --batch-size?"),
        ("train --nb-epochs 5", "Did you mean --epochs?"),
        ("train --num_epochs 5", "Did you mean --epochs?"),
        ("train --data-dir books", "Did you mean --corpus?"),
        ("train --input book.txt", "Did you mean --corpus?"),
        ("train --max-steps 100", "Did you mean --epochs or --time-budget?"),
        ("train --seed 7", "Did you mean --random-seed?"),
        ("train --Layers 3", "Did you mean --layers?"),
        ("train --seq_len 3", "Did you mean --seq-len?"),
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
        # What another command has.
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
        # What nobody can guess.
        ("train --frobnicate 3", ""),
        ("train --frobnicate x", ""),
        ("generate -9", ""),
        ("train --cell transformer", ""),
    ],
)
def test_what_was_meant_is_told(command: str, told: str):
    verb, *arguments = shlex.split(command)
    given = hint(verb, *arguments)
    assert given.endswith(told)
    assert bool(given) == bool(told)


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
def test_where_a_name_would_not_help_a_sentence_does(command: str, part: str):
    assert part in hint(*shlex.split(command))


@given(st.sampled_from([pair for pair in FLAGS if len(pair[1]) > 6]), st.data())
def test_a_slip_of_the_fingers_is_seen_through(pair: tuple[str, str], data: st.DataObject):
    """One letter missing, doubled, or changed places with the next: the flag itself is named, or one as near."""
    verb, flag = pair
    place = data.draw(st.integers(2, len(flag) - 2))
    slips = (flag[:place] + flag[place + 1 :], flag[: place + 1] + flag[place:])
    slips += (flag[:place] + flag[place + 1] + flag[place] + flag[place + 2 :],)
    slip = data.draw(st.sampled_from(slips))
    if slip in flags_of(verb):
        return
    assert "Did you mean --" in hint(verb, slip)


@given(st.sampled_from([*VERBS]), st.from_regex(r"--[a-z]{1,12}(-[a-z]{1,8})?", fullmatch=True))
def test_only_flags_that_there_are_are_named(verb: str, word: str):
    if word in (*flags_of(verb), "--help"):
        return
    hinted = {each.rstrip(".?:,") for each in hint(verb, word).split() if each.startswith("--")} - {"--", ""}
    assert hinted <= {"--help", *(flag for _, flag in FLAGS)}
    # Spelling alone never leads far away.
    synonyms = {name for names in SYNONYMS.values() for name in names.split()}
    if hinted and word[2:] not in synonyms | {"model"} and word not in {flag for _, flag in FLAGS}:
        assert any(len(set(word[2:]) & set(flag[2:])) * 2 > len(set(word[2:])) for flag in hinted)


def test_every_synonym_is_of_a_flag_and_leads_to_it():
    for ours, theirs in SYNONYMS.items():
        verbs = [verb for verb in VERBS if f"--{ours}" in flags_of(verb)]
        assert verbs or ours in ("sort", "yes"), f"no command has --{ours}"  # those two are of actions
        names = theirs.split()
        assert names == sorted(set(names))
        for name in names:
            assert name == name.lower()
            free = [verb for verb in verbs if f"--{name}" not in flags_of(verb)]
            assert free or not verbs, f"{name} is a flag itself wherever {ours} is"
            assert all(hint(verb, f"--{name}", "x") for verb in free)


@given(st.sampled_from([*VERBS]), st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_whatever_is_typed_is_parsed_or_refused_in_a_sentence(verb: str, arguments: list[str]):
    """No other error comes out of it, whatever the words are."""
    parser, typed = PARSERS[verb], [each for each in arguments if not each.startswith("-h")]
    assert "--help" in str(_refusal_or_nothing(parser, [*typed, "--frobnicate"]))


def _refusal_or_nothing(parser: Parser, arguments: list[str]) -> SettingError | None:
    try:
        parser.parse_args(arguments)
    except SettingError as refused:
        return refused
    return None
