"""A small sweep file."""

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


def read_sweep(folder: Path, content: str) -> Sweep:
    """Write a sweep file into the current folder and read it."""
    (folder / "my.toml").write_text(content, encoding="utf-8")
    return find_sweep("my.toml")
