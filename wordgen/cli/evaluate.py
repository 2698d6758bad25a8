"""`wordgen evaluate`: how good a model is, beside what counting words can do. Nothing here may import TensorFlow."""

import argparse
import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from wordgen import commands
from wordgen.cli.exits import EXIT_OK
from wordgen.cli.flags import Parser, add_flags, given_settings, verb_parser
from wordgen.cli.generate import limit_threads
from wordgen.cli.output import on_screen, put, tell
from wordgen.errors import SettingError, StorageError
from wordgen.evaluation.in_words import OFF, perplexity_in_words, with_off
from wordgen.evaluation.settings import AdaptingSettings, EvaluationSettings, NoveltySettings

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from wordgen.evaluating import Evaluation
    from wordgen.evaluation.measures import Loss
    from wordgen.evaluation.novelty import Novelty, VerbatimRun

_LONGEST_SHOWN = 300


def make_parser(prog: str) -> Parser:
    parser = verb_parser(
        prog,
        "Measure how good a trained model is: its perplexity on text that it has not learned, beside that of word "
        "frequencies and of an n-gram model, a sentence on what to change, and how much of what it writes stands in "
        "the training text.",
        "lotr --split valid",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        help="a run's name or the beginning of it, or a model's folder; by default the newest",
    )
    parser.add_argument("--model", dest="named", metavar="MODEL", help="the same, as generate has it")
    parser.add_argument(
        "--split",
        metavar="SPLIT",
        default="test",
        help="what to measure it on: valid or test, the parts of its corpus (it was chosen by the first, and has never "
        "met the other), or a text file, a folder of them, or - for standard input (default: test)",
    )
    add_flags(parser, NoveltySettings, "is it new?")
    add_flags(parser, AdaptingSettings, "does it get used to a text?")
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs (default: no)")
    return parser


def run(arguments: argparse.Namespace) -> int:
    limit_threads(1)  # it is evaluated by threads of our own
    from wordgen.cli.evaluation_screen import EvaluationScreen
    from wordgen.corpora.finding import keep_standard_input
    from wordgen.corpora.settings import STANDARD_INPUT
    from wordgen.evaluating import evaluate

    if arguments.model is not None and arguments.named is not None:
        raise SettingError("MODEL and --model are two ways to say the same: leave one out.")
    model = arguments.named if arguments.model is None else arguments.model
    split = keep_standard_input() if arguments.split == STANDARD_INPUT else arguments.split
    with ExitStack() as closing:
        evaluated = evaluate(model, split, EvaluationScreen(closing), **given_settings(EvaluationSettings, arguments))
    page = _kept(evaluated)
    if arguments.json:
        put(json.dumps(_as_mapping(evaluated), ensure_ascii=False) + "\n")
    else:
        put(on_screen(_on_screen(evaluated, page)))
    return EXIT_OK


def _kept(evaluated: "Evaluation") -> "Path | None":
    """The page that now has what was found, if there is one; where it cannot be written, the figures are told still."""
    from wordgen.evaluating import keep

    try:
        return keep(evaluated)
    except StorageError as error:
        tell(f"Note: these figures are not kept beside the model. {error}")
        return None


def _on_screen(evaluated: "Evaluation", page: "Path | None") -> "Iterator[RenderableType]":
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    of_corpus = f"the {evaluated.split} part of {evaluated.corpus}"
    text = of_corpus if evaluated.split in ("valid", "test") else evaluated.split
    yield Text(f"How good is {evaluated.model} on {text}?", "bold")
    for sentence in _told(evaluated):
        yield Text(sentence, "dim")
    table = Table("", "perplexity", "bits per character", "", box=None, padding=(0, 2, 0, 0))
    table.columns[1].justify = table.columns[2].justify = "right"
    for name, loss in _rows(evaluated):
        own, characters = loss is evaluated.own, evaluated.statistics.all_characters
        times = "" if own else f"{loss.perplexity / evaluated.perplexity:,.2f} times the model's"
        if not own and loss.differs(evaluated.own) is False:
            times = "no difference"
        bits = with_off(f"{loss.bits_per(characters):.3f}", loss.off_per(characters), 3)
        shown = perplexity_in_words(loss.perplexity, loss.off)
        table.add_row(name, shown, bits, times, style="bold" if own else None)
    yield Padding(table, (1, 0))
    if evaluated.verdict is not None:
        yield Text(evaluated.verdict)
    if evaluated.novelty is not None:
        yield from _novelty_on_screen(evaluated.novelty, unknown=evaluated.unknown_share > 0)
    yield f"Try:  {command_to_try(evaluated)}"
    if page is not None:
        yield f"Report:  {page}"


def _told(evaluated: "Evaluation") -> Iterator[str]:
    """What one must know to understand the figures."""
    from wordgen.evaluation.in_words import cache_in_words, learning_in_words, mixture_in_words

    yield (
        f"{evaluated.symbols:,} symbols, {evaluated.statistics.all_characters:,} characters. Less is better: "
        "perplexity is the number of symbols between which it hesitates."
    )
    if evaluated.own.off is not None:
        yield OFF
    if round(evaluated.unknown_share, 3):
        yield (
            f"{evaluated.unknown_share:.1%} of the words are UNKNOWN to it: those are easier to guess than the words "
            "themselves, so the figures flatter."
        )
    if round(evaluated.spelled_share, 3):
        yield (
            f"{evaluated.spelled_share:.1%} of the words are spelled out, and each of their bytes is a symbol: go by "
            "the bits per character."
        )
    if evaluated.with_cache is not None:
        cache = evaluated.with_cache.cache
        yield cache_in_words(cache.weight, cache.flatness, evaluated.split)
    if evaluated.while_learning is not None:
        yield learning_in_words(evaluated.while_learning.rate, evaluated.split)
    if evaluated.mixture is not None:
        yield mixture_in_words(evaluated.mixture.weight, evaluated.order, evaluated.split)
    yield from evaluated.notes


def _rows(evaluated: "Evaluation") -> "Iterator[tuple[str, Loss]]":
    yield "the model", evaluated.own
    if evaluated.with_cache is not None:
        yield f"with a cache of {evaluated.with_cache.cache.size:,}", evaluated.with_cache.loss
    if evaluated.while_learning is not None:
        yield "learning as it reads", evaluated.while_learning.loss
    if evaluated.mixture is not None:
        yield f"mixed with the {evaluated.order}-gram", evaluated.mixture.loss
    if evaluated.ngram is not None:
        yield f"{evaluated.order}-gram, Kneser-Ney", evaluated.ngram
    if evaluated.unigram is not None:
        yield "word frequencies", evaluated.unigram


def _novelty_on_screen(novelty: "Novelty", *, unknown: bool) -> "Iterator[RenderableType]":
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    yield Text("\nIs what it writes new?", "bold")
    for sentence in _told_of_novelty(novelty, unknown=unknown):
        yield Text(sentence, "dim")
    copied = Table("in the training text, runs of", box=None, padding=(0, 2, 0, 0))
    varied = Table("", box=None, padding=(0, 2, 0, 0))
    for length in novelty.samples.shares:
        copied.add_column(str(length), justify="right")
    for column in ("distinct-1", "distinct-2", "repetition", "self-BLEU", "longest run"):
        varied.add_column(column, justify="right")
    for name, figures in (("its texts", novelty.samples), (novelty.beside, novelty.held_out)):
        copied.add_row(name, *map(_percent, figures.shares.values()))
        measured = (figures.distinct_1, figures.distinct_2, figures.repetition, figures.self_bleu)
        varied.add_row(name, *map(_percent, measured), str(0 if figures.longest is None else figures.longest.symbols))
    yield Padding(copied, (1, 0, 0, 0))
    yield Padding(varied, (1, 0))
    if novelty.verdict is not None:
        yield Text(novelty.verdict)
    if novelty.samples.longest is not None:
        yield Text(_source(novelty.samples.longest))


def _told_of_novelty(novelty: "Novelty", *, unknown: bool) -> Iterator[str]:
    """What one must know to understand the figures."""
    from wordgen.evaluation.in_words import means_in_words

    samples, held_out = novelty.samples, novelty.held_out
    yield (
        f"{samples.symbols:,} symbols in {_counted(samples.texts, 'text')} that it wrote at temperature 1, beside "
        f"{held_out.symbols:,} in {_counted(held_out.texts, 'piece')} of {novelty.beside}."
        + (" What has an UNKNOWN in it counts as new." if unknown else "")
    )
    yield (
        "distinct: different symbols (1) and pairs (2) of all. repetition: runs of 4 that stood in the same text "
        f"before. self-BLEU: how much each text is like the others{means_in_words(samples.texts, held_out.texts)}."
    )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _source(run: "VerbatimRun") -> str:
    text = " ".join(run.text.split())
    shown = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN].rsplit(' ', 1)[0]} ..."
    return f"The longest run that it copied, {run.symbols:,} symbols, begins in {run.file}, line {run.line:,}: {shown}"


def command_to_try(evaluated: "Evaluation") -> str:
    """What the verdict advises; or to let it write, where it is good."""
    return commands.command_to_try(
        evaluated.finding, evaluated.settings, evaluated.model, can_go_on=evaluated.can_go_on, bad=evaluated.bad
    )


def _as_mapping(evaluated: "Evaluation") -> dict[str, Any]:
    return {**evaluated.to_mapping(), "command_to_try": command_to_try(evaluated)}
