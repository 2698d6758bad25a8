"""What the processes of the tests share."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder with what `make` writes into it. One process makes it for all, and each has a copy of its own."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # of the folders of all processes
    made, whole = shared / f"made-{name}", shared / f"made-{name}.whole"
    with FileLock(f"{made}.lock"):
        if not whole.exists():
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            make(made)
            whole.touch()
    own = factory.mktemp(name)
    shutil.copytree(made, own, dirs_exist_ok=True)
    return own
