"""Trains or resumes a run as a process of its own and appends the loss of every step to the file `losses`.

python -m tests.helpers.training_process train|resume '{"dropout": ..., ...}' ['[WORKER, STEP, SIGNAL]']
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import wordgen
from wordgen.api import resume_with
from wordgen.training.reports import StepReport

EPOCHS = 3


class Losses(wordgen.Observer):
    """Writes the loss of a step before the next step begins."""

    def stepped(self, report: StepReport) -> None:
        with open("losses", "a") as file:
            print(report.step, report.loss.hex(), file=file)

    def warned(self, sentence: str) -> None:
        with open("warnings", "a") as file:
            print(sentence, file=file)


class SendSignal(wordgen.Observer):
    """Sends a signal to a worker right after a step. A test that waits for the step could be too late."""

    def __init__(self, worker: int, step: int, number: int) -> None:
        self._worker, self._step, self._number = worker, step, number

    def stepped(self, report: StepReport) -> None:
        if report.step == self._step:
            os.kill(int(_process_id_file(self._worker).read_text()), self._number)


def _process_id_file(worker: int) -> Path:
    return Path(f"process-of-worker-{worker}")


def read_losses(folder: Path) -> list[tuple[int, str]]:
    """Return the step and the loss (a hexadecimal float) of all steps that are in the file `losses`."""
    if not (folder / "losses").exists():
        return []
    lines = (folder / "losses").read_text().split("\n")[:-1]  # after the last line end may be half a line
    return [(int(step), loss) for step, loss in (line.split() for line in lines)]


def settings_with(chosen: dict[str, Any]) -> wordgen.TrainSettings:
    settings = {
        "corpus": "spells", "layers": 2, "units": 24, "dropout": 0.4, "checkpoint_every": "7", "epochs": EPOCHS,
        "patience": 9, "name": "run", "precision": "float32", "vary_seq_len": True, "average_after": 0,
        "locked_dropout": True, "word_dropout": 0.1, "weight_drop": 0.2,
    }  # fmt: skip
    return wordgen.TrainSettings(**{**settings, **chosen})


def main() -> None:
    action, chosen = sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    observers: list[wordgen.Observer] = [Losses()]
    if len(sys.argv) > 3:
        worker = json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {}).get("index", 0)
        _process_id_file(worker).write_text(str(os.getpid()))
        observers.append(SendSignal(*json.loads(sys.argv[3])))
    if action == "resume":
        resume_with("run", chosen, observers)
    else:
        wordgen.train_with(settings_with(chosen), observers)


if __name__ == "__main__":
    main()
