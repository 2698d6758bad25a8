"""What lies there of a sweep's runs: which are over, which go on, and what came out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from wordgen.bundle import is_bundle, load_bundle
from wordgen.errors import BundleError, SettingError, WordgenError
from wordgen.evaluation.stream import network_loss
from wordgen.evaluation.watcher import Watcher
from wordgen.generation.step import NumpyNetwork
from wordgen.lab.planning import PlannedRun
from wordgen.run_names import is_run
from wordgen.run_settings import TrainSettings, is_of_one_run
from wordgen.settings import flag_name
from wordgen.text_to_measure import Origin, text_to_measure
from wordgen.training.report_file import read_report

Standing = Literal["missing", "broken off", "over", "diverged"]
DIVERGED = "diverged"
"""What is noted of a run that did."""
_NOT_THE_END = (None, "stopped")


@dataclass(frozen=True)
class Found:
    """What the report of a run says."""

    standing: Standing
    valid: tuple[float, ...] = ()
    """Perplexities, epoch by epoch."""
    best: float | None = None
    seconds: float = 0.0
    """Those of its epochs, over all its starts."""
    test: float | None = None
    at_last_epoch: bool = False
    """Whether it has come to the last epoch that it may have."""
    steps: int = 0
    """How many it has learned in."""


def look(run: PlannedRun) -> Found:
    """What there is of a run; one that has other settings than the sweep is no part of it, which is refused."""
    if not is_run(run.name):
        return Found("missing")
    report = read_report(run.folder)
    _check_same(run, report)
    epochs = report["epochs"]
    return Found(
        _standing(report, run.plan.architecture.vocabulary_size),
        valid=tuple(float(epoch["valid_perplexity"]) for epoch in epochs),
        best=report.get("valid_perplexity"),
        seconds=sum(float(epoch["seconds"]) for epoch in epochs),
        at_last_epoch=len(epochs) == run.settings.epochs,
        steps=epochs[-1]["step"] if epochs else 0,
    )


def _standing(report: dict[str, Any], vocabulary_size: int) -> Standing:
    """A run whose model is worse than guessing evenly among all symbols has blown up as well, if not beyond numbers."""
    ended, best = report.get("ended"), report.get("valid_perplexity")
    if ended in _NOT_THE_END:
        return "broken off"
    return "diverged" if ended == "diverged" or (best is not None and best > vocabulary_size) else "over"


def _check_same(run: PlannedRun, report: dict[str, Any]) -> None:
    another = "Give the sweep another --name, or put the folder away."
    began = TrainSettings.from_mapping(report["settings"]).to_mapping()
    for name, wanted in run.settings.to_mapping().items():
        settled = is_of_one_run(name) or name == "recipe" or (name == "precision" and wanted == "auto")
        if not settled and began[name] != wanted:
            raise SettingError(
                f"{run.folder} was begun with {flag_name(name)} {began[name]}, and the sweep has {wanted}. {another}"
            )
    if report["dataset"]["fingerprint"] != run.plan.fingerprint:
        raise SettingError(f"{run.folder} was begun with another text of {run.plan.corpus}. {another}")


def with_test(run: PlannedRun, found: Found) -> Found:
    """With the perplexity of its model on the test part, where it has both."""
    if not is_bundle(run.folder):
        return found
    try:
        bundle = load_bundle(run.folder)
        text = text_to_measure(Origin.beside(run.folder), bundle, "test", Watcher())
        loss = network_loss(NumpyNetwork(bundle.architecture, bundle.weights), text.ids)
    except WordgenError:  # as a test part that is too short
        return found
    return replace(found, test=loss.perplexity)


def check_all(runs: Sequence[PlannedRun]) -> list[Found]:
    """What there is of all runs, before any goes on."""
    found: list[Found] = []
    for run in runs:
        try:
            found.append(look(run))
        except BundleError as error:
            raise BundleError(
                f"{str(error).rstrip('.')}. Remove the folder {run.folder} to have it trained anew."
            ) from error
    return found
