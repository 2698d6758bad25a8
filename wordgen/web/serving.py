"""The server of the playground: listens, checks who sends a request and how large it is, and serves until it stops.

A page of another site can make a browser send requests to this server. It can also give this machine a host name of its
own (DNS rebinding). Therefore the Host header must be an IP address or a name of this machine. If the browser sends an
Origin header, it must name this server. No response has a header that allows other sites to read it.

Other users of this machine can reach the server, too. Therefore each request needs the token that the server prints
when it starts. A browser first sends the token in the address of the page, as `?token=`. The server answers with a
cookie, which the browser sends from then on, but never with a request that another site causes. Programs send the token
as `Authorization: Bearer TOKEN`.
"""

import asyncio
import ipaddress
import logging
import re
import secrets
import signal
import socket
from collections import Counter
from contextlib import suppress
from types import FrameType
from typing import ClassVar

import uvicorn
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from wordgen.errors import SettingError, reason_of
from wordgen.report.music import ABCJS_STYLE, csp_hash
from wordgen.web.answers import ModelStore
from wordgen.web.app import WorkQueue, make_app
from wordgen.web.limits import (
    HEADER_TIMEOUT_SECONDS,
    MAX_BYTES,
    MAX_CONNECTIONS,
    MAX_CONNECTIONS_PER_ADDRESS,
    MAX_DISCARDED_BYTES,
    REQUEST_TIMEOUT_SECONDS,
    RefusedError,
    ServingSettings,
    error_response,
    is_loopback,
)

_SHUTDOWN_SECONDS = 2
_RESPONSE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    f"style-src 'self' {csp_hash(ABCJS_STYLE)}; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HOST = re.compile(r"(\[(?P<v6>[^]]+)]|(?P<name>[^:@/]+))(:\d+)?")


def listen(settings: ServingSettings) -> socket.socket:
    """Return a socket that listens on the host and port. Raises SettingError with the reason if that fails."""
    try:
        family, *_, address = socket.getaddrinfo(
            settings.host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=1024)  # pyright: ignore[reportArgumentType]
    except (OSError, UnicodeError) as error:
        reason = reason_of(error).partition(" (while attempting")[0]
        raise SettingError(
            f"wordgen cannot listen on {settings.host or 'all addresses'}, port {settings.port} ({reason}): give "
            "another --port (0 chooses a free one), or another --host."
        ) from error


def address_of(listening: socket.socket) -> str:
    host, port = str(listening.getsockname()[0]), listening.getsockname()[1]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(listening: socket.socket, store: ModelStore, settings: ServingSettings, token: str) -> None:
    """Answer requests until Ctrl-C or SIGTERM."""
    queue = WorkQueue(settings)
    config = uvicorn.Config(
        Guard(make_app(store, queue, settings), settings.host, token),
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_level=logging.ERROR,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    try:
        _Server(config, queue).run(sockets=[listening])
    finally:
        queue.close()


class _Protocol(H11Protocol):
    """Closes connections that send no headers in time, and those of an address of another machine that has too many."""

    _open: ClassVar[Counter[str]] = Counter()
    _address = ""
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._address = str((transport.get_extra_info("peername") or ("",))[0])
        self._open[self._address] += 1
        if self._open[self._address] > MAX_CONNECTIONS_PER_ADDRESS and not is_loopback(self._address):
            transport.abort()
        self._update_timer()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._update_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._update_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._open[self._address] -= 1
        if not self._open[self._address]:
            del self._open[self._address]
        self._update_timer()

    def _update_timer(self) -> None:
        """Start the timer for the headers when no request is being answered; stop it when one is.

        A timer that is already running is not restarted, so a client cannot extend the time by sending slowly.
        """
        answering = bool(self.cycle) and not self.cycle.response_complete  # None before the first request
        if answering or self.transport.is_closing():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
        elif self._timer is None:
            self._timer = self.loop.call_later(HEADER_TIMEOUT_SECONDS, self.transport.abort)


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


class _DisconnectedError(Exception):
    """Raised when the client disconnects before its whole request has arrived."""


class Guard:
    def __init__(self, app: ASGIApp, host: str, token: str) -> None:
        """Protect `app`, which is reached at `host`. Each request must come with `token`."""
        self._app = app
        self._token = token
        self._allowed_hosts = {"localhost", host.lower(), socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_RESPONSE_HEADERS)
            await send(message)

        try:
            self._check_headers(Headers(scope=scope))
            if scope["path"] == "/" and (cookie := self._cookie_for(scope)):
                # Others could see the token in the address, and the browser would keep it in its history.
                without_token = Response(status_code=303, headers={"Location": "/", "Set-Cookie": cookie})
                await without_token(scope, receive, send_with_headers)
                return
            self._check_token(scope)
            body = await _read_body(receive, Headers(scope=scope))
        except _DisconnectedError:
            return
        except RefusedError as refused:
            status, content, headers = error_response(refused)
            await JSONResponse(content, status, {**headers, "Connection": "close"})(scope, receive, send_with_headers)
            return
        await _run_until_disconnect(self._app, scope, body, receive, send_with_headers)

    def _check_headers(self, headers: Headers) -> None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_allowed_host(hosts[0]):
            raise RefusedError(
                400, "Use the address of this server, for example http://127.0.0.1:8000, and no other host name."
            )
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != hosts[0].lower():
            raise RefusedError(403, "Pages of other sites may not send requests to this server.")

    def _check_token(self, scope: Scope) -> None:
        connection = HTTPConnection(scope)
        given = [
            connection.cookies.get(_cookie_name(scope)),
            _bearer_token(connection.headers.get("authorization", "")),
        ]
        if not any(map(self._is_token, given)):
            raise RefusedError(
                403,
                "This playground needs a token: open the address that wordgen serve has printed, or send the header "
                "Authorization: Bearer TOKEN.",
            )

    def _cookie_for(self, scope: Scope) -> str | None:
        """Return a Set-Cookie header if the address of the request contains the token, else None."""
        if not self._is_token(HTTPConnection(scope).query_params.get("token")):
            return None
        return f"{_cookie_name(scope)}={self._token}; HttpOnly; SameSite=Strict; Path=/"

    def _is_token(self, given: str | None) -> bool:
        return given is not None and secrets.compare_digest(given.encode(), self._token.encode())

    def _is_allowed_host(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match["v6"] or match["name"]
        try:
            ipaddress.ip_address(name)  # DNS rebinding needs a host name, so any address is safe
        except ValueError:
            return name.lower().rstrip(".") in self._allowed_hosts
        return True


def _cookie_name(scope: Scope) -> str:
    """Return the name of the cookie. It contains the port because browsers send cookies to all ports of a host."""
    return f"wordgen-{scope['server'][1]}"


def _bearer_token(authorization: str) -> str | None:
    kind, _, token = authorization.partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


async def _read_body(receive: Receive, headers: Headers) -> bytes:
    """Return the body of a request.

    Raises RefusedError if the body is larger than MAX_BYTES (413), or if it has not arrived completely after
    REQUEST_TIMEOUT_SECONDS (408). A body that is too large never reaches the app: its first
    MAX_DISCARDED_BYTES bytes are read and discarded, or none if its Content-Length is larger than that. Raises
    _DisconnectedError if the client disconnects.
    """
    length = int(headers.get("content-length", "0"))
    parts: list[bytes] = []
    size = 0
    if length <= MAX_DISCARDED_BYTES:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
                while size <= MAX_DISCARDED_BYTES:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise _DisconnectedError
                    part = message.get("body", b"")
                    size += len(part)
                    if size <= MAX_BYTES:
                        parts.append(part)
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise RefusedError(408, "The request did not arrive in time: send it again.") from None
    if size > MAX_BYTES or length > MAX_BYTES:
        raise RefusedError(413, f"The request has more than {MAX_BYTES // 1024} kB: send less text.")
    return b"".join(parts)


async def _run_until_disconnect(app: ASGIApp, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
    """Run the app until it has answered. Cancel it if the client disconnects before that."""
    was_read = False

    async def receive_once() -> Message:
        nonlocal was_read
        if was_read:
            await asyncio.Event().wait()  # the app need not watch for a disconnect: _wait_for_disconnect does
        was_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    answering = asyncio.ensure_future(app(scope, receive_once, send))
    leaving = asyncio.ensure_future(_wait_for_disconnect(receive))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            answering.result()
    finally:
        for task in (answering, leaving):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await answering


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
