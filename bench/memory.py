"""How much memory a training needs, beside what the plan says: the peak of real trainings, from tiny networks to large.

PYTHONPATH=. python bench/memory.py [--minutes 30] [--phases] [PART OF A NAME ...]

Each training is a process of its own that begins as `train` does, on a made-up text of as many different words as the
vocabulary has. Its epochs are cut to a few steps and its validation to a few batches: the peak is reached by then. It
takes two epochs, so all that is kept from one to the next is there. Figures need a machine that tells them (Linux).
What is measured is kept one by one in bench/results/memory.json. With less time than all need, those are measured
first that were never, or longest ago; `python bench/document.py` makes a table of them.
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import results
from bench.turns import ROOT

NAME = "memory"
STEPS, BATCHES = 2, 2
"""So many steps of an epoch are done, and so many batches of the validation set are measured."""
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
    """Each word at least once; lines of ten, twenty lines a paragraph."""
    named = [_word(number % words) for number in range(max(tokens, words))]
    lines = [" ".join(named[place : place + 10]) for place in range(0, len(named), 10)]
    paragraphs = ["\n".join(lines[place : place + 20]) for place in range(0, len(lines), 20)]
    return "\n\n".join(paragraphs) + "\n"


def _word(number: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return "".join(letters[number // 26**place % 26] for place in range(4))


def train(settings: dict[str, Any]) -> None:
    """One process: trains, and prints its peak and the plan's figure; with `phases` the peak of each phase."""
    phases = settings.pop("phases", False)
    import wordgen
    from wordgen.dataset.batches import Batches
    from wordgen.training.reports import EpochReport, Plan, StepReport

    Batches.steps_per_epoch = property(lambda self: STEPS)  # pyright: ignore[reportAttributeAccessIssue]
    told: dict[str, Any] = {}
    peak = 0

    def phase(name: str) -> None:
        nonlocal peak
        status = Path("/proc/self/status").read_text()
        most, now = (1024 * int(re.findall(rf"{field}:\s+(\d+)", status)[0]) for field in ("VmHWM", "VmRSS"))
        peak = max(peak, most)
        if phases:
            print(f"  {name:<12} peak {most / 2**20:8,.0f} MiB, behind it {now / 2**20:8,.0f}", file=sys.stderr)
            Path("/proc/self/clear_refs").write_text("5")

    class Watching(wordgen.Observer):
        def planned(self, plan: Plan) -> None:
            told.update(planned=plan.memory.all, parameters=plan.architecture.parameters)
            phase("planned")
            from wordgen.evaluation import perplexity

            whole = perplexity.evaluation_batches
            perplexity.evaluation_batches = lambda *given, **named: whole(*given, **named)[:BATCHES]

        def begun(self, begun: object) -> None:
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
    print(json.dumps({**told, "peak": peak}))


def measured(name: str, room: Path, until: float, *, phases: bool) -> dict[str, Any]:
    """What came of one case: the peak of its only process, or of the largest of them."""
    words, settings = CASES[name]
    tokens = 2 * settings.get("batch_size", 16) * settings.get("seq_len", 15)
    corpus = room / f"{words}-{max(words, tokens)}.txt"
    if not corpus.exists():
        corpus.write_text(text_of(words, tokens))
    given = {"corpus": str(corpus), "vocab_size": words + 3, "min_count": 1, "epochs": 2, **settings}
    given |= {"patience": 9, "precision": settings.get("precision", "float32"), "phases": phases}
    workers = WORKERS if settings.get("distribute") == "multiworker" else 1
    ports = _free_ports(workers)
    processes = [_started(given, room, name, number, ports) for number in range(workers)]
    try:
        answers = [each.communicate(timeout=max(0.1, until - time.monotonic()))[0] for each in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return json.loads(answers[0].strip().split("\n")[-1])  # the chief writes, and needs the most


def _started(given: dict[str, Any], room: Path, name: str, number: int, ports: list[int]) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WORDGEN_DATA": str(room / "data")}
    if len(ports) > 1:
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": number}})
    command = [sys.executable, str(Path(__file__).resolve()), json.dumps({**given, "name": re.sub(r"\W+", "-", name)})]
    return subprocess.Popen(command, cwd=room, env=environment, stdout=subprocess.PIPE, text=True)


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", help="measure those alone whose names have one of these parts")
    parser.add_argument("--minutes", type=float, default=60, help="when to stop, whatever is left")
    parser.add_argument("--phases", action="store_true", help="tell the peak of each phase, too")
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    kept = results.load(NAME)
    wanted = [name for name in CASES if not options.parts or any(part in name for part in options.parts)]
    wanted.sort(key=lambda name: kept.get(name, {}).get("moment", ""))
    print("training | parameters | GiB planned | GiB measured | planned / measured", flush=True)
    with tempfile.TemporaryDirectory() as room:
        for place, name in enumerate(wanted):
            if options.phases:
                print(name, file=sys.stderr, flush=True)
            try:
                told = measured(name, Path(room), until, phases=options.phases)
            except subprocess.TimeoutExpired:
                print(f"The time is up before: {', '.join(wanted[place:])}.", file=sys.stderr)
                break
            except ValueError:  # it told nothing, and why stands above
                print(f"{name} has failed.", file=sys.stderr)
                continue
            results.save(NAME, results.load(NAME) | {name: {**told, **results.circumstances()}})
            print(" | ".join(columns(name, told)), flush=True)


def columns(name: str, told: dict[str, Any]) -> list[str]:
    planned, peak = told["planned"], told["peak"]
    return [name, f"{told['parameters']:,}", f"{planned / 2**30:.2f}", f"{peak / 2**30:.2f}", f"{planned / peak:.2f}"]


if __name__ == "__main__":
    train(json.loads(sys.argv[1])) if sys.argv[1:2] and sys.argv[1].startswith("{") else main()
