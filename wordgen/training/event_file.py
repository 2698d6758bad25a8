"""What TensorBoard reads: files of events, in which a run that was killed goes on where its checkpoint stands."""

import time
from collections.abc import Mapping
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

from wordgen.files import write_whole

HParam = bool | int | float | str

_FILES = "events.out.tfevents.*"


class EventFile:
    def __init__(self, folder: Path, first_step: int) -> None:
        """Begin a file in a folder; what older ones say of `first_step` and all later ones is taken back.

        With the first step of all everything is: a run was killed before it had a checkpoint.
        """
        folder.mkdir(parents=True, exist_ok=True)
        _take_back(folder, first_step if first_step > 1 else 0)
        self._file = _next_path(folder).open("xb")
        self._records = RecordWriter(self._file)
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def number(self, tag: str, value: float, step: int) -> None:
        self._add(scalar_pb(tag, value), step)

    def text(self, tag: str, text: str, step: int) -> None:
        """Told as it stands: TensorBoard takes four spaces in front of a line for a block of plain text."""
        self._add(text_pb(tag, "\n".join("    " + line for line in text.split("\n"))), step)

    def histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        self._add(histogram_pb(tag, values), step)

    def hparams(self, name: str, values: Mapping[str, HParam]) -> None:
        """What TensorBoard's HParams tab shows of a run of this name."""
        self._add(hparams_pb(dict(values), trial_id=name), 0)

    def close(self) -> None:
        self._file.close()

    def _add(self, summary: Summary, step: int) -> None:
        self._write(Event(wall_time=time.time(), step=step, summary=summary))

    def _write(self, event: Event) -> None:
        """At once: a run can be watched, and one that is killed lacks nothing where it goes on."""
        self._records.write(event.SerializeToString())
        self._file.flush()


def _next_path(folder: Path) -> Path:
    """TensorBoard reads the files of a folder in order of their names; a clock may stand still or go back."""
    times = [path.name.split(".")[3] for path in folder.glob(_FILES)]
    time_or_later = max([int(time.time()), *(int(each) + 1 for each in times if each.isdecimal())])
    return folder / f"events.out.tfevents.{time_or_later:010d}.wordgen"


def _take_back(folder: Path, first_step: int) -> None:
    """An event could tell TensorBoard to do so, but its reader in Python heeds that for older kinds of events alone."""
    for path in folder.glob(_FILES):
        events = list(RawEventFileLoader(str(path)).Load())
        kept = [event for event in events if Event.FromString(event).step < first_step]
        if not kept:
            path.unlink()
        elif len(kept) < len(events):
            content = BytesIO()
            records = RecordWriter(content)
            for event in kept:
                records.write(event)
            write_whole(path, content.getvalue())
