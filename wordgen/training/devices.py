"""The devices of a training: GPUs or CPUs of this machine, and other workers. Also the precision that suits them."""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import tensorflow as tf

from wordgen.errors import SettingError, WorkerLostError, pluralized
from wordgen.network.replicas import Replicas, single_replica
from wordgen.training.memory import has_gpu
from wordgen.training.settings import DeviceSettings, Precision
from wordgen.training.stopping import StopRequest
from wordgen.training.workers import WorkerInfo, rendezvous

_CPUINFO = Path("/proc/cpuinfo")
_BFLOAT16_FEATURES = {"avx512_bf16", "amx_bf16"}
_FIRST_GPU_WITH_BFLOAT16 = (8, 0)
_UNUSED_GPU_WARNING = (
    "This machine has an NVIDIA GPU, but TensorFlow does not find it, so the training uses the CPU. To install the "
    'CUDA libraries: pip install "tensorflow[and-cuda]" or "wordgen[gpu]" (in a checkout: -r requirements-gpu.txt).'
)


def chosen_precision(precision: Precision, replicas: Replicas) -> Literal["float32", "bfloat16"]:
    """Return the precision that all workers use: the setting of the chief, or for `auto` what its hardware has."""
    in_bfloat16 = precision == "bfloat16" or (precision == "auto" and _has_bfloat16())
    # All workers must take part, whatever their setting: a chief that resumes a run takes its precision from the run.
    return "bfloat16" if replicas.broadcast_value(in_bfloat16) else "float32"


def unused_gpu_warning() -> str | None:
    """Return a sentence if the machine has a GPU that TensorFlow does not find, or None."""
    return _UNUSED_GPU_WARNING if not tf.config.list_physical_devices("GPU") and has_gpu() else None


def _has_bfloat16() -> bool:
    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all(each.get("compute_capability", (0, 0)) >= _FIRST_GPU_WITH_BFLOAT16 for each in details)
    return bool(_BFLOAT16_FEATURES & cpu_features(_CPUINFO.read_text() if _CPUINFO.exists() else ""))


def cpu_features(cpuinfo: str) -> set[str]:
    """Return the flags of the first processor, given the text of /proc/cpuinfo."""
    return next((set(line.split()) for line in cpuinfo.split("\n") if line.startswith("flags")), set())


_CONNECT_TIMEOUT_SECONDS = 120
_LOST_WORKER_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


def create_replicas(settings: DeviceSettings, worker_info: WorkerInfo, checksum: str, stop: StopRequest) -> Replicas:
    """Return the devices to train on, after all workers have joined with the same checksum.

    `checksum` is that of everything that all workers must have in common. Raises SettingError if it differs or if the
    settings do not fit the devices, and WorkerLostError if a worker is missing.
    """
    # Otherwise NVIDIA GPUs round the factors of float32 products to 10 bits. For less precision there is bfloat16.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if settings.distribute == "multiworker":
        return _connect_workers(settings, worker_info, checksum, stop)
    if settings.local_devices is not None:
        _split_cpu(settings.local_devices)
    kind = "GPU" if tf.config.get_visible_devices("GPU") else "CPU"
    devices = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices(kind)]
    if settings.distribute == "mirrored" and len(devices) == 1:
        raise SettingError(
            f"--distribute mirrored needs several devices, but this machine has one {kind}: leave it out, or try "
            "--local-devices 2."
        )
    split_before = kind == "CPU" and settings.local_devices is None and settings.distribute == "auto"
    if settings.distribute == "none" or len(devices) == 1 or split_before:
        return single_replica()
    return Replicas(_mirrored(tuple(devices)))


@contextmanager
def as_worker_lost_error(replicas: Replicas, run: str) -> Generator[None]:
    """Turn TensorFlow's errors about the loss of another worker into a WorkerLostError that says what to do."""
    try:
        yield
    except _LOST_WORKER_ERRORS as error:
        if replicas.workers == 1:
            raise
        raise WorkerLostError(
            f"Another worker was lost, so this one (number {replicas.worker}) stops, too. Start all workers again with "
            f"--resume {run}: they continue from the last checkpoint."
        ) from error


def describe_devices(replicas: Replicas) -> str:
    """Return the devices in words, for example "one GPU" or "2 workers with 1 CPU each"."""
    kind = "GPU" if tf.config.get_visible_devices("GPU") else "CPU"
    if replicas.workers > 1:
        each = replicas.count // replicas.workers
        return f"{replicas.workers} workers with {pluralized(each, kind)} each"
    if replicas.count == 1:
        return f"one {kind}"
    return f"{replicas.count} GPUs" if kind == "GPU" else f"{replicas.count} parts of the CPU"


@cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """Return the strategy for these devices. It is made once per process, because several disturb each other."""
    return tf.distribute.MirroredStrategy(list(devices))


def _split_cpu(parts: int) -> None:
    """Split the CPU into several logical devices, and hide all GPUs.

    Raises SettingError if TensorFlow has already run in this process with other devices.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_visible_devices([], "GPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * parts)
    except RuntimeError as error:
        if len(tf.config.list_logical_devices("CPU")) != parts or tf.config.get_visible_devices("GPU"):
            raise SettingError(
                "--local-devices must be chosen before TensorFlow runs in this process: start a new process."
            ) from error


def _connect_workers(settings: DeviceSettings, worker_info: WorkerInfo, checksum: str, stop: StopRequest) -> Replicas:
    """Wait for the other workers, in workers.py and then in TensorFlow."""
    resolver = _cluster(worker_info)
    tasks = resolver.cluster_spec().as_dict()
    rendezvous(
        [*tasks.get("chief", []), *tasks.get("worker", [])][0], worker_info, checksum, settings.join_timeout, stop
    )
    try:
        with _kill_if_connecting_hangs():
            strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except tf.errors.OpError as error:
        raise WorkerLostError(
            f"The workers could not connect to each other ({_first_line(error)}): start all workers again."
        ) from error
    stop.listen()  # TensorFlow has replaced the handler of SIGTERM
    return Replicas(strategy, worker_info.worker, worker_info.workers)


@contextmanager
def _kill_if_connecting_hangs() -> Generator[None]:
    """Kill this process with an error message if the block takes longer than 120 seconds.

    All workers have arrived at this point. If one dies now, TensorFlow waits for it forever in native code that does
    not let Python run, so only another process can end the waiting.
    """
    watchdog = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WATCHDOG_CODE, str(os.getpid()), str(_CONNECT_TIMEOUT_SECONDS)],
        stderr=sys.stderr,
    )
    try:
        yield
    finally:
        watchdog.kill()
        watchdog.wait()


_WATCHDOG_CODE = """
import os, signal, sys, time
time.sleep(float(sys.argv[2]))
print("Error: Another worker was lost while all connected: start all workers again.", file=sys.stderr, flush=True)
os.kill(int(sys.argv[1]), getattr(signal, "SIGKILL", signal.SIGTERM))
"""


def _cluster(worker_info: WorkerInfo) -> tf.distribute.cluster_resolver.ClusterResolver:
    resolvers = tf.distribute.cluster_resolver
    if worker_info.source == "TF_CONFIG":
        return resolvers.TFConfigClusterResolver()
    # If this resolver counts the GPUs, it divides by zero where a task has none. SLURM decides which GPUs belong to a
    # task. So the resolver is given one GPU per task, and the strategy gets the number of GPUs that are visible.
    try:
        found = resolvers.SlurmClusterResolver(gpus_per_node=worker_info.workers, gpus_per_task=1, auto_set_gpu=False)
        cluster = found.cluster_spec()
    except (RuntimeError, ValueError) as error:
        raise SettingError(
            f"SLURM does not name the workers ({_first_line(error)}): start wordgen with srun."
        ) from error
    gpus = len(tf.config.get_visible_devices("GPU"))
    return resolvers.SimpleClusterResolver(
        cluster,
        task_type=found.task_type,
        task_id=found.task_id,
        num_accelerators={"GPU": gpus} if gpus else {},
        rpc_layer="grpc",
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
