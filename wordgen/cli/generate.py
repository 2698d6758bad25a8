"""`generate`: from flags to written text. Nothing here may import TensorFlow."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wordgen.cli.flags import Parser, add_flags, given_settings, settings_from, verb_parser
from wordgen.cli.output import put, show, tell
from wordgen.errors import SettingError, StorageError
from wordgen.generation.settings import GenerationSettings, with_random_seed, without_effect

if TYPE_CHECKING:
    from wordgen.generation.copies import Copy
    from wordgen.generation.reading import Seed
    from wordgen.generation.texts import Text
    from wordgen.generation.trained import TrainedModel

# One text is bound by reading the weights: a few threads read faster than one, and many only spin and wait.
_FEW_TEXTS = 8
_THREADS_FOR_FEW = min(4, os.cpu_count() or 1)
_MOST_NAMED = 10


def make_parser(prog: str) -> Parser:
    parser = verb_parser(
        prog,
        "Write text with a trained model.",
        "--seed Aragorn --mode sample --stop sentence --at-least 40",
    )
    start = parser.add_argument_group("the start")
    start.add_argument("--seed", metavar="TEXT", help="words to begin with; by default at a new beginning")
    start.add_argument(
        "--seeds-file",
        metavar="FILE",
        help="a text file with a seed in each line (- is standard input); by default there is none",
    )
    add_model_flag(start)
    add_flags(parser, GenerationSettings, "the writing")
    output = parser.add_argument_group("what is shown")
    output.add_argument(
        "--show-copies",
        action="store_true",
        help="mark what stands word for word in the training text, five symbols or more, and say where (default: no)",
    )
    output.add_argument(
        "--json", action="store_true", help="one JSON object a line for each text, for programs (default: no)"
    )
    output.add_argument("--output", metavar="FILE", help="write into this new file; by default onto the screen")
    output.add_argument(
        "--interactive", action="store_true", help="a prompt: type beginnings, change settings, save (default: no)"
    )
    output.add_argument(
        "--co-writer",
        action="store_true",
        help="a prompt that shows the five best next words: pick one or type your own (default: no)",
    )
    return parser


def add_model_flag(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--model",
        metavar="MODEL",
        help="a run's name or the beginning of it, or a model's folder; by default the newest",
    )


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(GenerationSettings, arguments)
    _check(arguments)
    if in_vain := without_effect(settings.mode, given_settings(GenerationSettings, arguments)):
        tell(in_vain)
    if settings.count < _FEW_TEXTS and arguments.seeds_file is None:
        limit_threads()
    from wordgen.run_folder import find_model, load

    folder = find_model(arguments.model)
    model = load(folder)
    if arguments.interactive or arguments.co_writer:
        from wordgen.cli.interactive import converse

        return converse(
            model, folder.name, settings, first=as_text(arguments.seed or ""), co_writer=arguments.co_writer
        )
    return _write(model, folder.name, _seeds(arguments), settings, arguments)


def limit_threads(most: int = _THREADS_FOR_FEW) -> None:
    """Said to NumPy before it is imported; whoever has set it otherwise knows why."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(most))


def as_text(argument: str) -> str:
    """The shell may hand over what is no text."""
    return argument.encode(errors="replace").decode()


def _check(arguments: argparse.Namespace) -> None:
    """Flags that contradict each other, said before anything is loaded."""
    if arguments.seed is not None and arguments.seeds_file is not None:
        raise SettingError("--seed and --seeds-file are two ways to say the same: leave one out.")
    prompting = arguments.interactive or arguments.co_writer
    taken = (arguments.json, arguments.output, arguments.seeds_file, arguments.show_copies, "count" in arguments)
    if prompting and any(taken):
        raise SettingError(
            "At the prompt of --interactive or --co-writer one text at a time is shown as it is written: leave out "
            "--json, --output, --seeds-file, --show-copies and --count."
        )
    if arguments.output is not None:
        check_new_file(Path(arguments.output))


def check_new_file(path: Path) -> None:
    """Nothing that is there already is ever written over."""
    if os.path.lexists(path):
        raise StorageError(f"{path} is there already: choose another name, or move it away.")
    if not path.absolute().parent.is_dir():
        raise StorageError(f"There is no folder {path.parent} to write {path.name} into: make it first.")


@dataclass(frozen=True)
class _GivenSeed:
    text: str
    place: str = ""
    """Where in a file of many it stands, to be said before what is told of it."""


def _seeds(arguments: argparse.Namespace) -> list[_GivenSeed]:
    if arguments.seeds_file is None:
        return [_GivenSeed(as_text(arguments.seed or ""))]
    from wordgen.corpora.reading import TextFile

    piped = arguments.seeds_file == "-"
    path = Path("standard input" if piped else arguments.seeds_file)
    content = sys.stdin.buffer.read() if piped else None
    lines = TextFile(path, content=content).lines()
    seeds = [_GivenSeed(line.strip(), f"{path}, line {number}: ") for number, line in lines if line.strip()]
    if not seeds:
        raise SettingError(f"--seeds-file {arguments.seeds_file} holds no seed: put one into each line.")
    return seeds


def _write(
    model: "TrainedModel",
    name: str,
    given: Sequence[_GivenSeed],
    settings: GenerationSettings,
    arguments: argparse.Namespace,
) -> int:
    from wordgen.files import new_file

    settings = with_random_seed(settings)
    if arguments.show_copies or settings.max_copy:
        _ = model.copy_index  # if it is missing, say so before anything is written
    for seed in given:
        _tell_of(model.read_seed(seed.text), seed.place)
    seeds = [seed.text for seed in given]
    tell(f"Writing with {name}, random seed {settings.random_seed}.")
    if arguments.output is None:
        write = put if arguments.json else show
        for part in _shown(model, seeds, settings, arguments):
            write(part)
        return 0
    with new_file(Path(arguments.output)) as file:
        for part in _shown(model, seeds, settings, arguments):
            file.write(part)
    tell(f"Written into {arguments.output}.")
    return 0


def _shown(
    model: "TrainedModel", seeds: Sequence[str], settings: GenerationSettings, arguments: argparse.Namespace
) -> Iterator[str]:
    """What appears on the screen or in the file, piece by piece."""
    texts = settings.count * len(seeds)
    many = texts > 1
    if not (many or arguments.json or arguments.show_copies):
        written = ""
        for piece in model.stream_with(seeds[0], settings):
            written += piece if settings.until else ""
            yield piece
        yield "\n"
        if settings.until and not written.endswith(settings.until):
            tell(f"'{settings.until}' did not come within {settings.length:,} symbols: raise --length.")
        return
    for number, text in enumerate(model.write(seeds, settings), 1):
        if arguments.json:
            yield _as_json(model, text) + "\n"
            continue
        if many:
            yield f"--- {number} of {texts}\n"
        yield _with_copies(text, model.copies(text)) if arguments.show_copies else text.text
        yield "\n\n" if many else "\n"


def _as_json(model: "TrainedModel", text: "Text") -> str:
    copies = [asdict(copy) for copy in model.copies(text)] if model.has_copy_index else None
    more = {"perplexity": text.perplexity, "copies": copies, "model": model.fingerprint}
    return json.dumps({**asdict(text), **more}, ensure_ascii=False)


def _with_copies(text: "Text", copies: "Sequence[Copy]") -> str:
    """The text with each copy between brackets that carry a number, and below where each came from."""
    marked, told = "", 0
    for number, copy in enumerate(copies, 1):
        marked += f"{text.text[told : copy.begin]}⟦{text.text[copy.begin : copy.end]}⟧{number}"
        told = copy.end
    lines = [
        f"  {number}  {each.symbols} symbols: {each.file}, line {each.line}" for number, each in enumerate(copies, 1)
    ]
    if not copies:
        lines = ["  No five symbols or more in a row stand so in the training text."]
    return "\n".join([marked + text.text[told:], "", *lines])


def _tell_of(seed: "Seed", place: str) -> None:
    """What of a seed the model cannot use, and what was perhaps meant by a number."""
    unknown = seed.unknown
    if not place and seed.given.strip().isdecimal():
        tell(
            f"--seed takes the words to begin with; --random-seed {seed.given.strip()} makes the same text come again."
        )
    for each in unknown[:_MOST_NAMED]:
        near = f", did you mean {' or '.join(each.near)}?" if each.near else "."
        tell(f"{place}{each.word}: unknown{near} It is left out of the seed.")
    if len(unknown) > _MOST_NAMED:
        more = len(unknown) - _MOST_NAMED
        words = "word of the seed is" if more == 1 else "words of the seed are"
        tell(f"{place}{more} more {words} unknown and left out.")
    if seed.cut:
        tell(f"{place}The seed is so long that its end alone is read, and written on from.")
    if unknown and not seed.ids:
        tell(f"{place}No word of the seed is known, so the text begins anew.")
