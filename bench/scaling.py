"""What several devices and processes cost: the same batch on one device, two parts of the CPU, two processes.

PYTHONPATH=. python bench/scaling.py

All run at once, but one after the other takes its turn of steps, so a noisy machine treats them alike. CPU
seconds are those of all processes of a way together, user and system.
"""

import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

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
    """One process: for every case a line of JSON at the end of each turn, begun by a line from the parent."""
    import wordgen.model  # noqa: F401 - first, for it keeps TensorFlow's start-up notes off the screen

    # isort: split
    import numpy as np
    import tensorflow as tf

    from wordgen.architecture import Architecture, NetworkSettings
    from wordgen.dropout import DropoutSettings
    from wordgen.model.network import Network
    from wordgen.training.joining import join
    from wordgen.training.settings import DeviceSettings, TrainingSettings
    from wordgen.training.step import Stepper
    from wordgen.training.stopping import StopRequest
    from wordgen.training.workers import place_of

    devices = DeviceSettings(**settings)
    replicas = join(devices, place_of(devices), "a benchmark", StopRequest())
    for shape, rows, seq_len, vocabulary in CASES:
        chosen = TrainingSettings(batch_size=rows, seq_len=seq_len, precision="float32")
        architecture = Architecture.of(NetworkSettings(**shape), vocabulary)
        with replicas.strategy.scope():
            network = Network(architecture, dropout=DropoutSettings.part_of(chosen), random_seed=1)
        stepper = Stepper(network, chosen, replicas)
        ids = np.random.default_rng(1).integers(3, vocabulary, (rows, seq_len)).astype(np.int32)
        carry = stepper.zero_carry()
        number = min(stepper.most_steps, STEPS_A_TURN)
        *_, carry = stepper([(ids, ids)], carry, 1, [0.001])
        gradients = [tf.ones(variable.shape) for variable in network.trainable_variables]

        def exchange(gradients: list[Any]) -> list[Any]:
            summed = replicas.strategy.run(replicas.all_reduce, args=(dict(enumerate(gradients)),))
            return [replicas.strategy.experimental_local_results(each)[0] for each in summed.values()]

        sum_once = tf.function(exchange)
        sum_once(gradients)
        print("ready", flush=True)
        for _ in range(TURNS):
            sys.stdin.readline()
            wall, cpu = time.monotonic(), _cpu()
            done = 0
            while done < STEPS_A_TURN:
                *_, carry = stepper([(ids, ids)] * number, carry, done + 1, [0.001] * number)
                done += number
            wall, cpu = time.monotonic() - wall, _cpu() - cpu
            began = time.monotonic()
            _ = [np.asarray(each) for each in sum_once(gradients)]
            told = {"wall": wall / done, "cpu": cpu / done, "exchange": time.monotonic() - began}
            print(json.dumps({**told, "bytes": 4 * architecture.parameters}), flush=True)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    ways = {name: [_started(each, n, len(way)) for n, each in enumerate(way)] for name, way in WAYS.items()}
    print("network, batch x seq len, vocabulary | way | ms wall a step | CPU us a token | exchange ms, MB")
    for shape, rows, seq_len, vocabulary in CASES:
        told: dict[str, list[list[dict[str, float]]]] = {name: [] for name in ways}
        for processes in ways.values():
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
        for _ in range(TURNS):
            for name, processes in ways.items():
                told[name].append(_turn(processes))
        for name, turns in told.items():
            wall = statistics.median(max(each["wall"] for each in turn) for turn in turns)
            cpu = statistics.median(sum(each["cpu"] for each in turn) for turn in turns)
            exchange = statistics.median(max(each["exchange"] for each in turn) for turn in turns)
            size = turns[0][0]["bytes"] / 1e6
            network = f"{shape['layers']}x{shape['units']}, {rows} x {seq_len}, {vocabulary}"
            per_token = 1e6 * cpu / (rows * seq_len)
            figures = (f"{1000 * wall:.1f}", f"{per_token:.0f}", f"{1000 * exchange:.1f}, {size:.1f}")
            print(network, name, *figures, sep=" | ")


def _started(settings: dict[str, Any], number: int, workers: int) -> "subprocess.Popen[str]":
    environment = dict(os.environ)
    if workers > 1:
        cluster = {"worker": [f"127.0.0.1:{port}" for port in PORTS]}
        environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": number}})
    return subprocess.Popen(
        [sys.executable, __file__, json.dumps(settings)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _turn(processes: "list[subprocess.Popen[str]]") -> list[dict[str, float]]:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(process.stdout.readline()) for process in processes if process.stdout is not None]


def _free_ports() -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


PORTS = _free_ports()

if __name__ == "__main__":
    work(json.loads(sys.argv[1])) if len(sys.argv) > 1 else main()
