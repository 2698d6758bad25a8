import os
from collections.abc import Callable
from pathlib import Path

import pytest

from wordgen.errors import StorageError, in_a_sentence
from wordgen.files import (
    as_storage_error,
    atomic_folder,
    make_folder,
    new_file,
    read_regular_file,
    remove_unfinished,
    write_atomically,
)


def test_write_whole_replaces_file(tmp_path: Path):
    path = tmp_path / "a.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
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
def test_in_a_sentence_joins_words(words: str, most: int | None, expected: str):
    assert in_a_sentence(words, most) == expected


def test_full_disk_gives_error_with_advice():
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    error = pytest.raises(StorageError, match=r"/dev/full: No space left on device\. Free some disk space\.")
    with open(full, "wb", buffering=0) as file, error, as_storage_error(full):
        file.write(b"x")


def test_unwritable_path_gives_error_with_advice(tmp_path: Path):
    advice = r"Is a directory\. Choose a folder that you may write to\.$"
    with pytest.raises(StorageError, match=advice), as_storage_error(tmp_path):
        tmp_path.write_bytes(b"x")


def test_failed_write_keeps_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.json"
    write_atomically(path, b"old")

    def fail_without_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail_without_space)
    with pytest.raises(StorageError, match=r"Cannot write to .*a\.json: No space left on device"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_unfinished_folder_never_gets_its_name(tmp_path: Path):
    def write_half() -> None:
        with atomic_folder(tmp_path / "ids") as partial:
            (partial / "one").write_text("1")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        write_half()
    assert os.listdir(tmp_path) == []


def test_folder_of_a_faster_process_stays(tmp_path: Path):
    with atomic_folder(tmp_path / "ids") as slower:
        (slower / "writer").write_text("slower")
        with atomic_folder(tmp_path / "ids") as faster:
            (faster / "writer").write_text("faster")
    assert (tmp_path / "ids" / "writer").read_text() == "faster"
    assert os.listdir(tmp_path) == ["ids"]


def replace_folder(path: Path) -> None:
    with atomic_folder(path, overwrite=True) as partial:
        (partial / "which").write_text("new")


def make_old_folder(parent: Path) -> Path:
    (parent / "base").mkdir()
    (parent / "base" / "which").write_text("old")
    return parent / "base"


def failing_rename(call: int, error: BaseException) -> Callable[[Path, Path], Path]:
    """Return a `Path.rename` that fails at one of its calls."""
    rename, calls = Path.rename, list[Path]()

    def renamed(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) == call:
            raise error
        return rename(self, target)

    return renamed


def test_whole_folder_replaces_folder(tmp_path: Path):
    path = make_old_folder(tmp_path)
    replace_folder(path)
    assert (path / "which").read_text() == "new"
    assert os.listdir(tmp_path) == ["base"]


@pytest.mark.parametrize("call", [1, 2])
def test_failed_replacement_keeps_old_folder(call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = make_old_folder(tmp_path)
    monkeypatch.setattr(Path, "rename", failing_rename(call, PermissionError(13, "Permission denied")))
    with pytest.raises(StorageError, match="Permission denied"):
        replace_folder(path)
    assert (path / "which").read_text() == "old"
    assert os.listdir(tmp_path) == ["base"]


def test_remove_unfinished_keeps_folder_being_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A kill between the two renames leaves the old folder under another name."""
    path = make_old_folder(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", failing_rename(2, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            replace_folder(path)
    remove_unfinished(tmp_path)
    (kept,) = tmp_path.iterdir()
    assert (kept / "which").read_text() == "old"


def test_folder_below_a_file_gives_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Cannot write to"):
        make_folder(tmp_path / "file" / "folder")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks into /proc")
def test_refused_folder_leaves_no_file_open(tmp_path: Path):
    with pytest.raises(IsADirectoryError):
        read_regular_file(tmp_path, 10)
    assert str(tmp_path) not in {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}


def write_into(path: Path, *, meanwhile: Callable[[], object]) -> None:
    with new_file(path) as file:
        file.write("the first text")
        meanwhile()


def test_new_file_never_overwrites_a_file_of_another_process(tmp_path: Path):
    path = tmp_path / "texts.txt"
    with pytest.raises(StorageError, match="already exists"):
        write_into(path, meanwhile=lambda: path.write_text("other"))
    assert path.read_text() == "other"
    assert list(tmp_path.iterdir()) == [path]


def interrupt() -> None:
    raise KeyboardInterrupt


def fail() -> None:
    raise ValueError("broken")


def test_new_file_is_kept_after_ctrl_c_but_not_after_error(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        write_into(tmp_path / "texts.txt", meanwhile=interrupt)
    assert (tmp_path / "texts.txt").read_text() == "the first text"
    with pytest.raises(ValueError, match="broken"):
        write_into(tmp_path / "none.txt", meanwhile=fail)
    assert len(list(tmp_path.iterdir())) == 1
