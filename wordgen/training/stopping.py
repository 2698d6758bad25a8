"""Ctrl-C, SIGTERM and the loss of the terminal as requests: the first ends the run cleanly, the second at once, a third
by force."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SECONDS_TO_TELL = 5
_SECONDS_WITHOUT_LAUNCHER = 60


def stop_signals() -> tuple[signal.Signals, ...]:
    """Those that ask to stop. Who began with nohup does not want to hear of a lost terminal."""
    signals = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    return tuple(signals)


def stop_with(pipe: int, exit_code: int) -> None:
    """Stop when the other end of a pipe is closed: when the process that holds it has ended, however that was."""

    def watch() -> None:
        os.read(pipe, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_SECONDS_WITHOUT_LAUNCHER)
        os._exit(exit_code)  # it cannot stop: it may wait for a worker that has gone

    threading.Thread(target=watch, daemon=True).start()


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
        return {number: signal.signal(number, self._received) for number in stop_signals()}

    def _received(self, number: int, frame: FrameType | None) -> None:
        self.signals.append(number)
        if len(self.signals) == 1:
            self._telling.start()
        if len(self.signals) > 2:
            raise KeyboardInterrupt


@contextmanager
def stop_on_signals(tell: Callable[[], None]) -> Iterator[StopRequest]:
    """Listen for those signals while the block runs (only the main thread of a process can)."""
    request = StopRequest(tell)
    before = request.listen()
    try:
        yield request
    finally:
        request.told()
        for number, handler in before.items():
            signal.signal(number, handler)
