"""Workers that meet at a port, as threads, with visitors that are no workers."""

import hmac
import json
import socket
import threading
import time
from collections.abc import Callable

import pytest

from tests.helpers.workers import free_ports
from wordgen.errors import SettingError, WordgenError, WorkerLostError
from wordgen.training.stopping import StopRequest
from wordgen.training.workers import WorkerInfo, rendezvous


class Meeting:
    """Workers as threads, which connect to the chief, and how each of them ended."""

    def __init__(self, workers: int, secret: str = "") -> None:
        self.secret = secret
        self.port = free_ports(1)[0]
        self.workers = workers
        self.errors: dict[int, WordgenError | KeyboardInterrupt | None] = {}
        self.stop = StopRequest()
        self._threads: list[threading.Thread] = []

    def start(self, number: int, checksum: str = "lotr", seconds: float = 60, secret: str | None = None) -> None:
        def run() -> None:
            worker_info = WorkerInfo(number, self.workers, "TF_CONFIG")
            try:
                rendezvous(f"127.0.0.1:{self.port}", worker_info, checksum, seconds, self.stop, secret or self.secret)
                self.errors[number] = None
            except (WordgenError, KeyboardInterrupt) as error:
                self.errors[number] = error

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def wait_for_chief(self) -> None:
        """Wait until the chief listens."""
        self.connect().close()

    def connect(self) -> socket.socket:
        """Connect to the chief as soon as it listens."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=60)
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                time.sleep(0.01)

    def join(self) -> dict[int, WordgenError | KeyboardInterrupt | None]:
        for thread in self._threads:
            thread.join(120)
        return self.errors


def _hello(visitor: socket.socket, checksum: str, worker: object = 1, secret: bytes = b"") -> bytes:
    """The message with which a worker joins, as any program can send it."""
    challenge = json.loads(visitor.makefile().readline())["nonce"]
    proof = hmac.new(secret, json.dumps([challenge, worker, checksum, "9"]).encode(), "sha256").hexdigest()
    return json.dumps({"worker": worker, "checksum": checksum, "nonce": "9", "proof": proof}).encode() + b"\n"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_workers_meet_in_any_order(order: tuple[int, ...]):
    meeting = Meeting(3)
    for number in order:
        meeting.start(number)
        time.sleep(0.1)
    assert meeting.join() == {0: None, 1: None, 2: None}
    socket.create_server(("127.0.0.1", meeting.port)).close()  # TensorFlow needs the port at once


def test_worker_with_other_settings_ends_the_meeting():
    meeting = Meeting(3, "known to all")
    for number, checksum in enumerate(["lotr", "lotr", "fables"]):
        meeting.start(number, checksum)
    errors = meeting.join()
    assert all(isinstance(error, SettingError) for number, error in errors.items() if number != 1)
    assert "worker 2 has other settings" in str(errors[0])


INVALID_VISITS: list[Callable[[socket.socket], object]] = [
    lambda visitor: None,
    lambda visitor: visitor.sendall(b"GET / HTTP/1.1\r\n\r\n\n"),
    lambda visitor: visitor.sendall(b'{"worker": 7, "checksum": "lotr"}\n'),
    lambda visitor: visitor.sendall(b"[1, 2]\n"),
    lambda visitor: visitor.sendall(b"x" * 100_000),
    lambda visitor: visitor.sendall(b"[" * 4000 + b"\n"),
    lambda visitor: visitor.sendall(b'{"worker": 1, "checksum": ' + b"[" * 900 + b"]" * 900 + b"}\n"),
    lambda visitor: visitor.sendall(_hello(visitor, "fables")),
    lambda visitor: visitor.sendall(_hello(visitor, "lotr", worker="1")),
]


@pytest.mark.parametrize("secret", ["", "known to all"])
def test_invalid_visitors_are_ignored(secret: str):
    meeting = Meeting(2, secret)
    meeting.start(0)
    for visit in INVALID_VISITS:
        with meeting.connect() as visitor:
            visit(visitor)
        time.sleep(0.1)
        assert meeting.errors == {}  # the chief still waits
    meeting.start(1)
    assert meeting.join() == {0: None, 1: None}


def test_worker_that_reconnects_counts_once():
    meeting = Meeting(3)
    meeting.start(0)
    with meeting.connect() as visitor:
        visitor.sendall(_hello(visitor, "lotr"))
        time.sleep(0.3)
    meeting.start(2)
    time.sleep(0.5)
    assert meeting.errors == {}  # worker 1 has left: two of three are there
    meeting.start(1)
    assert meeting.join() == {0: None, 1: None, 2: None}


def test_error_names_missing_workers():
    meeting = Meeting(4)
    meeting.start(0, seconds=2)
    meeting.start(2, seconds=5)
    errors = meeting.join()
    assert str(errors[0]).startswith("Workers 1, 3 have not connected within 2 seconds")
    assert isinstance(errors[2], WorkerLostError)


@pytest.mark.parametrize("number", [0, 1])
def test_waiting_worker_can_be_stopped(number: int):
    meeting = Meeting(2)
    meeting.start(number)
    time.sleep(0.1)
    meeting.stop.signals.append(2)
    assert isinstance(meeting.join()[number], KeyboardInterrupt)


def test_error_names_a_port_in_use():
    meeting = Meeting(2)
    with socket.create_server(("", meeting.port)):
        meeting.start(0)
        assert f"cannot use port {meeting.port}" in str(meeting.join()[0])


def test_visitor_without_the_secret_is_ignored():
    """The visitor cannot take the place of a worker, and cannot end the meeting by other settings."""
    meeting = Meeting(2, "known to all")
    meeting.start(0)
    for checksum in ("lotr", "fables"):
        with meeting.connect() as visitor:
            visitor.sendall(_hello(visitor, checksum, secret=b"guessed"))
            assert visitor.recv(1) == b""
    assert meeting.errors == {}
    meeting.start(1)
    assert meeting.join() == {0: None, 1: None}


def test_worker_ignores_a_chief_with_another_secret():
    meeting = Meeting(2, "known to all")
    meeting.start(1, seconds=2)
    meeting.start(0, seconds=2, secret="another")
    errors = meeting.join()
    assert all(isinstance(error, WorkerLostError) for error in errors.values())


def test_worker_ignores_deeply_nested_answers():
    meeting = Meeting(2)
    with socket.create_server(("127.0.0.1", meeting.port)) as server:
        server.settimeout(60)
        meeting.start(1)
        for depth in range(960, 1000):  # the worker can parse some of these answers, but not write them for the proof
            worker, _ = server.accept()
            with worker:
                worker.sendall(b'{"nonce": "1"}\n')
                worker.recv(4096)
                worker.sendall(b'{"proof": "1", "refusal": ' + b"[" * depth + b"]" * depth + b"}\n")
    meeting.stop.signals.append(2)
    assert isinstance(meeting.join()[1], KeyboardInterrupt)


def test_worker_with_other_settings_and_no_secret_is_refused():
    meeting = Meeting(2)
    meeting.start(0, seconds=2)
    meeting.start(1, "fables")
    errors = meeting.join()
    assert isinstance(errors[1], SettingError)
    assert isinstance(errors[0], WorkerLostError)
    assert "worker 1 has other settings" in str(errors[0])


def test_slow_visitors_do_not_delay_the_meeting():
    meeting = Meeting(2)
    meeting.start(0)
    visitors = [meeting.connect() for _ in range(100)]
    for visitor in visitors:
        visitor.sendall(b"{")
    start = time.monotonic()
    meeting.start(1)
    assert meeting.join() == {0: None, 1: None}
    assert time.monotonic() - start < 30
    for visitor in visitors:
        visitor.close()


def test_chief_listens_only_at_the_given_address():
    meeting = Meeting(2)
    meeting.start(0)
    meeting.wait_for_chief()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", meeting.port), timeout=60)
    meeting.start(1)
    assert meeting.join() == {0: None, 1: None}
