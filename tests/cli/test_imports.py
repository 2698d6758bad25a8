"""What people wait for never imports TensorFlow: --help, generate, the errors."""

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
LIGHT = {
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
    "train --resume small": 0,  # which has ended
    "sweep": 0,
    "sweep optimizers --dry-run": 0,
    "sweep nowhere": 2,
    "palindromes --dry-run": 0,
    "palindromes --lengths 1": 2,
    "tune nowhere.mid": 2,
    "corpora show preludes": 0,
}
"""Commands with their exit codes."""
AT_WORK = (
    "api", "corpus.finding", "corpus.reading", "dataset.encoding", "generation.trained", "model.base", "model.bundle",
    "run.defaults", "run.folder", "run.listing", "run.record", "sweep.planning", "text.tokenizers",
)  # fmt: skip


def modules_after(commands: Sequence[str], room: Path) -> list[tuple[int, set[str]]]:
    """The exit code of each command, and what one process has imported when it has run it and those before it."""
    ended = run_python("-c", PROBE.format(commands=[shlex.split(each) for each in commands]), cwd=room)
    assert ended.returncode == 0, ended.stderr
    told = [line.removeprefix("PROBE ") for line in ended.stderr.split("\n") if line.startswith("PROBE ")]
    assert len(told) == len(commands)
    return [(code, set(modules)) for code, modules in map(json.loads, told)]


def test_no_tensorflow(trained_room: Path, tmp_path: Path):
    room = tmp_path / "room"
    shutil.copytree(trained_room, room)  # evaluate writes beside the model
    shutil.copytree(room / "saved_models" / "small", room / "saved_models" / "other")
    light = modules_after([*LIGHT], room)
    for (command, code), (ended, modules) in zip(LIGHT.items(), light, strict=True):
        assert (command, ended) == (command, code)
        assert (command, modules & {"tensorflow", "keras", "tensorboard"}) == (command, set())
    assert "numpy" in light[0][1]  # so the probe would have seen TensorFlow, too


def test_help_reads_the_settings_and_nothing_of_what_does_the_work(tmp_path: Path):
    commands = ["--help", "--version", *(f"{verb} --help" for verb in VERBS)]
    for command, (code, modules) in zip(commands, modules_after(commands, tmp_path), strict=True):
        assert (command, code) == (command, 0)
        others = {"numpy", "nltk", "rich", "matplotlib", "safetensors", "filelock", "keras", "tensorflow"}
        at_work = {f"wordgen.{name}" for name in AT_WORK}
        assert (command, modules & (others | at_work)) == (command, set())
    assert all(find_spec(f"wordgen.{name}") for name in AT_WORK)  # none has another name by now


def test_a_text_of_words_needs_no_parser_of_tunes(tmp_path: Path):
    program = "import sys, wordgen.dataset.encoding; print(*sys.modules)"
    modules = set(run_python("-c", program, cwd=tmp_path).stdout.split())
    assert "wordgen.dataset.splits" in modules
    of_tunes = {f"wordgen.music.{name}" for name in ("abc_parsing", "copied_notes", "tune")}
    assert all(map(find_spec, of_tunes))  # none has another name by now
    assert not modules & of_tunes


def test_importing_wordgen_imports_nothing_else(tmp_path: Path):
    program = "import sys; before = set(sys.modules); import wordgen; print(*set(sys.modules) - before)"
    assert run_python("-c", program, cwd=tmp_path).stdout.split() == ["wordgen"]


@pytest.mark.parametrize("arguments", ["train --corpus spells --seq-len 10000", "evaluate --samples 0"])
def test_numpy_hears_that_it_has_one_thread_before_it_is_imported(room: Path, arguments: str):
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
main({arguments.split()!r})
"""
    ended = run_python("-c", probe, cwd=room)
    assert ended.returncode == 0, ended.stderr
    assert "numpy with 1\n" in ended.stderr
