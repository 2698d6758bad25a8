"""One device, two parts of a CPU, and two processes learn the same."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT, command_environment
from tests.workers import ended_well, started

Found = dict[str, np.ndarray]
OPTIMIZERS = ["rmsprop", "adam", "sgd", "clipped", "all at once", "sampled", "rows"]
SEVERAL = ["two parts", "worker 0", "worker 1"]

pytestmark = pytest.mark.slow


def _command(file: Path, settings: dict[str, Any]) -> list[str]:
    return ["-m", "tests.laws.learning_worker", str(file), json.dumps(settings)]


def _alone(file: Path, settings: dict[str, Any]) -> None:
    subprocess.run(
        [sys.executable, *_command(file, settings)], cwd=ROOT, env=command_environment(), timeout=200, check=True
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    room = tmp_path_factory.mktemp("replicas")
    _alone(room / "one.npz", {"distribute": "none"})
    _alone(room / "two parts.npz", {"local_devices": 2})
    commands = [_command(room / f"worker {n}.npz", {"distribute": "multiworker"}) for n in range(2)]
    with started(commands, ROOT) as processes:
        ended_well(processes, timeout=200)
    return {path.stem: dict(np.load(path)) for path in room.glob("*.npz")}


def _state(found: Found, case: str) -> Found:
    kinds = tuple(f"{case}/{kind}" for kind in ("weights", "averages", "optimizer", "carry"))
    return {name: array for name, array in found.items() if name.startswith(kinds)}


def test_they_are_what_they_should_be(found: dict[str, Found]):
    assert {name: int(each["replicas"]) for name, each in found.items()} == {
        "one": 1,
        "two parts": 2,
        "worker 0": 2,
        "worker 1": 2,
    }


@pytest.mark.parametrize("case", OPTIMIZERS)
@pytest.mark.parametrize("devices", SEVERAL)
def test_the_same_weights_after_fifty_steps(found: dict[str, Found], devices: str, case: str):
    one, several = _state(found["one"], case), _state(found[devices], case)
    assert one.keys() == several.keys()
    assert len(one) >= 13
    for name, array in one.items():
        # A cell's state is a sum that grows to ten and more, so for the carry the bound is relative.
        relative = 1e-5 if "/carry/" in name else 0
        np.testing.assert_allclose(several[name], array, rtol=relative, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("case", OPTIMIZERS)
@pytest.mark.parametrize("devices", SEVERAL)
def test_the_same_losses_all_along(found: dict[str, Found], devices: str, case: str):
    losses = found["one"][f"{case}/losses"]
    np.testing.assert_allclose(found[devices][f"{case}/losses"], losses, rtol=0, atol=1e-5)
    assert losses[-10:].mean() < losses[:10].mean()
    perplexity = found["one"][f"{case}/perplexity"]
    assert found[devices][f"{case}/perplexity"] == pytest.approx(perplexity, rel=1e-5)


def test_the_clip_acted(found: dict[str, Found]):
    assert (found["one"]["clipped/norms"] > 0.05).all()


def test_a_text_of_fewer_streams_than_devices_is_measured_too(found: dict[str, Found]):
    for devices in SEVERAL:
        assert found[devices]["few streams"] == pytest.approx(found["one"]["few streams"], rel=1e-5)


@pytest.mark.parametrize("devices", ["one", *SEVERAL])
def test_dropout_is_the_same_in_every_run(found: dict[str, Found], devices: str):
    for name, array in _state(found[devices], "dropout").items():
        np.testing.assert_array_equal(found[devices][name.replace("dropout", "again")], array)


def test_dropout_differs_from_replica_to_replica(found: dict[str, Found]):
    """Both halves of the batch are the same, so the carry differs only if the masks do."""
    for devices in SEVERAL:
        first, second = np.split(found[devices]["halves"], 2)
        assert not np.allclose(first, second)
    np.testing.assert_array_equal(found["worker 0"]["halves"], found["worker 1"]["halves"])


def test_workers_know_what_the_chief_knows(found: dict[str, Found]):
    whole = bytes(range(256)) * 3
    for worker in SEVERAL[1:]:
        for size in (0, 1, 7, 8, 9, 500):
            assert found[worker][f"told/{size}"].tobytes() == whole[:size]
        assert found[worker]["summed"].tolist() == [3, 2**41]
        assert found[worker]["wished"].tolist() == [True, False]
