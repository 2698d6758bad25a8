"""Write files completely or not at all, read files from untrusted sources, and explain failures in one sentence."""

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import tomllib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from wordgen.errors import StorageError, reason_of

_BLOCK_BYTES = 2**24
_UNFINISHED_NAME = re.compile(r"\..+\.\w+")
_MAX_TOML_BYTES = 2**22
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def as_storage_error(path: Path) -> Generator[None]:
    """Raise a StorageError in place of an OSError in the block. The message names `path`, the reason and what to do."""
    try:
        yield
    except OSError as error:
        what_to_do = "Free some disk space" if error.errno in _NO_SPACE else "Choose a folder that you may write to"
        raise StorageError(f"Cannot write to {path}: {reason_of(error)}. {what_to_do}.") from error


def is_unfinished(path: Path) -> bool:
    """Return whether the name is one that files and folders have only while they are written."""
    return _UNFINISHED_NAME.fullmatch(path.name) is not None


def remove_unfinished(folder: Path) -> list[Path]:
    """Remove all unfinished files and folders in a folder that no other process writes in. Return their paths."""
    found = [path for path in folder.rglob(".*") if is_unfinished(path)]
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return found


def make_folder(path: Path) -> None:
    with as_storage_error(path):
        path.mkdir(parents=True, exist_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that at any moment it has either its old or its new content, and never a part of one."""
    with atomic_file(path, overwrite=True) as partial:
        partial.write_bytes(content)


def regular_file_size(path: Path, status: os.stat_result | None = None) -> int:
    """Return the size of a regular file. Raise an OSError for a pipe or a device, which may have no end."""
    status = os.stat(path) if status is None else status
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return status.st_size


def read_regular_file(path: Path, max_bytes: int) -> bytes:
    """Return the content of a file. Raise an OSError if it has more than `max_bytes` bytes or is not a regular file."""

    def open_without_waiting(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))  # else a pipe would wait for its writer

    with open(path, "rb", opener=open_without_waiting) as file:
        if regular_file_size(path, os.fstat(file.fileno())) > max_bytes:
            raise OSError(errno.EFBIG, f"it is larger than {shown_size(max_bytes)}", str(path))
        return file.read()


def read_json(path: Path, max_bytes: int) -> Any:
    """Return the content of a JSON file. Raise a ValueError if it is not valid or is nested too deeply."""
    content = read_regular_file(path, max_bytes)
    with _deep_nesting_as_value_error():
        return json.loads(content)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file written by a person: UTF-8 with or without a byte order mark, any line breaks.

    Raise a ValueError if it is not valid TOML, and an OSError if it is larger than 4 MiB.
    """
    text = read_regular_file(path, _MAX_TOML_BYTES).decode("utf-8-sig").replace("\r\n", "\n")
    with _deep_nesting_as_value_error():
        return tomllib.loads(text)


@contextmanager
def _deep_nesting_as_value_error() -> Generator[None]:
    try:
        yield
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


_CHECKSUMMED_JSON = re.compile(rb'\{"sha256": "([0-9a-f]{64})", "content": (.*)\}', re.DOTALL)


def to_checksummed_json(content: object) -> bytes:
    """Return a value as JSON together with the SHA-256 checksum of that JSON, so that any changed bit is detected."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")
    return b'{"sha256": "%s", "content": %s}' % (hashlib.sha256(text).hexdigest().encode(), text)


def from_checksummed_json(content: bytes) -> Any:
    """Return the value in the bytes of `to_checksummed_json`. Raise a ValueError if they have changed since then."""
    parts = _CHECKSUMMED_JSON.fullmatch(content)
    if parts is None or hashlib.sha256(parts[2]).hexdigest().encode() != parts[1]:
        raise ValueError("its checksum is wrong")
    with _deep_nesting_as_value_error():
        return json.loads(parts[2])


def file_checksum(path: Path, on_block: Callable[[], None] = lambda: None) -> str:
    """Return the SHA-256 checksum of a file in hexadecimal digits. Call `on_block` after every 16 MiB."""
    checksum = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            checksum.update(block)
            on_block()
    return checksum.hexdigest()


@contextmanager
def new_file(path: Path) -> Generator[TextIO]:
    """Open a new text file that gets its name at the end of the block, also if Ctrl-C ends the block.

    After any other exception the file is removed. An existing file is never overwritten: that raises a StorageError.
    """
    stopped: KeyboardInterrupt | None = None
    with atomic_file(path, overwrite=False) as partial, partial.open("w", encoding="utf-8") as file:
        try:
            yield file
        except KeyboardInterrupt as error:
            stopped = error
    if stopped is not None:
        raise stopped


@contextmanager
def atomic_file(path: Path, *, overwrite: bool) -> Generator[Path]:
    """Yield a temporary path, and move the file written to it to `path`. Only `overwrite` replaces an existing file."""
    with as_storage_error(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        partial = Path(name)
        try:
            yield partial
            with partial.open("r+b") as file:
                os.fsync(file.fileno())
            os.chmod(partial, 0o666 & ~_umask())
            if overwrite:
                os.replace(partial, path)
            else:
                _move_to_new(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def _move_to_new(partial: Path, path: Path) -> None:
    """Give a file its final name. Raise a StorageError if that name exists already."""
    try:
        os.link(partial, path)
    except OSError:
        check_new_file(path)
        partial.rename(path)  # the file system has no hard links


def check_new_file(path: Path) -> None:
    """Raise a StorageError if the path exists already, or if its folder does not exist."""
    if os.path.lexists(path):
        raise StorageError(f"{path} already exists: choose another name, or move the file away.")
    if not path.absolute().parent.is_dir():
        raise StorageError(f"There is no folder {path.parent} for {path.name}: create it first.")


@contextmanager
def atomic_folder(path: Path, *, overwrite: bool = False) -> Generator[Path]:
    """Yield a temporary folder. It gets the name `path` if the block ends without an exception.

    With `overwrite`, it replaces an existing folder of that name. Without it, a folder that another process has made in
    the meantime stays, and this one is removed: both have the same content, because the name is the fingerprint of the
    content.
    """
    make_folder(path.parent)
    with as_storage_error(path):
        partial = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        try:
            yield partial
            os.chmod(partial, 0o777 & ~_umask())
            if overwrite and path.is_dir():
                _replace_folder(path, partial)
            else:
                try:
                    partial.rename(path)
                except OSError:
                    if not path.is_dir():
                        raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _replace_folder(path: Path, new: Path) -> None:
    """Replace a folder by another. The old one comes back if the new one cannot get its name.

    Between two renames the old folder has a name that no clean-up removes, so that a process that is killed there loses
    nothing.
    """
    old = path.with_name(f"{path.name}.replaced-{new.name.rpartition('.')[2]}")
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def shown_size(size: int) -> str:
    """Return a number of bytes as text, in GB, MB, kB (powers of 1000) or bytes."""
    if size >= 1e9:
        return f"{size / 1e9:,.1f} GB"
    if size >= 1e6:
        return f"{size / 1e6:,.1f} MB"
    return f"{size / 1e3:,.0f} kB" if size >= 1e3 else f"{size} bytes"
