"""Trains small networks on given devices and saves the results. test_replicas.py runs it in separate processes.

python -m tests.helpers.learning_worker FILE '{"distribute": ..., "local_devices": ...}' CASE ...
"""

import json
import sys
from typing import Any

import wordgen.network  # noqa: F401 - first, because it hides TensorFlow's start-up messages

# isort: split
import numpy as np

from wordgen.dataset.batches import Batches
from wordgen.evaluation.perplexity import Evaluator
from wordgen.model.architecture import Architecture, DropoutSettings, NetworkSettings
from wordgen.network.network import Network
from wordgen.network.replicas import Replicas
from wordgen.training.devices import create_replicas
from wordgen.training.settings import DeviceSettings, TrainingSettings
from wordgen.training.step import Stepper
from wordgen.training.stopping import StopRequest
from wordgen.training.workers import find_worker_info

STEPS = 50
MEASURED = "adam"
"""The case whose perplexity is measured, too."""
IDS = np.random.default_rng(1).zipf(1.3, size=4000).clip(max=27).astype(np.uint8) + 2
ARCHITECTURE = Architecture.of(NetworkSettings(layers=2, units=12), 30)
CASES: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": "adam"},
    "values": {"optimizer": "sgd", "learning_rate": 1.0, "clip_value": 0.002},
    "all at once": {
        "optimizer": "sgd",
        "learning_rate": 1.0,
        "clip": 0.05,
        "vary_seq_len": True,
        "average_after": 1,
        "weight_decay": 0.001,
        "label_smoothing": 0.1,
    },
    # Only the word vectors and output weights of some tokens change.
    "rows": {"optimizer": "rmsprop", "batch_size": 2, "seq_len": 3, "clip": 0.2, "sampled_output": 6},
    "dropout": {"optimizer": "adam", "dropout": 0.5, "word_dropout": 0.1, "weight_drop": 0.2},
}


def make(replicas: Replicas, **chosen: Any) -> tuple[Network, Stepper, Batches]:
    settings = TrainingSettings(**{"batch_size": 8, "seq_len": 3, "dropout": 0.0, **chosen})
    with replicas.strategy.scope():
        network = Network(ARCHITECTURE, dropout=DropoutSettings.part_of(settings), random_seed=1)
    return (
        network,
        Stepper(network, settings, replicas),
        Batches(IDS, settings.batch_size, settings.seq_len, 1, settings.vary_seq_len),
    )


def learn(stepper: Stepper, batches: Batches, **chosen: Any) -> dict[str, np.ndarray]:
    """Train for 50 steps; return the state after them, and the loss and the gradient norm of each."""
    rate = TrainingSettings(**chosen).first_learning_rate
    state, losses, norms = stepper.zero_state(), [], []
    for first in range(0, STEPS, 10):
        windows = [batches.batch(1, first + k) for k in range(10)]
        shares = [1 / (first + k - 19) if first >= 20 else 0.0 for k in range(10)]
        steps, _, state = stepper(windows, state, first + 1, [rate] * 10, average_shares=shares)
        losses += [step.loss / step.count for step in steps]
        norms += [step.norm for step in steps]
    return {**stepper.snapshot(state), "losses": np.array(losses), "norms": np.array(norms)}


def state_after_repeated_half(stepper: Stepper, batches: Batches) -> np.ndarray:
    """Return the state after a batch whose second half repeats the first, with dropout."""
    half = [part[:4] for part in batches.batch(1, 0)]
    inputs, targets = (np.concatenate([part, part]) for part in half)
    _, _, state = stepper([(inputs, targets)], stepper.zero_state(), 1, [0.001])
    return stepper.snapshot(state)["state/1/0"]


def exchanged_between_workers(replicas: Replicas, stepper: Stepper, batches: Batches) -> dict[str, np.ndarray]:
    mine = bytes(range(replicas.worker, 256)) * 3
    received = {str(size): replicas.broadcast_bytes(lambda size=size: mine[:size]) for size in (0, 1, 7, 8, 9, 500)}
    requests = (replicas.worker == replicas.workers - 1, False)
    _, requested, _ = stepper([batches.batch(1, 0)], stepper.zero_state(), 1, [0.001], requests)
    summed = replicas.sum_over_workers(np.array([replicas.worker + 1, 2**40], np.int64))
    return {
        "summed": summed,
        "requested": np.array(requested),
        **{f"received/{size}": np.frombuffer(content, np.uint8) for size, content in received.items()},
    }


def main() -> None:
    file, settings, cases = sys.argv[1], DeviceSettings(**json.loads(sys.argv[2])), sys.argv[3:]
    replicas = create_replicas(settings, find_worker_info(settings), "the same", StopRequest())
    results = {"replicas": np.array(replicas.count)}

    def add_results(case: str, learned: dict[str, np.ndarray]) -> None:
        results.update({f"{case}/{part}": array for part, array in learned.items()})

    few = Evaluator(make(replicas)[0], np.arange(3, 20, dtype=np.uint8), replicas)
    results["few streams"] = np.array(few.perplexity())
    for case in cases:
        network, stepper, batches = make(replicas, **CASES[case])
        initial = stepper.snapshot(stepper.zero_state())
        add_results(case, learn(stepper, batches, **CASES[case]))
        if case == MEASURED:
            results["perplexity"] = np.array(Evaluator(network, IDS[:3333], replicas).perplexity())
        if case == "dropout":
            stepper.restore(initial)
            add_results("again", learn(stepper, batches, **CASES[case]))
            results["halves"] = state_after_repeated_half(stepper, batches)
            results |= exchanged_between_workers(replicas, stepper, batches)
    np.savez(file, allow_pickle=False, **results)


if __name__ == "__main__":
    main()
