"""From `--distribute` to the replicas that learn. Importing this module imports TensorFlow."""

import os
import shutil
import signal
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

_SIGNS_OF_LOSS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)


def join(settings: DeviceSettings, place: Place, what: str, stop: StopRequest) -> Replicas:
    """The devices to learn on, once all workers are there and want to learn the same."""
    if settings.distribute == "multiworker":
        return _with_other_workers(settings, place, what, stop)
    if settings.local_devices is not None:
        _split_cpu(settings.local_devices)
    kind = "GPU" if tf.config.list_physical_devices("GPU") and settings.local_devices is None else "CPU"
    devices = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices(kind)]
    if settings.distribute == "none" or len(devices) == 1:
        return alone()
    return Replicas(_mirrored(tuple(devices)))


@contextmanager
def losing_nobody(replicas: Replicas, run: str) -> Iterator[None]:
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
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
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
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * parts)
    except RuntimeError as error:
        if len(tf.config.list_logical_devices("CPU")) != parts:
            raise SettingError(
                "--local-devices must be chosen before TensorFlow has run in this process: begin a new one."
            ) from error


def _with_other_workers(settings: DeviceSettings, place: Place, what: str, stop: StopRequest) -> Replicas:
    """Meet the others, in our way first and then in TensorFlow's."""
    resolver = _cluster(place)
    tasks = resolver.cluster_spec().as_dict()
    meet([*tasks.get("chief", []), *tasks.get("worker", [])][0], place, what, settings.join_timeout, stop)
    # All are there. Should one die just now, TensorFlow would wait for it without end, holding on to Python itself,
    # and nothing but a signal's own force ends that.
    signal.setitimer(signal.ITIMER_REAL, settings.join_timeout)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except tf.errors.OpError as error:
        raise WorkerLostError(f"The workers could not join: {_first_line(error)}") from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    stop.listen()  # TensorFlow has taken SIGTERM for itself
    return Replicas(strategy, place.worker, place.workers)


def _cluster(place: Place) -> Any:
    resolvers = tf.distribute.cluster_resolver
    if place.source == "TF_CONFIG":
        return resolvers.TFConfigClusterResolver()
    if "CUDA_VISIBLE_DEVICES" in os.environ or shutil.which("nvidia-smi"):
        return resolvers.SlurmClusterResolver()
    # Without GPUs that resolver divides by their number; so it is told of one a task, and the strategy of none.
    found = resolvers.SlurmClusterResolver(gpus_per_node=place.workers, gpus_per_task=1, auto_set_gpu=False)
    cluster = found.cluster_spec()
    return resolvers.SimpleClusterResolver(cluster, task_type=found.task_type, task_id=found.task_id, rpc_layer="grpc")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
