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
import re
import secrets
import socket
import time
from collections.abc import Generator, Mapping
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
_ADDRESS = re.compile(r".+:\d+")
_POLL_SECONDS = 0.1
_CONNECT_TIMEOUT_SECONDS = 1.0
_MAX_LINE_BYTES = 4096
_LINE_TIMEOUT_SECONDS = 5.0
_MAX_CONNECTIONS = 500
_DIFFERENT_SETTINGS_MESSAGE = (
    "The workers are not the same: worker {} has other settings, another text or another version of wordgen than the "
    "first. Start all of them with the same command."
)


@dataclass(frozen=True)
class WorkerInfo:
    """The number of this process among the workers. Workers count from 0, and worker 0 is the chief."""

    worker: int = 0
    workers: int = 1
    source: Literal["alone", "TF_CONFIG", "SLURM"] = "alone"

    @property
    def is_chief(self) -> bool:
        return self.worker == 0


def warning_about_ports(worker_info: WorkerInfo) -> str | None:
    """Return a warning if others may reach the ports of the workers, unless `launch` has dealt with them."""
    if worker_info.workers == 1 or os.environ.get(PORTS):
        return None
    return (
        "TensorFlow's workers listen on all networks of their machines: anyone who can reach the port of a worker can "
        "read and write your files. Make sure that only the other workers can reach it (see docs/scaling-out.md)."
    )


def find_worker_info(settings: DeviceSettings, environment: Mapping[str, str] = os.environ) -> WorkerInfo:
    """Return the number of this process among the workers, according to TF_CONFIG or SLURM.

    Without `--distribute multiworker` the process trains alone. Raises SettingError if the environment does not say who
    the workers are, or if TF_CONFIG names several workers and `distribute` is "auto".
    """
    if settings.distribute != "multiworker":
        named = settings.distribute == "auto" and '"cluster"' in environment.get("TF_CONFIG", "")
        worker_info = _from_tf_config(environment["TF_CONFIG"]) if named else WorkerInfo()
        if worker_info.workers > 1:
            raise SettingError(
                f"TF_CONFIG names {worker_info.workers} workers: add --distribute multiworker to train with all of "
                "them, or --distribute none to train only on this machine."
            )
        return WorkerInfo()
    if environment.get("TF_CONFIG"):
        return _from_tf_config(environment["TF_CONFIG"])
    if "SLURM_PROCID" in environment and "SLURM_STEP_NUM_TASKS" in environment:
        return WorkerInfo(int(environment["SLURM_PROCID"]), int(environment["SLURM_STEP_NUM_TASKS"]), "SLURM")
    raise SettingError(
        "--distribute multiworker needs TF_CONFIG or srun to know the other workers: "
        "try  wordgen launch --workers 2 -- --corpus ...  or see docs/scaling-out.md."
    )


def _from_tf_config(text: str) -> WorkerInfo:
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        chiefs = cluster.get("chief", [])
        addresses = [*chiefs, *cluster.get("worker", [])]
        if not addresses or not all(map(_ADDRESS.fullmatch, addresses)):
            raise ValueError("there are no workers, or one of them has no host or no port")
        first_number = {"chief": 0, "worker": len(chiefs)}[task["type"]]
        worker_info = WorkerInfo(first_number + int(task["index"]), len(addresses), "TF_CONFIG")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingError(
            'TF_CONFIG must be JSON like {"cluster": {"worker": ["host:port", ...]}, '
            '"task": {"type": "worker", "index": 0}}, with other numbers on other workers.'
        ) from error
    if not 0 <= worker_info.worker < worker_info.workers:
        raise SettingError(
            f"TF_CONFIG says that this is worker {worker_info.worker} of {worker_info.workers}: the number must be 0 "
            f"to {worker_info.workers - 1}."
        )
    return worker_info


def rendezvous(
    address: str, worker_info: WorkerInfo, checksum: str, seconds: float, stop: StopRequest, secret: str | None = None
) -> None:
    """Wait until all workers have arrived with the same checksum.

    `address` is that of the chief, as host:port. `checksum` is that of everything that all workers must have in common.
    `secret` is by default the value of the environment variable WORDGEN_SECRET. Raises WorkerLostError if a worker is
    missing after the given number of seconds, SettingError if the checksums differ, and KeyboardInterrupt after
    Ctrl-C.
    """
    host, _, port = address.rpartition(":")
    secret_text = os.environ.get(SECRET, "") if secret is None else secret
    kind = _Chief if worker_info.is_chief else _OtherWorker
    member = kind(host.strip("[]"), int(port), worker_info, checksum, secret_text.encode(), seconds)
    with ThreadPoolExecutor(1) as thread:  # in a notebook, this thread has an event loop already
        refusal = thread.submit(asyncio.run, _wait_for_result(member, stop)).result()
    if refusal is not None:
        raise SettingError(refusal)


async def _wait_for_result(member: "_Chief | _OtherWorker", stop: StopRequest) -> str | None:
    """Return None as soon as all workers have arrived, or why they cannot train together."""
    deadline = time.monotonic() + member.seconds
    meeting = asyncio.create_task(member.rendezvous())
    while not meeting.done():
        if stop.requested and not member.all_arrived:
            raise KeyboardInterrupt
        if time.monotonic() > deadline and not member.all_arrived:
            raise WorkerLostError(member.missing_workers_message())
        await asyncio.wait([meeting], timeout=_POLL_SECONDS)
    return meeting.result()


@dataclass
class _Member:
    """A worker that comes to the meeting, and what it knows."""

    host: str
    port: int
    worker_info: WorkerInfo
    checksum: str
    secret: bytes
    seconds: float
    all_arrived: bool = False
    """Whether all workers have arrived. Only the answers to them are still to be sent."""

    def proof(self, nonce: str, *message: object) -> str:
        """Return a proof, as hexadecimal digits, that the sender of this message knows the secret.

        `nonce` is the random number that the receiver has drawn, so that the proof is valid for this receiver only.
        """
        return hmac.new(self.secret, json.dumps([nonce, *message]).encode(), hashlib.sha256).hexdigest()

    def is_valid_proof(self, given: object, nonce: str, *message: object) -> bool:
        return isinstance(given, str) and hmac.compare_digest(given.encode(), self.proof(nonce, *message).encode())


@dataclass
class _Chief(_Member):
    """The side of the chief. It serves all connections at the same time, so that none of them can delay the others."""

    connections: int = 0
    """The number of open connections. The other side of one may be a worker or anyone else."""
    present: dict[asyncio.StreamWriter, tuple[int, str]] = field(default_factory=dict)
    """The connections of the workers that have arrived: their numbers and their nonces."""
    different_workers: set[int] = field(default_factory=set)
    refusal: str | None = None

    async def rendezvous(self) -> str | None:
        with _server(self.host, self.port) as listening:
            server = await asyncio.start_server(self._serve, sock=listening, limit=_MAX_LINE_BYTES)
            try:
                while len(self.present) < self.worker_info.workers - 1 and self.refusal is None:
                    await asyncio.sleep(_POLL_SECONDS)
                self.all_arrived = True
                for writer, (_, nonce) in self.present.items():
                    self._answer(writer, nonce, self.refusal)
                # If the workers close their connections first, the port is free again at once.
                deadline = time.monotonic() + _LINE_TIMEOUT_SECONDS
                while self.present and time.monotonic() < deadline:
                    await asyncio.sleep(_POLL_SECONDS)
                return self.refusal
            finally:
                server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a visitor. If it has not proved within 5 seconds that it is a worker, disconnect it."""
        self.connections += 1
        try:
            if self.connections > _MAX_CONNECTIONS:
                return
            nonce = secrets.token_hex(16)
            _send(writer, {"nonce": nonce})
            async with asyncio.timeout(_LINE_TIMEOUT_SECONDS):
                message = _parse(await reader.readline())
            if self._accept_worker(message, nonce, writer):
                await reader.read(1)  # a worker that sends more, or disconnects, is no longer here
        except (OSError, ValueError, RecursionError):  # no answer in time, or too long or too deeply nested a line
            return
        finally:
            self.connections -= 1
            self.present.pop(writer, None)
            writer.close()

    def _accept_worker(self, message: dict[str, object], nonce: str, writer: asyncio.StreamWriter) -> bool:
        """Return whether the visitor is a worker with the same checksum. If so, it counts as present."""
        worker, checksum, worker_nonce = message.get("worker"), message.get("checksum"), message.get("nonce")
        if (
            not isinstance(worker, int)
            or worker not in range(1, self.worker_info.workers)
            or not self.is_valid_proof(message.get("proof"), nonce, worker, checksum, worker_nonce)
        ):
            return False
        if checksum == self.checksum:
            for earlier in [each for each, (known, _) in self.present.items() if known == worker]:
                del self.present[earlier]
                earlier.close()
            self.present[writer] = worker, str(worker_nonce)
            return True
        self.different_workers.add(worker)
        self._answer(writer, str(worker_nonce), _DIFFERENT_SETTINGS_MESSAGE.format(worker))
        if self.secret:  # the visitor is certainly a worker of this run
            self.refusal = _DIFFERENT_SETTINGS_MESSAGE.format(worker)
        return False

    def _answer(self, writer: asyncio.StreamWriter, nonce: str, refusal: str | None) -> None:
        _send(writer, {"refusal": refusal, "proof": self.proof(nonce, refusal)})

    def missing_workers_message(self) -> str:
        present = {number for number, _ in self.present.values()}
        missing = [number for number in range(1, self.worker_info.workers) if number not in present]
        different = sorted(self.different_workers.intersection(missing))
        if different:
            return _DIFFERENT_SETTINGS_MESSAGE.format(different[0])
        who = f"Worker {missing[0]} has" if len(missing) == 1 else f"Workers {', '.join(map(str, missing))} have"
        return (
            f"{who} not connected within {self.seconds:g} seconds: start all {self.worker_info.workers} workers, "
            "or use a larger --join-timeout."
        )


class _OtherWorker(_Member):
    """The side of a worker that is not the chief."""

    async def rendezvous(self) -> str | None:
        while True:
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT_SECONDS):
                    reader, writer = await asyncio.open_connection(self.host, self.port)
                with closing(writer):
                    answer = await self._ask(reader, writer)
                return None if answer["refusal"] is None else str(answer["refusal"])
            except (OSError, ValueError, RecursionError):  # the chief of this run is not, or not yet, at this address
                await asyncio.sleep(_POLL_SECONDS)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, object]:
        """Introduce this worker to the chief, and return the answer, which comes when all workers have arrived.

        Raises ValueError if the answer does not come from the chief of this run.
        """
        nonce = secrets.token_hex(16)
        chief_nonce = str(_parse(await reader.readline()).get("nonce"))
        proof = self.proof(chief_nonce, self.worker_info.worker, self.checksum, nonce)
        _send(writer, {"worker": self.worker_info.worker, "checksum": self.checksum, "nonce": nonce, "proof": proof})
        answer = _parse(await reader.readline())
        if "refusal" not in answer or not self.is_valid_proof(answer.get("proof"), nonce, answer["refusal"]):
            raise ValueError("it is not the chief of this run")
        return answer

    def missing_workers_message(self) -> str:
        return (
            f"Not all of the {self.worker_info.workers} workers connected within {self.seconds:g} seconds (this is "
            f"worker {self.worker_info.worker}, and the first one should be at {self.host}:{self.port}): start all of "
            "them, or use a larger --join-timeout."
        )


@contextmanager
def _server(host: str, port: int) -> Generator[socket.socket]:
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
            dual_stack = socket.has_dualstack_ipv6()
            server = socket.create_server(
                ("", port), family=socket.AF_INET6 if dual_stack else socket.AF_INET, dualstack_ipv6=dual_stack
            )
    except OSError as error:
        raise WorkerLostError(
            f"The workers cannot use port {port} of this machine ({error.strerror}): stop an earlier run that may "
            "still use it, or choose another port."
        ) from error
    with server:
        server.setblocking(False)
        yield server


def _parse(line: bytes) -> dict[str, object]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _send(writer: asyncio.StreamWriter, message: dict[str, object]) -> None:
    writer.write(json.dumps(message).encode() + b"\n")
