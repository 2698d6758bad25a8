"""`wordgen export`: the files, the output, the errors, and the programs of docs/exporting.md without wordgen."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from tests.helpers.bundles import make_bundle
from tests.helpers.commands import ROOT, command_environment
from wordgen.cli.main import main
from wordgen.errors import SettingError
from wordgen.exporting import CARD_FILE, Format, description, export, onnx_model
from wordgen.model.architecture import Architecture
from wordgen.model.base import DESCRIPTION_FILE, Base
from wordgen.model.bundle import CONFIG, VOCABULARY, WEIGHTS, Bundle, save_bundle
from wordgen.run.names import SAVED_MODELS

GUIDE = (ROOT / "docs" / "exporting.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture(autouse=True)
def folder(in_empty_folder: Path) -> Path:
    save_bundle(make_bundle(), SAVED_MODELS / "small")
    return in_empty_folder


def stdout_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["export", *arguments]) == 0
    return capsys.readouterr().out


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["export", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("Error: ")
    assert output.err.count("\n") == 1
    return output.err


def test_output_lists_inputs_and_outputs_of_onnx_file(capsys: pytest.CaptureFixture[str], folder: Path):
    output = stdout_of(capsys, "small", "--to", "onnx")
    assert output.startswith(
        f"Wrote small.onnx, {(folder / 'small.onnx').stat().st_size / 1e3:,.0f} kB: one step of 2 x 4 lstm\n"
    )
    expected = description(make_bundle())
    names = re.findall(r"^ *(in|out) +(\w+) +(?:int|float)", output, re.MULTILINE)
    assert names == [*(("in", name) for name in expected["inputs"]), *(("out", name) for name in expected["outputs"])]
    assert 'onnxruntime.InferenceSession("small.onnx")' in output
    assert sorted(os.listdir(folder)) == ["saved_models", "small.onnx"]


def test_existing_file_is_kept_without_overwrite(capsys: pytest.CaptureFixture[str], folder: Path):
    path = folder / "mine.onnx"
    path.write_text("dear")
    assert "mine.onnx already exists: give another --output, or use --overwrite" in error_of(
        capsys, "--to", "onnx", "--output", "mine.onnx"
    )
    with pytest.raises(SettingError, match="--overwrite"):
        export(make_bundle(), "onnx", path)
    assert path.read_text() == "dear"
    stdout_of(capsys, "--to", "onnx", "--output", "mine.onnx", "--overwrite")
    assert path.stat().st_size > 500


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("mine.bin", "must end in .onnx"),
        ("mine", "must end in .onnx"),
        ("nowhere/mine.onnx", "There is no folder nowhere"),
        ("folder.onnx", "is a folder"),
        ("x" * 300 + ".onnx", "File name too long"),
    ],
)
def test_bad_output_path_is_refused_before_model_is_loaded(
    output: str, sentence: str, capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
):
    (folder / "folder.onnx").mkdir()
    monkeypatch.setattr("wordgen.model.bundle.load_bundle", None)
    assert sentence in error_of(capsys, "--to", "onnx", "--output", output)


def test_base_is_model_with_8_bit_weights(capsys: pytest.CaptureFixture[str], folder: Path):
    output = stdout_of(capsys, "small", "--to", "base", "--output", "bases/tale")
    base_folder = folder / "bases" / "tale"
    size = sum(path.stat().st_size for path in base_folder.iterdir())
    assert output.startswith(f"Wrote bases/tale, {size / 1e3:,.0f} kB: a model with 8-bit weights\n")
    assert sorted(os.listdir(base_folder)) == [CARD_FILE, DESCRIPTION_FILE, CONFIG, VOCABULARY, WEIGHTS]
    base, bundle = Base("tale", base_folder), make_bundle()
    assert (base.vocabulary, base.architecture, base.text) == (bundle.vocabulary, bundle.architecture, bundle.text)
    for name, weight in bundle.weights.items():
        np.testing.assert_allclose(base.bundle.weights[name], weight, atol=np.abs(weight).max() / 254 + 1e-6)
    assert base.read == "the corpus tale"
    card = (base_folder / CARD_FILE).read_text()
    assert card.startswith("# tale\n")
    assert base.fingerprint in card


def test_export_of_base_is_deterministic(folder: Path):
    names = ("one/tale", "other/tale")
    for name in names:
        export(make_bundle(), "base", folder / name)
    one, other = ({path.name: path.read_bytes() for path in (folder / name).iterdir()} for name in names)
    assert one == other


def test_control_characters_in_the_name_of_a_corpus_do_not_damage_a_base(folder: Path):
    bundle = make_bundle()
    export(replace(bundle, text=replace(bundle.text, corpus='a\x7f"b"')), "base", folder / "tale")
    assert Base("tale", folder / "tale").read == 'the corpus a?"b"'


def test_overwrite_keeps_edited_documents_of_base(capsys: pytest.CaptureFixture[str], folder: Path):
    stdout_of(capsys, "--to", "base", "--output", "tale")
    (folder / "tale" / CARD_FILE).write_text("dear")
    (folder / "tale" / DESCRIPTION_FILE).write_text('read = "a tale"\n')
    weights = (folder / "tale" / WEIGHTS).read_bytes()
    assert "tale already exists" in error_of(capsys, "--to", "base", "--output", "tale")
    export(make_bundle(fill=0.5), "base", folder / "tale", overwrite=True)
    assert (folder / "tale" / CARD_FILE).read_text() == "dear"
    assert Base("tale", folder / "tale").read == "a tale"
    assert (folder / "tale" / WEIGHTS).read_bytes() != weights
    assert sorted(os.listdir(folder)) == ["saved_models", "tale"]


def test_base_is_replaced_beside_files_of_the_operating_system(capsys: pytest.CaptureFixture[str], folder: Path):
    stdout_of(capsys, "--to", "base", "--output", "own")
    (folder / "own" / ".DS_Store").touch()
    assert "own" in stdout_of(capsys, "--to", "base", "--output", "own", "--overwrite")


def test_base_does_not_overwrite_other_folders_or_files(capsys: pytest.CaptureFixture[str], folder: Path):
    (folder / "file").write_text("dear")
    (folder / "saved_models" / "small" / "report.json").write_text("dear")  # the model belongs to a run
    for name, example in (("saved_models", "small"), ("saved_models/small", "report.json")):
        assert f"{name} contains other files, for example {example}" in error_of(
            capsys, "small", "--to", "base", "--output", name, "--overwrite"
        )
    assert "file is a file: give --output the name of a folder" in error_of(capsys, "--to", "base", "--output", "file")


def test_missing_or_unknown_format_and_unknown_model_are_refused(capsys: pytest.CaptureFixture[str]):
    """The formats are declared twice, so that --help does not import NumPy."""
    assert "--to" in error_of(capsys, "small")
    assert "There is no model 'other'" in error_of(capsys, "other", "--to", "onnx")
    choices = re.search(r"choose from (.*?)\)", error_of(capsys, "small", "--to", "pickle"))
    assert choices is not None
    assert {choice.strip(" '") for choice in choices[1].split(",")} == set(get_args(Format))


def test_missing_onnx_package_is_reported(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "pip install -r requirements-onnx.txt" in error_of(capsys, "small", "--to", "onnx")
    assert os.listdir() == ["saved_models"]


def test_model_above_2_gib_is_refused_for_onnx():
    bundle = make_bundle()
    architecture = Architecture(vocabulary_size=4_000_000, embedding=200, layers=1, units=8, cell="rnn", tied=True)
    with pytest.raises(
        SettingError, match=r"An ONNX file can have 2 GiB at most, but this model needs 3\.0 GiB: use --to keras"
    ):
        onnx_model(Bundle(architecture, bundle.text, bundle.vocabulary, {}))


def test_interrupted_export_keeps_older_file(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def write_half(bundle: Bundle, path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("wordgen.exporting._write_keras", write_half)
    (folder / "step.keras").write_text("dear")
    with pytest.raises(KeyboardInterrupt):
        export(make_bundle(), "keras", folder / "step.keras", overwrite=True)
    assert (folder / "step.keras").read_text() == "dear"
    assert sorted(os.listdir(folder)) == ["saved_models", "step.keras"]


@pytest.mark.parametrize(("format", "program"), [("onnx", PROGRAMS[0]), ("keras", PROGRAMS[1])])
def test_programs_of_docs_generate_without_wordgen(
    format: str, program: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["export", "small", "--to", format]) == 0
    assert [line for line in capsys.readouterr().err.split("\n") if line and "Starting Keras" not in line] == []
    hide_wordgen = "import sys; sys.modules['wordgen'] = None\n"
    result = subprocess.run(
        [sys.executable, "-I", "-c", hide_wordgen + program],
        cwd=folder,
        env=command_environment(TF_CPP_MIN_LOG_LEVEL="3"),
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert result.returncode == 0, result.stderr
    assert set(result.stdout.split()) <= {"a", "b", "a,", "b,", ","}
    assert result.stdout.strip()


def test_docs_name_all_fields_of_description():
    fields = description(make_bundle())
    assert set(fields) <= set(re.findall(r"`([a-z_]+)`", GUIDE.partition("## Metadata")[2]))
    assert json.dumps(fields)
