"""What is known of devices and workers before any learns."""

import json
from pathlib import Path

import pytest
import tensorflow as tf

from wordgen.errors import SettingError
from wordgen.network.replicas import alone
from wordgen.run.settings import TrainSettings
from wordgen.run.train import dry_run
from wordgen.training.devices import chosen_precision, cpu_features
from wordgen.training.memory import gpu_is_here, gpu_memory
from wordgen.training.reports import Observer
from wordgen.training.settings import DeviceSettings
from wordgen.training.workers import Place, place_of


def config(task: dict[str, object], **cluster: list[str]) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


MULTI = DeviceSettings(distribute="multiworker")


def test_a_place_among_workers():
    task = {"type": "worker", "index": 1}
    assert place_of(MULTI, config(task, worker=["a:1", "b:1"])) == Place(1, 2, "TF_CONFIG")
    assert place_of(MULTI, config(task, chief=["a:1"], worker=["b:1", "c:1"])) == Place(2, 3, "TF_CONFIG")
    chief = place_of(MULTI, config({"type": "chief", "index": 0}, chief=["a:1"], worker=["b:1"]))
    assert chief.chief
    slurm = {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"}
    assert place_of(MULTI, slurm) == Place(3, 4, "SLURM")
    assert place_of(DeviceSettings(), slurm) == Place()  # a job may train on each node for itself
    assert place_of(DeviceSettings(distribute="none"), config(task, worker=["a:1", "b:1"])) == Place()


@pytest.mark.parametrize(
    ("settings", "environment", "part"),
    [
        (MULTI, {}, "to know the other workers"),
        (MULTI, {"TF_CONFIG": "nonsense"}, "TF_CONFIG must be JSON"),
        (MULTI, {"TF_CONFIG": "[]"}, "TF_CONFIG must be JSON"),
        (MULTI, config({"type": "ps", "index": 0}, worker=["a:1"]), "TF_CONFIG must be JSON"),
        (MULTI, config({"type": "worker", "index": 2}, worker=["a:1", "b:1"]), "the number must be 0 to 1"),
        (DeviceSettings(), config({"type": "worker", "index": 0}, worker=["a:1", "b:1"]), "names 2 workers"),
    ],
)
def test_a_place_that_cannot_be(settings: DeviceSettings, environment: dict[str, str], part: str):
    with pytest.raises(SettingError, match=part):
        place_of(settings, environment)


@pytest.mark.parametrize("distribute", ["none", "multiworker"])
def test_parts_of_a_cpu_are_for_one_process(distribute: str):
    with pytest.raises(SettingError, match="--local-devices splits one CPU"):
        DeviceSettings(local_devices=2, distribute=distribute)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("count", "rows", "near"), [(3, 16, "15 or 18"), (4, 3, "4"), (2, 7, "6 or 8")])
def test_rows_that_cannot_be_shared(count: int, rows: int, near: str):
    replicas = alone()
    replicas.count = count
    with pytest.raises(SettingError, match=f"--batch-size {rows} cannot be divided .* {count} devices: use {near}"):
        replicas.check_rows(rows)
    replicas.check_rows(count)


def test_precision_goes_by_the_hardware_unless_it_is_given(monkeypatch: pytest.MonkeyPatch):
    cases = (({"avx2", "avx512_bf16"}, "bfloat16"), ({"amx_bf16"}, "bfloat16"), ({"avx2"}, "float32"))
    for features, expected in cases:
        monkeypatch.setattr("wordgen.training.devices.cpu_features", lambda facts, found=features: found)
        assert chosen_precision("auto", alone()) == expected
        assert chosen_precision("float32", alone()) == "float32"
        assert chosen_precision("bfloat16", alone()) == "bfloat16"


def test_features_of_a_processor():
    facts = "processor\t: 0\nflags\t\t: fpu avx2 amx_bf16\nbugs\t\t: none\n"
    assert {"avx2", "amx_bf16"} <= cpu_features(facts)
    assert cpu_features("") == set()


@pytest.fixture
def two_gpus(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where NVIDIA's own tool tells of two, and TensorFlow finds none, as without CUDA's libraries."""
    room = tmp_path_factory.mktemp("tools")
    tool = room / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 24576\necho 16384\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(room), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_signs_of_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    assert not gpu_is_here(tmp_path, {})
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidia0").touch()
    assert gpu_is_here(tmp_path, {})
    assert gpu_is_here(tmp_path, {"CUDA_VISIBLE_DEVICES": "0"})
    assert not gpu_is_here(tmp_path, {"CUDA_VISIBLE_DEVICES": "-1"})
    assert not gpu_is_here(tmp_path, {"CUDA_VISIBLE_DEVICES": ""})


@pytest.mark.usefixtures("two_gpus")
def test_the_memory_to_learn_in_is_that_of_the_smallest_gpu_where_gpus_learn(monkeypatch: pytest.MonkeyPatch):
    assert gpu_memory(DeviceSettings()) is None  # without CUDA's libraries the CPU learns
    monkeypatch.setattr("wordgen.training.memory._cuda_is_here", lambda: True)
    assert gpu_memory(DeviceSettings()) == 16 * 2**30
    assert gpu_memory(DeviceSettings(local_devices=2)) is None
    monkeypatch.setenv("PATH", "")
    assert gpu_memory(DeviceSettings()) is None


@pytest.mark.usefixtures("two_gpus", "in_empty_folder")
def test_a_gpu_that_tensorflow_does_not_find_is_told_of_before_learning_begins():
    told: list[str] = []

    class Listener(Observer):
        def starting(self) -> None:
            told.append("starting")

        def warned(self, sentence: str) -> None:
            told.append(sentence)

    tf.config.experimental.enable_tensor_float_32_execution(True)
    dry_run(TrainSettings(corpus="spells", tokenizer="characters", layers=1, units=4), [Listener()])
    assert told[0] == "starting"
    assert "the training uses the CPU" in told[1]
    assert 'pip install "tensorflow[and-cuda]" or "wordgen[gpu]"' in told[1]
    assert not tf.config.experimental.tensor_float_32_execution_enabled()  # float32 means float32
