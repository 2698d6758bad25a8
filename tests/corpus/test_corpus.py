"""A corpus: digest, passages, and notes about how the files were read."""

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
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n ", "is empty"),
        (b"\x89PNG\x00\x01", "is a picture, which wordgen does not read"),
        (b"\x88ABC\x00\x01", "is not a text"),
        (bytes(range(1, 256)), "is not a text"),
    ],
)
def test_file_that_is_not_text_is_refused(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "odd.txt"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=message):
        open_corpus(str(path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_read_permission_is_refused(tmp_path: Path):
    path = tmp_path / "secret.txt"
    path.write_text("x")
    path.chmod(0)
    with pytest.raises(CorpusError, match="cannot be read"):
        open_corpus(str(path))


def test_digest_depends_on_content_not_on_file_name(tmp_path: Path):
    digest = open_corpus(write_text(tmp_path / "a.txt", TEXT)).digest()
    assert open_corpus(write_text(tmp_path / "b.txt", TEXT)).digest() == digest
    assert open_corpus(write_text(tmp_path / "a.txt", TEXT + "Three.\n")).digest() != digest


def test_byte_order_mark_and_windows_line_ends_are_removed(tmp_path: Path):
    path = tmp_path / "windows.txt"
    path.write_bytes("\ufeffOne line.\r\n\r\nAnother.\r\n\r\nCafe\u0301 closed.\r\n".encode())
    assert passage_texts(open_corpus(str(path))) == ["One line.", "Another.", "Caf\u00e9 closed."]


def test_folder_may_begin_with_empty_file(tmp_path: Path):
    write_text(tmp_path / "book" / "0.txt", "\n")
    write_text(tmp_path / "book" / "1.txt", "One.\n\nTwo.")
    assert passage_texts(open_corpus(str(tmp_path / "book"))) == ["One.", "Two."]


def test_broken_link_in_folder_is_reported(tmp_path: Path):
    write_text(tmp_path / "book" / "1.txt", "One.\n\nTwo.")
    (tmp_path / "book" / "2.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match=r"2\.txt cannot be read"):
        open_corpus(str(tmp_path / "book")).digest()


def notes_of(corpus: Corpus) -> tuple[str, ...]:
    reading = corpus.reading()
    assert list(reading.passages())
    return reading.notes


def test_notes_name_encodings_and_undecodable_bytes(tmp_path: Path):
    assert notes_of(open_corpus(write_text(tmp_path / "plain.txt", TEXT))) == ()
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "a.txt").write_bytes(("\u3000夜の街で雨が降る。\n" * 20).encode("cp932"))
    (tmp_path / "book" / "b.txt").write_bytes(("\u3000朝になった。\n" * 2000).encode() + b"\xff\xff")
    encodings, broken = notes_of(open_corpus(str(tmp_path / "book")))
    assert encodings == "read as Shift JIS (1 file), UTF-8 (1 file)"
    assert broken == "2 bytes could not be decoded and became \ufffd"


def test_boilerplate_is_removed_unless_kept(tmp_path: Path):
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


def test_text_that_names_project_gutenberg_has_no_note(tmp_path: Path):
    path = write_text(tmp_path / "book.txt", "I found it at Project Gutenberg.\n\nThe road.\n\nThe end.\n")
    assert notes_of(open_corpus(path)) == ()


def test_given_layout_overrides_detected_one(tmp_path: Path):
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


def test_bytes_read_grow_to_size_of_corpus(tmp_path: Path):
    for number in range(300):
        write_text(tmp_path / "many" / f"{number:03}.txt", "\n".join(["a line"] * 50))
    reading = open_corpus(str(tmp_path / "many")).reading()
    sizes = [reading.bytes_read for _ in reading.passages()]
    assert sizes == sorted(sizes)
    assert sizes[-1] == reading.bytes_read == reading.corpus.bytes


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
def test_file_names_are_relative_to_common_folder(files: list[str], names: list[str]):
    path_class = PureWindowsPath if ":" in files[0] else PurePosixPath
    assert names_within([path_class(file) for file in files]) == tuple(names)
