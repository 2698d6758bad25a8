"""How much memory a training needs, beside what the plan says: the peak of real trainings, from tiny networks to large.

PYTHONPATH=. python bench/memory.py [--minutes 30] [--phases] [PART OF A NAME ...]

Each training is a process that begins as `train` does, on a made-up text with as many different words as the vocabulary
has. It has two epochs, so that it holds all that an epoch leaves behind. Each epoch is cut to a few steps, and its
validation to a few batches: the peak is reached by then. Only Linux reports these figures. Each result is saved at once
in bench/results/memory.json. If the time is short, the trainings that were never measured come first, and then those
that were measured longest ago. `python bench/document.py` makes a table of the results.
"""

import json
import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import results
from bench.rows import word
from bench.turns import FailedError, TimeUpError, Turns, Way, worker_environments

NAME = "memory"
STEPS, BATCHES = 2, 2
"""The number of steps of an epoch, and of batches of the validation set."""
WORKERS = 2

CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "tiny": (1_000, {"layers": 1, "units": 64, "batch_size": 1, "seq_len": 5}),
    "small": (1_300, {"layers": 1, "units": 128}),
    "the defaults": (1_300, {}),
    "long steps": (1_000, {"layers": 1, "units": 64, "batch_size": 16, "seq_len": 400}),
    "large batch": (5_000, {"layers": 1, "units": 64, "batch_size": 512, "seq_len": 35}),
    "six layers": (10_000, {"layers": 6, "units": 256, "batch_size": 16, "seq_len": 100, "optimizer": "adam"}),
    "wide and long": (1_000, {"layers": 1, "units": 1024, "batch_size": 32, "seq_len": 200}),
    "three wide layers": (10_000, {"layers": 3, "units": 1150, "embedding": 400, "batch_size": 40, "seq_len": 70,
                          "optimizer": "sgd", "tied": True, "average_after": 1}),
    "gru": (10_000, {"cell": "gru", "layers": 2, "units": 512, "batch_size": 64, "seq_len": 50}),
    "rnn": (10_000, {"cell": "rnn", "layers": 2, "units": 512, "batch_size": 64, "seq_len": 50}),
    "steps of differing lengths": (10_000, {"layers": 2, "units": 200, "batch_size": 64, "seq_len": 40,
                                   "vary_seq_len": True, "locked_dropout": True, "weight_drop": 0.3}),
    "bfloat16": (20_000, {"layers": 2, "units": 512, "batch_size": 32, "seq_len": 35, "precision": "bfloat16"}),
    "33,000 words": (33_000, {"layers": 2, "units": 650, "batch_size": 20, "seq_len": 35, "optimizer": "sgd"}),
    "33,000 words, averaged": (33_000, {"layers": 1, "units": 400, "batch_size": 20, "seq_len": 35, "optimizer": "adam",
                               "average_after": 1, "tied": True}),
    "50,000 words": (50_000, {"layers": 1, "units": 1024, "batch_size": 16, "seq_len": 20, "optimizer": "adam"}),
    "144,000 words, sampled": (144_000, {"layers": 1, "units": 64, "tied": True, "batch_size": 256, "seq_len": 35,
                               "sampled_output": 1024}),
    "200,000 words": (200_000, {"layers": 1, "units": 128, "tied": True, "batch_size": 16, "seq_len": 35}),
    "200,000 words, tiny steps": (200_000, {"layers": 1, "units": 64, "batch_size": 1, "seq_len": 5,
                                  "optimizer": "sgd"}),
    "200,000 words, sampled": (200_000, {"layers": 1, "units": 512, "tied": True, "batch_size": 64, "seq_len": 35,
                               "sampled_output": 4096, "optimizer": "adam"}),
    "two parts of the CPU": (20_000, {"layers": 2, "units": 512, "batch_size": 64, "seq_len": 35, "local_devices": 2}),
    "two workers": (20_000, {"layers": 2, "units": 512, "batch_size": 64, "seq_len": 35, "distribute": "multiworker"}),
}  # fmt: skip


def text_of(words: int, tokens: int) -> str:
    """Return a text with each word at least once: lines of ten words, paragraphs of twenty lines."""
    named = [word(number % words) for number in range(max(tokens, words))]
    lines = [" ".join(named[place : place + 10]) for place in range(0, len(named), 10)]
    paragraphs = ["\n".join(lines[place : place + 20]) for place in range(0, len(lines), 20)]
    return "\n\n".join(paragraphs) + "\n"


def train(settings: dict[str, Any]) -> None:
    """Train in this process, and answer the peak memory, the figure of the plan, and the peak of each phase."""
    turns = Turns()
    import wordgen
    from wordgen.training.plan import Plan
    from wordgen.training.reports import EpochReport, StepReport

    _cut_short()
    answer: dict[str, Any] = {}
    phases: list[tuple[str, int, int]] = []

    def phase(name: str) -> None:
        status = Path("/proc/self/status").read_text()
        peak, now = (1024 * int(re.findall(rf"{field}:\s+(\d+)", status)[0]) for field in ("VmHWM", "VmRSS"))
        phases.append((name, peak, now))
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew

    class Watching(wordgen.Observer):
        def planned(self, plan: Plan) -> None:
            answer.update(planned=plan.memory.total, parameters=plan.architecture.parameters)
            phase("planned")

        def begun(self, start: object) -> None:
            phase("begun")

        def stepped(self, report: StepReport) -> None:
            if report.step_in_epoch in (1, STEPS):
                phase("stepped")

        def validating(self, done: int, batches: int) -> None:
            if done == batches:
                phase("validating")

        def epoch_ended(self, report: EpochReport) -> None:
            phase("epoch ended")

        def ended(self, ending: object) -> None:
            phase("ended")

    wordgen.train_with(wordgen.TrainSettings(**settings), [Watching()])
    phase("page")
    turns.answer(**answer, peak=max(peak for _, peak, _ in phases), phases=phases)


def _cut_short() -> None:
    """Cut the epochs and the validation with TensorFlow, for all workers alike: they wait for each other's batches."""
    from wordgen.dataset import batches
    from wordgen.evaluation import text_loss  # noqa: F401 - what it measures with NumPy at the end stays whole

    assert "wordgen.evaluation.perplexity" not in sys.modules  # it takes the function when it is imported
    batches.Batches.steps_per_epoch = property(lambda self: STEPS)  # pyright: ignore[reportAttributeAccessIssue]
    whole = batches.evaluation_batches
    batches.evaluation_batches = lambda *given, **named: whole(*given, **named)[:BATCHES]


def measured(name: str, room: Path, until: float) -> dict[str, Any]:
    """Return the results of one case. Of several workers, the chief answers: it needs the most."""
    words, settings = CASES[name]
    tokens = 2 * settings.get("batch_size", 16) * settings.get("seq_len", 15)
    corpus = room / f"{words}-{max(words, tokens)}.txt"
    if not corpus.exists():
        corpus.write_text(text_of(words, tokens))
    given = {"corpus": str(corpus), "vocab_size": words + 3, "min_count": 1, "epochs": 2, **settings, "patience": 9}
    given |= {"precision": settings.get("precision", "float32"), "name": re.sub(r"\W+", "-", name)}
    several = settings.get("distribute") == "multiworker"
    with ExitStack() as stack:
        workers: list[Way] = []
        for environment in worker_environments(WORKERS) if several else [{}]:
            environment["WORDGEN_DATA"] = str(room / "data")
            workers.append(Way(sys.executable, "bench.memory", [json.dumps(given)], room, environment, until))
            stack.callback(workers[-1].close)
        return workers[0].answer()


def main() -> None:
    parser = results.parser_for(__doc__, minutes=60)
    parser.add_argument("parts", nargs="*", help="measure only trainings whose names have one of these parts")
    parser.add_argument("--phases", action="store_true", help="print the peak of each phase, too")
    options = parser.parse_args()
    known = results.load(NAME)
    wanted = [name for name in CASES if not options.parts or any(part in name for part in options.parts)]
    wanted.sort(key=lambda name: known.get(name, {}).get("moment", ""))
    results.print_row("training", "GiB planned", "GiB measured", "planned / measured")
    with tempfile.TemporaryDirectory() as room:
        for place, name in enumerate(wanted):
            try:
                found = measured(name, Path(room), options.until)
            except TimeUpError:
                print(f"The time is up before: {', '.join(wanted[place:])}.", file=sys.stderr)
                break
            except FailedError as error:
                print(f"{name} has failed: {error}", file=sys.stderr)
                continue
            phases = found.pop("phases")
            results.save(NAME, name, {**found, **results.circumstances()})
            results.print_row(*columns(name, found))
            for phase, peak, now in phases if options.phases else ():
                print(f"  {phase:<12} peak {peak / 2**20:8,.0f} MiB, then {now / 2**20:8,.0f}")


def columns(name: str, found: dict[str, Any]) -> list[str]:
    planned, peak = found["planned"], found["peak"]
    return [name, f"{planned / 2**30:.2f}", f"{peak / 2**30:.2f}", f"{planned / peak:.2f}"]


if __name__ == "__main__":
    train(json.loads(sys.argv[1])) if sys.argv[1:2] and sys.argv[1].startswith("{") else main()
