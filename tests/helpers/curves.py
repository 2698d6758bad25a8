"""Read event files with TensorBoard's own reader."""

from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray


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
