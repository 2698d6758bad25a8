"""What a checkpoint costs, and how long it takes from --resume to the first step.

PYTHONPATH=. python bench/checkpoints.py

Trains the network of the usual command on a bundled text for two epochs, and measures each checkpoint. Then it resumes
the run twice, and measures from the start of the process to the report of the first step.
"""

import json
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.results import print_row
from bench.turns import Turns, Way

CASES: dict[str, dict[str, Any]] = {
    "3x512, lotr (the defaults)": {"corpus": "lotr", "epochs": 2},
    "1x128, spells": {"corpus": "spells", "layers": 1, "units": 128, "epochs": 4},
}


def train(verb: str, chosen: dict[str, Any]) -> None:
    """Train or resume in this process, and answer what it took."""
    turns, began = Turns(), time.time()
    import wordgen
    from wordgen.api import resume_with
    from wordgen.training.loop import Loop
    from wordgen.training.reports import StepReport

    saves: list[float] = []
    kept = Loop._save

    def timed(self: Loop) -> None:
        start = time.monotonic()
        kept(self)
        saves.append(time.monotonic() - start)

    Loop._save = timed
    first: list[float] = []

    class Steps(wordgen.Observer):
        def stepped(self, report: StepReport) -> None:
            if not first:
                first.append(time.time() - began)

    if verb == "resume":
        resume_with("run", chosen, [Steps()])
    else:
        wordgen.train_with(wordgen.TrainSettings(**chosen, name="run"), [Steps()])
    turns.answer(saves=saves, first=first[0], all=time.time() - began)


def main() -> None:
    print_row(
        "network", "MB a checkpoint", "ms to save it", "s between saves", "share", "s from --resume to the first step"
    )
    for name, chosen in CASES.items():
        with tempfile.TemporaryDirectory() as room:
            answer = _run("train", chosen, Path(room))
            saves = statistics.median(answer["saves"])
            between = (answer["all"] - answer["first"]) / len(answer["saves"])
            newest = sorted((Path(room) / "saved_models/run/checkpoints").iterdir())[-1]
            size = sum(file.stat().st_size for file in newest.iterdir()) / 1e6
            firsts = [_run("resume", {"epochs": chosen["epochs"] + n}, Path(room))["first"] for n in (1, 2)]
            figures = f"{size:.1f}", f"{1000 * saves:.0f}", f"{between:.1f}", f"{saves / between:.1%}"
            print_row(name, *figures, ", ".join(f"{first:.1f}" for first in firsts))


def _run(verb: str, chosen: dict[str, Any], room: Path) -> dict[str, Any]:
    with closing(Way(sys.executable, "bench.checkpoints", [verb, json.dumps(chosen)], room)) as way:
        return way.answer()


if __name__ == "__main__":
    train(sys.argv[1], json.loads(sys.argv[2])) if len(sys.argv) > 1 else main()
