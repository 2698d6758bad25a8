"""`wordgen train`: train a run, or resume one."""

import argparse
import os
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

from wordgen.cli.flags import Parser, add_flags, add_switch, given_settings, verb_parser
from wordgen.cli.output import flush_or_discard
from wordgen.cli.start import limit_threads
from wordgen.corpus.settings import STANDARD_INPUT, CorpusSettings
from wordgen.errors import EXIT_OK, EXIT_STOPPED, EXIT_WORKER_LOST, SettingError
from wordgen.model.architecture import DropoutSettings, NetworkSettings
from wordgen.run.names import run_exists
from wordgen.run.settings import RunSettings, TrainSettings
from wordgen.text.settings import TextSettings
from wordgen.training.settings import DeviceSettings, TrainingSettings
from wordgen.training.stopping import stop_with

if TYPE_CHECKING:
    from wordgen.training.reports import Observer

STANDARD_INPUT_WITH_WORKERS = "Several workers cannot share standard input: put the text into a file."


def train_parser(prog: str) -> Parser:
    parser = verb_parser(
        prog,
        _train,
        "Train a model on a text, word by word, and keep the best model in saved_models/ or in the folder of --models.",
        "--corpus lotr --seq-len 15 --layers 3",
    )
    add_flags(parser, CorpusSettings, "text", required=False)
    add_flags(parser, TextSettings, "tokens")
    add_flags(parser, NetworkSettings, "network")
    add_flags(parser, TrainingSettings, "training", without=DropoutSettings)
    add_flags(parser, DropoutSettings, "dropout, against overfitting")
    add_flags(parser, DeviceSettings, "devices")
    add_flags(parser, RunSettings, "run")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="continue a run that was stopped or killed; by default the run of --name, or the newest. It keeps its "
        "settings, but --epochs may be larger. With --name and --corpus, a new run begins if no run has this name",
    )
    help = "show the plan, measure the speed with a few real steps, show how long the run would take, and stop"
    add_switch(parser, "--dry-run", help)
    help = "text is a display for people; json prints one object per line, for programs (default: text)"
    parser.add_argument("--log-format", choices=("text", "json"), default="text", help=help)
    add_switch(parser, "--quiet", "print only warnings and errors")
    parser.set_defaults(writing_command=prog.replace("train", "generate"), help_command=f"{prog} --help")
    return parser


def _train(arguments: argparse.Namespace) -> int:
    limit_threads(1)  # wordgen measures the best model with threads of its own, so NumPy needs only one
    given = given_settings(TrainSettings, arguments)
    if arguments.resume is None and "corpus" not in given:
        raise SettingError(f"--corpus is required, or --resume to continue a run. See {arguments.help_command}")
    from wordgen.corpus.finding import save_standard_input
    from wordgen.training.screen import hide_native_messages
    from wordgen.training.workers import LAUNCHER

    if LAUNCHER in os.environ:
        stop_with(int(os.environ[LAUNCHER]), EXIT_WORKER_LOST)
    from_standard_input = given.get("corpus") == STANDARD_INPUT
    if given.get("distribute") == "multiworker":
        if from_standard_input:
            raise SettingError(STANDARD_INPUT_WITH_WORKERS)
        hide_native_messages()
    if from_standard_input:
        given["corpus"] = save_standard_input()
    observer = _observer(arguments)
    with closing(observer):  # removes the bar if the download of a text fails
        code = _train_or_resume(arguments, given, observer)
    flush_or_discard(sys.stdout)  # a training does not fail because its progress cannot be written
    return code


def _observer(arguments: argparse.Namespace) -> "Observer":
    from wordgen.training.progress import JsonLog, QuietProgress, TerminalProgress
    from wordgen.training.screen import screen

    if arguments.quiet:
        return QuietProgress(screen(sys.stderr))
    if arguments.log_format == "json":
        return JsonLog(screen())
    return TerminalProgress(screen(), arguments.writing_command)


def _train_or_resume(arguments: argparse.Namespace, given: dict[str, Any], observer: "Observer") -> int:
    from wordgen.api import resume_with, train_with
    from wordgen.run.defaults import complete_settings
    from wordgen.run.train import dry_run

    resuming = arguments.resume is not None
    if arguments.dry_run:
        if resuming:
            raise SettingError("--dry-run plans a new run: leave out --resume.")
        dry_run(complete_settings(given, observer.downloading), [observer])
        return EXIT_OK
    if not arguments.resume and {"name", "corpus"} <= given.keys() and not run_exists(given["name"]):
        resuming = False  # so that a script can use one command for the first start and for all later ones
    if resuming:
        name = given.pop("name", None)
        if arguments.resume and name not in (None, arguments.resume):
            raise SettingError(f"--resume {arguments.resume} names the run already: leave out --name {name}.")
        run = resume_with(arguments.resume or name, given, [observer])
    else:
        run = train_with(complete_settings(given, observer.downloading), [observer])
    return EXIT_STOPPED if run.ending.stopped else EXIT_OK
