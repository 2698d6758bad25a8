"""From `--distribute` to the replicas that learn. Importing this module imports TensorFlow."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import tensorflow as tf

from wordgen.errors import SettingError, WorkerLostError
from wordgen.model.replicas import Replicas, alone
from wordgen.training.meeting import meet
from wordgen.training.settings import DeviceSettings
from wordgen.training.stopping import StopRequest
from wordgen.training.workers import Place

_SECONDS_TO_JOIN = 120
_SIGNS_OF_LOSS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


def join(settings: DeviceSettings, place: Place, agreement: str, stop: StopRequest) -> Replicas:
    """The devices to learn on, once all workers are there and have the same agreement."""
    # NVIDIA's GPUs would round the factors of float32 products to 10 bits; who can do with less takes bfloat16.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if settings.distribute == "multiworker":
        return _with_other_workers(settings, place, agreement, stop)
    if settings.local_devices is not None:
        _split_cpu(settings.local_devices)
    kind = "GPU" if tf.config.get_visible_devices("GPU") else "CPU"
    devices = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices(kind)]
    if settings.distribute == "mirrored" and len(devices) == 1:
        raise SettingError(
            f"--distribute mirrored needs several devices, and there is one {kind} here: leave it out, or try "
            "--local-devices 2."
        )
    split_before = kind == "CPU" and settings.local_devices is None and settings.distribute == "auto"
    if settings.distribute == "none" or len(devices) == 1 or split_before:
        return alone()
    return Replicas(_mirrored(tuple(devices)))


@contextmanager
def telling_of_a_lost_worker(replicas: Replicas, run: str) -> Iterator[None]:
    """Turn what TensorFlow says when another worker has gone into a sentence."""
    try:
        yield
    except _SIGNS_OF_LOSS as error:
        if replicas.workers == 1:
            raise
        raise WorkerLostError(
            f"Another worker was lost, so this one (number {replicas.worker}) leaves too. Start all of them again with "
            f"--resume {run}, and they go on from the last checkpoint."
        ) from error


def describe(replicas: Replicas) -> str:
    """What learns, in words."""
    kind = "GPU" if tf.config.get_visible_devices("GPU") else "CPU"
    if replicas.workers > 1:
        each = replicas.count // replicas.workers
        return f"{replicas.workers} workers with {each} {kind}{'s' if each > 1 else ''} each"
    if replicas.count == 1:
        return f"one {kind}"
    return f"{replicas.count} GPUs" if kind == "GPU" else f"{replicas.count} parts of the CPU"


@cache
def _mirrored(devices: tuple[str, ...]) -> Any:
    """One a process: several get into each other's way."""
    return tf.distribute.MirroredStrategy(list(devices))


def _split_cpu(parts: int) -> None:
    """Make several devices of the CPU, and let no GPU take part."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_visible_devices([], "GPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * parts)
    except RuntimeError as error:
        if len(tf.config.list_logical_devices("CPU")) != parts or tf.config.get_visible_devices("GPU"):
            raise SettingError(
                "--local-devices must be chosen before TensorFlow has run in this process: begin a new one."
            ) from error


def _with_other_workers(settings: DeviceSettings, place: Place, agreement: str, stop: StopRequest) -> Replicas:
    """Meet the others, in our way first and then in TensorFlow's."""
    resolver = _cluster(place)
    tasks = resolver.cluster_spec().as_dict()
    meet([*tasks.get("chief", []), *tasks.get("worker", [])][0], place, agreement, settings.join_timeout, stop)
    try:
        with _watched_from_outside():
            strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except tf.errors.OpError as error:
        raise WorkerLostError(f"The workers could not join: {_first_line(error)}") from error
    stop.listen()  # TensorFlow has taken SIGTERM for itself
    return Replicas(strategy, place.worker, place.workers)


@contextmanager
def _watched_from_outside() -> Iterator[None]:
    """End this process, with a sentence, where the block takes far too long.

    All workers are there. Should one die just now, TensorFlow would wait for it without end in native code that
    holds on to Python itself, so only another process can end that.
    """
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WATCHER, str(os.getpid()), str(_SECONDS_TO_JOIN)], stderr=sys.stderr
    )
    try:
        yield
    finally:
        watcher.kill()
        watcher.wait()


_WATCHER = """
import os, signal, sys, time
time.sleep(float(sys.argv[2]))
print("Error: Another worker was lost while all were joining: start all of them again.", file=sys.stderr, flush=True)
os.kill(int(sys.argv[1]), getattr(signal, "SIGKILL", signal.SIGTERM))
"""


def _cluster(place: Place) -> Any:
    resolvers = tf.distribute.cluster_resolver
    if place.source == "TF_CONFIG":
        return resolvers.TFConfigClusterResolver()
    # Left to count GPUs, that resolver divides by zero where a task has none of its own. Which are a task's own is for
    # SLURM to say; so it is told of one a task, and the strategy of those that are there.
    try:
        found = resolvers.SlurmClusterResolver(gpus_per_node=place.workers, gpus_per_task=1, auto_set_gpu=False)
        cluster = found.cluster_spec()
    except (RuntimeError, ValueError) as error:
        raise SettingError(
            f"SLURM does not say who the workers are ({_first_line(error)}): call it with srun."
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
