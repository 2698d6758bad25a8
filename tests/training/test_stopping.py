import io
import os
import signal
import threading
import time
from typing import Any, cast

from wordgen.training.reports import Observer, Observers
from wordgen.training.stopping import stop_on_signals


class SignalledWhileWriting(io.RawIOBase):
    """A screen in the middle of whose first line somebody presses Ctrl-C."""

    def __init__(self) -> None:
        self.shown = b""

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not self.shown:
            self.shown += bytes(content)
            os.kill(os.getpid(), signal.SIGINT)
        else:
            self.shown += bytes(content)
        return len(content)


def test_a_signal_in_the_middle_of_a_line_is_told_behind_it():
    raw = SignalledWhileWriting()
    stream = io.TextIOWrapper(io.BufferedWriter(cast(Any, raw)), write_through=True)
    with stop_on_signals(lambda: print("stopping", file=stream, flush=True)) as request:
        print("working", file=stream, flush=True)
    assert request.requested
    assert raw.shown.split() == [b"working", b"stopping"]


def test_who_hears_of_a_stop_hears_first_of_what_is_going_on():
    """Otherwise a display that is being closed would be drawn again below what is printed after it."""
    begun, heard = threading.Event(), list[str]()

    class Slow(Observer):
        def close(self) -> None:
            begun.set()
            time.sleep(0.2)
            heard.append("closed")

        def stopping(self) -> None:
            heard.append("stopping")

    observers = Observers([Slow()])
    telling = threading.Thread(target=lambda: begun.wait(5) and observers.stopping())
    telling.start()
    observers.close()
    telling.join()
    assert heard == ["closed", "stopping"]


def test_the_second_signal_is_urgent_and_tells_nothing_more():
    told: list[str] = []
    with stop_on_signals(lambda: told.append("stopping")) as request:
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.requested
        assert not request.urgent
        os.kill(os.getpid(), signal.SIGINT)
        assert request.urgent
    assert told == ["stopping"]
