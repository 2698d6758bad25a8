"""Flags from the declarations of settings, and what the user may have meant by one that a command does not have.

The name, type, choices, default and help of a flag are declared only once, in the settings.
"""

import argparse
import difflib
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from importlib import import_module
from types import UnionType
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from wordgen.cli.output import print_output
from wordgen.errors import SettingError, in_a_sentence
from wordgen.evaluation.figures import shown_value
from wordgen.settings import Settings, flag_name

Group = TypeVar("Group", bound=Settings)
Command = Callable[[argparse.Namespace], int | None]
"""The function that runs a command with its parsed arguments. It returns the exit code, or None for EXIT_OK."""

_MODULES = {"score": "evaluate"}
"""The modules of the verbs that have no module of their own name."""

MODEL_HELP = "the name of a run, the beginning of its name, or the folder of a model; by default the newest model"
"""The help of the arguments that name a model."""


class _UnchangedArguments(list[str]):
    def remove(self, value: str) -> None:
        """Do nothing, so that argparse cannot remove the value `--` from the list."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises SettingError. The parser of an action reports its unknown arguments itself."""

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """Accept `--` as the value of a flag, as in `--seed=--`, which argparse takes for the end of the flags."""
        return super()._get_values(action, _UnchangedArguments(arg_strings) if action.option_strings else arg_strings)

    def _print_message(self, message: str, file: object = None) -> None:
        """Print the message of --help or --version. Raise StorageError if that fails; argparse would ignore it."""
        print_output(message)

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        given = list(sys.argv[1:] if args is None else args)
        parsed, unknown = super().parse_known_args(given, argparse.Namespace() if namespace is None else namespace)
        if unknown:
            self._refuse(f"unrecognized arguments: {' '.join(unknown)}", _hint_for_unknown(self, given, unknown))
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        wrong = re.match(r"argument (\S+): invalid choice: (['\"])(.*)\2 \(choose from (.*)\)", message, re.DOTALL)
        hint = ""
        if wrong is not None:
            hint = _hint_for_choice(self, wrong[1], wrong[3], [each.strip("' ") for each in wrong[4].split(",")])
        self._refuse(message, hint)

    def _refuse(self, message: str, hint: str) -> NoReturn:
        sentences = [f"{message[0].upper()}{message[1:]}.", hint, self._where_to_look]
        raise SettingError(" ".join(filter(None, sentences)))

    @property
    def _where_to_look(self) -> str:
        """The last sentence of each error."""
        return f"See {self.prog} --help"


def parser_of(verb: str, prog: str) -> Parser:
    """Return the parser of a verb. `prog` is the command as the help shows it."""
    module = import_module(f"wordgen.cli.{_MODULES.get(verb, verb)}")
    return getattr(module, f"{verb}_parser")(prog)


def verb_parser(prog: str, run: Command, description: str, example: str, *, has_models_flag: bool = True) -> Parser:
    """Return the parser of a verb, with an example and the flags of every verb.

    `--models` is among these flags if `has_models_flag`.
    """
    parser = Parser(prog=prog, description=description, allow_abbrev=False)
    return _complete(parser, run, example, has_models_flag=has_models_flag)


def action_parser(
    actions: "argparse._SubParsersAction[Parser]",  # pyright: ignore[reportPrivateUsage]
    name: str,
    run: Command,
    help: str,
    example: str,
    *,
    has_models_flag: bool = True,
) -> Parser:
    """Add the parser of one action of a verb, for example `show` of `runs`, and return it."""
    parser = actions.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.", allow_abbrev=False)
    return _complete(parser, run, example, has_models_flag=has_models_flag)


def _complete(parser: Parser, run: Command, example: str, *, has_models_flag: bool) -> Parser:
    parser.set_defaults(action=run)
    parser.epilog = f"Example: {parser.prog} {example}".rstrip()
    if has_models_flag:
        parser.add_argument(
            "--models",
            metavar="FOLDER",
            default=argparse.SUPPRESS,  # a verb has this flag before and after its action
            help="the folder of runs (default: saved_models)",
        )
    add_switch(parser, "--debug", "show the traceback of an error")
    return parser


def add_switch(
    parser: "argparse.ArgumentParser | argparse._ArgumentGroup",  # pyright: ignore[reportPrivateUsage]
    flag: str,
    help: str,
) -> None:
    """Add a flag without a value, which is off if it is not given."""
    parser.add_argument(flag, action="store_true", help=f"{help} (default: no)")


def check_number(flag: str, value: int | None, least: int, most: int) -> None:
    """Raise SettingError if the value of a flag is given and out of bounds."""
    if value is not None and not least <= value <= most:
        raise SettingError(f"{flag} must be {least} to {most}, not {value}.")


def add_flags(
    parser: argparse.ArgumentParser,
    group: type[Settings],
    title: str,
    *,
    required: bool = True,
    without: type[Settings] = Settings,
) -> None:
    """Add a flag for each setting of a group, except for the settings that the group `without` has, too.

    A setting without a default becomes a required flag. If `required` is False it does not, and the verb must check
    that the user gives it.
    """
    hints = get_type_hints(group)
    flags = parser.add_argument_group(title)
    elsewhere = {each.name for each in fields(without)}
    for each in fields(group):
        if each.name in elsewhere:
            continue
        needed = each.default is MISSING
        default = "required" if needed else f"default: {shown_value(each.default)}"
        text = each.metadata["help"] + ("" if each.default is None else f" ({default})")
        flags.add_argument(
            flag_name(each.name),
            help=text.replace("%", "%%"),
            required=needed and required,
            default=argparse.SUPPRESS,  # the settings know the default of a flag that is not given
            **_argument_options(hints[each.name]),
        )


class _OneOrMany(argparse.Action):
    """Stores a single value as itself and several values as a tuple. A flag that is given again adds its values."""

    def __call__(
        self, parser: object, namespace: argparse.Namespace, values: Any, option_string: object = None
    ) -> None:
        before = getattr(namespace, self.dest, ())
        every = (*(before if isinstance(before, tuple) else (before,)), *values)
        setattr(namespace, self.dest, every[0] if len(every) == 1 else every)


def settings_from(group: type[Group], arguments: argparse.Namespace) -> Group:
    return group(**given_settings(group, arguments))


def given_settings(group: type[Settings], arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of a group that the user gave as flags, by name."""
    given = vars(arguments)
    return {each.name: given[each.name] for each in fields(group) if each.name in given}


def as_text(argument: str) -> str:
    """Return an argument as valid Unicode text. Bytes from the shell that are not text become question marks."""
    return argument.encode(errors="replace").decode()


def _argument_options(hint: object) -> dict[str, Any]:
    """Return the arguments of `add_argument` for a setting of this type."""
    if get_origin(hint) in (Union, UnionType):
        parts = [part for part in get_args(hint) if part is not type(None)]
        lists = [part for part in parts if get_origin(part) is tuple]
        if lists:
            return {"nargs": "+", "action": _OneOrMany, **_argument_options(get_args(lists[0])[0])}
        hint = parts[0]
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    if get_origin(hint) is Literal:
        return {"choices": get_args(hint)}
    metavars: dict[object, str] = {int: "N", float: "X", str: "TEXT"}
    return {"type": hint, "metavar": metavars[hint]}


_MIN_SIMILARITY = 0.8
"""The least similarity for difflib, dashes included: --prot means --port, but --seed does not mean --tied."""
_VERBS_WITH_MANY_FLAGS = ("train", "generate", "evaluate")

SYNONYMS: Mapping[str, str] = {
    "corpus": "book data data-dir data-file data-path dataset dataset-name file input input-dir input-file "
    "input-path input-txt text textfile train-data train-data-file train-file train-path train-text",
    "tokenizer": "char-level char-rnn level tokeniser tokenization word-level",
    "vocab-size": "max-vocab max-vocab-size max-words n-words num-words vocab vocabulary vocabulary-size",
    "min-count": "min-freq min-frequency min-word-count min-word-freq minimum-count word-min-freq",
    "layers": "depth layer lstm-layers n-layer n-layers nlayers num-hidden-layers num-layers num-rnn-layers rnn-layers",
    "units": "cells d-model dim hid hidden hidden-dim hidden-layer-size hidden-size hidden-sizes hidden-units "
    "lstm-size lstm-units n-embd n-hid n-hidden n-units neurons nhid num-hidden num-units rnn-size rnn-units "
    "state-size width",
    "cell": "arch architecture cell-type model-type net rnn rnn-cell rnn-type",
    "cells": "cell cell-type cell-types model rnn rnn-type",
    "lengths": "input-length length n palindrome-length palindrome-lengths seq-len seq-length sequence-length t",
    "embedding": "dim-embeddings emb emb-dim emb-size embed embed-dim embed-size embedding-dim embedding-size "
    "embeddings emsize word-dim wordvec-size",
    "tied": "share-embeddings tie tie-weights tie-word-embeddings tied-weights weight-tying",
    "dropout": "drop drop-prob drop-rate dropout-p dropout-prob dropout-rate keep-prob p-drop",
    "input-dropout": "dropouti",
    "locked-dropout": "variational-dropout",
    "weight-drop": "wdrop weight-dropout",
    "word-dropout": "dropoute embedding-dropout",
    "seq-len": "block-size bptt context-length context-size max-seq-len max-seq-length maxlen n-steps num-steps seq "
    "seq-length seqlen sequence-len sequence-length time-steps timesteps unroll window window-size",
    "batch-size": "batch batches batchsize bs mini-batch mini-batch-size minibatch per-device-train-batch-size "
    "train-batch-size",
    "epochs": "epoch iterations iters max-epoch max-epochs max-iters max-steps n-epochs nb-epoch nb-epochs "
    "num-epochs num-iters num-train-epochs passes steps",
    "time-budget": "budget duration hours max-steps max-time minutes seconds steps time time-limit timeout",
    "steps": "epochs iterations iters max-iters max-steps n-steps num-steps",
    "patience": "early-stop early-stopping early-stopping-patience",
    "optimizer": "algorithm opt optim optimiser solver",
    "learning-rate": "alpha base-lr eta init-lr initial-learning-rate initial-lr learning-rate-init learningrate lr "
    "max-lr rate step-size",
    "schedule": "lr-schedule lr-scheduler lr-scheduler-type scheduler",
    "rho": "alpha decay-rate rmsprop-decay",
    "decay": "decay-rate gamma learning-rate-decay lr-decay lr-decay-factor lr-decay-rate",
    "decay-after": "learning-rate-decay-after lr-decay-after lr-decay-every",
    "warm-up": "num-warmup-steps warmup warmup-steps",
    "weight-decay": "l2 wd wdecay weight-decay-rate",
    "clip": "clip-grad clip-gradients clip-norm clipnorm grad-clip grad-norm gradient-clip gradient-clipping "
    "max-grad-norm max-gradient-norm",
    "clip-value": "clip-grad-value clipvalue grad-clip",
    "random-seed": "manual-seed random-state rng rng-seed seed seed-value",
    "random-seeds": "manual-seed random-seed random-state rng-seed seed seeds",
    "sampled-output": "adaptive-softmax num-sampled sampled-softmax",
    "precision": "amp bf16 dtype fp16 half mixed-precision",
    "checkpoint-every": "checkpoint-freq checkpoint-interval save-every save-freq save-interval save-steps",
    "validate-every": "eval-every eval-interval eval-steps eval-val-every",
    "sample-every": "gen-epochs sample-interval",
    "log-every": "log-interval logging-steps print-every",
    "validation-share": "val-frac val-split valid-frac validation-split",
    "test-share": "test-frac test-split",
    "models": "models-dir runs-dir",
    "distribute": "backend cpu cuda device devices gpu gpu-backend gpu-id gpuid gpus mps n-gpus no-cuda no-gpu "
    "num-gpus strategy use-cuda use-gpu",
    "name": "checkpoint-dir checkpoint-path experiment experiment-name log-dir logdir model-dir model-name out "
    "out-dir output output-dir project-name run-name save save-dir save-path save-to",
    "overwrite": "clobber force replace",
    "init-from": "finetune finetune-from init-checkpoint pretrained warm-start",
    "resume": "checkpoint ckpt continue from-checkpoint load load-checkpoint restore resume-from "
    "resume-from-checkpoint weights",
    "dry-run": "estimate plan",
    "quiet": "silent",
    "seed": "begin beginning context input input-text prefix prime prime-text primetext prompt seed-text seed-words "
    "start start-string start-text start-with starting-text text",
    "seeds-file": "input-file prompt-file prompts prompts-file seeds",
    "model": "checkpoint checkpoint-dir checkpoint-path ckpt corpus cv from-checkpoint init-from load model-dir "
    "model-file model-name model-name-or-path model-path name run run-name weights weights-path",
    "mode": "argmax beam-search decoding do-sample greedy method sample sampling strategy",
    "length": "len max-gen-length max-len max-length max-new-tokens max-tokens n n-tokens n-words num-chars "
    "num-tokens num-words sample-len sample-length size tokens words",
    "at-least": "min-length min-new-tokens min-tokens minimum-length",
    "count": "batch-size how-many n n-gen n-samples nsamples num num-return-sequences num-samples num-sequences "
    "number samples texts times",
    "stop": "end-at eos stop-at",
    "until": "eos-token stop-sequence stop-sequences stop-string stop-strings stop-text stop-token",
    "temperature": "creativity diversity heat t tau temp temperatures",
    "top-k": "k top topk",
    "top-p": "nucleus p top topp",
    "min-p": "minp",
    "repetition-penalty": "frequency-penalty presence-penalty rep-penalty repeat-penalty",
    "no-repeat-ngram": "no-repeat-ngram-size",
    "max-copy": "max-copies no-copies",
    "key": "tonality",
    "metre": "meter time-signature",
    "beams": "beam beam-size beam-width n-beams num-beams",
    "show-copies": "copies plagiarism",
    "output": "destination o out outfile output-file save-to to-file",
    "interactive": "chat i repl",
    "split": "data dataset eval-data file input part set test text",
    "samples": "count n-samples num-samples texts",
    "to": "fmt format",
    "host": "address bind ip",
    "port": "p",
    "browser": "open",
    "at-once": "j jobs n-jobs num-workers parallel processes workers",
    "workers": "j jobs n-workers np nproc nproc-per-node num-workers processes",
    "sort": "by order order-by sort-by",
    "yes": "force y",
}
"""The names that other tools use for a flag, separated by spaces. The key is the flag of wordgen without dashes."""

_HINTS: Mapping[str, Mapping[str, str]] = {
    "train": {
        **dict.fromkeys(
            SYNONYMS["distribute"].split(),
            "wordgen uses all GPUs by itself, or the CPU if there is none; --distribute chooses other devices.",
        ),
        "keep-prob": "--dropout is the share of values that are dropped: 1 minus the share that is kept.",
        **dict.fromkeys(
            ("tensorboard", "use-tensorboard", "logdir", "log-dir", "wandb"),
            "The curves for TensorBoard are in the folder of the run; --name sets its name, and --models the folder "
            "of all runs.",
        ),
        **dict.fromkeys(
            ("checkpoint-dir", "model-dir", "out-dir", "output-dir", "save-dir", "save-path"),
            "wordgen saves each run in a folder of its own in saved_models/, or in the folder of --models; --name sets "
            "the name of this folder.",
        ),
    },
    "generate": dict.fromkeys(
        SYNONYMS["distribute"].split(), "generate needs no GPU and has no such flag: it computes on the CPU."
    ),
}
"""Sentences for names of other tools that the name of a flag does not explain, by verb and name."""

_VALUE_SYNONYMS: Mapping[str, str] = {
    "argmax": "greedy",
    "bf16": "bfloat16",
    "char": "characters",
    "chars": "characters",
    "fp32": "float32",
    "letters": "characters",
    "random": "sample",
    "word": "english",
    "words": "english",
}
"""The value of wordgen for a value that other tools use, for flags with a list of choices."""


def _hint_for_unknown(parser: argparse.ArgumentParser, given: Sequence[str], unknown: Sequence[str]) -> str:
    """Return sentences on what the user may have meant by the `unknown` ones of the `given` arguments, or nothing."""
    meant: dict[str, Sequence[str]] = {}  # the flags that the user may have meant, by the flag that was given
    sentences: dict[str, None] = {}  # the keys, so that each sentence is printed once and in order
    for word in unknown:
        if not word.startswith("-"):
            continue
        flag, _, value = word.partition("=")
        name, value = flag.lstrip("-").lower().replace("_", "-"), value or _next_value(given, word)
        sentence = _HINTS.get(_verb(parser), {}).get(name)
        if sentence is None and (flags := _flags_for(parser, name, value)):
            meant[flag] = flags
        elif sentence := sentence or _hint_for_other_commands(parser, name, value):
            sentences[sentence] = None
    if not meant and not sentences:
        return _hint_for_words(parser, given, unknown)
    names = [" or ".join(flags) + (f" ({flag})" if len(meant) > 1 else "") for flag, flags in meant.items()]
    return " ".join([*([f"Did you mean {in_a_sentence(names)}?"] if names else []), *sentences])


def _hint_for_choice(parser: argparse.ArgumentParser, flag: str, value: str, choices: Sequence[str]) -> str:
    """Return a question on what the user may have meant by a value that is not one of the choices, or nothing."""
    lower = value.lower()
    near = (
        [_VALUE_SYNONYMS[lower]]
        if _VALUE_SYNONYMS.get(lower) in choices
        else difflib.get_close_matches(lower, choices, 1, _MIN_SIMILARITY)
    )
    if near:
        return f"Did you mean {near[0]}?"
    if flag == "ACTION" and "show" in choices:  # `wordgen runs my-book`
        return f"Did you mean {parser.prog} show {shlex.quote(value)}?"
    return ""


def _verb(parser: argparse.ArgumentParser) -> str:
    """Return the last word of the command: `train` for `python train.py`, `wordgen train` and `train`."""
    return re.sub(r"\.py$", "", parser.prog.split()[-1])


def _flags(parser: argparse.ArgumentParser) -> list[str]:
    return [flag for flag in parser._option_string_actions if flag.startswith("--")]


def _next_value(given: Sequence[str], word: str) -> str:
    following = given[given.index(word) + 1 :] if word in given else []
    return following[0] if following and not following[0].startswith("-") else ""


def _flags_for(parser: argparse.ArgumentParser, name: str, value: str) -> Sequence[str]:
    flags = _flags(parser)
    if f"--{name}" in flags:  # the user wrote it with one dash, capitals or an underscore
        return [f"--{name}"]
    if name == "model" and "--cell" in flags:
        cells = parser._option_string_actions["--cell"].choices or ()
        return [f"--cell {value.lower()}"] if value.lower() in cells else ["--name", "--resume"]
    meant = [f"--{ours}" for ours, theirs in SYNONYMS.items() if f"--{ours}" in flags and name in theirs.split()]
    return meant or difflib.get_close_matches(f"--{name}", flags, 1, _MIN_SIMILARITY)


def _hint_for_other_commands(parser: argparse.ArgumentParser, name: str, value: str) -> str | None:
    """Return a sentence that names the command that has this flag. Return None if no command has it."""
    verb = _verb(parser)
    if verb in ("launch", "sweep"):
        meant = " or ".join(_flags_for(parser_of("train", "train"), name, value))
        how = "give it after the --" if verb == "launch" else "put it into the file of the sweep (see docs/sweeps.md)"
        return f"{meant} is a flag of train: {how}." if meant else None
    others = (other for other in _VERBS_WITH_MANY_FLAGS if other != verb)
    owner = next((other for other in others if f"--{name}" in _flags(parser_of(other, other))), None)
    return f"--{name} is a flag of {owner}." if owner else None


def _hint_for_words(parser: argparse.ArgumentParser, given: Sequence[str], unknown: Sequence[str]) -> str:
    """Return a sentence about words without a flag or quotation marks, or nothing."""
    place = next((n for n, word in enumerate(given) if word in unknown and not word.startswith("-")), None)
    if place is None or (place and given[place - 1].startswith("-")):  # it is the value of an unknown flag
        return ""
    end = next((n for n in range(place, len(given)) if given[n].startswith("-")), len(given))
    words = given[place:end]
    flag = given[place - 2] if place > 1 else ""
    action = parser._option_string_actions.get(flag)
    if action is not None and action.nargs is None:
        is_text = action.type in (None, str) and not action.choices
        all_words = _quoted([given[place - 1], *words])
        return f"Put several words into quotation marks: {flag} {all_words}." if is_text else f"{flag} takes one value."
    if any(each.dest == "text" and not each.option_strings for each in parser._actions):
        before = given[place - 1 : place]
        return f"Put several words into quotation marks: {_quoted([*before, *words])}."
    if "--corpus" in _flags(parser):
        return f"Did you mean --corpus {shlex.join(words)}?"
    return f"Did you mean --seed {_quoted(words)}?" if "--seed" in _flags(parser) else ""


def _quoted(words: Sequence[str]) -> str:
    """Return the words as one argument in quotation marks that the shells of all systems understand."""
    text = " ".join(words)
    if re.search(r'["\\$`!]', text):
        return shlex.quote(text)
    return f'"{text}"' if " " in text else shlex.quote(text)
