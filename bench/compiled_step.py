"""What XLA gives a training step: plain and compiled, in turn, on the same batch.

PYTHONPATH=. python bench/compiled_step.py
"""

import statistics
import time
from typing import Any

import wordgen.model  # noqa: F401 - first, for it keeps TensorFlow's start-up notes off the screen

# isort: split
import numpy as np

from wordgen.architecture import Architecture, NetworkSettings
from wordgen.dropout import DropoutSettings
from wordgen.model.network import Network
from wordgen.model.replicas import alone
from wordgen.training.settings import TrainingSettings
from wordgen.training.step import Stepper

STEPS = 12
CASES: list[tuple[dict[str, Any], int, int, int]] = [
    ({"layers": 3, "units": 512}, 16, 15, 1335),
    ({"layers": 3, "units": 512}, 64, 15, 8000),
    ({"layers": 2, "units": 200}, 20, 20, 8000),
    ({"layers": 1, "units": 128}, 16, 15, 1335),
]


def main() -> None:
    print("network, batch x seq len, vocabulary | ms wall plain, compiled | ms CPU plain, compiled | s first step")
    for network, batch_size, seq_len, vocabulary in CASES:
        settings = TrainingSettings(batch_size=batch_size, seq_len=seq_len)
        ids = np.random.default_rng(1).integers(3, vocabulary, (batch_size, seq_len)).astype(np.int32)
        architecture = Architecture.of(NetworkSettings(**network), vocabulary)
        pair = [_Timed(architecture, settings, ids, compiled=compiled) for compiled in (False, True)]
        for _ in range(STEPS):
            for each in pair:
                each.step()
        shape = f"{network['layers']}x{network['units']}, {batch_size} x {seq_len}, {vocabulary}"
        walls, cpus, firsts = ([getattr(each, name) for each in pair] for name in ("wall", "cpu", "first"))
        print(shape, *(f"{plain:.1f}, {compiled:.1f}" for plain, compiled in (walls, cpus, firsts)), sep=" | ")


class _Timed:
    def __init__(self, architecture: Architecture, settings: TrainingSettings, ids: Any, *, compiled: bool) -> None:
        network = Network(architecture, dropout=DropoutSettings.part_of(settings), random_seed=1)
        self._stepper = Stepper(network, settings, alone(), compiled=compiled)
        self._ids, self._carry = ids, self._stepper.zero_carry()
        self._walls: list[float] = []
        self._cpus: list[float] = []
        began = time.monotonic()
        self.step()
        self.first = time.monotonic() - began

    def step(self) -> None:
        wall, cpu = time.monotonic(), time.process_time()
        *_, self._carry = self._stepper([(self._ids, self._ids)], self._carry, len(self._walls) + 1, [0.001])
        self._walls.append(time.monotonic() - wall)
        self._cpus.append(time.process_time() - cpu)

    @property
    def wall(self) -> float:
        return 1000 * statistics.median(self._walls[1:])

    @property
    def cpu(self) -> float:
        return 1000 * statistics.median(self._cpus[1:])


if __name__ == "__main__":
    main()
