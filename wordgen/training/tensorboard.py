"""Writes what TensorBoard shows: curves while it learns, samples as text."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from wordgen.training.reports import EpochReport, Observer, StepReport

_EVERY = 10


class TensorBoardWriter(Observer):
    """Two writers, so that the perplexities of train and valid share one chart."""

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._warned = False
        self._train = self._valid = tf.summary.create_noop_writer()
        with self._never_in_the_way():
            self._train = tf.summary.create_file_writer(str(folder / "train"))
            self._valid = tf.summary.create_file_writer(str(folder / "valid"))
        self._symbols, self._seconds = 0, 0.0

    def stepped(self, report: StepReport) -> None:
        if not report.first:
            self._symbols += report.symbols
            self._seconds += report.seconds
        if report.step % _EVERY and report.step != 1:
            return
        with self._never_in_the_way(), self._train.as_default(report.step):
            tf.summary.scalar("loss", report.loss)
            tf.summary.scalar("learning_rate", report.learning_rate)
            tf.summary.scalar("gradient_norm", report.gradient_norm)
            if self._seconds:
                tf.summary.scalar("tokens_per_second", self._symbols / self._seconds)
        self._symbols, self._seconds = 0, 0.0

    def epoch_ended(self, report: EpochReport) -> None:
        with self._never_in_the_way(), self._train.as_default(report.step):
            tf.summary.scalar("perplexity", report.train_perplexity)
            self._train.flush()
        with self._never_in_the_way(), self._valid.as_default(report.step):
            tf.summary.scalar("perplexity", report.valid_perplexity)
            for sample in report.samples:
                # Four spaces make it a block of plain text: nothing of the sample is taken for markup.
                quoted = "\n".join("    " + line for line in sample.text.split("\n"))
                tf.summary.text(f"sample/{sample.mode}", quoted)
            self._valid.flush()

    def close(self) -> None:
        for writer in (self._train, self._valid):
            with self._never_in_the_way():
                writer.close()

    @contextmanager
    def _never_in_the_way(self) -> Iterator[None]:
        """Curves that cannot be written (a full disk) are no reason to end a training."""
        try:
            yield
        except tf.errors.OpError as error:
            if not self._warned:
                self._warned = True
                self._warn(f"The curves for TensorBoard cannot be written: {error.message}.")
