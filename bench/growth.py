"""How the cost of a training grows with one thing at a time: vocabulary, units, layers, seq len, batch size, corpus.

PYTHONPATH=. python bench/growth.py [--sweeps vocabulary,units] [--minutes 60] [--anew]

Each point is a real training in a process of its own: three turns of a second after its first steps, or, for the
corpus, all until the first step. Each is saved in bench/results/growth.json as soon as it is measured. A run that was
stopped, by Ctrl-C or by its minutes, continues with the points that are missing. `python bench/document.py` draws them.
"""

import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench import results
from bench.rows import Row, write_text
from bench.training import settings_of_row
from bench.turns import FailedError, Way, can_continue

NAME = "growth"
BASE = Row(layers=2, units=256, batch_size=16, seq_len=25, vocabulary=10_000)
SMALL = Row(layers=1, units=64, batch_size=16, seq_len=25, vocabulary=30_000)
"""For the sweep of the corpus: what comes before the first step does not depend on the network."""
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
    parser = results.parser_for(__doc__, minutes=60)
    parser.add_argument("--sweeps", type=results.some_of(SWEEPS), default="", help=f"some of {', '.join(SWEEPS)}")
    parser.add_argument("--anew", action="store_true", help="measure again what was measured before")
    options = parser.parse_args()
    known = {} if options.anew else results.load(NAME)
    points = {f"{sweep}/{value}": (sweep, value) for sweep in options.sweeps for value in SWEEPS[sweep]}
    with can_continue():
        for point, (sweep, value) in points.items():
            if point in known:
                continue
            try:
                found = _measured(sweep, value, options.until)
            except FailedError as error:
                print(f"{point}: {error}", file=sys.stderr)
                continue
            results.save(NAME, point, {**found, **results.circumstances()})
            results.print_row(point, *(f"{name} {figure:,.1f}" for name, figure in found.items()))


def _measured(sweep: str, value: float, until: float) -> dict[str, float]:
    """Return CPU and wall time, memory, the seconds of the first step, and the number of parameters.

    The times are those of a token in microseconds, or, for the corpus, the seconds until the first step.
    """
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        row = SMALL if sweep == "corpus" else replace(BASE, **{sweep: value})
        number = int(value * _TOKENS_A_MEGABYTE) if sweep == "corpus" else _TOKENS
        write_text(room / "text.txt", max(number, 20 * row.batch_size * row.seq_len), row.vocabulary)
        settings = {**settings_of_row(row, room / "text.txt"), "copy_index": sweep == "corpus", "force_memory": True}
        arguments, environment = [json.dumps(settings), str(_SECONDS)], {"WORDGEN_DATA": str(room / "data")}
        with closing(Way(sys.executable, "bench.ways.ours", arguments, room, environment, until)) as way:
            facts = way.answer()
            turns = [way.turn() for _ in range(1 if sweep == "corpus" else _TURNS)]
    cpu, wall = (statistics.median(turn[kind] for turn in turns) for kind in ("cpu", "wall"))
    if sweep == "corpus":
        cpu, wall = facts["cpu_before"], facts["wall_before"]
    peak = max(turn["peak_mb"] for turn in turns)
    return {"cpu": cpu, "wall": wall, "peak_mb": peak, **{name: facts[name] for name in ("first_step", "parameters")}}


def points_of(found: dict[str, Any], sweep: str) -> list[tuple[float, dict[str, Any]]]:
    """Return the points of a sweep that have been measured."""
    return [(value, found[f"{sweep}/{value}"]) for value in SWEEPS[sweep] if f"{sweep}/{value}" in found]


def in_words(xs: Sequence[float], ys: Sequence[float]) -> str:
    """Return the power of x that ys are proportional to."""
    if len(xs) < 2:
        return "needs more than one point"
    place = bend(xs, ys)
    if place is None:
        return f"x^{_shown(xs, ys)}"
    before, behind = _shown(xs[: place + 1], ys[: place + 1]), _shown(xs[place:], ys[place:])
    return f"x^{before} up to {xs[place]:,g}, then x^{behind}"


def bend(xs: Sequence[float], ys: Sequence[float]) -> int | None:
    """Return the point at which a line on logarithmic axes bends: two lines that meet there are nearest to all points.

    Return None if the two lines have nearly the same power.
    """
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


if __name__ == "__main__":
    main()
