"""The log of a run: the JSON lines of `train`, and between them whatever else it says; read while it is written."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STARTED = "started"
"""The event with which a sweep begins each start of a run: its process, and the command."""


@dataclass
class Progress:
    """How far a run is, as its log tells."""

    epochs: int
    """How many there are to be, at most."""
    epoch: int = 0
    """The one that it is in."""
    step: int = 0
    best: float | None = None
    """The lowest valid perplexity so far."""
    ended: str | None = None
    warnings: list[str] = field(default_factory=list)
    _first_step: int = 1
    _last_step: int = 0
    _began: float = 0.0
    _now: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """At most, if it goes on as fast."""
        done = self.step - self._first_step + 1
        if done < 1 or not self._last_step or self._now <= self._began:
            return None
        return (self._last_step - self.step) * (self._now - self._began) / done

    def tell(self, event: dict[str, Any]) -> None:
        self._now = float(event["time"])
        match event["event"]:
            case "begun":
                self._first_step, self._last_step = int(event["first_step"]), int(event["last_step"])
                self._began = self._now
            case "step":
                self.epoch, self.step = int(event["epoch"]), int(event["step"])
                if event["first"]:  # its time goes into making the graph
                    self._began, self._first_step = self._now, self.step + 1
            case "epoch":
                self.epoch, self.step = int(event["epoch"]), int(event["step"])
                if event["best"]:
                    self.best = float(event["valid_perplexity"])
            case "warning":
                self.warnings.append(str(event["sentence"]))
            case "ended":
                self.ended = str(event["reason"])


class Log:
    """Reads what is added to a log, line by line."""

    def __init__(self, path: Path, progress: Progress) -> None:
        """From its end on; what it says of earlier starts is over."""
        self._path, self._progress = path, progress
        self._read = path.stat().st_size if path.exists() else 0
        self.complaint: str | None = None
        """The last sentence that was no event, which is why a run has failed."""

    def follow(self) -> bool:
        """Take in all whole lines that are new; whether there were any."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except OSError:
            return False
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode(errors="replace").split("\n"):
            self._take_in(line.strip())
        return bool(whole)

    def _take_in(self, line: str) -> None:
        try:
            event = json.loads(line)
            self._progress.tell(event)
        except (ValueError, KeyError, TypeError):
            if line.startswith("Error: "):
                self.complaint = line.removeprefix("Error: ")


def last_process(path: Path) -> int | None:
    """The number of the process that was started last, as the log has it."""
    try:
        lines = path.read_bytes().decode(errors="replace").split("\n")
    except OSError:
        return None
    for line in reversed(lines):
        if f'"event": "{STARTED}"' in line:
            try:
                return int(json.loads(line)["process"])
            except (ValueError, KeyError, TypeError):
                continue
    return None
