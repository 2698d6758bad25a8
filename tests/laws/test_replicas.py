"""One device, two parts of a CPU, and two processes learn the same."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.forked import forked_process, forked_processes
from tests.helpers.learning_worker import ARCHITECTURE, CASES, MEASURED, STEPS
from tests.helpers.workers import wait_for_success
from wordgen.network.network import Network

Results = dict[str, np.ndarray]
DISTRIBUTED = ["two parts", "worker 0", "worker 1"]
CASES_OF_TWO_PARTS = [MEASURED, "all at once", "rows", "dropout"]
"""The cases that two parts of a CPU learn, too: they differ from two processes only by how gradients are summed."""
COMPARED = [
    (devices, case)
    for devices in DISTRIBUTED
    for case in (CASES_OF_TWO_PARTS if devices == "two parts" else CASES)
    if case != "dropout"
]

pytestmark = pytest.mark.slow


def _command(file: Path, settings: dict[str, Any], cases: Iterable[str] = CASES) -> list[str]:
    return ["-m", "tests.helpers.learning_worker", str(file), json.dumps(settings), *cases]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Results]:
    folder = tmp_path_factory.mktemp("replicas")
    alone = [
        _command(folder / "one.npz", {"distribute": "none"}),
        _command(folder / "two parts.npz", {"local_devices": 2}, CASES_OF_TWO_PARTS),
    ]
    for command in alone:
        with forked_process(*command, cwd=folder) as process:
            wait_for_success([process], timeout=600)
    commands = [_command(folder / f"worker {n}.npz", {"distribute": "multiworker"}) for n in range(2)]
    with forked_processes(commands, folder) as processes:
        wait_for_success(processes, timeout=600)
    return {path.stem: dict(np.load(path)) for path in folder.glob("*.npz")}


def _state(result: Results, case: str) -> Results:
    kinds = tuple(f"{case}/{kind}" for kind in ("weights", "averages", "optimizer", "state"))
    return {name: array for name, array in result.items() if name.startswith(kinds)}


def test_number_of_replicas(results: dict[str, Results]):
    assert {name: int(each["replicas"]) for name, each in results.items()} == {
        "one": 1,
        "two parts": 2,
        "worker 0": 2,
        "worker 1": 2,
    }


@pytest.mark.parametrize(("devices", "case"), COMPARED)
def test_weights_after_50_steps_equal_one_device(results: dict[str, Results], devices: str, case: str):
    one, several = _state(results["one"], case), _state(results[devices], case)
    assert one.keys() == several.keys()
    assert len(one) >= 13
    for name, array in one.items():
        # The cell state is a sum that grows above 10, so its tolerance is relative.
        relative = 1e-5 if "/state/" in name else 0
        np.testing.assert_allclose(several[name], array, rtol=relative, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(("devices", "case"), COMPARED)
def test_losses_equal_one_device(results: dict[str, Results], devices: str, case: str):
    losses = results["one"][f"{case}/losses"]
    np.testing.assert_allclose(results[devices][f"{case}/losses"], losses, rtol=0, atol=1e-5)
    assert losses[-10:].mean() < losses[:10].mean()


@pytest.mark.parametrize("devices", DISTRIBUTED)
def test_perplexity_equals_one_device(results: dict[str, Results], devices: str):
    assert results[devices]["perplexity"] == pytest.approx(results["one"]["perplexity"], rel=1e-5)


def test_all_gradients_are_clipped(results: dict[str, Results]):
    assert (results["one"]["all at once/norms"] > CASES["all at once"]["clip"]).all()


def test_clip_value_limits_summed_gradient(results: dict[str, Results]):
    """At a learning rate of 1, no weight changes by more than the limit in a step. Without the limit, some do.

    If each replica clipped its own gradient, the sum could be twice as large, and the weights would differ from those
    of one device.
    """
    initial = Network(ARCHITECTURE, random_seed=1).to_weights()
    largest_change = {
        case: max(np.abs(results["one"][f"{case}/weights/{name}"] - initial[name]).max() for name in initial)
        for case in ("values", "all at once")
    }
    limit = STEPS * CASES["values"]["clip_value"]
    assert largest_change["values"] <= limit * 1.0001
    assert largest_change["all at once"] > limit


def test_perplexity_of_text_with_fewer_streams_than_devices(results: dict[str, Results]):
    for devices in DISTRIBUTED:
        assert results[devices]["few streams"] == pytest.approx(results["one"]["few streams"], rel=1e-5)


@pytest.mark.parametrize("devices", ["one", *DISTRIBUTED])
def test_dropout_is_repeatable(results: dict[str, Results], devices: str):
    for name, array in _state(results[devices], "dropout").items():
        np.testing.assert_array_equal(results[devices][name.replace("dropout", "again")], array)


def test_replicas_have_different_dropout_masks(results: dict[str, Results]):
    """Both halves of the batch are equal, so the state differs only if the masks differ."""
    for devices in DISTRIBUTED:
        first, second = np.split(results[devices]["halves"], 2)
        assert not np.allclose(first, second)
    np.testing.assert_array_equal(results["worker 0"]["halves"], results["worker 1"]["halves"])


def test_workers_receive_values_of_chief_and_of_each_other(results: dict[str, Results]):
    content = bytes(range(256)) * 3
    for worker in DISTRIBUTED[1:]:
        for size in (0, 1, 7, 8, 9, 500):
            assert results[worker][f"received/{size}"].tobytes() == content[:size]
        assert results[worker]["summed"].tolist() == [3, 2**41]
        assert results[worker]["requested"].tolist() == [True, False]
