"""The server of the playground: listens, serves until it is stopped, and then closes quickly."""

import asyncio
import logging
import signal
import socket
from collections import Counter
from types import FrameType
from typing import ClassVar

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from wordgen.errors import SettingError
from wordgen.web.answers import ModelStore
from wordgen.web.app import make_app
from wordgen.web.limits import (
    MOST_CONNECTIONS,
    MOST_CONNECTIONS_OF_AN_ADDRESS,
    SECONDS_FOR_HEADERS,
    ServingSettings,
    is_loopback,
)
from wordgen.web.work_queue import WorkQueue

_SECONDS_TO_LEAVE = 2


def listen(settings: ServingSettings) -> socket.socket:
    """Return a socket that listens on the host and port. Raises SettingError with the reason if that fails."""
    try:
        family, *_, address = socket.getaddrinfo(
            settings.host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=1024)  # pyright: ignore[reportArgumentType]
    except (OSError, UnicodeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingError(
            f"wordgen cannot listen on {settings.host}, port {settings.port} ({reason}): give another --port, or "
            "--port 0 for any free port."
        ) from error


def address_of(listening: socket.socket) -> str:
    host, port = str(listening.getsockname()[0]), listening.getsockname()[1]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(listening: socket.socket, store: ModelStore, settings: ServingSettings, version: str, token: str) -> None:
    """Answer requests until Ctrl-C or SIGTERM."""
    queue = WorkQueue(settings)
    config = uvicorn.Config(
        make_app(store, queue, settings, version, token),  # pyright: ignore[reportArgumentType]
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_level=logging.ERROR,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=_SECONDS_TO_LEAVE,
    )
    try:
        _Server(config, queue).run(sockets=[listening])
    finally:
        queue.close()


class _Protocol(H11Protocol):
    """Closes a connection that does not send the headers of a request in time.

    Also closes each new connection from an address of another machine that already has the most allowed connections.
    """

    _open: ClassVar[Counter[str]] = Counter()
    _address = ""
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._address = str((transport.get_extra_info("peername") or ("",))[0])
        self._open[self._address] += 1
        if self._open[self._address] > MOST_CONNECTIONS_OF_AN_ADDRESS and not is_loopback(self._address):
            transport.abort()
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._open[self._address] -= 1
        if not self._open[self._address]:
            del self._open[self._address]
        self._watch()

    def _watch(self) -> None:
        """Start the timer for the headers when no request is being answered; stop it when one is.

        A timer that is already running is not restarted, so a client cannot extend the time by sending slowly.
        """
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering or self.transport.is_closing():
            if self._deadline is not None:
                self._deadline.cancel()
            self._deadline = None
        elif self._deadline is None:
            self._deadline = self.loop.call_later(SECONDS_FOR_HEADERS, self.transport.abort)


class _Server(uvicorn.Server):
    """Stops all work at the first signal. `run` then returns normally, so the signal does not kill the process."""

    def __init__(self, config: uvicorn.Config, queue: WorkQueue) -> None:
        super().__init__(config)
        self._queue = queue

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note a signal. A signal can interrupt any code, so this method does nothing that could wait for a lock."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._queue.close()
        await super().shutdown(sockets)
