"""`wordgen export`: write a trained model into one file for Keras or an ONNX runtime, and show its inputs and outputs.

It can also write a base: a folder with 8-bit weights.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from wordgen.cli.flags import MODEL_HELP, Parser, add_switch, verb_parser
from wordgen.cli.output import facts, paragraph, print_message, print_output, render
from wordgen.files import shown_size
from wordgen.model.architecture import shown_layers

if TYPE_CHECKING:
    from rich.console import RenderableType

    from wordgen.exporting import Format
    from wordgen.model.bundle import Bundle

_IDS = {"keras": "int32", "onnx": "int64"}
_LOADED = {"keras": "keras.saving.load_model({path})", "onnx": "onnxruntime.InferenceSession({path})"}


def export_parser(prog: str) -> Parser:
    parser = verb_parser(
        prog,
        _run,
        "Write a trained model to one file that other programs can use without wordgen. The file computes one step: "
        "from one token of each text and the state of the layers to the logits of the next token and the new state. "
        "With --to base, write a folder with 8-bit weights instead. It is a quarter as large, and wordgen can use it "
        "like any other model.",
        "my-book --to onnx",
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help=MODEL_HELP)
    help = "the format of the file, or base, which is a folder (required)"
    parser.add_argument("--to", required=True, choices=("keras", "onnx", "base"), help=help)
    help = "the file or folder to write; by default the name of the model, in this folder"
    parser.add_argument("--output", metavar="PATH", help=help)
    add_switch(parser, "--overwrite", "replace an existing file or base; the model card and base.toml of a base stay")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    from wordgen.exporting import check_output_path, export
    from wordgen.model.bundle import load_bundle
    from wordgen.run.folder import find_model

    folder = find_model(arguments.model)
    path = Path(f"{folder.resolve().name}.{arguments.to}" if arguments.output is None else arguments.output)
    check_output_path(arguments.to, path, overwrite=arguments.overwrite)
    bundle = load_bundle(folder)
    if arguments.to == "keras":
        print_message("Starting Keras. This takes some seconds ...")
    export(bundle, arguments.to, path, overwrite=arguments.overwrite)
    print_output(render(_about_base(path) if arguments.to == "base" else _about_file(bundle, arguments.to, path)))


def _about_base(path: Path) -> "Iterator[RenderableType]":
    from wordgen.exporting import CARD_FILE

    size = shown_size(sum(each.stat().st_size for each in path.iterdir()))
    yield paragraph(f"Wrote {path}, {size}: a model with 8-bit weights", "bold")
    yield paragraph(f"Describe it in {path / CARD_FILE}.")
    uses = f"--model {path} writes text with it, --init-from {path} begins a run from it"
    yield paragraph(f"Use it like any model: {uses}.")


def _about_file(bundle: "Bundle", format: "Format", path: Path) -> "Iterator[RenderableType]":
    size = shown_size(path.stat().st_size)
    yield paragraph(f"Wrote {path}, {size}: one step of {shown_layers(bundle.architecture)}", "bold")
    yield facts(_interface(bundle, format))
    yield paragraph("The file also contains the vocabulary and says how text is cut into tokens.")
    yield f"Load it:  {_LOADED[format].format(path=json.dumps(str(path), ensure_ascii=False))}"
    yield "Complete programs that write text with it:  docs/exporting.md"


def _interface(bundle: "Bundle", format: "Format") -> Iterator[tuple[str, str, str, str]]:
    """Yield a row for each input and output array: "in" or "out", its name, its type and shape, its meaning."""
    from wordgen.exporting import IDS, LOGITS, state_widths

    states = state_widths(bundle.architecture)
    yield "in", IDS, f"{_IDS[format]} [batch]", "the id of the last token of each text"
    for name, width in states.items():
        yield "in", name, f"float32 [batch, {width}]", "zeros at the beginning of a text"
    shape = f"float32 [batch, {bundle.architecture.vocabulary_size}]"
    yield "out", LOGITS, shape, "logits of the next token; softmax turns them into probabilities"
    for name, width in states.items():
        yield "out", f"next_{name}", f"float32 [batch, {width}]", f"the input {name} of the next step"
