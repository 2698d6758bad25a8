"""Who may ask, and how much may be sent."""

import http.client
import json
import socket
import time
from pathlib import Path

import pytest

from tests.helpers.playground import Playground, served, wait_until
from wordgen.web.limits import MOST_BYTES, is_loopback

OWN = ["127.0.0.1:8000", "localhost", "localhost:99", "[::1]:8000", "192.168.0.7", "LOCALHOST:1", "localhost."]
FOREIGN = ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1", "a@b"]


@pytest.mark.parametrize(("host", "status"), [*((each, 200) for each in OWN), *((each, 400) for each in FOREIGN)])
def test_only_addresses_and_own_names_are_a_host(host: str, status: int, playground: Playground):
    """So no name that another site makes lead here (DNS rebinding) is ever answered."""
    for place in ("/", "/api/models"):
        answer = playground.ask("GET", place, Host=host)
        assert answer.status == status
        assert status == 200 or "Use the address of this server" in answer.content["error"]


def test_a_page_of_another_site_may_not_ask(playground: Playground):
    own = f"127.0.0.1:{playground.port}"
    body = {"seed": "The", "length": 1}
    for origin in ("http://evil.example", "null", f"http://{own}.evil.example", "http://127.0.0.1:1"):
        refused = playground.ask("POST", "/api/text", body, Origin=origin)
        assert (refused.status, refused.content["error"]) == (
            403,
            "Pages of other sites may not send requests to this server.",
        )
    assert playground.ask("POST", "/api/text", body, Origin=f"http://{own}").status == 200
    preflight = playground.ask("OPTIONS", "/api/text", Origin="http://evil.example")
    assert preflight.status == 403
    assert not [name for name in preflight.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    "place", ["/", "/playground.js", "/api", "/api/models", "/openapi.json", "/nowhere", "/api/text"]
)
def test_every_answer_forbids_what_the_page_does_not_need(place: str, playground: Playground):
    headers = playground.ask("GET", place).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


def test_a_text_of_a_megabyte_is_refused_in_a_sentence(playground: Playground):
    answer = playground.post("/api/text", seed="word " * 200_000)
    assert answer.status == 413
    assert answer.content["error"] == "The request has more than 256 kB: send less text."
    assert playground.post("/api/text", seed="The caster", length=1).status == 200


def test_what_just_fits_is_read(playground: Playground):
    """A model reads the end of a long seed."""
    room = MOST_BYTES - len(json.dumps({"model": "spells", "length": 1, "seed": ""}))
    content = {"model": "spells", "length": 1, "seed": ("The caster " * MOST_BYTES)[:room]}
    answer = playground.post("/api/text", **content)
    assert (answer.status, answer.content["cut"]) == (200, True)
    assert playground.post("/api/text", **{**content, "seed": content["seed"] + "s"}).status == 413


def test_a_body_of_no_told_length_is_counted_as_it_comes(playground: Playground):
    connection = playground.connect()
    connection.request("POST", "/api/text", iter([b"x" * 100_000] * 5), encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_what_is_far_too_large_is_not_even_taken_in(playground: Playground):
    with socket.create_connection(("127.0.0.1", playground.port), timeout=30) as raw:
        raw.sendall(_request("POST /api/text", playground.token, "Content-Length: 99000000000"))
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_nobody_is_written_for_who_has_gone(playground: Playground):
    """Two who left at once would else keep both turns for a minute; here the next is served at once."""
    for _ in range(4):
        connection = playground.connect()
        asked = {"model": "spells", "mode": "beam", "length": 1000, "beams": 20, "random_seed": 1}
        connection.request("POST", "/api/text", json.dumps(asked))
        time.sleep(0.1)
        _hang_up(connection)
    began = time.monotonic()
    assert playground.post("/api/text", model="spells", length=1).status == 200
    assert time.monotonic() - began < 10


def test_a_stream_that_nobody_reads_on_is_ended(playground_room: Path):
    flags = ("--at-once", "1", "--waiting", "0", "--longest", "100000")
    with served(playground_room, "spells", *flags) as playground:
        connection = playground.connect()
        connection.request("POST", "/api/write", json.dumps({"length": 100_000}))
        assert connection.getresponse().readline()
        assert playground.post("/api/text", length=1).status == 503
        _hang_up(connection)
        wait_until(lambda: playground.post("/api/text", length=1).status == 200, 10)


def _hang_up(connection: http.client.HTTPConnection) -> None:
    connection.close()


def test_what_is_a_loopback_address():
    assert all(map(is_loopback, ("127.0.0.1", "localhost", "::1", "127.9.9.9")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "", "192.168.0.7", "no such host")))


def _request(line: str, token: str, *headers: str) -> bytes:
    lines = [f"{line} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}", *headers]
    return "".join(f"{each}\r\n" for each in (*lines, "")).encode()


# The token


@pytest.mark.parametrize("place", ["/", "/playground.js", "/api", "/api/models", "/api/models/spells", "/nowhere"])
def test_nothing_is_answered_without_the_token(place: str, playground: Playground):
    """Any user of a machine can reach what listens on 127.0.0.1."""
    wrong = [{"Authorization": ""}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {playground.token}"}]
    for headers in (*wrong, {"Authorization": "", "Cookie": f"wordgen-{playground.port}=wrong"}):
        refused = playground.ask("GET", place, **headers)
        assert refused.status == 403
        assert "open the address that wordgen serve has printed" in refused.content["error"]
    assert playground.ask("GET", f"{place}?token={playground.token}x", Authorization="").status == 403


def test_the_printed_address_gives_a_cookie_that_no_other_site_can_send(playground: Playground):
    given = playground.ask("GET", f"/?token={playground.token}", Authorization="")
    assert (given.status, given.headers["location"]) == (303, "/")
    cookie, *how = given.headers["set-cookie"].split("; ")
    assert set(how) == {"HttpOnly", "SameSite=Strict", "Path=/"}
    assert playground.ask("GET", "/", Authorization="", Cookie=cookie).status == 200
    assert playground.ask("GET", "/api/models", Authorization="", Cookie=cookie).status == 200
    body = {"seed": "The", "length": 1}
    assert playground.ask("POST", "/api/text", body, Authorization="", Cookie=cookie).status == 200


def test_each_start_draws_another_token_unless_one_is_given(playground: Playground, playground_room: Path):
    assert len(playground.token) >= 32
    with served(playground_room, "spells", "--token", "my-own-token") as other:
        assert other.token == "my-own-token" != playground.token
        assert other.ask("GET", "/api/models").status == 200


# Connections that are held


IMPATIENT = """
import sys
import wordgen.web.serving
wordgen.web.serving.SECONDS_FOR_HEADERS = 0.5
from wordgen.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_connection_that_sends_no_headers_is_closed(playground_room: Path):
    with served(playground_room, "spells", program=("-c", IMPATIENT)) as playground:
        models = _request("GET /api/models", playground.token)
        for before in (b"", b"GET / HTTP/1.1\r\nHost: loc", models + b"GET /api/mo"):
            with socket.create_connection(("127.0.0.1", playground.port), timeout=30) as silent:
                silent.sendall(before)
                received = b"".join(iter(lambda silent=silent: _received(silent), b""))
            assert received.startswith(b"HTTP/1.1 200") == before.startswith(models)
        long = playground.connect()  # one whose answer takes longer than that is not
        long.request("POST", "/api/write", json.dumps({"length": 1000, "no_repeat_ngram": 9}))
        assert b'"end"' in long.getresponse().read().splitlines()[-1]
        long.close()


def _received(connection: socket.socket) -> bytes:
    """What came; nothing once the other side has closed the connection."""
    try:
        return connection.recv(65536)
    except ConnectionError:
        return b""
