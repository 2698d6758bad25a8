"""One device, two parts of a CPU, and two processes learn the same."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.forked import forked, forked_alone
from tests.helpers.learning_worker import ARCHITECTURE, CASES, MEASURED, STEPS
from tests.helpers.workers import ended_well
from wordgen.network.network import Network

Found = dict[str, np.ndarray]
SEVERAL = ["two parts", "worker 0", "worker 1"]
OF_TWO_PARTS = [MEASURED, "all at once", "rows", "dropout"]
"""The cases that two parts of a CPU learn, too: they differ from two processes by how gradients are summed alone."""
COMPARED = [
    (devices, case)
    for devices in SEVERAL
    for case in (OF_TWO_PARTS if devices == "two parts" else CASES)
    if case != "dropout"
]

pytestmark = pytest.mark.slow


def _command(file: Path, settings: dict[str, Any], cases: Iterable[str] = CASES) -> list[str]:
    return ["-m", "tests.helpers.learning_worker", str(file), json.dumps(settings), *cases]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    room = tmp_path_factory.mktemp("replicas")
    alone = [
        _command(room / "one.npz", {"distribute": "none"}),
        _command(room / "two parts.npz", {"local_devices": 2}, OF_TWO_PARTS),
    ]
    for command in alone:
        with forked_alone(*command, room=room) as process:
            ended_well([process], timeout=600)
    commands = [_command(room / f"worker {n}.npz", {"distribute": "multiworker"}) for n in range(2)]
    with forked(commands, room) as processes:
        ended_well(processes, timeout=600)
    return {path.stem: dict(np.load(path)) for path in room.glob("*.npz")}


def _state(found: Found, case: str) -> Found:
    kinds = tuple(f"{case}/{kind}" for kind in ("weights", "averages", "optimizer", "state"))
    return {name: array for name, array in found.items() if name.startswith(kinds)}


def test_they_are_what_they_should_be(found: dict[str, Found]):
    assert {name: int(each["replicas"]) for name, each in found.items()} == {
        "one": 1,
        "two parts": 2,
        "worker 0": 2,
        "worker 1": 2,
    }


@pytest.mark.parametrize(("devices", "case"), COMPARED)
def test_the_same_weights_after_fifty_steps(found: dict[str, Found], devices: str, case: str):
    one, several = _state(found["one"], case), _state(found[devices], case)
    assert one.keys() == several.keys()
    assert len(one) >= 13
    for name, array in one.items():
        # A cell's state is a sum that grows to ten and more, so for the state the bound is relative.
        relative = 1e-5 if "/state/" in name else 0
        np.testing.assert_allclose(several[name], array, rtol=relative, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(("devices", "case"), COMPARED)
def test_the_same_losses_all_along(found: dict[str, Found], devices: str, case: str):
    losses = found["one"][f"{case}/losses"]
    np.testing.assert_allclose(found[devices][f"{case}/losses"], losses, rtol=0, atol=1e-5)
    assert losses[-10:].mean() < losses[:10].mean()


@pytest.mark.parametrize("devices", SEVERAL)
def test_the_same_perplexity(found: dict[str, Found], devices: str):
    assert found[devices]["perplexity"] == pytest.approx(found["one"]["perplexity"], rel=1e-5)


def test_the_clip_acted(found: dict[str, Found]):
    assert (found["one"]["all at once/norms"] > CASES["all at once"]["clip"]).all()


def test_the_clip_of_values_acted(found: dict[str, Found]):
    """At a learning rate of 1, no weight moves by more than the limit in a step. Without the limit, some do.

    It acts after the sum: if each replica clipped its own gradient, the sum could be twice as large, and the weights
    would differ from those of one device.
    """
    begun = Network(ARCHITECTURE, random_seed=1).to_weights()
    moved = {
        case: max(np.abs(found["one"][f"{case}/weights/{name}"] - begun[name]).max() for name in begun)
        for case in ("values", "all at once")
    }
    most = STEPS * CASES["values"]["clip_value"]
    assert moved["values"] <= most * 1.0001
    assert moved["all at once"] > most


def test_a_text_of_fewer_streams_than_devices_is_measured_too(found: dict[str, Found]):
    for devices in SEVERAL:
        assert found[devices]["few streams"] == pytest.approx(found["one"]["few streams"], rel=1e-5)


@pytest.mark.parametrize("devices", ["one", *SEVERAL])
def test_dropout_is_the_same_in_every_run(found: dict[str, Found], devices: str):
    for name, array in _state(found[devices], "dropout").items():
        np.testing.assert_array_equal(found[devices][name.replace("dropout", "again")], array)


def test_dropout_differs_from_replica_to_replica(found: dict[str, Found]):
    """Both halves of the batch are the same, so the state differs only if the masks do."""
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
        assert found[worker]["requested"].tolist() == [True, False]
