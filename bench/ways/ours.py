"""wordgen, as `train` begins it: a real training on a made-up text, which waits between its calls of the step.

python -m bench.ways.ours SETTINGS_AS_JSON SECONDS_OF_A_TURN
"""

import json
import sys
import time
from typing import Any

from bench.turns import Turns

turns = Turns()
_CALLS_TO_WARM_UP = 2


def main(settings: str, seconds: str) -> None:
    import wordgen
    import wordgen.network  # first, as in a training: it chooses the matrix products
    from wordgen.training import trainer  # noqa: F401 - all that a training imports
    from wordgen.training.plan import Plan
    from wordgen.training.reports import StepReport, TrainingStart
    from wordgen.training.step import steps_per_call

    turns.imported()

    class Watching(wordgen.Observer):
        """Waits for its turn after a call of the step."""

        def __init__(self) -> None:
            self.learned = self.steps = self.steps_of_call = 0
            self.began = self.first_step = 0.0
            self.spent_before: dict[str, float] = {}

        def planned(self, plan: Plan) -> None:
            self.plan = plan
            self.steps_of_call = steps_per_call(plan.architecture, plan.settings)

        def begun(self, start: TrainingStart) -> None:
            self.began = time.monotonic()
            self.spent_before = {f"{kind}_before": seconds for kind, seconds in turns.spent().items()}

        def stepped(self, report: StepReport) -> None:
            self.steps += 1
            self.learned += self.plan.settings.batch_size * self.plan.settings.seq_len
            if report.first:
                self.first_step = time.monotonic() - self.began
            calls, within = divmod(self.steps - 1, self.steps_of_call)
            if within or calls < _CALLS_TO_WARM_UP:
                return
            if calls == _CALLS_TO_WARM_UP:
                turns.answer(**self.facts())
            elif turns.seconds() < float(seconds):
                return
            else:
                turns.answer(**turns.done(self.learned))
            turns.wait()
            self.learned = 0

        def validating(self, done: int, batches: int) -> None:
            raise SystemExit("the text is too short: a turn must not validate")

        def facts(self) -> dict[str, Any]:
            from importlib.metadata import version

            versions = {name: version(name) for name in ("tensorflow", "keras", "numpy")}
            size = self.plan.architecture.vocabulary_size
            return {
                "versions": {"wordgen": wordgen.__version__, **versions},
                "first_step": self.first_step,
                "vocabulary": size,
                "parameters": self.plan.architecture.parameters,
                **self.spent_before,
            }

    turns.begin()
    wordgen.train_with(wordgen.TrainSettings(**json.loads(settings)), [Watching()])


if __name__ == "__main__":
    main(*sys.argv[1:])
