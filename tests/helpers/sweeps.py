"""A small sweep file, and sweeps with made-up figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from wordgen.run.record import DIVERGED
from wordgen.sweep.effects import TEXT_SETTINGS
from wordgen.sweep.planning import Network, PlannedRun, Sweep, find_sweep
from wordgen.sweep.results import NetworkResult, Row, RunFigures

GRID = """
about = "Cells and units."
random_seeds = [1, 2]

[settings]
corpus = "spells"
epochs = 3

[grid]
cell = ["rnn", "lstm"]
units = [16, [24, 8]]
layers = [2]
"""


def read_sweep(folder: Path, content: str) -> Sweep:
    """Write a sweep file into the current folder and read it."""
    (folder / "my.toml").write_text(content, encoding="utf-8")
    return find_sweep("my.toml")


_STEPS = 8400
"""Steps of an epoch with a seq_len of 1."""

Figures = Mapping[tuple[Any, ...], Sequence[float | None]]
"""The validation perplexities of each network, one per random seed (None: the run diverged), by its settings."""


def sweep_with(settings: Sequence[str], figures: Figures) -> tuple[Sweep, list[NetworkResult]]:
    networks = {
        values: Network(" ".join(map(str, values)), dict(zip(settings, values, strict=True))) for values in figures
    }
    seeds = tuple(range(1, 1 + max(len(values) for values in figures.values())))
    sweep = Sweep("made-up", "Made up.", {"corpus": "spells"}, tuple(networks.values()), seeds)
    return sweep, sorted(
        (network_result(networks[values], perplexities) for values, perplexities in figures.items()),
        key=lambda each: each.valid.mean if each.completed_runs else float("inf"),
    )


def network_result(
    network: Network, perplexities: Sequence[float | None], curve: Sequence[float] = ()
) -> NetworkResult:
    settings = {"epochs": 10, **network.settings}
    steps = _STEPS // settings.get("seq_len", 1)
    seconds = 1200.0 / settings.get("seq_len", 100)
    run = cast(PlannedRun, None)
    runs = tuple(
        Row(run, RunFigures("missing"), "diverged", DIVERGED)
        if best is None
        else Row(run, RunFigures("finished", (*curve, best), best, seconds, best * 1.1), "done")
        for best in perplexities
    )
    text = " ".join(str(value) for name, value in network.settings.items() if name in TEXT_SETTINGS)
    return NetworkResult(network, settings, text, 1000, runs, steps_per_epoch=steps)
