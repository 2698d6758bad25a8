"""`corpora add` gives own texts names in a catalogue, and keeps what the user wrote there."""

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
from wordgen.corpus.catalogue import SPLITS, CatalogueEntry, Split, add_to_user_catalogue, user_catalogue
from wordgen.corpus.finding import corpus_of_files, open_corpus, read_through
from wordgen.corpus.settings import Description, ReadingSettings
from wordgen.errors import CorpusError, SettingError, StorageError

SONG = "Rain falls\non the roof\n\nand on the road\ntonight\n\nand stays\nwith me\n"
OWN_CATALOGUE = """# My texts. Nobody may touch this line.
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
def folder(in_empty_folder: Path) -> Path:
    Path("song.txt").write_text(SONG)
    return in_empty_folder


def add(name: str, *files: str, replace: bool = False, reading: ReadingSettings | None = None, **description: str):
    corpus = corpus_of_files(files, reading or ReadingSettings())
    read_through(corpus)
    layout = dataclasses.replace(corpus.reading_settings, passage=corpus.passage, line_breaks=corpus.line_breaks)
    return add_to_user_catalogue(name, files, layout, "english", Description(**description), replace=replace)


def read_catalogue() -> str:
    return Path("data/own.toml").read_text(encoding="utf-8")


def write_catalogue(content: str) -> None:
    Path("data").mkdir(exist_ok=True)
    Path("data/own.toml").write_text(content, encoding="utf-8")


def test_added_text_opens_by_name_with_detected_layout():
    entry = add("rain", "song.txt", title="Rain on the roof", language="english", licence="CC0-1.0")
    assert (entry.title, entry.passage, entry.line_breaks) == ("Rain on the roof", "document", "kept")
    corpus = open_corpus("rain")
    assert (corpus.name, corpus.tokenizer) == ("rain", "english")
    assert passage_texts(corpus) == ["Rain falls\non the roof", "and on the road\ntonight", "and stays\nwith me"]
    with pytest.raises(CorpusError, match="Did you mean rain"):
        open_corpus("rian")


def test_reading_settings_are_stored():
    Path("old.txt").write_bytes("雨が降る夜。\n".encode("euc_jp") * 30)
    reading = ReadingSettings(
        encoding="euc_jp", passage="line", line_breaks="kept", keep_boilerplate=True, fold_width=True
    )
    add("old", "old.txt", reading=reading)
    corpus = open_corpus("old")
    assert (corpus.passage, corpus.line_breaks, corpus.reading_settings) == ("line", "kept", reading)
    as_utf_8 = open_corpus("old", ReadingSettings(encoding="utf-8", passage="document"))
    assert as_utf_8.reading_settings.encoding == "utf-8"


@pytest.mark.parametrize("whole_path", [False, True])
def test_own_corpus_opens_from_any_folder(folder: Path, monkeypatch: pytest.MonkeyPatch, whole_path: bool):
    entry = add("rain", str(folder / "song.txt") if whole_path else "song.txt")
    assert entry.files == ((str(folder / "song.txt") if whole_path else "../song.txt"),)
    monkeypatch.setenv("WORDGEN_DATA", str(folder / "data"))
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert len(passage_texts(open_corpus("rain"))) == 3


def test_paths_are_relative_to_target_of_linked_data_folder(folder: Path):
    (folder / "far" / "away").mkdir(parents=True)
    (folder / "data").symlink_to(folder / "far" / "away")
    assert add("rain", "song.txt").files == ("../../song.txt",)
    assert len(passage_texts(open_corpus("rain"))) == 3


def test_files_added_to_folder_later_are_read():
    Path("songs").mkdir()
    Path("songs/1.txt").write_text(SONG)
    add("songs", "songs", "song.txt")
    Path("songs/2.txt").write_text(SONG)
    assert [path.name for path in open_corpus("songs").files] == ["1.txt", "2.txt", "song.txt"]


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        ('files = ["waves"]', ()),
        ('files = ["waves/1.txt"]\nvalid_files = ["waves/2.txt"]\ntest_files = ["waves/3.txt"]', SPLITS),
    ],
)
def test_entry_of_files_in_folder_of_its_name_is_used(files: str, splits: tuple[Split, ...]):
    """Other texts in this folder would replace its files."""
    Path("data/waves").mkdir(parents=True)
    for name in ("1", "2", "3"):
        Path(f"data/waves/{name}.txt").write_text(SONG)
    write_catalogue(OWN_CATALOGUE.replace('files = ["waves.txt"]', f"{files}\nfold_width = true"))
    corpus = open_corpus("waves")
    assert corpus.splits == splits
    assert corpus.reading_settings.fold_width


def test_file_in_two_sets_is_refused():
    Path("songs").mkdir()
    for name in ("1", "2", "3"):
        Path(f"songs/{name}.txt").write_text(SONG)
    held_out = 'valid_files = ["../songs/2.txt"]\ntest_files = ["../songs/3.txt"]\n'
    write_catalogue(OWN_CATALOGUE.replace("waves.txt", "../songs") + held_out)
    with pytest.raises(CorpusError, match=r"songs/2\.txt is given 2 times"):
        open_corpus("waves")


def test_adding_keeps_existing_catalogue_text():
    write_catalogue(OWN_CATALOGUE)
    add("rain", "song.txt")
    assert read_catalogue().startswith(OWN_CATALOGUE)
    before = read_catalogue()
    add("more", "song.txt")
    assert read_catalogue().startswith(before)
    assert list(user_catalogue()) == ["waves", "rain", "more"]


def test_own_corpus_is_replaced_only_with_replace():
    write_catalogue(OWN_CATALOGUE + "\n# the end\n")
    with pytest.raises(SettingError, match=r"You already have a corpus waves: .* --replace"):
        add("waves", "song.txt")
    assert read_catalogue() == OWN_CATALOGUE + "\n# the end\n"
    add("waves", "song.txt", title="Rain", replace=True)
    assert (user_catalogue()["waves"].title, user_catalogue()["waves"].passage) == ("Rain", "document")
    assert "# by hand" in read_catalogue()
    assert "# the end" in read_catalogue()


@settings(max_examples=60)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.from_regex(r"[A-Za-z0-9][\w.+-]{0,20}", fullmatch=True).filter(lambda name: name not in ("lotr", "encoded")),
)
def test_any_title_and_name_round_trip(title: str, name: str):
    write_catalogue(OWN_CATALOGUE)
    entry = add(name, "song.txt", title=title, replace=True)
    assert (entry.name, entry.title) == (name, title or name)
    assert user_catalogue()[name] == entry
    waves = tomllib.loads(OWN_CATALOGUE)["waves"]
    assert name == "waves" or CatalogueEntry.from_table("waves", waves, entry.folder) == user_catalogue()["waves"]


@pytest.mark.parametrize("name", ["", "-x", "a/b", "..", "x" * 61, "two words", "downloads", "encoded"])
def test_invalid_name_is_refused(name: str):
    with pytest.raises(SettingError, match="A corpus cannot have the name"):
        add(name, "song.txt")
    assert not Path("data/own.toml").exists()


def test_name_in_use_is_refused():
    with pytest.raises(SettingError, match="lotr is the name of a text that comes with wordgen"):
        add("lotr", "song.txt", replace=True)
    Path("data/sea").mkdir(parents=True)
    Path("data/sea/deep.txt").write_text(SONG)
    with pytest.raises(SettingError, match="The folder data/sea contains texts"):
        add("sea", "song.txt", replace=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (bytes(1000), "is not a text"),
        (b"a good line\n" * 200_000 + b"\xff" * 5000, "is not UTF-8 text"),
    ],
)
def test_file_without_text_is_not_added(content: bytes, message: str):
    Path("odd.txt").write_bytes(content)
    with pytest.raises(CorpusError, match=rf"odd\.txt {message}"):
        add("odd", "song.txt", "odd.txt")
    assert not Path("data/own.toml").exists()


@pytest.mark.parametrize(("file", "message"), [("nowhere.txt", "no file or folder nowhere.txt"), ("-", "only once")])
def test_missing_file_and_standard_input_are_refused(file: str, message: str):
    with pytest.raises(CorpusError, match=message):
        add("odd", "song.txt", file)


def test_file_deleted_after_adding_is_named():
    add("rain", "song.txt")
    os.remove("song.txt")
    with pytest.raises(CorpusError, match=r"song\.txt, a file of the corpus rain, is missing"):
        open_corpus("rain")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[waves\n", "Expected"),
        ("waves = 1\n", "the entry waves: it must be a table"),
        ('[waves]\ntitle = "x"\n', "the entry waves: the setting 'files' is missing"),
        (OWN_CATALOGUE.replace('"line"', '"word"'), "the entry waves: passage must be one of"),
        (OWN_CATALOGUE.replace('["waves.txt"]', '["a", "a"]'), "the entry waves: each file must be in only one of"),
        (OWN_CATALOGUE.replace('["waves.txt"]', "[]"), "the entry waves: files must name at least one file"),
    ],
)
def test_unreadable_catalogue_is_reported_and_not_changed(content: str, message: str):
    write_catalogue(content)
    with pytest.raises(CorpusError, match=rf"The catalogue data/own\.toml cannot be read: {message}"):
        add("rain", "song.txt")
    assert read_catalogue() == content


def test_unwritable_data_folder_is_reported():
    Path("data").write_text("in the way")
    with pytest.raises(StorageError, match="Cannot write to data"):
        add("rain", "song.txt")


def test_processes_that_add_at_once_lose_nothing():
    program = (
        "import sys; from wordgen.cli.main import main; sys.exit(main(['corpora', 'add', sys.argv[1], 'song.txt']))"
    )
    names = [f"rain-{number}" for number in range(3)]
    processes = [
        subprocess.Popen([sys.executable, "-c", program, name], env=command_environment(), stdout=subprocess.DEVNULL)
        for name in names
    ]
    assert [process.wait(60) for process in processes] == [0] * 3
    assert set(user_catalogue()) == set(names)


def test_replacing_keeps_description():
    add("rain", "song.txt", title="Rain on the roof", language="english", licence="CC0-1.0")
    entry = add("rain", "song.txt", replace=True, reading=ReadingSettings(passage="line"), licence="mine")
    assert (entry.title, entry.language, entry.licence, entry.passage) == (
        "Rain on the roof",
        "english",
        "mine",
        "line",
    )


@pytest.mark.parametrize(
    ("files", "note"),
    [(["song.txt"], "Sung in 1901."), (["./song.txt"], "Sung in 1901."), (["song.txt", "other.txt"], "")],
)
def test_replacing_keeps_the_note_of_the_same_files(folder: Path, files: list[str], note: str):
    """A note is about the files."""
    (folder / "other.txt").write_text(SONG)
    song = (folder / "song.txt").as_posix()
    by_hand = f'files = ["{song}"]\nnote = "Sung in 1901."  # says my aunt'
    write_catalogue(OWN_CATALOGUE.replace('files = ["waves.txt"]', by_hand))
    entry = add("waves", *files, replace=True, title="Rain")
    assert (entry.title, entry.note) == ("Rain", note)
    assert ("# says my aunt" in read_catalogue()) == bool(note)


def test_catalogue_may_begin_with_byte_order_mark():
    write_catalogue("\ufeff" + OWN_CATALOGUE)
    assert user_catalogue()["waves"].title == "Waves"
    add("rain", "song.txt")
    assert set(user_catalogue()) == {"waves", "rain"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (OWN_CATALOGUE + 'name = "other"\n', "'name' is not a setting"),
        (OWN_CATALOGUE + 'folder = "/"\n', "'folder' is not a setting"),
        (OWN_CATALOGUE + "downloads = 3\n", r"downloads must be tables"),
        (OWN_CATALOGUE + "downloads = [3]\n", r"downloads must be tables"),
        (OWN_CATALOGUE + "listing = 3\n", r"listing must be a table"),
        (OWN_CATALOGUE.replace("[waves]", '["a/b"]'), "a name has up to 60 letters"),
    ],
)
def test_invalid_entry_of_own_catalogue_is_reported(content: str, message: str):
    write_catalogue(content)
    with pytest.raises(CorpusError, match=message):
        open_corpus("waves")
