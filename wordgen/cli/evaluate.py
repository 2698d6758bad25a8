"""`wordgen evaluate`: how good a model is; and `wordgen score`: how probable the words of a text are for a model.

This module must not import TensorFlow.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wordgen.cli.flags import (
    MODEL_HELP,
    Parser,
    add_flags,
    add_switch,
    as_text,
    settings_from,
    verb_parser,
)
from wordgen.cli.output import (
    TokenProgress,
    download_progress,
    paragraph,
    print_json,
    print_message,
    print_output,
    reading_progress,
    render,
    table,
    with_blank_lines,
)
from wordgen.cli.start import limit_threads
from wordgen.errors import CorpusError, SettingError, StorageError, pluralized
from wordgen.evaluation.figures import MARGIN_EXPLAINED, bits, perplexity, share
from wordgen.evaluation.settings import AdaptingSettings, EvaluationSettings, NoveltySettings, Watcher
from wordgen.generation.settings import GenerationSettings, ScoringSettings
from wordgen.run.commands import COMMAND_PREFIX, command_to_try

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from wordgen.evaluation.measurement import Loss, Novelty
    from wordgen.generation.decoding import Score, ScoredSentence, ScoredToken
    from wordgen.run.evaluate import Evaluation

_MAX_SHOWN_CHARACTERS = 300
_MANY_TOKENS = 500_000  # counting more tokens takes so long that a message is printed
_MANY_TOKENS_TO_SEARCH = 10_000_000
_CHARACTERS_FOR_LAYOUT = 200_000
"""The number of characters at the beginning of a file that decide how it is laid out."""
# The colour of a token with up to this many bits of surprisal, from likely to unlikely.
_COLOURS = ((2, "bold green"), (5, "green"), (8, "yellow"), (11, "dark_orange"), (float("inf"), "bold red"))


def evaluate_parser(prog: str) -> Parser:
    parser = verb_parser(
        prog,
        _evaluate,
        "Measure how good a trained model is: its perplexity on text that it was not trained on, compared with word "
        "frequencies and an n-gram model; what to change to improve it; and how much of the text that it writes is "
        "copied from the training text.",
        "lotr --split valid",
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help=MODEL_HELP)
    parser.add_argument("--model", dest="model_flag", metavar="MODEL", help="the same as MODEL, as a flag")
    parser.add_argument(
        "--split",
        metavar="SPLIT",
        default="test",
        help="the text to measure it on: valid or test for the validation or test set of its corpus (the validation "
        "set decided which weights were kept, the test set decided nothing); or a text file, a folder of text files, "
        "or - for standard input (default: test)",
    )
    add_flags(parser, NoveltySettings, "new or copied text")
    add_flags(parser, AdaptingSettings, "adapting to a text")
    add_switch(parser, "--json", "print one JSON object, for programs")
    return parser


def _evaluate(arguments: argparse.Namespace) -> None:
    limit_threads(1)  # wordgen evaluates with threads of its own, so NumPy needs only one
    from wordgen.corpus.finding import save_standard_input
    from wordgen.corpus.settings import STANDARD_INPUT
    from wordgen.run.evaluate import evaluate

    if arguments.model is not None and arguments.model_flag is not None:
        raise SettingError("MODEL and --model have the same meaning: leave one of them out.")
    model = arguments.model_flag if arguments.model is None else arguments.model
    split = save_standard_input() if arguments.split == STANDARD_INPUT else arguments.split
    with closing(_Progress()) as progress:
        settings = settings_from(EvaluationSettings, arguments)
        evaluated = evaluate(model, split, settings, progress)
    page = _save(evaluated)
    if arguments.json:
        content = {**evaluated.to_mapping(), "command_to_try": command_to_try(evaluated)}
        print_json(content)
    else:
        print_output(render(_evaluation_parts(evaluated, page)))


def _save(evaluated: "Evaluation") -> Path | None:
    """Save the figures beside the model. Return the path of the new report page, or None if they are not saved."""
    from wordgen.report.page import write_page
    from wordgen.run.evaluate import save_evaluation

    try:
        return write_page(evaluated.folder) if save_evaluation(evaluated) else None
    except StorageError as error:
        print_message(f"Note: these figures are not saved in the folder of the model. {error}")
        return None


class _Progress(Watcher):
    """Shows the parts of an evaluation one after another, each with its own bar or lines."""

    def __init__(self) -> None:
        self._part, self._done = "", 0
        self._ending = ExitStack()

    def close(self) -> None:
        self._ending.close()

    def _show(
        self,
        part: str,
        display: Callable[[], AbstractContextManager[Callable[..., None]]],
        *progress: object,
        done: int = 0,
    ) -> None:
        """Show how far a part is. The display begins anew if another part begins, or the same one begins again."""
        if part != self._part or done < self._done:
            self.close()
            self._update_display = self._ending.enter_context(display())
        self._part, self._done = part, done
        self._update_display(*progress)

    def _show_tokens(self, doing: str, shown: str, done: int, tokens: int) -> None:
        self._show(doing, lambda: closing(TokenProgress(doing, shown)), done, tokens, done=done)

    def _announce(self, sentence: str, tokens: int, threshold: int) -> None:
        """Close the last display. Print a sentence about the next part if it takes long: for more tokens than this."""
        self.close()
        self._part = ""
        if tokens > threshold:
            print_message(sentence)

    def fetching(self, file: str, done: int, total: int) -> None:
        self._show("fetching", download_progress, file, done, total)

    def reading(self, name: str, done: int, size: int) -> None:
        self._show(f"reading {name}", partial(reading_progress, name), done, size)

    def predicting(self, done: int, tokens: int) -> None:
        self._show_tokens("Predicting", "Predicted", done, tokens)

    def trying(self, done: int, tokens: int) -> None:
        self._show_tokens("Choosing settings", "Choosing settings:", done, tokens)

    def adapting(self, done: int, tokens: int) -> None:
        self._show_tokens("Adapting", "Adapted to", done, tokens)

    def counting(self, tokens: int, order: int) -> None:
        self._announce(f"Counting the {order}-grams of {tokens:,} tokens.", tokens, _MANY_TOKENS)

    def weighing(self, done: int, tokens: int) -> None:
        self._show_tokens("Predicting the validation set", "Validation set: predicted", done, tokens)

    def writing(self, done: int, tokens: int) -> None:
        self._show_tokens("Writing", "Written", done, tokens)

    def composing(self, done: int, tokens: int) -> None:
        self._show_tokens("Writing music", "Music written:", done, tokens)

    def searching(self, tokens: int) -> None:
        self._announce(f"Searching {tokens:,} tokens of the training text for copies.", tokens, _MANY_TOKENS_TO_SEARCH)


def _evaluation_parts(evaluated: "Evaluation", page: Path | None) -> "Iterator[RenderableType]":
    from wordgen.corpus.catalogue import SET_NAMES

    text = evaluated.split
    if evaluated.split in ("valid", "test"):
        text = f"the {SET_NAMES[evaluated.split]} of {evaluated.corpus}"
    title = f"How good is {evaluated.model} on {text}?"
    yield from _output_section(
        title, _about_perplexity(evaluated), with_blank_lines(_losses(evaluated)), evaluated.verdict
    )
    if evaluated.music is not None:
        music = evaluated.music
        compared = with_blank_lines(table(["", *music.columns], music.rows()))
        yield from _output_section("\nHow good is its music?", music.in_words(), compared, music.verdict)
    if evaluated.novelty is not None:
        yield from _novelty_parts(evaluated.novelty, unknown=evaluated.unknown_share > 0)
    yield f"Try:  {command_to_try(evaluated)}"
    if page is not None:
        yield f"Report:  {page}"


def _output_section(
    title: str, about: Iterable[str], figures: "RenderableType", verdict: str | None
) -> "Iterator[RenderableType]":
    """Yield a part of the output: its title, what the figures mean, the figures, and the verdict on them."""
    yield paragraph(title, "bold")
    yield from (paragraph(sentence, "dim") for sentence in about)
    yield figures
    if verdict is not None:
        yield paragraph(verdict)


def _losses(evaluated: "Evaluation") -> "Table":
    """Return a table with a row for the model and for each loss that it is compared with."""
    notes, characters, losses = evaluated.music_notes, evaluated.characters, list(evaluated.losses())
    columns: dict[str, Callable[[Loss], str]] = {
        "perplexity": lambda loss: perplexity(loss.perplexity, loss.margin),
        "bits per character": lambda loss: bits(loss.bits_per(characters), loss.margin_per(characters)),
    }
    if evaluated.by_characters:
        columns["nats per character"] = lambda loss: bits(loss.nats_per(characters), loss.nats_margin_per(characters))
    if notes:
        columns["bits per note"] = lambda loss: bits(loss.bits_per(notes), loss.margin_per(notes))
    columns[""] = lambda loss: _compared_with_model(loss, evaluated)
    rows = [[name, *(shown(loss) for shown in columns.values())] for name, loss in losses]
    return table(["", *columns], rows, styles=["bold" if loss is evaluated.loss else None for _, loss in losses])


def _compared_with_model(loss: "Loss", evaluated: "Evaluation") -> str:
    if loss is evaluated.loss:
        return ""
    times = f"{loss.perplexity / evaluated.perplexity:,.2f} times the model's"
    return "no difference" if loss.differs(evaluated.loss) is False else times


def _about_perplexity(evaluated: "Evaluation") -> Iterator[str]:
    """Yield sentences that explain the figures of perplexity."""
    yield (
        f"{evaluated.tokens:,} tokens, {evaluated.characters:,} characters. Perplexity is the number of equally "
        "probable tokens among which the model would be as uncertain. Lower is better."
    )
    if evaluated.music_notes:
        yield f"{evaluated.music_notes:,} notes. Bits per note are the bits of all tokens, divided by the notes."
    if evaluated.loss.margin is not None:
        yield MARGIN_EXPLAINED
    if round(evaluated.unknown_share, 3):
        yield (
            f"{evaluated.unknown_share:.1%} of the words are UNKNOWN to the model. UNKNOWN is easier to predict than "
            "the words themselves, so the figures look better than they are."
        )
    if round(evaluated.spelled_share, 3):
        yield (
            f"{evaluated.spelled_share:.1%} of the words are spelled out, and each of their bytes is a token. Compare "
            "such a model by its bits per character."
        )
    yield from evaluated.chosen_values_in_words(evaluated.split)
    yield from evaluated.notes


def _novelty_parts(novelty: "Novelty", *, unknown: bool) -> "Iterator[RenderableType]":
    from rich.console import Group

    copied: list[list[str]] = []
    varied: list[list[str]] = []
    for name, found in (("generated text", novelty.samples), (novelty.held_out_name, novelty.held_out)):
        copied.append([name, *map(share, found.shares.values())])
        shares = map(share, (found.distinct_1, found.distinct_2, found.repetition, found.self_bleu))
        varied.append([name, *shares, f"{found.longest.tokens if found.longest else 0:,}"])
    what = "sequences that are in the training text, by length"
    heads = ("", "distinct-1", "distinct-2", "repetition", "self-BLEU", "longest match")
    copies = table([what, *map(str, novelty.samples.shares)], copied, left=(what,))
    about = (
        novelty.compared_in_words(unknown=unknown),
        "distinct: the share of tokens (1) or pairs of tokens (2) that are different. repetition: the share of "
        "sequences of 4 tokens that occurred in the same text before. self-BLEU: how similar each text is to the "
        f"others{novelty.means_in_words}.",
    )
    figures = with_blank_lines(Group(copies, "", table(heads, varied)))
    yield from _output_section("\nHow much does it copy?", about, figures, novelty.verdict)
    match = novelty.samples.longest
    if match is not None:
        text = " ".join(match.text.split())
        shown = text if len(text) <= _MAX_SHOWN_CHARACTERS else f"{text[:_MAX_SHOWN_CHARACTERS].rsplit(' ', 1)[0]} ..."
        where = f"begins in {match.file}, line {match.line:,}"
        yield paragraph(f"The longest match, {match.tokens:,} tokens, {where}: {shown}")


def score_parser(prog: str) -> Parser:
    parser = verb_parser(
        prog,
        _score,
        "Show how probable a text is for a trained model: the surprisal of each word in bits (1 bit is a coin toss, "
        "10 bits are one chance in a thousand), the perplexity of each sentence, and the sentences ranked by it.",
        '"Aragorn went to the gate."',
    )
    parser.add_argument("text", metavar="TEXT", nargs="?", help="a text or a text file, or - for standard input")
    parser.add_argument_group("model").add_argument("--model", metavar="MODEL", help=MODEL_HELP)
    add_flags(parser, ScoringSettings, "probabilities")
    output = parser.add_argument_group("output")
    help = "list every word with its bits (default: only for a single sentence)"
    output.add_argument("--words", action="store_true", help=help)
    add_switch(output, "--json", "print one line with a JSON object for each sentence")
    return parser


def _score(arguments: argparse.Namespace) -> None:
    limit_threads()
    from wordgen.corpus.layout import guess_layout
    from wordgen.generation.trained import TrainedModel
    from wordgen.run.folder import find_model
    from wordgen.run.names import name_of

    mix = settings_from(ScoringSettings, arguments).mix
    folder = find_model(arguments.model)
    model = TrainedModel.load(folder)
    model.check(GenerationSettings(mix=mix))
    text, from_file = _text_to_score(arguments.text, chords=model.tokenizer == "chords")
    file_layout = guess_layout(text[:_CHARACTERS_FOR_LAYOUT]) if from_file else None
    with closing(TokenProgress("Scoring", "Scored")) as progress:
        score = model.score(text, progress, file_layout=file_layout, mix=mix)
    if not score.tokens:
        raise SettingError(f'There is nothing to score: give a text, as in {COMMAND_PREFIX} score "The road goes on."')
    print_message(f"Scored with {name_of(folder)}.")
    for sentence in model.layout_warnings_for(file_layout) if file_layout else ():
        print_message(sentence)
    ranking = sorted(range(len(score.sentences)), key=[each.perplexity for each in score.sentences].__getitem__)
    if arguments.json:
        ranks = {number: rank for rank, number in enumerate(ranking, 1)}
        for number, sentence in enumerate(score.sentences):
            print_json(_as_mapping(sentence, number, ranks[number]))
    else:
        print_output(render(_score_parts(score, ranking, words=arguments.words)))


def _text_to_score(argument: str | None, *, chords: bool) -> tuple[str, bool]:
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
        print_message(f"Reading the file {argument}.")
        return TextFile(Path(argument), chords=chords).text(), not is_midi(Path(argument))
    if os.path.isdir(argument) or (argument.endswith(".txt") and len(argument.split()) == 1):
        raise CorpusError(f"There is no text file {argument}: give a file, or a text in quotation marks.")
    return as_text(argument), False


def _as_mapping(sentence: "ScoredSentence", number: int, rank: int) -> dict[str, object]:
    return {
        "number": number,
        "text": sentence.text,
        "perplexity": sentence.perplexity,
        "rank": rank,
        "tokens": [each.token for each in sentence.tokens],
        "log_probabilities": [each.log_probability for each in sentence.tokens],
        "bits": [each.surprisal for each in sentence.tokens],
        "known": [each.known for each in sentence.tokens],
    }


def _score_parts(score: "Score", ranking: Sequence[int], *, words: bool) -> "Iterator[RenderableType]":
    """Yield the text with a colour for each token, and tables of its words and of its sentences by rank."""
    legend = paragraph("bits: ")
    for most, colour in _COLOURS:
        legend.append(f" up to {most} " if most < float("inf") else " more ", colour)
    yield legend.append("  underlined: unknown")
    coloured = paragraph("")
    for token in score.tokens:
        coloured.append(token.piece, _style(token))
    yield with_blank_lines(coloured)
    if words or len(score.sentences) == 1:
        yield table(("word", "bits", "one in"), map(_about_word, score.tokens), left=("word",))
        yield ""
    if len(score.sentences) > 1:
        ranked = enumerate((score.sentences[number] for number in ranking), 1)
        rows = ((str(rank), perplexity(each.perplexity), each.text) for rank, each in ranked)
        yield table(("rank", "perplexity", "sentence"), rows, left=("sentence",))
        yield ""
    yield paragraph(_summary(score))


def _about_word(token: "ScoredToken") -> "Sequence[str | Text]":
    blank = {"\n": "(line break)"}.get(token.token, "(space)" if token.token.isspace() else "(end)")
    one_in = f"{2**token.surprisal:,.0f}" if token.surprisal < 1000 else "more"
    return paragraph(token.piece.strip() or blank, _style(token)), f"{token.surprisal:.1f}", one_in


def _summary(score: "Score") -> str:
    summary = f"Perplexity {perplexity(score.perplexity)} over {pluralized(len(score.tokens), 'token')}."
    unknown = sum(not each.known for each in score.tokens)
    if not unknown:
        return summary
    which = "1 of them is" if unknown == 1 else f"{unknown:,} of them are"
    its = "Its bits do not show how probable the word itself is."
    their = "Their bits do not show how probable the words themselves are."
    return f"{summary}\n{which} unknown to the model. {its if unknown == 1 else their}"


def _style(token: "ScoredToken") -> str:
    colour = next(colour for bits, colour in _COLOURS if token.surprisal <= bits)
    return colour if token.known else f"{colour} underline"
