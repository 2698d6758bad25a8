"""Ctrl-C and SIGTERM as requests: the first ends the run cleanly, the second at once, a third by force."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SECONDS_TO_TELL = 5
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    def __init__(self, tell: Callable[[], None] = lambda: None) -> None:
        """`tell` is called at once when the first signal comes, in a thread of its own.

        A signal may come in the middle of a line that is being printed, and what is told is printed, too: in the
        same thread that would be an error, and another waits until the line is done.
        """
        self.signals: list[int] = []
        self._telling = threading.Thread(target=tell, daemon=True)

    @property
    def requested(self) -> bool:
        return bool(self.signals)

    @property
    def urgent(self) -> bool:
        return len(self.signals) > 1

    def told(self) -> None:
        """Wait until what was to be told has been."""
        if self._telling.is_alive():
            self._telling.join(_SECONDS_TO_TELL)

    def listen(self) -> dict[signal.Signals, Any]:
        """Take the signals, also back from whoever took them since; whose they were (only in the main thread)."""
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {number: signal.signal(number, self._received) for number in _SIGNALS}

    def _received(self, number: int, frame: FrameType | None) -> None:
        self.signals.append(number)
        if len(self.signals) == 1:
            self._telling.start()
        if len(self.signals) > 2:
            raise KeyboardInterrupt


@contextmanager
def stop_on_signals(tell: Callable[[], None]) -> Iterator[StopRequest]:
    """Listen for SIGINT and SIGTERM while the block runs (only the main thread of a process can)."""
    request = StopRequest(tell)
    before = request.listen()
    try:
        yield request
    finally:
        request.told()
        for number, handler in before.items():
            signal.signal(number, handler)
