"""Commands that users wait for do not import TensorFlow. `--help` imports only settings."""

import json
import shlex
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.helpers.commands import run_python
from wordgen.cli.main import VERBS

PROBE = """
import json, sys
from wordgen.cli.main import main
for arguments in {commands!r}:
    print("PROBE", json.dumps([main(arguments), sorted(sys.modules)]), file=sys.stderr)
"""
COMMANDS_WITHOUT_TENSORFLOW = {
    "generate --seed 'The caster' --length 5": 0,
    "generate --json --count 2 --length 5": 0,
    "generate --mode beam --stop sentence --show-copies": 0,
    "score 'The caster sleeps.'": 0,
    "serve nowhere": 2,
    "evaluate --samples 3": 0,
    "evaluate --split valid --json --samples 3": 0,
    "evaluate --samples -3": 2,
    "export --to onnx": 0,
    "runs": 0,
    "runs show": 0,
    "runs compare small small": 2,
    "runs rm other --yes": 0,
    "corpora": 0,
    "corpora show lotr": 0,
    "corpora show lyrics --tokenizer characters": 0,
    "corpora add lotr nowhere": 2,
    "train --corpus nowhere": 2,
    "train --resume small": 0,  # has ended
    "sweep": 0,
    "sweep optimizers --dry-run": 0,
    "sweep nowhere": 2,
    "palindromes --dry-run": 0,
    "palindromes --lengths 1": 2,
    "tune nowhere.mid": 2,
    "corpora show preludes": 0,
}
"""Commands and their exit codes."""
NOT_FOR_HELP = (
    "api", "corpus.finding", "corpus.reading", "dataset.encoding", "generation.trained", "model.base", "model.bundle",
    "run.defaults", "run.folder", "run.listing", "run.record", "sweep.planning", "text.tokenizers",
)  # fmt: skip


def modules_after(commands: Sequence[str], folder: Path) -> list[tuple[int, set[str]]]:
    """Run commands in one process. Return the exit code of each and the modules imported so far."""
    result = run_python("-c", PROBE.format(commands=[shlex.split(each) for each in commands]), cwd=folder)
    assert result.returncode == 0, result.stderr
    probes = [line.removeprefix("PROBE ") for line in result.stderr.split("\n") if line.startswith("PROBE ")]
    assert len(probes) == len(commands)
    return [(code, set(modules)) for code, modules in map(json.loads, probes)]


def test_commands_do_not_import_tensorflow(trained_folder: Path, tmp_path: Path):
    folder = tmp_path / "copy"
    shutil.copytree(trained_folder, folder)  # evaluate writes into the folder of the model
    shutil.copytree(folder / "saved_models" / "small", folder / "saved_models" / "other")
    results = modules_after([*COMMANDS_WITHOUT_TENSORFLOW], folder)
    for (command, expected), (code, modules) in zip(COMMANDS_WITHOUT_TENSORFLOW.items(), results, strict=True):
        assert (command, code) == (command, expected)
        assert (command, modules & {"tensorflow", "keras", "tensorboard"}) == (command, set())
    assert "numpy" in results[0][1]  # the probe sees imports


def test_help_imports_only_settings(tmp_path: Path):
    commands = ["--help", "--version", *(f"{verb} --help" for verb in VERBS)]
    for command, (code, modules) in zip(commands, modules_after(commands, tmp_path), strict=True):
        assert (command, code) == (command, 0)
        packages = {"numpy", "nltk", "rich", "matplotlib", "safetensors", "filelock", "keras", "tensorflow"}
        own_modules = {f"wordgen.{name}" for name in NOT_FOR_HELP}
        assert (command, modules & (packages | own_modules)) == (command, set())
    assert all(find_spec(f"wordgen.{name}") for name in NOT_FOR_HELP)  # none was renamed


def test_encoding_does_not_import_parser_of_abc(tmp_path: Path):
    program = "import sys, wordgen.dataset.encoding; print(*sys.modules)"
    modules = set(run_python("-c", program, cwd=tmp_path).stdout.split())
    assert "wordgen.dataset.splits" in modules
    music_modules = {f"wordgen.music.{name}" for name in ("abc_parsing", "copied_notes", "tune")}
    assert all(map(find_spec, music_modules))  # none was renamed
    assert not modules & music_modules


def test_import_wordgen_imports_no_other_module(tmp_path: Path):
    program = "import sys; before = set(sys.modules); import wordgen; print(*set(sys.modules) - before)"
    assert run_python("-c", program, cwd=tmp_path).stdout.split() == ["wordgen"]


@pytest.mark.parametrize("arguments", ["train --corpus spells --seq-len 10000", "evaluate --samples 0"])
def test_numpy_is_limited_to_one_thread_before_import(trained_copy: Path, arguments: str):
    """More threads would wait for each other in the small products of the layers. Training also evaluates."""
    probe = f"""
import os, sys
class NumpyFinder:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            print("numpy with", os.environ.get("OPENBLAS_NUM_THREADS"), file=sys.stderr)
sys.meta_path.insert(0, NumpyFinder())
os.environ.pop("OPENBLAS_NUM_THREADS", None)
from wordgen.cli.main import main
main({arguments.split()!r})
"""
    result = run_python("-c", probe, cwd=trained_copy)
    assert result.returncode == 0, result.stderr
    assert "numpy with 1\n" in result.stderr
