"""Texts are downloaded over real connections, from a server with all usual faults."""

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

from tests.helpers.commands import command_environment
from tests.helpers.text_server import STALL_SECONDS, TextServer, serve_text
from tests.helpers.texts import passage_texts
from wordgen.cli.main import main
from wordgen.corpus import fetching
from wordgen.corpus.fetching import part_path
from wordgen.corpus.finding import open_corpus
from wordgen.errors import CorpusError, StorageError

LINES = [f"Line {number} tells of a road, and of who went along it." for number in range(4000)]
TEXT = "\n".join(LINES).encode()
TARGET = Path("data/downloads/tale/tale.txt")


@pytest.fixture
def server() -> Iterator[TextServer]:
    with serve_text(TEXT) as server:
        server.seconds_per_block = 0.02
        yield server


@pytest.fixture(autouse=True)
def in_data_folder(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (in_empty_folder / "data").mkdir()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def write_catalogue(address: str, changes: dict[str, object] | None = None) -> None:
    """Write a catalogue whose corpus tale is downloaded from this address."""
    download: dict[str, object] = {"file": "tale.txt", "address": address, "bytes": len(TEXT)}
    download["sha256"] = hashlib.sha256(TEXT).hexdigest()
    entry = {
        "title": "A tale", "files": ["tale.txt"], "language": "english", "tokenizer": "english", "passage": "line",
        "line_breaks": "joined", "licence": "CC0-1.0", "source": "these tests",
    }  # fmt: skip
    tables = ["[tale]", *toml_lines(entry), "[[tale.downloads]]", *toml_lines({**download, **(changes or {})})]
    Path("data/own.toml").write_text("\n".join(tables), encoding="utf-8")


def toml_lines(table: dict[str, object]) -> list[str]:
    return [f"{key} = {json.dumps(value)}" for key, value in table.items()]


def save_part(content: bytes) -> None:
    part_path(TARGET).parent.mkdir(parents=True)
    part_path(TARGET).write_bytes(content)


def download_error() -> str:
    """Open the corpus and return the message of the error; an incomplete download must not look complete."""
    with pytest.raises(CorpusError) as error:
        open_corpus("tale")
    assert not TARGET.exists()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("behaviour", ["ranges", "whole", "unannounced", "chunked", "moved", "slow"])
def test_text_is_downloaded_on_first_use_only(server: TextServer, behaviour: str):
    write_catalogue(server.address(behaviour))
    assert passage_texts(open_corpus("tale")) == LINES
    assert TARGET.read_bytes() == TEXT
    request_count = len(server.requests)
    assert passage_texts(open_corpus("tale")) == LINES
    assert len(server.requests) == request_count
    assert not part_path(TARGET).exists()


def test_download_reports_progress(server: TextServer):
    write_catalogue(server.address("ranges"))
    reports: list[tuple[str, int, int]] = []
    open_corpus("tale", on_progress=lambda *report: reports.append(report))
    assert {(file, total) for file, _, total in reports} == {("tale.txt", len(TEXT))}
    sizes = [done for _, done, _ in reports]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1], sizes.count(len(TEXT))) == (0, len(TEXT), 1)
    assert len(sizes) > 5


def test_interrupted_download_resumes(server: TextServer):
    write_catalogue(server.address("cut"))
    message = download_error()
    kept = part_path(TARGET).stat().st_size
    assert 0 < kept <= len(TEXT) // 2
    assert f"the connection was interrupted. {kept:,} of {len(TEXT):,} bytes are kept, and the same command" in message
    assert passage_texts(open_corpus("tale")) == LINES
    assert server.requests[1].range == f"bytes={kept}-"
    assert server.requests[1].sent == len(TEXT) - kept


def test_truncated_download_without_length_is_detected(server: TextServer):
    write_catalogue(server.address("fade"))
    assert f"the connection was interrupted. {len(TEXT) // 2:,} of {len(TEXT):,} bytes are kept" in download_error()


@pytest.mark.parametrize("behaviour", ["whole", "elsewhere", "unsatisfied", "moved"])
def test_partial_download_resumes_or_restarts(server: TextServer, behaviour: str):
    write_catalogue(server.address(behaviour))
    save_part(TEXT[:1000])
    assert passage_texts(open_corpus("tale")) == LINES
    assert server.requests[0].range == "bytes=1000-"
    assert server.requests[-1].sent == (len(TEXT) - 1000 if behaviour == "moved" else len(TEXT))


@pytest.mark.parametrize("kept", [b"not the beginning of this text", TEXT + b"more", bytes(len(TEXT))])
def test_partial_file_with_other_content_is_discarded(server: TextServer, kept: bytes):
    write_catalogue(server.address("ranges"))
    save_part(kept)
    assert passage_texts(open_corpus("tale")) == LINES


def test_complete_partial_file_needs_no_request(server: TextServer):
    write_catalogue(server.address("missing"))
    save_part(TEXT)
    assert passage_texts(open_corpus("tale")) == LINES
    assert server.requests == []


@pytest.mark.parametrize(
    ("behaviour", "reason"),
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
def test_error_names_cause_and_alternative(server: TextServer, behaviour: str, reason: str):
    write_catalogue(server.address(behaviour))
    message = download_error()
    assert message.startswith("tale.txt cannot be downloaded: ")
    assert reason in message
    assert f"Try it again later. Or download {server.address(behaviour)} yourself and save it as {TARGET}" in message
    assert not part_path(TARGET).exists()


def test_refused_connection_is_reported(server: TextServer):
    address = server.address("ranges")
    server.server_close()
    write_catalogue(address)
    assert "there is no connection to 127.0.0.1" in download_error()


@pytest.mark.parametrize(("behaviour", "kept"), [("stall", True), ("silent", False)])
def test_stalled_server_times_out(server: TextServer, behaviour: str, kept: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fetching, "SECONDS_WITHOUT_BYTES", 1.5)
    write_catalogue(server.address(behaviour))
    began = time.monotonic()
    message = download_error()
    assert time.monotonic() - began < STALL_SECONDS
    assert "127.0.0.1 has sent nothing for 1.5 seconds" in message
    assert ("the same command continues from there" in message) == kept
    assert part_path(TARGET).exists() == kept


def test_manually_saved_file_is_checked_and_used(server: TextServer):
    write_catalogue(server.address("missing"))
    TARGET.parent.mkdir(parents=True)
    TARGET.write_bytes(TEXT[:-1])
    with pytest.raises(CorpusError, match=r"tale\.txt is not the file of the catalogue .* move it away"):
        open_corpus("tale")
    assert TARGET.read_bytes() == TEXT[:-1]  # only the user may remove the file
    TARGET.write_bytes(TEXT)
    assert passage_texts(open_corpus("tale")) == LINES
    assert server.requests == []


def test_own_texts_take_precedence_over_download(server: TextServer):
    write_catalogue(server.address("ranges"))
    Path("data/tale").mkdir()
    Path("data/tale/mine.txt").write_text("My own tale.")
    assert passage_texts(open_corpus("tale")) == ["My own tale."]
    assert server.requests == []


@pytest.mark.parametrize(
    ("changes", "reason"),
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
def test_invalid_download_entry_is_refused(changes: dict[str, object], reason: str):
    write_catalogue("http://127.0.0.1/", changes)
    with pytest.raises(CorpusError, match=r"The catalogue data/own\.toml cannot be read: the entry tale: ") as error:
        open_corpus("lotr")
    assert reason in str(error.value)


def test_full_disk_is_reported_and_download_resumes(server: TextServer):
    """The disk takes all but the last 100 bytes."""
    write_catalogue(server.address("ranges"))
    fits = len(TEXT) - 100
    program = "import sys; from wordgen.cli.main import main; sys.exit(main(['train', '--corpus', 'tale', '--quiet']))"
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=command_environment(NO_PROXY="127.0.0.1"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (fits, fits)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("Error: Cannot write to data/downloads/tale/tale.txt: File too large.")
    assert part_path(TARGET).stat().st_size == fits
    assert passage_texts(open_corpus("tale")) == LINES
    assert server.requests[-1].range == f"bytes={fits}-"


def test_download_folder_that_cannot_be_created_is_reported(server: TextServer):
    write_catalogue(server.address("ranges"))
    Path("data/downloads").write_text("not a folder")
    with pytest.raises(StorageError, match="Cannot write to data/downloads/tale"):
        open_corpus("tale")


def start_download(*arguments: str) -> "subprocess.Popen[str]":
    """Start a command, and return once it has downloaded a quarter of the text."""
    process = subprocess.Popen(
        [sys.executable, "-m", "wordgen", *arguments],
        env=command_environment(NO_PROXY="127.0.0.1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (part_path(TARGET).exists() and part_path(TARGET).stat().st_size > len(TEXT) // 4):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_download_resumes_after_command_is_stopped(
    server: TextServer, number: signal.Signals, capsys: pytest.CaptureFixture[str]
):
    """A command of another kind downloads the rest."""
    write_catalogue(server.address("slow"))
    process = start_download("train", "--corpus", "tale", "--layers", "1", "--units", "8")
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert stderr.strip() == ("Stopped." if number == signal.SIGINT else "")
    assert not TARGET.exists()
    assert not Path("saved_models").exists()
    kept = part_path(TARGET).stat().st_size
    assert 0 < kept < len(TEXT)
    write_catalogue(server.address("ranges"))
    assert main(["corpora", "show", "tale"]) == 0
    stderr = capsys.readouterr().err
    assert server.requests[-1].range == f"bytes={kept}-"
    assert server.requests[-1].sent == len(TEXT) - kept
    assert "Downloading tale.txt: 0." in stderr
    assert "Downloaded tale.txt, 0.2 MB." in stderr
    assert TARGET.read_bytes() == TEXT


def test_quiet_prints_only_the_error(server: TextServer, capsys: pytest.CaptureFixture[str]):
    write_catalogue(server.address("missing"))
    assert main(["train", "--corpus", "tale", "--quiet"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.strip().split("\n")) == 1


@pytest.mark.parametrize("behaviour", ["trickle", "trickling_head"])
def test_too_slow_server_is_refused(server: TextServer, monkeypatch: pytest.MonkeyPatch, behaviour: str):
    monkeypatch.setattr(fetching, "SECONDS_TO_BE_SLOW", 0.3)
    write_catalogue(server.address(behaviour))
    with pytest.raises(CorpusError, match=r"127\.0\.0\.1 sends less than 1,000 bytes a second"):
        open_corpus("tale")


@pytest.mark.parametrize(
    ("host", "internal"),
    [("127.0.0.1", True), ("::1", True), ("10.1.2.3", True), ("169.254.169.254", True), ("8.8.8.8", False)],
)
def test_private_addresses_are_internal(host: str, internal: bool):
    assert fetching._is_internal(host) == internal


def test_redirect_to_private_network_is_refused(server: TextServer, monkeypatch: pytest.MonkeyPatch):
    """The server of the test counts as public, although its address is 127.0.0.1."""
    is_internal = fetching._is_internal
    monkeypatch.setattr(fetching, "_is_internal", lambda host: host != "127.0.0.1" and is_internal(host))
    write_catalogue(server.address("inside"))
    with pytest.raises(CorpusError, match=r"redirects to 169\.254\.169\.254, which is an address of this machine"):
        open_corpus("tale")
