"""How fast wordgen trains beside its peers: each way a process, all in turns, several rounds.

PYTHONPATH=. python bench/training.py [--rows defaults,large] [--rounds 7] [--minutes 30]

Ways are wordgen, PyTorch, Keras's `fit`, and the matrix products alone, each in float32 and, where the processor has
it, in bfloat16. Peers run with --peer-python (`make bench-peers` makes it) and choose their best settings first. What
is measured is kept row by row in bench/results/training.json; `python bench/document.py` makes tables of it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import results
from bench.rows import CLIP, DROPOUT, LEARNING_RATE, ROWS, Row
from bench.texts import write_text
from bench.turns import ROOT, FailedError, TimeUpError, Way

NAME = "training"
PEERS = {"pytorch": "torch", "stock_keras": "tensorflow"}
"""The modules of peers, and what must be there to import."""
KINDS = ("ours", *PEERS, "products")
_TOKENS = 1_000_000
"""Of the made-up text: more than the turns of any row need."""
_LEAST_SECONDS = 45
"""With less left, no row is begun."""


def main() -> None:
    options = _options()
    until = time.monotonic() + 60 * options.minutes
    ways = [way for way in options.ways.split(",") if _is_there(way, options.peer_python)]
    print("row | way | CPU microseconds a token | on the clock | MB above the import | rounds", flush=True)
    for name in options.rows.split(","):
        if until - time.monotonic() < _LEAST_SECONDS:
            print(f"No time is left for {name}: give more --minutes, or name it by --rows.", file=sys.stderr)
            continue
        found = _Measuring(name, ways, options, until).run()
        if not any(way["cpu"] for way in found["ways"].values()):
            continue
        kept = results.load(NAME)
        results.save(NAME, {**kept, name: found})
        for way, told in found["ways"].items():
            print(
                name,
                way,
                shown(told["cpu"]),
                shown(told["wall"]),
                f"{told['peak_mb']:,.0f}",
                len(told["cpu"]),
                sep=" | ",
            )
        sys.stdout.flush()


def shown(values: list[float]) -> str:
    """The median, and from where to where they go."""
    if not values:
        return "-"
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


class _Measuring:
    """One row."""

    def __init__(self, name: str, ways: list[str], options: argparse.Namespace, until: float) -> None:
        self._name, self._row, self._wanted, self._options, self._until = name, ROWS[name], ways, options, until

    def run(self) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as room:
            found: dict[str, Any] = {"row": str(self._row), **results.circumstances(), "ways": {}}
            found["load_before"] = results.load_of_others()
            running: dict[str, Way] = {}
            try:
                for way in self._wanted:
                    self._begin(way, Path(room), running, found["ways"])
                for number in range(self._options.rounds):
                    self._round(number, running, found["ways"])
            except TimeUpError:
                print(f"The time is up: {self._name} has fewer rounds.", file=sys.stderr)
            finally:
                for way in running.values():
                    way.end()
        return found

    def _begin(self, name: str, room: Path, running: dict[str, Way], found: dict[str, Any]) -> None:
        """Start a way and wait until it is ready; one that fails is told of and left out."""
        kind, precision = name.split("-")
        python = self._options.peer_python if kind in PEERS else sys.executable
        facts: dict[str, Any] = {}
        arguments = [self._name, precision, str(self._options.seconds)]
        environment = {}
        try:
            if kind == "ours":
                arguments = [json.dumps(self._settings(precision, room)), arguments[-1]]
                environment = {"WORDGEN_DATA": str(room / "data")}
            elif kind in PEERS:
                choosing = Way(python, f"bench.ways.{kind}", arguments, room)
                try:
                    facts = choosing.answer(self._until)
                finally:
                    choosing.end()
                arguments.append(json.dumps(facts["how"]))
            way = running[name] = Way(python, f"bench.ways.{kind}", arguments, room, environment)
            facts |= way.answer(self._until)
            if facts.get("vocabulary", self._row.vocabulary) != self._row.vocabulary:
                raise FailedError(f"a vocabulary of {facts['vocabulary']:,} where {self._row.vocabulary:,} was meant")
        except FailedError as error:
            print(f"{self._name}, {name}: {error}", file=sys.stderr)
            if (failed := running.pop(name, None)) is not None:
                failed.end()
            return
        found[name] = {**facts, "cpu": [], "wall": [], "peak_mb": 0.0}

    def _round(self, number: int, running: Mapping[str, Way], found: dict[str, Any]) -> None:
        """Each round begins with another way, so none always follows the same one."""
        names = list(running)
        first = number % max(1, len(names))
        for name in names[first:] + names[:first]:
            told = running[name].turn(self._until)
            found[name]["cpu"].append(told["cpu"])
            found[name]["wall"].append(told["wall"])
            found[name]["peak_mb"] = max(found[name]["peak_mb"], told["peak_mb"])

    def _settings(self, precision: str, room: Path) -> dict[str, Any]:
        text = room / "text.txt"
        if not text.exists():
            write_text(text, _TOKENS, self._row.vocabulary)
        return settings_of(self._row, text) | {"precision": precision, "name": precision}


def settings_of(row: Row, text: Path) -> dict[str, Any]:
    """As `train` is given them."""
    return {
        "corpus": str(text),
        "vocab_size": row.vocabulary,
        "min_count": 1,
        "cell": row.cell,
        "layers": row.layers,
        "units": row.units,
        "tied": row.tied,
        "batch_size": row.batch_size,
        "seq_len": row.seq_len,
        "optimizer": row.optimizer,
        "learning_rate": LEARNING_RATE[row.optimizer],
        "dropout": DROPOUT,
        "clip": CLIP,
        "checkpoint_every": "10000m",
        "copy_index": False,
    }


def _is_there(way: str, peer_python: str) -> bool:
    kind = way.split("-")[0]
    if kind not in PEERS:
        return True
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{PEERS[kind]}') is None)"
    try:
        found = subprocess.run([peer_python, "-c", look], check=False).returncode == 0
    except OSError:
        found = False
    if not found:
        print(f"{way} is left out: {peer_python} has no {PEERS[kind]} (make bench-peers).", file=sys.stderr)
    return found


def _options() -> argparse.Namespace:
    precisions = ("float32", "bfloat16") if results.has_bfloat16() else ("float32",)
    ways = ",".join(f"{kind}-{precision}" for kind in KINDS for precision in precisions)
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--rows", default=",".join(ROWS), help=f"some of {', '.join(ROWS)}")
    parser.add_argument("--ways", default=ways, help=f"some of {', '.join(KINDS)}, each with its precision")
    parser.add_argument("--rounds", type=int, default=7, help="how many turns each way has")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long a turn is")
    parser.add_argument("--minutes", type=float, default=45, help="when to stop, whatever is left")
    parser.add_argument(results.PEER_PYTHON, default=str(ROOT / ".peers" / "bin" / "python"))
    options = parser.parse_args()
    options.rows = options.rows or ",".join(ROWS)
    for name in options.rows.split(","):
        if name not in ROWS:
            parser.error(f"there is no row {name}: there are {', '.join(ROWS)}")
    for way in options.ways.split(","):
        if way.split("-")[0] not in KINDS or way.partition("-")[2] not in ("float32", "bfloat16"):
            parser.error(f"there is no way {way}: as ours-float32, of {', '.join(KINDS)}")
    return options


if __name__ == "__main__":
    main()
