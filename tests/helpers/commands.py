"""Run commands as real processes, as a user does, or in this process, which is faster."""

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
    """Run `python -m wordgen ARGUMENTS` in the folder `cwd` and wait for its end."""
    return run_python("-m", "wordgen", *arguments, cwd=cwd, timeout=timeout, **environment)


def run_python(
    *arguments: str, cwd: Path, timeout: float = 300, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS` in the folder `cwd` and wait for its end."""
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
    """Return the environment for a command, without what earlier commands or the test machine may have set in it."""
    removed = ("WORDGEN_", "TF_", "KERAS_", "OPENBLAS_", "PYTHONUNBUFFERED")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(removed)}
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **more}


def train_in_folder(folder: Path, corpus: str, name: str, options: str) -> Path:
    """Train a model in a folder, in this process, because to start TensorFlow again takes seconds."""
    with contextlib.chdir(folder):
        assert main(["train", "--corpus", corpus, "--name", name, "--quiet", *options.split()]) == 0
    return folder


def train_on_few_lines(folder: Path, options: str) -> Path:
    """Train a model on 16 lines in a folder. Each line comes 16 times, so each split has it."""
    lines = (ROOT / "data" / "spells.txt").read_text(encoding="utf-8").split("\n")[:16]
    write_text(folder / "few.txt", "\n".join(lines * 16))
    shape = "--layers 1 --units 128 --dropout 0 --optimizer adam --batch-size 8"
    return train_in_folder(folder, "few.txt", "few", f"{shape} {options}")
