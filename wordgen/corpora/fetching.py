"""Fetching a text on first use: resumed where it broke off, checked, and whole or not there at all.

While a file comes it lies in NAME.part, which no one takes for the text; it takes its own name once its bytes are
those that the catalogue names. So whatever happens on the way, the same command goes on from there.
"""

import ipaddress
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from wordgen.corpora.catalogue import Download
from wordgen.errors import CorpusError
from wordgen.files import file_checksum, make_folder, told_plainly

if TYPE_CHECKING:
    from filelock import FileLock
    from requests import Response

Fetching = Callable[[str, int, int], None]
"""Told the name of a file, how many of its bytes are here, and how many there will be."""

SECONDS_WITHOUT_BYTES = 30
"""A server that sends nothing for so long has stalled."""
SECONDS_TO_BE_SLOW = 60
FEWEST_BYTES_A_SECOND = 1000
"""A server that gives fewer for so long would never come to an end."""
_MOST_REDIRECTS = 10
_SECONDS_BETWEEN_LOOKS = 0.2
_BLOCK = 1 << 14
PART = ".part"


def fetch(download: Download, path: Path, tell: Fetching) -> None:
    """Make sure that a file lies at `path`, whole; of several processes that want it, one fetches it for all."""
    if is_here(download, path):
        return
    make_folder(path.parent)
    with _alone(download, path, tell):
        if not is_here(download, path):  # another process may have been quicker
            _Transfer(download, path, tell).run()
    tell(download.file, download.bytes, download.bytes)


def part_of(path: Path) -> Path:
    """Where the bytes of a file are kept that have come so far."""
    return path.with_name(path.name + PART)


def is_here(download: Download, path: Path) -> bool:
    """Whether a file is there, fetched or put there by hand; one that is there and another is left to its owner."""
    if not os.path.lexists(path):
        return False
    try:
        found = file_checksum(path)
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}.") from error
    if found != download.sha256:
        raise CorpusError(
            f"{path} is not the file that the catalogue names (its SHA-256 begins with {found[:12]}, not with "
            f"{download.sha256[:12]}): move it away, and the same command fetches the right one."
        )
    return True


@contextmanager
def _alone(download: Download, path: Path, tell: Fetching) -> Iterator[None]:
    """Only one process at a time; the others see how far it is. A killed one does not keep the lock."""
    from filelock import FileLock

    lock = FileLock(path.with_name(f".{path.name}.lock"))
    while True:
        with told_plainly(path):
            if _taken(lock):
                break
        tell(download.file, size_of(part_of(path)), download.bytes)
    try:
        yield
    finally:
        lock.release()


def _taken(lock: "FileLock") -> bool:
    """Whether nobody else has it, in a while."""
    from filelock import Timeout

    try:
        lock.acquire(timeout=_SECONDS_BETWEEN_LOOKS)
    except Timeout:
        return False
    return True


class _Transfer:
    """The way of one file from a server into its place."""

    def __init__(self, download: Download, path: Path, tell: Fetching) -> None:
        self._download, self._path, self._tell = download, path, tell
        self._part = part_of(path)
        self._host = urlsplit(download.address).hostname

    def run(self) -> None:
        goes_on = 0 < size_of(self._part) <= self._download.bytes
        self._complete()
        if goes_on and not self._is_right():  # what was kept may have been the beginning of something else
            self._forget()
            self._complete()
        if not self._is_right():
            self._forget()
            raise self._refused(
                f"{self._host} gives another file than the catalogue names (its SHA-256 differs), so nothing is kept"
            )
        with told_plainly(self._path):
            os.replace(self._part, self._path)

    def _complete(self) -> None:
        """Get the bytes that are missing."""
        kept = size_of(self._part)
        if kept > self._download.bytes:
            self._forget()
            kept = 0
        if kept == self._download.bytes:
            return
        self._tell(self._download.file, kept, self._download.bytes)
        with self._told_of_the_network():
            response = self._ask(kept)
            if kept and _begins_elsewhere(response, kept):
                response.close()
                response = self._ask(0)
            with response:
                self._take(response, kept if response.status_code == 206 else 0)

    def _ask(self, kept: int) -> "Response":
        import requests.exceptions

        # As it is, not compressed on the way: places in the file and places in the answer must be the same.
        headers = {"User-Agent": "wordgen", "Accept-Encoding": "identity"}
        if kept:
            headers["Range"] = f"bytes={kept}-"
        address = self._download.address
        for _ in range(_MOST_REDIRECTS):
            response = self._answer(address, headers)
            if not response.is_redirect:
                return response
            response.close()
            address = self._led_to(address, response.headers["Location"])
        raise requests.exceptions.TooManyRedirects

    def _answer(self, address: str, headers: dict[str, str]) -> "Response":
        """The head of an answer, in a thread that is left to itself where it comes letter by letter without an end."""
        import requests

        came: list[Response | Exception] = []

        def ask() -> None:
            try:
                wait = SECONDS_WITHOUT_BYTES
                came.append(requests.get(address, headers=headers, stream=True, timeout=wait, allow_redirects=False))
            except Exception as error:
                came.append(error)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(SECONDS_TO_BE_SLOW)
        if not came:
            raise self._too_slow()
        if isinstance(came[0], Exception):
            raise came[0]
        return came[0]

    def _too_slow(self) -> CorpusError:
        return self._refused(f"{self._host} sends less than {FEWEST_BYTES_A_SECOND:,} bytes a second")

    def _led_to(self, address: str, location: str) -> str:
        """Where a redirect leads; not to what is no address, nor from outside to this machine or network."""
        try:
            led_to = urljoin(address, location)
            host, scheme = urlsplit(led_to).hostname, urlsplit(led_to).scheme
        except ValueError:
            led_to, host, scheme = "", None, ""
        if not host or scheme not in ("http", "https"):
            raise self._refused(f"{self._host} leads to no address that can be fetched")
        if _is_internal(host) and not _is_internal(urlsplit(address).hostname or ""):
            raise self._refused(f"{self._host} leads to {host}, which is an address of this machine or its network")
        return led_to

    def _take(self, response: "Response", kept: int) -> None:
        if response.status_code not in (200, 206):
            raise self._refused(_meaning(response.status_code, f"{self._host}"))
        coming = response.headers.get("Content-Length", "")
        if coming.isdecimal() and kept + int(coming) != self._download.bytes:
            raise self._wrong_length(f"{kept + int(coming):,} bytes")
        with told_plainly(self._path):
            file = self._part.open("ab" if kept else "wb", buffering=0)
        began, before = time.monotonic(), kept
        with file:
            while block := response.raw.read1(_BLOCK):  # what has come, and not only whole blocks
                kept += len(block)
                if time.monotonic() - began > SECONDS_TO_BE_SLOW:
                    if kept - before < SECONDS_TO_BE_SLOW * FEWEST_BYTES_A_SECOND:
                        raise self._too_slow()
                    began, before = time.monotonic(), kept
                if kept > self._download.bytes:
                    self._forget()
                    raise self._wrong_length(f"{kept:,} bytes or more")
                with told_plainly(self._path):
                    _write(file, block)
                if kept < self._download.bytes:  # that all is here is told when it is known to be right
                    self._tell(self._download.file, kept, self._download.bytes)
            with told_plainly(self._path):
                os.fsync(file.fileno())
        if kept < self._download.bytes:
            raise self._refused("the connection broke off")

    def _is_right(self) -> bool:
        with told_plainly(self._path):
            return file_checksum(self._part) == self._download.sha256

    def _forget(self) -> None:
        with told_plainly(self._path):
            self._part.unlink(missing_ok=True)

    @contextmanager
    def _told_of_the_network(self) -> Iterator[None]:
        import requests
        from urllib3.exceptions import ProtocolError, ReadTimeoutError

        try:
            yield
        except requests.exceptions.SSLError as error:
            raise self._refused(f"{self._host} does not prove that it is {self._host}") from error
        except requests.exceptions.TooManyRedirects as error:
            raise self._refused(f"{self._host} sends it round in circles") from error
        except requests.exceptions.ConnectTimeout as error:
            raise self._refused(f"{self._host} does not answer") from error
        except ReadTimeoutError as error:
            raise self._refused(f"{self._host} has sent nothing for {SECONDS_WITHOUT_BYTES:g} seconds") from error
        except (ProtocolError, requests.exceptions.ChunkedEncodingError) as error:
            raise self._refused("the connection broke off") from error
        except (requests.exceptions.Timeout, requests.exceptions.ConnectionError) as error:
            timed_out = isinstance(error, requests.exceptions.Timeout)
            stalled = timed_out or any(isinstance(each, ReadTimeoutError) for each in error.args)
            nothing = f"{self._host} has sent nothing for {SECONDS_WITHOUT_BYTES:g} seconds"
            raise self._refused(nothing if stalled else f"there is no connection to {self._host}") from error
        except (requests.exceptions.RequestException, ValueError) as error:
            raise self._refused(f"{self._host} leads to no address that can be fetched") from error

    def _wrong_length(self, length: str) -> CorpusError:
        return self._refused(
            f"{self._host} gives another file than the catalogue names ({length}, not {self._download.bytes:,})"
        )

    def _refused(self, why: str) -> CorpusError:
        """The sentence for what cannot be fetched: why, what is kept, and how else to come by it."""
        kept = size_of(self._part)
        again = (
            f"Of {self._download.bytes:,} bytes {kept:,} are kept, and the same command goes on from there"
            if kept
            else "Try it again later"
        )
        return CorpusError(
            f"{self._download.file} cannot be fetched: {why}. {again}; or download {self._download.address} by hand "
            f"and put it to {self._path}, where it is checked and used."
        )


def _is_internal(host: str) -> bool:
    """Whether a host is this machine, or one that only machines of its network can reach."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False  # which cannot be reached at all
    return any(not ipaddress.ip_address(str(each[4][0]).partition("%")[0]).is_global for each in found)


def _begins_elsewhere(response: "Response", kept: int) -> bool:
    """Whether a server does not give what comes after the bytes that are kept; if it gives all, that is as good."""
    if response.status_code == 206:
        return response.headers.get("Content-Range", "").partition("-")[0] != f"bytes {kept}"
    return response.status_code == 416


def _write(file: FileIO, block: bytes) -> None:
    """All of it, at once and past any buffer, so that what has come is kept whatever happens next."""
    while block:
        block = block[file.write(block) :]


def _meaning(status: int, host: str) -> str:
    match status:
        case 404 | 410:
            return f"{host} has no such file ({status})"
        case 401 | 403 | 407 | 451:
            return f"{host} does not give it to everybody ({status})"
        case 429:
            return f"{host} has been asked too often ({status})"
        case _ if status >= 500:
            return f"{host} has a fault of its own ({status})"
        case _:
            return f"{host} answers {status}"


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
