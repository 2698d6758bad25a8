"""An exported step, loaded by its own runtime, gives the logits and the state that NumPy gives."""

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
"""By the names of description()."""

CELLS = ("lstm", "gru", "rnn")
FREE, TIED, PROJECTED = (
    (16, False),
    (16, True),
    (12, True),
)  # width of the word vectors, and whether they are the output
SHAPES = [
    ((16,), FREE),
    ((16, 16), TIED),
    ((16, 16, 16), PROJECTED),
    ((16, 20), (20, True)),  # as wide as the last layer
    ((16, 20, 12), (20, True)),
    ((16, 20, 12), (16, False)),
]
CASES = [(cell, *shape) for cell in CELLS for shape in SHAPES]


def made(cell: Cell, widths: tuple[int, ...], output: tuple[int, bool]) -> Bundle:
    """With weights, biases among them, that let no error hide."""
    embedding, tied = output
    architecture = Architecture(
        vocabulary_size=len(VOCABULARY), embedding=embedding, layers=len(widths), units=widths, cell=cell, tied=tied
    )
    dice = np.random.default_rng(11)
    weights = {
        name: dice.normal(scale=0.4, size=shape).astype(np.float32)
        for name, shape in architecture.weight_shapes().items()
    }
    text = TextConfig(corpus="tale", tokenizer="english", passage="line", line_breaks="joined", starts=True)
    return Bundle(architecture, text, VOCABULARY, weights)


def in_keras(path: Path) -> Step:
    import wordgen.network  # noqa: F401, I001 - first, for it keeps TensorFlow's start-up notes off the screen
    import keras

    model: Any = keras.saving.load_model(path)

    def step(inputs: Arrays) -> Arrays:
        outputs = model({name: keras.ops.convert_to_tensor(array) for name, array in inputs.items()})
        return {name: np.asarray(array) for name, array in outputs.items()}

    return step


def in_onnx_runtime(path: Path) -> Step:
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(None, dict(inputs)), strict=True))  # pyright: ignore[reportReturnType, reportArgumentType]


RUNTIMES: dict[Format, Callable[[Path], Step]] = {"keras": in_keras, "onnx": in_onnx_runtime}


@pytest.mark.parametrize("format", ["onnx", "keras"])
@pytest.mark.parametrize(("cell", "widths", "output"), CASES)
def test_logits_and_state_agree(
    format: Format, cell: Cell, widths: tuple[int, ...], output: tuple[int, bool], tmp_path: Path
):
    bundle = made(cell, widths, output)
    export(bundle, format, tmp_path / f"step.{format}")
    step = RUNTIMES[format](tmp_path / f"step.{format}")
    for texts in (1, 3):
        check(step, bundle, texts)


def check(step: Step, bundle: Bundle, texts: int) -> None:
    told, network = description(bundle), NumpyNetwork(bundle.architecture, bundle.weights)
    (ids_name, *state_names), (logits_name, *next_names) = told["inputs"], told["outputs"]
    state = network.zero_state(texts)
    theirs = dict(zip(state_names, (vector for layer in state for vector in layer), strict=True))
    for ids in np.random.default_rng(5).integers(len(VOCABULARY), size=(LENGTH, texts)):
        state = network.feed(ids, state)
        out = step({ids_name: ids, **theirs})
        assert set(out) == {logits_name, *next_names}
        np.testing.assert_allclose(out[logits_name], network.logits(state[-1][0]), atol=1e-4, rtol=0)
        behind = [out[name] for name in next_names]
        for one, other in zip(behind, (vector for layer in state for vector in layer), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4, rtol=0)
        theirs = dict(zip(state_names, behind, strict=True))


def test_both_files_say_the_same_of_themselves(tmp_path: Path):
    import onnxruntime

    bundle = made("gru", (16, 20), PROJECTED)
    for format in RUNTIMES:
        export(bundle, format, tmp_path / f"step.{format}")
    session = onnxruntime.InferenceSession(tmp_path / "step.onnx")
    of_onnx = json.loads(session.get_modelmeta().custom_metadata_map["wordgen"])
    of_keras = json.loads(zipfile.ZipFile(tmp_path / "step.keras").read("metadata.json"))["wordgen"]
    assert of_onnx == of_keras == json.loads(json.dumps(description(bundle)))
    assert of_onnx["vocabulary"] == list(VOCABULARY.tokens)
    assert [each.name for each in session.get_inputs()] == of_onnx["inputs"]
    assert [each.name for each in session.get_outputs()] == of_onnx["outputs"]


def test_half_a_surrogate_in_the_vocabulary_reaches_both_files(tmp_path: Path):
    """What a broken text left of a letter beyond the first plane has no UTF-8, which ONNX's metadata is made of."""
    import onnxruntime

    bundle = made("rnn", (16,), TIED)
    tokens = [*bundle.vocabulary.to_json()[:-2], ["\ud83d", 2], ["half\udc81", 1]]
    text = replace(bundle.text, corpus="half\ud800")
    broken = replace(bundle, vocabulary=Vocabulary((token, count) for token, count in tokens), text=text)
    for format in RUNTIMES:
        export(broken, format, tmp_path / f"step.{format}")
    session = onnxruntime.InferenceSession(tmp_path / "step.onnx")
    of_onnx = json.loads(session.get_modelmeta().custom_metadata_map["wordgen"])
    of_keras = json.loads(zipfile.ZipFile(tmp_path / "step.keras").read("metadata.json"))["wordgen"]
    for told in (of_onnx, of_keras):
        assert told["vocabulary"] == list(broken.vocabulary.tokens)
        assert told["text"]["corpus"] == "half\ud800"


def test_a_tied_model_holds_its_word_vectors_once(tmp_path: Path):
    """Its file is as large as its weights, which with a copy of them it could not be."""
    vocabulary = Vocabulary.from_counts({f"word{number}": 1 for number in range(20_000)}, 20_003, 1)
    small = made("rnn", (16,), TIED)
    architecture = Architecture(
        vocabulary_size=len(vocabulary), embedding=16, layers=1, units=16, cell="rnn", tied=True
    )
    weights = {name: np.ones(shape, np.float32) for name, shape in architecture.weight_shapes().items()}
    bundle = Bundle(architecture, small.text, vocabulary, weights)
    tokens = len(json.dumps(description(bundle), ensure_ascii=False).encode())
    for format in RUNTIMES:
        export(bundle, format, tmp_path / f"step.{format}")
        assert (tmp_path / f"step.{format}").stat().st_size < 4 * architecture.parameters + tokens + 50_000


@pytest.mark.parametrize("output", [FREE, TIED, PROJECTED])
def test_a_keras_file_is_made_of_what_keras_itself_has(output: tuple[int, bool], tmp_path: Path):
    export(made("lstm", (16, 20), output), "keras", tmp_path / "step.keras")
    config = json.loads(zipfile.ZipFile(tmp_path / "step.keras").read("config.json"))
    classes = list(classes_in(config))
    assert len(classes) > 8
    assert {module.partition(".")[0] for module, _ in classes} == {"keras"}
    assert {name for _, name in classes if "Lambda" in name} == set()


def classes_in(config: Any) -> Iterator[tuple[str, str]]:
    """Module and name of every class that a file has Keras make."""
    if isinstance(config, dict):
        if "class_name" in config and config.get("module") != "builtins":
            yield str(config.get("module") or config.get("registered_name") or "keras"), config["class_name"]
        for each in config.values():
            yield from classes_in(each)
    if isinstance(config, list):
        for each in config:
            yield from classes_in(each)
