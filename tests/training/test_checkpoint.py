"""Checkpoints: round trip, damaged files, and a full disk."""

import math
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from wordgen.errors import BundleError, SettingError
from wordgen.training.checkpoint import Arrays, Checkpoints, CheckpointSaver, Position, check_names, has_checkpoint
from wordgen.training.reports import EpochReport, Sample
from wordgen.training.settings import CheckpointInterval, TrainingSettings

EPOCH = EpochReport(
    1,
    40,
    train_perplexity=9.25,
    valid_perplexity=math.pi,
    best=True,
    seconds=1.5,
    samples=(Sample("greedy", "a text\n夜"),),
)
POSITION = Position(2, 7, 0.1 + 0.2, 105, math.pi, 1, [EPOCH], seconds=12.5)
ARRAYS = {"weights/a": np.arange(6, dtype=np.float32).reshape(2, 3), "optimizer/0": np.array(7, np.int64)}


def save(run: Path, *steps: int) -> list[str]:
    warnings: list[str] = []
    checkpoints = Checkpoints(run, warnings.append)
    for step in steps:
        checkpoints.save(step, {**ARRAYS, "step": np.array(step)}, POSITION)
    return warnings


def newest(run: Path) -> tuple[int | None, list[str]]:
    warnings: list[str] = []
    found = Checkpoints(run, warnings.append).newest()
    return (None if found is None else int(found.arrays["step"])), warnings


def test_checkpoint_round_trips_exactly(tmp_path: Path):
    Checkpoints(tmp_path, lambda sentence: None).save(3, ARRAYS, POSITION)
    found = Checkpoints(tmp_path, lambda sentence: None).newest()
    assert found is not None
    arrays, position = found.arrays, found.position
    assert position == POSITION
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
        assert arrays[name].shape == array.shape


def test_last_three_checkpoints_are_kept(tmp_path: Path):
    save(tmp_path, 9, 10, 100, 1000)
    assert len(list((tmp_path / "checkpoints").iterdir())) == 3
    assert newest(tmp_path) == (1000, [])
    assert has_checkpoint(tmp_path)


def test_newest_position_is_that_of_the_last_checkpoint(tmp_path: Path):
    assert newest(tmp_path) == (None, [])
    assert not has_checkpoint(tmp_path)
    checkpoints = Checkpoints(tmp_path, lambda sentence: None)
    assert checkpoints.newest_position() == Position()
    checkpoints.save(3, ARRAYS, Position())
    checkpoints.save(4, ARRAYS, POSITION)
    assert checkpoints.newest_position() == POSITION
    (tmp_path / "checkpoints" / "step-000000000004" / "position.json").write_text("[1]")
    assert checkpoints.newest_position() == Position()


@pytest.mark.parametrize("name", ["state.safetensors", "position.json"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: content[:-20] + bytes([content[-20] ^ 1]) + content[-19:],
        lambda content: content.replace(b"105", b"106").replace(b"\x00\x00\x80?", b"\x00\x00\x80@"),
        None,
    ],
)
def test_damaged_checkpoint_is_skipped_with_a_warning(
    tmp_path: Path, name: str, damage: Callable[[bytes], bytes] | None
):
    save(tmp_path, 1, 2)
    path = tmp_path / "checkpoints" / "step-000000000002" / name
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    step, warnings = newest(tmp_path)
    assert step == 1
    assert len(warnings) == 1
    assert "step-000000000002 is damaged" in warnings[0]


def test_only_damaged_checkpoints_are_an_error(tmp_path: Path):
    save(tmp_path, 1)
    (tmp_path / "checkpoints" / "step-000000000001" / "position.json").write_bytes(b"")
    for _ in range(2):  # the second time, too, the run must not begin again and replace its model
        with pytest.raises(BundleError, match="Its model has not changed"):
            newest(tmp_path)
    [kept] = (tmp_path / "checkpoints").iterdir()
    assert kept.name.startswith("damaged-step-000000000001")


def test_checkpoint_of_a_later_format_is_kept(tmp_path: Path):
    save(tmp_path, 1)
    path = tmp_path / "checkpoints" / "step-000000000001" / "position.json"
    path.write_text(path.read_text().replace('"format": 7', '"format": 8'))
    with pytest.raises(BundleError, match="resume the run with the version that wrote it"):
        newest(tmp_path)
    assert path.exists()


def test_incomplete_checkpoint_is_deleted_with_a_warning(tmp_path: Path):
    save(tmp_path, 1)
    (tmp_path / "checkpoints" / ".step-000000000002.abc").mkdir()
    assert newest(tmp_path) == (
        1,
        ["The last run ended while it wrote a checkpoint: the incomplete checkpoint is deleted."],
    )
    assert newest(tmp_path) == (1, [])


def test_incomplete_files_of_a_run_are_deleted_with_warnings(tmp_path: Path):
    save(tmp_path, 1)
    for folder in (".copy_index.a1b2c3d4", "valid"):
        (tmp_path / folder).mkdir()
    for file in (".copy_index.a1b2c3d4/order.bin", "valid/.words.tsv.a1b2c3d4", ".report.json.a1b2c3d4", "notes.txt"):
        (tmp_path / file).touch()
    step, warnings = newest(tmp_path)
    assert step == 1
    names = sorted(warning.split(":")[0].split()[-1] for warning in warnings)
    assert names == ["copy_index", "report.json", "words.tsv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "notes.txt", "valid"]
    assert list((tmp_path / "valid").iterdir()) == []


def test_full_disk_gives_a_warning_and_the_next_save_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    warnings: list[str] = []
    saver = CheckpointSaver(Checkpoints(tmp_path, warnings.append), CheckpointInterval.parse("1"), warnings.append)

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        saver.save_in_background(1, {"step": np.array(1)}, POSITION)
        saver.wait()
    assert len(warnings) == 1
    assert "step 1 could not be saved" in warnings[0]
    assert list((tmp_path / "checkpoints").iterdir()) == []
    saver.save_in_background(2, {"step": np.array(2)}, POSITION)
    saver.wait()
    assert newest(tmp_path) == (2, [])


def test_saver_writes_the_position_at_the_time_of_the_call(tmp_path: Path):
    """The training continues while a checkpoint is written."""
    started, proceed = threading.Event(), threading.Event()

    class SlowCheckpoints(Checkpoints):
        def save(self, step: int, arrays: Arrays, position: Position) -> None:
            started.set()
            assert proceed.wait(60)
            super().save(step, arrays, position)

    saver = CheckpointSaver(SlowCheckpoints(tmp_path, print), CheckpointInterval.parse("1"), print)
    position = Position(2, 7)
    saver.save_in_background(1, ARRAYS, position)
    assert started.wait(60)
    position.step_in_epoch = 8
    assert not has_checkpoint(tmp_path)
    proceed.set()
    saver.wait()
    found = Checkpoints(tmp_path, print).newest()
    assert found is not None
    assert found.position.step_in_epoch == 7


def test_array_of_another_shape_is_refused():
    check_names(ARRAYS, {"weights/a": (2, 3), "optimizer/0": ()})
    with pytest.raises(BundleError, match="another shape"):
        check_names(ARRAYS, {"weights/a": (3, 2), "optimizer/0": ()})


@pytest.mark.parametrize(
    ("text", "seconds", "due"), [("5", 1e9, False), ("10m", 600, True), ("10m", 599, False), ("0.5m", 30, True)]
)
def test_interval_is_due_after_its_minutes(text: str, seconds: float, due: bool):
    assert CheckpointInterval.parse(text).is_due(seconds) is due


def test_steps_left_until_the_next_checkpoint():
    def steps_left(every: str, step: int) -> int | None:
        return CheckpointSaver(None, CheckpointInterval.parse(every), lambda s: None).steps_left(step)

    assert [steps_left("7", step) for step in (0, 1, 6, 7, 8)] == [7, 6, 1, 7, 6]
    assert steps_left("10m", 3) is None


@pytest.mark.parametrize("text", ["", "m", "0", "-5", "0m", "nanm", "infm", "often", "1.5", "5h"])
def test_invalid_checkpoint_every_is_refused(text: str):
    with pytest.raises(SettingError, match="--checkpoint-every must be steps"):
        TrainingSettings(checkpoint_every=text)
