import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.helpers.bundles import make_bundle
from tests.helpers.commands import command_environment
from wordgen.errors import BundleError, SettingError, StorageError
from wordgen.model.bundle import load_bundle, save_bundle
from wordgen.run.folder import find_model, find_run, folder_for, made_new, reserved_name
from wordgen.run.names import SAVED_MODELS, is_run, is_run_name, name_of, run_name

pytestmark = pytest.mark.usefixtures("in_empty_folder")
RUN = SAVED_MODELS / "tale"


def save(fill: float, folder: Path = RUN) -> None:
    save_bundle(make_bundle(fill=fill), folder)


def kept(folder: Path = RUN) -> float:
    return float(load_bundle(folder).weights["output/bias"][0])


def test_a_run_without_a_model_leaves_no_folder():
    with made_new(RUN, overwrite=False):
        (RUN / "report.json").write_text("{}")
    assert not SAVED_MODELS.exists()


def test_a_name_in_use_is_refused_even_if_it_came_into_use_meanwhile():
    folder = folder_for("tale", overwrite=False)
    save(1)
    with pytest.raises(SettingError, match="A run 'tale' already exists"), made_new(folder, overwrite=False):
        pass
    with pytest.raises(SettingError, match="--overwrite"):
        folder_for("tale", overwrite=False)
    assert kept() == 1


def test_a_replaced_run_waits_until_the_new_one_has_a_model():
    save(1)
    with made_new(RUN, overwrite=True) as folder:
        assert folder.replaces
        assert find_model("tale") == folder.aside
        save(2)
        assert find_model("tale") == RUN
    assert kept() == 2
    assert [path.name for path in SAVED_MODELS.iterdir()] == ["tale"]


@pytest.mark.parametrize("with_model", [True, False])
def test_a_replaced_run_comes_back(with_model: bool):
    save(1)
    with made_new(RUN, overwrite=True) as folder:
        if with_model:
            save(2)
            folder.kept = False
    assert kept() == 1


def test_a_replaced_run_comes_back_after_an_error():
    save(1)
    with pytest.raises(RuntimeError), made_new(RUN, overwrite=True):
        raise RuntimeError
    assert kept() == 1


def test_runs_of_the_same_second_get_different_names():
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
def test_names_that_could_leave_the_folder_are_refused(name: str):
    with pytest.raises(SettingError, match="--name cannot be"):
        run_name(name, "tale")


LETTERS = ("x", "é", "亜", "𠮷")  # of one to four bytes


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("length", [1, 50, 60, 66, 67, 100])
def test_a_name_of_any_letters_is_refused_or_can_be_replaced_and_found_again(letter: str, length: int):
    name = letter * length
    if len(name.encode()) > 200:
        assert not is_run_name(name)
        with pytest.raises(SettingError, match="it has more than 200 bytes") as refused:
            run_name(f"sweep/{name}", "")
        assert "\n" not in str(refused.value)
        return
    for fill in (1, 2):
        with made_new(folder_for(run_name(name, ""), overwrite=True), overwrite=True) as made:
            save(fill, made.path)
    assert is_run_name(name)
    assert kept(find_model(name)) == 2


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("marks", ["", "-.", "\udc81"])
def test_a_name_by_default_is_one_that_may_be_given(letter: str, marks: str):
    name = run_name(None, marks + letter * 300)
    assert run_name(name, "") == name
    assert name.startswith(letter)


def test_the_newest_model_is_found():
    save(1, SAVED_MODELS / "b")
    time.sleep(0.02)
    save(2, SAVED_MODELS / "a")
    (SAVED_MODELS / "c").mkdir()
    assert find_model() == SAVED_MODELS / "a"


def test_saved_models_that_cannot_be_read_are_told_where_a_run_is_to_be_resumed():
    SAVED_MODELS.symlink_to(SAVED_MODELS.name)
    with pytest.raises(BundleError, match="saved_models cannot be read"):
        find_run()


def test_a_model_is_found_by_name_or_path_and_a_near_name_is_proposed():
    save(1)
    assert find_model("tale") == find_model(RUN) == RUN
    save(2, SAVED_MODELS / "lotr-20260101-000000")
    assert find_model("lotr") == SAVED_MODELS / "lotr-20260101-000000"
    with pytest.raises(BundleError, match=r"Did you mean tale\?"):
        find_model("tail")
    with pytest.raises(BundleError, match=r"Trained models: lotr-20260101-000000, tale\."):
        find_model("something else")


@pytest.mark.parametrize("left", [[], ["training.lock"], ["training.lock", ".report.json.abcdefgh"]])
def test_what_a_process_left_that_was_killed_before_its_report_is_in_nobodys_way(left: list[str]):
    RUN.mkdir(parents=True)
    for name in left:
        (RUN / name).touch()
    with made_new(folder_for("tale", overwrite=False), overwrite=False):
        save(3)
    assert kept() == 3
    assert sorted(path.name for path in RUN.iterdir()) == ["config.json", "vocabulary.json", "weights.safetensors"]


def test_a_folder_with_anything_else_in_it_is_in_use():
    RUN.mkdir(parents=True)
    (RUN / "notes.txt").touch()
    with pytest.raises(SettingError, match="A run 'tale' already exists"):
        folder_for("tale", overwrite=False)


def test_a_run_that_a_full_disk_ended_keeps_what_it_can_be_resumed_from():
    def fail() -> None:
        with made_new(RUN, overwrite=False):
            (RUN / "checkpoints" / "step-000000000007").mkdir(parents=True)
            raise StorageError("No space.")

    with pytest.raises(StorageError):
        fail()
    assert (RUN / "checkpoints").is_dir()


AT_ONCE = """
import sys
from tests.helpers.bundles import make_bundle
from wordgen.model.bundle import save_bundle
from wordgen.errors import SettingError
from wordgen.run.names import SAVED_MODELS
from wordgen.run.folder import made_new
print("ready", flush=True)
sys.stdin.readline()
how = {sys.argv[1]: True}
try:
    with made_new(SAVED_MODELS / "tale", **{"overwrite": False, **how}) as made:
        save_bundle(make_bundle(fill=float(sys.argv[2])), made.path)
        print(made.path.name, flush=True)
        sys.stdin.readline()
except SettingError as error:
    print(error, flush=True)
"""


def at_once(how: str) -> list[str]:
    """What four processes say that make a run of one name at the same moment; each holds it until all have spoken."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", AT_ONCE, how, str(number)],
            env=command_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(4)
    ]  # fmt: skip
    said: list[str] = []
    for turn in range(2):
        answers = [process.stdout.readline().strip() for process in processes if process.stdout]
        said += answers if turn else []
        for process in processes:
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # it was refused and has gone
                process.stdin.write("go\n")
                process.stdin.flush()
    for process in processes:
        with suppress(BrokenPipeError):
            process.communicate(timeout=60)
        assert process.returncode == 0
    return said


def test_four_processes_that_replace_a_run_at_once_leave_one_run_and_lose_none():
    save(9)
    said = at_once("overwrite")
    refused = [each for each in said if each != "tale"]
    assert len(refused) == 3
    assert all("trains the run 'tale' now" in each for each in refused)
    assert kept() == said.index("tale")
    assert [path.name for path in SAVED_MODELS.iterdir()] == ["tale"]


def test_runs_that_begin_in_the_same_second_get_names_of_their_own():
    assert sorted(at_once("numbered")) == ["tale", "tale-2", "tale-3", "tale-4"]
    assert {kept(path) for path in SAVED_MODELS.iterdir()} == {0, 1, 2, 3}


def test_names_that_are_reserved_at_once_differ_and_leave_nothing_behind():
    SAVED_MODELS.mkdir()
    all_have_one = threading.Barrier(8)

    def reserve(_: int) -> str:
        with reserved_name("tale") as name:
            assert (SAVED_MODELS / name).is_dir()
            all_have_one.wait(timeout=60)
            return name

    with ThreadPoolExecutor(max_workers=8) as threads:
        assert len(set(threads.map(reserve, range(8)))) == 8
    assert not any(SAVED_MODELS.iterdir())


def test_a_reserved_name_is_for_the_run_that_is_made_by_it():
    with reserved_name("tale") as name:
        with made_new(folder_for(name, overwrite=False), overwrite=False) as made:
            save(7, made.path)
        assert run_name(None, "tale") != name
    assert kept(SAVED_MODELS / name) == 7


def begin(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "report.json").write_text("{}")


def test_a_run_of_a_sweep_is_found_by_both_names_and_is_never_the_newest():
    save(1)
    begin(SAVED_MODELS / "other")
    one = SAVED_MODELS / "cells" / "lstm-1"
    begin(one)
    save(2, one)
    assert run_name("cells/lstm-1", "tale") == name_of(one) == "cells/lstm-1"
    assert (name_of(RUN), name_of(Path("elsewhere/a/b"))) == ("tale", "b")
    assert is_run("cells/lstm-1")
    assert find_model("cells/lstm-1") == find_model(one) == one
    assert find_run("cells/lstm-1") == find_run("saved_models/cells/lstm-1") == one
    assert find_run("saved_models/other") == find_run("other") == find_run() == SAVED_MODELS / "other"
    assert find_model() == RUN


def test_a_sweep_is_no_model_and_one_of_its_runs_is_proposed():
    begin(SAVED_MODELS / "cells" / "lstm-1")
    with pytest.raises(
        BundleError, match="'cells' is a sweep with several runs: give one of its runs, for example cells/lstm-1"
    ):
        find_model("cells")


def test_no_run_takes_the_place_of_a_sweep_and_none_lies_in_another():
    begin(SAVED_MODELS / "cells" / "lstm-1")
    with pytest.raises(SettingError, match="'cells' contains several runs, which --overwrite never replaces"):
        folder_for("cells", overwrite=True)
    begin(RUN)
    with pytest.raises(SettingError, match="'tale' is a run and cannot contain another run"):
        folder_for("tale/lstm-1", overwrite=False)


@pytest.mark.parametrize("name", ["../backup", "..", "/one", "./../backup", "saved_models/../backup"])
def test_no_name_leads_out_of_saved_models(name: str, in_empty_folder: Path):
    (SAVED_MODELS / "kept").mkdir(parents=True)
    for folder in (in_empty_folder / "backup", in_empty_folder, in_empty_folder / "saved_models"):
        folder.mkdir(exist_ok=True)
        (folder / "report.json").write_text("{}")
    with pytest.raises(BundleError, match="There is no run"):
        find_run(name)
