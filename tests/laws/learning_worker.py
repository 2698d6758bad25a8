"""Run by test_replicas.py in processes of their own: learn a little on the devices it is told, write what came.

python -m tests.laws.learning_worker FILE '{"distribute": ..., "local_devices": ...}'
"""

import json
import sys
from typing import Any

import wordgen.model  # noqa: F401 - first, for it keeps TensorFlow's start-up notes off the screen

# isort: split
import numpy as np

from wordgen.architecture import Architecture, NetworkSettings
from wordgen.dataset.batches import Batches
from wordgen.dropout import DropoutSettings
from wordgen.evaluation.perplexity import Evaluator
from wordgen.model.network import Network
from wordgen.model.replicas import Replicas
from wordgen.training.joining import join
from wordgen.training.settings import DeviceSettings, TrainingSettings
from wordgen.training.step import Stepper
from wordgen.training.stopping import StopRequest
from wordgen.training.workers import place_of

STEPS = 50
IDS = np.random.default_rng(1).zipf(1.3, size=4000).clip(max=27).astype(np.uint8) + 2
ARCHITECTURE = Architecture.of(NetworkSettings(layers=2, units=12), 30)
CASES: dict[str, dict[str, Any]] = {
    "rmsprop": {"optimizer": "rmsprop"},
    "adam": {"optimizer": "adam"},
    "sgd": {"optimizer": "sgd", "learning_rate": 1.0},
    "clipped": {"optimizer": "sgd", "learning_rate": 1.0, "clip": 0.05},
    "all at once": {
        "optimizer": "sgd",
        "learning_rate": 1.0,
        "vary_seq_len": True,
        "average_after": 1,
        "weight_decay": 0.001,
        "layer_decay": 0.7,
        "pull": 0.01,
        "label_smoothing": 0.1,
    },
    "sampled": {"optimizer": "sgd", "learning_rate": 1.0, "sampled_output": 12},
    # Word vectors and output weights of some tokens alone are moved.
    "rows": {"optimizer": "rmsprop", "batch_size": 2, "seq_len": 3, "clip": 0.2, "sampled_output": 6},
    "dropout": {"optimizer": "adam", "dropout": 0.5, "word_dropout": 0.1, "weight_drop": 0.2},
}


def make(replicas: Replicas, **chosen: Any) -> tuple[Network, Stepper, Batches]:
    settings = TrainingSettings(**{"batch_size": 8, "seq_len": 7, "dropout": 0.0, **chosen})
    with replicas.strategy.scope():
        network = Network(ARCHITECTURE, dropout=DropoutSettings.part_of(settings), random_seed=1)
    return (
        network,
        Stepper(network, settings, replicas),
        Batches(IDS, settings.batch_size, settings.seq_len, 1, settings.vary_seq_len),
    )


def learn(replicas: Replicas, **chosen: Any) -> dict[str, np.ndarray]:
    """The state after fifty steps, the loss of each, and the perplexity of a text that none has seen."""
    network, stepper, batches = make(replicas, **chosen)
    rate = TrainingSettings(**chosen).first_learning_rate
    carry, losses, norms = stepper.zero_carry(), [], []
    for first in range(0, STEPS, 10):
        windows = [batches.batch(1, first + k) for k in range(10)]
        shares = [1 / (first + k - 19) if first >= 20 else 0.0 for k in range(10)]
        done, _, carry = stepper(windows, carry, first + 1, [rate] * 10, shares=shares)
        losses += [step.loss / step.count for step in done]
        norms += [step.norm for step in done]
    perplexity = Evaluator(network, IDS[:3333], replicas).perplexity()
    return {
        **stepper.state(carry),
        "losses": np.array(losses),
        "norms": np.array(norms),
        "perplexity": np.array(perplexity),
    }


def masks_of_two_halves(replicas: Replicas) -> np.ndarray:
    """The carry behind a batch whose second half repeats the first, with dropout on."""
    _, stepper, batches = make(replicas, dropout=0.5)
    half = [part[:4] for part in batches.batch(1, 0)]
    inputs, targets = (np.concatenate([part, part]) for part in half)
    _, _, carry = stepper([(inputs, targets)], stepper.zero_carry(), 1, [0.001])
    return stepper.state(carry)["carry/1/0"]


def what_workers_tell_each_other(replicas: Replicas) -> dict[str, np.ndarray]:
    mine = bytes(range(replicas.worker, 256)) * 3
    told = {str(size): replicas.from_chief(lambda size=size: mine[:size]) for size in (0, 1, 7, 8, 9, 500)}
    _, stepper, batches = make(replicas)
    wish = (replicas.worker == replicas.workers - 1, False)
    _, wished, _ = stepper([batches.batch(1, 0)], stepper.zero_carry(), 1, [0.001], wish)
    summed = replicas.sum_over_workers(np.array([replicas.worker + 1, 2**40], np.int64))
    return {
        "summed": summed,
        "wished": np.array(wished),
        **{f"told/{size}": np.frombuffer(content, np.uint8) for size, content in told.items()},
    }


def main() -> None:
    file, settings = sys.argv[1], DeviceSettings(**json.loads(sys.argv[2]))
    replicas = join(settings, place_of(settings), "the same", StopRequest())
    found = {f"{case}/{name}": array for case in CASES for name, array in learn(replicas, **CASES[case]).items()}
    found |= {f"again/{name}": array for name, array in learn(replicas, **CASES["dropout"]).items()}
    found |= what_workers_tell_each_other(replicas)
    found["halves"] = masks_of_two_halves(replicas)
    found["replicas"] = np.array(replicas.count)
    few = Evaluator(make(replicas)[0], np.arange(3, 20, dtype=np.uint8), replicas).perplexity()
    found["few streams"] = np.array(few)
    np.savez(file, allow_pickle=False, **found)


if __name__ == "__main__":
    main()
