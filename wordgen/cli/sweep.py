"""`sweep`: many networks with several random seeds, side by side, and what mattered."""

import argparse
import os

from wordgen.cli.exits import EXIT_OK, EXIT_STOPPED, EXIT_WORKER_LOST
from wordgen.cli.flags import Parser, verb_parser
from wordgen.cli.generate import limit_threads
from wordgen.errors import SettingError


def make_parser(prog: str) -> Parser:
    parser = verb_parser(
        prog,
        "Train networks that differ in some settings, each with several random seeds; then a table, curves and a "
        "sentence on what mattered. The same command again goes on with a sweep that was stopped or killed.",
        "cells",
    )
    parser.add_argument(
        "sweep",
        nargs="?",
        metavar="SWEEP",
        help="one of wordgen's own sweeps by its name, or a file that ends in .toml; without it they are listed",
    )
    parser.add_argument(
        "--name", metavar="TEXT", help="what to call its folder in saved_models/ (default: as the file)"
    )
    parser.add_argument(
        "--at-once",
        type=int,
        metavar="N",
        help="how many runs learn side by side; by default as many as there are processors, if the memory holds them",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would be trained, and leave (default: no)")
    return parser


def run(arguments: argparse.Namespace) -> int:
    limit_threads(1)  # models are measured by threads of our own
    from wordgen.lab.sweep_file import find_sweep

    if arguments.at_once is not None and not 1 <= arguments.at_once <= 64:
        raise SettingError(f"--at-once must be 1 to 64, not {arguments.at_once}.")
    if arguments.sweep is None:
        return _list()
    sweep = find_sweep(arguments.sweep)

    from wordgen.cli.sweep_screen import Fetched, screen_for, show_end, show_plan, show_stopped
    from wordgen.cli.waiting import fetching
    from wordgen.commands import sweeping_command
    from wordgen.lab.planning import plan_sweep, room_for
    from wordgen.lab.sweeping import run_sweep

    with fetching() as told:
        planned = plan_sweep(sweep, arguments.name, [Fetched(told)])
    cores = os.cpu_count() or 1
    at_once = arguments.at_once or room_for(planned.runs, cores)
    show_plan(planned, at_once)
    if arguments.dry_run:
        return EXIT_OK
    with screen_for(planned, at_once) as watcher:
        end = run_sweep(planned, arguments.sweep, at_once, max(1, cores // at_once), watcher)
    command = sweeping_command(arguments.sweep, arguments.name)
    if end.stopped:
        show_stopped(command)
        return EXIT_STOPPED
    show_end(planned, end, command)
    return EXIT_WORKER_LOST if end.failed else EXIT_OK


def _list() -> int:
    from wordgen.cli.output import show, wrapped
    from wordgen.lab.sweep_file import find_sweep, sweep_names

    sweeps = [find_sweep(name) for name in sweep_names()]
    width = max(len(sweep.name) for sweep in sweeps)
    for sweep in sweeps:
        runs = len(sweep.networks) * len(sweep.random_seeds)
        show(wrapped(f"{sweep.name:<{width}}  {runs:>3} runs  {sweep.about}") + "\n")
    return EXIT_OK
