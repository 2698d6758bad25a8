"""Devices, precision and the place of a worker, before training begins."""

import json
from pathlib import Path

import pytest
import tensorflow as tf

from wordgen.errors import SettingError
from wordgen.network.replicas import single_replica
from wordgen.run.settings import TrainSettings
from wordgen.run.train import dry_run
from wordgen.training.devices import chosen_precision, cpu_features
from wordgen.training.memory import gpu_memory, has_gpu
from wordgen.training.reports import Observer
from wordgen.training.settings import DeviceSettings
from wordgen.training.workers import WorkerInfo, find_worker_info


def tf_config(task: dict[str, object], **cluster: list[str]) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


MULTIWORKER = DeviceSettings(distribute="multiworker")


def test_place_is_read_from_tf_config_or_slurm():
    task = {"type": "worker", "index": 1}
    assert find_worker_info(MULTIWORKER, tf_config(task, worker=["a:1", "b:1"])) == WorkerInfo(1, 2, "TF_CONFIG")
    assert find_worker_info(MULTIWORKER, tf_config(task, chief=["a:1"], worker=["b:1", "c:1"])) == WorkerInfo(
        2, 3, "TF_CONFIG"
    )
    chief = find_worker_info(MULTIWORKER, tf_config({"type": "chief", "index": 0}, chief=["a:1"], worker=["b:1"]))
    assert chief.is_chief
    slurm = {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"}
    assert find_worker_info(MULTIWORKER, slurm) == WorkerInfo(3, 4, "SLURM")
    assert find_worker_info(DeviceSettings(), slurm) == WorkerInfo()  # each process of a SLURM job can train separately
    assert find_worker_info(DeviceSettings(distribute="none"), tf_config(task, worker=["a:1", "b:1"])) == WorkerInfo()


@pytest.mark.parametrize(
    ("settings", "environment", "message"),
    [
        (MULTIWORKER, {}, "to know the other workers"),
        (MULTIWORKER, {"TF_CONFIG": "nonsense"}, "TF_CONFIG must be JSON"),
        (MULTIWORKER, {"TF_CONFIG": "[]"}, "TF_CONFIG must be JSON"),
        (MULTIWORKER, tf_config({"type": "ps", "index": 0}, worker=["a:1"]), "TF_CONFIG must be JSON"),
        (MULTIWORKER, tf_config({"type": "worker", "index": 0}, worker=["a", "b"]), "TF_CONFIG must be JSON"),
        (MULTIWORKER, tf_config({"type": "worker", "index": 0}), "TF_CONFIG must be JSON"),
        (MULTIWORKER, tf_config({"type": "worker", "index": 2}, worker=["a:1", "b:1"]), "the number must be 0 to 1"),
        (DeviceSettings(), tf_config({"type": "worker", "index": 0}, worker=["a:1", "b:1"]), "names 2 workers"),
    ],
)
def test_invalid_place_is_refused(settings: DeviceSettings, environment: dict[str, str], message: str):
    with pytest.raises(SettingError, match=message):
        find_worker_info(settings, environment)


@pytest.mark.parametrize("distribute", ["none", "multiworker"])
def test_local_devices_need_one_process(distribute: str):
    with pytest.raises(SettingError, match="--local-devices splits one CPU"):
        DeviceSettings(local_devices=2, distribute=distribute)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("count", "rows", "suggestion"), [(3, 16, "15 or 18"), (4, 3, "4"), (2, 7, "6 or 8")])
def test_indivisible_batch_size_is_refused(count: int, rows: int, suggestion: str):
    replicas = single_replica()
    replicas.count = count
    with pytest.raises(
        SettingError, match=f"--batch-size {rows} cannot be divided .* {count} devices: use {suggestion}"
    ):
        replicas.check_rows(rows)
    replicas.check_rows(count)


def test_precision_follows_the_hardware_unless_given(monkeypatch: pytest.MonkeyPatch):
    cases = (({"avx2", "avx512_bf16"}, "bfloat16"), ({"amx_bf16"}, "bfloat16"), ({"avx2"}, "float32"))
    for features, expected in cases:
        monkeypatch.setattr("wordgen.training.devices.cpu_features", lambda cpuinfo, found=features: found)
        assert chosen_precision("auto", single_replica()) == expected
        assert chosen_precision("float32", single_replica()) == "float32"
        assert chosen_precision("bfloat16", single_replica()) == "bfloat16"


def test_cpu_features_are_read_from_proc_cpuinfo():
    cpuinfo = "processor\t: 0\nflags\t\t: fpu avx2 amx_bf16\nbugs\t\t: none\n"
    assert {"avx2", "amx_bf16"} <= cpu_features(cpuinfo)
    assert cpu_features("") == set()


@pytest.fixture
def two_gpus(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where nvidia-smi lists two GPUs, and TensorFlow finds none, as without the CUDA libraries."""
    folder = tmp_path_factory.mktemp("tools")
    tool = folder / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 24576\necho 16384\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_gpu_is_found_unless_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    assert not has_gpu(tmp_path, {})
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidia0").touch()
    assert has_gpu(tmp_path, {})
    assert has_gpu(tmp_path, {"CUDA_VISIBLE_DEVICES": "0"})
    assert not has_gpu(tmp_path, {"CUDA_VISIBLE_DEVICES": "-1"})
    assert not has_gpu(tmp_path, {"CUDA_VISIBLE_DEVICES": ""})


@pytest.mark.usefixtures("two_gpus")
def test_gpu_memory_is_that_of_the_smallest_gpu(monkeypatch: pytest.MonkeyPatch):
    assert gpu_memory(DeviceSettings()) is None  # without the CUDA libraries, the training uses the CPU
    monkeypatch.setattr("wordgen.training.memory._has_cuda", lambda: True)
    assert gpu_memory(DeviceSettings()) == 16 * 2**30
    assert gpu_memory(DeviceSettings(local_devices=2)) is None
    monkeypatch.setenv("PATH", "")
    assert gpu_memory(DeviceSettings()) is None


@pytest.mark.usefixtures("two_gpus", "in_empty_folder")
def test_gpu_without_cuda_gives_a_warning():
    events: list[str] = []

    class Listener(Observer):
        def starting(self) -> None:
            events.append("starting")

        def warned(self, sentence: str) -> None:
            events.append(sentence)

    tf.config.experimental.enable_tensor_float_32_execution(True)
    dry_run(TrainSettings(corpus="spells", tokenizer="characters", layers=1, units=4), [Listener()])
    assert events[0] == "starting"
    assert "the training uses the CPU" in events[1]
    assert 'pip install "tensorflow[and-cuda]" or "wordgen[gpu]"' in events[1]
    assert not tf.config.experimental.tensor_float_32_execution_enabled()  # float32 must not become TF32
