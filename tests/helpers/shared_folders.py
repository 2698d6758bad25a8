"""Shares folders between the processes of pytest-xdist."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def make_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a copy of a folder that `make` has filled. Only one process calls `make`; each gets its own copy."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # the parent of the folders of all processes
    made, complete = shared / f"made-{name}", shared / f"made-{name}.complete"
    with FileLock(f"{made}.lock"):
        if not complete.exists():
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            make(made)
            complete.touch()
    copy = factory.mktemp(name)
    shutil.copytree(made, copy, dirs_exist_ok=True)
    return copy
