"""A real TensorBoard, for tests and for pictures, and its own reader of event files."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from tests.helpers.commands import command_environment


@contextmanager
def tensorboard(folder: Path, log: Path, arguments: Sequence[str] = ("--logdir", "saved_models")) -> Generator[str]:
    """Serve the runs of a folder and yield the address. The output of TensorBoard goes into the log."""
    program = Path(sys.executable).parent / "tensorboard"
    with log.open("w+") as output:
        process = subprocess.Popen(
            [program, *arguments, "--port", "0"], cwd=folder, stdout=output, stderr=output, env=command_environment()
        )
        try:
            yield _address(log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def _address(log: Path) -> str:
    for _ in range(300):
        found = re.search(r"at (http://\S+)", log.read_text())
        if found:
            return found[1]
        time.sleep(0.2)
    raise AssertionError(f"TensorBoard did not start: {log.read_text()}")


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()


def tags(folder: Path) -> set[str]:
    """Return the tags of all curves, texts and histograms."""
    tensors = events(folder).Tags()["tensors"]
    assert isinstance(tensors, list)
    return set(tensors)


def curve(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, float(make_ndarray(event.tensor_proto))) for event in events(folder).Tensors(tag)]


def text(folder: Path, tag: str) -> str:
    value: Any = make_ndarray(events(folder).Tensors(tag)[-1].tensor_proto)
    return value.item().decode()
