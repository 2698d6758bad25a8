"""Work takes turns: so many pieces at once, each in a thread; so many wait; and the rest is sent away at once."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from wordgen.web.limits import SECONDS_TO_RETRY_AFTER, ServingSettings
from wordgen.web.refusals import RefusedError

Event = dict[str, Any]
Check = Callable[[], None]
"""Called between two symbols: raises when the work is to stop."""
Work = Callable[[Check], Iterator[Event]]


class TimeUpError(RefusedError):
    """The work has taken as long as it may."""

    def __init__(self, seconds: float) -> None:
        sentence = f"That took longer than {seconds:g} seconds, which is the limit here: ask for less."
        super().__init__(503, sentence, SECONDS_TO_RETRY_AFTER)


class _StoppedError(Exception):
    """Nobody waits for the work any more."""


class Turn:
    """One piece of work, which tells its events from its thread to whoever waits for them.

    Left as a block, it is stopped: nobody will listen any more.
    """

    def __init__(self, seconds: float, closing: threading.Event) -> None:
        self._seconds = seconds
        self._closing = closing
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Queue[Event | Exception | None] = asyncio.Queue()
        self._begun = asyncio.Event()
        self._stopped = threading.Event()
        self._until = 0.0
        self.future: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        self._stopped.set()
        if self.future is not None:
            self.future.cancel()

    async def next_event(self) -> Event | None:
        """What the work tells next; nothing once it has told all. What it raised is raised here."""
        if not self._begun.is_set():
            await self._wait_for_the_turn()
        told = await self._told.get()
        if isinstance(told, Exception):
            raise told
        return told

    async def _wait_for_the_turn(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._begun.wait()
        except TimeoutError:
            raise RefusedError(
                503,
                f"Others were still being served after {self._seconds:g} seconds: try again in a little while.",
                SECONDS_TO_RETRY_AFTER,
            ) from None

    def do(self, work: Work) -> None:
        """In a thread of its own."""
        self._until = time.monotonic() + self._seconds
        self._in_loop(self._begun.set)
        try:
            for event in work(self._check):
                self._tell(event)
        except _StoppedError:
            pass
        except Exception as error:
            self._tell(error)

    def over(self, future: "Future[None]") -> None:
        """It is done, or was never begun."""
        if future.cancelled():
            self._in_loop(self._begun.set)
        self._tell(None)

    def _check(self) -> None:
        if self._stopped.is_set() or self._closing.is_set():
            raise _StoppedError
        if time.monotonic() > self._until:
            raise TimeUpError(self._seconds)

    def _tell(self, event: Event | Exception | None) -> None:
        self._in_loop(lambda: self._told.put_nowait(event))

    def _in_loop(self, action: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(action)


class Turns:
    """Gives out turns as long as there is room for one more to wait."""

    def __init__(self, settings: ServingSettings) -> None:
        self._seconds = settings.time_out
        self._threads = ThreadPoolExecutor(settings.at_once, thread_name_prefix="turn")
        self._places = threading.Semaphore(settings.at_once + settings.waiting)
        self._closing = threading.Event()

    def take(self, work: Work) -> Turn:
        """A turn for some work; it begins by itself, once others have ended."""
        if self._closing.is_set():
            raise RefusedError(503, "The playground is being closed.")
        if not self._places.acquire(blocking=False):
            raise RefusedError(
                429,
                f"Too many requests are waiting already: try again in {SECONDS_TO_RETRY_AFTER} seconds.",
                SECONDS_TO_RETRY_AFTER,
            )
        turn = Turn(self._seconds, self._closing)
        turn.future = self._threads.submit(turn.do, work)
        turn.future.add_done_callback(lambda future: self._over(turn, future))
        return turn

    def _over(self, turn: Turn, future: "Future[None]") -> None:
        self._places.release()
        turn.over(future)

    def close(self) -> None:
        """Stop all work between two symbols, and begin none any more."""
        self._closing.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
