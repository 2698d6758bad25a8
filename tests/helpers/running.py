"""Run by the laws of resuming in processes of their own: train, or go on, and write every step's loss to a file.

python -m tests.helpers.running train|resume '{"dropout": ..., "distribute": ..., ...}'
"""

import json
import sys
from typing import Any

import wordgen
from wordgen.api import resume_with
from wordgen.training.reports import StepReport

EPOCHS = 3


class Losses(wordgen.Observer):
    """Writes a loss before the next step begins."""

    def stepped(self, report: StepReport) -> None:
        with open("losses", "a") as file:
            print(report.step, report.loss.hex(), file=file)

    def warned(self, sentence: str) -> None:
        with open("warnings", "a") as file:
            print(sentence, file=file)


def settings_with(chosen: dict[str, Any]) -> wordgen.TrainSettings:
    settings = {
        "corpus": "spells", "layers": 2, "units": 24, "dropout": 0.4, "checkpoint_every": "7", "epochs": EPOCHS,
        "patience": 9, "name": "run", "precision": "float32", "vary_seq_len": True, "average_after": 0,
        "locked_dropout": True, "word_dropout": 0.1, "weight_drop": 0.2,
    }  # fmt: skip
    return wordgen.TrainSettings(**{**settings, **chosen})


def main() -> None:
    verb, chosen = sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    if verb == "resume":
        resume_with("run", chosen, [Losses()])
    else:
        wordgen.train_with(settings_with(chosen), [Losses()])


if __name__ == "__main__":
    main()
