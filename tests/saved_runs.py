"""Runs in saved_models as a training leaves them, without one."""

import json
import os
from pathlib import Path
from typing import Any

from tests.test_bundle import make_bundle
from wordgen.bundle import save_bundle
from wordgen.page.measured import keep_measured
from wordgen.run_names import SAVED_MODELS
from wordgen.run_settings import TrainSettings

SPLIT = {"units": 8, "symbols": 532, "unknown": 53, "characters": 2259, "spelled": 0, "letters": 0}


def make_run(name: str, *, model: bool = True, test: float | None = None, age: float = 0, **report: Any) -> Path:
    """A run of three epochs; what is not as usual in its report is given by name."""
    folder = SAVED_MODELS / name
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(made_report(**report)))
    if model:
        save_bundle(make_bundle(), folder)
    if test is not None:
        keep_measured(folder, "test", score(test))
    for path in folder.iterdir():
        time = path.stat().st_mtime - age
        os.utime(path, (time, time))
    return folder


def make_runs(*names: str) -> None:
    for name in names:
        make_run(name)


def made_report(valid: float = 31.21, bits: float | None = None, **more: Any) -> dict[str, Any]:
    """`settings` are those that are not as by default."""
    settings = TrainSettings(**{"corpus": "tale", "layers": 2, "units": 4, **more.pop("settings", {})})
    return {
        "format": 2,
        "head_start": None,
        "epochs": [_epoch(1, 2 * valid), _epoch(2, valid), _epoch(3, valid + 2.5)],
        "settings": settings.to_mapping(),
        "ended": "no better for 3 epochs",
        "dataset": {
            "fingerprint": "f",
            "types": 1877,
            "vocabulary": 770,
            "splits": {part: dict(SPLIT) for part in ("train", "valid", "test")},
        },
        "architecture": make_bundle().architecture.to_mapping(),
        "parameters": make_bundle().architecture.parameters,
        "steps_per_epoch": 10,
        "best_epoch": 2,
        "valid_perplexity": valid,
        "word_to_try": "The",
        **({} if bits is None else {"valid": score(valid, bits)}),
        **more,
    }


def score(perplexity: float, bits: float = 1.25) -> dict[str, Any]:
    return {"step": 20, "perplexity": perplexity, "bits_per_character": bits}


def _epoch(number: int, valid: float) -> dict[str, Any]:
    return {
        "epoch": number,
        "step": 10 * number,
        "train_perplexity": 100 / number,
        "valid_perplexity": valid,
        "best": number == 2,
        "seconds": 2.0,
        "samples": [],
        "averaged": False,
    }
