"""What makes a step fast: whether XLA compiles it, and how many make one call."""

from functools import cache

import tensorflow as tf

from wordgen.architecture import Architecture
from wordgen.model.replicas import Replicas
from wordgen.training.reports import compiled_copies
from wordgen.training.settings import TrainingSettings

_FEWEST_ROWS = 16
_MOST_COPIES = 2**29
_WORK_OF_A_CALL = 2 * 10**9
_MOST_STEPS_A_CALL = 32


def compiling_helps(architecture: Architecture, settings: TrainingSettings, replicas: Replicas) -> bool:
    """Whether XLA shall compile the step (measured: docs/experiments.md, 2026-11-20).

    On one CPU it makes a step up to a third cheaper. But it keeps a copy of the recurrent weights for every
    symbol of seq len, and with few rows it is slower; it cannot be had for several devices in one process, it
    keeps a GPU from its own fused LSTM, in bfloat16 it is slower, and not every build of TensorFlow brings it.
    """
    if replicas.count > 1 or tf.config.get_visible_devices("GPU"):
        return False
    if settings.precision == "bfloat16" or settings.vary_seq_len:  # each length would be compiled anew
        return False
    if settings.batch_size < _FEWEST_ROWS or compiled_copies(architecture, settings) > _MOST_COPIES:
        return False
    return _xla_is_there()


@cache
def _xla_is_there() -> bool:
    try:
        tf.function(lambda x: x + x, jit_compile=True)(tf.constant(1.0))
    except tf.errors.OpError:
        return False
    return True


def steps_a_call(architecture: Architecture, settings: TrainingSettings) -> int:
    """How many steps of a small network make one call.

    It follows from the network alone, for all workers must have the same. Two billion multiplications take
    some tenths of a second at most, which a stop or a checkpoint can wait.
    """
    work = settings.batch_size * settings.seq_len * (architecture.recurrent_parameters + architecture.output_parameters)
    return max(1, min(_MOST_STEPS_A_CALL, _WORK_OF_A_CALL // (3 * work)))
