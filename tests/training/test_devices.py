"""What is known of devices and workers before any learns."""

import json

import pytest

from wordgen.errors import SettingError
from wordgen.model.replicas import alone
from wordgen.training.hardware import cpu_features, settled
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
        (MULTI, {}, "needs to know the other workers"),
        (MULTI, {"TF_CONFIG": "nonsense"}, "TF_CONFIG must be JSON"),
        (MULTI, {"TF_CONFIG": "[]"}, "TF_CONFIG must be JSON"),
        (MULTI, config({"type": "ps", "index": 0}, worker=["a:1"]), "TF_CONFIG must be JSON"),
        (MULTI, config({"type": "worker", "index": 2}, worker=["a:1", "b:1"]), "they count from 0"),
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
    with pytest.raises(SettingError, match=f"--batch-size {rows} cannot be shared .* {count} devices: take {near}"):
        replicas.check_rows(rows)
    replicas.check_rows(count)


def test_precision_goes_by_the_hardware_unless_it_is_given(monkeypatch: pytest.MonkeyPatch):
    cases = (({"avx2", "avx512_bf16"}, "bfloat16"), ({"amx_bf16"}, "bfloat16"), ({"avx2"}, "float32"))
    for features, expected in cases:
        monkeypatch.setattr("wordgen.training.hardware.cpu_features", lambda facts, found=features: found)
        assert settled("auto", alone()) == expected
        assert settled("float32", alone()) == "float32"
        assert settled("bfloat16", alone()) == "bfloat16"


def test_features_of_a_processor():
    facts = "processor\t: 0\nflags\t\t: fpu avx2 amx_bf16\nbugs\t\t: none\n"
    assert {"avx2", "amx_bf16"} <= cpu_features(facts)
    assert cpu_features("") == set()
