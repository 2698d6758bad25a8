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

import asyncio
import errno
import hashlib
import hmac
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
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
_SECONDS_TO_CONNECT = 1.0
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
    """Return a warning if others may reach the ports of the workers, unless `launch` has dealt with them."""
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
    kind = _Chief if place.chief else _OtherWorker
    member = kind(host.strip("[]"), int(port), place, agreement, known.encode(), seconds)
    with ThreadPoolExecutor(1) as thread:  # in a notebook, this thread has an event loop already
        refused = thread.submit(asyncio.run, _result_of(member, stop)).result()
    if refused is not None:
        raise SettingError(refused)


async def _result_of(member: "_Chief | _OtherWorker", stop: StopRequest) -> str | None:
    """Return None as soon as all workers have arrived, or why they cannot train together."""
    until = time.monotonic() + member.seconds
    meeting = asyncio.create_task(member.meet())
    while not meeting.done():
        if stop.requested and not member.complete:
            raise KeyboardInterrupt
        if time.monotonic() > until and not member.complete:
            raise WorkerLostError(member.who_is_missing())
        await asyncio.wait([meeting], timeout=_LOOK_AFTER)
    return meeting.result()


@dataclass
class _Member:
    """A worker that comes to the meeting, and what it knows."""

    host: str
    port: int
    place: Place
    agreement: str
    secret: bytes
    seconds: float
    complete: bool = False
    """Whether all workers have arrived. They only have to be told so."""

    def proof(self, number: str, *said: object) -> str:
        """Return a proof, as hexadecimal digits, that the sender of this message knows the secret.

        `number` is the random number that the receiver has drawn, so that the proof is valid for this receiver only.
        """
        return hmac.new(self.secret, json.dumps([number, *said]).encode(), hashlib.sha256).hexdigest()

    def is_proof(self, given: object, number: str, *said: object) -> bool:
        return isinstance(given, str) and hmac.compare_digest(given.encode(), self.proof(number, *said).encode())


@dataclass
class _Chief(_Member):
    """The side of the chief. It serves all visitors at the same time, so that none of them can delay the others."""

    visitors: int = 0
    """The number of open connections. The other side of one may be a worker or anyone else."""
    present: dict[asyncio.StreamWriter, tuple[int, str]] = field(default_factory=dict)
    """The connections of the workers that have arrived: their numbers, and the ones they have drawn for the answer."""
    disagree: set[int] = field(default_factory=set)
    refused: str | None = None

    async def meet(self) -> str | None:
        with _server(self.host, self.port) as listening:
            server = await asyncio.start_server(self._serve, sock=listening, limit=_LONGEST_LINE)
            try:
                while len(self.present) < self.place.workers - 1 and self.refused is None:
                    await asyncio.sleep(_LOOK_AFTER)
                self.complete = True
                for writer, (_, number) in self.present.items():
                    self._answer(writer, number, self.refused)
                # If the workers close their connections first, the port is free again at once.
                until = time.monotonic() + _SECONDS_A_LINE
                while self.present and time.monotonic() < until:
                    await asyncio.sleep(_LOOK_AFTER)
                return self.refused
            finally:
                server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a visitor. If it has not proved within 5 seconds that it is a worker, disconnect it."""
        self.visitors += 1
        try:
            if self.visitors > _MOST_VISITORS:
                return
            number = secrets.token_hex(16)
            _say(writer, {"number": number})
            async with asyncio.timeout(_SECONDS_A_LINE):
                said = _parsed(await reader.readline())
            if self._is_welcome(said, number, writer):
                await reader.read(1)  # a worker that sends more, or disconnects, is no longer here
        except (OSError, ValueError, RecursionError):  # no answer in time, or too long or too deeply nested a line
            return
        finally:
            self.visitors -= 1
            self.present.pop(writer, None)
            writer.close()

    def _is_welcome(self, said: dict[str, object], number: str, writer: asyncio.StreamWriter) -> bool:
        """Return whether the visitor is a worker with the same agreement, which is then present."""
        worker, agreement, drawn = said.get("worker"), said.get("agreement"), said.get("number")
        if (
            not isinstance(worker, int)
            or worker not in range(1, self.place.workers)
            or not self.is_proof(said.get("proof"), number, worker, agreement, drawn)
        ):
            return False
        if agreement == self.agreement:
            for earlier in [each for each, (known, _) in self.present.items() if known == worker]:
                del self.present[earlier]
                earlier.close()
            self.present[writer] = worker, str(drawn)
            return True
        self.disagree.add(worker)
        self._answer(writer, str(drawn), _DISAGREEMENT.format(worker))
        if self.secret:  # the visitor is certainly a worker of this run
            self.refused = _DISAGREEMENT.format(worker)
        return False

    def _answer(self, writer: asyncio.StreamWriter, number: str, refused: str | None) -> None:
        _say(writer, {"refused": refused, "proof": self.proof(number, refused)})

    def who_is_missing(self) -> str:
        present = {number for number, _ in self.present.values()}
        missing = [number for number in range(1, self.place.workers) if number not in present]
        refused = sorted(self.disagree.intersection(missing))
        if refused:
            return _DISAGREEMENT.format(refused[0])
        who = f"Worker {missing[0]} has" if len(missing) == 1 else f"Workers {', '.join(map(str, missing))} have"
        return (
            f"{who} not connected within {self.seconds:g} seconds: start all {self.place.workers} workers, "
            "or use a larger --join-timeout."
        )


class _OtherWorker(_Member):
    """The side of a worker that is not the chief."""

    async def meet(self) -> str | None:
        while True:
            try:
                async with asyncio.timeout(_SECONDS_TO_CONNECT):
                    reader, writer = await asyncio.open_connection(self.host, self.port)
                with closing(writer):
                    answer = await self._ask(reader, writer)
                return None if answer["refused"] is None else str(answer["refused"])
            except (OSError, ValueError, RecursionError):  # the chief of this run is not, or not yet, at this address
                await asyncio.sleep(_LOOK_AFTER)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, object]:
        """Introduce this worker to the chief, and return the answer, which comes when all workers have arrived.

        Raises ValueError if the answer does not come from the chief of this run.
        """
        number = secrets.token_hex(16)
        drawn = str(_parsed(await reader.readline()).get("number"))
        proof = self.proof(drawn, self.place.worker, self.agreement, number)
        _say(writer, {"worker": self.place.worker, "agreement": self.agreement, "number": number, "proof": proof})
        answer = _parsed(await reader.readline())
        if "refused" not in answer or not self.is_proof(answer.get("proof"), number, answer["refused"]):
            raise ValueError("it is not the chief of this run")
        return answer

    def who_is_missing(self) -> str:
        return (
            f"Not all of the {self.place.workers} workers connected within {self.seconds:g} seconds (this is worker "
            f"{self.place.worker}, and the first one should be at {self.host}:{self.port}): start all of them, or use "
            "a larger --join-timeout."
        )


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


def _say(writer: asyncio.StreamWriter, what: dict[str, object]) -> None:
    writer.write(json.dumps(what).encode() + b"\n")
