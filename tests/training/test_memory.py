"""The memory of a training, planned from its settings. bench/memory.py measures the real memory."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.corpus.catalogue import Split
from wordgen.model.architecture import Architecture, NetworkSettings
from wordgen.training.memory import Memory, free_memory, physical_memory
from wordgen.training.settings import TrainingSettings

TOKENS: dict[Split, int] = {"train": 10**7, "valid": 10**5, "test": 10**5}
LARGE = {"vocabulary": 144_000, "layers": 1, "units": 64, "tied": True, "batch_size": 256, "seq_len": 35}


def planned_memory(workers: int = 1, devices: int = 1, **settings: Any) -> Memory:
    tokens = settings.pop("tokens", TOKENS)
    vocabulary = settings.pop("vocabulary", 1000)
    names = {each.name for each in fields(NetworkSettings)}
    network = NetworkSettings(**{name: value for name, value in settings.items() if name in names})  # pyright: ignore[reportArgumentType]
    training = TrainingSettings(**{name: value for name, value in settings.items() if name not in names})  # pyright: ignore[reportArgumentType]
    architecture = Architecture.of(network, vocabulary)  # pyright: ignore[reportArgumentType]
    return Memory.of(architecture, training, tokens, workers, devices)


def test_sampled_output_lowers_memory_of_large_vocabulary():
    """Once, 29.9 GiB were planned, so the training was refused. It needs 1.43 GiB."""
    assert planned_memory(**LARGE, sampled_output=1024).total < 2.5 * 2**30
    assert planned_memory(**LARGE).total > 5 * 2**30


@given(
    st.fixed_dictionaries(
        {
            "layers": st.integers(1, 6),
            "units": st.sampled_from([64, 256, 1024]),
            "batch_size": st.integers(1, 512),
            "seq_len": st.integers(5, 400),
            "vocabulary": st.integers(1000, 200_000),
            "optimizer": st.sampled_from(["sgd", "rmsprop", "adam"]),
            "tied": st.booleans(),
        }
    )
)
def test_memory_grows_with_each_setting(settings: dict[str, int]):
    smallest = planned_memory(**settings)
    for name in ("layers", "units", "vocabulary"):
        assert planned_memory(**{**settings, name: 2 * settings[name]}).weights > smallest.weights
    for name in ("batch_size", "seq_len"):
        assert planned_memory(**{**settings, name: 2 * settings[name]}).step > smallest.step
    assert planned_memory(**{**settings, "average_after": 1}).weights > smallest.weights
    sampled = planned_memory(**{**settings, "sampled_output": 1000})
    assert sampled.step < 1.1 * smallest.step + 2 * 4 * settings["batch_size"] * settings["seq_len"] * settings["units"]


def test_workers_share_the_batch_and_devices_copy_the_weights():
    one = planned_memory(batch_size=64, vary_seq_len=True)
    two = planned_memory(workers=2, batch_size=64, vary_seq_len=True)
    assert two.step == pytest.approx(one.step / 2, rel=0.01)
    assert two.weights == one.weights
    assert planned_memory(devices=2, batch_size=64).weights == 2 * one.weights


@pytest.mark.parametrize(
    ("measured", "settings"),
    [
        (1.93, {"vocabulary": 20_003, "layers": 2, "batch_size": 64, "seq_len": 35}),
        (1.97, {"vocabulary": 33_003, "layers": 2, "units": 650, "batch_size": 20, "seq_len": 35, "optimizer": "sgd"}),
        (0.71, {"vocabulary": 1_303, "layers": 2, "units": 128}),
    ],
)
def test_memory_of_two_workers_is_near_the_measured_memory(measured: float, settings: dict[str, Any]):
    """In GiB. bench/memory.py measured the first case on 2026-11-29. The others were measured with its code."""
    tokens: dict[Split, int] = {"train": 40_000, "valid": 2_000, "test": 2_000}
    planned = planned_memory(workers=2, tokens=tokens, **settings).total / 2**30
    assert 1 / 1.3 < planned / measured < 1.3
    assert planned_memory(workers=1, tokens=tokens, **settings).exchange == 0


def test_physical_memory_respects_cgroup_limits(tmp_path: Path):
    def write(path: str, content: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)

    whole = physical_memory(tmp_path)
    assert whole > 2**28
    write("proc/self/cgroup", "0::/box/inner\n")
    write("sys/fs/cgroup/box/memory.max", f"{2**27}\n")
    write("sys/fs/cgroup/box/inner/memory.max", "max\n")
    assert physical_memory(tmp_path) == 2**27
    write("proc/self/cgroup", "4:memory:/box\n1:cpu:/\n0::/\n")
    write("sys/fs/cgroup/memory/box/memory.limit_in_bytes", f"{2**26}\n")
    assert physical_memory(tmp_path) == 2**26
    write("proc/self/cgroup", "9:cpu:/box\nnonsense")
    assert physical_memory(tmp_path) == whole


def test_free_memory_is_read_from_meminfo(tmp_path: Path):
    assert free_memory(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   2048 kB\n")
    assert free_memory(tmp_path) == 2**21
