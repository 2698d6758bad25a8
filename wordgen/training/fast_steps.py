"""How many steps make one call."""

from wordgen.architecture import Architecture
from wordgen.training.settings import TrainingSettings

_WORK_OF_A_CALL = 2 * 10**9
_MOST_STEPS_A_CALL = 32


def steps_a_call(architecture: Architecture, settings: TrainingSettings) -> int:
    """How many steps of a small network make one call.

    It follows from the network alone, for all workers must have the same. Two billion multiplications take
    some tenths of a second at most, which a stop or a checkpoint can wait.
    """
    work = settings.batch_size * settings.seq_len * (architecture.recurrent_parameters + architecture.output_parameters)
    return max(1, min(_MOST_STEPS_A_CALL, _WORK_OF_A_CALL // (3 * work)))
