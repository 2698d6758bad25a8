"""Puts the parts of a run together and lets it learn. Importing this module imports TensorFlow."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from wordgen.bundle import Bundle, Weights
from wordgen.dataset.batches import Batches
from wordgen.dataset.encoding import Dataset
from wordgen.evaluation.perplexity import Evaluator
from wordgen.generation.trained import TrainedModel, word_to_try
from wordgen.model.network import Carry, Network
from wordgen.training.checkpoint import Checkpoints, Position
from wordgen.training.keeper import BestKeeper, CheckpointKeeper
from wordgen.training.loop import Loop, Outcome
from wordgen.training.reports import Observer, Plan, Sample
from wordgen.training.settings import CheckpointClock
from wordgen.training.step import Stepper
from wordgen.training.stopping import StopRequest
from wordgen.training.tensorboard import TensorBoardWriter

_SAMPLE_LENGTH = 40


def learn(
    plan: Plan,
    dataset: Dataset,
    batches: Batches,
    bundle_with: Callable[[Weights], Bundle],
    save: Callable[[Weights], None],
    observers: Sequence[Observer],
    stop: StopRequest,
    checkpoints: Checkpoints,
) -> Outcome:
    settings = plan.settings
    strategy = tf.distribute.get_strategy()
    with strategy.scope():
        network = Network(plan.architecture, dropout=settings.dropout, random_seed=settings.random_seed)

    def sampler(weights: Weights) -> tuple[Sample, ...]:
        """A greedy and a drawn text from the live weights, with the same seed and dice in every epoch."""
        model = TrainedModel(bundle_with(weights))
        seed = word_to_try(dataset.codec) or ""
        return tuple(
            Sample(mode, model.generate(seed, mode=mode, length=_SAMPLE_LENGTH, random_seed=1)[0].text)
            for mode in ("greedy", "sample")
        )

    def warn(sentence: str) -> None:
        for observer in observers:
            observer.warned(sentence)

    curves = TensorBoardWriter(plan.folder, warn)
    try:
        everyone = [*observers, curves]
        keeper = BestKeeper(save, warn)
        evaluator = Evaluator(network, dataset.ids["valid"])
        stepper = Stepper(network, settings, strategy)
        position, carry = _where_it_stands(checkpoints, stepper)
        keeping = CheckpointKeeper(checkpoints, CheckpointClock.parse(settings.checkpoint_every), warn)
        loop = Loop(
            network, stepper, batches, evaluator, settings, sampler, keeper, keeping, everyone, stop, position, carry
        )
        outcome = loop.run()
        keeper.finish()
        return outcome
    finally:
        curves.close()


def _where_it_stands(checkpoints: Checkpoints, stepper: Stepper) -> tuple[Position, Carry]:
    """The newest whole checkpoint's position, its state taken over; else the very beginning."""
    found = checkpoints.newest()
    if found is None:
        return Position(), stepper.zero_carry()
    arrays, position = found
    return position, stepper.restore(arrays)
