"""A small sweep as a file."""

from pathlib import Path

from wordgen.sweep.planning import Sweep, find_sweep

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


def read(room: Path, content: str) -> Sweep:
    (room / "my.toml").write_text(content, encoding="utf-8")
    return find_sweep("my.toml")
