"""How the cost of a training grows with one thing at a time: vocabulary, units, layers, seq len, batch size, corpus.

PYTHONPATH=. python bench/growth.py [--sweeps vocabulary,units] [--minutes 60] [--anew]

Each point is a real training in a process of its own, by itself: three turns of a second behind its first steps; of the
corpus, all until the first step. Each is kept in bench/results/growth.json as soon as it is measured. A run that was
stopped, by Ctrl-C or by its minutes, goes on with the points that are missing. `python bench/document.py` draws them.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench import results
from bench.rows import Row
from bench.texts import write_text
from bench.training import settings_of
from bench.turns import FailedError, TimeUpError, Way

NAME = "growth"
BASE = Row(layers=2, units=256, batch_size=16, seq_len=25, vocabulary=10_000)
SMALL = Row(layers=1, units=64, batch_size=16, seq_len=25, vocabulary=30_000)
"""Of the corpus: what comes before the first step does not depend on the network."""
SWEEPS: dict[str, tuple[float, ...]] = {
    "vocabulary": (1_000, 3_000, 10_000, 30_000, 100_000, 200_000),
    "units": (64, 128, 256, 512, 1_024, 2_048),
    "layers": (1, 2, 3, 4, 6),
    "seq_len": (5, 10, 25, 40, 50, 100, 200, 400),
    "batch_size": (1, 4, 16, 64, 256, 512),
    "corpus": (0.1, 1, 10, 100, 500),
}
"""The corpus in megabytes."""
_TURNS, _SECONDS = 3, 1.0
_TOKENS = 400_000
_TOKENS_A_MEGABYTE = 200_000
_A_BEND = 0.25
"""Two parts of a line whose powers differ by less are one."""


def main() -> None:
    options = _options()
    until = time.monotonic() + 60 * options.minutes
    kept = results.load(NAME)
    points = {f"{sweep}/{value}": (sweep, value) for sweep in options.sweeps.split(",") for value in SWEEPS[sweep]}
    try:
        for point, (sweep, value) in points.items():
            if point in kept and not options.anew:
                continue
            try:
                found = _measured(sweep, value, until)
            except TimeUpError:
                print(f"The time is up; the next run goes on with {point}.", file=sys.stderr)
                return
            except FailedError as error:
                print(f"{point}: {error}", file=sys.stderr)
                continue
            results.save(NAME, results.load(NAME) | {point: {**found, **results.circumstances()}})
            print(point, *(f"{name} {value:,.1f}" for name, value in found.items()), sep=" | ", flush=True)
    except KeyboardInterrupt:
        print("Stopped; the next run goes on from here.", file=sys.stderr)


def _measured(sweep: str, value: float, until: float) -> dict[str, float]:
    """CPU and wall time of a token (of the corpus, in seconds until the first step), memory, and the plan's."""
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        row = SMALL if sweep == "corpus" else replace(BASE, **{sweep: value})
        number = int(value * _TOKENS_A_MEGABYTE) if sweep == "corpus" else _TOKENS
        write_text(room / "text.txt", max(number, 20 * row.batch_size * row.seq_len), row.vocabulary)
        settings = {**settings_of(row, room / "text.txt"), "copy_index": sweep == "corpus", "force_memory": True}
        arguments = [json.dumps(settings), str(_SECONDS)]
        way = Way(sys.executable, "bench.ways.ours", arguments, room, {"WORDGEN_DATA": str(room / "data")})
        try:
            facts = way.answer(until)
            turns = [way.turn(until) for _ in range(1 if sweep == "corpus" else _TURNS)]
        finally:
            way.end()
    cpu, wall = (statistics.median(turn[kind] for turn in turns) for kind in ("cpu", "wall"))
    if sweep == "corpus":
        cpu, wall = facts["cpu_before"], facts["wall_before"]
    peak = max(turn["peak_mb"] for turn in turns)
    return {"cpu": cpu, "wall": wall, "peak_mb": peak, **{name: facts[name] for name in ("first_step", "parameters")}}


def points_of(found: dict[str, Any], sweep: str) -> list[tuple[float, dict[str, Any]]]:
    """The measured ones."""
    return [(value, found[f"{sweep}/{value}"]) for value in SWEEPS[sweep] if f"{sweep}/{value}" in found]


def in_words(name: str, xs: Sequence[float], ys: Sequence[float]) -> str:
    """How ys grow with xs, as a clause."""
    if len(xs) < 2:
        return f"{name} is not told by one point"
    place = bend(xs, ys)
    if place is None:
        return f"{name} grows with its power {_shown(xs, ys)}"
    before, behind = _shown(xs[: place + 1], ys[: place + 1]), _shown(xs[place:], ys[place:])
    return f"{name} grows with its power {before} up to {xs[place]:,g}, and {behind} from there"


def bend(xs: Sequence[float], ys: Sequence[float]) -> int | None:
    """At which point a line on logarithmic axes bends: two lines that meet there are nearest to all points."""
    inner = range(1, len(xs) - 1)
    if not inner:
        return None
    place = min(inner, key=lambda at: _error(xs[: at + 1], ys[: at + 1]) + _error(xs[at:], ys[at:]))
    before, behind = _power(xs[: place + 1], ys[: place + 1]), _power(xs[place:], ys[place:])
    return place if abs(before - behind) >= _A_BEND else None


def _shown(xs: Sequence[float], ys: Sequence[float]) -> str:
    return f"{round(_power(xs, ys), 1) + 0.0:.1f}"  # no minus before a zero


def _power(xs: Sequence[float], ys: Sequence[float]) -> float:
    return float(np.polyfit(np.log(xs), np.log(ys), 1)[0])


def _error(xs: Sequence[float], ys: Sequence[float]) -> float:
    line = np.polyfit(np.log(xs), np.log(ys), 1)
    return float(np.square(np.polyval(line, np.log(xs)) - np.log(ys)).sum())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--sweeps", default=",".join(SWEEPS), help=f"some of {', '.join(SWEEPS)}")
    parser.add_argument("--minutes", type=float, default=60, help="when to stop, whatever is left")
    parser.add_argument("--anew", action="store_true", help="measure again what was measured before")
    options = parser.parse_args()
    for name in options.sweeps.split(","):
        if name not in SWEEPS:
            parser.error(f"there is no sweep {name}: there are {', '.join(SWEEPS)}")
    return options


if __name__ == "__main__":
    main()
