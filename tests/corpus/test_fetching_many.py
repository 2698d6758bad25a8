"""A text of many files has a listing, and is downloaded over several real connections at once."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.helpers.commands import command_environment
from tests.helpers.text_server import TextServer, serve_text
from tests.helpers.texts import passage_texts
from wordgen.cli.main import main
from wordgen.corpus.catalogue import catalogue
from wordgen.corpus.fetching import part_path
from wordgen.corpus.finding import known_texts, open_corpus
from wordgen.dataset.encoding import prepare
from wordgen.errors import CorpusError
from wordgen.text.settings import TextSettings

TARGET = Path("data/downloads/tales")
WRAPPED = """\
The caster went along the road as far as the
house of the light, and nobody who stood there
knew of it.

Then the light came back to the house. It was
late, and the caster slept. All of the road lay
in the dark.

"""
CONTENTS = {
    **{f"{number:02}.txt": f"A word of {number} caster.\nA light of the road.\n" * 200 for number in range(20)},
    "20.txt": WRAPPED * 40,
}
TEXTS = {name: text.encode() for name, text in CONTENTS.items()}
WHOLE = sum(map(len, TEXTS.values()))


@pytest.fixture
def server() -> Iterator[TextServer]:
    with serve_text(b"") as server:
        server.other_files = dict(TEXTS)
        yield server


@pytest.fixture(autouse=True)
def in_data_folder(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (in_empty_folder / "data").mkdir()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def rows() -> list[list[str]]:
    """Return the rows of the listing; each file is in another folder of the server."""
    file_rows = [
        [name, str(len(text)), hashlib.sha256(text).hexdigest(), f"cards/{name[:2]}/{name}"]
        for name, text in TEXTS.items()
    ]
    return [["file", "bytes", "sha256", "path"], *file_rows]


def write_catalogue(
    address: str, table: Sequence[Sequence[str]] | None = None, changes: dict[str, object] | None = None
) -> None:
    """Write a catalogue and a listing whose corpus tales is downloaded from this address."""
    entry = {
        "title": "Tales", "language": "english", "tokenizer": "english", "passage": "auto", "line_breaks": "auto",
        "licence": "CC0-1.0", "source": "these tests",
    }  # fmt: skip
    listing: dict[str, object] = {"table": "tales.tsv", "address": address, "files": len(TEXTS), "bytes": WHOLE}
    entry_lines = [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
    listing_lines = [f"{key} = {json.dumps(value)}" for key, value in {**listing, **(changes or {})}.items()]
    Path("data/own.toml").write_text("\n".join(["[tales]", *entry_lines, "[tales.listing]", *listing_lines]))
    lines = ["\t".join(row) for row in (rows() if table is None else table)]
    Path("data/tales.tsv").write_text("\n".join(lines) + "\n")


def requested_files(server: TextServer) -> list[str]:
    return sorted(request.path.rpartition("/")[2] for request in server.requests)


def test_all_files_are_downloaded_once(server: TextServer):
    write_catalogue(server.folder("ranges"))
    reports: list[tuple[str, int, int]] = []
    open_corpus("tales", on_progress=lambda *report: reports.append(report))
    assert {path.name: path.read_bytes() for path in TARGET.glob("*.txt")} == TEXTS
    assert requested_files(server) == sorted(TEXTS)
    assert {request.path for request in server.requests} == {f"/ranges/cards/{name[:2]}/{name}" for name in TEXTS}
    assert {(name, total) for name, _, total in reports} == {("tales", WHOLE)}
    sizes = [done for _, done, _ in reports]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1], sizes.count(WHOLE)) == (0, WHOLE, 1)
    open_corpus("tales", on_progress=lambda *report: reports.append(report))
    assert len(server.requests) == len(TEXTS)
    assert len(reports) == len(sizes)


def test_listing_and_folder_have_equal_ids(server: TextServer):
    write_catalogue(server.folder("ranges"))
    from_listing = prepare(open_corpus("tales"), TextSettings(), Path("encoded"))
    Path("elsewhere").mkdir()
    for name, text in TEXTS.items():
        (Path("elsewhere") / name).write_bytes(text)
    folder = open_corpus("elsewhere")
    assert len(set(folder.layouts)) == 2
    from_folder = prepare(folder, TextSettings(), Path("encoded"))
    assert from_listing.codec.vocabulary.tokens == from_folder.codec.vocabulary.tokens
    assert all((from_listing.ids[split] == from_folder.ids[split]).all() for split in from_listing.ids)


def test_only_missing_bytes_are_downloaded(server: TextServer):
    write_catalogue(server.folder("ranges"))
    TARGET.mkdir(parents=True)
    (TARGET / "03.txt").write_bytes(TEXTS["03.txt"])
    part_path(TARGET / "04.txt").write_bytes(TEXTS["04.txt"][:100])
    sizes: list[int] = []
    open_corpus("tales", on_progress=lambda name, done, total: sizes.append(done))
    assert sizes[0] == len(TEXTS["03.txt"]) + 100
    assert requested_files(server) == sorted(TEXTS.keys() - {"03.txt"})
    assert [request.range for request in server.requests if request.path.endswith("04.txt")] == ["bytes=100-"]


@pytest.mark.parametrize("behaviour", ["missing", "hang_up"])
def test_failed_file_is_named_and_other_files_are_kept(server: TextServer, behaviour: str):
    table = rows()
    table[15][3] = f"../{behaviour}/{table[15][0]}"
    write_catalogue(server.folder("ranges"), table)
    server.other_files["14.txt"] = b""
    with pytest.raises(CorpusError) as error:
        open_corpus("tales")
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith("14.txt cannot be downloaded: ")
    downloaded = [path.name for path in TARGET.glob("*.txt")]
    assert 0 < len(downloaded) < len(TEXTS)
    assert " of the 21 files of tales are" in message
    assert message.endswith(" are already here.")
    server.requests.clear()
    server.other_files = dict(TEXTS)
    write_catalogue(server.folder("ranges"))
    assert len(passage_texts(open_corpus("tales"))) == 20 * 400 + 80
    assert requested_files(server) == sorted(TEXTS.keys() - set(downloaded))


def test_two_processes_download_each_file_once(server: TextServer):
    write_catalogue(server.folder("slow"))
    opening = [sys.executable, "-c", "from wordgen.corpus.finding import open_corpus; open_corpus('tales')"]
    processes = [subprocess.Popen(opening, env=command_environment(NO_PROXY="127.0.0.1")) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert requested_files(server) == sorted(TEXTS)
    assert {path.name: path.read_bytes() for path in TARGET.glob("*.txt")} == TEXTS


def test_download_resumes_after_ctrl_c(server: TextServer, capsys: pytest.CaptureFixture[str]):
    write_catalogue(server.folder("slow"))
    process = subprocess.Popen(
        [sys.executable, "-m", "wordgen", "corpora", "show", "tales"],
        env=command_environment(NO_PROXY="127.0.0.1"),
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not [path for path in TARGET.glob("*.part") if path.stat().st_size]:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.rstrip().endswith("Stopped.")
    assert "Traceback" not in stderr
    write_catalogue(server.folder("ranges"))
    assert main(["corpora", "show", "tales"]) == 0
    output = capsys.readouterr()
    assert "Downloaded tales, 0.2 MB." in output.err
    assert sum(request.sent for request in server.requests) < 2 * WHOLE
    assert any(request.range for request in server.requests)
    assert "read with one passage per line (20 files), one passage per paragraph (1 file)" in " ".join(
        output.out.split()
    )
    assert "Tales" in output.out


def test_listing_is_read_only_when_corpus_is_opened(server: TextServer):
    write_catalogue(server.folder("ranges"))
    Path("data/tales.tsv").unlink()
    assert catalogue()["tales"].title == "Tales"
    (tales,) = [text for text in known_texts() if text.name == "tales"]
    assert (tales.bytes, tales.location) == (WHOLE, "not downloaded")
    assert open_corpus("lotr").files
    with pytest.raises(CorpusError, match=r"The listing .*tales\.tsv cannot be read: .*No such file"):
        open_corpus("tales")
    TARGET.mkdir(parents=True)
    for name, text in TEXTS.items():
        (TARGET / name).write_bytes(text)
    assert [text.location for text in known_texts() if text.name == "tales"] == ["downloaded"]


def rows_with(row: int, column: int, cell: str) -> list[list[str]]:
    table = rows()
    table[row][column] = cell
    return table


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ([], "it has 0 files with 0 bytes, but the catalogue says 21"),
        (rows()[:-1], "it has 20 files with "),
        (rows_with(0, 1, "size"), "line 2: 'size' is not a setting"),
        (rows_with(0, 0, "name"), "line 2: 'name' is not a setting"),
        (rows_with(3, 0, "../03.txt"), "line 4: file must be the name of a file without any folder"),
        (rows_with(3, 0, "03.TXT"), "03.TXT is in it twice"),
        (rows_with(3, 1, "many"), "line 4: bytes must be a whole number, not 'many'"),
        (rows_with(3, 1, "0"), "line 4: bytes must be at least 1"),
        (rows_with(3, 2, "0" * 63), "line 4: sha256 must be 64 digits"),
        (rows_with(3, 3, "日"), "line 4: address must begin with https:// or http://"),
        ([*rows()[:4], ["04.txt", "9"]], "line 5: it has 2 columns, but the first line has 4"),
    ],
)
def test_invalid_listing_is_refused(table: list[list[str]], reason: str):
    write_catalogue("http://127.0.0.1/", table)
    with pytest.raises(CorpusError, match=r"The listing .*tales\.tsv cannot be read: ") as error:
        open_corpus("tales")
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"address": "http://127.0.0.1"}, "address must begin with https:// or http:// and end with /"),
        ({"address": "ftp://127.0.0.1/"}, "address must begin with https:// or http:// and end with /"),
        ({"files": 0}, "files must be at least 1"),
        ({"colour": "red"}, "'colour' is not a setting"),
    ],
)
def test_invalid_entry_with_listing_is_refused(changes: dict[str, object], reason: str):
    write_catalogue("http://127.0.0.1/", changes=changes)
    with pytest.raises(CorpusError, match=r"The catalogue data/own\.toml cannot be read: the entry tales: ") as error:
        catalogue()
    assert reason in str(error.value)


def test_entry_with_files_and_listing_is_refused():
    write_catalogue("http://127.0.0.1/")
    text = Path("data/own.toml").read_text().replace("[tales.listing]", 'files = ["a.txt"]\n[tales.listing]')
    Path("data/own.toml").write_text(text)
    with pytest.raises(CorpusError, match="its listing names all files, so leave out files and downloads"):
        catalogue()


def write_catalogue_with_held_out_files(valid: str, test: str) -> None:
    write_catalogue("http://127.0.0.1/")
    own = Path("data/own.toml")
    held_out = f'valid_files = ["{valid}"]\ntest_files = ["{test}"]\n'
    own.write_text(own.read_text().replace("[tales.listing]", held_out + "[tales.listing]"))


def test_held_out_files_of_listing_are_not_trained_on():
    write_catalogue_with_held_out_files("03.txt", "07.txt")
    entry = catalogue()["tales"].with_listed_files()
    assert (entry.valid_files, entry.test_files) == (("03.txt",), ("07.txt",))
    assert sorted([*entry.files, "03.txt", "07.txt"]) == sorted(TEXTS)


@pytest.mark.parametrize(
    ("valid", "test", "reason"),
    [
        ("03.txt", "nowhere.txt", "does not contain nowhere.txt"),
        ("03.txt", "03.txt", "each file must be in only one of files, valid_files"),
    ],
)
def test_invalid_held_out_files_are_refused(valid: str, test: str, reason: str):
    write_catalogue_with_held_out_files(valid, test)
    with pytest.raises(CorpusError, match=reason):
        catalogue()["tales"].with_listed_files()
