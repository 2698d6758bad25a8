"""The workers meet before TensorFlow does, at the chief's address.

TensorFlow waits for missing workers in native code, without end and deaf to Ctrl-C. So they say hello here
first, in a few lines of JSON: who is missing can be named, a time limit holds, and workers that were given
different commands are refused before anything is made.
"""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from wordgen.errors import SettingError, WorkerLostError
from wordgen.training.stopping import StopRequest
from wordgen.training.workers import Place

_LOOK_AFTER = 0.1
_LONGEST_HELLO = 4096
_SECONDS_A_LINE = 5.0
_DISAGREEMENT = (
    "The workers do not agree: worker {} has other settings, another text or another wordgen than the first. "
    "Give all of them the same command."
)


def meet(address: str, place: Place, agreement: str, seconds: float, stop: StopRequest) -> None:
    """Come back when all workers are there and want the same; `address` is the chief's, as host:port."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + seconds
    if place.chief:
        _receive(int(port), place, agreement, deadline, seconds, stop)
    else:
        _go_to(host.strip("[]"), int(port), place, agreement, deadline, seconds, stop)


def _receive(port: int, place: Place, agreement: str, deadline: float, seconds: float, stop: StopRequest) -> None:
    with ExitStack() as closing:
        server = closing.enter_context(_server(port))
        present: dict[int, socket.socket] = {}
        while True:
            for number in [number for number, visitor in present.items() if _has_left(visitor)]:
                present.pop(number).close()
            if len(present) == place.workers - 1:
                break
            _check(stop)
            if time.monotonic() > deadline:
                missing = [str(number) for number in range(1, place.workers) if number not in present]
                who = f"Worker {missing[0]} has" if len(missing) == 1 else f"Workers {', '.join(missing)} have"
                raise WorkerLostError(
                    f"{who} not appeared within {seconds:g} seconds: start all {place.workers} workers, or wait "
                    "longer with --join-timeout."
                )
            visitor = _next_visitor(server)
            if visitor is None:
                continue
            closing.callback(visitor.close)
            hello = _line(visitor)
            if not _is_worker(hello, place):
                continue
            if hello["agreement"] != agreement:
                sentence = _DISAGREEMENT.format(hello["worker"])
                for each in [visitor, *present.values()]:
                    _tell(each, {"refused": sentence})
                raise SettingError(sentence)
            present[hello["worker"]] = visitor
        for visitor in present.values():
            _tell(visitor, {"refused": None})
        for visitor in present.values():
            _line(visitor)  # they hang up first, and the port is free at once


def _go_to(
    host: str, port: int, place: Place, agreement: str, deadline: float, seconds: float, stop: StopRequest
) -> None:
    while time.monotonic() < deadline:
        _check(stop)
        try:
            with socket.create_connection((host, port), timeout=_LOOK_AFTER * 10) as chief:
                _tell(chief, {"worker": place.worker, "agreement": agreement})
                answer = _answer(chief, deadline, stop)
        except OSError:
            answer = {}
        if "refused" in answer:
            if answer["refused"] is not None:
                raise SettingError(str(answer["refused"]))
            return
        time.sleep(_LOOK_AFTER)
    raise WorkerLostError(
        f"Not all of the {place.workers} workers appeared within {seconds:g} seconds (this is worker {place.worker}, "
        f"and the first should be at {host}:{port}): start them all, or wait longer with --join-timeout."
    )


def _answer(chief: socket.socket, deadline: float, stop: StopRequest) -> dict[str, Any]:
    chief.settimeout(_LOOK_AFTER)
    received = b""
    while time.monotonic() < deadline and not received.endswith(b"\n"):
        _check(stop)
        try:
            more = chief.recv(_LONGEST_HELLO)
        except TimeoutError:
            continue
        if not more:
            return {}
        received += more
    return _parsed(received)


@contextmanager
def _server(port: int) -> Iterator[socket.socket]:
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        server = socket.create_server(("", port), family=family, dualstack_ipv6=both)
    except OSError as error:
        raise WorkerLostError(
            f"The workers cannot meet at port {port} of this machine ({error.strerror}): is an earlier run still going?"
        ) from error
    with server:
        server.settimeout(_LOOK_AFTER)
        yield server


def _next_visitor(server: socket.socket) -> socket.socket | None:
    try:
        visitor, _ = server.accept()
    except TimeoutError:
        return None
    return visitor


def _line(visitor: socket.socket) -> dict[str, Any]:
    """What a visitor says; nothing where it is no hello of ours."""
    visitor.settimeout(_SECONDS_A_LINE)
    received = b""
    try:
        while not received.endswith(b"\n") and len(received) < _LONGEST_HELLO:
            more = visitor.recv(_LONGEST_HELLO)
            if not more:
                return {}
            received += more
    except OSError:
        return {}
    return _parsed(received)


def _is_worker(hello: dict[str, Any], place: Place) -> bool:
    return hello.get("worker") in range(1, place.workers) and "agreement" in hello


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _tell(other: socket.socket, what: dict[str, Any]) -> None:
    try:
        other.sendall(json.dumps(what).encode() + b"\n")
    except OSError:  # it has left; whoever waits for it will notice
        return


def _has_left(visitor: socket.socket) -> bool:
    visitor.setblocking(False)
    try:
        return visitor.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _check(stop: StopRequest) -> None:
    if stop.requested:
        raise KeyboardInterrupt
