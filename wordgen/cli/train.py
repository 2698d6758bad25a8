"""`train`: from flags to a run, with its progress on the screen."""

import argparse
import os
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from wordgen.architecture import NetworkSettings
from wordgen.cli.exits import EXIT_OK, EXIT_STOPPED, EXIT_WORKER_LOST
from wordgen.cli.flags import Parser, add_flags, given_settings, verb_parser
from wordgen.cli.generate import limit_threads
from wordgen.corpora.settings import STANDARD_INPUT, CorpusSettings
from wordgen.dropout import DropoutSettings
from wordgen.errors import SettingError
from wordgen.run_names import is_run
from wordgen.run_settings import RunSettings, TrainSettings
from wordgen.text.settings import TextSettings
from wordgen.training.settings import DeviceSettings, TrainingSettings
from wordgen.training.stopping import stop_with
from wordgen.training.workers import LAUNCHER

if TYPE_CHECKING:
    from wordgen.training.reports import Observer


def make_parser(prog: str) -> Parser:
    parser = verb_parser(
        prog,
        "Learn a text word by word and keep the best model in saved_models/.",
        "--corpus lotr --seq-len 15 --layers 3",
    )
    add_flags(parser, CorpusSettings, "the text", required=False)
    add_flags(parser, TextSettings, "its symbols")
    add_flags(parser, NetworkSettings, "the network")
    add_flags(parser, TrainingSettings, "learning", without=DropoutSettings)
    add_flags(parser, DropoutSettings, "against learning by heart")
    add_flags(parser, DeviceSettings, "where to learn")
    add_flags(parser, RunSettings, "the run")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="go on with a run that was stopped or killed, by default the one of --name or the newest; its settings "
        "are kept, but --epochs may grow; with --name and --corpus a run that is not there yet begins",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="show the plan, measure the speed with a few real steps, say how long it would take, and leave "
        "(default: no)",
    )
    parser.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="json prints one object a line for programs, instead of a display for people (default: text)",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but warnings and errors (default: no)")
    parser.set_defaults(writing_command=prog.replace("train", "generate"), help_command=f"{prog} --help")
    return parser


def run(arguments: argparse.Namespace) -> int:
    limit_threads(1)  # the best model is measured by threads of our own
    resuming = arguments.resume is not None
    if not resuming and "corpus" not in arguments:
        raise SettingError(f"--corpus is required, or --resume to go on with a run. See {arguments.help_command}")
    from wordgen.corpora.finding import keep_standard_input
    from wordgen.training.screen import hide_native_notes

    if LAUNCHER in os.environ:
        stop_with(int(os.environ[LAUNCHER]), EXIT_WORKER_LOST)
    from_standard_input = vars(arguments).get("corpus") == STANDARD_INPUT
    if vars(arguments).get("distribute") == "multiworker":
        if from_standard_input:
            raise SettingError(
                "Standard input comes to one process alone: put the text into a file for several workers."
            )
        hide_native_notes()
    if from_standard_input:
        arguments.corpus = keep_standard_input()
    observer = _observer(arguments)
    with closing(observer):  # a text that cannot be fetched leaves no bar behind
        return _run(arguments, observer)


def _observer(arguments: argparse.Namespace) -> "Observer":
    from wordgen.training.json_log import JsonLog
    from wordgen.training.progress import QuietProgress, TerminalProgress
    from wordgen.training.screen import screen

    if arguments.quiet:
        return QuietProgress(screen(sys.stderr))
    if arguments.log_format == "json":
        return JsonLog(screen())
    return TerminalProgress(screen(), arguments.writing_command)


def _run(arguments: argparse.Namespace, observer: "Observer") -> int:
    from wordgen.complete_settings import settings_of
    from wordgen.runs import dry_run_with, resume_with, train_with

    given, resuming = given_settings(TrainSettings, arguments), arguments.resume is not None
    if arguments.dry_run:
        if resuming:
            raise SettingError("--dry-run plans a new run: leave out --resume.")
        dry_run_with(settings_of(given, observer.downloading), [observer])
        return EXIT_OK
    if resuming and not _begins_now(arguments):
        name = given.pop("name", None)
        run = resume_with(arguments.resume or name, given, [observer])
    else:
        run = train_with(settings_of(given, observer.downloading), [observer])
    return EXIT_STOPPED if run.ending.stopped else EXIT_OK


def _begins_now(arguments: argparse.Namespace) -> bool:
    """Whether what shall go on has not begun: a script may give one command for the first start and all others."""
    return not arguments.resume and "name" in arguments and "corpus" in arguments and not is_run(arguments.name)
