"""Writing files whole or not at all, reading what strangers may have written, and saying why it could not be done."""

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from wordgen.errors import StorageError

_BLOCK = 2**24
_SECONDS_BETWEEN_LOOKS = 0.2
_UNFINISHED = re.compile(r"\..+\.\w+")
_LARGEST_TABLE = 2**22
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def told_plainly(path: Path) -> Iterator[None]:
    """Turn a failed write below `path` into a sentence (no space, no permission, ...)."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        what_to_do = "Free some space there" if error.errno in _NO_SPACE else "Choose a folder you may write to"
        raise StorageError(f"Cannot write to {path}: {reason}. {what_to_do}.") from error


def is_unfinished(path: Path) -> bool:
    """Whether a file or folder has the name of one that was still being written: whoever wrote it was killed."""
    return _UNFINISHED.fullmatch(path.name) is not None


def remove_unfinished(folder: Path) -> list[Path]:
    """Remove what was still being written in a folder or below it; nobody else may be writing there."""
    found = [path for path in folder.rglob(".*") if is_unfinished(path)]
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return found


def make_folder(path: Path) -> None:
    with told_plainly(path):
        path.mkdir(parents=True, exist_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that at any moment either the old or the new content is there, whole."""
    with told_plainly(path):
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(partial, 0o666 & ~_umask())
            os.replace(partial, path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise


def seldom(look: Callable[[], None]) -> Callable[[], None]:
    """The same, but done a few times a second at most, however often it is called: what takes no time shows no bar."""
    looked = time.monotonic()

    def look_seldom() -> None:
        nonlocal looked
        if time.monotonic() - looked > _SECONDS_BETWEEN_LOOKS:
            looked = time.monotonic()
            look()

    return look_seldom


def regular_size(path: Path) -> int:
    """The size of a regular file; a pipe would be waited for, and a device has no end, so those are refused."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return status.st_size


def read_regular(path: Path, at_most: int) -> bytes:
    """The content of a regular file that is not larger than it can be expected to be."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        if status.st_size > at_most:
            raise OSError(errno.EFBIG, f"it is larger than {shown_size(at_most)}", str(path))
        return file.read()


def read_json(path: Path, at_most: int) -> Any:
    """The same as JSON; what is nested too deeply is a ValueError, as all that is no JSON is."""
    content = read_regular(path, at_most)
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_toml(path: Path) -> dict[str, Any]:
    """A table of settings, as a person may write; ValueError where it is none."""
    try:
        return tomllib.loads(read_regular(path, _LARGEST_TABLE).decode("utf-8-sig").replace("\r\n", "\n"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


_SEALED = re.compile(rb'\{"sha256": "([0-9a-f]{64})", "content": (.*)\}', re.DOTALL)


def sealed(content: Any) -> bytes:
    """A value as JSON with the checksum of its own text, so that every flipped bit is noticed."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")
    return b'{"sha256": "%s", "content": %s}' % (hashlib.sha256(text).hexdigest().encode(), text)


def unsealed(sealed: bytes) -> Any:
    """The value that `sealed` was given; ValueError where the file is not as it was written."""
    parts = _SEALED.fullmatch(sealed)
    if parts is None or hashlib.sha256(parts[2]).hexdigest().encode() != parts[1]:
        raise ValueError("its checksum is wrong")
    try:
        return json.loads(parts[2])
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def file_checksum(path: Path, look: Callable[[], None] = lambda: None) -> str:
    """`look` is called every now and then: what it raises ends the reading of a large file."""
    checksum = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            checksum.update(block)
            look()
    return checksum.hexdigest()


@contextmanager
def new_file(path: Path) -> Iterator[TextIO]:
    """A file to write that takes its name when the block has ended, well or by Ctrl-C; nothing is ever written over."""
    with told_plainly(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        partial = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                try:
                    yield file
                except KeyboardInterrupt:
                    file.flush()
                    _publish(partial, path)
                    raise
            _publish(partial, path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Where to write a file of the same name, which takes its place when the block has ended well."""
    with told_plainly(path), tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as room:
        partial = Path(room) / path.name
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        if overwrite:
            os.chmod(partial, 0o666 & ~_umask())
            os.replace(partial, path)
        else:
            _publish(partial, path)


def _publish(partial: Path, path: Path) -> None:
    """Give a file its name, unless something has that name already."""
    os.chmod(partial, 0o666 & ~_umask())
    try:
        os.link(partial, path)
    except FileExistsError:
        raise StorageError(f"{path} is there already: choose another name, or move it away.") from None
    except OSError:  # a file system without links
        if path.exists():
            raise StorageError(f"{path} is there already: choose another name, or move it away.") from None
        partial.rename(path)


@contextmanager
def whole_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A folder to fill that takes its name only when the block has ended well.

    With `overwrite` it replaces a folder of that name. Else, where another process was quicker, its folder stays and
    ours goes: both hold the same content, because the name is the content's fingerprint.
    """
    make_folder(path.parent)
    with told_plainly(path):
        partial = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        before = partial.with_name(f"{partial.name}_before")
        try:
            yield partial
            os.chmod(partial, 0o777 & ~_umask())
            if overwrite and path.is_dir():
                path.rename(before)
            partial.rename(path)
            shutil.rmtree(before, ignore_errors=True)
        except OSError:
            if not path.is_dir():
                raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def shown_size(size: int) -> str:
    """Of a file or folder, in bytes."""
    if size >= 1e9:
        return f"{size / 1e9:,.1f} GB"
    if size >= 1e6:
        return f"{size / 1e6:,.1f} MB"
    return f"{size / 1e3:,.0f} kB" if size >= 1e3 else f"{size} bytes"
