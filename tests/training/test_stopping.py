"""Stop requests by signals."""

import io
import os
import signal
import threading
import time
from typing import Any, cast

from wordgen.training.reports import Observer, Observers
from wordgen.training.stopping import stop_on_signals


class StreamInterruptedWhileWriting(io.RawIOBase):
    """A stream that gets Ctrl-C while its first line is written."""

    def __init__(self) -> None:
        self.output = b""

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not self.output:
            self.output += bytes(content)
            os.kill(os.getpid(), signal.SIGINT)
        else:
            self.output += bytes(content)
        return len(content)


def test_message_is_printed_after_the_interrupted_line():
    raw = StreamInterruptedWhileWriting()
    stream = io.TextIOWrapper(io.BufferedWriter(cast(Any, raw)), write_through=True)
    with stop_on_signals(lambda: print("stopping", file=stream, flush=True)) as request:
        print("working", file=stream, flush=True)
    assert request.requested
    assert raw.output.split() == [b"working", b"stopping"]


def test_observer_gets_stopping_after_the_current_event():
    """Otherwise a display that is being closed would be drawn again below later output."""
    closing, events = threading.Event(), list[str]()

    class SlowToClose(Observer):
        def close(self) -> None:
            closing.set()
            time.sleep(0.2)
            events.append("closed")

        def stopping(self) -> None:
            events.append("stopping")

    observers = Observers([SlowToClose()])
    thread = threading.Thread(target=lambda: closing.wait(5) and observers.stopping())
    thread.start()
    observers.close()
    thread.join()
    assert events == ["closed", "stopping"]


def test_second_signal_is_urgent_and_silent():
    messages: list[str] = []
    with stop_on_signals(lambda: messages.append("stopping")) as request:
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.requested
        assert not request.is_urgent
        os.kill(os.getpid(), signal.SIGINT)
        assert request.is_urgent
    assert messages == ["stopping"]
