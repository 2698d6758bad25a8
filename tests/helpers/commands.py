"""The commands as real processes, as a user would run them, and in this process where a start would only take time."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.helpers.texts import write_text
from wordgen.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
Command = Callable[..., subprocess.CompletedProcess[str]]


def run_command(
    *arguments: str, cwd: Path, timeout: float = 300, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m wordgen ARGUMENTS` in a folder, as a user would, and wait for its end."""
    return run_python("-m", "wordgen", *arguments, cwd=cwd, timeout=timeout, **environment)


def run_python(
    *arguments: str, cwd: Path, timeout: float = 300, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS` in a folder with the Python of the tests, and wait for its end."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=command_environment(**environment),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def command_environment(**more: str) -> dict[str, str]:
    ours = ("WORDGEN_", "TF_", "KERAS_", "OPENBLAS_")  # commands that ran in this process may have set these
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **more}


def trained_here(room: Path, corpus: str, name: str, options: str) -> Path:
    """The room, once a model was trained in it by this process: to start TensorFlow again takes longer."""
    with contextlib.chdir(room):
        assert main(["train", "--corpus", corpus, "--name", name, "--quiet", *options.split()]) == 0
    return room


def trained_on_few_lines(room: Path, options: str) -> Path:
    """The room, with a model of a short text in it: each line comes sixteen times, so each split has it."""
    lines = (ROOT / "data" / "spells.txt").read_text(encoding="utf-8").split("\n")[:16]
    write_text(room / "few.txt", "\n".join(lines * 16))
    shape = "--layers 1 --units 128 --dropout 0 --optimizer adam --batch-size 8"
    return trained_here(room, "few.txt", "few", f"{shape} {options}")
