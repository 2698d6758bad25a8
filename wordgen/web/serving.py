"""The server: listens, serves until it is stopped, and then is gone at once."""

import logging
import signal
import socket
from types import FrameType

import uvicorn

from wordgen.errors import SettingError
from wordgen.web.app import make_app
from wordgen.web.limits import ServingSettings
from wordgen.web.shelf import Shelf
from wordgen.web.turns import Turns

_MOST_CONNECTIONS = 500
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


def serve(listening: socket.socket, shelf: Shelf, settings: ServingSettings, version: str) -> None:
    """Until Ctrl-C or SIGTERM."""
    turns = Turns(settings)
    config = uvicorn.Config(
        make_app(shelf, turns, settings, version),  # pyright: ignore[reportArgumentType]
        http="h11",
        ws="none",
        lifespan="off",
        log_level=logging.ERROR,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_SECONDS_TO_LEAVE,
    )
    try:
        _Server(config, turns).run(sockets=[listening])
    finally:
        turns.close()


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
