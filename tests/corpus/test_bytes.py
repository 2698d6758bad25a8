"""Bytes of every kind become lines, the same however they arrive, and what does not decode is counted."""

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


def file(tmp_path: Path, content: bytes, name: str = "text.txt") -> TextFile:
    (tmp_path / name).write_bytes(content)
    return TextFile(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "encoding", "told"),
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
def test_an_encoding_is_recognised(tmp_path: Path, text: str, encoding: str, told: str):
    found = file(tmp_path, text.encode(encoding))
    assert found.text() == text
    assert found.encoding_name == told
    assert found.undecodable == 0


def test_what_is_said_goes_before_what_is_recognised(tmp_path: Path):
    found = file(tmp_path, ENGLISH.encode("cp1252"))
    assert found.text() == ENGLISH
    assert TextFile(found.path, "latin-1").text() == ENGLISH.encode("cp1252").decode("latin-1") != ENGLISH


@settings(max_examples=60)
@given(
    st.text(st.sampled_from("ab é夜\r\n\u0301👍”\u3099か"), max_size=40),
    st.integers(1, 9),
    st.sampled_from(["utf-8", "utf-16", "utf-32"]),
)
def test_the_lines_do_not_depend_on_how_the_bytes_arrive(text: str, block: int, encoding: str):
    whole = TextFile(Path("text"), content=text.encode(encoding), wanted=encoding)  # pyright: ignore[reportArgumentType]
    expected = list(whole.lines())
    plain = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert expected == [(n, unicodedata.normalize("NFC", line)) for n, line in enumerate(plain, 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_BLOCK", block)
        assert list(whole.lines()) == expected


def test_gzipped_text_is_text(tmp_path: Path):
    assert file(tmp_path, gzip.compress(JAPANESE.encode("cp932")), "text.txt.gz").text() == JAPANESE


@pytest.mark.parametrize("content", [b"no gzip at all", gzip.compress(b"text " * 1000, mtime=0)[:40], b""])
def test_a_damaged_archive_is_named(tmp_path: Path, content: bytes):
    found = file(tmp_path, content, "text.txt.gz")
    if not content:
        assert found.text() == ""
        return
    with pytest.raises(CorpusError, match=r"text\.txt\.gz cannot be read"):
        found.text()


def test_few_bytes_that_do_not_decode_are_counted_and_many_are_an_error(tmp_path: Path):
    good = ENGLISH.encode() * 40
    found = file(tmp_path, good[:500] + b"\xff\xfe" + good[500:])
    assert found.text().count("\ufffd") == 2
    assert found.undecodable == 2
    (tmp_path / "text.txt").write_bytes(b"abc\xff" * 50)
    with pytest.raises(CorpusError, match="is not UTF-8 text: 50 of its first 200 bytes cannot be decoded"):
        TextFile(tmp_path / "text.txt", "utf-8").text()


def test_signs_that_somebody_else_put_for_broken_bytes_are_characters(tmp_path: Path):
    found = file(tmp_path, "caf\ufffd na\ufffdve\n".encode() * 40)
    assert found.encoding_name == "UTF-8"
    assert found.text() == "caf\ufffd na\ufffdve\n" * 40
    assert found.undecodable == 0


def test_far_behind_the_beginning_bytes_are_counted_too(tmp_path: Path):
    found = file(tmp_path, b"a line\n" * 400_000 + b"\xff\n")
    assert found.encoding_name == "UTF-8"
    assert sum(1 for _ in found.lines()) == 400_002
    assert found.undecodable == 1


@pytest.mark.parametrize(
    ("text", "encoding", "told"),
    [
        (ENGLISH, "utf-8", "UTF-8"),
        (JAPANESE, "cp932", "Shift JIS"),
        (JAPANESE, "euc_jp", "EUC-JP"),
        (SPANISH, "latin-1", "CP1252"),
    ],
)
def test_a_zero_byte_in_the_middle_is_a_character(tmp_path: Path, text: str, encoding: str, told: str):
    found = file(tmp_path, (text * 3 + "a\0b" + text).encode(encoding))
    assert found.text() == text * 3 + "a\0b" + text
    assert found.encoding_name == told


def test_control_characters_are_for_machines_with_a_zero_byte_among_them_as_without(tmp_path: Path):
    with pytest.raises(CorpusError, match="is not a text"):
        file(tmp_path, bytes(range(1, 32)) * 50 + b"\0").text()


@pytest.mark.parametrize("content", [bytes(1000), b"\x88PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0", b"PQ\3\4" + bytes(50)])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes):
    with pytest.raises(CorpusError, match="is not a text, because it has too many zero bytes"):
        file(tmp_path, content).text()


@pytest.mark.parametrize("block", [1000, 99_999, 1 << 18])
@pytest.mark.parametrize(
    ("line", "ends"),
    [("a few words " * 60_000, " "), ("雨が降る。" * 100_000, "。"), ("x" * 350_000, "x"), ("e\u0301" * 150_000, "é")],
)
def test_a_line_beyond_all_measure_comes_in_pieces(monkeypatch: pytest.MonkeyPatch, block: int, line: str, ends: str):
    monkeypatch.setattr(reading, "_BLOCK", block)
    found = TextFile(Path("text"), content=f"first\n{line}\nthird".encode())
    lines = list(found.lines())
    assert (lines[0], lines[-1]) == ((1, "first"), (3, "third"))
    pieces = [text for number, text in lines if number == 2]
    assert "".join(pieces) == unicodedata.normalize("NFC", line)
    assert len(pieces) > 2
    assert all(len(piece) <= 100_000 and piece.endswith(ends) for piece in pieces)
    assert found.long_lines == 1
    assert found.text() == "first\n" + unicodedata.normalize("NFC", line) + "\nthird"


def test_thousands_of_marks_on_a_letter_are_read_in_no_time():
    """Composing them all at once takes time by the square of their number: minutes for these."""
    marks = "\u0301\u0316" * 200_000
    began = time.process_time()
    found = TextFile(Path("text"), content=f"e{marks} f".encode()).text()
    assert time.process_time() - began < 20
    assert sorted("".join(unicodedata.normalize("NFD", each) for each in found)) == sorted(f"e{marks} f")


MARKS = st.text(st.sampled_from("\u0301\u0316\u3099\u1161\u11a8"), max_size=5)


@given(st.lists(st.tuples(st.sampled_from("aé か각\u1100"), MARKS).map("".join), max_size=99), st.integers(1, 9))
def test_composing_bit_by_bit_is_composing_at_once(letters: list[str], bit: int):
    text = "".join(letters)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_COMPOSED_AT_ONCE", 40 * bit)
        assert reading.clean(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("shift", range(4))
@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "utf-8"])
def test_a_large_text_is_recognised_wherever_its_beginning_ends(tmp_path: Path, encoding: str, shift: int):
    content = b"x" * shift + "吾輩は猫である。名前はまだ無い。\n".encode(encoding) * 50_000
    found = file(tmp_path, content)
    assert found.text().startswith("x" * shift + "吾輩は猫である。")
    assert found.undecodable == 0


@pytest.mark.parametrize("shift", range(3))
def test_without_any_line_a_large_text_is_recognised_too(tmp_path: Path, shift: int):
    found = file(tmp_path, b"x" * shift + "吾輩は猫である。".encode("cp932") * 100_000)
    assert found.encoding_name == "Shift JIS"
    assert found.undecodable == 0


@pytest.mark.parametrize(
    ("encoding", "broken"), [("cp932", b"\x81\xad"), ("cp932", b"\x85 "), ("cp932", b"\xfc\xfc"), ("euc_jp", b"\xff")]
)
def test_a_broken_letter_does_not_hide_the_encoding(tmp_path: Path, encoding: str, broken: bytes):
    whole = "吾輩は猫である。名前はまだ無い。\n".encode(encoding) * 1000
    found = file(tmp_path, whole + broken + b"\n" + whole)
    assert found.text().startswith("吾輩は猫である。")
    assert 1 <= found.undecodable <= 2


def test_few_accents_of_an_old_encoding_are_letters(tmp_path: Path):
    """By their number alone they could be broken bytes of UTF-8."""
    text = "A town sat out in the rain and said no word to anybody at all.\n" * 30 + "A café.\n"
    found = file(tmp_path, (text * 45).encode("cp1252"))
    assert found.encoding_name == "CP1252"
    assert found.text() == text * 45
    assert found.undecodable == 0


def test_an_archive_may_be_named_in_capitals(tmp_path: Path):
    assert file(tmp_path, gzip.compress(b"a line"), "TEXT.TXT.GZ").text() == "a line"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
@pytest.mark.parametrize("text", [JAPANESE, SPANISH, ENGLISH])
def test_utf_16_is_read_in_either_order_with_its_mark_or_without(tmp_path: Path, text: str, encoding: str):
    (tmp_path / "text.txt").write_bytes(text.encode(encoding))
    said = TextFile(tmp_path / "text.txt", "utf-16")
    assert said.text() == text
    assert said.encoding_name == "UTF-16"
