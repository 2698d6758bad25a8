"""Texts of one's own get names, in a catalogue that loses nothing of what its owner wrote."""

import dataclasses
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.commands import command_environment
from tests.helpers.texts import passage_texts
from wordgen.corpus.catalogue import CatalogueEntry, add_to_own_catalogue, own_catalogue
from wordgen.corpus.finding import corpus_of_files, open_corpus, read_through
from wordgen.corpus.settings import Description, ReadingSettings
from wordgen.errors import CorpusError, SettingError, StorageError

SONG = "Rain falls\non the roof\n\nand on the road\ntonight\n\nand stays\nwith me\n"
OF_ITS_OWNER = """# My texts. Nobody may touch this line.
[waves]
title = "Waves"   # by hand
files = ["waves.txt"]
language = "english"
tokenizer = "auto"
passage = "line"
line_breaks = "joined"
licence = "mine"
source = "the sea"
"""


@pytest.fixture(autouse=True)
def room(in_empty_folder: Path) -> Path:
    Path("song.txt").write_text(SONG)
    return in_empty_folder


def add(name: str, *files: str, replace: bool = False, how: ReadingSettings | None = None, **said: str):
    corpus = corpus_of_files(files, how or ReadingSettings())
    read_through(corpus)
    chosen = dataclasses.replace(corpus.how, passage=corpus.passage, line_breaks=corpus.line_breaks)
    return add_to_own_catalogue(name, files, chosen, "english", Description(**said), replace=replace)


def own_file() -> str:
    return Path("data/own.toml").read_text(encoding="utf-8")


def write_own(content: str) -> None:
    Path("data").mkdir(exist_ok=True)
    Path("data/own.toml").write_text(content, encoding="utf-8")


def test_a_text_that_was_added_opens_by_its_name_with_the_layout_that_was_found():
    entry = add("rain", "song.txt", title="Rain on the roof", language="english", licence="CC0-1.0")
    assert (entry.title, entry.passage, entry.line_breaks) == ("Rain on the roof", "document", "kept")
    corpus = open_corpus("rain")
    assert (corpus.name, corpus.tokenizer) == ("rain", "english")
    assert passage_texts(corpus) == ["Rain falls\non the roof", "and on the road\ntonight", "and stays\nwith me"]
    with pytest.raises(CorpusError, match="Did you mean rain"):
        open_corpus("rian")


def test_what_is_said_of_the_text_is_remembered():
    Path("old.txt").write_bytes("雨が降る夜。\n".encode("euc_jp") * 30)
    how = ReadingSettings(encoding="euc_jp", passage="line", line_breaks="kept", keep_boilerplate=True, fold_width=True)
    add("old", "old.txt", how=how)
    corpus = open_corpus("old")
    assert (corpus.passage, corpus.line_breaks, corpus.how) == ("line", "kept", how)
    assert open_corpus("old", ReadingSettings(encoding="utf-8", passage="document")).how.encoding == "utf-8"


@pytest.mark.parametrize("whole_path", [False, True])
def test_it_opens_from_any_folder(room: Path, monkeypatch: pytest.MonkeyPatch, whole_path: bool):
    entry = add("rain", str(room / "song.txt") if whole_path else "song.txt")
    assert entry.files == ((str(room / "song.txt") if whole_path else "../song.txt"),)
    monkeypatch.setenv("WORDGEN_DATA", str(room / "data"))
    (room / "elsewhere").mkdir()
    monkeypatch.chdir(room / "elsewhere")
    assert len(passage_texts(open_corpus("rain"))) == 3


def test_a_data_folder_behind_a_link_is_where_it_leads(room: Path):
    (room / "far" / "away").mkdir(parents=True)
    (room / "data").symlink_to(room / "far" / "away")
    assert add("rain", "song.txt").files == ("../../song.txt",)
    assert len(passage_texts(open_corpus("rain"))) == 3


def test_a_folder_stands_for_the_texts_in_it_then():
    Path("songs").mkdir()
    Path("songs/1.txt").write_text(SONG)
    add("songs", "songs", "song.txt")
    Path("songs/2.txt").write_text(SONG)
    assert [path.name for path in open_corpus("songs").files] == ["1.txt", "2.txt", "song.txt"]


def test_what_its_owner_wrote_stays_to_the_letter():
    write_own(OF_ITS_OWNER)
    add("rain", "song.txt")
    assert own_file().startswith(OF_ITS_OWNER)
    before = own_file()
    add("more", "song.txt")
    assert own_file().startswith(before)
    assert list(own_catalogue()) == ["waves", "rain", "more"]


def test_one_of_ones_own_is_replaced_only_when_that_is_wanted():
    write_own(OF_ITS_OWNER + "\n# the end\n")
    with pytest.raises(SettingError, match=r"You already have a corpus waves: .* --replace"):
        add("waves", "song.txt")
    assert own_file() == OF_ITS_OWNER + "\n# the end\n"
    add("waves", "song.txt", title="Rain", replace=True)
    assert (own_catalogue()["waves"].title, own_catalogue()["waves"].passage) == ("Rain", "document")
    assert "# by hand" in own_file()
    assert "# the end" in own_file()


@settings(max_examples=60)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.from_regex(r"[A-Za-z0-9][\w.+-]{0,20}", fullmatch=True).filter(lambda name: name not in ("lotr", "encoded")),
)
def test_any_title_and_any_name_come_back(title: str, name: str):
    write_own(OF_ITS_OWNER)
    entry = add(name, "song.txt", title=title, replace=True)
    assert (entry.name, entry.title) == (name, title or name)
    assert own_catalogue()[name] == entry
    waves = tomllib.loads(OF_ITS_OWNER)["waves"]
    assert name == "waves" or CatalogueEntry.from_table("waves", waves, entry.folder) == own_catalogue()["waves"]


@pytest.mark.parametrize("name", ["", "-x", "a/b", "..", "x" * 61, "two words", "downloads", "encoded"])
def test_what_cannot_be_a_name_is_refused(name: str):
    with pytest.raises(SettingError, match="A corpus cannot have the name"):
        add(name, "song.txt")
    assert not Path("data/own.toml").exists()


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(SettingError, match="lotr is the name of a text that comes with wordgen"):
        add("lotr", "song.txt", replace=True)
    Path("data/sea").mkdir(parents=True)
    Path("data/sea/deep.txt").write_text(SONG)
    with pytest.raises(SettingError, match="The folder data/sea contains texts"):
        add("sea", "song.txt", replace=True)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (bytes(1000), "is not a text"),
        (b"a good line\n" * 200_000 + b"\xff" * 5000, "is not UTF-8 text"),
    ],
)
def test_any_file_that_is_no_text_is_refused_at_once(content: bytes, sentence: str):
    Path("odd.txt").write_bytes(content)
    with pytest.raises(CorpusError, match=rf"odd\.txt {sentence}"):
        add("odd", "song.txt", "odd.txt")
    assert not Path("data/own.toml").exists()


@pytest.mark.parametrize(("file", "sentence"), [("nowhere.txt", "no file or folder nowhere.txt"), ("-", "only once")])
def test_what_is_not_there_is_refused(file: str, sentence: str):
    with pytest.raises(CorpusError, match=sentence):
        add("odd", "song.txt", file)


def test_a_file_that_has_gone_since_is_named():
    add("rain", "song.txt")
    os.remove("song.txt")
    with pytest.raises(CorpusError, match=r"song\.txt, a file of the corpus rain, is missing"):
        open_corpus("rain")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[waves\n", "Expected"),
        ("waves = 1\n", "the entry waves: it must be a table"),
        ('[waves]\ntitle = "x"\n', "the entry waves: the setting 'files' is missing"),
        (OF_ITS_OWNER.replace('"line"', '"word"'), "the entry waves: --passage must be one of"),
        (OF_ITS_OWNER.replace('["waves.txt"]', "[]"), "the entry waves: files must name at least one file"),
    ],
)
def test_a_catalogue_that_cannot_be_read_is_said_and_left_alone(content: str, sentence: str):
    write_own(content)
    with pytest.raises(CorpusError, match=rf"The catalogue data/own\.toml cannot be read: {sentence}"):
        add("rain", "song.txt")
    assert own_file() == content


def test_a_data_folder_that_cannot_be_written():
    Path("data").write_text("in the way")
    with pytest.raises(StorageError, match="Cannot write to data"):
        add("rain", "song.txt")


def test_many_that_add_at_once_lose_nothing():
    program = (
        "import sys; from wordgen.cli.main import main; sys.exit(main(['corpora', 'add', sys.argv[1], 'song.txt']))"
    )
    names = [f"rain-{number}" for number in range(5)]
    adding = [
        subprocess.Popen([sys.executable, "-c", program, name], env=command_environment(), stdout=subprocess.DEVNULL)
        for name in names
    ]
    assert [process.wait(60) for process in adding] == [0] * 5
    assert set(own_catalogue()) == set(names)


def test_what_was_said_of_a_text_stays_when_it_is_replaced():
    add("rain", "song.txt", title="Rain on the roof", language="english", licence="CC0-1.0")
    entry = add("rain", "song.txt", replace=True, how=ReadingSettings(passage="line"), licence="mine")
    assert (entry.title, entry.language, entry.licence, entry.passage) == (
        "Rain on the roof",
        "english",
        "mine",
        "line",
    )


def test_an_editors_mark_at_the_beginning_of_the_catalogue_is_no_fault():
    write_own("\ufeff" + OF_ITS_OWNER)
    assert own_catalogue()["waves"].title == "Waves"
    add("rain", "song.txt")
    assert set(own_catalogue()) == {"waves", "rain"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (OF_ITS_OWNER + 'name = "other"\n', "'name' is not a setting"),
        (OF_ITS_OWNER + 'folder = "/"\n', "'folder' is not a setting"),
        (OF_ITS_OWNER + "downloads = 3\n", r"downloads must be tables"),
        (OF_ITS_OWNER.replace("[waves]", '["a/b"]'), "a name has up to 60 letters"),
    ],
)
def test_an_entry_that_its_owner_spoiled_is_told(content: str, sentence: str):
    write_own(content)
    with pytest.raises(CorpusError, match=sentence):
        open_corpus("waves")
