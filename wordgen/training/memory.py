"""The memory that a run needs, and the memory that the machine and its GPUs have."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from ctypes.util import find_library
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from wordgen.corpus.catalogue import Split
from wordgen.dataset.batches import longest_seq_len
from wordgen.evaluation.measurement import streams_for
from wordgen.generation.copies import memory_of_index
from wordgen.model.architecture import Architecture
from wordgen.training.settings import DeviceSettings, TrainingSettings

_GPU_FILES = ("dev/nvidia0", "proc/driver/nvidia/gpus")
_COMMAND_TIMEOUT_SECONDS = 10
_GPU_MEMORY_COMMAND = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]


def has_gpu(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether the machine has an NVIDIA GPU that CUDA_VISIBLE_DEVICES does not hide.

    The CUDA libraries need not be installed.
    """
    if environment.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return False
    return any((root / file).exists() for file in _GPU_FILES) or bool(_gpu_memory_sizes())


def gpu_memory(settings: DeviceSettings) -> int | None:
    """Return the memory of the smallest GPU in bytes. None if the CPU will train, or if the size is not known."""
    trains_on_cpu = settings.local_devices is not None or not has_gpu() or not _has_cuda()
    return None if trains_on_cpu else min(_gpu_memory_sizes(), default=None)


def _has_cuda() -> bool:
    """Return whether TensorFlow can find cuDNN, as a Python package or as a system library."""
    with suppress(ModuleNotFoundError):  # of the package nvidia
        if find_spec("nvidia.cudnn") is not None:
            return True
    return find_library("cudnn") is not None


def _gpu_memory_sizes() -> list[int]:
    """Return the memory of each GPU in bytes, as nvidia-smi reports it. An empty list if it reports none."""
    try:
        printed = subprocess.run(
            _GPU_MEMORY_COMMAND, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_SECONDS, check=True
        )
        return [int(line) * 2**20 for line in printed.stdout.splitlines()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []


_FLOAT32_BYTES = 4
_MEBIBYTE = 2**20
_TENSORFLOW_BYTES = 655 * _MEBIBYTE
_BYTES_PER_TOKEN = 450
"""The bytes for each token of the vocabulary: its text, and its entries in the tables that map tokens to ids."""
_VALIDATION_SEQ_LEN = 50
_OPTIMIZER_SLOTS = {"sgd": 0, "rmsprop": 1, "adam": 2}
_GRADIENT_FACTORS = {"sgd": 2.1, "rmsprop": 3.1, "adam": 3.5}
"""Memory of a step for gradients, clipped gradients and other values of the optimizer, relative to the weights.

It differs from machine to machine: the factors are between those of two processors (docs/benchmarks.md)."""
_VALUES_PER_UNIT = {"lstm": 20.0, "gru": 12.0, "rnn": 7.7}
"""The number of values that a layer keeps, per unit and per place in the batch, until its gradient is computed."""
_LOGITS_FACTOR = 1.1
"""Memory of a step or a validation for the logits and what is computed from them, relative to the logits."""
_SERVER_BYTES = 55 * _MEBIBYTE
"""The memory of the server through which workers exchange their gradients."""
_EXCHANGE_FACTOR = 4
"""Memory of a worker for the first weights and the gradients that it sends and receives, relative to the weights."""


@dataclass(frozen=True)
class Memory:
    """The memory that a training needs, in bytes."""

    program: int
    """Python and TensorFlow."""
    words: int
    """The vocabulary."""
    weights: int
    """The weights and the arrays of the same shapes: the average, the values of the optimizer, the initial weights."""
    checkpoint: int
    """A copy of all these arrays, and the bytes of the file. Training continues while a checkpoint is written."""
    gradients: int
    """The gradients, and the values that are computed from them before the weights are updated."""
    step: int
    """The values that a step keeps until its gradient is computed."""
    validation: int
    """The values of a batch of the validation set."""
    copy_index: int
    """The memory to build the copy index before the first step. 0 if the run has none."""
    exchange: int
    """What a worker needs to exchange gradients with the other workers. 0 if it is alone."""

    @property
    def total(self) -> int:
        at_once = max(self.checkpoint + self.gradients + self.step, self.validation, self.copy_index)
        return self.program + self.words + self.weights + self.exchange + at_once

    @classmethod
    def of(
        cls,
        architecture: Architecture,
        settings: TrainingSettings,
        tokens: Mapping[Split, int],
        workers: int = 1,
        devices: int = 1,
    ) -> "Memory":
        """Return the memory that each worker needs.

        `tokens` has the number of tokens of the training and the validation set. The workers share each batch. A worker
        may have several devices, and each device has its own copy of the weights.
        """
        rows = -(-settings.batch_size // workers)
        places = rows * longest_seq_len(settings.seq_len, vary_seq_len=settings.vary_seq_len)
        weights = _FLOAT32_BYTES * architecture.parameters
        kept = 1 + _OPTIMIZER_SLOTS[settings.optimizer] + (settings.average_after is not None)
        has_evaluation_copy = settings.average_after is not None or settings.precision == "bfloat16"
        validated = streams_for(tokens["valid"]) * _VALIDATION_SEQ_LEN * architecture.vocabulary_size / workers
        return cls(
            program=_TENSORFLOW_BYTES,
            words=_BYTES_PER_TOKEN * architecture.vocabulary_size,
            weights=(devices * kept + has_evaluation_copy) * weights,
            checkpoint=2 * kept * weights,
            gradients=int(devices * _GRADIENT_FACTORS[settings.optimizer] * weights),
            step=_FLOAT32_BYTES * int(places * _values_per_place(architecture, settings)),
            validation=int(_FLOAT32_BYTES * _LOGITS_FACTOR * validated),
            copy_index=memory_of_index(tokens["train"]) if settings.copy_index else 0,
            exchange=_SERVER_BYTES + _EXCHANGE_FACTOR * weights if workers > 1 else 0,
        )


def _values_per_place(architecture: Architecture, settings: TrainingSettings) -> float:
    """Return the number of values that the layers and the output keep for each place of a step."""
    layers = 3 * architecture.embedding + _VALUES_PER_UNIT[architecture.cell] * sum(architecture.widths)
    compared = min(settings.sampled_output or architecture.vocabulary_size, architecture.vocabulary_size)
    # With sampled output, also the output weights of each target.
    target_weights = 2 * architecture.output_width if compared < architecture.vocabulary_size else 0
    return layers + _LOGITS_FACTOR * compared + target_weights


def peak_memory() -> int:
    """Return the peak memory of this process in bytes. 0 if the system does not report it."""
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def physical_memory(system: Path = Path("/")) -> int:
    """Return the memory of the machine in bytes, or the limit of its container if that is lower."""
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # the system does not report it
        physical = 2**46
    return min([physical, *_cgroup_limits(system)])


def free_memory(system: Path = Path("/")) -> int | None:
    """Return the bytes of memory that are available at the moment. None if the system does not report it."""
    try:
        lines = (system / "proc/meminfo").read_text().split("\n")
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def _cgroup_limits(system: Path) -> list[int]:
    """Return the memory limits of the control groups of this process and of their parents (Linux), in bytes."""
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
        return int(path.read_text())  # the text is "max" if there is no limit
    except (OSError, ValueError):
        return None
