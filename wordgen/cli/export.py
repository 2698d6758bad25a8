"""`wordgen export`: a trained model as one file for Keras or an ONNX runtime, and what goes in and comes out of it.

Or as a base: a folder with 8-bit weights.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from wordgen.cli.exits import EXIT_OK
from wordgen.cli.flags import Parser, verb_parser
from wordgen.cli.output import on_screen, put, tell
from wordgen.files import shown_size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from wordgen.bundle import Bundle
    from wordgen.exporting.writing import Format

_FORMATS = ("keras", "onnx", "base")
_GUIDE = "docs/exporting.md"
_IDS = {"keras": "int32", "onnx": "int64"}
_LOADED = {
    "keras": "keras.saving.load_model({path})",
    "onnx": "onnxruntime.InferenceSession({path})",
}


def make_parser(prog: str) -> Parser:
    parser = verb_parser(
        prog,
        "Write a trained model into one file that other programs can use without wordgen: its step, from one symbol of "
        "each text and what the layers remember to the odds of the next symbol. Or, with --to base, into a folder with "
        "8-bit weights, a quarter as large, which wordgen uses as any other model.",
        "my-book --to onnx",
    )
    names = "a run's name or how that begins, or a model's folder (default: the newest model)"
    parser.add_argument("model", metavar="MODEL", nargs="?", help=names)
    parser.add_argument(
        "--to",
        required=True,
        choices=_FORMATS,
        metavar="{keras,onnx,base}",
        help="the format of the file, or base, which is a folder (required)",
    )
    parser.add_argument("--output", metavar="PATH", help="where to write it (default: here, called as the model is)")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace what is there already; of a base, its model card and base.toml stay (default: no)",
    )
    return parser


def run(arguments: argparse.Namespace) -> int:
    from wordgen.bundle import load_bundle
    from wordgen.exporting.writing import check_place, export
    from wordgen.run_folder import find_model

    folder = find_model(arguments.model)
    path = Path(f"{folder.resolve().name}.{arguments.to}" if arguments.output is None else arguments.output)
    check_place(arguments.to, path, overwrite=arguments.overwrite)
    bundle = load_bundle(folder)
    if arguments.to == "keras":
        tell("Starting Keras, which takes some seconds ...")
    export(bundle, arguments.to, path, overwrite=arguments.overwrite)
    put(on_screen(_told_of_base(path) if arguments.to == "base" else _told(bundle, arguments.to, path)))
    return EXIT_OK


def _told_of_base(path: Path) -> "Iterator[RenderableType]":
    from rich.text import Text

    from wordgen.exporting.base_folder import CARD

    size = shown_size(sum(each.stat().st_size for each in path.iterdir()))
    yield Text(f"Wrote {path}, {size}: a model with 8-bit weights", "bold")
    yield Text(f"Say what it is in {path / CARD}.")
    yield Text(f"Use it as any model: --model {path} writes with it, --init-from {path} begins a run from it.")


def _told(bundle: "Bundle", format: "Format", path: Path) -> "Iterator[RenderableType]":
    from rich.table import Table
    from rich.text import Text

    from wordgen.architecture import shown_layers

    size = shown_size(path.stat().st_size)
    yield Text(f"Wrote {path}, {size}: one step of {shown_layers(bundle.architecture)}", "bold")
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for row in _interface(bundle, format):
        table.add_row(*map(Text, row))
    yield table
    yield Text("In the file is also its vocabulary, and how text is cut into symbols.")
    yield f"Load it:  {_LOADED[format].format(path=json.dumps(str(path), ensure_ascii=False))}"
    yield f"How to write with it, whole programs:  {_GUIDE}"


def _interface(bundle: "Bundle", format: "Format") -> Iterator[tuple[str, str, str, str]]:
    """Where, name, shape and meaning of each array."""
    from wordgen.exporting.interface import IDS, LOGITS, carry_vectors

    vectors = carry_vectors(bundle.architecture)
    yield "in", IDS, f"{_IDS[format]} [batch]", "the last symbol of each text, as its place in the vocabulary"
    for vector in vectors:
        yield "in", vector.name, f"float32 [batch, {vector.width}]", "zeros at the beginning of a text"
    yield (
        "out",
        LOGITS,
        f"float32 [batch, {bundle.architecture.vocabulary_size}]",
        "softmax of it: odds of what is next",
    )
    for vector in vectors:
        yield "out", vector.next_name, f"float32 [batch, {vector.width}]", f"goes in as {vector.name} at the next step"
