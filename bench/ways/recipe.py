"""wordgen with a recipe, from the beginning of the process to the end of the training: a turn is an epoch.

python -m bench.ways.recipe SETTINGS_AS_JSON

A run of that name that has begun continues from its newest checkpoint, which is from the end of an epoch.
"""

import json
import sys
from pathlib import Path
from typing import Any

from bench.turns import Turns

turns = Turns()


def main(settings: str) -> None:
    import wordgen
    from wordgen.api import resume_with, train_with
    from wordgen.run.defaults import complete_settings
    from wordgen.training.reports import EpochReport, TrainingStart

    given = {"checkpoint_every": "100000m", **json.loads(settings)}

    class Watching(wordgen.Observer):
        """Answers after the first step of the next epoch, when the checkpoint is being written, or at the end."""

        def __init__(self) -> None:
            self._epoch: dict[str, Any] | None = None

        def begun(self, start: TrainingStart) -> None:
            turns.answer(done=len(start.finished_epochs))
            turns.wait()

        def epoch_ended(self, report: EpochReport) -> None:
            self.tell()
            self._epoch = {"epoch": report.epoch, "valid": report.valid_perplexity, **turns.spent_from_start()}

        def stepped(self, report: object) -> None:
            self.tell()

        def tell(self) -> None:
            if self._epoch is not None:
                turns.answer(**self._epoch)
                self._epoch = None
                turns.wait()

    watching = Watching()
    if (Path("saved_models") / given["name"] / "checkpoints").is_dir():
        resume_with(given["name"], {}, [watching])
    else:
        train_with(complete_settings({**given, "overwrite": True}), [watching])
    watching.tell()
    turns.answer(ended=True, test=wordgen.evaluate(given["name"], samples=0).perplexity)


if __name__ == "__main__":
    main(*sys.argv[1:])
