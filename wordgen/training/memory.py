"""How much memory a training needs, part by part, and how much the machine has to give.

Each part is a product of what the network and the batch are with a factor that was measured (bench/memory.py): when a
training step changes, measure again and change the factors.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wordgen.architecture import Architecture
from wordgen.corpora.published import Split
from wordgen.dataset.batches import longest_step
from wordgen.evaluation.measures import streams_for
from wordgen.generation.indexing import memory_of_index
from wordgen.training.settings import TrainingSettings

_FLOAT = 4
_MEBIBYTE = 2**20
_TENSORFLOW = 655 * _MEBIBYTE
_BYTES_A_WORD = 450
"""Of the vocabulary, as text, and in the tables that tokens are looked up in."""
_VALIDATION_SEQ_LEN = 50
_SLOTS = {"sgd": 0, "rmsprop": 1, "adam": 2}
_GRADIENTS = {"sgd": 0.5, "rmsprop": 1.5, "adam": 1.9}
"""How often a step holds as much as the weights are: gradients, clipped ones, and what the optimizer makes of them."""
_VALUES_A_UNIT = {"lstm": 18.4, "gru": 10.9, "rnn": 7.0}
"""What is kept of a layer at each place until its gradient is computed."""
_LOGITS = 0.95
"""How often a step holds the logits: they, what comes of them on the way to the loss, and their gradient."""
_LOGITS_WHILE_VALIDATING = 1.1


@dataclass(frozen=True)
class Memory:
    """What a training needs, in bytes."""

    program: int
    """Python and TensorFlow."""
    words: int
    """The vocabulary."""
    weights: int
    """The weights with all that is kept beside them: averages, and the optimizer's values."""
    checkpoint: int
    """A copy of all these, and the bytes of the file: it is written while learning goes on."""
    gradients: int
    """With what is made of them before the weights are changed."""
    step: int
    """The values of a step, up to its gradient."""
    validation: int
    """Those of a batch of the validation set."""
    copy_index: int
    """What making it takes before the first step."""

    @property
    def all(self) -> int:
        at_once = max(self.checkpoint + self.gradients + self.step, self.validation, self.copy_index)
        return self.program + self.words + self.weights + at_once

    @classmethod
    def of(
        cls,
        architecture: Architecture,
        settings: TrainingSettings,
        tokens: Mapping[Split, int],
        workers: int = 1,
        devices: int = 1,
    ) -> "Memory":
        """For so many tokens to train on and to validate, of each of so many workers, which share a batch.

        A worker may have several devices, and each of these has weights of its own.
        """
        rows = -(-settings.batch_size // workers)
        places = rows * longest_step(settings.seq_len, vary=settings.vary_seq_len)
        weights = _FLOAT * architecture.parameters
        kept = 1 + _SLOTS[settings.optimizer] + (settings.average_after is not None) + (settings.pull > 0)
        measured_apart = settings.average_after is not None or settings.precision == "bfloat16"
        validated = streams_for(tokens["valid"]) * _VALIDATION_SEQ_LEN * architecture.vocabulary_size / workers
        return cls(
            program=_TENSORFLOW,
            words=_BYTES_A_WORD * architecture.vocabulary_size,
            weights=(devices * kept + measured_apart) * weights,
            checkpoint=2 * kept * weights,
            gradients=int(devices * _GRADIENTS[settings.optimizer] * weights),
            step=_FLOAT * int(places * (_values_of_layers(architecture) + _values_of_output(architecture, settings))),
            validation=int(_FLOAT * _LOGITS_WHILE_VALIDATING * validated),
            copy_index=memory_of_index(tokens["train"]) if settings.copy_index else 0,
        )


def _values_of_layers(architecture: Architecture) -> float:
    """How many are kept at each place of a step."""
    return 3 * architecture.embedding + _VALUES_A_UNIT[architecture.cell] * sum(architecture.widths)


def _values_of_output(architecture: Architecture, settings: TrainingSettings) -> float:
    compared = min(settings.sampled_output or architecture.vocabulary_size, architecture.vocabulary_size)
    width = architecture.embedding if architecture.tied else architecture.widths[-1]
    own = 2 * width if compared < architecture.vocabulary_size else 0  # the output weights of each target
    return _LOGITS * compared + own


def peak_memory() -> int:
    """The most bytes that this process has had in memory; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def physical_memory(system: Path = Path("/")) -> int:
    """Bytes of memory that the machine has, or those of them that its container may use."""
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not every system tells
        physical = 2**46
    return min([physical, *_limits_of_groups(system)])


def free_memory(system: Path = Path("/")) -> int | None:
    """Bytes that nobody uses right now; nothing where the system does not tell."""
    try:
        lines = (system / "proc/meminfo").read_text().split("\n")
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def _limits_of_groups(system: Path) -> list[int]:
    """What the control groups that this process is in, and those above them, let it have (Linux)."""
    try:
        lines = (system / "proc/self/cgroup").read_text().strip().split("\n")
    except OSError:
        return []
    limits: list[int] = []
    for line in lines:
        _, controllers, group = line.split(":", 2) if line.count(":") >= 2 else ("", "none", "")
        if controllers and "memory" not in controllers.split(","):
            continue
        mounted = system / "sys/fs/cgroup" / ("memory" if controllers else "")
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        folder = mounted / group.lstrip("/")
        limits += [limit for each in (folder, *folder.parents) if (limit := _limit(each / name)) is not None]
    return limits


def _limit(path: Path) -> int | None:
    try:
        return int(path.read_text())  # "max" where there is none
    except (OSError, ValueError):
        return None
