"""`generate`: from flags to written text. Nothing here may import TensorFlow."""

import argparse
import json
import os
import sys
from dataclasses import asdict

from wordgen.cli.flags import Parser, add_flags, settings_from
from wordgen.errors import StorageError
from wordgen.generation.settings import GenerationSettings

# One text is bound by reading the weights: more threads than one spin and wait, and cost more than they give.
_TEXTS_WORTH_THREADS = 8
_MOST_NAMED = 10


def make_parser(prog: str) -> Parser:
    parser = Parser(
        prog=prog,
        description="Write text with a trained model.",
        epilog=f"Example: {prog} --seed Aragorn --mode sample",
        allow_abbrev=False,
    )
    start = parser.add_argument_group("the start")
    start.add_argument("--seed", default="", metavar="TEXT", help="words to begin with; by default at a new beginning")
    start.add_argument(
        "--model",
        metavar="MODEL",
        help="a run's name or the beginning of it, or a model's folder; by default the newest",
    )
    add_flags(parser, GenerationSettings, "the writing")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a line for each text, for programs (default: no)"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error (default: no)")
    return parser


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(GenerationSettings, arguments)
    if settings.count < _TEXTS_WORTH_THREADS:  # said to NumPy before it is imported
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from wordgen.bundle import load_bundle
    from wordgen.generation.trained import TrainedModel, with_random_seed
    from wordgen.run_folder import find_model

    folder = find_model(arguments.model)
    model = TrainedModel(load_bundle(folder))
    settings = with_random_seed(settings)
    seed = arguments.seed.encode(errors="replace").decode()  # the shell may hand over what is no text
    unknown = model.read_seed(seed).unknown
    if unknown:
        named = ", ".join(unknown[:_MOST_NAMED]) + (" and more" if len(unknown) > _MOST_NAMED else "")
        print(f"The model does not know {named}: left out of the seed.", file=sys.stderr)
    print(f"Writing with {folder.name}, random seed {settings.random_seed}.", file=sys.stderr)
    if arguments.json:
        for text in model.write(seed, settings):
            _show(json.dumps(asdict(text), ensure_ascii=False) + "\n")
    elif settings.count == 1:
        for piece in model.stream_with(seed, settings):
            _show(piece)
        _show("\n")
    else:
        for text in model.write(seed, settings):
            _show(f"--- {text.number + 1} of {settings.count}\n{text.text}\n\n")
    return 0


def _show(text: str) -> None:
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(f"The text cannot be written out: {error.strerror}.") from error
