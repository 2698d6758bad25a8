import os
from collections.abc import Callable
from pathlib import Path

import pytest

from wordgen.errors import StorageError, in_a_sentence
from wordgen.files import (
    as_storage_error,
    make_folder,
    new_file,
    remove_unfinished,
    whole_folder,
    write_whole,
)


def test_a_file_is_replaced_whole(tmp_path: Path):
    path = tmp_path / "a.json"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize(
    ("words", "most", "expected"),
    [
        ("", None, ""),
        ("a", None, "a"),
        ("ab", None, "a and b"),
        ("abc", None, "a, b and c"),
        ("abc", 3, "a, b and c"),
        ("abcd", 3, "a, b, c and 1 more"),
        ("abcd", 1, "a and 3 more"),
    ],
)
def test_words_are_listed_as_in_a_sentence(words: str, most: int | None, expected: str):
    assert in_a_sentence(words, most) == expected


def test_a_full_disk_is_told_plainly():
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    told = pytest.raises(StorageError, match=r"/dev/full: No space left on device\. Free some disk space\.")
    with open(full, "wb", buffering=0) as file, told, as_storage_error(full):
        file.write(b"x")


def test_where_nobody_may_write_another_folder_is_advised(tmp_path: Path):
    advice = r"Is a directory\. Choose a folder that you may write to\.$"
    with pytest.raises(StorageError, match=advice), as_storage_error(tmp_path):
        tmp_path.write_bytes(b"x")


def test_a_write_that_fails_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.json"
    write_whole(path, b"old")

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StorageError, match=r"Cannot write to .*a\.json: No space left on device"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_folder_that_fails_half_way_never_gets_its_name(tmp_path: Path):
    def fill_half() -> None:
        with whole_folder(tmp_path / "ids") as partial:
            (partial / "one").write_text("1")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        fill_half()
    assert os.listdir(tmp_path) == []


def test_where_another_process_was_quicker_its_folder_stays(tmp_path: Path):
    with whole_folder(tmp_path / "ids") as mine:
        (mine / "who").write_text("me")
        with whole_folder(tmp_path / "ids") as theirs:
            (theirs / "who").write_text("they")
    assert (tmp_path / "ids" / "who").read_text() == "they"
    assert os.listdir(tmp_path) == ["ids"]


def replace_folder(path: Path) -> None:
    with whole_folder(path, overwrite=True) as partial:
        (partial / "which").write_text("new")


def old_folder(room: Path) -> Path:
    (room / "base").mkdir()
    (room / "base" / "which").write_text("old")
    return room / "base"


def failing_rename(call: int, error: BaseException) -> Callable[[Path, Path], Path]:
    """A `Path.rename` that fails at one of its calls."""
    rename, calls = Path.rename, list[Path]()

    def renamed(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) == call:
            raise error
        return rename(self, target)

    return renamed


def test_a_folder_is_replaced(tmp_path: Path):
    path = old_folder(tmp_path)
    replace_folder(path)
    assert (path / "which").read_text() == "new"
    assert os.listdir(tmp_path) == ["base"]


@pytest.mark.parametrize("call", [1, 2])
def test_a_folder_that_cannot_be_replaced_stays_and_the_failure_is_told(
    call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = old_folder(tmp_path)
    monkeypatch.setattr(Path, "rename", failing_rename(call, PermissionError(13, "Permission denied")))
    with pytest.raises(StorageError, match="Permission denied"):
        replace_folder(path)
    assert (path / "which").read_text() == "old"
    assert os.listdir(tmp_path) == ["base"]


def test_no_clean_up_takes_a_folder_that_was_being_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A kill between the two renames leaves the old folder under another name."""
    path = old_folder(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", failing_rename(2, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            replace_folder(path)
    remove_unfinished(tmp_path)
    (kept,) = tmp_path.iterdir()
    assert (kept / "which").read_text() == "old"


def test_a_folder_below_a_file_is_told_plainly(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Cannot write to"):
        make_folder(tmp_path / "file" / "folder")


def write_into(path: Path, *, meanwhile: Callable[[], object]) -> None:
    with new_file(path) as file:
        file.write("the first text")
        meanwhile()


def test_a_file_that_appears_meanwhile_stays_as_it_is(tmp_path: Path):
    path = tmp_path / "texts.txt"
    with pytest.raises(StorageError, match="already exists"):
        write_into(path, meanwhile=lambda: path.write_text("theirs"))
    assert path.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


def interrupt() -> None:
    raise KeyboardInterrupt


def fail() -> None:
    raise ValueError("broken")


def test_what_was_written_before_ctrl_c_is_there_and_nothing_after_a_fault(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        write_into(tmp_path / "texts.txt", meanwhile=interrupt)
    assert (tmp_path / "texts.txt").read_text() == "the first text"
    with pytest.raises(ValueError, match="broken"):
        write_into(tmp_path / "none.txt", meanwhile=fail)
    assert len(list(tmp_path.iterdir())) == 1
