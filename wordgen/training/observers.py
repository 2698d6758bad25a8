"""The interface of the observers, which receive the events of a run."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from wordgen.evaluation.measurement import Measurement
from wordgen.training.plan import Plan
from wordgen.training.reports import Begun, Ending, EpochReport, SampleReport, Speed, StepReport


class Observer:
    """Receives the events of a run. Override the methods you need.

    Steps and epochs count from 1.
    """

    def downloading(self, file: str, done: int, total: int) -> None:
        """`done` of `total` bytes of a file of the corpus have been downloaded.

        Called at the beginning, during the download, and when the file is complete.
        """

    def encoding(self, done: int, size: int) -> None:
        """`done` of `size` bytes of the text have been split into tokens."""

    def planned(self, plan: Plan) -> None:
        """The plan of the run is complete."""

    def starting(self) -> None:
        """There is something to train, so TensorFlow is being started, which takes some seconds."""

    def indexing(self, done: int, size: int) -> None:
        """`done` of `size` tokens of the training text are in the copy index."""

    def begun(self, begun: Begun) -> None:
        """The first step is about to run."""

    def measured(self, begun: Begun, speed: Speed) -> None:
        """A dry run has measured the speed of the training."""

    def stepped(self, report: StepReport) -> None:
        """A step is done."""

    def validating(self, done: int, batches: int) -> None:
        """`done` of `batches` batches of the validation set have been read.

        Called after an epoch, within an epoch, or after a request to stop.
        """

    def validated(self, report: EpochReport) -> None:
        """A validation within an epoch is done. For that at the end of an epoch, `epoch_ended` is called."""

    def sampled(self, report: SampleReport) -> None:
        """Samples have been written within an epoch. For those at the end of an epoch, `epoch_ended` is called."""

    def epoch_ended(self, report: EpochReport) -> None:
        """An epoch is done and validated."""

    def model_saved(self, report: EpochReport) -> None:
        """The best model so far has been saved. This happens later if the disk was full at first."""

    def stopping(self) -> None:
        """The user has asked to stop the run. The current step is finished first."""

    def warned(self, sentence: str) -> None:
        """Something has gone wrong that does not end the run."""

    def ended(self, ending: Ending) -> None:
        """The run has ended. Its best model is saved, if there is one."""

    def compared(self, measurement: Measurement) -> None:
        """The loss of the best model on the validation set has been compared with what counting words reaches.

        Called after `ended`.
        """

    def recorded(self, folder: Path) -> None:
        """The record of the run, in its folder, is complete."""

    def page_written(self, page: Path) -> None:
        """The report on the run has been written as an HTML page."""

    def close(self) -> None:
        """The last event, regardless of how the run ended."""


class Observers(Observer):
    """An observer that passes each event on to several observers, one after another.

    They get only one event at a time. `stopping` comes from a thread of its own, and waits until the event before it is
    done. Without this, its sentence and a display that is being closed would mix on the screen.
    """

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = tuple(observers)
        self._passing = threading.RLock()


def _forwarding(event: str) -> Callable[..., None]:
    def forward(self: Observers, *arguments: object) -> None:
        with self._passing:
            for observer in self._observers:
                getattr(observer, event)(*arguments)

    return forward


for _event in [name for name in vars(Observer) if not name.startswith("_")]:
    setattr(Observers, _event, _forwarding(_event))
