"""A queue for the work that requests cause.

A limited number of pieces of work run at once, each in a thread. A limited number wait for a thread. All others are
refused at once.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

from wordgen.web.limits import SECONDS_TO_RETRY_AFTER, RefusedError, ServingSettings

Event = dict[str, Any]
Check = Callable[[], None]
"""A function that work calls between two tokens. It raises an exception when the work must stop."""
Work = Callable[[Check], Iterator[Event]]


class TimeUpError(RefusedError):
    """Raised when work has run longer than the allowed number of seconds."""

    def __init__(self, seconds: float) -> None:
        sentence = f"The request took longer than the limit of {seconds:g} seconds: ask for less."
        super().__init__(503, sentence, SECONDS_TO_RETRY_AFTER)


class _StoppedError(Exception):
    """Raised inside the work when its result is no longer needed."""


class Job:
    """One piece of work. It runs in a thread and passes its events to the coroutine that waits for them.

    Use it in a `with` block: the end of the block stops the work, because nobody will receive its events.
    """

    def __init__(self, seconds: float, closing: threading.Event) -> None:
        self._seconds = seconds
        self._closing = closing
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event | Exception | None] = asyncio.Queue()
        self._begun = asyncio.Event()
        self._stopped = threading.Event()
        self._until = 0.0
        self.future: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stopped.set()
        if self.future is not None:
            self.future.cancel()

    async def next_event(self) -> Event | None:
        """Return the next event of the work, or None after the last event.

        Raises the exception that the work has raised. Raises RefusedError (503) if the work has waited too long for a
        thread.
        """
        if not self._begun.is_set():
            await self._wait_for_a_thread()
        event = await self._events.get()
        if isinstance(event, Exception):
            raise event
        return event

    async def _wait_for_a_thread(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._begun.wait()
        except TimeoutError:
            raise RefusedError(
                503,
                f"The server was still busy with other requests after {self._seconds:g} seconds: try again later.",
                SECONDS_TO_RETRY_AFTER,
            ) from None

    def run(self, work: Work) -> None:
        """Run the work and pass on its events. Called in a thread of the queue."""
        self._until = time.monotonic() + self._seconds
        self._in_loop(self._begun.set)
        try:
            for event in work(self._check):
                self._send(event)
        except _StoppedError:
            pass
        except Exception as error:
            self._send(error)

    def ended(self, future: "Future[None]") -> None:
        """Note that there will be no more events: the work has ended, or was cancelled before it began."""
        if future.cancelled():
            self._in_loop(self._begun.set)
        self._send(None)

    def _check(self) -> None:
        if self._stopped.is_set() or self._closing.is_set():
            raise _StoppedError
        if time.monotonic() > self._until:
            raise TimeUpError(self._seconds)

    def _send(self, event: Event | Exception | None) -> None:
        self._in_loop(lambda: self._events.put_nowait(event))

    def _in_loop(self, action: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(action)


class WorkQueue:
    """Runs work in threads, and refuses it if too much work is already waiting."""

    def __init__(self, settings: ServingSettings) -> None:
        self._seconds = settings.time_out
        self._threads = ThreadPoolExecutor(settings.at_once, thread_name_prefix="job")
        self._places = threading.Semaphore(settings.at_once + settings.waiting)
        self._closing = threading.Event()

    def submit(self, work: Work) -> Job:
        """Add work to the queue and return its job. The work begins as soon as a thread is free.

        Raises RefusedError (503) if too much work is waiting, or if the queue is closed.
        """
        if self._closing.is_set():
            raise RefusedError(503, "The playground is shutting down.")
        if not self._places.acquire(blocking=False):
            raise RefusedError(
                503,
                f"Too many requests are already waiting: try again in {SECONDS_TO_RETRY_AFTER} seconds.",
                SECONDS_TO_RETRY_AFTER,
            )
        job = Job(self._seconds, self._closing)
        job.future = self._threads.submit(job.run, work)
        job.future.add_done_callback(lambda future: self._places.release())
        job.future.add_done_callback(job.ended)
        return job

    def close(self) -> None:
        """Make all running work stop before its next token, and refuse all other work."""
        self._closing.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
