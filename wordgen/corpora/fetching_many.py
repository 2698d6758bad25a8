"""Fetching all files of a text: one by itself, several side by side over a few connections.

What is told is told by the thread that asked for them, as if they were one file.
"""

import queue
import threading
import time

from wordgen.corpora.catalogue import CatalogueEntry, Download
from wordgen.corpora.fetching import Fetching, fetch, is_here, part_of, size_of
from wordgen.errors import CorpusError

_CONNECTIONS = 8
_SECONDS_TO_STOP = 2


def fetch_all(entry: CatalogueEntry, tell: Fetching | None = None) -> None:
    """Make sure that all files of an entry that can be fetched are here, whole; several come side by side."""
    tell = tell or (lambda file, done, total: None)
    missing = [each for each in entry.downloads if not is_here(each, entry.path_of(each.file))]
    if len(entry.downloads) > 1 and missing:
        _SideBySide(entry, missing, tell).run()
    elif missing:
        fetch(missing[0], entry.path_of(missing[0].file), tell)


class _StoppedError(Exception):
    """What ends a file that is on its way once another cannot be had, or Ctrl-C was pressed."""


class _SideBySide:
    """Several files on their way."""

    def __init__(self, entry: CatalogueEntry, missing: list[Download], tell: Fetching) -> None:
        self._entry, self._tell = entry, tell
        self._here = {each.file: each.bytes for each in entry.downloads}
        self._here.update((each.file, size_of(part_of(entry.path_of(each.file)))) for each in missing)
        self._missing = iter(missing)
        self._heard: queue.SimpleQueue[tuple[str, int] | Exception | None] = queue.SimpleQueue()
        """How many bytes of a file are here, what went wrong, or None for a connection that has nothing left to do."""
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def run(self) -> None:
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(_CONNECTIONS)]
        for thread in threads:
            thread.start()
        try:
            self._listen(len(threads))
        finally:
            self._stop.set()
            limit = time.monotonic() + _SECONDS_TO_STOP
            for thread in threads:  # one whose server is silent is left to itself
                thread.join(max(0, limit - time.monotonic()))

    def _listen(self, at_work: int) -> None:
        total = sum(each.bytes for each in self._entry.downloads)
        self._tell(self._entry.name, min(sum(self._here.values()), total - 1), total)
        while at_work:
            heard = self._heard.get()
            if isinstance(heard, Exception):
                raise self._with_whatis_here(heard)
            if heard is None:
                at_work -= 1
                continue
            self._here[heard[0]] = heard[1]
            done = sum(self._here.values())
            if done < total:
                self._tell(self._entry.name, done, total)
        self._tell(self._entry.name, total, total)

    def _work(self) -> None:
        """Fetch one file after another, on one of the connections."""
        try:
            while (download := self._next()) is not None:
                fetch(download, self._entry.path_of(download.file), self._come)
        except _StoppedError:
            pass
        except Exception as error:
            self._heard.put(error)
        self._heard.put(None)

    def _next(self) -> Download | None:
        with self._lock:
            return None if self._stop.is_set() else next(self._missing, None)

    def _come(self, file: str, done: int, total: int) -> None:
        if self._stop.is_set():
            raise _StoppedError
        self._heard.put((file, done))

    def _with_whatis_here(self, error: Exception) -> Exception:
        if not isinstance(error, CorpusError):
            return error
        entry = self._entry
        here = sum(entry.path_of(each.file).exists() for each in entry.downloads)
        return CorpusError(f"{error} Of the {len(entry.downloads):,} files of {entry.name} {here:,} are here already.")
