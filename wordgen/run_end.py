"""How a run ends: what is told of it, its page, and what the caller of `train` gets."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.bundle import is_bundle, load_bundle
from wordgen.dataset.encoding import Dataset
from wordgen.errors import DivergedError, WordgenError
from wordgen.evaluation.baselines import unigram_perplexity
from wordgen.evaluation.counting import beside_counting, valid_loss, valid_nats
from wordgen.evaluation.in_words import perplexity_in_words, shown_perplexity
from wordgen.evaluation.verdict import still_falling
from wordgen.generation.trained import word_to_try
from wordgen.page.markup import element, joined
from wordgen.page.measured import model_step
from wordgen.page.writing import write_page
from wordgen.run_folder import RunFolder
from wordgen.run_plan import PreparedRun
from wordgen.training.projector import write_projector
from wordgen.training.report_file import ReportFile
from wordgen.training.reports import Ending, EpochReport, Observer, Outcome, Plan, warner


@dataclass(frozen=True, repr=False)
class Run:
    """What a training left behind."""

    folder: Path
    epochs: tuple[EpochReport, ...]
    ending: Ending

    def __repr__(self) -> str:
        best = self.ending.best
        told = "no model"
        if best is not None:
            told = f"valid perplexity {perplexity_in_words(best.valid_perplexity, self.ending.off)}"
        return f"Run({str(self.folder)!r}, epochs={len(self.epochs)}, {told})"

    def _repr_html_(self) -> str:
        """For a notebook: its epochs, and where it lies."""
        best = self.ending.best
        head = element("tr", *(element("th", name) for name in ("epoch", "train perplexity", "valid perplexity", "")))
        rows = [
            element("tr", *(element("td", cell) for cell in (*_cells(each), "best" if each == best else "")))
            for each in self.epochs
        ]
        return joined(element("p", repr(self)), element("table", head, *rows))


def _cells(epoch: EpochReport) -> tuple[str, str, str]:
    return str(epoch.epoch), shown_perplexity(epoch.train_perplexity), shown_perplexity(epoch.valid_perplexity)


def report_file(plan: Plan, facts: dict[str, Any]) -> ReportFile:
    report = ReportFile(plan.folder, facts)
    report.planned(plan)
    return report


@contextmanager
def telling_of_divergence(prepared: PreparedRun, report: ReportFile | None) -> Iterator[None]:
    """A run that diverged has no ending, but if a model was kept before, it has a page."""
    try:
        yield
    except DivergedError:
        if report is not None and is_bundle(prepared.plan.folder):
            with suppress(Exception):  # the divergence is what must be told
                report.diverged()
                _write_page(prepared, report, valid_nats(prepared.dataset, prepared.plan.folder))
        raise


def end_run(
    outcome: Outcome,
    prepared: PreparedRun,
    folder: RunFolder | None,
    observers: Sequence[Observer],
    report: ReportFile | None,
) -> Run:
    plan, dataset = prepared.plan, prepared.dataset
    kept = folder is not None and folder.kept and is_bundle(plan.folder)
    nats = _valid_nats(prepared) if kept and report is not None else None
    ending = Ending(
        reason=outcome.reason,
        stopped=outcome.stopped,
        model_kept=kept,
        best=outcome.best,
        unigram_perplexity=_unigram(dataset),
        word_to_try=word_to_try(dataset.codec),
        seconds=time.monotonic() - prepared.began,
        still_falling=still_falling(
            [each.valid_perplexity for each in outcome.epochs],
            broken_off=any(each.step < each.epoch * plan.steps_per_epoch for each in outcome.epochs[-1:]),
        ),
        off=None if outcome.best is None else valid_loss(dataset, outcome.best.valid_perplexity, nats).off,
    )
    for observer in observers:
        observer.ended(ending)
    if report is not None and ending.model_kept:
        _add_word_vectors(plan, observers)
        _add_page(prepared, report, nats, observers)
    return Run(plan.folder, outcome.epochs, ending)


def _valid_nats(prepared: PreparedRun) -> NDArray[np.float64] | None:
    """What the best model makes of the valid part; nothing where it cannot be read, as the page will tell."""
    try:
        return valid_nats(prepared.dataset, prepared.plan.folder)
    except WordgenError:
        return None


def _add_word_vectors(plan: Plan, observers: Sequence[Observer]) -> None:
    """Those of the best model, for TensorBoard."""
    try:
        write_projector(load_bundle(plan.folder), plan.folder / "valid")
    except Exception as error:
        warner(observers)(f"The word vectors for TensorBoard are not written. {error}")


def _add_page(
    prepared: PreparedRun, report: ReportFile, nats: NDArray[np.float64] | None, observers: Sequence[Observer]
) -> None:
    """The page of a run that has ended; whatever goes wrong with it, model and report are there already."""
    try:
        page = _write_page(prepared, report, nats)
    except Exception as error:
        warner(observers)(f"The page about the run is not written. {error}")
        return
    for observer in observers:
        observer.page_written(page)


def _write_page(prepared: PreparedRun, report: ReportFile, nats: NDArray[np.float64] | None) -> Path:
    """Compare the best model with counting on the valid part, and write all that is known onto the page."""
    perplexity, step = report.content.get("valid_perplexity"), model_step(report.content)
    if perplexity is not None and step is not None:
        report.compared("valid", {"step": step, **beside_counting(prepared.dataset, perplexity, nats)})
    return write_page(prepared.plan.folder)


def _unigram(dataset: Dataset) -> float:
    return unigram_perplexity(dataset.ids["train"], dataset.ids["valid"], len(dataset.codec.vocabulary))
