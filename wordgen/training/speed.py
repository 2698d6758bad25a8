"""How fast a run goes: measured with real steps on its own text, whose traces are then wiped out."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict

from wordgen.bundle import Weights
from wordgen.dataset.batches import Batches
from wordgen.evaluation.perplexity import Evaluator
from wordgen.model.network import Network
from wordgen.model.replicas import Replicas
from wordgen.training.reports import Speed
from wordgen.training.step import Stepper

_STEPS = 5
_VALIDATION_BATCHES = 3


def measure(
    replicas: Replicas,
    network: Network,
    stepper: Stepper,
    evaluator: Evaluator,
    batches: Batches,
    write_samples: Callable[[Weights], object],
) -> Speed:
    """The same on all workers: what the chief has measured. The network is as new afterwards."""
    untouched = stepper.state(stepper.zero_carry())
    began = time.monotonic()
    _seconds_of(stepper, batches, 1)
    first = time.monotonic() - began
    # A small network does several steps a call, and a few of them would be too short a time to measure.
    steps = max(_STEPS, stepper.most_steps)
    step = _seconds_of(stepper, batches, steps) / steps
    _seconds_of_validation(evaluator)  # makes the graph
    validation = _seconds_of_validation(evaluator)
    began = time.monotonic()
    if replicas.chief:
        write_samples(network.to_weights())
    samples = time.monotonic() - began
    began = time.monotonic()
    stepper.restore(untouched)
    stepper.has_run = False
    speed = Speed(
        steps=steps,
        tokens_per_second=batches.batch_size * batches.seq_len / step,
        first_step=first,
        step=step,
        # Taking a state back is about what taking it out and writing it down costs.
        epoch_end=validation + samples + time.monotonic() - began,
    )
    return Speed(**json.loads(replicas.from_chief(lambda: json.dumps(asdict(speed)).encode())))


def _seconds_of(stepper: Stepper, batches: Batches, steps: int) -> float:
    began, carry, done = time.monotonic(), stepper.zero_carry(), 0
    while done < steps:
        number = min(stepper.most_steps, steps - done)
        windows = [batches.batch(1, (done + k) % batches.steps_per_epoch) for k in range(number)]
        *_, carry = stepper(windows, carry, done + 1, [1e-6] * number)
        done += number
    return time.monotonic() - began


def _seconds_of_validation(evaluator: Evaluator) -> float:
    """Of a whole one, judged by its first batches."""
    left = min(_VALIDATION_BATCHES, evaluator.batches)
    asked = 0

    def keep_on() -> bool:
        nonlocal asked
        asked += 1
        return asked <= left

    began = time.monotonic()
    evaluator.perplexity(keep_on=keep_on)
    # The refused batch is computed too.
    return (time.monotonic() - began) * evaluator.batches / min(asked, evaluator.batches)
