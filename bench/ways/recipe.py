"""wordgen by a recipe, from the beginning of the process to the end of the training: a turn is an epoch.

python -m bench.ways.recipe SETTINGS_AS_JSON

A run of that name that has begun goes on from its newest checkpoint, which stands at the end of an epoch.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from bench.turns import Turns

turns = Turns()


def main(settings: str) -> None:
    began = time.monotonic()
    import wordgen
    from wordgen.complete_settings import settings_of
    from wordgen.runs import resume_with, train_with
    from wordgen.training.reports import Begun, EpochReport

    given = {"checkpoint_every": "100000m", **json.loads(settings)}

    class Watching(wordgen.Observer):
        """Tells of an epoch behind the next step, when its checkpoint is being written, or at the end."""

        def __init__(self) -> None:
            self._epoch: dict[str, Any] | None = None

        def begun(self, begun: Begun) -> None:
            turns.answer(done=len(begun.done))
            turns.wait()

        def epoch_ended(self, report: EpochReport) -> None:
            self.tell()
            children = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = time.process_time() + children.ru_utime + children.ru_stime
            spent = {"cpu": cpu, "wall": time.monotonic() - began}
            self._epoch = {"epoch": report.epoch, "valid": report.valid_perplexity, **spent}

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
        train_with(settings_of({**given, "overwrite": True}), [watching])
    watching.tell()
    turns.answer(ended=True, test=wordgen.evaluate(given["name"], samples=0).perplexity)


if __name__ == "__main__":
    main(*sys.argv[1:])
