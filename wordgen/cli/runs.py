"""`wordgen runs`: list, show, compare and remove runs. This module must not import TensorFlow."""

import argparse
import json
from typing import TYPE_CHECKING

from wordgen.cli.flags import WHICH_MODEL, Parser, action_parser, add_switch, verb_parser
from wordgen.cli.output import on_screen, put, show
from wordgen.errors import EXIT_OK, SettingError
from wordgen.files import shown_size

if TYPE_CHECKING:
    from pathlib import Path

_ORDERS = ("age", "name", "corpus", "valid", "test", "size")


def make_parser(prog: str) -> Parser:
    parser = verb_parser(prog, "List the runs, show one, compare several, or remove some.", "show my-book")
    parser.set_defaults(action=_list, sweep=None)
    _add_list_flags(parser, sort="age", as_json=False)
    actions = parser.add_subparsers(metavar="ACTION")
    help = "list all runs (also without ACTION), or the runs of a sweep"
    list_parser = action_parser(actions, "list", _list, help, "--sort valid")
    help = "the sweep whose runs are listed (default: all runs)"
    list_parser.add_argument("sweep", nargs="?", metavar="SWEEP", help=help)
    # A flag before ACTION counts unless it is given again after ACTION.
    _add_list_flags(list_parser, sort=argparse.SUPPRESS, as_json=argparse.SUPPRESS)

    help = "show a run: its settings, figures, curves and files, and the commands for it"
    show_parser = action_parser(actions, "show", _show, help, "my-book")
    show_parser.add_argument("run", nargs="?", metavar="NAME", help=WHICH_MODEL)
    _add_json_flag(show_parser)

    help = "compare runs: the settings that differ, and which run is better"
    compare_parser = action_parser(actions, "compare", _compare, help, "my-book my-book-2")
    help = "the names of two or more runs, or the beginnings of the names"
    compare_parser.add_argument("runs", nargs="+", metavar="NAME", help=help)
    _add_json_flag(compare_parser)

    help = "delete runs or whole sweeps, with all of their files"
    rm_parser = action_parser(actions, "rm", _remove, help, "my-book")
    rm_parser.add_argument("runs", nargs="+", metavar="NAME", help="the full names of the runs or sweeps")
    add_switch(rm_parser, "--yes", "delete without asking")
    return parser


def _add_list_flags(parser: argparse.ArgumentParser, *, sort: object, as_json: object) -> None:
    order = (
        "age (the newest first), name, corpus, valid or test perplexity (the best first), or size (the largest first)"
    )
    choices = "{" + ",".join(_ORDERS) + "}"
    help = f"sort by {order} (default: age)"
    parser.add_argument("--sort", choices=_ORDERS, metavar=choices, default=sort, help=help)
    _add_json_flag(parser, as_json)


def _add_json_flag(parser: argparse.ArgumentParser, default: object = argparse.SUPPRESS) -> None:
    parser.add_argument("--json", action="store_true", default=default, help="print JSON, for programs (default: no)")


def run(arguments: argparse.Namespace) -> int:
    arguments.action(arguments)
    return EXIT_OK


def _list(arguments: argparse.Namespace) -> None:
    from wordgen.cli.runs_screen import listed, listed_of
    from wordgen.run.listing import find_sweep, ordered, saved_runs, saved_sweeps

    if arguments.sweep is not None:
        sweep = find_sweep(arguments.sweep)
        runs = ordered(sweep.runs, arguments.sort)
        screen = listed_of(sweep, runs)
    else:
        runs, sweeps = saved_runs(arguments.sort), saved_sweeps()
        screen = listed(runs, sweeps)
        if arguments.json:
            runs = ordered([*runs, *(run for sweep in sweeps for run in sweep.runs)], arguments.sort)
    if arguments.json:
        _show_json([run.to_mapping() for run in runs])
    else:
        put(on_screen(screen))


def _show(arguments: argparse.Namespace) -> None:
    from wordgen.cli.runs_screen import about, as_mapping
    from wordgen.run.listing import checked, find_saved

    run = checked(find_saved(arguments.run))
    if arguments.json:
        _show_json(as_mapping(run))
    else:
        put(on_screen(about(run)))


def _compare(arguments: argparse.Namespace) -> None:
    from wordgen.cli.runs_screen import side_by_side
    from wordgen.run.listing import compare, find_saved

    runs = [find_saved(name) for name in arguments.runs]
    if len({run.folder for run in runs}) < len(runs) or len(runs) < 2:
        raise SettingError("compare needs two or more different runs: give the name of another run, too.")
    comparison = compare(runs)
    if arguments.json:
        _show_json(comparison.to_mapping())
    else:
        put(on_screen(side_by_side(comparison)))


def _remove(arguments: argparse.Namespace) -> None:
    from wordgen.run.folder import removable, remove
    from wordgen.run.listing import size_of
    from wordgen.run.names import name_of

    folders = removable(arguments.runs)
    if not arguments.yes and not _confirmed(folders):
        show("Nothing was deleted.\n")
        return
    for folder in folders:
        size = shown_size(size_of(folder))
        remove(folder)
        show(f"Deleted {name_of(folder)}: {size} freed.\n")


def _confirmed(folders: "list[Path]") -> bool:
    for folder in folders:
        show(f"{_in_words(folder)}\n")
    show("Delete it? (y/N) " if len(folders) == 1 else f"Delete all {len(folders)}? (y/N) ")
    try:
        return input().strip().lower() in ("y", "yes")
    except EOFError:
        show("\n")
        raise SettingError("There is nobody to answer the question: give --yes to delete without asking.") from None


def _in_words(folder: "Path") -> str:
    from wordgen.evaluation.figures import many
    from wordgen.run.folder import is_sweep_folder
    from wordgen.run.listing import look_at, look_at_sweep

    if is_sweep_folder(folder):
        sweep = look_at_sweep(folder)
        return f"{sweep.name}, a sweep with {many(sweep.number_of_runs, 'run')}, {shown_size(sweep.bytes)}"
    run = look_at(folder)
    corpus = "" if run.corpus is None else f", a run on {run.corpus}"
    return f"{run.name}{corpus}, {shown_size(run.bytes)}"


def _show_json(content: object) -> None:
    put(json.dumps(content, ensure_ascii=False) + "\n")
