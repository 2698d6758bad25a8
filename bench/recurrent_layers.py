"""What our recurrent layers and XLA give a training step: Keras's layers, ours, and ours compiled, in turn.

PYTHONPATH=. python bench/recurrent_layers.py [NETWORK [ROUNDS [WAY ...]]]

A way is keras, own or xla with the precision behind it, as own-bfloat16. A call does as many steps as in a training,
but 8 at most.
"""

import statistics
import sys
import time
from typing import Any, Literal

import wordgen.model  # noqa: F401 - first, for it keeps TensorFlow's start-up notes off the screen

# isort: split
import numpy as np

from wordgen.architecture import Architecture, NetworkSettings
from wordgen.dropout import DropoutSettings
from wordgen.model.network import Network
from wordgen.model.replicas import alone
from wordgen.training.settings import TrainingSettings
from wordgen.training.step import Stepper

Precision = Literal["float32", "bfloat16"]
MOST_STEPS = 8
WAYS = ("keras-float32", "own-float32", "xla-float32", "keras-bfloat16", "own-bfloat16", "xla-bfloat16")
NETWORKS: dict[str, tuple[dict[str, Any], int, int, int, dict[str, Any]]] = {
    "defaults": ({"layers": 3, "units": 512}, 16, 15, 1335, {}),
    "large": ({"layers": 3, "units": 512}, 64, 15, 10_000, {}),
    "tied": ({"layers": 2, "units": 200, "tied": True}, 20, 35, 33_278, {"optimizer": "sgd"}),
    "letters": ({"layers": 2, "units": 128}, 50, 50, 100, {}),
    "short": ({"layers": 1, "units": 128}, 4, 15, 1335, {}),
    "long": ({"layers": 3, "units": 512}, 16, 200, 1335, {}),
}


def main(name: str = "", rounds: str = "12", *ways: str) -> None:
    print("network | way | CPU microseconds a token, median (least) | wall, median (least) | first call: wall s, CPU s")
    for network in [name] if name else NETWORKS:
        timed = {way: _Timed(way, *NETWORKS[network]) for way in ways or WAYS}
        for _ in range(int(rounds)):
            for each in timed.values():
                each.call()
        for way, each in timed.items():
            cpu, wall = (f"{statistics.median(times):.0f} ({min(times):.0f})" for times in (each.cpus, each.walls))
            print(network, way, cpu, wall, f"{each.first[0]:.1f}, {each.first[1]:.1f}", sep=" | ", flush=True)


class _Timed:
    def __init__(
        self, way: str, network: dict[str, Any], rows: int, seq_len: int, vocabulary: int, more: dict[str, Any]
    ) -> None:
        layers, _, named = way.partition("-")
        precision: Precision = "bfloat16" if named == "bfloat16" else "float32"
        settings = TrainingSettings(batch_size=rows, seq_len=seq_len, precision=precision, **more)
        learning = Network(
            Architecture.of(NetworkSettings(**network), vocabulary),
            dropout=DropoutSettings.part_of(settings),
            random_seed=1,
            precision=precision,
            own_layers=layers != "keras",
        )
        self._stepper = Stepper(learning, settings, alone(), compiled=layers == "xla")
        self._steps = min(MOST_STEPS, self._stepper.most_steps)
        ids = np.random.default_rng(1).integers(3, vocabulary, (rows, seq_len)).astype(np.int32)
        self._windows, self._tokens = [(ids, ids)] * self._steps, self._steps * ids.size
        self._carry = self._stepper.zero_carry()
        self.walls: list[float] = []
        self.cpus: list[float] = []
        self.call()
        self.first = [times.pop() * self._tokens / 1e6 for times in (self.walls, self.cpus)]

    def call(self) -> None:
        wall, cpu = time.monotonic(), time.process_time()
        rates = [0.001] * self._steps
        *_, self._carry = self._stepper(self._windows, self._carry, 1 + len(self.walls) * self._steps, rates)
        self.walls.append(1e6 * (time.monotonic() - wall) / self._tokens)
        self.cpus.append(1e6 * (time.process_time() - cpu) / self._tokens)


if __name__ == "__main__":
    main(*sys.argv[1:])
