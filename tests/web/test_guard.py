"""Which requests the playground refuses: hosts, origins, tokens, sizes and idle connections."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.playground import Playground, served, wait_until
from wordgen.web.limits import MAX_BYTES, is_loopback

OWN_HOSTS = ["127.0.0.1:8000", "localhost", "localhost:99", "[::1]:8000", "192.168.0.7", "LOCALHOST:1", "localhost."]
FOREIGN_HOSTS = [
    "evil.example",
    "evil.example:8000",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "",
    "[::1",
    "a@b",
]


@pytest.fixture(scope="module")
def small_server(playground_folder: Path) -> Iterator[Playground]:
    """A server with a given token, which answers one request and lets none wait."""
    flags = ("--at-once", "1", "--waiting", "0", "--longest", "100000", "--token", "my-own-token")
    with served(playground_folder, "spells", *flags) as server:
        yield server


@pytest.mark.parametrize(
    ("host", "status"), [*((each, 200) for each in OWN_HOSTS), *((each, 400) for each in FOREIGN_HOSTS)]
)
def test_only_addresses_and_own_names_are_valid_hosts(host: str, status: int, playground: Playground):
    """Against DNS rebinding: another site can make a name resolve to this server."""
    for place in ("/", "/api/models"):
        answer = playground.ask("GET", place, Host=host)
        assert answer.status == status
        assert status == 200 or "Use the address of this server" in answer.content["error"]


def test_requests_of_other_origins_are_refused(playground: Playground):
    own_address = f"127.0.0.1:{playground.port}"
    body = {"seed": "The", "length": 1}
    for origin in ("http://evil.example", "null", f"http://{own_address}.evil.example", "http://127.0.0.1:1"):
        refused = playground.ask("POST", "/api/text", body, Origin=origin)
        assert (refused.status, refused.content["error"]) == (
            403,
            "Pages of other sites may not send requests to this server.",
        )
    assert playground.ask("POST", "/api/text", body, Origin=f"http://{own_address}").status == 200
    preflight = playground.ask("OPTIONS", "/api/text", Origin="http://evil.example")
    assert preflight.status == 403
    assert not [name for name in preflight.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    "place", ["/", "/playground.js", "/api", "/api/models", "/openapi.json", "/nowhere", "/api/text"]
)
def test_every_response_has_strict_security_headers(place: str, playground: Playground):
    headers = playground.ask("GET", place).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


def test_prompt_of_a_megabyte_is_refused(playground: Playground):
    answer = playground.post("/api/text", seed="word " * 200_000)
    assert answer.status == 413
    assert answer.content["error"] == "The request has more than 256 kB: send less text."
    assert playground.post("/api/text", seed="The caster", length=1).status == 200


def test_largest_allowed_body_is_read(playground: Playground):
    """The model reads only the end of a long prompt."""
    length = MAX_BYTES - len(json.dumps({"model": "spells", "length": 1, "seed": ""}))
    content = {"model": "spells", "length": 1, "seed": ("The caster " * MAX_BYTES)[:length]}
    answer = playground.post("/api/text", **content)
    assert (answer.status, answer.content["cut"]) == (200, True)
    assert playground.post("/api/text", **{**content, "seed": content["seed"] + "s"}).status == 413


def test_chunked_body_over_the_limit_is_refused(playground: Playground):
    connection = playground.connect()
    connection.request("POST", "/api/text", iter([b"x" * 100_000] * 5), encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_huge_content_length_is_refused_without_its_body(playground: Playground):
    with socket.create_connection(("127.0.0.1", playground.port), timeout=30) as raw:
        raw.sendall(_raw_request("POST /api/text", playground.token, "Content-Length: 99000000000"))
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_work_stops_after_client_disconnects(playground: Playground):
    """Without this, two such requests keep the server busy for a minute."""
    for _ in range(4):
        connection = playground.connect()
        request = {"model": "spells", "mode": "beam", "length": 1000, "beams": 20, "random_seed": 1}
        connection.request("POST", "/api/text", json.dumps(request))
        time.sleep(0.1)
        connection.close()
    start = time.monotonic()
    assert playground.post("/api/text", model="spells", length=1).status == 200
    assert time.monotonic() - start < 30


def test_stream_stops_after_client_disconnects(small_server: Playground):
    connection = small_server.connect()
    connection.request("POST", "/api/write", json.dumps({"length": 100_000, "no_repeat_ngram": 9}))
    assert connection.getresponse().readline()
    assert small_server.post("/api/text", length=1).status == 503
    connection.close()
    wait_until(lambda: small_server.post("/api/text", length=1).status == 200)


def test_is_loopback():
    assert all(map(is_loopback, ("127.0.0.1", "localhost", "::1", "127.9.9.9")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "", "192.168.0.7", "no such host")))


def _raw_request(line: str, token: str, *headers: str) -> bytes:
    lines = [f"{line} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}", *headers]
    return "".join(f"{each}\r\n" for each in (*lines, "")).encode()


@pytest.mark.parametrize("place", ["/", "/playground.js", "/api", "/api/models", "/api/models/spells", "/nowhere"])
def test_requests_without_the_token_are_refused(place: str, playground: Playground):
    """Any user of this machine can reach 127.0.0.1."""
    wrong_headers = [
        {"Authorization": ""},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {playground.token}"},
    ]
    for headers in (*wrong_headers, {"Authorization": "", "Cookie": f"wordgen-{playground.port}=wrong"}):
        refused = playground.ask("GET", place, **headers)
        assert refused.status == 403
        assert "open the address that wordgen serve has printed" in refused.content["error"]
    assert playground.ask("GET", f"{place}?token={playground.token}x", Authorization="").status == 403


def test_printed_address_sets_cookie_for_this_site_only(playground: Playground):
    response = playground.ask("GET", f"/?token={playground.token}", Authorization="")
    assert (response.status, response.headers["location"]) == (303, "/")
    cookie, *attributes = response.headers["set-cookie"].split("; ")
    assert set(attributes) == {"HttpOnly", "SameSite=Strict", "Path=/"}
    assert playground.ask("GET", "/", Authorization="", Cookie=cookie).status == 200
    assert playground.ask("GET", "/api/models", Authorization="", Cookie=cookie).status == 200
    body = {"seed": "The", "length": 1}
    assert playground.ask("POST", "/api/text", body, Authorization="", Cookie=cookie).status == 200


def test_token_is_random_unless_given(playground: Playground, small_server: Playground):
    assert len(playground.token) >= 32
    assert small_server.token == "my-own-token" != playground.token
    assert small_server.ask("GET", "/api/models").status == 200


SHORT_HEADER_TIMEOUT = """
import sys
import wordgen.web.serving
wordgen.web.serving.HEADER_TIMEOUT_SECONDS = 0.5
from wordgen.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_connection_without_headers_is_closed(playground_folder: Path):
    with served(playground_folder, "spells", program=("-c", SHORT_HEADER_TIMEOUT)) as playground:
        models = _raw_request("GET /api/models", playground.token)
        for sent in (b"", b"GET / HTTP/1.1\r\nHost: loc", models + b"GET /api/mo"):
            with socket.create_connection(("127.0.0.1", playground.port), timeout=30) as raw:
                raw.sendall(sent)
                received = b"".join(iter(lambda raw=raw: _receive(raw), b""))
            assert received.startswith(b"HTTP/1.1 200") == sent.startswith(models)
        long = playground.connect()  # but not while it waits for a long answer
        long.request("POST", "/api/write", json.dumps({"length": 1000, "no_repeat_ngram": 9}))
        assert b'"end"' in long.getresponse().read().splitlines()[-1]
        long.close()


def _receive(connection: socket.socket) -> bytes:
    """Return received bytes, or b"" if the server has closed the connection."""
    try:
        return connection.recv(65536)
    except ConnectionError:
        return b""
