"""What many tests share: a room to work in, the commands as real processes, one small trained model."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from wordgen.corpora.corpus import Corpus

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("wordgen", deadline=None)
hypothesis.settings.load_profile("wordgen")

ROOT = Path(__file__).resolve().parents[1]
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
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WORDGEN_", "TF_", "KERAS_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **more}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with long tests come first: of two processes none is left alone with one of them at the end."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """The command line in an empty folder."""

    def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        return run_command(*arguments, **{"cwd": tmp_path, **options})  # pyright: ignore[reportArgumentType]

    return run


def trained_in(room: Path, corpus: str, name: str, options: str) -> Path:
    """The room, once the real command has trained a model in it; what it says is shown where it fails."""
    ended = run_command("train", "--corpus", corpus, "--name", name, *options.split(), cwd=room)
    assert ended.returncode == 0, ended.stderr
    return room


def trained_on_few_lines(room: Path, options: str) -> Path:
    """The room, with a model of a short text in it: each line comes four times, so each split has it."""
    lines = (ROOT / "data" / "spells.txt").read_text(encoding="utf-8").split("\n")[:40]
    write_text(room / "few.txt", "\n".join(lines * 4))
    return trained_in(room, "few.txt", "few", f"--layers 1 --units 128 --dropout 0 --optimizer adam {options}")


@pytest.fixture(scope="session")
def trained_room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small model of the spells; tests only read it."""
    return trained_in(tmp_path_factory.mktemp("trained"), "spells", "small", "--layers 2 --units 48 --epochs 3")


@pytest.fixture(scope="session")
def overfitted_room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned a short text by heart."""
    options = "--epochs 25 --min-count 1 --learning-rate 0.003"
    return trained_on_few_lines(tmp_path_factory.mktemp("overfitted"), options)


@pytest.fixture(scope="session")
def japanese_room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of the lyrics, of one epoch."""
    return trained_in(tmp_path_factory.mktemp("japanese"), "lyrics", "lyrics", "--layers 1 --units 32 --epochs 1")


@pytest.fixture
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORDGEN_DATA", raising=False)
    return tmp_path


def unit_texts(corpus: Corpus) -> list[str]:
    return [unit.text for _, unit in corpus.reading().units()]


def write_text(path: Path, text: str, encoding: str = "utf-8") -> str:
    """Write a text file, and the folders above it; its path as a user would type it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    return str(path)


@pytest.fixture
def room(trained_room: Path, in_empty_folder: Path) -> Path:
    """A copy of the small model of the spells, to be changed, in the folder where the test is."""
    shutil.copytree(trained_room / "saved_models", in_empty_folder / "saved_models")
    return in_empty_folder
