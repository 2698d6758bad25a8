"""Export a trained model: as one file for Keras or an ONNX runtime, or as a base with 8-bit weights."""

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from wordgen.dataset.dataset import UnknownWords
from wordgen.errors import MissingPartError, SettingError, replace_controls
from wordgen.files import as_storage_error, atomic_file, atomic_folder, write_atomically
from wordgen.model.architecture import Architecture, Cell, shown_layers
from wordgen.model.base import DESCRIPTION_FILE
from wordgen.model.bundle import BUNDLE_FILES, Bundle, Floats, fingerprint, is_bundle, load_bundle, save_bundle
from wordgen.text.vocabulary import END, START, UNKNOWN

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto

Format = Literal["keras", "onnx", "base"]


def export(bundle: Bundle, format: Format, path: Path, *, overwrite: bool = False) -> None:
    """Write a model for Keras or an ONNX runtime, or as a base.

    The path is checked first, so that an invalid one is rejected before anything is computed.
    """
    check_output_path(format, path, overwrite=overwrite)
    if format == "base":
        _write_base(bundle, path)
        return
    with atomic_file(path, overwrite=overwrite) as partial:
        if format == "keras":
            _write_keras(bundle, partial)
        else:
            partial.write_bytes(onnx_model(bundle).SerializeToString())


def check_output_path(format: Format, path: Path, *, overwrite: bool) -> None:
    """Raise SettingError or StorageError if the model cannot be written to this path."""
    with as_storage_error(path):
        taken = _base_exists(path) if format == "base" else _file_exists(path, f".{format}")
    if taken and not overwrite:
        raise SettingError(f"{path} already exists: give another --output, or use --overwrite to replace it.")


def _base_exists(path: Path) -> bool:
    """Return whether the folder has a model. Raise SettingError if it has files that a new base would delete."""
    if path.exists() and not path.is_dir():
        raise SettingError(f"{path} is a file: give --output the name of a folder.")
    files = {each.name for each in path.iterdir()} if path.is_dir() else set[str]()
    if others := files.difference(BUNDLE_FILES, (DESCRIPTION_FILE, CARD_FILE), _FILES_OF_SYSTEMS):
        raise SettingError(
            f"{path} contains other files, for example {min(others)}: move them away, or give another --output."
        )
    return is_bundle(path)


def _file_exists(path: Path, suffix: str) -> bool:
    """Return whether the file exists. Raise SettingError if it cannot be a file with this suffix."""
    if path.suffix != suffix:
        raise SettingError(
            f"--output must end in {suffix}, not '{path.name[-100:]}': other programs recognise the format by it."
        )
    if path.is_dir():
        raise SettingError(f"{path} is a folder: give --output the name of a file.")
    if not path.parent.is_dir():
        raise SettingError(f"There is no folder {path.parent}: create it first, or give another --output.")
    return path.exists()


CARD_FILE = "README.md"
_FILES_OF_SYSTEMS = (".DS_Store", "desktop.ini", "Thumbs.db")
"""Files that operating systems put into folders."""
_CARD_TEMPLATE = """# {name}

A trained model from which new runs begin: `python train.py --corpus my-book.txt --init-from {name}`.

| | |
|---|---|
| network | {network}, word vectors of {embedding}, {parameters:,} parameters |
| vocabulary | {tokens:,} tokens, tokenizer {tokenizer} |
| trained on | {corpus} |
| weights | 8-bit integers with one scale per row, fingerprint {fingerprint} |

## Training data

(sources, years and licences of the texts; the command that trained it, its date and commit; curve and figures)

## What it is good and bad at

(perplexity on its own test set and on other texts, before and after a run begins from it; the style of its texts)

## What 8 bits cost

(`wordgen evaluate` of the run and of this folder, on the same text)

## Licence

(of these weights)
"""


def _write_base(bundle: Bundle, folder: Path) -> None:
    """Write a model as a base.

    If a base is replaced, its two descriptions (base.toml and README.md) are kept, because people may have edited them.
    The words that the model would write instead of UNKNOWN are left out, because they take more space than the network.
    """
    read = f"the corpus {replace_controls(bundle.text.corpus)}"
    with atomic_folder(folder, overwrite=True) as partial:
        save_bundle(replace(bundle, unknown_words=UnknownWords()), partial, eight_bits=True)
        written = {
            DESCRIPTION_FILE: f"read = {json.dumps(read, ensure_ascii=False)}\n",
            CARD_FILE: _card(load_bundle(partial), folder.resolve().name),
        }
        for name, text in written.items():
            before = folder / name
            write_atomically(partial / name, before.read_bytes() if before.exists() else text.encode())


def _card(bundle: Bundle, name: str) -> str:
    shape = bundle.architecture
    return _CARD_TEMPLATE.format(
        name=name,
        network=shown_layers(shape),
        embedding=shape.embedding,
        parameters=shape.parameters,
        tokens=len(bundle.vocabulary),
        tokenizer=bundle.text.tokenizer,
        corpus=bundle.text.corpus,
        fingerprint=fingerprint(bundle),
    )


IDS, LOGITS = "ids", "logits"
_STATES = ("hidden", "cell")
"""The states of a layer. Only LSTM layers have the second one."""


def state_widths(architecture: Architecture) -> dict[str, int]:
    """Return the width of each state by its name, in the order of the layers.

    A graph takes each state as an input, and returns its next value as an output whose name begins with `next_`.
    """
    return {
        f"layer_{layer}_{state}": width
        for layer, width in enumerate(architecture.widths, start=1)
        for state in _STATES[: architecture.states]
    }


class Description(TypedDict):
    """What an exported file says of itself: how text becomes ids, and the inputs and outputs of its graph."""

    inputs: list[str]
    outputs: list[str]
    text: dict[str, object]
    architecture: dict[str, object]
    unknown: int
    start: int
    end: int
    vocabulary: list[str]


def description(bundle: Bundle) -> Description:
    states = state_widths(bundle.architecture)
    return {
        "inputs": [IDS, *states],
        "outputs": [LOGITS, *(f"next_{name}" for name in states)],
        "text": bundle.text.to_mapping(),
        "architecture": bundle.architecture.to_mapping(),
        "unknown": UNKNOWN,
        "start": START,
        "end": END,
        "vocabulary": list(bundle.vocabulary.tokens),
    }


def _write_keras(bundle: Bundle, path: Path) -> None:
    import wordgen.network  # noqa: F401 - first, because it hides TensorFlow's start-up messages
    from wordgen.network.network import exported_model

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.") as folder:
        plain_file = Path(folder) / "plain.keras"
        exported_model(bundle.architecture, bundle.weights, state_widths(bundle.architecture)).save(plain_file)
        with zipfile.ZipFile(plain_file) as saved, zipfile.ZipFile(path, "w") as exported:
            for part in saved.infolist():
                with saved.open(part) as content, exported.open(part.filename, "w", force_zip64=True) as copy:
                    if part.filename == "metadata.json":  # says what wrote the file; Keras does not read it
                        metadata = {**json.load(content), "wordgen": description(bundle)}
                        copy.write(json.dumps(metadata).encode())
                    else:
                        shutil.copyfileobj(content, copy)


_OPERATOR_SET_VERSION = 17
"""The version of the ONNX operator set. It is from 2022, so runtimes released since then support it."""
_FORMAT_VERSION = 8
"""The version of the ONNX file format that belongs to this operator set."""
_BATCH_AXIS = "batch"
_MAX_ONNX_BYTES = 2**31 - 2**20
"""The largest size of the weights in bytes. An ONNX file holds 2 GiB; this leaves room for the graph and the
vocabulary."""
_ONNX_GATE_ORDER: dict[Cell, tuple[int, ...]] = {"lstm": (0, 3, 1, 2), "gru": (0, 1, 2), "rnn": (0,)}
"""The order of ONNX's gates, as indices into wordgen's gates. For example, ONNX's LSTM has input, output, forget,
candidate."""


def onnx_model(bundle: Bundle) -> "ModelProto":
    """Return the model as an ONNX graph, validated by ONNX's own checker.

    Raises MissingPartError if the onnx package is missing, and SettingError if the model is too large for the format.
    """
    try:
        import onnx
        from onnx import helper, numpy_helper
    except ImportError as error:
        raise MissingPartError(
            'An ONNX file needs two more packages: pip install "wordgen[onnx]" (in a checkout: '
            "pip install -r requirements-onnx.txt)."
        ) from error
    size = 4 * bundle.architecture.parameters
    if size > _MAX_ONNX_BYTES:
        raise SettingError(
            f"An ONNX file can have 2 GiB at most, but this model needs {size / 2**30:,.1f} GiB: use --to keras, "
            "which has no limit."
        )
    graph = helper.make_graph(
        list(_nodes(bundle.architecture)),
        "step",
        *_inputs_and_outputs(bundle.architecture),
        initializer=[numpy_helper.from_array(np.ascontiguousarray(each), name) for name, each in _arrays(bundle)],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPERATOR_SET_VERSION)],
        ir_version=_FORMAT_VERSION,
        producer_name="wordgen",
    )
    helper.set_model_props(model, {"wordgen": json.dumps(description(bundle))})
    onnx.checker.check_model(model, full_check=True)
    return model


def _inputs_and_outputs(architecture: Architecture) -> "tuple[list[ValueInfoProto], list[ValueInfoProto]]":
    from onnx import TensorProto, helper

    def floats(name: str, width: int) -> "ValueInfoProto":
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [_BATCH_AXIS, width])

    states = state_widths(architecture)
    ids = helper.make_tensor_value_info(IDS, TensorProto.INT64, [_BATCH_AXIS])
    logits = floats(LOGITS, architecture.vocabulary_size)
    before = [floats(name, width) for name, width in states.items()]
    after = [floats(f"next_{name}", width) for name, width in states.items()]
    return [ids, *before], [logits, *after]


def _nodes(architecture: Architecture) -> "Iterator[NodeProto]":
    from onnx import helper

    yield helper.make_node("Gather", ["embedding", IDS], ["words"], name="embedding")
    # A layer takes a sequence, in this graph of one token. A time axis is added before the batch axis, then removed.
    yield helper.make_node("Unsqueeze", ["words", "first_axis"], ["sequence_1"])
    for layer in range(1, architecture.layers + 1):
        yield from _layer(architecture, layer)
    hidden = f"next_layer_{architecture.layers}_hidden"
    if architecture.projected:
        yield helper.make_node("MatMul", [hidden, "projection"], ["projected"], name="projection")
        hidden = "projected"
    output = "embedding" if architecture.tied else "output"
    inputs = [hidden, output, "output_bias"]
    yield helper.make_node("Gemm", inputs, [LOGITS], name="output", transB=1 if architecture.tied else 0)


def _layer(architecture: Architecture, layer: int) -> "Iterator[NodeProto]":
    from onnx import helper

    name = f"layer_{layer}"
    states = _STATES[: architecture.states]
    for state in states:
        yield helper.make_node("Unsqueeze", [f"{name}_{state}", "first_axis"], [f"{name}_{state}_in"])
    weights = [f"{name}_kernel", f"{name}_recurrent_kernel", f"{name}_bias"]
    every_token, every_length = "", ""  # optional, and left out because only the last state is needed
    outputs = [f"sequence_{layer + 1}", *(f"{name}_{state}_out" for state in states[1:])]
    # The GRU of Keras applies the reset gate after the recurrent product.
    gru_attributes: dict[str, Any] = {"linear_before_reset": 1} if architecture.cell == "gru" else {}
    yield helper.make_node(
        architecture.cell.upper(),
        [f"sequence_{layer}", *weights, every_length, *(f"{name}_{state}_in" for state in states)],
        [every_token, *outputs],
        name=name,
        hidden_size=architecture.widths[layer - 1],
        **gru_attributes,
    )
    for state, value in zip(states, outputs, strict=True):
        yield helper.make_node("Squeeze", [value, "first_axis"], [f"next_{name}_{state}"])


def _arrays(bundle: Bundle) -> Iterator[tuple[str, NDArray[np.generic]]]:
    weights, architecture = bundle.weights, bundle.architecture
    yield "first_axis", np.zeros(1, np.int64)
    yield "embedding", weights["embedding"]
    for layer in range(1, architecture.layers + 1):
        for name in ("kernel", "recurrent_kernel"):
            yield f"layer_{layer}_{name}", _onnx_gate_rows(weights[f"layer_{layer}/{name}"], architecture.cell)[None]
        yield f"layer_{layer}_bias", _both_biases(weights[f"layer_{layer}/bias"], architecture.cell)[None]
    if architecture.projected:
        yield "projection", weights["projection/kernel"]
    if not architecture.tied:
        yield "output", weights["output/kernel"].T
    yield "output_bias", weights["output/bias"]


def _onnx_gate_rows(columns: Floats, cell: Cell) -> Floats:
    """Return one row for each unit of each gate, in ONNX's order. In wordgen the gates are columns."""
    gates = np.split(columns, len(_ONNX_GATE_ORDER[cell]), axis=-1)
    return np.concatenate([gates[index] for index in _ONNX_GATE_ORDER[cell]], axis=-1).T


def _both_biases(bias: Floats, cell: Cell) -> Floats:
    """Return the bias of the input, then that of the recurrent product, which is zero except for a GRU."""
    input_bias, recurrent_bias = bias if cell == "gru" else (bias, np.zeros_like(bias))
    return np.concatenate([_onnx_gate_rows(input_bias, cell), _onnx_gate_rows(recurrent_bias, cell)])
