"""The server: listens, serves until it is stopped, and then is gone at once."""

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
from wordgen.web.app import make_app
from wordgen.web.limits import (
    MOST_CONNECTIONS,
    MOST_CONNECTIONS_OF_AN_ADDRESS,
    SECONDS_FOR_HEADERS,
    ServingSettings,
    is_loopback,
)
from wordgen.web.shelf import Shelf
from wordgen.web.turns import Turns

_SECONDS_TO_LEAVE = 2


def listen(settings: ServingSettings) -> socket.socket:
    """A socket that listens; why it cannot is said in a sentence."""
    try:
        family, *_, address = socket.getaddrinfo(
            settings.host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=1024)  # pyright: ignore[reportArgumentType]
    except (OSError, UnicodeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingError(
            f"Nothing can listen on {settings.host}, port {settings.port} ({reason}): take another --port, or 0 for "
            "any that is free."
        ) from error


def address_of(listening: socket.socket) -> str:
    host, port = str(listening.getsockname()[0]), listening.getsockname()[1]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(listening: socket.socket, shelf: Shelf, settings: ServingSettings, version: str, token: str) -> None:
    """Until Ctrl-C or SIGTERM."""
    turns = Turns(settings)
    config = uvicorn.Config(
        make_app(shelf, turns, settings, version, token),  # pyright: ignore[reportArgumentType]
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
        _Server(config, turns).run(sockets=[listening])
    finally:
        turns.close()


class _Protocol(H11Protocol):
    """Closes a connection that does not send a request in time, and those of an address that has too many."""

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
        """Wait for headers while no request is being answered, from the moment when that begins."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering or self.transport.is_closing():
            if self._deadline is not None:
                self._deadline.cancel()
            self._deadline = None
        elif self._deadline is None:
            self._deadline = self.loop.call_later(SECONDS_FOR_HEADERS, self.transport.abort)


class _Server(uvicorn.Server):
    """Lets go of all work at the first signal, and returns instead of dying by it."""

    def __init__(self, config: uvicorn.Config, turns: Turns) -> None:
        super().__init__(config)
        self._turns = turns

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """In the midst of anything, so nothing is done here that could wait for a lock."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._turns.close()
        await super().shutdown(sockets)
