"""Texts are fetched over real connections, from a server that does all that servers do to one."""

import hashlib
import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.commands import Command, command_environment
from tests.helpers.text_server import TextServer, serving
from tests.helpers.texts import passage_texts
from wordgen.corpus import fetching
from wordgen.corpus.fetching import part_of
from wordgen.corpus.finding import open_corpus
from wordgen.errors import CorpusError, StorageError

LINES = [f"Line {number} tells of a road, and of who went along it." for number in range(4000)]
TEXT = "\n".join(LINES).encode()
PLACE = Path("data/downloads/tale/tale.txt")


@pytest.fixture
def server() -> Iterator[TextServer]:
    with serving(TEXT) as server:
        server.seconds_a_slow_block = 0.02
        yield server


@pytest.fixture(autouse=True)
def in_a_room(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a data folder, and no proxy between us and ourselves."""
    (in_empty_folder / "data").mkdir()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def known_as_tale(address: str, changes: dict[str, object] | None = None) -> None:
    """A catalogue that knows the text and fetches it from there."""
    download: dict[str, object] = {"file": "tale.txt", "address": address, "bytes": len(TEXT)}
    download["sha256"] = hashlib.sha256(TEXT).hexdigest()
    entry = {
        "title": "A tale", "files": ["tale.txt"], "language": "english", "tokenizer": "english", "passage": "line",
        "line_breaks": "joined", "licence": "CC0-1.0", "source": "these tests",
    }  # fmt: skip
    tables = ["[tale]", *_keys(entry), "[[tale.downloads]]", *_keys({**download, **(changes or {})})]
    Path("data/own.toml").write_text("\n".join(tables), encoding="utf-8")


def _keys(table: dict[str, object]) -> list[str]:
    return [f"{key} = {json.dumps(value)}" for key, value in table.items()]


def keep_part(content: bytes) -> None:
    part_of(PLACE).parent.mkdir(parents=True)
    part_of(PLACE).write_bytes(content)


def refusal() -> str:
    """The one sentence that opening the text ends with; and nothing may have been taken for whole."""
    with pytest.raises(CorpusError) as told:
        open_corpus("tale")
    assert not PLACE.exists()
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize("way", ["ranges", "whole", "unannounced", "chunked", "moved", "slow"])
def test_a_text_is_fetched_on_first_use_and_never_again(server: TextServer, way: str):
    known_as_tale(server.address(way))
    assert passage_texts(open_corpus("tale")) == LINES
    assert PLACE.read_bytes() == TEXT
    asked = len(server.asked)
    assert passage_texts(open_corpus("tale")) == LINES
    assert len(server.asked) == asked
    assert not part_of(PLACE).exists()


def test_how_far_it_is_is_told(server: TextServer):
    known_as_tale(server.address("ranges"))
    told: list[tuple[str, int, int]] = []
    open_corpus("tale", fetching=lambda *far: told.append(far))
    assert {(file, total) for file, _, total in told} == {("tale.txt", len(TEXT))}
    sizes = [done for _, done, _ in told]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1], sizes.count(len(TEXT))) == (0, len(TEXT), 1)
    assert len(sizes) > 5


def test_what_was_cut_goes_on_where_it_broke_off(server: TextServer):
    known_as_tale(server.address("cut"))
    sentence = refusal()
    kept = part_of(PLACE).stat().st_size
    assert 0 < kept <= len(TEXT) // 2
    assert f"the connection was interrupted. {kept:,} of {len(TEXT):,} bytes are kept, and the same command" in sentence
    assert passage_texts(open_corpus("tale")) == LINES
    assert server.asked[1].range == f"bytes={kept}-"
    assert server.asked[1].sent == len(TEXT) - kept


def test_an_end_too_early_is_noticed_where_no_length_was_told(server: TextServer):
    known_as_tale(server.address("fade"))
    assert f"the connection was interrupted. {len(TEXT) // 2:,} of {len(TEXT):,} bytes are kept" in refusal()


@pytest.mark.parametrize("way", ["whole", "elsewhere", "unsatisfied", "moved"])
def test_a_part_goes_on_only_where_the_server_plays_along(server: TextServer, way: str):
    known_as_tale(server.address(way))
    keep_part(TEXT[:1000])
    assert passage_texts(open_corpus("tale")) == LINES
    assert server.asked[0].range == "bytes=1000-"
    assert server.asked[-1].sent == (len(TEXT) - 1000 if way == "moved" else len(TEXT))


@pytest.mark.parametrize("kept", [b"not the beginning of this text", TEXT + b"more", bytes(len(TEXT))])
def test_a_part_of_something_else_is_given_up(server: TextServer, kept: bytes):
    known_as_tale(server.address("ranges"))
    keep_part(kept)
    assert passage_texts(open_corpus("tale")) == LINES


def test_a_part_that_is_complete_needs_no_server(server: TextServer):
    known_as_tale(server.address("missing"))
    keep_part(TEXT)
    assert passage_texts(open_corpus("tale")) == LINES
    assert server.asked == []


@pytest.mark.parametrize(
    ("way", "why"),
    [
        ("missing", "127.0.0.1 has no such file (404)"),
        ("forbidden", "127.0.0.1 does not allow the download (403)"),
        ("fault", "127.0.0.1 has an internal error (500)"),
        ("often", "127.0.0.1 received too many requests (429)"),
        ("teapot", "127.0.0.1 answers 418"),
        ("circle", "127.0.0.1 redirects too often"),
        ("bracket", "127.0.0.1 redirects to an invalid address"),
        ("away", "127.0.0.1 redirects to an invalid address"),
        ("hang_up", "there is no connection to 127.0.0.1"),
        ("garbled", "sends a file that is not the one of the catalogue (its SHA-256 differs), so nothing is kept"),
        ("short", f"a file that is not the one of the catalogue (100 bytes, not {len(TEXT):,})"),
        ("long", f"bytes or more, not {len(TEXT):,})"),
    ],
)
def test_what_goes_wrong_is_said_with_a_way_out(server: TextServer, way: str, why: str):
    known_as_tale(server.address(way))
    sentence = refusal()
    assert sentence.startswith("tale.txt cannot be downloaded: ")
    assert why in sentence
    assert f"Try it again later. Or download {server.address(way)} yourself and save it as {PLACE}" in sentence
    assert not part_of(PLACE).exists()


def test_without_a_connection(server: TextServer):
    address = server.address("ranges")
    server.server_close()
    known_as_tale(address)
    assert "there is no connection to 127.0.0.1" in refusal()


@pytest.mark.parametrize(("way", "kept"), [("stall", True), ("silent", False)])
def test_a_server_that_stalls(server: TextServer, way: str, kept: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fetching, "SECONDS_WITHOUT_BYTES", 0.5)
    known_as_tale(server.address(way))
    began = time.monotonic()
    sentence = refusal()
    assert time.monotonic() - began < 10
    assert "127.0.0.1 has sent nothing for 0.5 seconds" in sentence
    assert ("the same command continues from there" in sentence) == kept
    assert part_of(PLACE).exists() == kept


def test_a_file_put_there_by_hand_is_checked_and_used(server: TextServer):
    known_as_tale(server.address("missing"))
    PLACE.parent.mkdir(parents=True)
    PLACE.write_bytes(TEXT[:-1])
    with pytest.raises(CorpusError, match=r"tale\.txt is not the file of the catalogue .* move it away"):
        open_corpus("tale")
    assert PLACE.read_bytes() == TEXT[:-1]  # it may be dear to somebody
    PLACE.write_bytes(TEXT)
    assert passage_texts(open_corpus("tale")) == LINES
    assert server.asked == []


def test_texts_of_ones_own_go_before_what_could_be_fetched(server: TextServer):
    known_as_tale(server.address("ranges"))
    Path("data/tale").mkdir()
    Path("data/tale/mine.txt").write_text("My own tale.")
    assert passage_texts(open_corpus("tale")) == ["My own tale."]
    assert server.asked == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"address": "ftp://somewhere/tale.txt"}, "address must begin with https:// or http://"),
        ({"address": "http://[/tale.txt"}, "address must begin with https:// or http://"),
        ({"sha256": "0" * 63}, "sha256 must be 64 digits"),
        ({"bytes": 0}, "bytes must be at least 1"),
        ({"file": "../tale.txt"}, "file must be the name of a file without any folder"),
        ({"file": "other.txt"}, "other.txt is in downloads, but not in files"),
        ({"colour": "red"}, "'colour' is not a setting"),
    ],
)
def test_a_catalogue_that_cannot_be_meant_is_refused(changes: dict[str, object], why: str):
    known_as_tale("http://127.0.0.1/", changes)
    with pytest.raises(CorpusError, match=r"The catalogue data/own\.toml cannot be read: the entry tale: ") as told:
        open_corpus("lotr")
    assert why in str(told.value)


def opening() -> list[str]:
    return [sys.executable, "-c", "from wordgen.corpus.finding import open_corpus; open_corpus('tale')"]


def test_of_two_processes_one_fetches_for_both(server: TextServer):
    known_as_tale(server.address("slow"))
    both = [subprocess.Popen(opening(), env=command_environment(NO_PROXY="127.0.0.1")) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert [asked.sent for asked in server.asked] == [len(TEXT)]
    assert PLACE.read_bytes() == TEXT


def test_a_disk_that_is_full(server: TextServer):
    """It takes all but the end of the last block."""
    known_as_tale(server.address("ranges"))
    fits = len(TEXT) - 100
    program = "import sys; from wordgen.cli.main import main; sys.exit(main(['train', '--corpus', 'tale', '--quiet']))"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=command_environment(NO_PROXY="127.0.0.1"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (fits, fits)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("Error: Cannot write to data/downloads/tale/tale.txt: File too large.")
    assert part_of(PLACE).stat().st_size == fits
    assert passage_texts(open_corpus("tale")) == LINES
    assert server.asked[-1].range == f"bytes={fits}-"


def test_a_folder_that_cannot_be_made(server: TextServer):
    known_as_tale(server.address("ranges"))
    Path("data/downloads").write_text("in the way")
    with pytest.raises(StorageError, match="Cannot write to data/downloads/tale"):
        open_corpus("tale")


def begun(*arguments: str) -> "subprocess.Popen[str]":
    """The command, in the middle of a slow download."""
    process = subprocess.Popen(
        [sys.executable, "-m", "wordgen", *arguments],
        env=command_environment(NO_PROXY="127.0.0.1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    limit = time.monotonic() + 60
    while not (part_of(PLACE).exists() and part_of(PLACE).stat().st_size > len(TEXT) // 4):
        assert time.monotonic() < limit
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_command_that_is_ended_on_the_way_goes_on(server: TextServer, number: signal.Signals, command: Command):
    """Training ends before it begins, and another command that wants the text fetches the rest."""
    known_as_tale(server.address("slow"))
    process = begun("train", "--corpus", "tale", "--layers", "1", "--units", "8")
    process.send_signal(number)
    _, complaint = process.communicate(timeout=20)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert complaint.strip() == ("Stopped." if number == signal.SIGINT else "")
    assert not PLACE.exists()
    assert not Path("saved_models").exists()
    kept = part_of(PLACE).stat().st_size
    assert 0 < kept < len(TEXT)
    ended = command("corpora", "show", "tale", NO_PROXY="127.0.0.1")
    assert ended.returncode == 0, ended.stderr
    assert server.asked[-1].range == f"bytes={kept}-"
    assert server.asked[-1].sent == len(TEXT) - kept
    assert "Downloading tale.txt: 0." in ended.stderr
    assert "Downloaded tale.txt, 0.2 MB." in ended.stderr
    assert PLACE.read_bytes() == TEXT


def test_quiet_is_quiet(server: TextServer, command: Command):
    known_as_tale(server.address("missing"))
    ended = command("train", "--corpus", "tale", "--quiet", NO_PROXY="127.0.0.1")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(ended.stderr.strip().split("\n")) == 1


@pytest.mark.parametrize("way", ["trickle", "trickling_head"])
def test_a_letter_now_and_then_is_refused(server: TextServer, monkeypatch: pytest.MonkeyPatch, way: str):
    monkeypatch.setattr(fetching, "SECONDS_TO_BE_SLOW", 0.3)
    known_as_tale(server.address(way))
    with pytest.raises(CorpusError, match=r"127\.0\.0\.1 sends less than 1,000 bytes a second"):
        open_corpus("tale")


@pytest.mark.parametrize(
    ("host", "internal"),
    [("127.0.0.1", True), ("::1", True), ("10.1.2.3", True), ("169.254.169.254", True), ("8.8.8.8", False)],
)
def test_addresses_of_a_network_of_ones_own_are_known(host: str, internal: bool):
    assert fetching._is_internal(host) == internal


def test_a_public_server_leads_nobody_into_his_own_network(server: TextServer, monkeypatch: pytest.MonkeyPatch):
    """The server itself counts as public here, as no other can be had."""
    real = fetching._is_internal
    monkeypatch.setattr(fetching, "_is_internal", lambda host: host != "127.0.0.1" and real(host))
    known_as_tale(server.address("inside"))
    with pytest.raises(CorpusError, match=r"redirects to 169\.254\.169\.254, which is an address of this machine"):
        open_corpus("tale")
