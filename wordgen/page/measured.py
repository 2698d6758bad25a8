"""What was measured of a run's model on the parts of its text: evaluation.json beside the model.

Each entry names the step that its model had reached, so that what was measured before a run went on is not taken for
what it is now.
"""

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from wordgen.files import read_json, write_whole

EVALUATION = "evaluation.json"
_FORMAT = 1
_LARGEST = 2**24


def read_measured(folder: Path) -> dict[str, Any]:
    """The entries by the name of the part; none where there is no such file, or it cannot be read."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        content = read_json(folder / EVALUATION, _LARGEST)
        if content["format"] == _FORMAT:
            return dict(content["parts"])
    return {}


def keep_measured(folder: Path, part: str, entry: Mapping[str, Any]) -> None:
    """Put an entry beside the others, or in the place of an older one of that part."""
    parts = {**read_measured(folder), part: as_json(entry)}
    content = json.dumps({"format": _FORMAT, "parts": parts}, ensure_ascii=False, allow_nan=False, indent=1)
    write_whole(folder / EVALUATION, content.encode("utf-8", "replace"))


def model_step(report: Mapping[str, Any]) -> int | None:
    """The step that the model of a run had reached: that of its best epoch."""
    best = report.get("best_epoch")
    return next((epoch["step"] for epoch in reversed(report["epochs"]) if epoch["epoch"] == best), None)


def as_json(value: Any) -> Any:
    """The same, with nothing in the place of numbers that JSON does not know."""
    if isinstance(value, Mapping):
        return {key: as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
