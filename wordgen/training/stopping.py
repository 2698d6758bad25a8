"""Ctrl-C and SIGTERM as requests: the first ends the run cleanly, the second at once, a third by force."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    def __init__(self, tell: Callable[[], None] = lambda: None) -> None:
        """`tell` is called at once when the first signal comes."""
        self.signals: list[int] = []
        self._tell = tell

    @property
    def requested(self) -> bool:
        return bool(self.signals)

    @property
    def urgent(self) -> bool:
        return len(self.signals) > 1

    def _received(self, number: int, frame: FrameType | None) -> None:
        self.signals.append(number)
        if len(self.signals) == 1:
            self._tell()
        if len(self.signals) > 2:
            raise KeyboardInterrupt


@contextmanager
def stop_on_signals(tell: Callable[[], None]) -> Iterator[StopRequest]:
    """Listen for SIGINT and SIGTERM while the block runs (only the main thread of a process can)."""
    request = StopRequest(tell)
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request._received) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
