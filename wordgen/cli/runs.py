"""`wordgen runs`: what was trained here, listed, looked into, compared and removed. No TensorFlow here."""

import argparse
import json
from typing import TYPE_CHECKING

from wordgen.cli.exits import EXIT_OK
from wordgen.cli.flags import Parser, action_parser, verb_parser
from wordgen.cli.output import on_screen, put, show
from wordgen.errors import SettingError
from wordgen.files import shown_size

if TYPE_CHECKING:
    from pathlib import Path

_ORDERS = ("age", "name", "corpus", "valid", "test", "size")


def make_parser(prog: str) -> Parser:
    parser = verb_parser(prog, "List what was trained, look into a run, compare several, remove some.", "show my-book")
    parser.set_defaults(action=_list, sweep=None)
    _add_list_flags(parser, sort="age", as_json=False)
    actions = parser.add_subparsers(metavar="ACTION")
    _make_list_parser(actions)
    _make_show_parser(actions)
    _make_compare_parser(actions)
    _make_rm_parser(actions)
    return parser


def _add_list_flags(parser: argparse.ArgumentParser, *, sort: object, as_json: object) -> None:
    order = (
        "age (the newest first), name, corpus, valid or test perplexity (the best first), or size (the largest first)"
    )
    choices = "{" + ",".join(_ORDERS) + "}"
    parser.add_argument("--sort", choices=_ORDERS, metavar=choices, default=sort, help=f"by {order} (default: age)")
    _add_json_flag(parser, as_json)


def _add_json_flag(parser: argparse.ArgumentParser, default: object = argparse.SUPPRESS) -> None:
    parser.add_argument("--json", action="store_true", default=default, help="JSON, for programs (default: no)")


def _make_list_parser(actions: "argparse._SubParsersAction[Parser]") -> None:
    parser = action_parser(actions, "list", "list all runs (without ACTION, too), or those of a sweep", "--sort valid")
    parser.add_argument("sweep", nargs="?", metavar="SWEEP", help="a sweep, whose runs to list (default: all runs)")
    # What stands before ACTION counts unless it is said anew.
    _add_list_flags(parser, sort=argparse.SUPPRESS, as_json=argparse.SUPPRESS)
    parser.set_defaults(action=_list)


def _make_show_parser(actions: "argparse._SubParsersAction[Parser]") -> None:
    what_it_does = "show a run: its settings, figures, curves and files, and the commands for it"
    parser = action_parser(actions, "show", what_it_does, "my-book")
    names = "its name or how that begins, or a model's folder (default: the newest model)"
    parser.add_argument("run", nargs="?", metavar="NAME", help=names)
    _add_json_flag(parser)
    parser.set_defaults(action=_show)


def _make_compare_parser(actions: "argparse._SubParsersAction[Parser]") -> None:
    what_it_does = "put runs side by side: the settings that differ, and which came out better"
    parser = action_parser(actions, "compare", what_it_does, "my-book my-book-2")
    parser.add_argument("runs", nargs="+", metavar="NAME", help="two or more names, or how they begin")
    _add_json_flag(parser)
    parser.set_defaults(action=_compare)


def _make_rm_parser(actions: "argparse._SubParsersAction[Parser]") -> None:
    parser = action_parser(actions, "rm", "remove runs for good, or whole sweeps, with all of their files", "my-book")
    parser.add_argument("runs", nargs="+", metavar="NAME", help="their full names")
    parser.add_argument("--yes", action="store_true", help="do not ask before (default: no)")
    parser.set_defaults(action=_remove)


def run(arguments: argparse.Namespace) -> int:
    arguments.action(arguments)
    return EXIT_OK


def _list(arguments: argparse.Namespace) -> None:
    from wordgen.cli.runs_screen import listed, listed_of
    from wordgen.saved.listing import ordered, saved_runs
    from wordgen.saved.sweeps import find_sweep, saved_sweeps

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
    from wordgen.saved.listing import checked, find_saved

    run = checked(find_saved(arguments.run))
    if arguments.json:
        _show_json(as_mapping(run))
    else:
        put(on_screen(about(run)))


def _compare(arguments: argparse.Namespace) -> None:
    from wordgen.cli.comparison_screen import side_by_side
    from wordgen.saved.comparing import compare
    from wordgen.saved.listing import find_saved

    runs = [find_saved(name) for name in arguments.runs]
    if len({run.folder for run in runs}) < len(runs) or len(runs) < 2:
        raise SettingError("compare takes two or more different runs: give the name of another one, too.")
    comparison = compare(runs)
    if arguments.json:
        _show_json(comparison.to_mapping())
    else:
        put(on_screen(side_by_side(comparison)))


def _remove(arguments: argparse.Namespace) -> None:
    from wordgen.run_names import name_of
    from wordgen.saved.listing import size_of
    from wordgen.saved.removing import removable, remove

    folders = removable(arguments.runs)
    if not arguments.yes and not _wanted(folders):
        show("Nothing was removed.\n")
        return
    for folder in folders:
        size = shown_size(size_of(folder))
        remove(folder)
        show(f"Removed {name_of(folder)}: {size} freed.\n")


def _wanted(folders: "list[Path]") -> bool:
    for folder in folders:
        show(f"{_about(folder)}\n")
    show("Remove it for good? (y/N) " if len(folders) == 1 else f"Remove these {len(folders)} for good? (y/N) ")
    try:
        return input().strip().lower() in ("y", "yes")
    except EOFError:
        show("\n")
        raise SettingError("Nobody is there to be asked: give --yes to remove without a question.") from None


def _about(folder: "Path") -> str:
    from wordgen.page.figures import many
    from wordgen.saved.listing import is_sweep_folder, look_at
    from wordgen.saved.sweeps import look_at_sweep

    if is_sweep_folder(folder):
        sweep = look_at_sweep(folder)
        return f"{sweep.name}, a sweep with {many(len(sweep.runs), 'run')}, {shown_size(sweep.bytes)}"
    run = look_at(folder)
    corpus = "" if run.corpus is None else f", a run on {run.corpus}"
    return f"{run.name}{corpus}, {shown_size(run.bytes)}"


def _show_json(content: object) -> None:
    put(json.dumps(content, ensure_ascii=False) + "\n")
