"""Fixtures of many tests: folders to work in, and small trained models."""

import os
import shutil
import subprocess
from pathlib import Path

import hypothesis
import pytest

from tests.helpers.commands import Command, run_command, train_in_folder, train_on_few_lines
from tests.helpers.shared_folders import make_once

# The tests must not depend on the terminal from which they are started, nor ask a proxy for their own servers.
for variable in (
    "COLORTERM", "COLUMNS", "FORCE_COLOR", "LINES", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE",
):  # fmt: skip
    os.environ.pop(variable, None)
os.environ["TERM"] = "xterm"
for variable in ("no_proxy", "NO_PROXY"):
    os.environ[variable] = ",".join(filter(None, (os.environ.get(variable), "127.0.0.1", "localhost")))

# The examples are the same each time, so only a change of the code changes the result; `make soak` tries random ones.
# There is no deadline, because the time of an example depends more on the machine than on the code.
hypothesis.settings.register_profile("wordgen", deadline=None, derandomize=True, max_examples=40)
hypothesis.settings.register_profile("random", deadline=None, max_examples=200)
hypothesis.settings.load_profile("wordgen")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files with slow tests first, so that two processes end at about the same time."""
    slow_files = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow_files)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs `python -m wordgen` in an empty folder."""

    def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        return run_command(*arguments, **{"cwd": tmp_path, **options})  # pyright: ignore[reportArgumentType]

    return run


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small model of the spells. Tests must not change it: `trained_copy` is a copy."""
    options = "--layers 2 --units 48 --epochs 3 --histograms"
    return make_once(tmp_path_factory, "trained", lambda folder: train_in_folder(folder, "spells", "small", options))


@pytest.fixture(scope="session")
def overfitted_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that has overfitted a short text."""
    options = "--epochs 6 --min-count 1 --learning-rate 0.003"
    return make_once(tmp_path_factory, "overfitted", lambda folder: train_on_few_lines(folder, options))


@pytest.fixture(scope="session")
def japanese_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of the Japanese lyrics, trained for one epoch."""
    options = "--layers 1 --units 32 --epochs 1"
    return make_once(tmp_path_factory, "japanese", lambda folder: train_in_folder(folder, "lyrics", "lyrics", options))


@pytest.fixture
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORDGEN_DATA", raising=False)
    return tmp_path


@pytest.fixture
def trained_copy(trained_folder: Path, in_empty_folder: Path) -> Path:
    """The current folder, with a copy of the small model of the spells that tests may change."""
    shutil.copytree(trained_folder / "saved_models", in_empty_folder / "saved_models")
    return in_empty_folder
