"""report.json beside a bundle: everything about the run that a person or a script may ask later."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wordgen.bundle import HeadStart
from wordgen.errors import BundleError, SettingError, StorageError, reason_of
from wordgen.files import read_json, write_whole
from wordgen.training.reports import Begun, Ending, EpochReport, Observer, Plan

REPORT = "report.json"
_FORMAT = 2
_LARGEST = 2**28


def read_report(folder: Path) -> dict[str, Any]:
    try:
        report = read_json(folder / REPORT, _LARGEST)
        if report["format"] != _FORMAT:
            raise BundleError(
                f"The report in {folder} has format {report['format']!r}, and this wordgen reads {_FORMAT}."
            )
        _check_kinds(report, _KINDS, "it")
        _ = report["settings"]["corpus"], report["dataset"]["fingerprint"]
        if report["head_start"] is not None:
            HeadStart.from_mapping(report["head_start"])
    except (OSError, ValueError, KeyError, TypeError, SettingError) as error:
        raise BundleError(
            f"The report in {folder} cannot be read ({reason_of(error)}): without it the run can neither be resumed "
            "nor its text found again."
        ) from error
    return report


_NUMBER: Any = (int, float)
_TEXT_OR_NOTHING: Any = (str, type(None))
_COUNTS = {"units": int, "symbols": int, "unknown": int, "characters": int, "spelled?": int, "letters?": int}
_KINDS: dict[str, Any] = {
    "epochs": [
        {
            "epoch": int, "step": int, "train_perplexity": _NUMBER, "valid_perplexity": _NUMBER, "seconds": _NUMBER,
            "samples": [{"mode": str, "text": str, "seed?": _TEXT_OR_NOTHING}], "best?": bool, "averaged?": bool,
        }
    ],
    "settings": dict,
    "dataset": {
        "fingerprint": str, "types?": int, "vocabulary?": int, "special_symbols?": int,
        "splits": {"train": _COUNTS, "valid": _COUNTS, "test": _COUNTS},
    },
    "text?": {
        "corpus?": str, "source?": str, "tokenizer?": str, "unit?": str, "line_breaks?": str, "notes?": [str],
    },
    "architecture": dict,
    "head_start": (dict, type(None)),
    "parameters?": int,
    "steps_per_epoch": int,
    "ended": _TEXT_OR_NOTHING,
    "best_epoch?": (int, type(None)),
    "valid_perplexity?": (int, float, type(None)),
    "unigram_perplexity?": (int, float, type(None)),
    "seconds?": _NUMBER,
    "word_to_try?": _TEXT_OR_NOTHING,
    "devices?": str,
    "recipe?": _TEXT_OR_NOTHING,
    "began?": str,
    "wordgen?": str,
}  # fmt: skip
"""What each part of a report is: a list of such, a table of such, or a plain kind; what has a ? may be missing."""


def _check_kinds(value: Any, kind: Any, where: str) -> None:
    """Files that a stranger has written may have anything in their places."""
    if isinstance(kind, dict) and isinstance(value, dict):
        for name, inner in kind.items():
            if name.removesuffix("?") in value or not name.endswith("?"):
                _check_kinds(value[name.removesuffix("?")], inner, name.removesuffix("?"))
    elif isinstance(kind, list) and isinstance(value, list):
        for each in value:
            _check_kinds(each, kind[0], where)
    elif isinstance(kind, dict | list) or not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{where} is of the wrong kind")


class ReportFile(Observer):
    """Written anew after every epoch, so that a run that was cut short has its report too."""

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self._path = folder / REPORT
        self._content: dict[str, Any] = {"epochs": [], **facts, "format": _FORMAT, "ended": None}

    @property
    def content(self) -> Mapping[str, Any]:
        return self._content

    def planned(self, plan: Plan) -> None:
        self._content["dataset"] = {
            "fingerprint": plan.fingerprint,
            "types": plan.types,
            "vocabulary": plan.architecture.vocabulary_size,
            "special_symbols": plan.special_symbols,
            "splits": {split: asdict(statistics) for split, statistics in plan.statistics.items()},
        }
        self._content["text"] = {
            "corpus": plan.corpus,
            "source": plan.source,
            "tokenizer": plan.tokenizer,
            "unit": plan.unit,
            "line_breaks": plan.line_breaks,
            "fold_width": plan.fold_width,
            "notes": list(plan.notes),
        }
        self._content["recipe"] = plan.recipe
        self._content["architecture"] = plan.architecture.to_mapping()
        self._content["head_start"] = None if plan.head_start is None else plan.head_start.to_mapping()
        self._content["parameters"] = plan.architecture.parameters
        self._content["steps_per_epoch"] = plan.steps_per_epoch
        self._write()

    def begun(self, begun: Begun) -> None:
        self._content["devices"] = begun.devices
        best = next((each for each in reversed(begun.done) if each.best), None)
        if best is not None:  # the model was saved before the checkpoint that says so
            self._set_best(best)

    def epoch_ended(self, report: EpochReport) -> None:
        # A run that was killed or stopped goes over some of its steps again: what it then says stands.
        before = [epoch for epoch in self._content["epochs"] if epoch["epoch"] < report.epoch]
        self._content["epochs"] = [*before, asdict(report)]
        self._write_if_there_is_room()

    def model_saved(self, report: EpochReport) -> None:
        """What is told of the best epoch is told of the model, so it waits for that."""
        self._set_best(report)
        self._write_if_there_is_room()

    def ended(self, ending: Ending) -> None:
        self._content["ended"] = ending.reason
        self._content["seconds"] = ending.seconds
        self._content["unigram_perplexity"] = ending.unigram_perplexity
        self._content["word_to_try"] = ending.word_to_try
        self._write()

    def diverged(self) -> None:
        """It ended without an ending."""
        self._content["ended"] = "diverged"
        self._write()

    def compared(self, part: str, entry: Mapping[str, Any]) -> None:
        """How the model does on a part of the text, beside mere counting."""
        self._content[part] = dict(entry)
        self._write()

    def _set_best(self, report: EpochReport) -> None:
        self._content["best_epoch"] = report.epoch
        self._content["valid_perplexity"] = report.valid_perplexity

    def _write_if_there_is_room(self) -> None:
        """The model's keeper warns of the same disk, and the report is written again at the end."""
        with suppress(StorageError):
            self._write()

    def _write(self) -> None:
        write_whole(self._path, json.dumps(self._content, ensure_ascii=False, allow_nan=False, indent=1).encode())
