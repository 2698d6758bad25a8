"""What TensorBoard shows of a run: curves, texts, word vectors, and its settings beside those of the others."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from wordgen.bundle import Weights
from wordgen.corpora.published import Split
from wordgen.dataset.encoding import Dataset
from wordgen.evaluation.in_words import shown_perplexity
from wordgen.evaluation.measures import Loss, predicted_symbols
from wordgen.training.event_file import EventFile, HParam
from wordgen.training.plan_words import plan_in_words
from wordgen.training.report_file import read_report
from wordgen.training.reports import Begun, EpochReport, Observer, Plan, Sample, StepReport, shown_duration

_EVERY = 10

# TensorBoard sorts by name, so the numbers put first what matters most.
PERPLEXITY = "1 quality/1 perplexity"
BITS = "1 quality/2 bits per character"
DISTINCT = "2 what it writes/distinct-2"
LONGEST_COPY = "2 what it writes/longest copy"
LOSS = "3 steps/loss"
LEARNING_RATE = "3 steps/learning rate"
GRADIENT_NORM = "3 steps/gradient norm"
SPEED = "4 time/tokens per second"
EPOCH_TIME = "4 time/seconds an epoch"
SAMPLES = "1 samples"
PLAN, REPORT = "2 plan", "3 report"


class TensorBoardWriter(Observer):
    """Writes three folders: the run's own has what there is but once; train and valid share their charts."""

    def __init__(
        self,
        plan: Plan,
        dataset: Dataset,
        settings: Mapping[str, HParam],
        weights: Callable[[], Weights],
        warn: Callable[[str], None],
    ) -> None:
        """`settings` are those that runs are compared by; `weights` gives the network's as they are."""
        self._plan, self._dataset, self._settings = plan, dataset, settings
        self._weights, self._warn = weights, warn
        self._files: dict[str, EventFile] = {}
        self._failed = False
        self._step = 0
        self._symbols, self._seconds = 0, 0.0

    def begun(self, begun: Begun) -> None:
        folder = self._plan.folder
        self._step = begun.first_step - 1
        with self._never_in_the_way():
            for part, place in (("run", folder), ("train", folder / "train"), ("valid", folder / "valid")):
                self._files[part] = EventFile(place, begun.first_step)
            if begun.first_step == 1:
                self._files["run"].hparams(self._plan.run, self._settings)
                lines = [f"{what:<14}{told}" for what, told in plan_in_words(self._plan)]
                self._files["run"].text(PLAN, "\n".join(lines), 0)

    def stepped(self, report: StepReport) -> None:
        self._step = report.step
        if not report.first:
            self._symbols += report.symbols
            self._seconds += report.seconds
        if report.step % _EVERY and report.step != 1:
            return
        with self._never_in_the_way():
            train = self._files["train"]
            train.number(LOSS, report.loss, report.step)
            train.number(LEARNING_RATE, report.learning_rate, report.step)
            train.number(GRADIENT_NORM, report.gradient_norm, report.step)
            if self._seconds:
                train.number(SPEED, self._symbols / self._seconds, report.step)
        self._symbols, self._seconds = 0, 0.0

    def epoch_ended(self, report: EpochReport) -> None:
        step = report.step
        with self._never_in_the_way():
            train = self._files["train"]
            train.number(PERPLEXITY, report.train_perplexity, step)
            train.number(BITS, self._bits("train", report.train_perplexity), step)
            train.number(EPOCH_TIME, report.seconds, step)
        with self._never_in_the_way():
            valid = self._files["valid"]
            valid.number(PERPLEXITY, report.valid_perplexity, step)
            valid.number(BITS, self._bits("valid", report.valid_perplexity), step)
            if report.distinct_2 is not None:
                valid.number(DISTINCT, report.distinct_2, step)
            if report.longest_copy is not None:
                valid.number(LONGEST_COPY, report.longest_copy, step)
        with self._never_in_the_way():
            run = self._files["run"]
            for sample in report.samples:
                run.text(_sample_tag(sample), sample.text, step)
            if self._plan.settings.histograms:
                for name, values in self._weights().items():
                    run.histogram(name, values, step)

    def page_written(self, page: Path) -> None:
        """Now the report says how mere counting does on the same text."""
        with self._never_in_the_way():
            run = self._files["run"]
            run.text(REPORT, "\n".join(_report_in_words(read_report(page.parent))), self._step)

    def close(self) -> None:
        for file in self._files.values():
            with self._never_in_the_way():
                file.close()
        self._files = {}

    def _bits(self, split: Split, perplexity: float) -> float:
        loss = Loss(math.log(perplexity) * self._predicted[split], self._predicted[split])
        return loss.bits_per(self._plan.statistics[split].all_characters)

    @cached_property
    def _predicted(self) -> Mapping[Split, int]:
        return {split: predicted_symbols(ids) for split, ids in self._dataset.ids.items()}

    @contextmanager
    def _never_in_the_way(self) -> Iterator[None]:
        """Curves that cannot be written (a full disk) are no reason to end a training: that is told once."""
        try:
            yield
        except Exception as error:
            if not self._failed:
                self._failed = True
                self._warn(f"The curves for TensorBoard cannot be written: {error}.")


def _sample_tag(sample: Sample) -> str:
    begins = f"from {sample.seed}" if sample.seed else "begun anew"
    return f"{SAMPLES}/{'greedy' if sample.mode == 'greedy' else 'sampled'} {begins}"


def _report_in_words(report: Mapping[str, Any]) -> Iterator[str]:
    yield f"{report['run']}: {report['ended']}, after {shown_duration(report['seconds'])}"
    valid = report.get("valid") or {}
    ngram = valid.get("kneser_ney") or {"order": ""}
    counted = {"word frequencies": valid.get("unigram"), f"Kneser-Ney {ngram['order']}-gram": valid.get("kneser_ney")}
    named = {"its model": valid, **counted}
    for name, found in named.items():
        if found:
            bits = f"{found['bits_per_character']:.3f} bits per character"
            yield f"{name:<18}valid perplexity {shown_perplexity(found['perplexity'])}, {bits}"
    if report.get("best_epoch") is not None:
        yield f"The model is that of epoch {report['best_epoch']}."
