"""A real HTTP server on loopback that serves a text correctly or with one of many faults."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STALL_SECONDS = 60
_BLOCK_BYTES = 2_000


@dataclass
class Request:
    """A request, and the number of bytes that were sent."""

    path: str
    range: str | None
    sent: int = 0


class TextServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.other_files: dict[str, bytes] = {}
        """Other files, by the last part of the path."""
        self.requests: list[Request] = []
        self.seconds_per_block = 0.05
        self.closing = threading.Event()

    def address(self, way: str) -> str:
        """Return the address of the text. `way` is the name of a method of _Handler."""
        return f"{self.folder(way)}text.txt"

    def folder(self, way: str) -> str:
        """Return the address of the folder with all files."""
        return f"http://127.0.0.1:{self.server_port}/{way}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore errors: a client that disconnects is not an error of the server."""


@contextmanager
def serve_text(content: bytes) -> Generator[TextServer]:
    with TextServer(content) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    server: TextServer  # pyright: ignore[reportIncompatibleVariableOverride]
    content: bytes

    def do_GET(self) -> None:
        _, way, *_, name = self.path.split("/")
        self.content = self.server.other_files.get(name, self.server.content)
        self.received = Request(self.path, self.headers.get("Range"))
        self.server.requests.append(self.received)
        getattr(self, way)()

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def ranges(self) -> None:
        """Send the requested range, as most servers do."""
        content = self._head()
        self._send(content)

    def whole(self) -> None:
        """Send the whole text, also if a range is requested."""
        self._begin(200, {"Content-Length": len(self.content)})
        self._send(self.content)

    def unannounced(self) -> None:
        """Send the whole text without its length."""
        self._begin(200, {})
        self._send(self.content)

    def chunked(self) -> None:
        """Send the whole text in chunks."""
        self.protocol_version = "HTTP/1.1"
        self._begin(200, {"Transfer-Encoding": "chunked", "Connection": "close"})
        for begin in range(0, len(self.content), 1000):
            block = self.content[begin : begin + 1000]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block))
        self.wfile.write(b"0\r\n\r\n")

    def elsewhere(self) -> None:
        """Send another range than the requested one."""
        if self.received.range is None:
            self.whole()
            return
        size = len(self.content)
        self._begin(206, {"Content-Length": size - 1, "Content-Range": f"bytes 1-{size - 1}/{size}"})
        self._send(self.content[1:])

    def unsatisfied(self) -> None:
        """Refuse every range with status 416."""
        if self.received.range is None:
            self.whole()
        else:
            self._begin(416, {"Content-Range": f"bytes */{len(self.content)}"})

    def cut(self) -> None:
        """Close the connection after half of the text, but send a requested range completely."""
        content = self._head()
        self._send(content if self.received.range else content[: len(content) // 2])

    def fade(self) -> None:
        """Send half of the text without a length, so the client cannot notice."""
        self._begin(200, {})
        self._send(self.content[: len(self.content) // 2])

    def stall(self) -> None:
        """Send half, then nothing for a long time."""
        content = self._head()
        self._send(content[: len(content) // 2])
        self.server.closing.wait(STALL_SECONDS)

    def silent(self) -> None:
        """Send nothing for a long time."""
        self.server.closing.wait(STALL_SECONDS)

    def slow(self) -> None:
        """Send small blocks with pauses."""
        content = self._head()
        for begin in range(0, len(content), _BLOCK_BYTES):
            self._send(content[begin : begin + _BLOCK_BYTES])
            if self.server.closing.wait(self.server.seconds_per_block):
                return

    def garbled(self) -> None:
        """Send other bytes of the same length."""
        self._begin(200, {"Content-Length": len(self.content)})
        self._send(bytes(len(self.content)))

    def short(self) -> None:
        """Send a shorter file."""
        self._begin(200, {"Content-Length": 100})
        self._send(self.content[:100])

    def long(self) -> None:
        """Send a longer file without its length."""
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
        """Redirect to a local file."""
        self._begin(302, {"Location": "file:///etc/hostname"})

    def inside(self) -> None:
        """Redirect to the address where cloud machines get their secrets."""
        self._begin(302, {"Location": "http://169.254.169.254/secrets"})

    def bracket(self) -> None:
        """Redirect to an invalid address."""
        self._begin(302, {"Location": "http://[::1"})

    def trickle(self) -> None:
        """Send single bytes without an end."""
        self._head()
        while not self.server.closing.wait(0.02):
            self._send(b"x")

    def trickling_head(self) -> None:
        """Send single bytes of a header without an end."""
        self._send(b"HTTP/1.0 200 OK\r\nServer: ")
        while not self.server.closing.wait(0.02):
            self._send(b"x")

    def hang_up(self) -> None:
        """Close the connection without an answer."""

    def _head(self) -> bytes:
        """Send the headers and return the content to send: the requested range, or all."""
        content, requested = self.content, self.received.range
        if requested is None:
            self._begin(200, {"Content-Length": len(content)})
            return content
        begin = int(requested.removeprefix("bytes=").removesuffix("-"))
        sent_range = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        self._begin(206, {"Content-Length": len(content) - begin, "Content-Range": sent_range})
        return content[begin:]

    def _begin(self, status: int, headers: dict[str, object]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def _send(self, content: bytes) -> None:
        self.wfile.write(content)
        self.wfile.flush()
        self.received.sent += len(content)
