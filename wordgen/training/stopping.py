"""Requests to stop a run: Ctrl-C, SIGTERM, and the loss of the terminal (SIGHUP).

The first request ends the run cleanly, the second one ends it at once, and the third one raises KeyboardInterrupt.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object] | int | None
"""A handler of signals, as `signal.signal` takes and returns it."""

_ON_STOP_TIMEOUT_SECONDS = 5
_EXIT_TIMEOUT_SECONDS = 60


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that request a stop. SIGHUP is left out if it is ignored, as it is under nohup."""
    signals = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    return tuple(signals)


def stop_with(pipe: int, exit_code: int) -> None:
    """Request a stop when the other end of a pipe is closed, which means that the process that held it has ended.

    If this process has not stopped 60 seconds later, it exits with `exit_code`.
    """

    def watch() -> None:
        os.read(pipe, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_EXIT_TIMEOUT_SECONDS)
        os._exit(exit_code)  # it could not stop, perhaps because it waits for a lost worker

    threading.Thread(target=watch, daemon=True).start()


class StopRequest:
    """Collects the signals that request a stop."""

    def __init__(self, on_stop: Callable[[], None] = lambda: None) -> None:
        """Call `on_stop` in a separate thread as soon as the first signal arrives.

        `on_stop` usually prints something, and a signal may arrive in the middle of a line that is being printed. To
        print in the same thread is then an error. A separate thread waits until the line is finished.
        """
        self.signals: list[int] = []
        self._on_stop_thread = threading.Thread(target=on_stop, daemon=True)

    @property
    def requested(self) -> bool:
        return bool(self.signals)

    @property
    def is_urgent(self) -> bool:
        """Whether a second signal has arrived, so that the run must end at once."""
        return len(self.signals) > 1

    def wait_for_on_stop(self) -> None:
        """Wait until `on_stop` has returned, but at most 5 seconds."""
        if self._on_stop_thread.is_alive():
            self._on_stop_thread.join(_ON_STOP_TIMEOUT_SECONDS)

    def listen(self) -> dict[signal.Signals, Handler]:
        """Install the signal handlers, also if other code has replaced them since. Return the previous handlers.

        Only the main thread can do that. In other threads nothing happens, and the result is empty.
        """
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {number: signal.signal(number, self._handle_signal) for number in stop_signals()}

    def _handle_signal(self, number: int, frame: FrameType | None) -> None:
        self.signals.append(number)
        if len(self.signals) == 1:
            self._on_stop_thread.start()
        if len(self.signals) > 2:
            raise KeyboardInterrupt


@contextmanager
def stop_on_signals(on_stop: Callable[[], None]) -> Generator[StopRequest]:
    """Listen for requests to stop while the block runs, and restore the previous signal handlers after it.

    Only the main thread of a process can receive signals. In other threads, no stop is ever requested.
    """
    request = StopRequest(on_stop)
    before = request.listen()
    try:
        yield request
    finally:
        request.wait_for_on_stop()
        for number, handler in before.items():
            signal.signal(number, handler)
