"""The events of a run for other programs, as one JSON object per line. docs/watching.md lists the events."""

import json
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from wordgen.training.plan import Plan, plan_in_words
from wordgen.training.reports import Begun, Ending, EpochReport, Observer, SampleReport, Speed, StepReport

_SECONDS_BETWEEN_STEPS = 1


class JsonLog(Observer):
    """Prints each event as a line of JSON with its name (`event`) and its `time` in seconds since 1970.

    Of frequent events, like steps and the progress of a download, at most about one per second is printed. With
    `log_every`, the steps that it asks for are printed instead.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told_at = 0.0
        self._log_every: int | None = None

    def downloading(self, file: str, done: int, total: int) -> None:
        self._tell_now_and_then("fetching", done in (0, total), file=file, bytes=done, of=total)

    def encoding(self, done: int, size: int) -> None:
        self._tell_now_and_then("reading", done == size, bytes=done, of=size)

    def planned(self, plan: Plan) -> None:
        self._log_every = plan.settings.log_every
        self._tell(
            "planned",
            run=plan.run,
            folder=str(plan.folder),
            corpus=plan.text.corpus,
            parameters=plan.architecture.parameters,
            steps_per_epoch=plan.steps_per_epoch,
            epochs=plan.settings.epochs,
            plan=[list(line) for line in plan_in_words(plan)],
        )

    def indexing(self, done: int, size: int) -> None:
        self._tell_now_and_then("indexing", done == size, tokens=done, of=size)

    def begun(self, begun: Begun) -> None:
        self._tell(
            "begun",
            devices=begun.devices,
            precision=begun.precision,
            first_step=begun.first_step,
            last_step=begun.last_step,
        )

    def measured(self, begun: Begun, speed: Speed) -> None:
        self._tell("measured", last_step=begun.last_step, **asdict(speed))

    def stepped(self, report: StepReport) -> None:
        if self._log_every is None:
            self._tell_now_and_then("step", report.first, **asdict(report))
        elif report.first or report.step % self._log_every == 0:
            self._tell("step", **asdict(report))

    def validating(self, done: int, batches: int) -> None:
        self._tell_now_and_then("validating", False, done=done, of=batches)

    def validated(self, report: EpochReport) -> None:
        self._tell("validated", **asdict(report))

    def sampled(self, report: SampleReport) -> None:
        self._tell("samples", **asdict(report))

    def epoch_ended(self, report: EpochReport) -> None:
        self._tell("epoch", **asdict(report))

    def stopping(self) -> None:
        self._tell("stopping")

    def warned(self, sentence: str) -> None:
        self._tell("warning", sentence=sentence)

    def ended(self, ending: Ending) -> None:
        best = ending.best
        self._tell(
            "ended",
            reason=ending.reason,
            stopped=ending.stopped,
            model_kept=ending.model_kept,
            best_epoch=None if best is None else best.epoch,
            best_step=None if best is None else best.step,
            valid_perplexity=None if best is None else best.valid_perplexity,
            valid_perplexity_off=ending.off,
            unigram_perplexity=ending.unigram_perplexity,
            seconds=ending.seconds,
        )

    def page_written(self, page: Path) -> None:
        self._tell("page", path=str(page))

    def _tell_now_and_then(self, event: str, must: bool, **content: object) -> None:
        if must or time.monotonic() - self._told_at >= _SECONDS_BETWEEN_STEPS:
            self._told_at = time.monotonic()
            self._tell(event, **content)

    def _tell(self, event: str, **content: object) -> None:
        line = json.dumps({"event": event, "time": round(time.time(), 3), **content})
        self._console.print(line, markup=False, highlight=False, soft_wrap=True, emoji=False)
