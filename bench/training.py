"""How fast wordgen trains beside its peers: each way is a process, and all take turns in several rounds.

PYTHONPATH=. python bench/training.py [--rows defaults,large] [--rounds 7] [--minutes 30]

Ways are wordgen, PyTorch, Keras's `fit`, and the matrix products alone, each in float32 and, where the processor has
it, in bfloat16. Peers run with --peer-python (`make bench-peers` makes it) and choose their best settings first. The
results are saved row by row in bench/results/training.json; `python bench/document.py` makes tables of them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import results
from bench.rows import CLIP, DROPOUT, LEARNING_RATE, ROWS, Row, write_text
from bench.turns import FailedError, TimeUpError, Way

NAME = "training"
PEERS = {"pytorch": "torch", "stock_keras": "tensorflow"}
"""The modules of peers, and the package that each needs."""
KINDS = ("ours", *PEERS, "products")
WAYS = tuple(f"{kind}-{precision}" for kind in KINDS for precision in ("float32", "bfloat16"))
_TOKENS = 1_000_000
"""The minimum length of the made-up text: more than the turns of any row need."""
_MIN_SECONDS = 45
"""With less time left, no row is begun."""


def main() -> None:
    options = _options()
    ways = [way for way in options.ways if _is_there(way, options.peer_python)]
    results.print_row("row", "way", "CPU µs a token", "wall µs a token", "MB above the import", "rounds")
    for name in options.rows:
        if options.until - time.monotonic() < _MIN_SECONDS:
            print(f"No time is left for {name}: give more --minutes, or name it by --rows.", file=sys.stderr)
            continue
        found = _measured(name, ways, options)
        if not any(way["cpu"] for way in found["ways"].values()):
            continue
        results.save(NAME, name, found)
        for way, measured in found["ways"].items():
            figures = [
                shown(measured["cpu"]),
                shown(measured["wall"]),
                f"{measured['peak_mb']:,.0f}",
                len(measured["cpu"]),
            ]
            results.print_row(name, way, *figures)


def shown(values: list[float]) -> str:
    """Return the median, and the lowest and the highest value."""
    if not values:
        return "-"
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}-{max(values):,.0f})"


def _measured(name: str, ways: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Return the results of one row."""
    load = os.getloadavg()[0]
    found: dict[str, Any] = {"row": str(ROWS[name]), **results.circumstances(), "ways": {}, "load_before": load}
    running: dict[str, Way] = {}
    with tempfile.TemporaryDirectory() as room, ExitStack() as stack:
        try:
            for way in ways:
                try:
                    running[way], facts = _begun(name, way, Path(room), options, stack)
                except FailedError as error:
                    print(f"{name}, {way}: {error}", file=sys.stderr)
                    continue
                found["ways"][way] = {**facts, "cpu": [], "wall": [], "peak_mb": 0.0}
            for number in range(options.rounds):
                _round(number, running, found["ways"])
        except TimeUpError:
            print(f"The time is up: {name} has fewer rounds.", file=sys.stderr)
    return found


def _begun(
    name: str, way: str, room: Path, options: argparse.Namespace, stack: ExitStack
) -> tuple[Way, dict[str, Any]]:
    """Start a way, wait until it is ready, and return it with its facts. The stack closes it."""
    row, (kind, precision) = ROWS[name], way.split("-")
    python = options.peer_python if kind in PEERS else sys.executable
    arguments, environment = [name, precision, str(options.seconds)], {}
    facts: dict[str, Any] = {}

    def start() -> Way:
        started = Way(python, f"bench.ways.{kind}", arguments, room, environment, options.until)
        stack.callback(started.close)
        return started

    if kind == "ours":
        text = room / "text.txt"
        if not text.exists():
            write_text(text, _TOKENS, row.vocabulary)
        settings = settings_of_row(row, text) | {"precision": precision, "name": precision}
        arguments, environment = [json.dumps(settings), str(options.seconds)], {"WORDGEN_DATA": str(room / "data")}
    elif kind in PEERS:
        choosing = start()
        facts = choosing.answer()
        choosing.close()
        arguments.append(json.dumps(facts["how"]))
    started = start()
    facts |= started.answer()
    if facts.get("vocabulary", row.vocabulary) != row.vocabulary:
        started.close()
        raise FailedError(f"a vocabulary of {facts['vocabulary']:,} instead of {row.vocabulary:,}")
    return started, facts


def _round(number: int, running: dict[str, Way], found: dict[str, Any]) -> None:
    """Give each way a turn. Each round begins with another way, so that none always follows the same one."""
    names = list(running)
    first = number % max(1, len(names))
    for name in names[first:] + names[:first]:
        answer = running[name].turn()
        found[name]["cpu"].append(answer["cpu"])
        found[name]["wall"].append(answer["wall"])
        found[name]["peak_mb"] = max(found[name]["peak_mb"], answer["peak_mb"])


def settings_of_row(row: Row, text: Path) -> dict[str, Any]:
    """Return the settings of `train` for a row."""
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
    package = PEERS.get(way.split("-")[0])
    if package is None:
        return True
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{package}') is None)"
    try:
        found = subprocess.run([peer_python, "-c", look], check=False).returncode == 0
    except OSError:
        found = False
    if not found:
        print(f"{way} is left out: {peer_python} has no {package} (make bench-peers).", file=sys.stderr)
    return found


def _options() -> argparse.Namespace:
    usual = [way for way in WAYS if results.has_bfloat16() or way.endswith("float32")]
    parser = results.parser_for(__doc__, minutes=45)
    parser.add_argument("--rows", type=results.some_of(ROWS), default="", help=f"some of {', '.join(ROWS)}")
    ways = f"some of {', '.join(WAYS)}"
    parser.add_argument("--ways", type=results.some_of(WAYS), default=",".join(usual), help=ways)
    parser.add_argument("--rounds", type=int, default=7, help="how many turns each way has")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long a turn is")
    results.add_peer_python(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
