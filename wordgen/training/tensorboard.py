"""What TensorBoard shows: curves, texts, word vectors, and the settings of each run for comparison."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from wordgen.corpus.catalogue import Split
from wordgen.dataset.dataset import Dataset
from wordgen.evaluation.figures import shown_duration, shown_perplexity
from wordgen.evaluation.measurement import Loss, Measurement, predicted_tokens
from wordgen.files import write_whole
from wordgen.model.bundle import Bundle, Weights
from wordgen.training.plan import Plan, plan_in_words
from wordgen.training.reports import Begun, Ending, EpochReport, Observer, Sample, SampleReport, StepReport

if TYPE_CHECKING:  # TensorBoard takes long to import
    from wordgen.training.event_file import EventFile, HParam

_EVERY = 10

# TensorBoard sorts by name. The numbers put the most important charts first.
PERPLEXITY = "1 quality/1 perplexity"
BITS = "1 quality/2 bits per character"
DISTINCT = "2 generated text/distinct-2"
LONGEST_COPY = "2 generated text/longest match"
LOSS = "3 steps/loss"
LEARNING_RATE = "3 steps/learning rate"
GRADIENT_NORM = "3 steps/gradient norm"
SPEED = "4 time/tokens per second"
EPOCH_TIME = "4 time/seconds per epoch"
SAMPLES = "1 samples"
PLAN, REPORT = "2 plan", "3 report"
_NOT_OF_VALIDATIONS = (LOSS, LEARNING_RATE, GRADIENT_NORM, SPEED, PLAN, REPORT)


class TensorBoardWriter(Observer):
    """Writes event files to three folders: the folder of the run, and in it `train` and `valid`.

    The curves of `train` and `valid` appear in the same charts. Everything that exists once per run, like settings and
    samples, is in the folder of the run.
    """

    def __init__(
        self,
        plan: Plan,
        dataset: Dataset,
        settings: "Mapping[str, HParam]",
        weights: Callable[[], Weights],
        warn: Callable[[str], None],
    ) -> None:
        """`settings` are those by which runs are compared. `weights` returns the current weights of the network."""
        self._plan, self._dataset, self._settings = plan, dataset, settings
        self._weights, self._warn = weights, warn
        self._files: dict[str, EventFile] = {}
        self._failed = False
        self._ending: Ending | None = None
        self._step = 0
        self._tokens, self._seconds = 0, 0.0

    def begun(self, begun: Begun) -> None:
        folder = self._plan.folder
        self._step = begun.first_step - 1
        with self._warning_on_error():
            from wordgen.training.event_file import EventFile

            for part, place in (("run", folder), ("train", folder / "train"), ("valid", folder / "valid")):
                self._files[part] = EventFile(place, begun.first_step, partial(_is_stale, begun))
            if begun.first_step == 1:
                self._files["run"].hparams(self._plan.run, self._settings)
                lines = [f"{what:<14}{text}" for what, text in plan_in_words(self._plan)]
                self._files["run"].text(PLAN, "\n".join(lines), 0)

    def stepped(self, report: StepReport) -> None:
        self._step = report.step
        if not report.first:
            self._tokens += report.tokens
            self._seconds += report.seconds
        if report.step % (self._plan.settings.log_every or _EVERY) and report.step != 1:
            return
        speed = self._tokens / self._seconds if self._seconds else None
        numbers = {LOSS: report.loss, LEARNING_RATE: report.learning_rate, GRADIENT_NORM: report.gradient_norm}
        self._write("train", report.step, {**numbers, SPEED: speed})
        self._tokens, self._seconds = 0, 0.0

    def epoch_ended(self, report: EpochReport) -> None:
        step, perplexity = report.step, report.train_perplexity
        bits = self._bits("train", perplexity)
        self._write("train", step, {PERPLEXITY: perplexity, BITS: bits, EPOCH_TIME: report.seconds})
        self.validated(report)
        self.sampled(report)
        with self._warning_on_error():
            if self._plan.settings.histograms:
                for name, values in self._weights().items():
                    self._files["run"].histogram(name, values, step)

    def validated(self, report: EpochReport) -> None:
        perplexity = report.valid_perplexity
        self._write("valid", report.step, {PERPLEXITY: perplexity, BITS: self._bits("valid", perplexity)})

    def sampled(self, report: SampleReport) -> None:
        self._write("valid", report.step, {DISTINCT: report.distinct_2, LONGEST_COPY: report.longest_copy})
        with self._warning_on_error():
            for sample in report.samples:
                self._files["run"].text(_sample_tag(sample), sample.text, report.step)

    def ended(self, ending: Ending) -> None:
        self._ending = ending

    def compared(self, measurement: Measurement) -> None:
        if self._ending is not None:
            with self._warning_on_error():
                lines = _report_in_words(self._plan.run, self._ending, measurement)
                self._files["run"].text(REPORT, "\n".join(lines), self._step)

    def close(self) -> None:
        for file in self._files.values():
            with self._warning_on_error():
                file.close()
        self._files = {}

    def _write(self, part: str, step: int, numbers: Mapping[str, float | None]) -> None:
        with self._warning_on_error():
            for tag, number in numbers.items():
                if number is not None:
                    self._files[part].number(tag, number, step)

    def _bits(self, split: Split, perplexity: float) -> float:
        loss = Loss(math.log(perplexity) * self._predicted[split], self._predicted[split])
        return loss.bits_per(self._plan.dataset.splits[split].all_characters)

    @cached_property
    def _predicted(self) -> Mapping[Split, int]:
        return {split: predicted_tokens(ids) for split, ids in self._dataset.ids.items()}

    @contextmanager
    def _warning_on_error(self) -> Iterator[None]:
        """Catch all errors, so that a failure to write curves (a full disk) does not end the training. Warn once."""
        try:
            yield
        except Exception as error:
            if not self._failed:
                self._failed = True
                self._warn(f"The curves for TensorBoard cannot be written: {error}.")


def _is_stale(begun: Begun, tag: str, step: int) -> bool:
    """Return whether an event is from a validation or from samples that a resumed run does not know.

    They were only made because the run was stopped before it had a model.
    """
    known = max((each.step for each in (*begun.done, *begun.validations)), default=0)
    if tag in (DISTINCT, LONGEST_COPY) or tag.startswith(SAMPLES):
        known = max(known, begun.sampled)
    return step > known and tag not in _NOT_OF_VALIDATIONS


def _sample_tag(sample: Sample) -> str:
    begins = f"with prompt {sample.seed}" if sample.seed else "without prompt"
    return f"{SAMPLES}/{'greedy' if sample.mode == 'greedy' else 'sampled'} {begins}"


def _report_in_words(run: str, ending: Ending, measurement: Measurement) -> Iterator[str]:
    yield f"{run}: {ending.reason}, after {shown_duration(ending.seconds)}"
    for name, loss in measurement.losses():
        bits = f"{loss.bits_per(measurement.characters):.3f} bits per character"
        yield f"{name:<26}validation perplexity {shown_perplexity(loss.perplexity)}, {bits}"
    if ending.best is not None:
        yield f"The saved model is from {ending.best.place}."


_CONFIG = "projector_config.pbtxt"
_VECTORS = "word_vectors.tsv"
_WORDS = "words.tsv"
_CONFIGURATION = f'embeddings {{ tensor_name: "words" tensor_path: "{_VECTORS}" metadata_path: "{_WORDS}" }}'
_MOST_WORDS = 10_000
"""A browser is slow to show more words than this."""


def write_projector(bundle: Bundle, folder: Path) -> None:
    """Write the vectors of the most frequent words (at most 10,000), and their counts in the training text."""
    vectors = bundle.weights["embedding"][:_MOST_WORDS].tolist()
    words = zip(bundle.vocabulary.tokens, bundle.vocabulary.counts, strict=True)
    lines = [f"{_in_one_cell(token)}\t{count}" for token, count in islice(words, _MOST_WORDS)]
    folder.mkdir(parents=True, exist_ok=True)
    # Write the numbers as text, not as bytes: TensorBoard 2.21 may mistake a file of bytes for text.
    _write_lines(folder / _VECTORS, ("\t".join(map("%.4g".__mod__, vector)) for vector in vectors))
    _write_lines(folder / _WORDS, ["word\tcount", *lines])
    _write_lines(folder / _CONFIG, [_CONFIGURATION])


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    write_whole(path, "".join(line + "\n" for line in lines).encode("utf-8", "replace"))


def _in_one_cell(token: str) -> str:
    """Return a token with backslashes, line breaks and tabs escaped, because it must fit in one cell of a table."""
    return token.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
