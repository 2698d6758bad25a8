"""The workers meet before TensorFlow does, at the chief's address.

TensorFlow waits for missing workers in native code, without end and deaf to Ctrl-C. So they say hello here
first, in a few lines of JSON: who is missing can be named, a time limit holds, and workers that were given
different commands are refused before anything is made.

Anybody may come to the port. So each side proves that it knows the workers' secret (WORDGEN_SECRET, which `launch`
draws): it sends the HMAC of a number that the other side has just drawn and of all that it says. Without a secret
the proofs prove nothing, and a visitor with other settings is sent away without ending the run.
"""

import errno
import hashlib
import hmac
import json
import os
import secrets
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from wordgen.errors import SettingError, WorkerLostError
from wordgen.training.stopping import StopRequest
from wordgen.training.workers import Place

SECRET = "WORDGEN_SECRET"
"""The environment variable with what all workers of a run know, and nobody else."""
_LOOK_AFTER = 0.1
_LONGEST_LINE = 4096
_SECONDS_A_LINE = 5.0
_MOST_VISITORS = 500
_DISAGREEMENT = (
    "The workers do not agree: worker {} has other settings, another text or another wordgen than the first. "
    "Give all of them the same command."
)


def meet(
    address: str, place: Place, agreement: str, seconds: float, stop: StopRequest, secret: str | None = None
) -> None:
    """Come back when all workers are there and want the same; `address` is the chief's, as host:port."""
    host, _, port = address.rpartition(":")
    known = os.environ.get(SECRET, "") if secret is None else secret
    waiting = _Waiting(place, agreement, known.encode(), seconds, stop)
    if place.chief:
        _Reception(waiting).receive(host.strip("[]"), int(port))
    else:
        _go_to(host.strip("[]"), int(port), waiting)


@dataclass
class _Waiting:
    """What one worker brings along, and how long it waits."""

    place: Place
    agreement: str
    secret: bytes
    seconds: float
    stop: StopRequest
    until: float = field(init=False)

    def __post_init__(self) -> None:
        self.until = time.monotonic() + self.seconds

    @property
    def over(self) -> bool:
        """Whether the time is up; Ctrl-C ends it at once."""
        if self.stop.requested:
            raise KeyboardInterrupt
        return time.monotonic() > self.until

    def proof(self, number: str, *said: object) -> str:
        """That whoever said this has the secret, and says it to the one who drew the number."""
        return hmac.new(self.secret, json.dumps([number, *said]).encode(), hashlib.sha256).hexdigest()

    def is_proof(self, given: object, number: str, *said: object) -> bool:
        return isinstance(given, str) and hmac.compare_digest(given.encode(), self.proof(number, *said).encode())


class _Visitor:
    """Somebody who has come to the chief's port."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.number = secrets.token_hex(16)
        """Drawn for this visitor."""
        self.answer_to = ""
        """The number that the visitor has drawn."""
        self.worker: int | None = None
        """Which worker it is, once that is known."""
        self.until = time.monotonic() + _SECONDS_A_LINE
        self._received = b""

    def accept_as(self, worker: int) -> None:
        self.worker, self._received = worker, b""

    def read(self) -> bytes | None:
        """A whole line; nothing where more of it is to come, and an empty one where the visitor has left."""
        try:
            more = self.connection.recv(_LONGEST_LINE)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        self._received += more
        if not more or len(self._received) > _LONGEST_LINE:
            return b""
        return self._received if self._received.endswith(b"\n") else None


class _Reception:
    """The chief's side: takes all visitors at once, so that none can hold up the others."""

    def __init__(self, waiting: _Waiting) -> None:
        self._waiting, self._place = waiting, waiting.place
        self._visitors: set[_Visitor] = set()
        self._disagree: set[int] = set()
        self._selector = selectors.DefaultSelector()

    def receive(self, host: str, port: int) -> None:
        with self._selector, _server(host, port) as server:
            self._selector.register(server, selectors.EVENT_READ)
            try:
                while len(self._present()) < self._place.workers - 1:
                    if self._waiting.over:
                        raise WorkerLostError(self._who_is_missing())
                    self._look(server)
                for visitor in self._present().values():
                    self._tell(visitor, None)
                self._wait_until_they_hang_up()
            finally:
                for visitor in list(self._visitors):
                    self._send_away(visitor)

    def _present(self) -> dict[int, _Visitor]:
        return {visitor.worker: visitor for visitor in self._visitors if visitor.worker is not None}

    def _look(self, server: socket.socket) -> None:
        """Take what has come in since the last look."""
        for key, _ in self._selector.select(_LOOK_AFTER):
            if key.fileobj is server:
                self._let_in(server)
            elif (line := key.data.read()) is not None:
                self._hear(key.data, line)
        now = time.monotonic()
        for late in [each for each in self._visitors if each.worker is None and each.until < now]:
            self._send_away(late)

    def _let_in(self, server: socket.socket) -> None:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        visitor = _Visitor(connection)
        connection.setblocking(False)
        self._visitors.add(visitor)
        self._selector.register(connection, selectors.EVENT_READ, visitor)
        _say(connection, {"number": visitor.number})
        if len(self._visitors) > _MOST_VISITORS:
            self._send_away(visitor)

    def _hear(self, visitor: _Visitor, line: bytes) -> None:
        said = _parsed(line) if visitor.worker is None else {}  # a worker that says more, or leaves, is none any more
        worker, agreement, number = said.get("worker"), said.get("agreement"), said.get("number")
        if (
            not isinstance(worker, int)
            or worker not in range(1, self._place.workers)
            or not self._waiting.is_proof(said.get("proof"), visitor.number, worker, agreement, number)
        ):
            self._send_away(visitor)
            return
        visitor.answer_to = str(number)
        if agreement != self._waiting.agreement:
            self._refuse(visitor, worker)
            return
        if worker in self._present():
            self._send_away(self._present()[worker])
        visitor.accept_as(worker)

    def _refuse(self, visitor: _Visitor, worker: int) -> None:
        """End the run of all where the visitor is surely a worker of it, else send it away alone."""
        sentence = _DISAGREEMENT.format(worker)
        self._tell(visitor, sentence)
        if self._waiting.secret:
            for other in self._present().values():
                self._tell(other, sentence)
            raise SettingError(sentence)
        self._disagree.add(worker)
        self._send_away(visitor)

    def _tell(self, visitor: _Visitor, refused: str | None) -> None:
        _say(visitor.connection, {"refused": refused, "proof": self._waiting.proof(visitor.answer_to, refused)})

    def _send_away(self, visitor: _Visitor) -> None:
        self._visitors.discard(visitor)
        self._selector.unregister(visitor.connection)
        visitor.connection.close()

    def _wait_until_they_hang_up(self) -> None:
        """They close their connections first, and the port is free at once."""
        until = time.monotonic() + _SECONDS_A_LINE
        while self._present() and time.monotonic() < until and not self._waiting.stop.requested:
            for key, _ in self._selector.select(_LOOK_AFTER):
                if isinstance(key.data, _Visitor) and key.data.read() is not None:
                    self._send_away(key.data)

    def _who_is_missing(self) -> str:
        missing = [number for number in range(1, self._place.workers) if number not in self._present()]
        refused = sorted(self._disagree.intersection(missing))
        if refused:
            return _DISAGREEMENT.format(refused[0])
        who = f"Worker {missing[0]} has" if len(missing) == 1 else f"Workers {', '.join(map(str, missing))} have"
        return (
            f"{who} not appeared within {self._waiting.seconds:g} seconds: start all {self._place.workers} workers, or "
            "wait longer with --join-timeout."
        )


def _go_to(host: str, port: int, waiting: _Waiting) -> None:
    place = waiting.place
    while not waiting.over:
        try:
            with socket.create_connection((host, port), timeout=_LOOK_AFTER * 10) as chief:
                refused = _ask(chief, waiting)
        except (OSError, _NoChiefError):
            time.sleep(_LOOK_AFTER)
            continue
        if refused is not None:
            raise SettingError(refused)
        return
    raise WorkerLostError(
        f"Not all of the {place.workers} workers appeared within {waiting.seconds:g} seconds (this is worker "
        f"{place.worker}, and the first should be at {host}:{port}): start them all, or wait longer with "
        "--join-timeout."
    )


class _NoChiefError(Exception):
    """Whoever answers at the chief's address is not, or not yet, the chief of this run."""


def _ask(chief: socket.socket, waiting: _Waiting) -> str | None:
    """Why this worker may not take part, or nothing once all are there."""
    chief.settimeout(_LOOK_AFTER)
    number, worker = secrets.token_hex(16), waiting.place.worker
    drawn = str(_answer(chief, waiting).get("number"))
    proof = waiting.proof(drawn, worker, waiting.agreement, number)
    _say(chief, {"worker": worker, "agreement": waiting.agreement, "number": number, "proof": proof})
    answer = _answer(chief, waiting)
    refused = answer.get("refused")
    if "refused" not in answer or not waiting.is_proof(answer.get("proof"), number, refused):
        raise _NoChiefError
    return None if refused is None else str(refused)


def _answer(chief: socket.socket, waiting: _Waiting) -> dict[str, Any]:
    """A line of the chief."""
    received = b""
    while not received.endswith(b"\n"):
        if waiting.over or len(received) > _LONGEST_LINE:
            raise _NoChiefError
        try:
            more = chief.recv(1)  # no more than a line: the next one is for the next call
        except TimeoutError:
            continue
        if not more:
            raise _NoChiefError
        received += more
    return _parsed(received)


@contextmanager
def _server(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens at the chief's own address; at all of this machine where that address is not its own."""
    try:
        try:
            family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            server = socket.create_server(address[:2], family=family)  # pyright: ignore[reportArgumentType]
        except OSError as error:
            if not isinstance(error, socket.gaierror) and error.errno != errno.EADDRNOTAVAIL:
                raise
            both = socket.has_dualstack_ipv6()
            server = socket.create_server(
                ("", port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both
            )
    except OSError as error:
        raise WorkerLostError(
            f"The workers cannot meet at port {port} of this machine ({error.strerror}): is an earlier run still going?"
        ) from error
    with server:
        server.setblocking(False)
        yield server


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _say(other: socket.socket, what: dict[str, Any]) -> None:
    try:
        other.sendall(json.dumps(what).encode() + b"\n")
    except OSError:  # it has left; whoever waits for it will notice
        return
