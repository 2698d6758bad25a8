"""`wordgen export`: the file, what is told of it, what is refused; the guide's programs run without wordgen."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from tests.helpers.bundles import make_bundle
from tests.helpers.commands import ROOT, command_environment
from wordgen.cli.main import main
from wordgen.errors import SettingError
from wordgen.exporting import CARD, Format, description, export, onnx_model
from wordgen.model.architecture import Architecture
from wordgen.model.base import ABOUT, Base
from wordgen.model.bundle import CONFIG, VOCABULARY, WEIGHTS, Bundle, save_bundle
from wordgen.run.names import SAVED_MODELS

GUIDE = (ROOT / "docs" / "exporting.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture(autouse=True)
def room(in_empty_folder: Path) -> Path:
    save_bundle(make_bundle(), SAVED_MODELS / "small")
    return in_empty_folder


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["export", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["export", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("Error: ")
    assert told.err.count("\n") == 1
    return told.err


def test_what_goes_in_and_out_is_told(capsys: pytest.CaptureFixture[str], room: Path):
    told = shown(capsys, "small", "--to", "onnx")
    assert told.startswith(
        f"Wrote small.onnx, {(room / 'small.onnx').stat().st_size / 1e3:,.0f} kB: one step of 2 x 4 lstm\n"
    )
    of_file = description(make_bundle())
    names = re.findall(r"^ *(in|out) +(\w+) +(?:int|float)", told, re.MULTILINE)
    assert names == [*(("in", name) for name in of_file["inputs"]), *(("out", name) for name in of_file["outputs"])]
    assert 'onnxruntime.InferenceSession("small.onnx")' in told
    assert sorted(os.listdir(room)) == ["saved_models", "small.onnx"]


def test_a_file_that_is_there_stays_unless_it_may_go(capsys: pytest.CaptureFixture[str], room: Path):
    place = room / "mine.onnx"
    place.write_text("dear")
    assert "mine.onnx already exists: give another --output, or use --overwrite" in refused(
        capsys, "--to", "onnx", "--output", "mine.onnx"
    )
    with pytest.raises(SettingError, match="--overwrite"):
        export(make_bundle(), "onnx", place)
    assert place.read_text() == "dear"
    shown(capsys, "--to", "onnx", "--output", "mine.onnx", "--overwrite")
    assert place.stat().st_size > 500


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("mine.bin", "must end in .onnx"),
        ("mine", "must end in .onnx"),
        ("nowhere/mine.onnx", "There is no folder nowhere"),
        ("folder.onnx", "is a folder"),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_any_work(
    output: str, sentence: str, capsys: pytest.CaptureFixture[str], room: Path, monkeypatch: pytest.MonkeyPatch
):
    (room / "folder.onnx").mkdir()
    monkeypatch.setattr("wordgen.model.bundle.load_bundle", None)
    assert sentence in refused(capsys, "--to", "onnx", "--output", output)


def test_a_base_is_the_model_with_8_bit_weights(capsys: pytest.CaptureFixture[str], room: Path):
    told = shown(capsys, "small", "--to", "base", "--output", "bases/tale")
    folder = room / "bases" / "tale"
    size = sum(each.stat().st_size for each in folder.iterdir())
    assert told.startswith(f"Wrote bases/tale, {size / 1e3:,.0f} kB: a model with 8-bit weights\n")
    assert sorted(os.listdir(folder)) == [CARD, ABOUT, CONFIG, VOCABULARY, WEIGHTS]
    base, whole = Base("tale", folder), make_bundle()
    assert (base.vocabulary, base.architecture, base.text) == (whole.vocabulary, whole.architecture, whole.text)
    for name, weight in whole.weights.items():
        np.testing.assert_allclose(base.bundle.weights[name], weight, atol=np.abs(weight).max() / 254 + 1e-6)
    assert base.read == "the corpus tale"
    card = (folder / CARD).read_text()
    assert card.startswith("# tale\n")
    assert base.fingerprint in card


def test_the_same_model_is_the_same_base_to_the_byte(room: Path):
    for name in ("one/tale", "other/tale"):
        export(make_bundle(), "base", room / name)
    one, other = (
        {each.name: each.read_bytes() for each in (room / name).iterdir()} for name in ("one/tale", "other/tale")
    )
    assert one == other


def test_a_base_that_is_replaced_keeps_what_people_wrote(capsys: pytest.CaptureFixture[str], room: Path):
    shown(capsys, "--to", "base", "--output", "tale")
    (room / "tale" / CARD).write_text("dear")
    (room / "tale" / ABOUT).write_text('read = "a tale"\n')
    weights = (room / "tale" / WEIGHTS).read_bytes()
    assert "tale already exists" in refused(capsys, "--to", "base", "--output", "tale")
    export(make_bundle(fill=0.5), "base", room / "tale", overwrite=True)
    assert (room / "tale" / CARD).read_text() == "dear"
    assert Base("tale", room / "tale").read == "a tale"
    assert (room / "tale" / WEIGHTS).read_bytes() != weights
    assert sorted(os.listdir(room)) == ["saved_models", "tale"]


def test_a_folder_with_other_files_or_a_file_is_no_place_for_a_base(capsys: pytest.CaptureFixture[str], room: Path):
    (room / "file").write_text("dear")
    assert "saved_models contains other files, but no model" in refused(
        capsys, "--to", "base", "--output", "saved_models", "--overwrite"
    )
    assert "file is a file: give --output the name of a folder" in refused(capsys, "--to", "base", "--output", "file")


def test_a_wrong_format_or_model_is_one_sentence(capsys: pytest.CaptureFixture[str]):
    assert "--to" in refused(capsys, "small")
    assert "There is no model 'other'" in refused(capsys, "other", "--to", "onnx")


def test_a_format_that_there_is_not_is_told_with_those_that_can_be_written(capsys: pytest.CaptureFixture[str]):
    """They are declared twice, so that --help needs no NumPy."""
    named = re.search(r"choose from (.*?)\)", refused(capsys, "small", "--to", "pickle"))
    assert named is not None
    assert {each.strip(" '") for each in named[1].split(",")} == set(get_args(Format))


def test_without_onnx_it_says_what_to_install(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "pip install -r requirements-onnx.txt" in refused(capsys, "small", "--to", "onnx")
    assert os.listdir() == ["saved_models"]


def test_what_the_format_cannot_hold_is_refused():
    bundle = make_bundle()
    architecture = Architecture(vocabulary_size=4_000_000, embedding=200, layers=1, units=8, cell="rnn", tied=True)
    with pytest.raises(
        SettingError, match=r"An ONNX file can have 2 GiB at most, but this model needs 3\.0 GiB: use --to keras"
    ):
        onnx_model(Bundle(architecture, bundle.text, bundle.vocabulary, {}))


def test_what_breaks_off_leaves_nothing(room: Path, monkeypatch: pytest.MonkeyPatch):
    def half(bundle: Bundle, path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("wordgen.exporting._write_keras", half)
    (room / "step.keras").write_text("dear")
    with pytest.raises(KeyboardInterrupt):
        export(make_bundle(), "keras", room / "step.keras", overwrite=True)
    assert (room / "step.keras").read_text() == "dear"
    assert sorted(os.listdir(room)) == ["saved_models", "step.keras"]


@pytest.mark.parametrize(("format", "program"), [("onnx", PROGRAMS[0]), ("keras", PROGRAMS[1])])
def test_the_programs_of_the_guide_write_without_wordgen(
    format: str, program: str, room: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["export", "small", "--to", format]) == 0
    assert [line for line in capsys.readouterr().err.split("\n") if line and "Starting Keras" not in line] == []
    hidden = "import sys; sys.modules['wordgen'] = None\n"
    written = subprocess.run(
        [sys.executable, "-I", "-c", hidden + program],
        cwd=room,
        env=command_environment(TF_CPP_MIN_LOG_LEVEL="3"),
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert written.returncode == 0, written.stderr
    assert set(written.stdout.split()) <= {"a", "b", "a,", "b,", ","}
    assert written.stdout.strip()


def test_the_guide_names_what_is_told():
    told = description(make_bundle())
    assert set(told) <= set(re.findall(r"`([a-z_]+)`", GUIDE.partition("## What else is in it")[2]))
    assert json.dumps(told)
