"""The step as an ONNX graph, written node by node from a bundle's weights, without TensorFlow and without a converter.

Each layer is ONNX's own LSTM, GRU or RNN over a sequence of one symbol.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wordgen.architecture import Architecture, Cell
from wordgen.bundle import Bundle
from wordgen.errors import MissingPartError, SettingError
from wordgen.exporting.interface import IDS, LOGITS, carry_vectors, description

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

_OPERATORS = 17
"""The operator set: of 2022, so that runtimes of all these years know it."""
_FORMAT = 8
"""The version of the file format that goes with it."""
_BATCH = "batch"
_MOST_BYTES = 2**31 - 2**20
"""What a file of this format can hold, with room for the graph and the vocabulary."""
_GATES: dict[Cell, tuple[int, ...]] = {"lstm": (0, 3, 1, 2), "gru": (0, 1, 2), "rnn": (0,)}
"""Which of our gates is ONNX's first, second, ...: its LSTM has input, output, forget, candidate."""

Floats = NDArray[np.float32]


def onnx_model(bundle: Bundle) -> "ModelProto":
    """Checked by ONNX's own checker."""
    try:
        import onnx
        from onnx import helper
    except ImportError as error:
        raise MissingPartError(
            'An ONNX file needs two more packages: pip install "wordgen[onnx]" (in a checkout: '
            "pip install -r requirements-onnx.txt)."
        ) from error
    size = 4 * bundle.architecture.parameters
    if size > _MOST_BYTES:
        raise SettingError(
            f"An ONNX file holds 2 GiB, and this model has {size / 2**30:,.1f}: take --to keras, which holds any size."
        )
    graph = helper.make_graph(
        list(_nodes(bundle.architecture)),
        "step",
        *_inputs_and_outputs(bundle.architecture),
        initializer=list(_initializers(bundle)),
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPERATORS)], ir_version=_FORMAT, producer_name="wordgen"
    )
    helper.set_model_props(model, {"wordgen": json.dumps(description(bundle))})
    onnx.checker.check_model(model, full_check=True)
    return model


def _inputs_and_outputs(architecture: Architecture) -> tuple[list[Any], list[Any]]:
    from onnx import TensorProto, helper

    def floats(name: str, width: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [_BATCH, width])

    vectors = carry_vectors(architecture)
    ids = helper.make_tensor_value_info(IDS, TensorProto.INT64, [_BATCH])
    logits = floats(LOGITS, architecture.vocabulary_size)
    before = [floats(vector.name, vector.width) for vector in vectors]
    behind = [floats(vector.next_name, vector.width) for vector in vectors]
    return [ids, *before], [logits, *behind]


def _nodes(architecture: Architecture) -> "Iterator[NodeProto]":
    from onnx import helper

    yield helper.make_node("Gather", ["embedding", IDS], ["words"], name="embedding")
    # A layer takes a sequence, here of one symbol: its first axis is put before the batch, and taken away behind.
    yield helper.make_node("Unsqueeze", ["words", "first_axis"], ["sequence_1"])
    for layer in range(1, architecture.layers + 1):
        yield from _layer(architecture, layer)
    hidden = f"next_layer_{architecture.layers}_hidden"
    if architecture.projected:
        yield helper.make_node("MatMul", [hidden, "projection"], ["projected"], name="projection")
        hidden = "projected"
    output = "embedding" if architecture.tied else "output"
    products = [hidden, output, "output_bias"]
    yield helper.make_node("Gemm", products, [LOGITS], name="output", transB=1 if architecture.tied else 0)


def _layer(architecture: Architecture, layer: int) -> "Iterator[NodeProto]":
    from onnx import helper

    name = f"layer_{layer}"
    states = ["hidden", "cell"][: architecture.states]
    for state in states:
        yield helper.make_node("Unsqueeze", [f"{name}_{state}", "first_axis"], [f"{name}_{state}_in"])
    weights = [f"{name}_kernel", f"{name}_recurrent_kernel", f"{name}_bias"]
    every_symbol, every_length = "", ""  # optional, and left out: the last state is all there is
    behind = [f"sequence_{layer + 1}", *(f"{name}_{state}_out" for state in states[1:])]
    # Keras's GRU lets the reset gate act behind the recurrent product.
    more: dict[str, Any] = {"linear_before_reset": 1} if architecture.cell == "gru" else {}
    yield helper.make_node(
        architecture.cell.upper(),
        [f"sequence_{layer}", *weights, every_length, *(f"{name}_{state}_in" for state in states)],
        [every_symbol, *behind],
        name=name,
        hidden_size=architecture.widths[layer - 1],
        **more,
    )
    for state, value in zip(states, behind, strict=True):
        yield helper.make_node("Squeeze", [value, "first_axis"], [f"next_{name}_{state}"])


def _initializers(bundle: Bundle) -> "Iterator[TensorProto]":
    from onnx import numpy_helper

    for name, array in _arrays(bundle):
        yield numpy_helper.from_array(np.ascontiguousarray(array), name)


def _arrays(bundle: Bundle) -> Iterator[tuple[str, NDArray[Any]]]:
    weights, architecture = bundle.weights, bundle.architecture
    yield "first_axis", np.zeros(1, np.int64)
    yield "embedding", weights["embedding"]
    for layer in range(1, architecture.layers + 1):
        for name in ("kernel", "recurrent_kernel"):
            yield f"layer_{layer}_{name}", _rows_of_gates(weights[f"layer_{layer}/{name}"], architecture.cell)[None]
        yield f"layer_{layer}_bias", _both_biases(weights[f"layer_{layer}/bias"], architecture.cell)[None]
    if architecture.projected:
        yield "projection", weights["projection/kernel"]
    if not architecture.tied:
        yield "output", weights["output/kernel"].T
    yield "output_bias", weights["output/bias"]


def _rows_of_gates(columns: Floats, cell: Cell) -> Floats:
    """One row for each unit of each gate, in ONNX's order; ours are columns."""
    gates = np.split(columns, len(_GATES[cell]), axis=-1)
    return np.concatenate([gates[place] for place in _GATES[cell]], axis=-1).T


def _both_biases(bias: Floats, cell: Cell) -> Floats:
    """That of the input, then that of the recurrent product, which in our GRU alone is not nought."""
    of_input, of_state = bias if cell == "gru" else (bias, np.zeros_like(bias))
    return np.concatenate([_rows_of_gates(of_input, cell), _rows_of_gates(of_state, cell)])
