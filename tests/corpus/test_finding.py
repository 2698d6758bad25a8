"""`--corpus` finds names, files, folders, splits and standard input, or says what it cannot find."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.commands import command_environment
from tests.helpers.texts import passage_texts, write_text
from wordgen.corpus.catalogue import catalogue
from wordgen.corpus.finding import open_corpus
from wordgen.errors import CorpusError

PROSE = (
    "The first paragraph stands here, and it is\nwrapped at a width.\n\n"
    "The second one stands here, and it is also\nwrapped as it was.\n\nThird.\n"
)


@pytest.mark.usefixtures("in_empty_folder")
@pytest.mark.parametrize("name", ["lotr", "fables", "spells", "lyrics"])
def test_bundled_text_opens_from_any_folder(name: str):
    corpus = open_corpus(name)
    assert corpus.name == name
    assert sum(len(passage) for passage in passage_texts(corpus)) > 10_000


def test_own_files_take_precedence_over_bundled_text(in_empty_folder: Path):
    write_text(in_empty_folder / "data" / "lotr" / "2.txt", "The second book.")
    write_text(in_empty_folder / "data" / "lotr" / "1.txt", "The first book.\n\nIts second page.")
    assert passage_texts(open_corpus("lotr")) == ["The first book.", "Its second page.", "The second book."]


def test_data_folder_is_set_by_environment(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch):
    write_text(in_empty_folder / "elsewhere" / "lotr" / "book.txt", "My own book.")
    monkeypatch.setenv("WORDGEN_DATA", "elsewhere")
    assert passage_texts(open_corpus("lotr")) == ["My own book."]


def test_file_is_a_corpus(tmp_path: Path):
    corpus = open_corpus(write_text(tmp_path / "my tale.txt", PROSE))
    assert corpus.name == "my tale"
    assert passage_texts(corpus)[0] == "The first paragraph stands here, and it is wrapped at a width."


def test_folder_is_read_in_order_of_names(tmp_path: Path):
    write_text(tmp_path / "book" / "b.txt", "Two.\n\nThree.")
    write_text(tmp_path / "book" / "a.txt", "One.\n\nAnd a half.")
    write_text(tmp_path / "book" / "notes.log", "no")
    write_text(tmp_path / "book" / "part 2" / "C.TXT", "Four.")
    assert passage_texts(open_corpus(str(tmp_path / "book"))) == ["One.", "And a half.", "Two.", "Three.", "Four."]


@pytest.mark.usefixtures("in_empty_folder")
def test_error_lists_known_names_and_suggests_similar_one():
    with pytest.raises(CorpusError) as error:
        open_corpus("lyrcs")
    assert all(name in str(error.value) for name in catalogue())
    assert str(error.value).endswith("Did you mean lyrics?")


@pytest.mark.usefixtures("in_empty_folder")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "There is no corpus"),
        ("nowhere/at/all.txt", "There is no corpus"),
        ("x" * 300, r"There is no corpus 'x{60}[.]{3}'"),  # too long for a path
    ],
    ids=["empty", "path", "long name"],
)
def test_missing_corpus_is_reported(name: str, message: str):
    with pytest.raises(CorpusError, match=message):
        open_corpus(name)


def test_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(CorpusError, match=r"contains no \.txt, "):
        open_corpus(str(tmp_path))


def test_catalogue_name_takes_precedence_over_folder(in_empty_folder: Path):
    write_text(in_empty_folder / "lotr" / "mine.txt", "Mine.")
    assert len(passage_texts(open_corpus("lotr"))) > 100
    assert passage_texts(open_corpus("./lotr")) == ["Mine."]


def test_files_and_folders_are_combined(tmp_path: Path):
    write_text(tmp_path / "book" / "b.txt", "Two.\n\nThree.")
    (tmp_path / "book" / "c.txt.gz").write_bytes(gzip.compress(b"Four.\n\nFive."))
    corpus = open_corpus([write_text(tmp_path / "first.txt", "One.\n\nAnd a half."), str(tmp_path / "book")])
    assert corpus.name == "first"
    assert passage_texts(corpus) == ["One.", "And a half.", "Two.", "Three.", "Four.", "Five."]
    assert corpus.file_names == ("first.txt", "book/b.txt", "book/c.txt.gz")
    assert open_corpus(str(tmp_path / "book" / "c.txt.gz")).name == "c"
    with pytest.raises(CorpusError, match="lotr is a text of the catalogue, which cannot be combined with other texts"):
        open_corpus([str(tmp_path / "first.txt"), "lotr"])
    with pytest.raises(CorpusError, match="There is no corpus 'missing'"):
        open_corpus([str(tmp_path / "first.txt"), "missing"])


def test_corpus_is_named_after_target_of_link(tmp_path: Path):
    write_text(tmp_path / "novel.t", PROSE)
    (tmp_path / "book.story").symlink_to(tmp_path / "novel.t")
    assert open_corpus(str(tmp_path / "book.story")).name == "novel"


def test_name_of_folder_has_no_ending(tmp_path: Path):
    write_text(tmp_path / "St. John" / "a.txt", PROSE)
    assert open_corpus(str(tmp_path / "St. John")).name == "St. John"


@pytest.mark.parametrize("again", ["book", "book/a.txt", "./book/a.txt", "link.txt"])
def test_file_given_twice_is_refused(in_empty_folder: Path, again: str):
    """Its passages would be in the training set and in the test set."""
    write_text(in_empty_folder / "book" / "a.txt", PROSE)
    (in_empty_folder / "link.txt").symlink_to("book/a.txt")
    with pytest.raises(CorpusError, match=r"book/a\.txt is given 2 times: give each text once"):
        open_corpus(["book", again])


SPLIT_NAMES = [
    ("train.txt", "valid.txt", "test.txt"),
    ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"),
    ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens"),
    ("mine_TRAIN.txt", "mine_dev.txt", "mine_Test.txt"),
]


def corpus_name(name: str) -> str:
    return {"p": "ptb", "w": "wiki", "t": "bench", "m": "mine"}[name[0]]


@pytest.mark.parametrize("names", SPLIT_NAMES)
def test_file_names_determine_splits(tmp_path: Path, names: tuple[str, str, str]):
    for name in reversed(names):
        write_text(tmp_path / "bench" / name, f"Written in {name}.\nAnd more.")
    for wanted in (str(tmp_path / "bench"), [str(tmp_path / "bench" / name) for name in reversed(names)]):
        corpus = open_corpus(wanted)
        assert corpus.splits == ("train", "valid", "test")
        assert [path.name for path in corpus.files] == list(names)
        assert corpus.name == ("bench" if isinstance(wanted, str) else corpus_name(names[0]))
        assert "training, validation and test set as the names of the files say" in corpus.reading().notes


@pytest.mark.parametrize(
    "names",
    [
        ("train.txt", "test.txt"),
        ("train.txt", "valid.txt", "test.txt", "more.txt"),
        ("train-test.txt", "valid.txt", "test.txt"),
        ("training day.txt", "the valid.txt", "latest.txt"),
    ],
)
def test_other_file_names_give_no_splits(tmp_path: Path, names: tuple[str, ...]):
    for name in names:
        write_text(tmp_path / "book" / name, PROSE)
    assert open_corpus(str(tmp_path / "book")).splits == ()


def test_hidden_files_and_pipes_of_folder_are_ignored(tmp_path: Path):
    write_text(tmp_path / "book" / "a.txt", "One.")
    (tmp_path / "book" / "._a.txt").write_bytes(bytes(100))
    os.mkfifo(tmp_path / "book" / "pipe.txt")
    assert passage_texts(open_corpus(str(tmp_path / "book"))) == ["One."]


def test_named_pipe_is_refused(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(CorpusError, match="is not a regular file"):
        open_corpus(str(tmp_path / "pipe.txt"))


def test_file_name_that_is_not_utf_8_is_refused(tmp_path: Path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))
    path.write_text("One.")
    with pytest.raises(CorpusError, match=r"caf.xe9.txt.* is not UTF-8: rename"):
        open_corpus(str(path))


def test_name_of_corpus_is_short_enough_for_file_system(tmp_path: Path):
    name = open_corpus(write_text(tmp_path / f"{'🎉' * 60}.txt", PROSE)).name
    assert name == "🎉" * 15


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks into /proc")
def test_standard_input_is_stored_with_little_memory(tmp_path: Path):
    code = (
        "import re; from wordgen.corpus.finding import save_standard_input; path = save_standard_input(); "
        "print(path, re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], input=b"a line\n" * 20_000_000, cwd=tmp_path,
        env=command_environment(), capture_output=True, check=True,
    )  # fmt: skip
    path, kilobytes = result.stdout.split()
    assert (tmp_path / path.decode()).stat().st_size == 140_000_000
    assert int(kilobytes) < 100_000


@pytest.mark.parametrize("closed", [False, True])
def test_empty_standard_input_is_refused(tmp_path: Path, closed: bool):
    command = f"{sys.executable} -m wordgen train --corpus - {'<&-' if closed else '</dev/null'}"
    result = subprocess.run(
        command, shell=True, cwd=tmp_path, env=command_environment(), capture_output=True, text=True
    )
    assert result.returncode == 2
    assert result.stderr == "Error: Standard input is empty: there is no text to read.\n"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_empty_list_of_files_is_refused():
    with pytest.raises(CorpusError, match="No corpus is given"):
        open_corpus([])
