"""What this machine computes well with. Importing this module imports TensorFlow."""

from pathlib import Path
from typing import Literal

import tensorflow as tf

from wordgen.model.replicas import Replicas
from wordgen.training.gpus import UNUSED, gpu_is_here
from wordgen.training.settings import Precision

_CPU_FACTS = Path("/proc/cpuinfo")
_BFLOAT16_UNITS = {"avx512_bf16", "amx_bf16"}
_FIRST_GPU_WITH_BFLOAT16 = (8, 0)


def settled(precision: Precision, replicas: Replicas) -> Literal["float32", "bfloat16"]:
    """`auto` made one of the two: by the hardware alone, and for all workers by that of the chief."""
    # Asked by all, whatever they were given: a chief that resumes a run has its choice from there.
    chosen = replicas.from_chief(lambda: (_by_hardware() if precision == "auto" else precision).encode())
    return "bfloat16" if chosen == b"bfloat16" else "float32"


def unused_gpu() -> str | None:
    """A sentence where there is a GPU and TensorFlow cannot use any, as without CUDA's libraries."""
    return UNUSED if not tf.config.list_physical_devices("GPU") and gpu_is_here() else None


def _by_hardware() -> Literal["float32", "bfloat16"]:
    return "bfloat16" if _has_bfloat16() else "float32"


def _has_bfloat16() -> bool:
    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all(each.get("compute_capability", (0, 0)) >= _FIRST_GPU_WITH_BFLOAT16 for each in details)
    return bool(_BFLOAT16_UNITS & cpu_features(_CPU_FACTS.read_text() if _CPU_FACTS.exists() else ""))


def cpu_features(facts: str) -> set[str]:
    """What /proc/cpuinfo calls the flags of the first processor."""
    return next((set(line.split()) for line in facts.split("\n") if line.startswith("flags")), set())
