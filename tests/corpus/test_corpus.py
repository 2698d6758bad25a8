"""A corpus is read as its bytes say, and tells how: its digest, its passages, its notes."""

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from tests.helpers.texts import passage_texts, write_text
from wordgen.corpus.corpus import Corpus, names_within
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.settings import ReadingSettings
from wordgen.errors import CorpusError

TEXT = "One.\n\nTwo.\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b" \n\n ", "is empty"),
        (b"\x89PNG\x00\x01", "is a picture, which wordgen does not read"),
        (b"\x88ABC\x00\x01", "is not a text"),
        (bytes(range(1, 256)), "is not a text"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes, sentence: str):
    path = tmp_path / "odd.txt"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=sentence):
        open_corpus(str(path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_said(tmp_path: Path):
    path = tmp_path / "secret.txt"
    path.write_text("x")
    path.chmod(0)
    with pytest.raises(CorpusError, match="cannot be read"):
        open_corpus(str(path))


def test_the_digest_follows_content_and_layout(tmp_path: Path):
    first = open_corpus(write_text(tmp_path / "a.txt", TEXT)).digest()
    assert open_corpus(write_text(tmp_path / "b.txt", TEXT)).digest() == first
    assert open_corpus(write_text(tmp_path / "a.txt", TEXT + "Three.\n")).digest() != first


def test_reading_takes_off_the_mark_and_the_foreign_line_ends(tmp_path: Path):
    path = tmp_path / "windows.txt"
    path.write_bytes("\ufeffOne line.\r\n\r\nAnother.\r\n\r\nCafe\u0301 closed.\r\n".encode())
    assert passage_texts(open_corpus(str(path))) == ["One line.", "Another.", "Caf\u00e9 closed."]


def test_a_folder_may_begin_with_an_empty_file(tmp_path: Path):
    write_text(tmp_path / "book" / "0.txt", "\n")
    write_text(tmp_path / "book" / "1.txt", "One.\n\nTwo.")
    assert passage_texts(open_corpus(str(tmp_path / "book"))) == ["One.", "Two."]


def test_a_file_that_leads_nowhere_is_said(tmp_path: Path):
    write_text(tmp_path / "book" / "1.txt", "One.\n\nTwo.")
    (tmp_path / "book" / "2.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match=r"2\.txt cannot be read"):
        open_corpus(str(tmp_path / "book")).digest()


def notes_of(corpus: Corpus) -> tuple[str, ...]:
    reading = corpus.reading()
    assert list(reading.passages())
    return reading.notes


def test_how_a_text_was_read_is_told(tmp_path: Path):
    assert notes_of(open_corpus(write_text(tmp_path / "plain.txt", TEXT))) == ()
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "a.txt").write_bytes(("\u3000夜の街で雨が降る。\n" * 20).encode("cp932"))
    (tmp_path / "book" / "b.txt").write_bytes(("\u3000朝になった。\n" * 2000).encode() + b"\xff\xff")
    encodings, broken = notes_of(open_corpus(str(tmp_path / "book")))
    assert encodings == "read as Shift JIS (1 file), UTF-8 (1 file)"
    assert broken == "2 bytes could not be decoded and became \ufffd"


def test_what_a_library_added_is_cut_unless_it_is_wanted(tmp_path: Path):
    lines = [
        "A Project Gutenberg book",
        "*** START OF THE PROJECT GUTENBERG EBOOK X ***",
        "",
        "The road.",
        "",
        "The end.",
        "*** END OF THE PROJECT GUTENBERG EBOOK X ***",
        "Licence.",
    ]
    path = write_text(tmp_path / "book.txt", "\n".join(lines))
    corpus = open_corpus(path)
    assert passage_texts(corpus) == ["The road.", "The end."]
    assert notes_of(corpus) == ("removed 4 lines that Project Gutenberg added",)
    kept = open_corpus(path, ReadingSettings(keep_boilerplate=True))
    assert "Licence." in passage_texts(kept)[-1]
    assert notes_of(kept) == ()
    assert kept.digest() != corpus.digest()


def test_what_is_said_of_passages_goes_before_what_is_found(tmp_path: Path):
    path = write_text(tmp_path / "verse.txt", "Rain\nfalls\n\non\nthe roof\n\nnow\n")
    assert passage_texts(open_corpus(path)) == ["Rain\nfalls", "on\nthe roof", "now"]
    assert passage_texts(open_corpus(path, ReadingSettings(passage="line"))) == [
        "Rain",
        "falls",
        "",
        "on",
        "the roof",
        "",
        "now",
    ]
    joined = open_corpus(path, ReadingSettings(passage="paragraph", line_breaks="joined"))
    assert passage_texts(joined) == ["Rain falls", "on the roof", "now"]


def test_how_much_is_read_of_many_files_costs_nothing(tmp_path: Path):
    for number in range(300):
        write_text(tmp_path / "many" / f"{number:03}.txt", "\n".join(["a line"] * 50))
    reading = open_corpus(str(tmp_path / "many")).reading()
    told = [reading.bytes_read for _ in reading.passages()]
    assert told == sorted(told)
    assert told[-1] == reading.bytes_read == reading.corpus.bytes


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["/home/tale.txt"], ["tale.txt"]),
        (["/home/a/tale.txt", "/home/b/c/tale.txt"], ["a/tale.txt", "b/c/tale.txt"]),
        (["/tale.txt", "/home/tale.txt"], ["tale.txt", "home/tale.txt"]),
        (["C:\\Texts\\tale.txt", "c:\\texts\\b\\more.txt"], ["tale.txt", "b/more.txt"]),
        (["C:\\tale.txt", "D:\\b\\more.txt"], ["C:/tale.txt", "D:/b/more.txt"]),
    ],
)
def test_files_are_named_from_their_common_folder_if_they_have_one(files: list[str], names: list[str]):
    kind = PureWindowsPath if ":" in files[0] else PurePosixPath
    assert names_within([kind(file) for file in files]) == tuple(names)
