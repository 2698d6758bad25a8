"""`wordgen corpora`: list the texts that wordgen knows by name, examine one, add your own.

This module must not import TensorFlow.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from wordgen.cli.flags import Parser, action_parser, add_flags, add_switch, settings_from, verb_parser
from wordgen.cli.output import (
    download_progress,
    facts,
    paragraph,
    print_output,
    print_sanitized,
    reading_progress,
    render,
    section,
    table,
)
from wordgen.corpus.settings import STANDARD_INPUT, Description, ReadingSettings
from wordgen.errors import in_a_sentence
from wordgen.files import shown_size
from wordgen.run.commands import COMMAND_PREFIX
from wordgen.text.settings import TextSettings, TokenizerSettings
from wordgen.text.vocabulary import JOINER, LINE_BREAK, RESERVED, restore

if TYPE_CHECKING:
    from rich.console import RenderableType

    from wordgen.corpus.corpus import Corpus
    from wordgen.dataset.dataset import Survey

_DEFAULT_VOCABULARY, _ = TextSettings().limits(all_words=False)
_VOCABULARIES = (1000, 2000, 5000, _DEFAULT_VOCABULARY, 10_000, 20_000, 50_000)
_MOST_FREQUENT = 40
_JOINER_SIGN = "~"
_LINE_BREAK = "⏎"
_SPACES = {" ": "␣", "\u3000": "□"}


def corpora_parser(prog: str) -> Parser:
    parser = verb_parser(
        prog,
        _list,
        "List the texts that wordgen knows by name, show one, or add your own.",
        "show lotr",
        has_models_flag=False,
    )
    actions = parser.add_subparsers(metavar="ACTION")
    help = "list all texts that --corpus knows by name (also without ACTION)"
    action_parser(actions, "list", _list, help, "", has_models_flag=False)

    help = "show the passages and tokens of a text, and the share of it that a vocabulary covers"
    show_parser = action_parser(actions, "show", _show, help, "lotr", has_models_flag=False)
    help = "a name from the list, text files, folders of text files, or - for standard input"
    show_parser.add_argument("corpus", nargs="+", metavar="NAME", help=help)
    add_flags(show_parser, ReadingSettings, "reading the text")
    add_flags(show_parser, TokenizerSettings, "tokens")

    help = "add a text of your own to the list, with a name for --corpus"
    add_parser = action_parser(actions, "add", _add, help, 'sea moby.txt --title "Moby-Dick"', has_models_flag=False)
    add_parser.add_argument("name", metavar="NAME", help="the name of the text")
    help = "its files (.txt, .md, .html, .docx, .epub, .abc, .mid), or folders of such files"
    add_parser.add_argument("files", nargs="+", metavar="FILE", help=help)
    add_flags(add_parser, Description, "description")
    add_flags(add_parser, ReadingSettings, "reading the text")
    add_flags(add_parser, TokenizerSettings, "tokens")
    add_switch(add_parser, "--replace", "replace your own text of the same name")
    return parser


def _list(arguments: argparse.Namespace) -> None:
    from wordgen.corpus.finding import known_texts

    texts = known_texts()
    rows = [
        (each.name, each.title, each.language, shown_size(each.bytes), each.licence, each.location) for each in texts
    ]
    heads = ("name", "title", "language", "size", "licence", "location")
    listed = table(heads, rows, left={*heads} - {"size"})
    listed.columns[0].no_wrap = listed.columns[5].no_wrap = True
    example = next((each for each in texts if each.location == "not downloaded"), texts[0])
    fetched = " (it is downloaded first)" if example.location == "not downloaded" else ""
    commands = [
        f"Show a text{fetched}:  {COMMAND_PREFIX} corpora show {example.name}",
        f"Train on it:  {COMMAND_PREFIX} train --corpus {example.name}",
        f"Add your own text:  {COMMAND_PREFIX} corpora add NAME FILES",
    ]
    print_output(render([listed, "", *commands]))


def _show(arguments: argparse.Namespace) -> None:
    from wordgen.corpus.finding import open_corpus, save_standard_input
    from wordgen.dataset.dataset import survey
    from wordgen.dataset.encoding import tokenizer_name

    wanted = arguments.corpus
    if wanted == [STANDARD_INPUT]:
        wanted = save_standard_input()
    with download_progress() as report:
        corpus = open_corpus(wanted, settings_from(ReadingSettings, arguments), report)
    tokenizer = tokenizer_name(corpus, settings_from(TokenizerSettings, arguments))
    with reading_progress(corpus.name) as report:
        found = survey(corpus, tokenizer, report)
    print_output(render(_survey_parts(found)))


def _add(arguments: argparse.Namespace) -> None:
    from wordgen.corpus.catalogue import add_to_user_catalogue, check_new_name
    from wordgen.corpus.finding import corpus_of_files, read_through
    from wordgen.dataset.encoding import tokenizer_name

    check_new_name(arguments.name, replace=arguments.replace)
    reading_settings = settings_from(ReadingSettings, arguments)
    tokenizer_settings = settings_from(TokenizerSettings, arguments)
    corpus = corpus_of_files(arguments.files, reading_settings)
    with reading_progress(arguments.name) as report:
        reading, passages = read_through(corpus, report)
    tokenizer = tokenizer_name(corpus, tokenizer_settings)
    description = settings_from(Description, arguments)
    chosen = replace(corpus.reading_settings, passage=corpus.passage, line_breaks=corpus.line_breaks)
    add_to_user_catalogue(arguments.name, arguments.files, chosen, tokenizer, description, replace=arguments.replace)
    given = {
        "passage": reading_settings.passage,
        "line breaks": reading_settings.line_breaks,
        "tokenizer": tokenizer_settings.tokenizer,
    }
    detected = [name for name, value in given.items() if value == "auto"]
    cut = _cut_in_words(corpus.passage, corpus.line_breaks, tokenizer)
    print_sanitized(f"Added {arguments.name}, {shown_size(corpus.bytes)}: {cut}.\n")
    if detected:
        print_sanitized(
            f"  Chosen from the text: {in_a_sentence(detected)}. To change this, use --replace with other flags.\n"
        )
    for note in (f"{passages:,} passages", *corpus.notes, *reading.notes):
        print_sanitized(f"  {note}\n")
    print_sanitized(f"Show it:       {COMMAND_PREFIX} corpora show {arguments.name}\n")
    print_sanitized(f"Train on it:   {COMMAND_PREFIX} train --corpus {arguments.name}\n")


def _cut_in_words(passage: str, line_breaks: str, tokenizer: str) -> str:
    """Return in words how a text is cut into tokens and passages."""
    breaks = " with line breaks" if line_breaks == "kept" and passage not in ("line", "tune") else ""
    return f"{tokenizer} tokenizer, one passage per {passage}{breaks}"


def _survey_parts(survey: "Survey") -> "Iterator[RenderableType]":
    """Yield the parts of the output of `corpora show`, from top to bottom."""
    from rich.columns import Columns
    from rich.table import Table
    from rich.text import Text

    corpus = survey.corpus
    cut = _cut_in_words(corpus.passage, corpus.line_breaks, survey.tokenizer)
    yield from section(f"{corpus.name}: {cut}", facts([*_catalogue_facts(corpus), *_text_facts(survey)]))
    yield from section("Share of the text that a vocabulary covers", _coverage(survey))
    most_frequent = survey.counts.most_common(_MOST_FREQUENT)
    cells = [Text.assemble(readable(token), " ", (f"{count:,}", "dim")) for token, count in most_frequent]
    yield from section("The most frequent tokens", Columns(cells, padding=(0, 3), equal=True, column_first=False))
    samples = Table.grid(padding=(0, 1))
    for tokens in survey.samples:
        samples.add_row("-", _sample(tokens))
    yield from section(f"Some {corpus.passage}s, cut into tokens", samples)
    joiner_note = f"{_JOINER_SIGN} no space on this side of a token   " if survey.tokenizer == "english" else ""
    yield paragraph(f"{joiner_note}{_LINE_BREAK} a line break   ␣ a space   □ a wide space", "dim")


def _catalogue_facts(corpus: "Corpus") -> Iterator[tuple[str, str]]:
    from wordgen.corpus.catalogue import catalogue

    entry = catalogue().get(corpus.name)
    if entry is None:
        return
    opened = entry.with_listed_files()
    if not set(corpus.files) & {opened.path_of(file) for file in opened.files}:
        return  # the name is the same, but the files are others
    for name, text in (("title", entry.title), ("licence", entry.licence), ("source", entry.source)):
        if text:
            yield name, text


def _text_facts(survey: "Survey") -> Iterator[tuple[str, str]]:
    corpus = survey.corpus
    files = f", {len(corpus.files):,} files" if len(corpus.files) > 1 else ""
    yield "size", f"{shown_size(corpus.bytes)}{files}"
    for note in survey.notes:
        yield "", note
    are = "is" if survey.blank_passages == 1 else "are"
    blank = f", of which {survey.blank_passages:,} {are} blank" if survey.blank_passages else ""
    yield "passages", f"{survey.passages:,} {corpus.passage}s{blank}"
    shortest, half, most, longest = (f"{survey.length_at(share):,}" for share in (0.0, 0.5, 0.9, 1.0))
    yield "lengths", f"{shortest} to {longest} tokens; half of the passages have at most {half}, 90% at most {most}"
    yield "tokens", f"{survey.tokens:,}, of which {survey.types:,} are different"
    if survey.seen_once:
        share = survey.seen_once / survey.types
        once = f"{'occurs' if survey.seen_once == 1 else 'occur'} only once"
        unknown = "a run from scratch knows them only as UNKNOWN, unless --min-count is 1"
        yield "", f"{survey.seen_once:,} of the different tokens ({share:.0%}) {once}: {unknown}"


def _coverage(survey: "Survey") -> "RenderableType":
    """Return a table of the share of the text that vocabularies of several sizes cover. The last one has all tokens."""
    everything = survey.types + len(RESERVED)
    rows = [
        (f"{size:,}", f"{survey.coverage(size):.1%}", "the default" if size == _DEFAULT_VOCABULARY else "")
        for size in _VOCABULARIES
        if size < everything
    ]
    rows.append((f"{everything:,}", f"{survey.coverage(everything):.1%}", "all different tokens"))
    return table(("--vocab-size", "covers", ""), rows)


def _sample(tokens: Sequence[str]) -> "RenderableType":
    from wordgen.dataset.dataset import MAX_SAMPLE_TOKENS

    sample = paragraph("")
    for number, token in enumerate(tokens[:MAX_SAMPLE_TOKENS]):
        sample.append(" | " if number else "", "dim")
        sample.append(readable(token))
    return sample.append(" ..." if len(tokens) > MAX_SAMPLE_TOKENS else "", "dim")


def readable(token: str) -> str:
    """Return a token with visible white space and control characters, and `~` where it touches a neighbour."""
    from wordgen.text.tokenizers import BENCHMARK_SPELLINGS

    if token == LINE_BREAK:
        return _LINE_BREAK
    text = BENCHMARK_SPELLINGS.get(token, restore(token.strip(JOINER)))
    visible = "".join(_SPACES.get(c) or (c if c.isprintable() else f"<{ord(c):04X}>") for c in text)
    return _JOINER_SIGN * token.startswith(JOINER) + visible + _JOINER_SIGN * token.endswith(JOINER)
