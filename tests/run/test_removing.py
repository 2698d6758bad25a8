"""How a run goes: it and nothing else, whole or not at all."""

import shutil
from pathlib import Path

import pytest

from tests.helpers.saved_runs import make_run, make_runs
from wordgen.errors import BundleError, SettingError, StorageError
from wordgen.run.folder import at_work_on_sweep, in_training, removable, remove
from wordgen.run.listing import saved_runs, saved_sweeps
from wordgen.run.names import SAVED_MODELS

pytestmark = pytest.mark.usefixtures("in_empty_folder")


def left() -> list[str]:
    return sorted(path.name for path in SAVED_MODELS.iterdir())


def test_a_run_goes_and_the_others_stay():
    make_runs("tale", "tale-2")
    (folder,) = removable(["tale", "tale"])
    remove(folder)
    assert left() == ["tale-2"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../tale", "tale/..", "/", "saved_models/x/tale", "tale/", ".hidden", "x" * 101]
)
def test_what_is_no_name_is_refused(name: str, in_empty_folder: Path):
    (make_run("tale") / "checkpoints").mkdir()
    before = sorted(in_empty_folder.rglob("*"))
    with pytest.raises(BundleError, match="is not the name of a run"):
        removable([name])
    assert sorted(in_empty_folder.rglob("*")) == before


def test_what_lies_within_a_run_is_no_run():
    (make_run("tale") / "checkpoints").mkdir()
    with pytest.raises(BundleError, match="tale/checkpoints is not the folder of a run"):
        removable(["tale/checkpoints"])


def test_a_sweep_goes_as_a_whole_or_one_of_its_runs():
    make_runs("tale", "sweep/one", "sweep/two")
    remove(*removable(["sweep/one"]))
    assert [run.name for run in saved_runs(folder=SAVED_MODELS / "sweep")] == ["sweep/two"]
    (whole,) = removable(["sweep/two", "sweep"])
    remove(whole)
    assert left() == ["tale"]


def test_a_sweep_that_is_at_work_stays_with_all_of_its_runs():
    make_runs("sweep/one", "sweep/two")
    for name in ("sweep", "sweep/one"):
        with at_work_on_sweep(SAVED_MODELS / "sweep"), pytest.raises(SettingError, match="runs the sweep 'sweep' now"):
            removable([name])
    with in_training(SAVED_MODELS / "sweep/two"), pytest.raises(SettingError, match="trains the run 'sweep/two' now"):
        removable(["sweep"])
    assert removable(["sweep"])


def test_what_is_left_of_a_sweep_without_any_model_is_still_one():
    (SAVED_MODELS / "wild" / "logs").mkdir(parents=True)
    (SAVED_MODELS / "wild" / "results.json").write_text("{}")
    assert [(sweep.name, sweep.status, sweep.runs) for sweep in saved_sweeps()] == [("wild", "finished", ())]
    remove(*removable(["wild"]))
    assert left() == []


def test_a_run_that_was_begun_while_its_user_was_asked_stays():
    (folder,) = removable([make_run("tale").name])
    with in_training(folder), pytest.raises(SettingError, match="trains the run 'tale' now"):
        remove(folder)
    assert left() == ["tale"]


def test_a_sweep_behind_a_link_stays_with_all_of_its_runs(tmp_path: Path):
    make_run("sweep/one")
    shutil.move(SAVED_MODELS / "sweep", tmp_path / "elsewhere")
    (SAVED_MODELS / "sweep").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    for name in ("sweep", "sweep/one"):
        with pytest.raises(BundleError, match="saved_models/sweep is a link to another place"):
            removable([name])


def test_a_beginning_is_not_enough():
    make_run("tale-2")
    with pytest.raises(
        BundleError, match=r"There is no run with the full name 'tale' in saved_models/\. Did you mean ta"
    ):
        removable(["tale"])


def test_where_one_must_stay_none_is_given_out():
    make_runs("tale", "learning")
    with in_training(SAVED_MODELS / "learning"), pytest.raises(SettingError, match="trains the run 'learning' now"):
        removable(["tale", "learning"])
    assert removable(["tale", "learning"])


def test_a_folder_of_something_else_stays():
    (SAVED_MODELS / "notes").mkdir(parents=True)
    (SAVED_MODELS / "notes" / "diary.txt").write_text("dear")
    with pytest.raises(BundleError, match="is not the folder of a run"):
        removable(["notes"])


def test_a_link_to_a_run_stays_and_what_it_points_to_as_well(tmp_path: Path):
    shutil.move(make_run("tale"), tmp_path / "elsewhere")
    (SAVED_MODELS / "tale").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(BundleError, match="is a link to another place"):
        removable(["tale"])
    assert (tmp_path / "elsewhere" / "report.json").exists()


def test_links_within_a_run_are_not_followed(tmp_path: Path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thing").write_text("dear")
    folder = make_run("tale")
    (folder / "checkpoints").symlink_to(tmp_path / "precious", target_is_directory=True)
    remove(folder)
    assert left() == []
    assert (tmp_path / "precious" / "thing").read_text() == "dear"


def test_a_run_that_cannot_be_moved_stays_whole(monkeypatch: pytest.MonkeyPatch):
    folder = make_run("tale")
    before = sorted(folder.iterdir())

    def refused(*given: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(StorageError, match="Permission denied"):
        remove(folder)
    assert (sorted(folder.iterdir()), left()) == (before, ["tale"])


def test_a_removal_that_breaks_off_leaves_no_half_run_and_the_next_one_ends_it(monkeypatch: pytest.MonkeyPatch):
    folder, other = make_run("tale"), make_run("other")

    def half(path: Path, **named: object) -> None:
        next(path.rglob("report.json")).unlink()
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", half)
        with pytest.raises(
            StorageError, match=r"tale is removed from the list, .*delete saved_models/\.removed\..* yourself"
        ):
            remove(folder)
    assert [run.name for run in saved_runs()] == ["other"]
    remove(other)
    assert left() == []
