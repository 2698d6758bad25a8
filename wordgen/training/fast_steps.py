"""How many steps make one call."""

from wordgen.architecture import Architecture
from wordgen.training.settings import TrainingSettings

_WORK_OF_A_CALL = 2 * 10**9
_GPU_IS_FASTER = 100
_MOST_STEPS_A_CALL = 32


def steps_a_call(architecture: Architecture, settings: TrainingSettings, *, on_gpu: bool = False) -> int:
    """How many steps make one call: what takes some tenths of a second, which a stop or a checkpoint can wait.

    It follows from the network and the kind of device alone, for all workers must have the same. A GPU multiplies
    about a hundred times as fast, and each call has it wait for Python and Python for it.
    """
    work = settings.batch_size * settings.seq_len * (architecture.recurrent_parameters + architecture.output_parameters)
    most = _WORK_OF_A_CALL * (_GPU_IS_FASTER if on_gpu else 1) // (3 * work)
    return max(1, min(_MOST_STEPS_A_CALL, most))
