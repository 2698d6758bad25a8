"""Files of events in the format of TensorBoard. This module imports TensorBoard, which most commands do not need."""

import time
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from wordgen.files import write_atomically

HParam = bool | int | float | str

_FILES = "events.out.tfevents.*"


class EventFile:
    """Writes a file of events that TensorBoard reads."""

    def __init__(
        self, folder: Path, first_step: int, is_stale: Callable[[str, int], bool] = lambda tag, step: False
    ) -> None:
        """Create a new file in a folder, and remove the events of `first_step` and later steps from older files.

        If `first_step` is 1, all older events are removed: they come from a run that was killed before it had a
        checkpoint. `is_stale` says whether the events of a tag at an earlier step are removed, too.
        """
        folder.mkdir(parents=True, exist_ok=True)
        _remove_events(
            folder,
            lambda event: (
                first_step == 1
                or event.step >= first_step
                or any(is_stale(value.tag, event.step) for value in event.summary.value)
            ),
        )
        self._file = _next_path(folder).open("xb")
        self._records = RecordWriter(self._file)
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def number(self, tag: str, value: float, step: int) -> None:
        self._add(scalar_pb(tag, value), step)

    def text(self, tag: str, text: str, step: int) -> None:
        """Write a text as a block of code, by four spaces before each line, because TensorBoard renders Markdown."""
        self._add(text_pb(tag, "\n".join("    " + line for line in text.split("\n"))), step)

    def histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        self._add(histogram_pb(tag, values), step)

    def hparams(self, name: str, values: Mapping[str, HParam]) -> None:
        """Write the settings of a run for the HParams tab of TensorBoard. `name` is the name of the run."""
        self._add(hparams_pb(dict(values), trial_id=name), 0)

    def close(self) -> None:
        self._file.close()

    def _add(self, summary: Summary, step: int) -> None:
        self._write(Event(wall_time=time.time(), step=step, summary=summary))

    def _write(self, event: Event) -> None:
        """Write an event to the disk at once: TensorBoard shows it, and a killed run that resumes does not lack it."""
        self._records.write(event.SerializeToString())
        self._file.flush()


def _next_path(folder: Path) -> Path:
    """Return the path of a new event file, with a name that comes after all existing ones in alphabetical order.

    TensorBoard reads the files of a folder in this order. The name contains the current time in seconds, or a
    later time if needed, because a clock may be set back.
    """
    times = [path.name.split(".")[3] for path in folder.glob(_FILES)]
    time_or_later = max([int(time.time()), *(int(each) + 1 for each in times if each.isdecimal())])
    return folder / f"events.out.tfevents.{time_or_later:010d}.wordgen"


def _remove_events(folder: Path, is_removed: Callable[[Event], bool]) -> None:
    """Remove these events from the event files of a folder.

    A special event could tell TensorBoard to ignore them, but its reader in Python obeys it only for older kinds of
    events.
    """
    for path in folder.glob(_FILES):
        events = list(RawEventFileLoader(str(path)).Load())
        kept = [event for event in events if not is_removed(Event.FromString(event))]
        if not kept:
            path.unlink()
        elif len(kept) < len(events):
            content = BytesIO()
            records = RecordWriter(content)
            for event in kept:
                records.write(event)
            write_atomically(path, content.getvalue())
