"""`wordgen score`: the probability of each word of a text under a model. This module must not import TensorFlow."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from wordgen.cli.flags import WHICH_MODEL, Parser, add_flags, add_switch, as_text, settings_from, verb_parser
from wordgen.cli.output import TokenProgress, put, tell
from wordgen.cli.start import limit_threads
from wordgen.errors import CorpusError, SettingError
from wordgen.evaluation.figures import many, shown_perplexity
from wordgen.generation.settings import GenerationSettings, ScoringSettings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from wordgen.generation.decoding import Score, ScoredSentence, ScoredToken

_CHARACTERS_FOR_LAYOUT = 200_000
"""The number of characters at the beginning of a file that decide how it is laid out."""
# The colour of a token with up to this many bits of surprisal, from likely to unlikely.
_COLOURS = ((2, "bold green"), (5, "green"), (8, "yellow"), (11, "dark_orange"), (float("inf"), "bold red"))


def make_parser(prog: str) -> Parser:
    parser = verb_parser(
        prog,
        "Show how probable a text is for a trained model: the surprisal of each word in bits (1 bit is a coin toss, "
        "10 bits are one chance in a thousand), the perplexity of each sentence, and the sentences ranked by it.",
        '"Aragorn went to the gate."',
    )
    parser.add_argument("text", metavar="TEXT", nargs="?", help="a text or a text file, or - for standard input")
    parser.add_argument_group("model").add_argument("--model", metavar="MODEL", help=WHICH_MODEL)
    add_flags(parser, ScoringSettings, "probabilities")
    output = parser.add_argument_group("output")
    help = "list every word with its bits (default: only for a single sentence)"
    output.add_argument("--words", action="store_true", help=help)
    add_switch(output, "--json", "print one line with a JSON object for each sentence")
    return parser


def run(arguments: argparse.Namespace) -> int:
    limit_threads()
    from wordgen.corpus.layout import guess_layout
    from wordgen.generation.trained import TrainedModel
    from wordgen.run.folder import find_model

    mix = settings_from(ScoringSettings, arguments).mix
    folder = find_model(arguments.model)
    model = TrainedModel.load(folder)
    model.check(GenerationSettings(mix=mix))
    text, from_file = _text(arguments.text, chords=model.tokenizer == "chords")
    laid_out = guess_layout(text[:_CHARACTERS_FOR_LAYOUT]) if from_file else None
    with closing(TokenProgress("Scoring", "Scored")) as progress:
        score = model.score(text, progress, laid_out=laid_out, mix=mix)
    if not score.tokens:
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


def _text(argument: str | None, *, chords: bool) -> tuple[str, bool]:
    """Return the text to score, and whether its layout must be found: it comes from a file or standard input.

    A MIDI file is laid out as models learn it, as chords if `chords` is True. The text is an empty string if there is
    no argument and standard input is a terminal. Raise CorpusError if the argument is a folder, or is one word that
    ends in ".txt" and not the name of a file.
    """
    from wordgen.corpus.documents import is_midi
    from wordgen.corpus.reading import TextFile

    if argument is None or argument == "-":
        if argument is None and sys.stdin.isatty():
            return "", False
        return TextFile(Path("standard input"), content=sys.stdin.buffer.read()).text(), True
    if os.path.isfile(argument):
        tell(f"Reading the file {argument}.")
        return TextFile(Path(argument), chords=chords).text(), not is_midi(Path(argument))
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
            "tokens": [each.token for each in sentence.tokens],
            "log_probabilities": [each.log_probability for each in sentence.tokens],
            "bits": [each.surprisal for each in sentence.tokens],
            "known": [each.known for each in sentence.tokens],
        },
        ensure_ascii=False,
    )


def _on_screen(score: "Score", ranking: Sequence[int], *, words: bool) -> str:
    """Return the text with a colour for each token, on a terminal with colours, and tables below it.

    The first table lists the words, if `words` is True or the text is one sentence. The second one lists several
    sentences in the order of `ranking`, which begins with the most likely one.
    """
    from rich.text import Text

    from wordgen.training.screen import screen

    console = screen()
    console.begin_capture()
    shown: list[RenderableType] = [_legend(), Text.assemble(*((each.piece, _style(each)) for each in score.tokens))]
    if words or len(score.sentences) == 1:
        shown.append(_table_of_words(score))
    if len(score.sentences) > 1:
        shown.append(_table_of_sentences(score, ranking))
    for each in shown:
        console.print(each)
        console.print()
    console.print(_summary(score), highlight=False)
    return console.end_capture()


def _legend() -> "RenderableType":
    from rich.text import Text

    legend = Text("bits: ")
    for bits, colour in _COLOURS:
        legend.append(f" up to {bits} " if bits < float("inf") else " more ", colour)
    return legend.append("  underlined: unknown")


def _table_of_words(score: "Score") -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    table = Table("word", "bits", "one in", box=None)
    for each in score.tokens:
        shown = each.piece.strip() or {"\n": "(line break)"}.get(each.token, "(end)")
        one_in = f"{2**each.surprisal:,.0f}" if each.surprisal < 1000 else "more"
        table.add_row(Text(shown, _style(each)), f"{each.surprisal:.1f}", one_in)
    return table


def _table_of_sentences(score: "Score", ranking: Sequence[int]) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    table = Table("rank", "perplexity", "sentence", box=None)
    for rank, number in enumerate(ranking, 1):
        sentence = score.sentences[number]
        table.add_row(str(rank), shown_perplexity(sentence.perplexity), Text(sentence.text))
    return table


def _summary(score: "Score") -> str:
    summary = f"Perplexity {shown_perplexity(score.perplexity)} over {many(len(score.tokens), 'token')}."
    unknown = sum(not each.known for each in score.tokens)
    if not unknown:
        return summary
    if unknown == 1:
        return f"{summary}\n1 of them is unknown to the model. Its bits do not show how probable the word itself is."
    return (
        f"{summary}\n{unknown:,} of them are unknown to the model. Their bits do not show how probable the words "
        "themselves are."
    )


def _style(token: "ScoredToken") -> str:
    colour = next(colour for bits, colour in _COLOURS if token.surprisal <= bits)
    return colour if token.known else f"{colour} underline"
