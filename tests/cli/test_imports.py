"""What people wait for never imports TensorFlow: --help, generate, the errors."""

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import run_python
from wordgen.cli.main import VERBS

PROBE = """
import json, sys
from wordgen.cli.main import main
try:
    code = main({arguments!r})
except SystemExit as end:
    code = end.code
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def modules_after(arguments: list[str], room: Path) -> tuple[int, set[str]]:
    ended = run_python("-c", PROBE.format(arguments=arguments), cwd=room)
    assert ended.returncode == 0, ended.stderr
    code, modules = json.loads(ended.stderr.strip().split("\n")[-1])
    return code, set(modules)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["train", "--help"], 0),
        (["generate", "--help"], 0),
        (["--help"], 0),
        (["--version"], 0),
        (["generate", "--seed", "The caster", "--length", "5"], 0),
        (["generate", "--json", "--count", "2", "--length", "5"], 0),
        (["generate", "--mode", "beam", "--stop", "sentence", "--show-copies"], 0),
        (["score", "The caster sleeps."], 0),
        (["score", "--help"], 0),
        (["evaluate", "--help"], 0),
        (["serve", "--help"], 0),
        (["serve", "nowhere"], 2),
        (["evaluate"], 0),
        (["evaluate", "--split", "valid", "--json"], 0),
        (["evaluate", "--samples", "3"], 0),
        (["evaluate", "--samples", "-3"], 2),
        (["export", "--help"], 0),
        (["export", "--to", "onnx"], 0),
        (["runs"], 0),
        (["runs", "show"], 0),
        (["runs", "compare", "small", "small"], 2),
        (["runs", "rm", "small", "--yes"], 0),
        (["corpora"], 0),
        (["corpora", "show", "lotr"], 0),
        (["corpora", "show", "lyrics", "--tokenizer", "characters"], 0),
        (["corpora", "add", "lotr", "nowhere"], 2),
        (["train", "--corpus", "nowhere"], 2),
        (["sweep"], 0),
        (["sweep", "--help"], 0),
        (["sweep", "optimizers", "--dry-run"], 0),
        (["sweep", "nowhere"], 2),
    ],
)
def test_no_tensorflow(arguments: list[str], code: int, trained_room: Path, tmp_path: Path):
    room = tmp_path / "room"
    shutil.copytree(trained_room, room)  # evaluate writes beside the model
    ended, modules = modules_after(arguments, room)
    assert ended == code
    assert not modules & {"tensorflow", "keras", "tensorboard"}


def test_a_run_that_has_ended_needs_none(trained_room: Path, tmp_path: Path):
    shutil.copytree(trained_room, tmp_path / "room")
    ended, modules = modules_after(["train", "--resume", "small"], tmp_path / "room")
    assert ended == 0
    assert not modules & {"tensorflow", "keras", "tensorboard"}


@pytest.mark.parametrize("verb", VERBS)
def test_help_reads_the_settings_and_nothing_of_what_does_the_work(verb: str, tmp_path: Path):
    code, modules = modules_after([verb, "--help"], tmp_path)
    assert code == 0
    assert not modules & {"numpy", "nltk", "rich", "matplotlib", "safetensors", "filelock", "keras", "tensorflow"}
    at_work = {"bundle", "complete_settings", "corpora.reading", "recipes", "run_folder", "runs", "text.tokenizers"}
    assert not modules & {f"wordgen.{name}" for name in at_work}


def test_the_probe_sees_tensorflow_where_it_is(tmp_path: Path):
    arguments = ["train", "--corpus", "spells", "--layers", "1", "--units", "4", "--epochs", "1", "--quiet"]
    code, modules = modules_after(arguments, tmp_path)
    assert code == 0
    assert "tensorflow" in modules


def test_importing_wordgen_imports_next_to_nothing(tmp_path: Path):
    program = "import sys, wordgen; print(len(sys.modules), 'numpy' in sys.modules, wordgen.__version__)"
    ended = run_python("-c", program, cwd=tmp_path)
    assert "False" in ended.stdout


@pytest.mark.parametrize(
    "arguments", [["train", "--corpus", "spells", "--seq-len", "10000"], ["evaluate", "--samples", "0"]]
)
def test_numpy_hears_that_it_has_one_thread_before_it_is_imported(room: Path, arguments: list[str]):
    """More of them wait for each other at the layers' small products, and training's end measures the model, too."""
    probe = f"""
import os, sys
class Noting:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            print("numpy with", os.environ.get("OPENBLAS_NUM_THREADS"), file=sys.stderr)
sys.meta_path.insert(0, Noting())
os.environ.pop("OPENBLAS_NUM_THREADS", None)
from wordgen.cli.main import main
main({arguments!r})
"""
    ended = run_python("-c", probe, cwd=room)
    assert ended.returncode == 0, ended.stderr
    assert "numpy with 1\n" in ended.stderr
