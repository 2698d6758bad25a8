"""Texts of many files stand in a listing, and come over several real connections at once."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.helpers.commands import Command, command_environment
from tests.helpers.text_server import TextServer, serving
from tests.helpers.texts import passage_texts
from wordgen.corpus.catalogue import catalogue
from wordgen.corpus.fetching import part_of
from wordgen.corpus.finding import known_texts, open_corpus
from wordgen.dataset.encoding import prepare
from wordgen.errors import CorpusError
from wordgen.text.settings import TextSettings

PLACE = Path("data/downloads/tales")
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
    with serving(b"") as server:
        server.others = dict(TEXTS)
        yield server


@pytest.fixture(autouse=True)
def in_a_room(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (in_empty_folder / "data").mkdir()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def rows() -> list[list[str]]:
    """The listing of all texts; each lies in a folder of its own."""
    sums = [
        [name, str(len(text)), hashlib.sha256(text).hexdigest(), f"cards/{name[:2]}/{name}"]
        for name, text in TEXTS.items()
    ]
    return [["file", "bytes", "sha256", "path"], *sums]


def known_as_tales(
    address: str, table: Sequence[Sequence[str]] | None = None, changes: dict[str, object] | None = None
) -> None:
    """A catalogue that knows all texts as one, and fetches them from there."""
    entry = {
        "title": "Tales", "language": "english", "tokenizer": "english", "passage": "auto", "line_breaks": "auto",
        "licence": "CC0-1.0", "source": "these tests",
    }  # fmt: skip
    listing: dict[str, object] = {"table": "tales.tsv", "address": address, "files": len(TEXTS), "bytes": WHOLE}
    keys = [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
    of_listing = [f"{key} = {json.dumps(value)}" for key, value in {**listing, **(changes or {})}.items()]
    Path("data/own.toml").write_text("\n".join(["[tales]", *keys, "[tales.listing]", *of_listing]))
    lines = ["\t".join(row) for row in (rows() if table is None else table)]
    Path("data/tales.tsv").write_text("\n".join(lines) + "\n")


def asked_for(server: TextServer) -> list[str]:
    return sorted(asked.path.rpartition("/")[2] for asked in server.asked)


def test_all_files_come_once_as_one_text(server: TextServer):
    known_as_tales(server.folder("ranges"))
    told: list[tuple[str, int, int]] = []
    open_corpus("tales", fetching=lambda *far: told.append(far))
    assert {path.name: path.read_bytes() for path in PLACE.glob("*.txt")} == TEXTS
    assert asked_for(server) == sorted(TEXTS)
    assert {asked.path for asked in server.asked} == {f"/ranges/cards/{name[:2]}/{name}" for name in TEXTS}
    assert {(name, total) for name, _, total in told} == {("tales", WHOLE)}
    sizes = [done for _, done, _ in told]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1], sizes.count(WHOLE)) == (0, WHOLE, 1)
    open_corpus("tales", fetching=lambda *far: told.append(far))
    assert len(server.asked) == len(TEXTS)
    assert len(told) == len(sizes)


def test_they_have_the_ids_of_a_folder_with_these_files(server: TextServer):
    known_as_tales(server.folder("ranges"))
    tales = prepare(open_corpus("tales"), TextSettings(), Path("encoded"))
    Path("elsewhere").mkdir()
    for name, text in TEXTS.items():
        (Path("elsewhere") / name).write_bytes(text)
    folder = open_corpus("elsewhere")
    assert len(set(folder.layouts)) == 2
    same = prepare(folder, TextSettings(), Path("encoded"))
    assert tales.codec.vocabulary.tokens == same.codec.vocabulary.tokens
    assert all((tales.ids[split] == same.ids[split]).all() for split in tales.ids)


def test_what_is_here_is_not_fetched_again(server: TextServer):
    known_as_tales(server.folder("ranges"))
    PLACE.mkdir(parents=True)
    (PLACE / "03.txt").write_bytes(TEXTS["03.txt"])
    part_of(PLACE / "04.txt").write_bytes(TEXTS["04.txt"][:100])
    told: list[int] = []
    open_corpus("tales", fetching=lambda name, done, total: told.append(done))
    assert told[0] == len(TEXTS["03.txt"]) + 100
    assert asked_for(server) == sorted(TEXTS.keys() - {"03.txt"})
    assert [asked.range for asked in server.asked if asked.path.endswith("04.txt")] == ["bytes=100-"]


@pytest.mark.parametrize("way", ["missing", "hang_up"])
def test_one_that_cannot_be_had_is_named_and_the_others_stay(server: TextServer, way: str):
    table = rows()
    table[15][3] = f"../{way}/{table[15][0]}"
    known_as_tales(server.folder("ranges"), table)
    server.others["14.txt"] = b""
    with pytest.raises(CorpusError) as told:
        open_corpus("tales")
    assert "\n" not in str(told.value)
    assert str(told.value).startswith("14.txt cannot be downloaded: ")
    here = [path.name for path in PLACE.glob("*.txt")]
    assert 0 < len(here) < len(TEXTS)
    assert " of the 21 files of tales are" in str(told.value)
    assert str(told.value).endswith(" are already here.")
    server.asked.clear()
    server.others = dict(TEXTS)
    known_as_tales(server.folder("ranges"))
    assert len(passage_texts(open_corpus("tales"))) == 20 * 400 + 80
    assert asked_for(server) == sorted(TEXTS.keys() - set(here))


def test_of_two_processes_one_fetches_each_file_for_both(server: TextServer):
    known_as_tales(server.folder("slow"))
    opening = [sys.executable, "-c", "from wordgen.corpus.finding import open_corpus; open_corpus('tales')"]
    both = [subprocess.Popen(opening, env=command_environment(NO_PROXY="127.0.0.1")) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert asked_for(server) == sorted(TEXTS)


def test_a_command_that_is_stopped_on_the_way_goes_on(server: TextServer, command: Command):
    known_as_tales(server.folder("slow"))
    process = subprocess.Popen(
        [sys.executable, "-m", "wordgen", "corpora", "show", "tales"],
        env=command_environment(NO_PROXY="127.0.0.1"),
        stderr=subprocess.PIPE,
        text=True,
    )
    limit = time.monotonic() + 60
    while not [path for path in PLACE.glob("*.part") if path.stat().st_size]:
        assert time.monotonic() < limit
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=20)
    assert process.returncode == 130
    assert complaint.rstrip().endswith("Stopped.")
    assert "Traceback" not in complaint
    known_as_tales(server.folder("ranges"))
    ended = command("corpora", "show", "tales", NO_PROXY="127.0.0.1")
    assert ended.returncode == 0, ended.stderr
    assert "Downloaded tales, 0.2 MB." in ended.stderr
    assert sum(asked.sent for asked in server.asked) < 2 * WHOLE
    assert any(asked.range for asked in server.asked)
    assert "read with one passage per line (20 files), one passage per paragraph (1 file)" in " ".join(
        ended.stdout.split()
    )
    assert "Tales" in ended.stdout


def test_a_listing_is_read_only_once_its_text_is_wanted(server: TextServer):
    known_as_tales(server.folder("ranges"))
    Path("data/tales.tsv").unlink()
    assert catalogue()["tales"].title == "Tales"
    (tales,) = [text for text in known_texts() if text.name == "tales"]
    assert (tales.bytes, tales.whereabouts) == (WHOLE, "not downloaded")
    assert open_corpus("lotr").files
    with pytest.raises(CorpusError, match=r"The listing .*tales\.tsv cannot be read: .*No such file"):
        open_corpus("tales")
    PLACE.mkdir(parents=True)
    for name, text in TEXTS.items():
        (PLACE / name).write_bytes(text)
    assert [text.whereabouts for text in known_texts() if text.name == "tales"] == ["downloaded"]


def changed(row: int, column: int, cell: str) -> list[list[str]]:
    table = rows()
    table[row][column] = cell
    return table


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ([], "it has 0 files with 0 bytes, but the catalogue says 21"),
        (rows()[:-1], "it has 20 files with "),
        (changed(0, 1, "size"), "line 2: 'size' is not a setting"),
        (changed(0, 0, "name"), "line 2: 'name' is not a setting"),
        (changed(3, 0, "../03.txt"), "line 4: file must be the name of a file without any folder"),
        (changed(3, 0, "03.TXT"), "03.TXT is in it twice"),
        (changed(3, 1, "many"), "line 4: bytes must be a whole number, not 'many'"),
        (changed(3, 1, "0"), "line 4: bytes must be at least 1"),
        (changed(3, 2, "0" * 63), "line 4: sha256 must be 64 digits"),
        (changed(3, 3, "日"), "line 4: address must begin with https:// or http://"),
        ([*rows()[:4], ["04.txt", "9"]], "line 5: it has 2 columns, but the first line has 4"),
    ],
)
def test_a_listing_that_cannot_be_meant_is_refused(table: list[list[str]], why: str):
    known_as_tales("http://127.0.0.1/", table)
    with pytest.raises(CorpusError, match=r"The listing .*tales\.tsv cannot be read: ") as told:
        open_corpus("tales")
    assert why in str(told.value).replace("--", "")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"address": "http://127.0.0.1"}, "address must begin with https:// or http:// and end with /"),
        ({"address": "ftp://127.0.0.1/"}, "address must begin with https:// or http:// and end with /"),
        ({"files": 0}, "files must be at least 1"),
        ({"colour": "red"}, "'colour' is not a setting"),
    ],
)
def test_an_entry_with_a_listing_that_cannot_be_meant_is_refused(changes: dict[str, object], why: str):
    known_as_tales("http://127.0.0.1/", changes=changes)
    with pytest.raises(CorpusError, match=r"The catalogue data/own\.toml cannot be read: the entry tales: ") as told:
        catalogue()
    assert why in str(told.value)


def test_files_and_a_listing_are_too_much():
    known_as_tales("http://127.0.0.1/")
    text = Path("data/own.toml").read_text().replace("[tales.listing]", 'files = ["a.txt"]\n[tales.listing]')
    Path("data/own.toml").write_text(text)
    with pytest.raises(CorpusError, match="its listing names all files, so leave out files and downloads"):
        catalogue()


def known_with_held_out_files(valid: str, test: str) -> None:
    known_as_tales("http://127.0.0.1/")
    own = Path("data/own.toml")
    held_out = f'valid_files = ["{valid}"]\ntest_files = ["{test}"]\n'
    own.write_text(own.read_text().replace("[tales.listing]", held_out + "[tales.listing]"))


def test_files_of_a_listing_that_are_held_out_are_not_trained_on():
    known_with_held_out_files("03.txt", "07.txt")
    entry = catalogue()["tales"].opened()
    assert (entry.valid_files, entry.test_files) == (("03.txt",), ("07.txt",))
    assert sorted([*entry.files, "03.txt", "07.txt"]) == sorted(TEXTS)


@pytest.mark.parametrize(
    ("valid", "test", "why"),
    [
        ("03.txt", "nowhere.txt", "does not contain nowhere.txt"),
        ("03.txt", "03.txt", "each file must be in only one of files, valid_files"),
    ],
)
def test_held_out_files_that_cannot_be_meant_are_refused(valid: str, test: str, why: str):
    known_with_held_out_files(valid, test)
    with pytest.raises(CorpusError, match=why):
        catalogue()["tales"].opened()
