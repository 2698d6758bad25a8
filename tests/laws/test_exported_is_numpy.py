"""An exported model, run by Keras or ONNX Runtime, gives the same logits and states as NumPy."""

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wordgen.dataset.dataset import TextConfig
from wordgen.exporting import Format, description, export
from wordgen.generation.prediction import NumpyNetwork
from wordgen.model.architecture import Architecture, Cell
from wordgen.model.bundle import Bundle
from wordgen.text.vocabulary import Vocabulary

LENGTH = 12
VOCABULARY = Vocabulary.from_counts({f"word{number}": 60 - number for number in range(30)}, 100, 1)

Arrays = Mapping[str, NDArray[Any]]
Step = Callable[[Arrays], Arrays]
"""From inputs to outputs, by the names in description()."""

CELLS = ("lstm", "gru", "rnn")
FREE, TIED, PROJECTED = (
    (16, False),
    (16, True),
    (12, True),
)  # width of the word vectors, and whether they are also the output weights
SHAPES = [
    ((16,), FREE),
    ((16, 16), TIED),
    ((16, 16, 16), PROJECTED),
    ((16, 20), (20, True)),  # as wide as the last layer
    ((16, 20, 12), (20, True)),
    ((16, 20, 12), (16, False)),
]
CASES = [(cell, *shape) for cell in CELLS for shape in SHAPES]


def make_bundle(cell: Cell, widths: tuple[int, ...], output: tuple[int, bool]) -> Bundle:
    """Make a bundle with random weights. The biases are random, too, because biases of zero would hide errors."""
    embedding, tied = output
    architecture = Architecture(
        vocabulary_size=len(VOCABULARY), embedding=embedding, layers=len(widths), units=widths, cell=cell, tied=tied
    )
    rng = np.random.default_rng(11)
    weights = {
        name: rng.normal(scale=0.4, size=shape).astype(np.float32)
        for name, shape in architecture.weight_shapes().items()
    }
    text = TextConfig(corpus="tale", tokenizer="english", passage="line", line_breaks="joined", starts=True)
    return Bundle(architecture, text, VOCABULARY, weights)


def load_in_keras(path: Path) -> Step:
    import wordgen.network  # noqa: F401, I001 - first, because it hides TensorFlow's start-up messages
    import keras

    model: Any = keras.saving.load_model(path)

    def step(inputs: Arrays) -> Arrays:
        outputs = model({name: keras.ops.convert_to_tensor(array) for name, array in inputs.items()})
        return {name: np.asarray(array) for name, array in outputs.items()}

    return step


def load_in_onnx_runtime(path: Path) -> Step:
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(None, dict(inputs)), strict=True))  # pyright: ignore[reportReturnType, reportArgumentType]


RUNTIMES: dict[Format, Callable[[Path], Step]] = {"keras": load_in_keras, "onnx": load_in_onnx_runtime}


@pytest.mark.parametrize("format", ["onnx", "keras"])
@pytest.mark.parametrize(("cell", "widths", "output"), CASES)
def test_logits_and_states_equal_numpy(
    format: Format, cell: Cell, widths: tuple[int, ...], output: tuple[int, bool], tmp_path: Path
):
    bundle = make_bundle(cell, widths, output)
    export(bundle, format, tmp_path / f"step.{format}")
    step = RUNTIMES[format](tmp_path / f"step.{format}")
    for batch_size in (1, 3):
        check_step(step, bundle, batch_size)


def check_step(step: Step, bundle: Bundle, batch_size: int) -> None:
    described, network = description(bundle), NumpyNetwork(bundle.architecture, bundle.weights)
    (ids_name, *state_names), (logits_name, *next_names) = described["inputs"], described["outputs"]
    state = network.zero_state(batch_size)
    exported_state = dict(zip(state_names, (vector for layer in state for vector in layer), strict=True))
    for ids in np.random.default_rng(5).integers(len(VOCABULARY), size=(LENGTH, batch_size)):
        state = network.feed(ids, state)
        outputs = step({ids_name: ids, **exported_state})
        assert set(outputs) == {logits_name, *next_names}
        np.testing.assert_allclose(outputs[logits_name], network.logits(state[-1][0]), atol=1e-4, rtol=0)
        next_states = [outputs[name] for name in next_names]
        for actual, expected in zip(next_states, (vector for layer in state for vector in layer), strict=True):
            np.testing.assert_allclose(actual, expected, atol=1e-4, rtol=0)
        exported_state = dict(zip(state_names, next_states, strict=True))


def test_both_formats_have_the_same_description(tmp_path: Path):
    """Also with lone surrogates from a damaged text: they have no UTF-8, but the metadata of ONNX is UTF-8."""
    import onnxruntime

    made = make_bundle("gru", (16, 20), PROJECTED)
    tokens = [*made.vocabulary.to_json()[:-2], ["\ud83d", 2], ["half\udc81", 1]]
    text = replace(made.text, corpus="half\ud800")
    bundle = replace(made, vocabulary=Vocabulary((token, count) for token, count in tokens), text=text)
    for format in RUNTIMES:
        export(bundle, format, tmp_path / f"step.{format}")
    session = onnxruntime.InferenceSession(tmp_path / "step.onnx")
    onnx_description = json.loads(session.get_modelmeta().custom_metadata_map["wordgen"])
    keras_description = json.loads(zipfile.ZipFile(tmp_path / "step.keras").read("metadata.json"))["wordgen"]
    assert onnx_description == keras_description == json.loads(json.dumps(description(bundle)))
    assert onnx_description["vocabulary"] == list(bundle.vocabulary.tokens)
    assert onnx_description["text"]["corpus"] == "half\ud800"
    assert [each.name for each in session.get_inputs()] == onnx_description["inputs"]
    assert [each.name for each in session.get_outputs()] == onnx_description["outputs"]


def test_file_has_tied_weights_only_once(tmp_path: Path):
    vocabulary = Vocabulary.from_counts({f"word{number}": 1 for number in range(20_000)}, 20_003, 1)
    small = make_bundle("rnn", (16,), TIED)
    architecture = Architecture(
        vocabulary_size=len(vocabulary), embedding=16, layers=1, units=16, cell="rnn", tied=True
    )
    weights = {name: np.ones(shape, np.float32) for name, shape in architecture.weight_shapes().items()}
    bundle = Bundle(architecture, small.text, vocabulary, weights)
    description_bytes = len(json.dumps(description(bundle), ensure_ascii=False).encode())
    for format in RUNTIMES:
        export(bundle, format, tmp_path / f"step.{format}")
        assert (tmp_path / f"step.{format}").stat().st_size < 4 * architecture.parameters + description_bytes + 50_000


@pytest.mark.parametrize("output", [FREE, TIED, PROJECTED])
def test_keras_file_needs_only_classes_of_keras(output: tuple[int, bool], tmp_path: Path):
    export(make_bundle("lstm", (16, 20), output), "keras", tmp_path / "step.keras")
    config = json.loads(zipfile.ZipFile(tmp_path / "step.keras").read("config.json"))
    classes = list(classes_in(config))
    assert len(classes) > 8
    assert {module.partition(".")[0] for module, _ in classes} == {"keras"}
    assert {name for _, name in classes if "Lambda" in name} == set()


def classes_in(config: Any) -> Iterator[tuple[str, str]]:
    """Yield module and name of every class in a Keras config."""
    if isinstance(config, dict):
        if "class_name" in config and config.get("module") != "builtins":
            yield str(config.get("module") or config.get("registered_name") or "keras"), config["class_name"]
        for each in config.values():
            yield from classes_in(each)
    if isinstance(config, list):
        for each in config:
            yield from classes_in(each)
