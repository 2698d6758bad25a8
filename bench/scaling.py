"""What several devices and processes cost: the same batch on one device, two parts of the CPU, two processes.

PYTHONPATH=. python bench/scaling.py

All ways run at once and take turns of some steps, so a busy machine treats them alike. CPU seconds are those of all
processes of a way together.
"""

import json
import statistics
import sys
import time
from contextlib import ExitStack
from typing import Any

from bench.results import print_row
from bench.turns import ROOT, Turns, Way, worker_environments

STEPS_A_TURN = 5
TURNS = 8
CASES: list[tuple[dict[str, Any], int, int, int]] = [
    ({"layers": 3, "units": 512}, 16, 15, 1335),
    ({"layers": 2, "units": 200}, 20, 20, 8000),
    ({"layers": 1, "units": 128}, 16, 15, 1335),
]
WAYS: dict[str, list[dict[str, Any]]] = {
    "one device": [{"distribute": "none"}],
    "two parts of the CPU": [{"local_devices": 2}],
    "two processes": [{"distribute": "multiworker"}] * 2,
}


def work(settings: dict[str, Any]) -> None:
    """Answer what each turn took, for one case after another."""
    turns = Turns()
    import wordgen.network  # noqa: F401 - first, because it silences the notes of TensorFlow's start

    # isort: split
    import numpy as np
    import tensorflow as tf

    from wordgen.model.architecture import Architecture, DropoutSettings, NetworkSettings
    from wordgen.network.network import Network
    from wordgen.training.devices import create_replicas
    from wordgen.training.settings import DeviceSettings, TrainingSettings
    from wordgen.training.step import Stepper
    from wordgen.training.stopping import StopRequest
    from wordgen.training.workers import find_worker_info

    devices = DeviceSettings(**settings)
    replicas = create_replicas(devices, find_worker_info(devices), "a benchmark", StopRequest())
    for shape, rows, seq_len, vocabulary in CASES:
        chosen = TrainingSettings(batch_size=rows, seq_len=seq_len, precision="float32")
        architecture = Architecture.of(NetworkSettings(**shape), vocabulary)
        with replicas.strategy.scope():
            network = Network(architecture, dropout=DropoutSettings.part_of(chosen), random_seed=1)
        stepper = Stepper(network, chosen, replicas)
        ids = np.random.default_rng(1).integers(3, vocabulary, (rows, seq_len)).astype(np.int32)
        state = stepper.zero_state()
        number = min(stepper.max_steps, STEPS_A_TURN)
        *_, state = stepper([(ids, ids)], state, 1, [0.001])
        gradients = [tf.ones(variable.shape) for variable in network.trainable_variables]

        def sum_of_replica(gradients: list[Any]) -> dict[str, Any]:
            # MirroredStrategy cannot sum one tensor that belongs to all replicas, so each replica makes its own.
            return replicas.all_reduce({str(number): tf.identity(each) for number, each in enumerate(gradients)})

        def exchange(gradients: list[Any]) -> list[Any]:
            summed = replicas.strategy.run(sum_of_replica, args=(gradients,))
            return [replicas.strategy.experimental_local_results(each)[0] for each in summed.values()]

        sum_once = tf.function(exchange)
        sum_once(gradients)
        turns.answer(bytes=4 * architecture.parameters)
        for _ in range(TURNS):
            turns.wait()
            done = 0
            while done < STEPS_A_TURN:
                *_, state = stepper([(ids, ids)] * number, state, done + 1, [0.001] * number)
                done += number
            a_step = {kind: seconds / done for kind, seconds in turns.spent().items()}
            began = time.monotonic()
            _ = [np.asarray(each) for each in sum_once(gradients)]
            turns.answer(**a_step, exchange=time.monotonic() - began)


def main() -> None:
    with ExitStack() as stack:
        ways = {name: _started(way, stack) for name, way in WAYS.items()}
        print_row("network, batch x seq len, vocabulary", "way", "ms wall a step", "CPU µs a token", "exchange ms, MB")
        for shape, rows, seq_len, vocabulary in CASES:
            sizes = [way.answer()["bytes"] for processes in ways.values() for way in processes]
            turns: dict[str, list[dict[str, list[float]]]] = {name: [] for name in ways}
            for _ in range(TURNS):
                for name, processes in ways.items():
                    turns[name].append(_turn(processes))
            network = f"{shape['layers']}x{shape['units']}, {rows} x {seq_len}, {vocabulary}"
            for name, of_way in turns.items():
                wall = statistics.median(max(turn["wall"]) for turn in of_way)
                cpu = statistics.median(sum(turn["cpu"]) for turn in of_way) / (rows * seq_len)
                exchange = statistics.median(max(turn["exchange"]) for turn in of_way)
                figures = f"{1000 * wall:.1f}", f"{1e6 * cpu:.0f}", f"{1000 * exchange:.1f}, {sizes[0] / 1e6:.1f}"
                print_row(network, name, *figures)


def _started(way: list[dict[str, Any]], stack: ExitStack) -> list[Way]:
    """Start the processes of a way. The stack ends them."""
    environments = worker_environments(len(way)) if len(way) > 1 else [{}]
    processes: list[Way] = []
    for settings, environment in zip(way, environments, strict=True):
        processes.append(Way(sys.executable, "bench.scaling", [json.dumps(settings)], ROOT, environment))
        stack.callback(processes[-1].close)
    return processes


def _turn(processes: list[Way]) -> dict[str, list[float]]:
    """Give the processes of a way a turn at the same time, and return what each answers."""
    for process in processes:
        process.begin_turn()
    answers = [process.answer() for process in processes]
    return {name: [answer[name] for answer in answers] for name in answers[0]}


if __name__ == "__main__":
    work(json.loads(sys.argv[1])) if len(sys.argv) > 1 else main()
