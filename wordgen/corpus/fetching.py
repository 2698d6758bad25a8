"""Download texts on first use: resume interrupted downloads, check them, and never leave an incomplete text.

A download is written to NAME.part, which is never read as a text. It is renamed to NAME once its checksum is the one
in the catalogue. So after any interruption, the same command continues the download.
"""

import ipaddress
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from wordgen.corpus.catalogue import CatalogueEntry, Download
from wordgen.errors import CorpusError, reason_of
from wordgen.files import as_storage_error, file_checksum, make_folder

if TYPE_CHECKING:
    from requests import Response

OnDownloadProgress = Callable[[str, int, int], None]
"""Receives the name of a file, the number of its bytes downloaded so far, and its size in bytes.

If an entry has several files, it receives the name of the entry and the bytes of all files together.
"""

SECONDS_WITHOUT_BYTES = 30
"""A download fails if the server sends nothing for this time."""
SECONDS_TO_BE_SLOW = 60
MIN_BYTES_A_SECOND = 1000
"""A download fails if it is slower than this for `SECONDS_TO_BE_SLOW`, because it might never end."""
_MAX_REDIRECTS = 10
_SECONDS_BETWEEN_REPORTS = 0.2
_BLOCK = 1 << 14
PART = ".part"


def fetch(download: Download, path: Path, on_progress: OnDownloadProgress) -> None:
    """Download a file to `path`, unless it is complete already. If several processes need it, one downloads it for all.

    Raise CorpusError if the download fails, or if another file is at `path`.
    """
    if is_downloaded(download, path):
        return
    make_folder(path.parent)
    with _locked(download, path, on_progress):
        if not is_downloaded(download, path):  # another process may have been quicker
            _Transfer(download, path, on_progress).run()
    on_progress(download.file, download.bytes, download.bytes)


def part_path(path: Path) -> Path:
    """Return the path of the incomplete download of a file."""
    return path.with_name(path.name + PART)


def is_downloaded(download: Download, path: Path) -> bool:
    """Return whether the file exists at `path`, downloaded or put there by hand.

    Raise CorpusError if a file with another checksum is at `path`. Only the user may remove that file.
    """
    if not os.path.lexists(path):
        return False
    try:
        found = file_checksum(path)
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {reason_of(error)}.") from error
    if found != download.sha256:
        raise CorpusError(
            f"{path} is not the file of the catalogue (its SHA-256 begins with {found[:12]}, not with "
            f"{download.sha256[:12]}): move it away, and run the same command again to download the right file."
        )
    return True


def _locked(download: Download, path: Path, on_progress: OnDownloadProgress) -> AbstractContextManager[object]:
    """Return the lock of a file, acquired, so that only one process at a time downloads it.

    While this process waits for the lock, it reports the progress of the other one. If a process is killed, the
    operating system releases its lock.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(f".{path.name}.lock"))
    while True:
        with as_storage_error(path), suppress(Timeout):
            return lock.acquire(timeout=_SECONDS_BETWEEN_REPORTS)
        on_progress(download.file, size_of(part_path(path)), download.bytes)


class _Transfer:
    """The download of one file."""

    def __init__(self, download: Download, path: Path, on_progress: OnDownloadProgress) -> None:
        self._download, self._path, self._on_progress = download, path, on_progress
        self._part = part_path(path)
        self._host = urlsplit(download.address).hostname or ""

    def run(self) -> None:
        resumed = 0 < size_of(self._part) <= self._download.bytes
        self._complete()
        if resumed and not self._has_right_checksum():  # the kept bytes may be the beginning of another file
            self._delete_part()
            self._complete()
        if not self._has_right_checksum():
            self._delete_part()
            raise self._error(
                f"{self._host} sends a file that is not the one of the catalogue (its SHA-256 differs), so nothing is "
                "kept"
            )
        with as_storage_error(self._path):
            os.replace(self._part, self._path)

    def _complete(self) -> None:
        """Download the missing bytes."""
        kept = size_of(self._part)
        if kept > self._download.bytes:
            self._delete_part()
            kept = 0
        if kept == self._download.bytes:
            return
        self._on_progress(self._download.file, kept, self._download.bytes)
        with self._network_errors():
            response = self._request(kept)
            if kept and _has_wrong_range(response, kept):
                response.close()
                response = self._request(0)
            with response:
                self._save_body(response, kept if response.status_code == 206 else 0)

    def _request(self, kept: int) -> "Response":
        import requests.exceptions

        # Ask for an uncompressed response, so that positions in the file and in the response are the same.
        headers = {"User-Agent": "wordgen", "Accept-Encoding": "identity"}
        if kept:
            headers["Range"] = f"bytes={kept}-"
        address = self._download.address
        for _ in range(_MAX_REDIRECTS):
            response = self._send_request(address, headers)
            if not response.is_redirect:
                return response
            response.close()
            address = self._redirected(address, response.headers["Location"])
        raise requests.exceptions.TooManyRedirects

    def _send_request(self, address: str, headers: dict[str, str]) -> "Response":
        """Send a request and return the response after its header has arrived; the body is not read yet.

        The request runs in a thread, because a server can send its header one byte at a time without end. Then the
        thread is abandoned after `SECONDS_TO_BE_SLOW`, and CorpusError is raised.
        """
        import requests

        results: list[Response | Exception] = []

        def send() -> None:
            try:
                wait = SECONDS_WITHOUT_BYTES
                results.append(requests.get(address, headers=headers, stream=True, timeout=wait, allow_redirects=False))
            except Exception as error:
                results.append(error)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        thread.join(SECONDS_TO_BE_SLOW)
        if not results:
            raise self._too_slow()
        if isinstance(results[0], Exception):
            raise results[0]
        return results[0]

    def _too_slow(self) -> CorpusError:
        return self._error(f"{self._host} sends less than {MIN_BYTES_A_SECOND:,} bytes a second")

    def _redirected(self, address: str, location: str) -> str:
        """Return the address that a redirect leads to.

        Raise CorpusError if it is not a web address, or if it leads from outside to this machine or its network.
        """
        try:
            target = urljoin(address, location)
            host, scheme = urlsplit(target).hostname, urlsplit(target).scheme
        except ValueError:
            target, host, scheme = "", None, ""
        if not host or scheme not in ("http", "https"):
            raise self._error(f"{self._host} redirects to an invalid address")
        if _is_internal(host) and not _is_internal(urlsplit(address).hostname or ""):
            raise self._error(f"{self._host} redirects to {host}, which is an address of this machine or its network")
        return target

    def _save_body(self, response: "Response", kept: int) -> None:
        if response.status_code not in (200, 206):
            raise self._error(_status_in_words(response.status_code, self._host))
        content_length = response.headers.get("Content-Length", "")
        if content_length.isdecimal() and kept + int(content_length) != self._download.bytes:
            raise self._wrong_length(f"{kept + int(content_length):,} bytes")
        with as_storage_error(self._path):
            file = self._part.open("ab" if kept else "wb", buffering=0)
        began, before = time.monotonic(), kept
        with file:
            while block := response.raw.read1(_BLOCK):  # bytes as they arrive, not only full blocks
                kept += len(block)
                if time.monotonic() - began > SECONDS_TO_BE_SLOW:
                    if kept - before < SECONDS_TO_BE_SLOW * MIN_BYTES_A_SECOND:
                        raise self._too_slow()
                    began, before = time.monotonic(), kept
                if kept > self._download.bytes:
                    self._delete_part()
                    raise self._wrong_length(f"{kept:,} bytes or more")
                with as_storage_error(self._path):
                    _write(file, block)
                if kept < self._download.bytes:  # completion is reported only after the checksum is verified
                    self._on_progress(self._download.file, kept, self._download.bytes)
            with as_storage_error(self._path):
                os.fsync(file.fileno())
        if kept < self._download.bytes:
            raise self._error("the connection was interrupted")

    def _has_right_checksum(self) -> bool:
        with as_storage_error(self._path):
            return file_checksum(self._part) == self._download.sha256

    def _delete_part(self) -> None:
        with as_storage_error(self._path):
            self._part.unlink(missing_ok=True)

    @contextmanager
    def _network_errors(self) -> Generator[None]:
        from requests.exceptions import RequestException
        from urllib3.exceptions import ProtocolError, ReadTimeoutError

        try:
            yield
        except (RequestException, ProtocolError, ReadTimeoutError, ValueError) as error:
            raise self._error(self._reason(error)) from error

    def _reason(self, error: Exception) -> str:
        from requests import exceptions
        from urllib3.exceptions import ProtocolError, ReadTimeoutError

        match error:
            case exceptions.SSLError():
                return f"the certificate of {self._host} is not valid"
            case exceptions.TooManyRedirects():
                return f"{self._host} redirects too often"
            case exceptions.ConnectTimeout():
                return f"{self._host} does not answer"
            case ProtocolError() | exceptions.ChunkedEncodingError():
                return "the connection was interrupted"
            case _ if any(isinstance(each, ReadTimeoutError | exceptions.Timeout) for each in (error, *error.args)):
                return f"{self._host} has sent nothing for {SECONDS_WITHOUT_BYTES:g} seconds"
            case exceptions.ConnectionError():
                return f"there is no connection to {self._host}"
            case _:
                return f"{self._host} redirects to an invalid address"

    def _wrong_length(self, length: str) -> CorpusError:
        return self._error(
            f"{self._host} sends a file that is not the one of the catalogue ({length}, not {self._download.bytes:,})"
        )

    def _error(self, why: str) -> CorpusError:
        """Return the error for a failed download: it says why, what is kept, and how else to get the file."""
        kept = size_of(self._part)
        again = (
            f"{kept:,} of {self._download.bytes:,} bytes are kept, and the same command continues from there"
            if kept
            else "Try it again later"
        )
        return CorpusError(
            f"{self._download.file} cannot be downloaded: {why}. {again}. Or download {self._download.address} "
            f"yourself and save it as {self._path}."
        )


def _is_internal(host: str) -> bool:
    """Return whether a host is this machine, or one that only machines in its network can reach."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False  # the host cannot be reached at all
    return any(not ipaddress.ip_address(str(each[4][0]).partition("%")[0]).is_global for each in found)


def _has_wrong_range(response: "Response", kept: int) -> bool:
    """Return whether the server answers with neither the bytes after the `kept` ones nor the whole file."""
    if response.status_code == 206:
        return response.headers.get("Content-Range", "").partition("-")[0] != f"bytes {kept}"
    return response.status_code == 416


def _write(file: FileIO, block: bytes) -> None:
    """Write the whole block without a buffer, so that no downloaded bytes are lost if the process ends."""
    while block:
        block = block[file.write(block) :]


def _status_in_words(status: int, host: str) -> str:
    match status:
        case 404 | 410:
            return f"{host} has no such file ({status})"
        case 401 | 403 | 407 | 451:
            return f"{host} does not allow the download ({status})"
        case 429:
            return f"{host} received too many requests ({status})"
        case _ if status >= 500:
            return f"{host} has an internal error ({status})"
        case _:
            return f"{host} answers {status}"


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


_CONNECTIONS = 8
_SECONDS_TO_STOP = 2


def fetch_all(entry: CatalogueEntry, on_progress: OnDownloadProgress | None = None) -> None:
    """Download all missing files of an entry, up to eight at the same time. Raise CorpusError if a download fails."""
    on_progress = on_progress or (lambda file, done, total: None)
    missing = [each for each in entry.downloads if not is_downloaded(each, entry.path_of(each.file))]
    if len(entry.downloads) > 1 and missing:
        _ParallelDownloads(entry, missing, on_progress).run()
    elif missing:
        fetch(missing[0], entry.path_of(missing[0].file), on_progress)


class _StoppedError(Exception):
    """Ends a download after another one has failed, or after Ctrl-C."""


class _ParallelDownloads:
    """Downloads several files at the same time."""

    def __init__(self, entry: CatalogueEntry, missing: list[Download], on_progress: OnDownloadProgress) -> None:
        self._entry, self._on_progress = entry, on_progress
        self._bytes_by_file = {each.file: each.bytes for each in entry.downloads}
        self._bytes_by_file.update((each.file, size_of(part_path(entry.path_of(each.file)))) for each in missing)
        self._missing: queue.SimpleQueue[Download] = queue.SimpleQueue()
        for each in missing:
            self._missing.put(each)
        self._messages: queue.SimpleQueue[tuple[str, int] | Exception | None] = queue.SimpleQueue()
        """Messages of the threads: a file and its bytes downloaded so far, an error, or None when a thread ends."""
        self._stop = threading.Event()

    def run(self) -> None:
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(_CONNECTIONS)]
        for thread in threads:
            thread.start()
        try:
            self._listen(len(threads))
        finally:
            self._stop.set()
            limit = time.monotonic() + _SECONDS_TO_STOP
            for thread in threads:  # a thread whose server sends nothing is abandoned
                thread.join(max(0, limit - time.monotonic()))

    def _listen(self, running_threads: int) -> None:
        total = sum(each.bytes for each in self._entry.downloads)
        self._on_progress(self._entry.name, min(sum(self._bytes_by_file.values()), total - 1), total)
        while running_threads:
            message = self._messages.get()
            if isinstance(message, Exception):
                raise self._with_number_of_files(message)
            if message is None:
                running_threads -= 1
                continue
            self._bytes_by_file[message[0]] = message[1]
            done = sum(self._bytes_by_file.values())
            if done < total:
                self._on_progress(self._entry.name, done, total)
        self._on_progress(self._entry.name, total, total)

    def _work(self) -> None:
        """Download one file after another. Each thread runs this."""
        try:
            while not self._stop.is_set():
                download = self._missing.get_nowait()
                fetch(download, self._entry.path_of(download.file), self._report)
        except (_StoppedError, queue.Empty):
            pass
        except Exception as error:
            self._messages.put(error)
        self._messages.put(None)

    def _report(self, file: str, done: int, total: int) -> None:
        if self._stop.is_set():
            raise _StoppedError
        self._messages.put((file, done))

    def _with_number_of_files(self, error: Exception) -> Exception:
        if not isinstance(error, CorpusError):
            return error
        entry = self._entry
        downloaded, total = sum(entry.path_of(each.file).exists() for each in entry.downloads), len(entry.downloads)
        return CorpusError(f"{error} {downloaded:,} of the {total:,} files of {entry.name} are already here.")
