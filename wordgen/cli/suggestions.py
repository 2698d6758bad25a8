"""What a user may have meant by a flag or a word that a command does not know.

Other tools call the same things by other names. Those are listed here, under the flag that wordgen has for them.
Spelling decides only where a word is nearly a flag of the same command.
"""

import argparse
import difflib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module

_NEAR = 0.8  # of difflib, with the dashes: --prot is --port, and --seed is not --tied
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
    "patience": "early-stop early-stopping early-stopping-patience",
    "optimizer": "algorithm opt optim optimiser solver",
    "learning-rate": "alpha base-lr eta init-lr initial-learning-rate initial-lr learning-rate-init learningrate lr "
    "max-lr rate step-size",
    "schedule": "lr-schedule lr-scheduler lr-scheduler-type scheduler",
    "decay": "decay-rate gamma learning-rate-decay lr-decay lr-decay-factor lr-decay-rate",
    "decay-after": "learning-rate-decay-after lr-decay-after lr-decay-every",
    "warm-up": "num-warmup-steps warmup warmup-steps",
    "weight-decay": "l2 wd wdecay weight-decay-rate",
    "clip": "clip-grad clip-gradients clip-norm clipnorm grad-clip grad-norm gradient-clip gradient-clipping "
    "max-grad-norm max-gradient-norm",
    "random-seed": "manual-seed random-state rng rng-seed seed seed-value",
    "sampled-output": "adaptive-softmax num-sampled sampled-softmax",
    "precision": "amp bf16 dtype fp16 half mixed-precision",
    "checkpoint-every": "checkpoint-freq checkpoint-interval eval-val-every save-every save-freq save-interval "
    "save-steps",
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
    "beams": "beam beam-size beam-width n-beams num-beams",
    "show-copies": "copies plagiarism",
    "output": "destination o out outfile output-file save save-to to-file",
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
"""What other tools call it, by the name that wordgen has."""

_SENTENCES: Mapping[str, Mapping[str, str]] = {
    "train": {
        **dict.fromkeys(
            SYNONYMS["distribute"].split(),
            "Every GPU is used without a flag, and without one the CPU; --distribute chooses something else.",
        ),
        "keep-prob": "--dropout is the share that is dropped: 1 minus what is kept.",
        **dict.fromkeys(
            ("tensorboard", "use-tensorboard", "logdir", "log-dir", "wandb"),
            "The curves for TensorBoard always lie in saved_models/, in the folder of the run; --name names it.",
        ),
        **dict.fromkeys(
            ("checkpoint-dir", "model-dir", "out-dir", "output-dir", "save-dir", "save-path"),
            "A run lies in saved_models/ where you call the command, in a folder of its own; --name names it.",
        ),
    },
    "generate": dict.fromkeys(
        SYNONYMS["distribute"].split(), "Writing needs no GPU and has no such flag: NumPy does it on the CPU."
    ),
}
"""Where the name of a flag alone would not help."""

_VALUES: Mapping[str, str] = {
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
"""What other tools call some of the values to choose from."""


@dataclass
class _Found:
    flags: dict[str, Sequence[str]] = field(default_factory=dict)
    """By what was given, the flags that may have been meant."""
    sentences: dict[str, None] = field(default_factory=dict)
    """Whole sentences, each once."""

    def told(self) -> str:
        single = len(self.flags) == 1
        names = [" or ".join(flags) + ("" if single else f" ({given})") for given, flags in self.flags.items()]
        meant = f"Did you mean {' and '.join(names)}?" if names else ""
        return " ".join(filter(None, [meant, *self.sentences]))


def about_unknown(parser: argparse.ArgumentParser, given: Sequence[str], unknown: Sequence[str]) -> str:
    """What may have been meant by the `unknown` ones of the arguments that were `given`, or nothing."""
    found = _Found()
    for word in unknown:
        if not word.startswith("-"):
            continue
        flag, _, value = word.partition("=")
        name, value = flag.lstrip("-").lower().replace("_", "-"), value or _next_value(given, word)
        sentence = _SENTENCES.get(_verb(parser), {}).get(name)
        meant = [] if sentence else _flags_for(parser, name, value)
        if meant:
            found.flags[flag] = meant
        elif sentence := sentence or _about_other_commands(parser, name, value):
            found.sentences[sentence] = None
    if not found.flags and not found.sentences:
        found.sentences.update(dict.fromkeys(_about_words(parser, given, unknown)))
    return found.told()


def about_choice(parser: argparse.ArgumentParser, flag: str, value: str, choices: Sequence[str]) -> str:
    """What may have been meant by a value that a flag does not have, or nothing."""
    if flag == "--unit" and value.isdigit() and "--units" in parser._option_string_actions:
        return f"Did you mean --units {value}?"
    lower = value.lower()
    near = [_VALUES[lower]] if _VALUES.get(lower) in choices else difflib.get_close_matches(lower, choices, 1, _NEAR)
    if near:
        return f"Did you mean {near[0]}?"
    if flag == "ACTION" and "show" in choices:  # `runs my-book`
        return f"Did you mean {parser.prog} show {shlex.quote(value)}?"
    return ""


def _verb(parser: argparse.ArgumentParser) -> str:
    """`train` of `python train.py`, of `wordgen train` and of a part of it."""
    return re.sub(r"\.py$", "", parser.prog.split()[-1])


def _flags(parser: argparse.ArgumentParser) -> list[str]:
    return [flag for flag in parser._option_string_actions if flag.startswith("--")]


def _next_value(given: Sequence[str], word: str) -> str:
    following = given[given.index(word) + 1 :] if word in given else []
    return following[0] if following and not following[0].startswith("-") else ""


def _flags_for(parser: argparse.ArgumentParser, name: str, value: str) -> Sequence[str]:
    flags = _flags(parser)
    if f"--{name}" in flags:  # with one dash, capitals or an underscore
        return [f"--{name}"]
    if name == "model" and "--cell" in flags:
        cells = parser._option_string_actions["--cell"].choices or ()
        return [f"--cell {value.lower()}"] if value.lower() in cells else ["--name", "--resume"]
    meant = [f"--{ours}" for ours, theirs in SYNONYMS.items() if f"--{ours}" in flags and name in theirs.split()]
    return meant or difflib.get_close_matches(f"--{name}", flags, 1, _NEAR)


def _about_other_commands(parser: argparse.ArgumentParser, name: str, value: str) -> str | None:
    """Where a flag stands that this command does not have."""
    verb = _verb(parser)
    if verb in ("launch", "sweep"):
        meant = " or ".join(_flags_for(_parser_of("train"), name, value))
        how = (
            "give it behind the --" if verb == "launch" else "put it into the file of the sweep, as docs/sweeps.md says"
        )
        return f"{meant} is a flag of train: {how}." if meant else None
    others = (other for other in _VERBS_WITH_MANY_FLAGS if other != verb)
    owner = next((other for other in others if f"--{name}" in _flags(_parser_of(other))), None)
    return f"--{name} is a flag of {owner}." if owner else None


def _parser_of(verb: str) -> argparse.ArgumentParser:
    return import_module(f"wordgen.cli.{verb}").make_parser(verb)


def _about_words(parser: argparse.ArgumentParser, given: Sequence[str], unknown: Sequence[str]) -> Iterator[str]:
    """Words that belong to no flag: part of a text without quotation marks, or the text or the seed itself."""
    place = next((n for n, word in enumerate(given) if word in unknown and not word.startswith("-")), None)
    if place is None or (place and given[place - 1].startswith("-")):  # the value of a flag that there is not
        return
    end = next((n for n in range(place, len(given)) if given[n].startswith("-")), len(given))
    words = given[place:end]
    flag = given[place - 2] if place > 1 else ""
    action = parser._option_string_actions.get(flag)
    if action is not None and action.nargs is None:
        is_text = action.type in (None, str) and not action.choices
        all_words = _quoted([given[place - 1], *words])
        yield f"Put several words into quotation marks: {flag} {all_words}." if is_text else f"{flag} takes one value."
    elif any(each.dest == "text" and not each.option_strings for each in parser._actions):
        before = given[place - 1 : place]
        yield f"Put several words into quotation marks: {_quoted([*before, *words])}."
    elif "--corpus" in _flags(parser):
        yield f"Did you mean --corpus {shlex.join(words)}?"
    elif "--seed" in _flags(parser):
        yield f"Did you mean --seed {_quoted(words)}?"


def _quoted(words: Sequence[str]) -> str:
    """As a shell of any system reads it, as long as the words hold nothing that it would obey."""
    text = " ".join(words)
    if re.search(r'["\\$`!]', text):
        return shlex.quote(text)
    return f'"{text}"' if " " in text else shlex.quote(text)
