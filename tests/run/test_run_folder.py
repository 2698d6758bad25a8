"""The folder of a run: names, replacing a run, and several processes at once."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.helpers.bundles import make_bundle
from tests.helpers.commands import command_environment
from wordgen.errors import BundleError, SettingError, StorageError
from wordgen.model.bundle import load_bundle, save_bundle
from wordgen.run.folder import find_model, find_run, folder_for, new_run_folder, reserved_name
from wordgen.run.names import SAVED_MODELS, is_run_name, name_of, run_exists, run_name

pytestmark = pytest.mark.usefixtures("in_empty_folder")
RUN = SAVED_MODELS / "tale"


def save(fill: float, folder: Path = RUN) -> None:
    save_bundle(make_bundle(fill=fill), folder)


def loaded_fill(folder: Path = RUN) -> float:
    return float(load_bundle(folder).weights["output/bias"][0])


def test_run_without_model_leaves_no_folder():
    with new_run_folder(RUN, overwrite=False):
        (RUN / "report.json").write_text("{}")
    assert not SAVED_MODELS.exists()


def test_existing_name_is_refused():
    folder = folder_for("tale", overwrite=False)
    save(1)
    with pytest.raises(SettingError, match="A run 'tale' already exists"), new_run_folder(folder, overwrite=False):
        pass
    with pytest.raises(SettingError, match="--overwrite"):
        folder_for("tale", overwrite=False)
    assert loaded_fill() == 1


def test_old_run_is_kept_until_the_new_one_has_a_model():
    save(1)
    with new_run_folder(RUN, overwrite=True) as folder:
        assert folder.replaces_older_run
        assert find_model("tale") == folder.set_aside_path
        save(2)
        assert find_model("tale") == RUN
    assert loaded_fill() == 2
    assert [path.name for path in SAVED_MODELS.iterdir()] == ["tale"]


@pytest.mark.parametrize("with_model", [True, False])
def test_old_run_is_restored_if_the_new_one_fails(with_model: bool):
    save(1)
    with new_run_folder(RUN, overwrite=True) as folder:
        if with_model:
            save(2)
            folder.is_kept = False
    assert loaded_fill() == 1


def test_old_run_is_restored_after_an_error():
    save(1)
    with pytest.raises(RuntimeError), new_run_folder(RUN, overwrite=True):
        raise RuntimeError
    assert loaded_fill() == 1


def test_generated_names_are_unique():
    names = set()
    for _ in range(3):
        name = run_name(None, "my tale!")
        (SAVED_MODELS / name).mkdir(parents=True)
        names.add(name)
    assert len(names) == 3
    assert all(name.startswith("my-tale-2") for name in names)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../up",
        "a/..",
        "/a",
        "a/",
        "a//b",
        "a/b/c",
        "a.before/b",
        "a/b.before",
        ".hidden",
        "x" * 101,
        "tale.before",
        "a b",
    ],
)
def test_invalid_name_is_refused(name: str):
    with pytest.raises(SettingError, match="--name cannot be"):
        run_name(name, "tale")


LETTERS = ("x", "é", "亜", "𠮷")  # one to four bytes in UTF-8


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("length", [1, 50, 60, 66, 67, 100])
def test_name_up_to_200_bytes_is_replaced_and_found(letter: str, length: int):
    name = letter * length
    if len(name.encode()) > 200:
        assert not is_run_name(name)
        with pytest.raises(SettingError, match="it has more than 200 bytes") as refused:
            run_name(f"sweep/{name}", "")
        assert "\n" not in str(refused.value)
        return
    for fill in (1, 2):
        with new_run_folder(folder_for(run_name(name, ""), overwrite=True), overwrite=True) as new:
            save(fill, new.path)
    assert is_run_name(name)
    assert loaded_fill(find_model(name)) == 2


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("invalid_start", ["", "-.", "+", "\udc81"])
def test_generated_name_is_a_valid_name(letter: str, invalid_start: str):
    name = run_name(None, invalid_start + letter * 300)
    assert run_name(name, "") == name
    assert name.startswith(letter)


def test_find_model_returns_the_newest():
    save(1, SAVED_MODELS / "b")
    os.utime(SAVED_MODELS / "b" / "weights.safetensors", (0, 0))
    save(2, SAVED_MODELS / "a")
    (SAVED_MODELS / "c").mkdir()
    assert find_model() == SAVED_MODELS / "a"


def test_unreadable_models_folder_is_an_error():
    SAVED_MODELS.symlink_to(SAVED_MODELS.name)
    with pytest.raises(BundleError, match="saved_models cannot be read"):
        find_run()


def test_find_model_by_name_path_or_prefix():
    save(1)
    assert find_model("tale") == find_model(RUN) == RUN
    save(2, SAVED_MODELS / "lotr-20260101-000000")
    assert find_model("lotr") == SAVED_MODELS / "lotr-20260101-000000"
    with pytest.raises(BundleError, match=r"Did you mean tale\?"):
        find_model("tail")
    with pytest.raises(BundleError, match=r"Trained models: lotr-20260101-000000, tale\."):
        find_model("something else")


@pytest.mark.parametrize("leftovers", [[], ["training.lock"], ["training.lock", ".report.json.abcdefgh"]])
def test_leftovers_of_a_killed_run_do_not_block_its_name(leftovers: list[str]):
    RUN.mkdir(parents=True)
    for name in leftovers:
        (RUN / name).touch()
    with new_run_folder(folder_for("tale", overwrite=False), overwrite=False):
        save(3)
    assert loaded_fill() == 3
    assert sorted(path.name for path in RUN.iterdir()) == ["config.json", "vocabulary.json", "weights.safetensors"]


def test_folder_with_other_files_is_not_replaced():
    RUN.mkdir(parents=True)
    (RUN / "notes.txt").touch()
    for overwrite in (False, True):
        with (
            pytest.raises(SettingError, match="saved_models/tale does not belong to a run, so it is not replaced"),
            new_run_folder(folder_for("tale", overwrite=overwrite), overwrite=overwrite),
        ):
            pass
    assert (RUN / "notes.txt").exists()


def test_full_disk_keeps_the_checkpoints():
    def fail() -> None:
        with new_run_folder(RUN, overwrite=False):
            (RUN / "checkpoints" / "step-000000000007").mkdir(parents=True)
            raise StorageError("No space.")

    with pytest.raises(StorageError):
        fail()
    assert (RUN / "checkpoints").is_dir()


MAKE_RUNS = """
import sys
from tests.helpers.bundles import make_bundle
from wordgen.model.bundle import save_bundle
from wordgen.errors import SettingError
from wordgen.run.names import SAVED_MODELS
from wordgen.run.folder import new_run_folder
print("ready", flush=True)
for name, option in (("tale", "overwrite"), ("story", "numbered")):
    sys.stdin.readline()
    try:
        with new_run_folder(SAVED_MODELS / name, **{"overwrite": False, option: True}) as new:
            save_bundle(make_bundle(fill=float(sys.argv[1])), new.path)
            print(new.path.name, flush=True)
            sys.stdin.readline()
    except SettingError as error:
        print(error, flush=True)
        sys.stdin.readline()
"""


def make_in_four_processes() -> tuple[list[str], list[str]]:
    """Make the runs `tale` and `story` in four processes at once; the run name or error that each process prints.

    Each process holds its run until all have printed.
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MAKE_RUNS, str(number)],
            env=command_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(4)
    ]  # fmt: skip

    def next_lines() -> list[str]:
        return [process.stdout.readline().strip() for process in processes if process.stdout]

    def let_all_continue() -> None:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("continue\n")
            process.stdin.flush()

    assert next_lines() == ["ready"] * 4
    outputs: list[list[str]] = []
    for _ in range(2):
        let_all_continue()
        outputs.append(next_lines())
        let_all_continue()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    return outputs[0], outputs[1]


def test_four_processes_replace_and_number_runs_of_the_same_name():
    """Where the name exists, one process replaces the run. With numbered names, each process gets its own."""
    save(9)
    replacing, numbered = make_in_four_processes()
    errors = [output for output in replacing if output != "tale"]
    assert len(errors) == 3
    assert all("trains the run 'tale' now" in error for error in errors)
    assert loaded_fill() == replacing.index("tale")
    names = ["story", "story-2", "story-3", "story-4"]
    assert sorted(numbered) == names
    assert {loaded_fill(SAVED_MODELS / name) for name in names} == {0, 1, 2, 3}
    assert sorted(path.name for path in SAVED_MODELS.iterdir()) == [*names, "tale"]


def test_reserved_names_are_unique_and_leave_no_folder():
    SAVED_MODELS.mkdir()
    barrier = threading.Barrier(8)

    def reserve(_: int) -> str:
        with reserved_name("tale") as name:
            assert (SAVED_MODELS / name).is_dir()
            barrier.wait(timeout=60)
            return name

    with ThreadPoolExecutor(max_workers=8) as threads:
        assert len(set(threads.map(reserve, range(8)))) == 8
    assert not any(SAVED_MODELS.iterdir())


def test_run_can_use_its_reserved_name():
    with reserved_name("tale") as name:
        with new_run_folder(folder_for(name, overwrite=False), overwrite=False) as new:
            save(7, new.path)
        assert run_name(None, "tale") != name
    assert loaded_fill(SAVED_MODELS / name) == 7


def make_report(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "report.json").write_text("{}")


def test_run_of_a_sweep_is_found_but_never_the_newest():
    save(1)
    make_report(SAVED_MODELS / "other")
    run = SAVED_MODELS / "cells" / "lstm-1"
    make_report(run)
    (run.parent / "logs").mkdir()
    save(2, run)
    assert run_name("cells/lstm-1", "tale") == name_of(run) == "cells/lstm-1"
    assert (name_of(RUN), name_of(Path("elsewhere/a/b"))) == ("tale", "b")
    assert run_exists("cells/lstm-1")
    assert find_model("cells/lstm-1") == find_model(run) == run
    assert find_run("cells/lstm-1") == find_run("saved_models/cells/lstm-1") == run
    assert find_run("saved_models/other") == find_run("other") == find_run() == SAVED_MODELS / "other"
    assert find_model() == RUN


def test_run_in_a_folder_that_is_no_sweep_is_found_like_others():
    save(1)
    run = SAVED_MODELS / "books" / "emma"
    make_report(run)
    save(2, run)
    os.utime(run / "weights.safetensors", (4e9, 4e9))
    assert find_model() == find_model("books") == find_model("books/em") == find_run() == run
    with pytest.raises(BundleError, match="Existing runs: books/emma"):
        find_run("moon")


def test_error_for_a_sweep_suggests_one_of_its_runs():
    make_report(SAVED_MODELS / "cells" / "lstm-1")
    with pytest.raises(
        BundleError, match="'cells' is a folder of runs: give one of its runs, for example cells/lstm-1"
    ):
        find_model("cells")


def test_run_cannot_replace_a_sweep_or_contain_a_run():
    make_report(SAVED_MODELS / "cells" / "lstm-1")
    with pytest.raises(SettingError, match="'cells' contains several runs, which --overwrite never replaces"):
        folder_for("cells", overwrite=True)
    make_report(RUN)
    with pytest.raises(SettingError, match="'tale' is a run and cannot contain another run"):
        folder_for("tale/lstm-1", overwrite=False)


@pytest.mark.parametrize("name", ["../backup", "..", "/one", "./../backup", "saved_models/../backup"])
def test_find_run_refuses_names_outside_the_models_folder(name: str, in_empty_folder: Path):
    (SAVED_MODELS / "other").mkdir(parents=True)
    for folder in (in_empty_folder / "backup", in_empty_folder, in_empty_folder / "saved_models"):
        folder.mkdir(exist_ok=True)
        (folder / "report.json").write_text("{}")
    with pytest.raises(BundleError, match="There is no run"):
        find_run(name)


def test_find_run_takes_no_other_run_of_the_same_name():
    make_report(RUN)
    make_report(Path("backup/tale"))
    assert find_run("tale/") == find_run(str(RUN)) == find_run(str(RUN.absolute())) == RUN
    with pytest.raises(BundleError, match="There is no run 'backup/tale' to resume"):
        find_run("backup/tale")
