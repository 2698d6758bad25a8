"""`wordgen generate`: generate text with a trained model. This module must not import TensorFlow."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from wordgen.cli.flags import (
    MODEL_HELP,
    Parser,
    add_flags,
    add_switch,
    as_text,
    given_settings,
    settings_from,
    verb_parser,
)
from wordgen.cli.output import print_message, print_output, print_sanitized
from wordgen.cli.start import limit_threads
from wordgen.errors import CorpusError, SettingError, pluralized
from wordgen.files import check_new_file, new_file
from wordgen.generation.settings import (
    GenerationSettings,
    PlayingSettings,
    WritingSettings,
    no_effect_note,
    with_random_seed,
)

if TYPE_CHECKING:
    from wordgen.generation.copies import Copy
    from wordgen.generation.prompt import Seed
    from wordgen.generation.texts import Text
    from wordgen.generation.trained import TrainedModel
    from wordgen.music.saving import Beginning

_FEW_TEXTS = 8
_MAX_UNKNOWN_WORDS = 10


def generate_parser(prog: str) -> Parser:
    parser = verb_parser(
        prog,
        _run,
        "Write text with a trained model.",
        "--seed Aragorn --mode sample --stop sentence --at-least 40",
    )
    start = parser.add_argument_group("model and prompt")
    help = "the words that the text begins with (the prompt); by default the model writes the beginning, too"
    start.add_argument("--seed", metavar="TEXT", help=help)
    help = "a text file with one seed per line, or - for standard input; by default there is none"
    start.add_argument("--seeds-file", metavar="FILE", help=help)
    help = "the tune (.abc) or the piece (.mid) that a model of music continues; by default there is none"
    start.add_argument("--continue", dest="continued", metavar="FILE", help=help)
    start.add_argument("--model", metavar="MODEL", help=MODEL_HELP)
    add_flags(parser, WritingSettings, "writing")
    _add_output_flags(parser)
    _add_music_flags(parser)
    return parser


def _add_output_flags(parser: Parser) -> None:
    output = parser.add_argument_group("output")
    help = "mark copies of five tokens or more, and show their file and line in the training text"
    add_switch(output, "--show-copies", help)
    add_switch(output, "--json", "print one line with a JSON object for each text, for programs")
    output.add_argument("--output", metavar="FILE", help="write to this new file; by default to the screen")
    add_switch(output, "--interactive", "open a prompt: type beginnings of texts, change settings, save texts")
    help = "open a prompt that shows the five most probable next words: choose one or type your own"
    add_switch(output, "--co-writer", help)


def _add_music_flags(parser: Parser) -> None:
    add_flags(parser, GenerationSettings, "tunes", without=WritingSettings)
    parser.add_argument_group("music").add_argument(
        "--save",
        metavar="FILE",
        help="save the music that the model writes to a new file that ends in .mid, .wav (sound), .musicxml or .svg (a "
        "score), or in .abc if the model writes ABC; several files are numbered (by default, no file)",
    )
    add_flags(parser, PlayingSettings, "playing")


def _run(arguments: argparse.Namespace) -> None:
    settings = settings_from(GenerationSettings, arguments)
    _check_flags(arguments, settings)
    if note := no_effect_note(settings.mode, given_settings(GenerationSettings, arguments)):
        print_message(note)
    if settings.count < _FEW_TEXTS and arguments.seeds_file is None:
        limit_threads()
    from wordgen.generation.trained import TrainedModel
    from wordgen.run.folder import find_model
    from wordgen.run.names import name_of

    folder = find_model(arguments.model)
    model = TrainedModel.load(folder)
    if arguments.interactive or arguments.co_writer:
        from wordgen.cli.interactive import converse

        first = as_text(arguments.seed or "")
        converse(model, name_of(folder), settings, first=first, co_writer=arguments.co_writer)
        return
    beginning = _beginning(arguments, model, folder.name)
    settings = with_random_seed(settings)
    prompts = _prompts(arguments, beginning)
    save = _music_saver(arguments, settings.count * len(prompts), model, folder.name, beginning)
    if arguments.show_copies or settings.max_copy or settings.max_copy_notes:
        _ = model.copy_index  # raises SettingError before any text is written if the index is missing
    for prompt, place in prompts:
        _print_prompt_notes(model.read_seed(prompt, settings), place)
    print_message(f"Writing with {name_of(folder)}, random seed {settings.random_seed}.")
    _write(arguments, _output(model, [prompt for prompt, _ in prompts], settings, arguments, save))


def _beginning(arguments: argparse.Namespace, model: "TrainedModel", name: str) -> "Beginning | None":
    """Return the tune or the piece to continue. Raise SettingError if the model does not write such music."""
    if arguments.continued is None:
        return None
    from wordgen.music.saving import PIECE_PARSERS, read_beginning

    if model.tokenizer not in PIECE_PARSERS:
        raise SettingError(
            f"--continue is for music, and {name} writes text (--tokenizer {model.tokenizer}): use --seed TEXT."
        )
    return read_beginning(Path(arguments.continued), model.tokenizer)


def _check_flags(arguments: argparse.Namespace, settings: GenerationSettings) -> None:
    """Check the flags before anything is loaded: for contradictions, and whether the output file can be made."""
    prompts = {"--seed": arguments.seed, "--seeds-file": arguments.seeds_file, "--continue": arguments.continued}
    given = [flag for flag, value in prompts.items() if value is not None]
    if len(given) > 1:
        raise SettingError(f"{given[0]} and {given[1]} cannot be used together: leave one of them out.")
    is_conversation = arguments.interactive or arguments.co_writer
    files = (arguments.output, arguments.seeds_file, arguments.save, arguments.continued)
    if is_conversation and any((arguments.json, *files, arguments.show_copies, "count" in arguments)):
        raise SettingError(
            "--interactive and --co-writer show one text at a time while it is written: leave out --json, --output, "
            "--save, --seeds-file, --continue, --show-copies and --count."
        )
    if is_conversation and settings.tune_flags:
        raise SettingError(f"{settings.tune_flags[0]} writes a whole tune: leave out --interactive and --co-writer.")
    if arguments.save is None and "tempo" in arguments:
        raise SettingError("--tempo is for the music that --save writes: give --save FILE, too.")
    if arguments.output is not None:
        check_new_file(Path(arguments.output))


def _prompts(arguments: argparse.Namespace, beginning: "Beginning | None") -> list[tuple[str, str]]:
    """Return the prompts. Each comes with what messages about it begin with: the file and line of `--seeds-file`."""
    if beginning is not None:
        return [(beginning.text, "")]
    if arguments.seeds_file is None:
        return [(as_text(arguments.seed or ""), "")]
    from wordgen.corpus.reading import TextFile

    piped = arguments.seeds_file == "-"
    path = Path("standard input" if piped else arguments.seeds_file)
    content = sys.stdin.buffer.read() if piped else None
    lines = TextFile(path, content=content).lines()
    prompts = [(line.strip(), f"{path}, line {number}: ") for number, line in lines if line.strip()]
    if not prompts:
        raise SettingError(f"--seeds-file {arguments.seeds_file} has no seed: write one seed per line.")
    return prompts


def _write(arguments: argparse.Namespace, parts: Iterable[str]) -> None:
    """Write the output to the screen, or to the file of `--output`."""
    if arguments.output is None:
        write = print_output if arguments.json else print_sanitized
        for part in parts:
            write(part)
        return
    with new_file(Path(arguments.output)) as file:
        file.writelines(parts)
    print_message(f"Written to {arguments.output}.")


def _music_saver(
    arguments: argparse.Namespace, count: int, model: "TrainedModel", name: str, beginning: "Beginning | None"
) -> Callable[[str], None]:
    """Return the function that receives each complete text. It saves the text as music if `--save` is given.

    `count` is the number of texts. If the model continues a tune or a piece, `beginning` is that. Raise SettingError,
    StorageError or MissingPartError if the texts cannot be saved under this name.
    """
    if arguments.save is None:
        return lambda text: None
    from wordgen.music.saving import PIECE_PARSERS, check_music_path, numbered_path, save

    path, tempo = Path(arguments.save), settings_from(PlayingSettings, arguments).tempo
    if model.tokenizer not in PIECE_PARSERS:
        raise SettingError(
            f"--save is for music, and {name} writes text (--tokenizer {model.tokenizer}): use --output FILE."
        )
    places = [numbered_path(path, number, count) for number in range(1, count + 1)]
    for place in places:
        check_music_path(place, abc=model.tokenizer == "abc")
    piece_of = PIECE_PARSERS[model.tokenizer] if beginning is None else beginning.piece_of
    next_places = iter(places)

    def save_next(text: str) -> None:
        """Save a text, and print where, with its first fault. A text without notes is not saved."""
        place = next(next_places)
        try:
            music = piece_of(text)
            if not music.piece.notes:
                print_message(f"The text has no note, so {place} was not saved.")
                return
            save(music if tempo is None else music.at_tempo(tempo), place)
        except (CorpusError, SettingError) as error:
            print_message(f"{place} was not saved. {error}")
            return
        first, *others = music.faults or ("",)
        more = f" ({pluralized(len(others), 'more fault')})" if others else ""
        print_message(f"Saved {place}. {first}{more}".rstrip())

    return save_next


def _output(
    model: "TrainedModel",
    seeds: Sequence[str],
    settings: GenerationSettings,
    arguments: argparse.Namespace,
    save: Callable[[str], None],
) -> Iterator[str]:
    """Yield the output for the screen or the file, piece by piece. Pass each complete text to `save`.

    A single text is yielded while the model writes it, unless `--json` or `--show-copies` is given. Other texts are
    yielded when they are complete.
    """
    texts = settings.count * len(seeds)
    several = texts > 1
    if not (several or arguments.json or arguments.show_copies):
        pieces: list[str] = []
        for piece in model.stream_with(seeds[0], settings):
            pieces.append(piece)
            yield piece
        yield "\n"
        written = "".join(pieces)
        if settings.until and not written.endswith(settings.until):
            where = f"within {settings.length:,} tokens" if settings.stop == "none" else "before the text ended"
            leave_out = "" if settings.stop == "none" else f" or leave out --stop {settings.stop}"
            print_message(f"'{settings.until}' was not written {where}: give a larger --length{leave_out}.")
        save(written)
        return
    for number, text in enumerate(model.write(seeds, settings), 1):
        if arguments.json:
            yield _as_json(model, text) + "\n"
        else:
            yield f"--- {number} of {texts}\n" if several else ""
            yield _with_copies(text, model.copies(text)) if arguments.show_copies else text.text
            yield "\n\n" if several else "\n"
        save(text.text)


def _as_json(model: "TrainedModel", text: "Text") -> str:
    copies = [asdict(copy) for copy in model.copies(text)] if model.has_copy_index else None
    more = {"perplexity": text.perplexity, "copies": copies, "model": model.fingerprint}
    return json.dumps({**asdict(text), **more}, ensure_ascii=False)


def _with_copies(text: "Text", copies: "Sequence[Copy]") -> str:
    """Return the text with each match in numbered brackets, and below it the file and line where each match begins."""
    marked, end = "", 0
    for number, copy in enumerate(copies, 1):
        marked += f"{text.text[end : copy.begin]}⟦{text.text[copy.begin : copy.end]}⟧{number}"
        end = copy.end
    lines = [
        f"  {number}  {each.tokens} tokens: {each.file}, line {each.line}" for number, each in enumerate(copies, 1)
    ]
    if not copies:
        lines = ["  No sequence of five tokens or more is in the training text."]
    return "\n".join([marked + text.text[end:], "", *lines])


def _print_prompt_notes(seed: "Seed", place: str) -> None:
    """Print what the model cannot use of a prompt, and that `--random-seed` may be meant if `--seed` is a number."""
    unknown = seed.unknown
    if not place and seed.text.strip().isdecimal():
        print_message(
            "--seed gives the words that the text begins with. To write the same text again, use "
            f"--random-seed {seed.text.strip()}."
        )
    for each in unknown[:_MAX_UNKNOWN_WORDS]:
        near = f" Did you mean {' or '.join(each.similar)}?" if each.similar else ""
        print_message(f"{place}{each.word} is unknown and left out of the seed.{near}")
    if len(unknown) > _MAX_UNKNOWN_WORDS:
        more = len(unknown) - _MAX_UNKNOWN_WORDS
        words = "word of the seed is" if more == 1 else "words of the seed are"
        print_message(f"{place}{more} more {words} unknown and left out.")
    if seed.cut:
        print_message(f"{place}The seed is too long: the model reads only its end, and continues from there.")
    if unknown and not seed.ids:
        print_message(f"{place}No word of the seed is known, so the text begins without a seed.")
