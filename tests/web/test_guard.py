"""Who may ask, and how much may be sent."""

import http.client
import json
import socket
import time
from pathlib import Path

import pytest

from tests.playground import Playground, served, wait_until
from wordgen.web.limits import MOST_BYTES, is_loopback

OWN = ["127.0.0.1:8000", "localhost", "localhost:99", "[::1]:8000", "192.168.0.7", "LOCALHOST:1", "localhost."]
FOREIGN = ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1", "a@b"]


@pytest.mark.parametrize(("host", "status"), [*((each, 200) for each in OWN), *((each, 400) for each in FOREIGN)])
def test_only_addresses_and_own_names_are_a_host(host: str, status: int, playground: Playground):
    """So no name that another site makes lead here (DNS rebinding) is ever answered."""
    for place in ("/", "/api/models"):
        answer = playground.ask("GET", place, Host=host)
        assert answer.status == status
        assert status == 200 or "called by its address" in answer.content["error"]


def test_a_page_of_another_site_may_not_ask(playground: Playground):
    own = f"127.0.0.1:{playground.port}"
    body = {"seed": "The", "length": 1}
    for origin in ("http://evil.example", "null", f"http://{own}.evil.example", "http://127.0.0.1:1"):
        refused = playground.ask("POST", "/api/text", body, Origin=origin)
        assert (refused.status, refused.content["error"]) == (403, "Pages of other sites may not ask this server.")
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
    assert answer.content["error"] == "That is more than the 256 kB that are read at once: send less text."
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
        raw.sendall(b"POST /api/text HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99000000000\r\n\r\n")
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
        assert playground.post("/api/text", length=1).status == 429
        _hang_up(connection)
        wait_until(lambda: playground.post("/api/text", length=1).status == 200, 10)


def _hang_up(connection: http.client.HTTPConnection) -> None:
    connection.close()


def test_what_is_a_loopback_address():
    assert all(map(is_loopback, ("127.0.0.1", "localhost", "::1", "127.9.9.9")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "", "192.168.0.7", "no such host")))
