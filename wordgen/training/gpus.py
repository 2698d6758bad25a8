"""The NVIDIA GPUs of this machine, as the system tells of them before TensorFlow is there."""

import os
import subprocess
from collections.abc import Mapping
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path

from wordgen.training.settings import DeviceSettings

_SIGNS = ("dev/nvidia0", "proc/driver/nvidia/gpus")
_SECONDS_TO_ASK = 10
_ASK_FOR_MEMORY = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]

UNUSED = (
    "This machine has an NVIDIA GPU, and TensorFlow does not find it, so the CPU learns: the CUDA libraries come with "
    'pip install "tensorflow[and-cuda]", or "wordgen[gpu]" (in a checkout: -r requirements-gpu.txt).'
)


def gpu_is_here(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> bool:
    """Whether there is one that is not hidden by CUDA_VISIBLE_DEVICES, with CUDA's libraries or without."""
    if environment.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return False
    return any((root / sign).exists() for sign in _SIGNS) or bool(_memories())


def gpu_memory(settings: DeviceSettings) -> int | None:
    """Bytes of the smallest GPU where GPUs will learn, as far as can be told; else nothing."""
    learns_on_cpu = settings.local_devices is not None or not gpu_is_here() or not _cuda_is_here()
    return None if learns_on_cpu else min(_memories(), default=None)


def _cuda_is_here() -> bool:
    """Whether TensorFlow can find cuDNN: as a package or among the system's libraries."""
    return _is_installed("nvidia.cudnn") or find_library("cudnn") is not None


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def _memories() -> list[int]:
    """Bytes of each GPU; none where nothing tells of any."""
    try:
        told = subprocess.run(_ASK_FOR_MEMORY, capture_output=True, text=True, timeout=_SECONDS_TO_ASK, check=True)
        return [int(line) * 2**20 for line in told.stdout.splitlines()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
