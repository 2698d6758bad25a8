"""Stands before the playground: who may ask, how much may be sent, and that nobody is served who has gone.

A page on another site can make a browser send requests here, and can call this machine by a name of its own (DNS
rebinding). So the Host must be an address or a name of this machine, and where the browser tells the Origin, it must
be this same server. No header ever lets another site read an answer.

Other users of this machine can reach it, too. So each request needs the token that only the start of the server
prints: as `?token=` of the page's address, which is answered with a cookie, then by that cookie; programs send it as
`Authorization: Bearer TOKEN`. The cookie is never sent along with a request that another site causes.
"""

import asyncio
import ipaddress
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response

from wordgen.web.limits import MOST_BYTES, MOST_BYTES_THROWN_AWAY, SECONDS_FOR_A_REQUEST_TO_COME
from wordgen.web.refusals import RefusedError, answer_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_EVERY_ANSWER = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


_HOST = re.compile(r"(\[(?P<v6>[^]]+)]|(?P<name>[^:@/]+))(:\d+)?")


class _GoneError(Exception):
    """The client has left before its request was there."""


class Guard:
    def __init__(self, app: App, host: str, token: str) -> None:
        """Before an app that listens on a host."""
        self._app = app
        self._token = token
        self._own_names = {"localhost", host.lower(), socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_EVERY_ANSWER)
            await send(message)

        try:
            self._check(Headers(scope=scope))
            if scope["path"] == "/" and (cookie := self._cookie_for(scope)):
                await _start_page(cookie)(scope, receive, send_with_headers)
                return
            self._check_token(scope)
            body = await _whole_body(receive, Headers(scope=scope))
        except _GoneError:
            return
        except RefusedError as refused:
            status, content, headers = answer_of(refused)
            await JSONResponse(content, status, {**headers, "Connection": "close"})(scope, receive, send_with_headers)
            return
        await _while_there(self._app, scope, body, receive, send_with_headers)

    def _check(self, headers: Headers) -> None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_own(hosts[0]):
            raise RefusedError(
                400, "This server is called by its address, as http://127.0.0.1:8000, and not by any other name."
            )
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != hosts[0].lower():
            raise RefusedError(403, "Pages of other sites may not ask this server.")

    def _check_token(self, scope: Scope) -> None:
        connection = HTTPConnection(scope)
        given = [connection.cookies.get(_cookie_name(scope)), _bearer(connection.headers.get("authorization", ""))]
        if not any(map(self._is_token, given)):
            raise RefusedError(
                403,
                "This playground asks for its token: open the address that wordgen serve has printed, or send the "
                "header Authorization: Bearer TOKEN.",
            )

    def _cookie_for(self, scope: Scope) -> str | None:
        """The cookie for a browser whose address has the token in it."""
        if not self._is_token(HTTPConnection(scope).query_params.get("token")):
            return None
        return f"{_cookie_name(scope)}={self._token}; HttpOnly; SameSite=Strict; Path=/"

    def _is_token(self, given: str | None) -> bool:
        return given is not None and secrets.compare_digest(given.encode(), self._token.encode())

    def _is_own(self, host: str) -> bool:
        told = _HOST.fullmatch(host)
        if told is None:
            return False
        name = told["v6"] or told["name"]
        try:
            ipaddress.ip_address(name)  # no name that could be made to lead elsewhere
        except ValueError:
            return name.lower().rstrip(".") in self._own_names
        return True


def _cookie_name(scope: Scope) -> str:
    """Another one for each port: browsers send cookies to all ports of a host."""
    return f"wordgen-{scope['server'][1]}"


def _bearer(authorization: str) -> str | None:
    kind, _, token = authorization.partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def _start_page(cookie: str) -> Response:
    """The same page without the token in its address, where it would be seen and kept."""
    return Response(status_code=303, headers={"Location": "/", "Set-Cookie": cookie})


async def _whole_body(receive: Receive, headers: Headers) -> bytes:
    """What was sent, unless it is too much: that is taken in and forgotten, before anything reads it."""
    told = headers.get("content-length", "0")
    parts: list[bytes] = []
    size = 0
    if not (told.isdecimal() and int(told) > MOST_BYTES_THROWN_AWAY):
        try:
            async with asyncio.timeout(SECONDS_FOR_A_REQUEST_TO_COME):
                while size <= MOST_BYTES_THROWN_AWAY:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise _GoneError
                    part = message.get("body", b"")
                    size += len(part)
                    if size <= MOST_BYTES:
                        parts.append(part)
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise RefusedError(408, "The request did not come in time: send it again.") from None
    if size > MOST_BYTES or int(told) > MOST_BYTES:
        raise RefusedError(413, f"That is more than the {MOST_BYTES // 1024} kB that are read at once: send less text.")
    return b"".join(parts)


async def _while_there(app: App, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
    """Let the app answer for as long as somebody waits for it; then it is cancelled wherever it stands."""
    read = False

    async def receive_once() -> Message:
        nonlocal read
        if read:
            await asyncio.Event().wait()  # the app need not look whether the client is there: that is done here
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    answering = asyncio.ensure_future(app(scope, receive_once, send))
    leaving = asyncio.ensure_future(_until_gone(receive))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            answering.result()
    finally:
        for task in (answering, leaving):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await answering


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
