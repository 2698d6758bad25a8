"""`wordgen runs`: list, show, compare and remove runs. This module must not import TensorFlow."""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from wordgen.cli.flags import MODEL_HELP, Parser, action_parser, add_switch, verb_parser
from wordgen.cli.output import (
    facts,
    paragraph,
    print_json,
    print_output,
    print_sanitized,
    render,
    screen_width,
    section,
    table,
    with_blank_lines,
)
from wordgen.errors import SettingError, in_a_sentence, pluralized
from wordgen.evaluation import figures
from wordgen.files import shown_size
from wordgen.run.commands import commands_about, evaluating_command, first_training, runs_command, writing_command
from wordgen.run.names import models_folder, name_of
from wordgen.settings import flag_name

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType
    from rich.text import Text

    from wordgen.run.listing import Comparison, Figure, SavedRun, SavedSweep
    from wordgen.run.record import RunRecord

Item = TypeVar("Item")

_SORT_KEYS = ("age", "name", "corpus", "valid", "test", "size")
_NUMBER_COLUMNS = {"runs", "valid", "test", "size"}
_WIDE_SCREEN = 100
_MAX_SPARKLINE_LEVELS = 60
_AGES = ((365, "year"), (30, "month"), (7, "week"), (1, "day"))
_DAY = 86_400


def runs_parser(prog: str) -> Parser:
    parser = verb_parser(prog, _list, "List the runs, show one, compare several, or remove some.", "show my-book")
    parser.set_defaults(sweep=None)
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
    show_parser.add_argument("run", nargs="?", metavar="NAME", help=MODEL_HELP)
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
    parser.add_argument(
        "--sort",
        choices=_SORT_KEYS,
        default=sort,
        help="sort by age (the newest first), name, corpus, valid or test perplexity (the best first), or size (the "
        "largest first) (default: age)",
    )
    _add_json_flag(parser, as_json)


def _add_json_flag(parser: argparse.ArgumentParser, default: object = argparse.SUPPRESS) -> None:
    parser.add_argument("--json", action="store_true", default=default, help="print JSON, for programs (default: no)")


def _list(arguments: argparse.Namespace) -> None:
    from wordgen.run.listing import find_sweep, ordered, saved_runs, saved_sweeps

    if arguments.sweep is not None:
        sweep = find_sweep(arguments.sweep)
        runs = ordered(sweep.runs, arguments.sort)
        screen = _sweep_list_parts(sweep, runs)
    else:
        runs, sweeps = saved_runs(arguments.sort), saved_sweeps()
        screen = _list_parts(runs, sweeps)
        if arguments.json:
            runs = ordered([*runs, *(run for sweep in sweeps for run in sweep.runs)], arguments.sort)
    if arguments.json:
        print_json([run.to_mapping() for run in runs])
    else:
        print_output(render(screen))


def _show(arguments: argparse.Namespace) -> None:
    from wordgen.run.listing import check_files, find_saved_run

    run = check_files(find_saved_run(arguments.run))
    if arguments.json:
        print_json(_as_mapping(run))
    else:
        print_output(render(_run_parts(run)))


def _compare(arguments: argparse.Namespace) -> None:
    from wordgen.run.listing import compare, find_saved_run

    runs = [find_saved_run(name) for name in arguments.runs]
    if len({run.folder for run in runs}) < len(runs) or len(runs) < 2:
        raise SettingError("compare needs two or more different runs: give the name of another run, too.")
    comparison = compare(runs)
    if arguments.json:
        print_json(comparison.to_mapping())
    else:
        print_output(render(_comparison_parts(comparison)))


def _remove(arguments: argparse.Namespace) -> None:
    from wordgen.run.folder import removable_folders, remove
    from wordgen.run.listing import size_of

    folders = removable_folders(arguments.runs)
    if not arguments.yes and not _confirmed(folders):
        print_sanitized("Nothing was deleted.\n")
        return
    for folder in folders:
        size = shown_size(size_of(folder))
        remove(folder)
        print_sanitized(f"Deleted {name_of(folder)}: {size} freed.\n")


def _confirmed(folders: "list[Path]") -> bool:
    for folder in folders:
        print_sanitized(f"{_in_words(folder)}\n")
    print_sanitized("Delete it? (y/N) " if len(folders) == 1 else f"Delete all {len(folders)}? (y/N) ")
    try:
        return input().strip().lower() in ("y", "yes")
    except EOFError:
        print_sanitized("\n")
        raise SettingError("There is nobody to answer the question: give --yes to delete without asking.") from None


def _in_words(folder: "Path") -> str:
    from wordgen.run.folder import is_folder_of_runs, is_sweep_folder
    from wordgen.run.listing import read_run, read_sweep

    if is_folder_of_runs(folder):
        sweep = read_sweep(folder)
        what = "sweep" if is_sweep_folder(folder) else "folder"
        return f"{sweep.name}, a {what} with {pluralized(sweep.number_of_runs, 'run')}, {shown_size(sweep.bytes)}"
    run = read_run(folder)
    corpus = "" if run.corpus is None else f", a run on {run.corpus}"
    return f"{run.name}{corpus}, {shown_size(run.bytes)}"


def _list_parts(runs: "Sequence[SavedRun]", sweeps: "Sequence[SavedSweep]" = ()) -> "Iterator[RenderableType]":
    """Yield a table of all runs, and below it a table with one row for each sweep."""
    if not runs and not sweeps:
        yield f"There are no runs in {models_folder()}/. Train one:  {first_training()}"
        return
    if runs:
        yield _table(_COLUMNS, runs)
        yield ""
        heads = "The columns valid and test show perplexities. The best epoch is in brackets."
        yield f"{pluralized(len(runs), 'run')}, {shown_size(sum(run.bytes for run in runs))}. {heads}"
        yield f"Show one run:  {runs_command('show', runs[0].name)}"
        if len(runs) > 1:
            yield f"Compare runs:  {runs_command('compare', *(run.name for run in runs[:2]))}"
    if runs and sweeps:
        yield ""
    if sweeps:
        yield _table(_SWEEP_COLUMNS, sweeps)
        yield ""
        yield f"{pluralized(len(sweeps), 'sweep')}, {shown_size(sum(sweep.bytes for sweep in sweeps))}."
        yield f"List the runs of a sweep:  {runs_command('list', sweeps[0].name)}"


def _sweep_list_parts(sweep: "SavedSweep", runs: "Sequence[SavedRun]") -> "Iterator[RenderableType]":
    """Yield a table of the runs of one sweep, in the given order, and the path of the table of its results.

    For a study of palindromes, yield the number of its runs in place of their table.
    """
    if runs or not sweep.number_of_runs:
        yield from _list_parts(runs)
    else:
        yield f"{pluralized(sweep.number_of_runs, 'run')} of a study of palindromes, which write no text."
    if sweep.table is not None:
        yield f"Results:  {sweep.table}"


def _table(columns: Mapping[str, tuple[int, Callable[[Item], str]]], items: Iterable[Item]) -> "RenderableType":
    wide = screen_width() >= _WIDE_SCREEN
    rows = ([text(item) for _, text in columns.values()] for item in items)
    shown = table(list(columns), rows, left={*columns} - _NUMBER_COLUMNS)
    shown.padding, shown.pad_edge = (0, 2 if wide else 1, 0, 0), False
    for (name, (narrowest, _)), column in zip(columns.items(), shown.columns, strict=True):
        is_name = column is shown.columns[0]
        column.min_width, column.overflow = narrowest, "fold"
        column.no_wrap = name in _NUMBER_COLUMNS or name == "age" or (wide and is_name)
    return shown


def _epochs(run: "SavedRun") -> str:
    if run.epochs is None:
        return figures.NONE
    return f"{run.epochs}" if run.best is None else f"{run.epochs} ({run.best.epoch})"


def _perplexity(value: float | None) -> str:
    return figures.NONE if value is None else figures.perplexity(value)


def _status(run: "SavedRun") -> str:
    return f"{run.status}, {run.note}" if run.note else run.status


def _short_status(run: "SavedRun") -> str:
    """Return the status in a few words, with the note if the user can act on it.

    It is the note alone for a run that can be resumed, the status and note for a broken run, and otherwise the status.
    """
    if run.can_be_resumed:
        return run.note
    return _status(run) if run.status == "broken" else run.status


_COLUMNS: "dict[str, tuple[int, Callable[[SavedRun], str]]]" = {
    "name": (10, lambda run: run.name),
    "corpus": (7, lambda run: run.corpus or figures.NONE),
    "network": (8, lambda run: run.network or figures.NONE),
    "epochs": (7, _epochs),
    "valid": (5, lambda run: _perplexity(run.perplexity("valid"))),
    "test": (5, lambda run: _perplexity(run.perplexity("test"))),
    "size": (8, lambda run: shown_size(run.bytes)),
    "age": (3, lambda run: shown_age(time.time() - run.saved_at)),
    "status": (8, _short_status),
}
_SWEEP_COLUMNS: "dict[str, tuple[int, Callable[[SavedSweep], str]]]" = {
    "sweep": (10, lambda sweep: sweep.name),
    "corpus": (7, lambda sweep: ", ".join(sweep.corpora) or figures.NONE),
    "runs": (4, lambda sweep: f"{sweep.number_of_runs}"),
    "best": (10, lambda sweep: sweep.best.folder.name if sweep.best else figures.NONE),
    "valid": (5, lambda sweep: _perplexity(sweep.best.perplexity("valid") if sweep.best else None)),
    "size": (8, lambda sweep: shown_size(sweep.bytes)),
    "age": (3, lambda sweep: shown_age(time.time() - sweep.saved_at)),
    "status": (8, lambda sweep: sweep.status),
}
"""The columns of both tables: the least width on a narrow screen, in characters, and the text of a cell."""


def shown_age(seconds: float) -> str:
    """Return an age, which is given in seconds, in words, for example "yesterday" or "5 min"."""
    days = int(seconds // _DAY)
    if days == 1:
        return "yesterday"
    for length, name in _AGES:
        if days >= length:
            return pluralized(days // length, name)
    if seconds < 60:
        return "just now"
    return pluralized(int(seconds // 3600), "hour") if seconds >= 3600 else f"{int(seconds // 60)} min"


def _run_parts(run: "SavedRun") -> "Iterator[RenderableType]":
    """Yield the details of a run: its figures, settings, curves and files, and the commands for it."""
    yield from section(f"{run.name}: {_status(run)}", facts(_figures(run)))
    if run.record is not None:
        settings = run.record.settings
        chosen = [
            (flag_name(each.name), figures.shown_value(getattr(settings, each.name)))
            for each in settings.non_default_fields()
        ]
        yield from section("Settings that differ from the defaults", facts(chosen))
        if run.record.epochs:
            yield from section("Perplexity by epoch", facts(_curves(run.record)))
    yield from section("Files", facts((name, shown_size(size)) for name, size in _sizes(run)))
    for purpose, command in _commands(run):
        yield paragraph(purpose)
        yield f"  {command}"


def _as_mapping(run: "SavedRun") -> dict[str, object]:
    """Return all that `runs show --json` prints: the row of the list, settings, curves, files and commands."""
    settings = curves = validations = None
    if (record := run.record) is not None:
        settings = {each.name: getattr(record.settings, each.name) for each in record.settings.non_default_fields()}
        curves = [[epoch.epoch, epoch.train_perplexity, epoch.valid_perplexity] for epoch in record.epochs]
        validations = [[each.step, each.valid_perplexity] for each in record.all_validations]
    return {
        **run.to_mapping(),
        "settings": settings,
        "curves": curves,
        "validations": validations,
        "files": dict(_sizes(run)),
        "commands": dict(_commands(run)),
    }


def _figures(run: "SavedRun") -> Iterator[tuple[str, str]]:
    from wordgen.evaluation.measurement import PARTS

    record = run.record
    yield "corpus", run.corpus or figures.NONE
    if run.network is not None and run.architecture is not None:
        yield "network", f"{run.network}, {pluralized(run.architecture.parameters, 'parameter')}"
    if record is not None and record.head_start is not None:
        yield "began from", record.head_start.describe()
    if record is not None:
        of = f" of at most {record.settings.epochs}" if record.settings.time_budget is None else ""
        best = "" if run.best_label is None else f", best {run.best_label}"
        yield "epochs", f"{len(record.epochs)}{of}{best}, {figures.shown_duration(record.training_seconds)}"
        for part in PARTS:
            perplexity, found = run.perplexity(part), run.measured(part)
            bits = (
                "" if found is None else f", {figures.bits(found.loss.bits_per(found.characters))} bits per character"
            )
            if perplexity is not None:
                yield part, f"perplexity {figures.perplexity(perplexity)}{bits}"
        if record.ngram is not None:
            yield f"{record.ngram[0]}-gram", f"perplexity {figures.perplexity(record.ngram[1])} on the validation set"
        if record.word_frequencies is not None:
            yield "frequencies", f"perplexity {figures.perplexity(record.word_frequencies)} on the validation set"
    yield "size", shown_size(run.bytes)
    yield "age", shown_age(time.time() - run.saved_at)


def _curves(record: "RunRecord") -> Iterator[tuple[str, str]]:
    shown = figures.thinned(record.epochs, _MAX_SPARKLINE_LEVELS, record.best)
    train, valid = [each.train_perplexity for each in shown], [each.valid_perplexity for each in shown]
    for name, values in (("train", train), ("valid", valid)):
        first, last = figures.perplexity(values[0]), figures.perplexity(values[-1])
        yield name, f"{figures.sparkline(values, [*train, *valid])}  {first} to {last}"
    if record.best is not None:
        yield "", f"best: {figures.perplexity(record.best.valid_perplexity)} in {record.best.label}"


def _sizes(run: "SavedRun") -> Iterator[tuple[str, int]]:
    """Yield the name and the size in bytes of each file and subfolder in the folder of a run."""
    from wordgen.run.listing import size_of

    for path in sorted(run.folder.iterdir()):
        yield f"{path.name}/" if path.is_dir() else path.name, size_of(path)


def _commands(run: "SavedRun") -> Iterator[tuple[str, str]]:
    if run.record is not None:
        yield from commands_about(
            run.command_argument, run.record, can_be_resumed=run.can_be_resumed, has_model=run.has_model
        )
    elif run.has_model:
        yield "Write text with it", writing_command(run.command_argument)
    if run.status == "broken":
        yield "Delete it", runs_command("rm", run.name)


def _comparison_parts(comparison: "Comparison") -> "Iterator[RenderableType]":
    """Yield a table with a column for each run, and what can be said of it."""
    heads = ["", *(run.name for run in comparison.runs)]
    compared = table(heads, _compared(comparison), left=heads)
    for column in compared.columns[1:]:
        column.overflow = "fold"
    yield paragraph("Side by side", "bold")
    yield with_blank_lines(compared)
    yield paragraph(_comparability_note(comparison))
    if any(margin is not None for figure in comparison.figures for margin in figure.margins):
        yield paragraph(figures.MARGIN_EXPLAINED)
    yield from map(paragraph, _chance_notes(comparison))
    if comparison.unmeasured and comparison.common_ground != "nothing":
        yield f"Measure the test set, too:  {evaluating_command(comparison.unmeasured[0].command_argument)}"


def _compared(comparison: "Comparison") -> "Iterator[Sequence[str | Text]]":
    """Yield rows with the settings, the figures and the cost of each run."""
    for name, values in comparison.settings.items():
        yield [flag_name(name), *map(figures.shown_value, values)]
    if comparison.settings:
        yield []
    for figure in comparison.figures:
        if any(value is not None for value in figure.values):
            yield [f"{figure.part} {figure.measure}", *_cells(figure)]
    runs = comparison.runs
    records = [run.record for run in runs if run.record is not None]
    yield ["epochs", *(f"{run.epochs}" + (f", best {run.best_label}" if run.best_label else "") for run in runs)]
    yield ["time", *(figures.shown_duration(each.training_seconds) for each in records)]
    yield ["parameters", *(f"{each.architecture.parameters:,}" for each in records)]
    yield ["size", *(shown_size(run.bytes) for run in runs)]


def _cells(figure: "Figure") -> "Iterator[Text]":
    word = "better" if len(figure.values) == 2 else "best"
    for at, value in enumerate(figure.values):
        in_words = figures.perplexity if figure.measure == "perplexity" else figures.bits
        shown = figures.NONE if value is None else in_words(value, figure.margins[at])
        yield paragraph(f"{shown}  {word}", "bold") if at in figure.better else paragraph(shown)


def _chance_notes(comparison: "Comparison") -> Iterator[str]:
    """Yield a sentence for each figure in which the difference between runs may be chance."""
    for figure in comparison.figures:
        if figure.no_difference:
            names = [comparison.runs[at].name for at in sorted(figure.no_difference)]
            part = "validation" if figure.part == "valid" else figure.part
            which = f"The {part} {figure.measure} of {in_a_sentence(names)}"
            yield f"{which} does not differ by more than chance (95% certainty)."


def _comparability_note(comparison: "Comparison") -> str:
    if comparison.common_ground == "tokens":
        return (
            "All runs were trained on the same tokens of the same text, so their figures can be compared. "
            "Lower is better."
        )
    if comparison.common_ground == "text":
        unknown = ", ".join(
            f"{run.name} {share:.1%}" for run, share in zip(comparison.runs, comparison.unknown_shares, strict=True)
        )
        return (
            "The runs split the text into different tokens, so their perplexities cannot be compared. Their bits per "
            "character can be compared if only few words are UNKNOWN (share of UNKNOWN in the validation set: "
            f"{unknown}). Lower is better."
        )
    return (
        "The runs were trained on different texts, so these figures cannot be compared. To compare the runs, measure "
        "the bits per character of each of them on the same text: "
        f"{evaluating_command(comparison.runs[0].command_argument)} --split text.txt"
    )
