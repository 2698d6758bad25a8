"""Workers as threads that meet at a real port, with strangers and stragglers among them."""

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
from wordgen.training.workers import Place, meet


class Meeting:
    def __init__(self, workers: int, secret: str = "") -> None:
        self.secret = secret
        self.port = free_ports(1)[0]
        self.workers = workers
        self.ended: dict[int, WordgenError | KeyboardInterrupt | None] = {}
        self.stop = StopRequest()
        self._threads: list[threading.Thread] = []

    def come(self, number: int, what: str = "lotr", seconds: float = 20, secret: str | None = None) -> None:
        def take_part() -> None:
            place = Place(number, self.workers, "TF_CONFIG")
            try:
                meet(f"127.0.0.1:{self.port}", place, what, seconds, self.stop, secret or self.secret)
                self.ended[number] = None
            except (WordgenError, KeyboardInterrupt) as error:
                self.ended[number] = error

        self._threads.append(threading.Thread(target=take_part))
        self._threads[-1].start()

    def end(self) -> dict[int, WordgenError | KeyboardInterrupt | None]:
        for thread in self._threads:
            thread.join(30)
        return self.ended


def _hello(visitor: socket.socket, agreement: str, worker: object = 1, secret: bytes = b"") -> bytes:
    """What a worker says, as anybody can who has read the code."""
    drawn = json.loads(visitor.makefile().readline())["number"]
    said = [worker, agreement, "9"]
    proof = hmac.new(secret, json.dumps([drawn, *said]).encode(), "sha256").hexdigest()
    return json.dumps({"worker": worker, "agreement": agreement, "number": "9", "proof": proof}).encode() + b"\n"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_all_who_want_the_same_meet_whoever_comes_first(order: tuple[int, ...]):
    meeting = Meeting(3)
    for number in order:
        meeting.come(number)
        time.sleep(0.3)
    assert meeting.end() == {0: None, 1: None, 2: None}
    socket.create_server(("127.0.0.1", meeting.port)).close()  # TensorFlow needs the port at once


def test_who_wants_something_else_is_refused_by_all():
    meeting = Meeting(3, "known to all")
    for number, what in enumerate(["lotr", "lotr", "fables"]):
        meeting.come(number, what)
    ended = meeting.end()
    assert all(isinstance(error, SettingError) for number, error in ended.items() if number != 1)
    assert "worker 2 has other settings" in str(ended[0])


@pytest.mark.parametrize(
    "rudeness",
    [
        lambda visitor: None,
        lambda visitor: visitor.sendall(b"GET / HTTP/1.1\r\n\r\n\n"),
        lambda visitor: visitor.sendall(b'{"worker": 7, "agreement": "lotr"}\n'),
        lambda visitor: visitor.sendall(b"[1, 2]\n"),
        lambda visitor: visitor.sendall(b"x" * 100_000),
        lambda visitor: visitor.sendall(b"[" * 4000 + b"\n"),
        lambda visitor: visitor.sendall(b'{"worker": 1, "agreement": ' + b"[" * 900 + b"]" * 900 + b"}\n"),
        lambda visitor: visitor.sendall(_hello(visitor, "fables")),
        lambda visitor: visitor.sendall(_hello(visitor, "lotr", worker="1")),
    ],
)
@pytest.mark.parametrize("secret", ["", "known to all"])
def test_strangers_are_passed_over(secret: str, rudeness: Callable[[socket.socket], None]):
    meeting = Meeting(2, secret)
    meeting.come(0)
    time.sleep(0.3)
    with socket.create_connection(("127.0.0.1", meeting.port)) as visitor:
        rudeness(visitor)
    meeting.come(1)
    assert meeting.end() == {0: None, 1: None}


def test_who_comes_leaves_and_comes_again_is_one_worker():
    meeting = Meeting(3)
    meeting.come(0)
    time.sleep(0.3)
    with socket.create_connection(("127.0.0.1", meeting.port)) as visitor:
        visitor.sendall(_hello(visitor, "lotr"))
        time.sleep(0.3)
    meeting.come(2)
    time.sleep(0.5)
    assert meeting.ended == {}  # worker 1 has left: two of three are there
    meeting.come(1)
    assert meeting.end() == {0: None, 1: None, 2: None}


def test_the_missing_are_named():
    meeting = Meeting(4)
    meeting.come(0, seconds=2)
    meeting.come(2, seconds=5)
    ended = meeting.end()
    assert str(ended[0]).startswith("Workers 1, 3 have not connected within 2 seconds")
    assert isinstance(ended[2], WorkerLostError)


@pytest.mark.parametrize("number", [0, 1])
def test_who_waits_can_be_stopped(number: int):
    meeting = Meeting(2)
    meeting.come(number)
    time.sleep(0.3)
    meeting.stop.signals.append(2)
    assert isinstance(meeting.end()[number], KeyboardInterrupt)


def test_a_port_in_use_is_no_mystery():
    meeting = Meeting(2)
    with socket.create_server(("", meeting.port)):
        meeting.come(0)
        assert f"cannot use port {meeting.port}" in str(meeting.end()[0])


def test_a_stranger_cannot_take_the_place_of_a_worker_or_end_the_meeting():
    """Without the secret nothing that one says is believed."""
    meeting = Meeting(2, "known to all")
    meeting.come(0)
    time.sleep(0.3)
    for agreement in ("lotr", "fables"):
        with socket.create_connection(("127.0.0.1", meeting.port), timeout=20) as visitor:
            visitor.sendall(_hello(visitor, agreement, secret=b"guessed"))
            assert visitor.recv(1) == b""
    assert meeting.ended == {}
    meeting.come(1)
    assert meeting.end() == {0: None, 1: None}


def test_a_worker_waits_for_its_own_chief():
    """Who has another secret is none, though it listens at the address."""
    meeting = Meeting(2, "known to all")
    meeting.come(1, seconds=2)
    meeting.come(0, seconds=2, secret="another")
    ended = meeting.end()
    assert all(isinstance(error, WorkerLostError) for error in ended.values())


def test_a_deeply_nested_answer_is_not_that_of_the_chief():
    meeting = Meeting(2)
    with socket.create_server(("127.0.0.1", meeting.port)) as stranger:
        stranger.settimeout(5)
        meeting.come(1)
        for depth in range(960, 1000):  # the worker can parse some of these answers, but not write them for the proof
            visitor, _ = stranger.accept()
            with visitor:
                visitor.sendall(b'{"number": "1"}\n')
                visitor.recv(4096)
                visitor.sendall(b'{"proof": "1", "refused": ' + b"[" * depth + b"]" * depth + b"}\n")
    meeting.stop.signals.append(2)
    assert isinstance(meeting.end()[1], KeyboardInterrupt)


def test_without_a_secret_who_wants_something_else_is_sent_away_and_named():
    meeting = Meeting(2)
    meeting.come(0, seconds=2)
    meeting.come(1, "fables")
    ended = meeting.end()
    assert isinstance(ended[1], SettingError)
    assert isinstance(ended[0], WorkerLostError)
    assert "worker 1 has other settings" in str(ended[0])


def test_many_slow_visitors_hold_nobody_up():
    meeting = Meeting(2)
    meeting.come(0)
    time.sleep(0.3)
    visitors = [socket.create_connection(("127.0.0.1", meeting.port)) for _ in range(100)]
    for visitor in visitors:
        visitor.sendall(b"{")
    began = time.monotonic()
    meeting.come(1)
    assert meeting.end() == {0: None, 1: None}
    assert time.monotonic() - began < 30
    for visitor in visitors:
        visitor.close()


def test_the_meeting_is_at_the_address_that_was_given_alone():
    meeting = Meeting(2)
    meeting.come(0)
    time.sleep(0.3)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", meeting.port), timeout=5)
    meeting.come(1)
    assert meeting.end() == {0: None, 1: None}
