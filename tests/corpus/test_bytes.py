"""Files in any encoding become lines, whatever the size of the blocks; bytes that cannot be decoded are counted."""

import gzip
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordgen.corpus import reading
from wordgen.corpus.reading import TextFile
from wordgen.errors import CorpusError

JAPANESE = "雨が降る夜の街で\nきみを待っていた。「どこへ行くの」と彼は言った。\n" * 3
SPANISH = "El rocín flaco corrió hacia la montaña, y ¿qué señor lo vio? Nadie, pues era más rápido aún.\n" * 3
ENGLISH = "“Stop!” he said — and that’s that.\nNobody’s there…\n" * 3


def text_file(tmp_path: Path, content: bytes, name: str = "text.txt") -> TextFile:
    (tmp_path / name).write_bytes(content)
    return TextFile(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "encoding", "encoding_name"),
    [
        (JAPANESE, "utf-8", "UTF-8"),
        (JAPANESE, "utf-8-sig", "UTF-8"),
        (JAPANESE, "utf-16", "UTF-16"),
        (SPANISH, "utf-16-le", "UTF-16"),
        (ENGLISH, "utf-16-be", "UTF-16"),
        (JAPANESE, "utf-32", "UTF-32"),
        (JAPANESE, "cp932", "Shift JIS"),
        (JAPANESE, "euc_jp", "EUC-JP"),
        (SPANISH, "latin-1", "CP1252"),
        (SPANISH, "cp1252", "CP1252"),
        (ENGLISH, "cp1252", "CP1252"),
        ("plain letters\n", "ascii", "UTF-8"),
    ],
)
def test_encoding_is_detected(tmp_path: Path, text: str, encoding: str, encoding_name: str):
    file = text_file(tmp_path, text.encode(encoding))
    assert file.text() == text
    assert file.encoding_name == encoding_name
    assert file.undecodable == 0


def test_given_encoding_overrides_detected_one(tmp_path: Path):
    file = text_file(tmp_path, ENGLISH.encode("cp1252"))
    assert file.text() == ENGLISH
    assert TextFile(file.path, "latin-1").text() == ENGLISH.encode("cp1252").decode("latin-1") != ENGLISH


def test_byte_order_mark_is_no_text_in_given_encoding(tmp_path: Path):
    (tmp_path / "text.txt").write_bytes(JAPANESE.encode("utf-8-sig"))
    assert TextFile(tmp_path / "text.txt", "utf-8").text() == JAPANESE


@settings(max_examples=60)
@given(
    st.text(st.sampled_from("ab é夜\r\n\u0301👍”\u3099か"), max_size=40),
    st.integers(1, 9),
    st.sampled_from(["utf-8", "utf-16", "utf-32"]),
)
def test_lines_do_not_depend_on_block_size(text: str, block: int, encoding: str):
    whole = TextFile(Path("text"), content=text.encode(encoding), chosen_encoding=encoding)  # pyright: ignore[reportArgumentType]
    expected = list(whole.lines())
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert expected == [(n, unicodedata.normalize("NFC", line)) for n, line in enumerate(lines, 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_BLOCK", block)
        assert list(whole.lines()) == expected


@pytest.mark.parametrize("name", ["text.txt.gz", "TEXT.TXT.GZ"])
def test_gzip_file_is_decompressed(tmp_path: Path, name: str):
    assert text_file(tmp_path, gzip.compress(JAPANESE.encode("cp932")), name).text() == JAPANESE


@pytest.mark.parametrize("content", [b"no gzip at all", gzip.compress(b"text " * 1000, mtime=0)[:40]])
def test_damaged_gzip_file_is_refused(tmp_path: Path, content: bytes):
    file = text_file(tmp_path, content, "text.txt.gz")
    with pytest.raises(CorpusError, match=r"text\.txt\.gz cannot be read"):
        file.text()


def test_empty_gzip_file_is_empty_text(tmp_path: Path):
    assert text_file(tmp_path, b"", "text.txt.gz").text() == ""


def test_few_undecodable_bytes_are_counted_and_many_are_refused(tmp_path: Path):
    good = ENGLISH.encode() * 40
    file = text_file(tmp_path, good[:500] + b"\xff\xfe" + good[500:])
    assert file.text().count("\ufffd") == 2
    assert file.undecodable == 2
    (tmp_path / "text.txt").write_bytes(b"abc\xff" * 50)
    with pytest.raises(CorpusError, match="is not UTF-8 text: 50 of its first 200 bytes cannot be decoded"):
        TextFile(tmp_path / "text.txt", "utf-8").text()


def test_replacement_characters_in_text_are_not_undecodable(tmp_path: Path):
    file = text_file(tmp_path, "caf\ufffd na\ufffdve\n".encode() * 40)
    assert file.encoding_name == "UTF-8"
    assert file.text() == "caf\ufffd na\ufffdve\n" * 40
    assert file.undecodable == 0


def test_undecodable_byte_far_into_file_is_counted(tmp_path: Path):
    file = text_file(tmp_path, b"a line\n" * 400_000 + b"\xff\n")
    assert file.encoding_name == "UTF-8"
    assert sum(1 for _ in file.lines()) == 400_002
    assert file.undecodable == 1


@pytest.mark.parametrize(
    ("text", "encoding", "encoding_name"),
    [
        (ENGLISH, "utf-8", "UTF-8"),
        (JAPANESE, "cp932", "Shift JIS"),
        (JAPANESE, "euc_jp", "EUC-JP"),
        (SPANISH, "latin-1", "CP1252"),
    ],
)
def test_zero_byte_in_text_is_a_character(tmp_path: Path, text: str, encoding: str, encoding_name: str):
    file = text_file(tmp_path, (text * 3 + "a\0b" + text).encode(encoding))
    assert file.text() == text * 3 + "a\0b" + text
    assert file.encoding_name == encoding_name


def test_control_characters_with_zero_byte_are_refused(tmp_path: Path):
    with pytest.raises(CorpusError, match="is not a text"):
        text_file(tmp_path, bytes(range(1, 32)) * 50 + b"\0").text()


@pytest.mark.parametrize("content", [bytes(1000), b"\x88PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0", b"PQ\3\4" + bytes(50)])
def test_binary_files_are_refused(tmp_path: Path, content: bytes):
    with pytest.raises(CorpusError, match="is not a text, because it has too many zero bytes"):
        text_file(tmp_path, content).text()


@pytest.mark.parametrize("block", [1000, 99_999, 1 << 18])
@pytest.mark.parametrize(
    ("line", "ends"),
    [("a few words " * 60_000, " "), ("雨が降る。" * 100_000, "。"), ("x" * 350_000, "x"), ("e\u0301" * 150_000, "é")],
)
def test_very_long_line_comes_in_pieces(monkeypatch: pytest.MonkeyPatch, block: int, line: str, ends: str):
    monkeypatch.setattr(reading, "_BLOCK", block)
    file = TextFile(Path("text"), content=f"first\n{line}\nthird".encode())
    lines = list(file.lines())
    assert (lines[0], lines[-1]) == ((1, "first"), (3, "third"))
    pieces = [text for number, text in lines if number == 2]
    assert "".join(pieces) == unicodedata.normalize("NFC", line)
    assert len(pieces) > 2
    assert all(len(piece) <= 100_000 and piece.endswith(ends) for piece in pieces)
    assert file.long_lines == 1
    assert file.text() == "first\n" + unicodedata.normalize("NFC", line) + "\nthird"


def test_letter_with_thousands_of_marks_is_read_quickly():
    """The time to compose them all at once grows with the square of their number: minutes for these."""
    marks = "\u0301\u0316" * 200_000
    began = time.process_time()
    text = TextFile(Path("text"), content=f"e{marks} f".encode()).text()
    assert time.process_time() - began < 20
    assert sorted("".join(unicodedata.normalize("NFD", character) for character in text)) == sorted(f"e{marks} f")


MARKS = st.text(st.sampled_from("\u0301\u0316\u3099\u1161\u11a8"), max_size=5)


@given(st.lists(st.tuples(st.sampled_from("aé か각\u1100"), MARKS).map("".join), max_size=99), st.integers(1, 9))
def test_composing_in_parts_equals_composing_at_once(letters: list[str], part: int):
    text = "".join(letters)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_COMPOSED_AT_ONCE", 40 * part)
        assert reading.clean(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("shift", range(4))
@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "utf-8"])
def test_encoding_is_detected_wherever_sample_ends(tmp_path: Path, encoding: str, shift: int):
    content = b"x" * shift + "吾輩は猫である。名前はまだ無い。\n".encode(encoding) * 50_000
    file = text_file(tmp_path, content)
    assert file.text().startswith("x" * shift + "吾輩は猫である。")
    assert file.undecodable == 0


@pytest.mark.parametrize("shift", range(3))
def test_encoding_of_large_text_without_lines_is_detected(tmp_path: Path, shift: int):
    file = text_file(tmp_path, b"x" * shift + "吾輩は猫である。".encode("cp932") * 100_000)
    assert file.encoding_name == "Shift JIS"
    assert file.undecodable == 0


@pytest.mark.parametrize(
    ("encoding", "broken"), [("cp932", b"\x81\xad"), ("cp932", b"\x85 "), ("cp932", b"\xfc\xfc"), ("euc_jp", b"\xff")]
)
def test_encoding_is_detected_despite_broken_letter(tmp_path: Path, encoding: str, broken: bytes):
    whole = "吾輩は猫である。名前はまだ無い。\n".encode(encoding) * 1000
    file = text_file(tmp_path, whole + broken + b"\n" + whole)
    assert file.text().startswith("吾輩は猫である。")
    assert 1 <= file.undecodable <= 2


def test_few_accents_in_cp1252_are_letters(tmp_path: Path):
    """They are so few that they could be broken bytes of UTF-8."""
    text = "A town sat out in the rain and said no word to anybody at all.\n" * 30 + "A café.\n"
    file = text_file(tmp_path, (text * 45).encode("cp1252"))
    assert file.encoding_name == "CP1252"
    assert file.text() == text * 45
    assert file.undecodable == 0


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
@pytest.mark.parametrize("text", [JAPANESE, SPANISH, ENGLISH])
def test_utf_16_is_read_in_both_byte_orders(tmp_path: Path, text: str, encoding: str):
    (tmp_path / "text.txt").write_bytes(text.encode(encoding))
    file = TextFile(tmp_path / "text.txt", "utf-16")
    assert file.text() == text
    assert file.encoding_name == "UTF-16"
