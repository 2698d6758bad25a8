"""A real HTTP server on loopback that gives a text well, or in each of the ways in which that goes wrong."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECONDS_OF_A_STALL = 60
_SLOW_BLOCK = 2_000


@dataclass
class Asked:
    """One request, and how many bytes of the text it got."""

    path: str
    range: str | None
    sent: int = 0


class TextServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Giving)
        self.content = content
        self.others: dict[str, bytes] = {}
        """What it has beside the text, by the last part of the path."""
        self.asked: list[Asked] = []
        self.seconds_a_slow_block = 0.05
        self.closing = threading.Event()

    def address(self, way: str) -> str:
        """Where the text is given in this way: one of the methods of _Giving."""
        return f"{self.folder(way)}text.txt"

    def folder(self, way: str) -> str:
        """The same for whatever it has."""
        return f"http://127.0.0.1:{self.server_port}/{way}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is no error of the server."""


@contextmanager
def serving(content: bytes) -> Iterator[TextServer]:
    with TextServer(content) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join(5)


class _Giving(BaseHTTPRequestHandler):
    server: TextServer  # pyright: ignore[reportIncompatibleVariableOverride]
    content: bytes

    def do_GET(self) -> None:
        _, way, *_, name = self.path.split("/")
        self.content = self.server.others.get(name, self.server.content)
        self.asked = Asked(self.path, self.headers.get("Range"))
        self.server.asked.append(self.asked)
        getattr(self, way)()

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def ranges(self) -> None:
        """As most servers do."""
        content = self._head()
        self._send(content)

    def whole(self) -> None:
        """All of it, whatever was asked for."""
        self._begin(200, {"Content-Length": len(self.content)})
        self._send(self.content)

    def unannounced(self) -> None:
        """All of it, without saying how much that is."""
        self._begin(200, {})
        self._send(self.content)

    def chunked(self) -> None:
        """All of it, in pieces that tell their length."""
        self.protocol_version = "HTTP/1.1"
        self._begin(200, {"Transfer-Encoding": "chunked", "Connection": "close"})
        for begin in range(0, len(self.content), 1000):
            block = self.content[begin : begin + 1000]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block))
        self.wfile.write(b"0\r\n\r\n")

    def elsewhere(self) -> None:
        """A part that was not asked for."""
        if self.asked.range is None:
            self.whole()
            return
        size = len(self.content)
        self._begin(206, {"Content-Length": size - 1, "Content-Range": f"bytes 1-{size - 1}/{size}"})
        self._send(self.content[1:])

    def unsatisfied(self) -> None:
        """No part at all."""
        if self.asked.range is None:
            self.whole()
        else:
            self._begin(416, {"Content-Range": f"bytes */{len(self.content)}"})

    def cut(self) -> None:
        """Half of what was asked for, and the connection breaks off; a part is given to its end."""
        content = self._head()
        self._send(content if self.asked.range else content[: len(content) // 2])

    def fade(self) -> None:
        """Half of it, and nobody could say that it is not all."""
        self._begin(200, {})
        self._send(self.content[: len(self.content) // 2])

    def stall(self) -> None:
        """Half of what was asked for, and then nothing for a long time."""
        content = self._head()
        self._send(content[: len(content) // 2])
        self.server.closing.wait(SECONDS_OF_A_STALL)

    def silent(self) -> None:
        """Not a word."""
        self.server.closing.wait(SECONDS_OF_A_STALL)

    def slow(self) -> None:
        """A little at a time."""
        content = self._head()
        for begin in range(0, len(content), _SLOW_BLOCK):
            self._send(content[begin : begin + _SLOW_BLOCK])
            if self.server.closing.wait(self.server.seconds_a_slow_block):
                return

    def garbled(self) -> None:
        """As many bytes, but others."""
        self._begin(200, {"Content-Length": len(self.content)})
        self._send(bytes(len(self.content)))

    def short(self) -> None:
        """Another file, which is shorter."""
        self._begin(200, {"Content-Length": 100})
        self._send(self.content[:100])

    def long(self) -> None:
        """Another file, which is longer, and nobody says how long."""
        self._begin(200, {})
        self._send(self.content * 3)

    def missing(self) -> None:
        self.send_error(404)

    def forbidden(self) -> None:
        self.send_error(403)

    def fault(self) -> None:
        self.send_error(500)

    def often(self) -> None:
        self.send_error(429)

    def teapot(self) -> None:
        self.send_error(418)

    def moved(self) -> None:
        self._begin(302, {"Location": self.server.address("ranges")})

    def circle(self) -> None:
        self._begin(302, {"Location": self.server.address("circle")})

    def away(self) -> None:
        """To where no web page is."""
        self._begin(302, {"Location": "file:///etc/hostname"})

    def inside(self) -> None:
        """To where machines of a cloud ask for their secrets."""
        self._begin(302, {"Location": "http://169.254.169.254/secrets"})

    def bracket(self) -> None:
        """To an address that is none."""
        self._begin(302, {"Location": "http://[::1"})

    def trickle(self) -> None:
        """A letter now and then, without an end."""
        self._head()
        while not self.server.closing.wait(0.02):
            self._send(b"x")

    def trickling_head(self) -> None:
        """The same before the answer has begun."""
        self._send(b"HTTP/1.0 200 OK\r\nServer: ")
        while not self.server.closing.wait(0.02):
            self._send(b"x")

    def hang_up(self) -> None:
        """Nothing, and the connection ends."""

    def _head(self) -> bytes:
        """The answer's beginning, and what is to be sent: the part that was asked for, or all."""
        content, asked = self.content, self.asked.range
        if asked is None:
            self._begin(200, {"Content-Length": len(content)})
            return content
        begin = int(asked.removeprefix("bytes=").removesuffix("-"))
        told = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        self._begin(206, {"Content-Length": len(content) - begin, "Content-Range": told})
        return content[begin:]

    def _begin(self, status: int, headers: dict[str, object]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def _send(self, content: bytes) -> None:
        self.wfile.write(content)
        self.wfile.flush()
        self.asked.sent += len(content)
