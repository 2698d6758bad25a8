"""Run by test_replicas.py in processes of their own: learn a little on the devices it is told, write what came.

python -m tests.helpers.learning_worker FILE '{"distribute": ..., "local_devices": ...}' CASE ...
"""

import json
import sys
from typing import Any

import wordgen.network  # noqa: F401 - first, for it keeps TensorFlow's start-up notes off the screen

# isort: split
import numpy as np

from wordgen.dataset.batches import Batches
from wordgen.evaluation.perplexity import Evaluator
from wordgen.model.architecture import Architecture, DropoutSettings, NetworkSettings
from wordgen.network.network import Network
from wordgen.network.replicas import Replicas
from wordgen.training.devices import join
from wordgen.training.settings import DeviceSettings, TrainingSettings
from wordgen.training.step import Stepper
from wordgen.training.stopping import StopRequest
from wordgen.training.workers import place_of

STEPS = 50
MEASURED = "adam"
"""The case whose network is measured, too."""
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
        "layer_decay": 0.7,
        "pull": 0.01,
        "label_smoothing": 0.1,
    },
    # Word vectors and output weights of some tokens alone are moved.
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
    """The state after fifty steps, and the loss and the norm of each."""
    rate = TrainingSettings(**chosen).first_learning_rate
    state, losses, norms = stepper.zero_state(), [], []
    for first in range(0, STEPS, 10):
        windows = [batches.batch(1, first + k) for k in range(10)]
        shares = [1 / (first + k - 19) if first >= 20 else 0.0 for k in range(10)]
        done, _, state = stepper(windows, state, first + 1, [rate] * 10, shares=shares)
        losses += [step.loss / step.count for step in done]
        norms += [step.norm for step in done]
    return {**stepper.snapshot(state), "losses": np.array(losses), "norms": np.array(norms)}


def masks_of_two_halves(stepper: Stepper, batches: Batches) -> np.ndarray:
    """The state behind a batch whose second half repeats the first, with dropout on."""
    half = [part[:4] for part in batches.batch(1, 0)]
    inputs, targets = (np.concatenate([part, part]) for part in half)
    _, _, state = stepper([(inputs, targets)], stepper.zero_state(), 1, [0.001])
    return stepper.snapshot(state)["state/1/0"]


def what_workers_tell_each_other(replicas: Replicas, stepper: Stepper, batches: Batches) -> dict[str, np.ndarray]:
    mine = bytes(range(replicas.worker, 256)) * 3
    told = {str(size): replicas.from_chief(lambda size=size: mine[:size]) for size in (0, 1, 7, 8, 9, 500)}
    wish = (replicas.worker == replicas.workers - 1, False)
    _, requested, _ = stepper([batches.batch(1, 0)], stepper.zero_state(), 1, [0.001], wish)
    summed = replicas.sum_over_workers(np.array([replicas.worker + 1, 2**40], np.int64))
    return {
        "summed": summed,
        "requested": np.array(requested),
        **{f"told/{size}": np.frombuffer(content, np.uint8) for size, content in told.items()},
    }


def main() -> None:
    file, settings, cases = sys.argv[1], DeviceSettings(**json.loads(sys.argv[2])), sys.argv[3:]
    replicas = join(settings, place_of(settings), "the same", StopRequest())
    found = {"replicas": np.array(replicas.count)}

    def keep(case: str, learned: dict[str, np.ndarray]) -> None:
        found.update({f"{case}/{part}": array for part, array in learned.items()})

    few = Evaluator(make(replicas)[0], np.arange(3, 20, dtype=np.uint8), replicas)
    found["few streams"] = np.array(few.perplexity())
    for case in cases:
        network, stepper, batches = make(replicas, **CASES[case])
        begun = stepper.snapshot(stepper.zero_state())
        keep(case, learn(stepper, batches, **CASES[case]))
        if case == MEASURED:
            found["perplexity"] = np.array(Evaluator(network, IDS[:3333], replicas).perplexity())
        if case == "dropout":
            stepper.restore(begun)
            keep("again", learn(stepper, batches, **CASES[case]))
            found["halves"] = masks_of_two_halves(stepper, batches)
            found |= what_workers_tell_each_other(replicas, stepper, batches)
    np.savez(file, allow_pickle=False, **found)


if __name__ == "__main__":
    main()
