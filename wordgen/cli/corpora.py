"""`wordgen corpora`: the texts that are known by name, what is in them, and more of your own. No TensorFlow here."""

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from wordgen.cli.exits import EXIT_OK
from wordgen.cli.flags import Parser, action_parser, add_flags, settings_from, verb_parser
from wordgen.cli.output import on_screen, put, show
from wordgen.cli.waiting import fetching, reading
from wordgen.commands import TRY
from wordgen.corpora.settings import STANDARD_INPUT, Description, ReadingSettings
from wordgen.files import shown_size
from wordgen.text.escapes import JOINER, RESERVED
from wordgen.text.lines import LINE_BREAK
from wordgen.text.settings import TextSettings, TokenizerSettings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from wordgen.corpora.corpus import Corpus
    from wordgen.corpora.listing import KnownText
    from wordgen.dataset.survey import Survey

_USUAL_VOCABULARY, _ = TextSettings().limits(all_words=False)
_VOCABULARIES = (1000, 2000, 5000, _USUAL_VOCABULARY, 10_000, 20_000, 50_000)
_COMMONEST = 40
_TOUCHES = "~"
_LINE_BREAK = "⏎"
_SPACES = {" ": "␣", "\u3000": "□"}


def make_parser(prog: str) -> Parser:
    parser = verb_parser(prog, "List the texts that wordgen knows by name, look into one, add your own.", "show lotr")
    parser.set_defaults(action=_list)
    actions = parser.add_subparsers(metavar="ACTION")
    _make_list_parser(actions)
    _make_show_parser(actions)
    _make_add_parser(actions)
    return parser


def _make_list_parser(actions: "argparse._SubParsersAction[Parser]") -> None:
    parser = action_parser(actions, "list", "list all texts that --corpus knows by name (without ACTION, too)", "")
    parser.set_defaults(action=_list)


def _make_show_parser(actions: "argparse._SubParsersAction[Parser]") -> None:
    what_it_does = "show what a text is made of: its symbols, and how many of them a vocabulary covers"
    parser = action_parser(actions, "show", what_it_does, "lotr")
    names = "a name of the list, text files, folders of them, or - for standard input"
    parser.add_argument("corpus", nargs="+", metavar="NAME", help=names)
    add_flags(parser, ReadingSettings, "how it is read")
    add_flags(parser, TokenizerSettings, "its symbols")
    parser.set_defaults(action=_show)


def _make_add_parser(actions: "argparse._SubParsersAction[Parser]") -> None:
    what_it_does = "give a text of yours a name, for --corpus and for the list"
    parser = action_parser(actions, "add", what_it_does, 'sea moby.txt --title "Moby-Dick"')
    parser.add_argument("name", metavar="NAME", help="what to call it")
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="its files (.txt, .md, .html, .docx, .epub), or a folder of them"
    )
    add_flags(parser, Description, "what it is")
    add_flags(parser, ReadingSettings, "how it is read")
    add_flags(parser, TokenizerSettings, "its symbols")
    parser.add_argument("--replace", action="store_true", help="put it in the place of one of yours (default: no)")
    parser.set_defaults(action=_add)


def run(arguments: argparse.Namespace) -> int:
    arguments.action(arguments)
    return EXIT_OK


def _list(arguments: argparse.Namespace) -> None:
    from rich.table import Table
    from rich.text import Text

    from wordgen.corpora.listing import known_texts

    texts = known_texts()
    table = Table("name", "title", "language", "size", "licence", "here", box=None, padding=(0, 2, 0, 0))
    table.columns[0].no_wrap = table.columns[5].no_wrap = True
    table.columns[3].justify = "right"
    for each in texts:
        cells = (each.name, each.title, each.language, shown_size(each.bytes), each.licence, each.whereabouts)
        table.add_row(*(Text(cell) for cell in cells))
    example = next((each for each in texts if each.whereabouts == "on first use"), texts[0])
    put(on_screen([table, "", *_commands_to_try(example)]))


def _commands_to_try(text: "KnownText") -> Iterator[str]:
    fetched = " (it is fetched first)" if text.whereabouts == "on first use" else ""
    yield f"Look into one{fetched}:  {TRY} corpora show {text.name}"
    yield f"Learn it:  {TRY} train --corpus {text.name}"
    yield f"Add your own:  {TRY} corpora add NAME FILES"


def _show(arguments: argparse.Namespace) -> None:
    from wordgen.corpora.finding import keep_standard_input, open_corpus
    from wordgen.dataset.encoding import tokenizer_name
    from wordgen.dataset.survey import survey

    wanted = arguments.corpus
    if wanted == [STANDARD_INPUT]:
        wanted = keep_standard_input()
    with fetching() as told:
        corpus = open_corpus(wanted, settings_from(ReadingSettings, arguments), told)
    tokenizer = tokenizer_name(corpus, settings_from(TokenizerSettings, arguments))
    with reading(corpus.name) as told:
        found = survey(corpus, tokenizer, told)
    put(on_screen(_portrait(found)))


def _add(arguments: argparse.Namespace) -> None:
    from wordgen.corpora.own import add_to_own_catalogue, check_new_name, corpus_of_files, read_through
    from wordgen.dataset.encoding import tokenizer_name

    check_new_name(arguments.name, replace=arguments.replace)
    how, tokens = settings_from(ReadingSettings, arguments), settings_from(TokenizerSettings, arguments)
    corpus = corpus_of_files(arguments.files, how)
    with reading(arguments.name) as told:
        passed, units = read_through(corpus, told)
    tokenizer = tokenizer_name(corpus, tokens)
    description = settings_from(Description, arguments)
    add_to_own_catalogue(arguments.name, arguments.files, corpus, tokenizer, description, replace=arguments.replace)
    found = [
        what
        for what, said in (("unit", how.unit), ("line breaks", how.line_breaks), ("tokenizer", tokens.tokenizer))
        if said == "auto"
    ]
    show(f"Added {arguments.name}, {shown_size(corpus.bytes)}: {_cut(corpus.unit, corpus.line_breaks, tokenizer)}.\n")
    if found:
        show(f"  {_list_of(found)} found from the text: --replace with other flags changes that\n")
    for note in (f"{units:,} units", *corpus.notes, *passed.notes):
        show(f"  {note}\n")
    show(f"Look into it:  {TRY} corpora show {arguments.name}\n")
    show(f"Learn it:      {TRY} train --corpus {arguments.name}\n")


def _cut(unit: str, line_breaks: str, tokenizer: str) -> str:
    """How a text is cut, in words."""
    breaks = " with its line breaks" if line_breaks == "kept" and unit != "line" else ""
    return f"{tokenizer} by the {unit}{breaks}"


def _list_of(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _portrait(found: "Survey") -> "Iterator[RenderableType]":
    """All that is worth seeing of a survey, from top to bottom."""
    from rich.columns import Columns
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    yield Text(f"{found.corpus.name}: {_cut(found.corpus.unit, found.corpus.line_breaks, found.tokenizer)}", "bold")
    yield Padding(_facts(found), (0, 0, 1, 0))
    yield Text("How much of the text a vocabulary covers", "bold")
    yield Padding(_coverage(found), (0, 0, 1, 0))
    yield Text("The commonest symbols", "bold")
    commonest = found.counts.most_common(_COMMONEST)
    cells = [Text.assemble(readable(symbol), " ", (f"{count:,}", "dim")) for symbol, count in commonest]
    yield Padding(Columns(cells, padding=(0, 3), equal=True, column_first=False), (0, 0, 1, 0))
    yield Text(f"Some of its {found.corpus.unit}s, cut into symbols", "bold")
    samples = Table.grid(padding=(0, 1))
    for symbols in found.samples:
        samples.add_row("-", _sample(symbols))
    yield Padding(samples, (0, 0, 1, 0))
    touching = f"{_TOUCHES} a symbol touches its neighbour   " if found.tokenizer == "english" else ""
    yield Text(f"{touching}{_LINE_BREAK} a line break   ␣ a space   □ a wide one", "dim")


def _what_the_catalogue_says(corpus: "Corpus") -> Iterator[tuple[str, str]]:
    from wordgen.corpora.catalogue import catalogue

    entry = catalogue().get(corpus.name)
    if entry is None:
        return
    opened = entry.opened()
    if not set(corpus.files) & {opened.path_of(file) for file in opened.files}:
        return  # other files of the same name
    for name, told in (("title", entry.title), ("licence", entry.licence), ("source", entry.source)):
        if told:
            yield name, told


def _facts(found: "Survey") -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    corpus = found.corpus
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, told in _what_the_catalogue_says(corpus):
        table.add_row(name, Text(told))
    files = f", {len(corpus.files):,} files" if len(corpus.files) > 1 else ""
    table.add_row("size", f"{shown_size(corpus.bytes)}{files}")
    for note in found.notes:
        table.add_row("", Text(note))
    are_blank = _one_or("a blank line", "blank lines", found.blank_units)
    blank = f", {found.blank_units:,} of them {are_blank} in between" if found.blank_units else ""
    table.add_row("units", f"{found.units:,} {corpus.unit}s{blank}")
    shortest, half, most, longest = (f"{found.length_at(share):,}" for share in (0.0, 0.5, 0.9, 1.0))
    lengths = f"{shortest} to {longest} symbols; half of them have at most {half}, nine of ten at most {most}"
    table.add_row("their lengths", lengths)
    table.add_row("symbols", f"{found.symbols:,}, {found.types:,} different ones (types)")
    if found.seen_once:
        share = found.seen_once / found.types
        occur = _one_or("occurs", "occur", found.seen_once)
        told = (
            f"{found.seen_once:,} of these ({share:.0%}) {occur} once only: UNKNOWN to a model, unless --min-count is 1"
        )
        table.add_row("", told)
    return table


def _one_or(one: str, several: str, number: int) -> str:
    return one if number == 1 else several


def _coverage(found: "Survey") -> "RenderableType":
    """By size, up to the one that holds all types."""
    from rich.table import Table

    table = Table("--vocab-size", "covers", "", box=None, padding=(0, 2, 0, 0))
    table.columns[0].justify = table.columns[1].justify = "right"
    everything = found.types + len(RESERVED)
    for size in (*(size for size in _VOCABULARIES if size < everything), everything):
        remark = "all types" if size == everything else "the default" if size == _USUAL_VOCABULARY else ""
        table.add_row(f"{size:,}", f"{found.coverage(size):.1%}", remark)
    return table


def _sample(symbols: Sequence[str]) -> "RenderableType":
    from rich.text import Text

    from wordgen.dataset.survey import LONGEST_SAMPLE

    sample = Text()
    for number, symbol in enumerate(symbols[:LONGEST_SAMPLE]):
        sample.append(" | " if number else "", "dim")
        sample.append(readable(symbol))
    return sample.append(" ..." if len(symbols) > LONGEST_SAMPLE else "", "dim")


def readable(symbol: str) -> str:
    """A symbol as one can see it: where it touches its neighbours, and what has no shape of its own."""
    from wordgen.text.escapes import restore
    from wordgen.text.whitespace import SPELLINGS

    if symbol == LINE_BREAK:
        return _LINE_BREAK
    text = SPELLINGS.get(symbol, restore(symbol.strip(JOINER)))
    visible = "".join(_SPACES.get(c) or (c if c.isprintable() else f"<{ord(c):04X}>") for c in text)
    before = _TOUCHES if symbol.startswith(JOINER) else ""
    behind = _TOUCHES if symbol.endswith(JOINER) else ""
    return f"{before}{visible}{behind}"
