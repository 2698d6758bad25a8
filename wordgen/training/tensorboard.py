"""What TensorBoard shows: curves, texts, word vectors, and the settings of each run for comparison."""

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from wordgen.corpus.catalogue import Split
from wordgen.dataset.dataset import Dataset
from wordgen.evaluation.figures import shown_duration, shown_perplexity
from wordgen.evaluation.measurement import Loss, Measurement, predicted_tokens
from wordgen.files import write_atomically
from wordgen.model.bundle import Bundle, Weights
from wordgen.training.plan import Plan, plan_in_words
from wordgen.training.reports import Ending, EpochReport, Observer, Sample, SampleReport, StepReport, TrainingStart

if TYPE_CHECKING:  # a run that is only reported again needs no TensorBoard
    from wordgen.training.event_file import EventFile, HParam

_DEFAULT_LOG_EVERY = 10

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
_TAGS_WITHOUT_VALIDATION = (LOSS, LEARNING_RATE, GRADIENT_NORM, SPEED, PLAN, REPORT)


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

    def begun(self, start: TrainingStart) -> None:
        folder = self._plan.folder
        self._step = start.first_step - 1
        with self._errors_as_warnings():
            from wordgen.training.event_file import EventFile

            for part, part_folder in (("run", folder), ("train", folder / "train"), ("valid", folder / "valid")):
                self._files[part] = EventFile(part_folder, start.first_step, _is_stale_in(start))
            if start.first_step == 1:
                self._files["run"].hparams(self._plan.run, self._settings)
                lines = [f"{subject:<14}{text}" for subject, text in plan_in_words(self._plan)]
                self._files["run"].text(PLAN, "\n".join(lines), 0)

    def stepped(self, report: StepReport) -> None:
        self._step = report.step
        if not report.first:
            self._tokens += report.tokens
            self._seconds += report.seconds
        if report.step % (self._plan.settings.log_every or _DEFAULT_LOG_EVERY) and report.step != 1:
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
        with self._errors_as_warnings():
            if self._plan.settings.histograms:
                for name, values in self._weights().items():
                    self._files["run"].histogram(name, values, step)

    def validated(self, report: EpochReport) -> None:
        perplexity = report.valid_perplexity
        self._write("valid", report.step, {PERPLEXITY: perplexity, BITS: self._bits("valid", perplexity)})

    def sampled(self, report: SampleReport) -> None:
        self._write("valid", report.step, {DISTINCT: report.distinct_2, LONGEST_COPY: report.longest_copy})
        with self._errors_as_warnings():
            for sample in report.samples:
                self._files["run"].text(_sample_tag(sample), sample.text, report.step)

    def ended(self, ending: Ending) -> None:
        self._ending = ending

    def compared(self, measurement: Measurement) -> None:
        if self._ending is not None:
            with self._errors_as_warnings():
                lines = _describe_result(self._plan.run, self._ending, measurement)
                self._files["run"].text(REPORT, "\n".join(lines), self._step)

    def close(self) -> None:
        for file in self._files.values():
            with self._errors_as_warnings():
                file.close()
        self._files = {}

    def _write(self, part: str, step: int, numbers: Mapping[str, float | None]) -> None:
        with self._errors_as_warnings():
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
    def _errors_as_warnings(self) -> Generator[None]:
        """Catch all errors, so that a failure to write curves (a full disk) does not end the training. Warn once."""
        try:
            yield
        except Exception as error:
            if not self._failed:
                self._failed = True
                self._warn(f"The curves for TensorBoard cannot be written: {error}.")


def _is_stale_in(start: TrainingStart) -> Callable[[str, int], bool]:
    """Return a function that says whether an event is from a validation or samples that a resumed run does not know.

    They were only made because the run was stopped before it had a model.
    """
    last_validation = max((each.step for each in (*start.finished_epochs, *start.validations)), default=0)
    last_sample = max(last_validation, start.last_sample_step)

    def is_stale(tag: str, step: int) -> bool:
        is_of_samples = tag in (DISTINCT, LONGEST_COPY) or tag.startswith(SAMPLES)
        return tag not in _TAGS_WITHOUT_VALIDATION and step > (last_sample if is_of_samples else last_validation)

    return is_stale


def _sample_tag(sample: Sample) -> str:
    begins = f"with prompt {sample.seed}" if sample.seed else "without prompt"
    return f"{SAMPLES}/{'greedy' if sample.mode == 'greedy' else 'sampled'} {begins}"


def _describe_result(run: str, ending: Ending, measurement: Measurement) -> Iterator[str]:
    yield f"{run}: {ending.reason}, after {shown_duration(ending.seconds)}"
    for name, loss in measurement.losses():
        bits = f"{loss.bits_per(measurement.characters):.3f} bits per character"
        yield f"{name:<26}validation perplexity {shown_perplexity(loss.perplexity)}, {bits}"
    if ending.best is not None:
        yield f"The saved model is from {ending.best.label}."


_CONFIG_FILE = "projector_config.pbtxt"
_VECTORS_FILE = "word_vectors.tsv"
_WORDS_FILE = "words.tsv"
_CONFIG_TEXT = f'embeddings {{ tensor_name: "words" tensor_path: "{_VECTORS_FILE}" metadata_path: "{_WORDS_FILE}" }}'
_MAX_WORDS = 10_000
"""A browser is slow to show more words than this."""


def write_projector(bundle: Bundle, folder: Path) -> None:
    """Write the vectors of the most frequent words (at most 10,000), and their counts in the training text."""
    vectors = bundle.weights["embedding"][:_MAX_WORDS].tolist()
    words = zip(bundle.vocabulary.tokens, bundle.vocabulary.counts, strict=True)
    lines = [f"{_in_one_cell(token)}\t{count}" for token, count in islice(words, _MAX_WORDS)]
    folder.mkdir(parents=True, exist_ok=True)
    # Write the numbers as text, not as bytes: TensorBoard 2.21 may mistake a file of bytes for text.
    _write_lines(folder / _VECTORS_FILE, ("\t".join(map("%.4g".__mod__, vector)) for vector in vectors))
    _write_lines(folder / _WORDS_FILE, ["word\tcount", *lines])
    _write_lines(folder / _CONFIG_FILE, [_CONFIG_TEXT])


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    write_atomically(path, "".join(line + "\n" for line in lines).encode("utf-8", "replace"))


def _in_one_cell(token: str) -> str:
    """Return a token with backslashes, line breaks and tabs escaped, because it must fit in one cell of a table."""
    return token.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
