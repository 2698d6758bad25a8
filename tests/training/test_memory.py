"""What a training needs is told from its settings; what it needs in truth, bench/memory.py measures."""

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


def memory(workers: int = 1, devices: int = 1, **given: Any) -> Memory:
    tokens = given.pop("tokens", TOKENS)
    vocabulary = given.pop("vocabulary", 1000)
    names = {each.name for each in fields(NetworkSettings)}
    network = NetworkSettings(**{name: value for name, value in given.items() if name in names})  # pyright: ignore[reportArgumentType]
    training = TrainingSettings(**{name: value for name, value in given.items() if name not in names})  # pyright: ignore[reportArgumentType]
    architecture = Architecture.of(network, vocabulary)  # pyright: ignore[reportArgumentType]
    return Memory.of(architecture, training, tokens, workers, devices)


def test_a_large_vocabulary_of_which_some_are_compared_fits_into_a_small_machine():
    """It was refused, for it would need 29.9 GiB, and took 1.43."""
    assert memory(**LARGE, sampled_output=1024).all < 2.5 * 2**30
    assert memory(**LARGE).all > 5 * 2**30


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
def test_more_of_anything_never_needs_less(chosen: dict[str, int]):
    least = memory(**chosen)
    for name in ("layers", "units", "vocabulary"):
        assert memory(**{**chosen, name: 2 * chosen[name]}).weights > least.weights
    for name in ("batch_size", "seq_len"):
        assert memory(**{**chosen, name: 2 * chosen[name]}).step > least.step
    assert memory(**{**chosen, "average_after": 1}).weights > least.weights
    compared = memory(**{**chosen, "sampled_output": 1000})
    assert compared.step < 1.1 * least.step + 2 * 4 * chosen["batch_size"] * chosen["seq_len"] * chosen["units"]


def test_workers_share_a_batch_and_devices_have_weights_of_their_own():
    alone = memory(batch_size=64, vary_seq_len=True)
    shared = memory(workers=2, batch_size=64, vary_seq_len=True)
    assert shared.step == pytest.approx(alone.step / 2, rel=0.01)
    assert shared.weights == alone.weights
    assert memory(devices=2, batch_size=64).weights == 2 * alone.weights


@pytest.mark.parametrize(
    ("measured", "settings"),
    [
        (1.93, {"vocabulary": 20_003, "layers": 2, "batch_size": 64, "seq_len": 35}),
        (1.97, {"vocabulary": 33_003, "layers": 2, "units": 650, "batch_size": 20, "seq_len": 35, "optimizer": "sgd"}),
        (0.71, {"vocabulary": 1_303, "layers": 2, "units": 128}),
    ],
)
def test_two_workers_need_what_was_measured(measured: float, settings: dict[str, Any]):
    """bench/memory.py measured the first case on 2026-11-29, and the others with its code; each in GiB."""
    few: dict[Split, int] = {"train": 40_000, "valid": 2_000, "test": 2_000}
    planned = memory(workers=2, tokens=few, **settings).all / 2**30
    assert 1 / 1.3 < planned / measured < 1.3
    alone = memory(workers=1, tokens=few, **settings)
    assert alone.exchange == 0


def test_the_limit_of_a_container_counts(tmp_path: Path):
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


def test_what_is_free_is_what_the_system_says(tmp_path: Path):
    assert free_memory(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   2048 kB\n")
    assert free_memory(tmp_path) == 2**21
