"""Runs and sweeps are removed completely or not at all, and nothing else is deleted."""

import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.saved_runs import make_run, make_runs
from wordgen.errors import BundleError, SettingError, StorageError
from wordgen.run.folder import removable_folders, remove, sweep_lock, training_lock
from wordgen.run.listing import saved_runs, saved_sweeps
from wordgen.run.names import SAVED_MODELS

pytestmark = pytest.mark.usefixtures("in_empty_folder")


def remaining_names() -> list[str]:
    return sorted(path.name for path in SAVED_MODELS.iterdir())


def test_remove_deletes_only_the_given_run():
    make_runs("tale", "tale-2")
    (folder,) = removable_folders(["tale", "tale"])
    remove(folder)
    assert remaining_names() == ["tale-2"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../tale", "tale/..", "/", "saved_models/x/tale", "tale/", ".hidden", "x" * 101]
)
def test_invalid_run_name_is_refused(name: str, in_empty_folder: Path):
    (make_run("tale") / "checkpoints").mkdir()
    before = sorted(in_empty_folder.rglob("*"))
    with pytest.raises(BundleError, match="is not the name of a run"):
        removable_folders([name])
    assert sorted(in_empty_folder.rglob("*")) == before


def test_folder_within_a_run_is_refused():
    (make_run("tale") / "checkpoints").mkdir()
    with pytest.raises(BundleError, match="tale/checkpoints is not the folder of a run"):
        removable_folders(["tale/checkpoints"])


def test_remove_deletes_a_sweep_or_one_of_its_runs():
    make_runs("tale", "sweep/one", "sweep/two")
    remove(*removable_folders(["sweep/one"]))
    assert [run.name for run in saved_runs(folder=SAVED_MODELS / "sweep")] == ["sweep/two"]
    (whole,) = removable_folders(["sweep/two", "sweep"])
    remove(whole)
    assert remaining_names() == ["tale"]


def test_last_run_within_a_folder_leaves_no_empty_folder():
    make_runs("novels/one", "novels/two", "tale")
    for name, left in (("novels/one", ["novels", "tale"]), ("novels/two", ["tale"])):
        remove(*removable_folders([name]))
        assert remaining_names() == left
    assert [run.name for run in saved_runs()] == ["tale"]


def test_running_sweep_and_its_runs_are_refused():
    make_runs("sweep/one", "sweep/two")
    for name in ("sweep", "sweep/one"):
        with sweep_lock(SAVED_MODELS / "sweep"), pytest.raises(SettingError, match="runs the sweep 'sweep' now"):
            removable_folders([name])
    with training_lock(SAVED_MODELS / "sweep/two"), pytest.raises(SettingError, match="trains the run 'sweep/two' now"):
        removable_folders(["sweep"])
    assert removable_folders(["sweep"])


def test_sweep_without_models_is_listed_and_removed():
    (SAVED_MODELS / "wild" / "logs").mkdir(parents=True)
    (SAVED_MODELS / "wild" / "results.json").write_text("{}")
    assert [(sweep.name, sweep.status, sweep.runs) for sweep in saved_sweeps()] == [("wild", "finished", ())]
    remove(*removable_folders(["wild"]))
    assert remaining_names() == []


def test_run_that_starts_before_remove_is_kept():
    (folder,) = removable_folders([make_run("tale").name])
    with training_lock(folder), pytest.raises(SettingError, match="trains the run 'tale' now"):
        remove(folder)
    assert remaining_names() == ["tale"]


def test_symlinked_sweep_is_refused(tmp_path: Path):
    make_run("sweep/one")
    shutil.move(SAVED_MODELS / "sweep", tmp_path / "elsewhere")
    (SAVED_MODELS / "sweep").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    for name in ("sweep", "sweep/one"):
        with pytest.raises(BundleError, match="saved_models/sweep is a link to another place"):
            removable_folders([name])


def test_prefix_of_a_name_is_refused():
    make_run("tale-2")
    with pytest.raises(
        BundleError, match=r"There is no run with the full name 'tale' in saved_models/\. Did you mean ta"
    ):
        removable_folders(["tale"])


def test_one_run_in_training_refuses_all_given_names():
    make_runs("tale", "learning")
    with training_lock(SAVED_MODELS / "learning"), pytest.raises(SettingError, match="trains the run 'learning' now"):
        removable_folders(["tale", "learning"])
    assert removable_folders(["tale", "learning"])


def test_folder_without_a_run_is_refused():
    (SAVED_MODELS / "notes").mkdir(parents=True)
    (SAVED_MODELS / "notes" / "diary.txt").write_text("dear")
    with pytest.raises(BundleError, match="is not the folder of a run"):
        removable_folders(["notes"])


def test_symlinked_run_is_refused(tmp_path: Path):
    shutil.move(make_run("tale"), tmp_path / "elsewhere")
    (SAVED_MODELS / "tale").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(BundleError, match="is a link to another place"):
        removable_folders(["tale"])
    assert (tmp_path / "elsewhere" / "report.json").exists()


def test_remove_does_not_follow_symlinks(tmp_path: Path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thing").write_text("dear")
    folder = make_run("tale")
    (folder / "checkpoints").symlink_to(tmp_path / "precious", target_is_directory=True)
    remove(folder)
    assert remaining_names() == []
    assert (tmp_path / "precious" / "thing").read_text() == "dear"


def test_run_stays_complete_if_moving_fails(monkeypatch: pytest.MonkeyPatch):
    folder = make_run("tale")
    before = sorted(folder.iterdir())

    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StorageError, match="Permission denied"):
        remove(folder)
    assert (sorted(folder.iterdir()), remaining_names()) == (before, ["tale"])


@pytest.mark.parametrize("name", ["tale", "novels/tale"])
def test_next_removal_deletes_the_rest_of_a_failed_one(monkeypatch: pytest.MonkeyPatch, name: str):
    folder, other = make_run(name), make_run("other")

    def delete_one_file(path: Path, **options: object) -> None:
        next(path.rglob("report.json")).unlink()
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", delete_one_file)
        with pytest.raises(
            StorageError, match=r"tale is removed from the list, .*delete saved_models/\.removed\..* yourself"
        ):
            remove(folder)
    assert [run.name for run in saved_runs()] == ["other"]
    remove(other)
    assert remaining_names() == []


def test_two_processes_remove_runs_at_the_same_time(monkeypatch: pytest.MonkeyPatch):
    """The second one does not clean up what the first one has just begun to remove."""
    folder, other = make_run("tale"), make_run("other")
    second = threading.Thread(target=remove, args=(other,))
    make_trash = tempfile.mkdtemp

    def let_the_second_begin(**arguments: Any) -> str:
        trash = make_trash(**arguments)
        if not second.ident:
            second.start()
            second.join(0.3)
        return trash

    monkeypatch.setattr(tempfile, "mkdtemp", let_the_second_begin)
    remove(folder)
    second.join()
    assert remaining_names() == []
