"""`wordgen score`: how likely a model finds a text, word by word. Nothing here may import TensorFlow."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from wordgen.cli.flags import Parser, verb_parser
from wordgen.cli.generate import add_model_flag, as_text, limit_threads
from wordgen.cli.output import put, tell
from wordgen.cli.waiting import SymbolProgress
from wordgen.errors import CorpusError, SettingError
from wordgen.evaluation.in_words import shown_perplexity

if TYPE_CHECKING:
    from wordgen.generation.scoring import Score, ScoredSentence, ScoredSymbol

_LAID_OUT_LIKE = 200_000
"""How many characters tell how a file is laid out."""
# From likely to unlikely: up to so many bits of surprisal, this colour.
_COLOURS = ((2, "bold green"), (5, "green"), (8, "yellow"), (11, "dark_orange"), (float("inf"), "bold red"))


def make_parser(prog: str) -> Parser:
    parser = verb_parser(
        prog,
        "See how likely a trained model finds a text: each word's surprisal in bits (1 is a coin toss, "
        "10 one in a thousand), the perplexity of each sentence, and which are the likeliest.",
        '"Aragorn went to the gate."',
    )
    parser.add_argument("text", metavar="TEXT", nargs="?", help="a text, or a text file; - is standard input")
    add_model_flag(parser.add_argument_group("the model"))
    output = parser.add_argument_group("what is shown")
    output.add_argument("--words", action="store_true", help="list every word with its bits (default: one sentence's)")
    output.add_argument("--json", action="store_true", help="one JSON object a line for each sentence (default: no)")
    return parser


def run(arguments: argparse.Namespace) -> int:
    limit_threads()
    from wordgen.corpora.layout import guess_layout
    from wordgen.run_folder import find_model, load

    folder = find_model(arguments.model)
    text, from_file = _text(arguments.text)
    model = load(folder)
    laid_out = guess_layout(text[:_LAID_OUT_LIKE]) if from_file else None
    with closing(SymbolProgress.here("Scoring", "Scored")) as progress:
        score = model.score(text, progress, laid_out=laid_out)
    if not score.symbols:
        raise SettingError('There is nothing to score: give a text, as in wordgen score "The road goes on."')
    tell(f"Scored with {folder.name}.")
    for sentence in model.reads_otherwise(laid_out) if laid_out else ():
        tell(sentence)
    ranking = sorted(range(len(score.sentences)), key=[each.perplexity for each in score.sentences].__getitem__)
    if arguments.json:
        ranks = {number: rank for rank, number in enumerate(ranking, 1)}
        for number, sentence in enumerate(score.sentences):
            put(_as_json(sentence, number, ranks[number]) + "\n")
    else:
        put(_on_screen(score, ranking, words=arguments.words))
    return 0


def _text(argument: str | None) -> tuple[str, bool]:
    """The text, and whether it is that of a file."""
    from wordgen.corpora.reading import TextFile

    if argument is None or argument == "-":
        if argument is None and sys.stdin.isatty():
            return "", False
        return TextFile(Path("standard input"), content=sys.stdin.buffer.read()).text(), True
    if os.path.isfile(argument):
        tell(f"Reading the file {argument}.")
        return TextFile(Path(argument)).text(), True
    if os.path.isdir(argument) or (argument.endswith(".txt") and len(argument.split()) == 1):
        raise CorpusError(f"There is no text file {argument}: give a file, or a text in quotation marks.")
    return as_text(argument), False


def _as_json(sentence: "ScoredSentence", number: int, rank: int) -> str:
    return json.dumps(
        {
            "number": number,
            "text": sentence.text,
            "perplexity": sentence.perplexity,
            "rank": rank,
            "symbols": [each.symbol for each in sentence.symbols],
            "log_probabilities": [each.log_probability for each in sentence.symbols],
            "bits": [each.surprisal for each in sentence.symbols],
            "known": [each.known for each in sentence.symbols],
        },
        ensure_ascii=False,
    )


def _on_screen(score: "Score", ranking: Sequence[int], *, words: bool) -> str:
    """With colours where the screen has them; from the likeliest sentence on where there are several."""
    from rich.table import Table
    from rich.text import Text

    from wordgen.training.screen import screen

    console = screen()
    console.begin_capture()
    legend = Text("bits: ")
    for bits, colour in _COLOURS:
        legend.append(f" up to {bits} " if bits < float("inf") else " more ", colour)
    legend.append("  underlined: unknown")
    console.print(legend)
    console.print()
    text = Text()
    for each in score.symbols:
        text.append(each.piece, _style(each))
    console.print(text)
    console.print()
    if words or len(score.sentences) == 1:
        table = Table("word", "bits", "one in", box=None)
        for each in score.symbols:
            shown = each.piece.strip() or {"\n": "(line break)"}.get(each.symbol, "(end)")
            table.add_row(
                Text(shown, _style(each)),
                f"{each.surprisal:.1f}",
                f"{2**each.surprisal:,.0f}" if each.surprisal < 1000 else "more",
            )
        console.print(table)
        console.print()
    if len(score.sentences) > 1:
        table = Table("rank", "perplexity", "sentence", box=None)
        for rank, number in enumerate(ranking, 1):
            sentence = score.sentences[number]
            table.add_row(str(rank), shown_perplexity(sentence.perplexity), Text(sentence.text))
        console.print(table)
        console.print()
    console.print(_in_all(score), highlight=False)
    return console.end_capture()


def _in_all(score: "Score") -> str:
    symbols = f"{len(score.symbols):,} symbol{'' if len(score.symbols) == 1 else 's'}"
    told = f"Perplexity {shown_perplexity(score.perplexity)} over {symbols}."
    unknown = sum(not each.known for each in score.symbols)
    if not unknown:
        return told
    are, those_cost = ("is", "that costs") if unknown == 1 else ("are", "those cost")
    told += f"\n{unknown:,} of them {are} unknown to the model: "
    return told + f"what {those_cost} tells nothing of the words themselves."


def _style(symbol: "ScoredSymbol") -> str:
    colour = next(colour for bits, colour in _COLOURS if symbol.surprisal <= bits)
    return colour if symbol.known else f"{colour} underline"
