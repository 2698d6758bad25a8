"""The workers of a training: which of them this process is, and their meeting before TensorFlow connects them.

TensorFlow waits for missing workers in native code. It waits forever, and Ctrl-C does not interrupt it. So the workers
first exchange a few lines of JSON at the address of the chief. This way, an error message can name the missing workers,
there is a time limit, and workers that were started with different commands are refused before the run creates
anything. This module does not need TensorFlow.

Anyone can connect to the port. So each side proves that it knows the secret of the workers (WORDGEN_SECRET, which
`launch` draws at random): it sends the HMAC of everything it says together with a random number that the other side has
just drawn. If there is no secret, the proofs prove nothing. Then a visitor with other settings is disconnected, but
does not end the run.
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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from wordgen.errors import SettingError, WorkerLostError
from wordgen.training.settings import DeviceSettings
from wordgen.training.stopping import StopRequest

PORTS = "WORDGEN_PORTS"
"""The environment variable by which `launch` says that no one else reaches the ports, or that the user accepts it."""
LAUNCHER = "WORDGEN_LAUNCHER"
"""The environment variable with the file descriptor of a pipe that is closed when the launcher ends."""
SECRET = "WORDGEN_SECRET"
"""The environment variable with the secret that all workers of a run know, and no one else."""
_LOOK_AFTER = 0.1
_LONGEST_LINE = 4096
_SECONDS_A_LINE = 5.0
_MOST_VISITORS = 500
_DISAGREEMENT = (
    "The workers are not the same: worker {} has other settings, another text or another version of wordgen than the "
    "first. Start all of them with the same command."
)


@dataclass(frozen=True)
class Place:
    """The number of this process among the workers. Workers count from 0, and worker 0 is the chief."""

    worker: int = 0
    workers: int = 1
    source: Literal["alone", "TF_CONFIG", "SLURM"] = "alone"

    @property
    def chief(self) -> bool:
        return self.worker == 0


def warning_about_ports(place: Place) -> str | None:
    """Return a warning if the ports of the workers may be reachable for others.

    Return None if there is only one worker, or if `launch` has dealt with the ports.
    """
    if place.workers == 1 or os.environ.get(PORTS):
        return None
    return (
        "TensorFlow's workers listen on all networks of their machines: anyone who can reach the port of a worker can "
        "read and write your files. Make sure that only the other workers can reach it (see docs/scaling-out.md)."
    )


def place_of(settings: DeviceSettings, environment: Mapping[str, str] = os.environ) -> Place:
    """Return the place of this process among the workers, according to TF_CONFIG or SLURM.

    Without `--distribute multiworker` the process trains alone. Raises SettingError if the environment does not say who
    the workers are, or if TF_CONFIG names several workers and `distribute` is "auto".
    """
    if settings.distribute != "multiworker":
        named = settings.distribute == "auto" and '"cluster"' in environment.get("TF_CONFIG", "")
        place = _from_tf_config(environment["TF_CONFIG"]) if named else Place()
        if place.workers > 1:
            raise SettingError(
                f"TF_CONFIG names {place.workers} workers: add --distribute multiworker to train with all of them, "
                "or --distribute none to train only on this machine."
            )
        return Place()
    if environment.get("TF_CONFIG"):
        return _from_tf_config(environment["TF_CONFIG"])
    if "SLURM_PROCID" in environment and "SLURM_STEP_NUM_TASKS" in environment:
        return Place(int(environment["SLURM_PROCID"]), int(environment["SLURM_STEP_NUM_TASKS"]), "SLURM")
    raise SettingError(
        "--distribute multiworker needs TF_CONFIG or srun to know the other workers: "
        "try  wordgen launch --workers 2 -- --corpus ...  or see docs/scaling-out.md."
    )


def _from_tf_config(text: str) -> Place:
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        chiefs, workers = len(cluster.get("chief", [])), len(cluster.get("worker", []))
        numbers = {"chief": 0, "worker": chiefs}
        place = Place(numbers[task["type"]] + int(task["index"]), chiefs + workers, "TF_CONFIG")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingError(
            'TF_CONFIG must be JSON like {"cluster": {"worker": ["host:port", ...]}, '
            '"task": {"type": "worker", "index": 0}}, with other numbers on other workers.'
        ) from error
    if not 0 <= place.worker < place.workers:
        raise SettingError(
            f"TF_CONFIG says that this is worker {place.worker} of {place.workers}: the number must be 0 to "
            f"{place.workers - 1}."
        )
    return place


def meet(
    address: str, place: Place, agreement: str, seconds: float, stop: StopRequest, secret: str | None = None
) -> None:
    """Wait until all workers have arrived with the same agreement.

    `address` is that of the chief, as host:port. `agreement` is a checksum of what all workers must have in common.
    `secret` is by default the value of the environment variable WORDGEN_SECRET. Raises WorkerLostError if a worker is
    missing after the given number of seconds, SettingError if the agreements differ, and KeyboardInterrupt after
    Ctrl-C.
    """
    host, _, port = address.rpartition(":")
    known = os.environ.get(SECRET, "") if secret is None else secret
    waiting = _Waiting(place, agreement, known.encode(), seconds, stop)
    if place.chief:
        _ChiefServer(waiting).receive(host.strip("[]"), int(port))
    else:
        _join_chief(host.strip("[]"), int(port), waiting)


@dataclass
class _Waiting:
    """What one worker knows when it comes to the meeting, and how long it waits."""

    place: Place
    agreement: str
    secret: bytes
    seconds: float
    stop: StopRequest
    began: float = field(default_factory=time.monotonic)

    @property
    def over(self) -> bool:
        """Whether the time is up. Raises KeyboardInterrupt if a stop was requested."""
        if self.stop.requested:
            raise KeyboardInterrupt
        return time.monotonic() > self.began + self.seconds

    def proof(self, number: str, *said: object) -> str:
        """Return a proof, as hexadecimal digits, that the sender of this message knows the secret.

        `number` is the random number that the receiver has drawn, so that the proof is valid for this receiver only.
        """
        return hmac.new(self.secret, json.dumps([number, *said]).encode(), hashlib.sha256).hexdigest()

    def is_proof(self, given: object, number: str, *said: object) -> bool:
        return isinstance(given, str) and hmac.compare_digest(given.encode(), self.proof(number, *said).encode())


class _Visitor:
    """A connection to the port of the chief. The other side may be a worker or anyone else."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.number = secrets.token_hex(16)
        """The random number that the chief has drawn for this visitor."""
        self.answer_to = ""
        """The random number that the visitor has drawn for the answer of the chief."""
        self.worker: int | None = None
        """The number of the worker. None until the visitor has proved that it is a worker."""
        self.until = time.monotonic() + _SECONDS_A_LINE
        self._received = b""

    def read(self) -> bytes | None:
        """Return a whole line, or None if the line is not complete yet.

        An empty line means that the visitor has closed the connection or has sent more than 4096 bytes.
        """
        try:
            more = self.connection.recv(_LONGEST_LINE)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        self._received += more
        if not more or len(self._received) > _LONGEST_LINE:
            return b""
        if not self._received.endswith(b"\n"):
            return None
        line, self._received = self._received, b""
        return line


class _ChiefServer:
    """The side of the chief. It serves all visitors at the same time, so that none of them can delay the others."""

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
                    self._disconnect(visitor)

    def _present(self) -> dict[int, _Visitor]:
        return {visitor.worker: visitor for visitor in self._visitors if visitor.worker is not None}

    def _look(self, server: socket.socket) -> None:
        """Accept new connections and handle received data.

        Visitors that have not introduced themselves within 5 seconds are disconnected.
        """
        for key, _ in self._selector.select(_LOOK_AFTER):
            if key.fileobj is server:
                self._accept(server)
            elif (line := key.data.read()) is not None:
                self._handle(key.data, line)
        now = time.monotonic()
        for late in [each for each in self._visitors if each.worker is None and each.until < now]:
            self._disconnect(late)

    def _accept(self, server: socket.socket) -> None:
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
            self._disconnect(visitor)

    def _handle(self, visitor: _Visitor, line: bytes) -> None:
        # A worker that was accepted and then sends more, or disconnects, is no longer accepted.
        said = _parsed(line) if visitor.worker is None else {}
        worker, agreement, number = said.get("worker"), said.get("agreement"), said.get("number")
        if (
            not isinstance(worker, int)
            or worker not in range(1, self._place.workers)
            or not self._waiting.is_proof(said.get("proof"), visitor.number, worker, agreement, number)
        ):
            self._disconnect(visitor)
            return
        visitor.answer_to = str(number)
        if agreement != self._waiting.agreement:
            self._refuse(visitor, worker)
            return
        if worker in self._present():
            self._disconnect(self._present()[worker])
        visitor.worker = worker

    def _refuse(self, visitor: _Visitor, worker: int) -> None:
        """Handle a worker whose agreement differs.

        If there is a secret, the visitor is certainly a worker of this run: tell all workers, and raise SettingError.
        Otherwise disconnect this visitor only.
        """
        sentence = _DISAGREEMENT.format(worker)
        self._tell(visitor, sentence)
        if self._waiting.secret:
            for other in self._present().values():
                self._tell(other, sentence)
            raise SettingError(sentence)
        self._disagree.add(worker)
        self._disconnect(visitor)

    def _tell(self, visitor: _Visitor, refused: str | None) -> None:
        _say(visitor.connection, {"refused": refused, "proof": self._waiting.proof(visitor.answer_to, refused)})

    def _disconnect(self, visitor: _Visitor) -> None:
        self._visitors.discard(visitor)
        self._selector.unregister(visitor.connection)
        visitor.connection.close()

    def _wait_until_they_hang_up(self) -> None:
        """Wait until the workers have closed their connections. If they close first, the port is free again at once."""
        until = time.monotonic() + _SECONDS_A_LINE
        while self._present() and time.monotonic() < until and not self._waiting.stop.requested:
            for key, _ in self._selector.select(_LOOK_AFTER):
                if isinstance(key.data, _Visitor) and key.data.read() is not None:
                    self._disconnect(key.data)

    def _who_is_missing(self) -> str:
        missing = [number for number in range(1, self._place.workers) if number not in self._present()]
        refused = sorted(self._disagree.intersection(missing))
        if refused:
            return _DISAGREEMENT.format(refused[0])
        who = f"Worker {missing[0]} has" if len(missing) == 1 else f"Workers {', '.join(map(str, missing))} have"
        return (
            f"{who} not connected within {self._waiting.seconds:g} seconds: start all {self._place.workers} workers, "
            "or use a larger --join-timeout."
        )


def _join_chief(host: str, port: int, waiting: _Waiting) -> None:
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
        f"Not all of the {place.workers} workers connected within {waiting.seconds:g} seconds (this is worker "
        f"{place.worker}, and the first one should be at {host}:{port}): start all of them, or use a larger "
        "--join-timeout."
    )


class _NoChiefError(Exception):
    """The process that answers at the address of the chief is not, or not yet, the chief of this run."""


def _ask(chief: socket.socket, waiting: _Waiting) -> str | None:
    """Introduce this worker to the chief. Return why it is refused, or None as soon as all workers have arrived.

    Raises _NoChiefError if the answer does not come from the chief of this run.
    """
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


def _answer(chief: socket.socket, waiting: _Waiting) -> dict[str, object]:
    """Return the next line of the chief, parsed. Raises _NoChiefError if there is none in time."""
    received = b""
    while not received.endswith(b"\n"):
        if waiting.over or len(received) > _LONGEST_LINE:
            raise _NoChiefError
        try:
            more = chief.recv(1)  # byte by byte, because the next line is for the next call
        except TimeoutError:
            continue
        if not more:
            raise _NoChiefError
        received += more
    return _parsed(received)


@contextmanager
def _server(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens at the address of the chief.

    If this machine does not have that address, the socket listens at all addresses of the machine. Raises
    WorkerLostError if the port cannot be opened.
    """
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
            f"The workers cannot use port {port} of this machine ({error.strerror}): stop an earlier run that may "
            "still use it, or choose another port."
        ) from error
    with server:
        server.setblocking(False)
        yield server


def _parsed(line: bytes) -> dict[str, object]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _say(other: socket.socket, what: dict[str, object]) -> None:
    try:
        other.sendall(json.dumps(what).encode() + b"\n")
    except OSError:  # the other side has disconnected; the code that reads from it notices
        return
