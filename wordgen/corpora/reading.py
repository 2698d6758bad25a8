"""From bytes to lines of clean text: unpacked, decoded, one kind of line end, composed characters.

Nothing is lost in silence: the encoding that was recognised is told, and bytes that do not decode are counted.
"""

import codecs
import gzip
import io
import re
import threading
import unicodedata
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

from wordgen.corpora.documents import HtmlText, Kind, html_text, kind_of, markdown_text, packed_text
from wordgen.corpora.packed import Unpacked
from wordgen.corpora.settings import Encoding
from wordgen.corpora.unreadable import unreadable_by_content, unreadable_by_name
from wordgen.errors import CorpusError

Line = tuple[int, str]
"""A line and its number in the file, from 1. A very long one comes in several pieces of the same number."""

_BLOCK = 1 << 18
_SAMPLE = 1 << 20
_LOOKED_AT = 20_000
LONGEST_PIECE = 100_000
_COMPOSED_AT_ONCE = 1000
_SENTENCE_END = re.compile(r".*[。．！？!?.]", re.DOTALL)
_LAST_SPACE = re.compile(r".*\s", re.DOTALL)
_MOST_UNDECODABLE = 1000
"""At most one byte in so many may fail to decode."""
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16's, with which it begins
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_NAMES = {"utf-8-sig": "UTF-8", "utf-8": "UTF-8", "utf-16": "UTF-16", "utf-32": "UTF-32", "utf-16-le": "UTF-16",
          "utf-16-be": "UTF-16", "cp932": "Shift JIS", "shift_jis": "Shift JIS", "euc_jp": "EUC-JP", "cp1252": "CP1252",
          "latin-1": "Latin-1"}  # fmt: skip
_ZEROS_OF_UTF16 = 0.1
_NOT_FOR_MACHINES = dict.fromkeys(range(0x80, 0xA0), "a")  # control characters of Latin-1 alone


@dataclass
class TextFile:
    """A file of text, plain or gzipped, or a document, read line by line as often as need be."""

    path: Path
    wanted: Encoding = "auto"
    content: bytes | None = None
    """What came from elsewhere, as standard input, and not from a file."""
    undecodable: int = field(default=0, init=False)
    """How many bytes did not decode, as far as it has been read."""
    bytes_read: int = field(default=0, init=False)
    """How much of the file has been read, packed as it is."""
    left_out: int = field(default=0, init=False)
    """How many scripts, styles and the like of a document were left out, as far as it has been read."""
    footnotes: int = field(default=0, init=False)
    """How many footnotes and endnotes of a document were put behind its text, as far as it has been read."""
    _long_lines: set[int] = field(default_factory=set, init=False)

    @property
    def kind(self) -> Kind | None:
        """The kind of document that it is; None for plain text."""
        return kind_of(self.path) if self.content is None else None

    @cached_property
    def encoding(self) -> str:
        if self.kind in ("Word", "EPUB"):
            return "utf-8"  # which they say themselves, part by part
        if self.wanted == "auto":
            return _recognised(self._sample(), self.path)
        if self.wanted == "utf-16":  # which without its mark Python takes for that of this machine, whatever it is
            return _byte_order(self._sample())
        return self.wanted

    @property
    def encoding_name(self) -> str:
        return _NAMES[self.encoding]

    @property
    def long_lines(self) -> int:
        """How many lines were so long that they came in pieces, as far as it has been read."""
        return len(self._long_lines)

    def lines(self) -> Iterator[Line]:
        """All lines without their ends; too many bytes that do not decode are an error."""
        number, rest = 1, ""
        for text in self._written():
            lines = _unified(text).split("\n")
            lines[0] = rest + lines[0]
            rest = lines.pop()
            for line in lines:
                if len(line) > LONGEST_PIECE:
                    line = yield from self._cut_pieces(number, line)
                yield number, composed(line)
                number += 1
            if len(rest) > LONGEST_PIECE:
                rest = yield from self._cut_pieces(number, rest)
        yield number, composed(rest)

    def _written(self) -> Iterator[str]:
        """The text as it comes, taken out of a document if it is one."""
        if self.kind is None:
            yield from self._decoded()
            return
        parser, progress = HtmlText(), [0]
        if self.kind == "HTML":
            texts = html_text(self.path, self._decoded(), parser)
        elif self.kind == "Markdown":
            texts = markdown_text(self.path, self._decoded(), parser)
        else:
            texts = packed_text(self.path, self.kind, parser, progress)
        for text in texts:
            self.bytes_read = max(self.bytes_read, progress[0])
            yield text
        self.left_out, self.footnotes = parser.left_out, parser.footnotes
        self.bytes_read = self.path.stat().st_size

    def text(self) -> str:
        return "\n".join("".join(text for _, text in pieces) for _, pieces in groupby(self.lines(), itemgetter(0)))

    def _cut_pieces(self, number: int, line: str) -> Generator[Line, None, str]:
        """Pieces of a very long line while it is one; what is left of it comes back."""
        self._long_lines.add(number)
        while len(line) > LONGEST_PIECE:
            piece, line = _cut(line)
            yield number, composed(piece)
        return line

    def blocks(self) -> Iterator[bytes]:
        """The bytes of the text, unpacked."""
        try:
            with self._opened() as raw:
                packed = self.path.suffix.lower() == ".gz" and self.content is None
                file = gzip.GzipFile(fileobj=raw) if packed else raw
                unpacked = Unpacked(self.path, self.path.stat().st_size) if packed else None
                while block := file.read(_BLOCK):
                    self.bytes_read = raw.tell()
                    if unpacked is not None:
                        unpacked.add(len(block))
                    yield block
        except gzip.BadGzipFile as error:
            raise CorpusError(f"{self.path} cannot be read: it is no gzip archive, whatever its name says.") from error
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or "the archive is cut short or damaged"
            raise CorpusError(f"{self.path} cannot be read: {reason}.") from error

    def _opened(self) -> BinaryIO:
        return self.path.open("rb") if self.content is None else io.BytesIO(self.content)

    def _sample(self) -> bytes:
        sample = b""
        for block in self.blocks():
            sample += block
            if len(sample) >= _SAMPLE:
                break
        return sample

    def _decoded(self) -> Iterator[str]:
        """The text as it comes; a carriage return at the end of a block waits for what follows it."""
        decoder = codecs.getincrementaldecoder(self.encoding)(_Faults.name)
        self.undecodable = read = 0
        waiting = ""
        for block in self.blocks():
            read += len(block)
            text = waiting + self._counted(decoder, block)
            waiting = "\r" if text.endswith("\r") else ""
            yield text.removesuffix("\r")
            self._check(read)
        yield waiting + self._counted(decoder, b"", final=True)
        self._check(max(read, 1), ended=True)

    def _counted(self, decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> str:
        before = _FAULTS.bytes
        text = decoder.decode(block, final)
        self.undecodable += _FAULTS.bytes - before
        return text

    def _check(self, read: int, *, ended: bool = False) -> None:
        if self.undecodable * _MOST_UNDECODABLE > read and (ended or read >= _SAMPLE):
            raise CorpusError(
                f"{self.path} is not {self.encoding_name} text: {self.undecodable:,} of its first {read:,} bytes "
                f"{'does' if self.undecodable == 1 else 'do'} not decode. Say what it is with --encoding, or save it "
                "as UTF-8 in an editor."
            )


class _Faults(threading.local):
    """What decoders do with bytes that they cannot read: they become U+FFFD, and are counted, in each thread."""

    name = "wordgen-count"

    def __init__(self) -> None:
        self.bytes = 0

    def count(self, error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeDecodeError)
        self.bytes += error.end - error.start
        return "\ufffd", error.end


_FAULTS = _Faults()
codecs.register_error(_Faults.name, _FAULTS.count)


def clean(text: str) -> str:
    """Text that is there already, as lines would be read from a file."""
    return "\n".join(composed(line) for line in _unified(text).split("\n"))


def _unified(text: str) -> str:
    """With one kind of line end."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _cut(line: str) -> tuple[str, str]:
    """The beginning of a very long line, up to white space or a sentence's end if there is any; and the rest."""
    beginning = line[:LONGEST_PIECE]
    place = _LAST_SPACE.match(beginning) or _SENTENCE_END.match(beginning)
    end = place.end() if place else _before_marks(line, LONGEST_PIECE)
    return line[:end], line[end:]


def composed(line: str) -> str:
    """A line with composed characters (NFC), bit by bit: the time for thousands of marks on one letter is quadratic."""
    if len(line) <= _COMPOSED_AT_ONCE or line.isascii():
        return unicodedata.normalize("NFC", line)
    bits: list[str] = []
    begin = 0
    while begin < len(line):
        end = _before_marks(line, begin + _COMPOSED_AT_ONCE)
        bits.append(unicodedata.normalize("NFC", line[begin:end]))
        begin = end
    return "".join(bits)


def _before_marks(line: str, place: int) -> int:
    """The last place up to this one with nothing behind it that composes with what stands before."""
    for earlier in range(place, place - _COMPOSED_AT_ONCE // 2, -1):
        if earlier >= len(line) or not _composes(line[earlier]):
            return earlier
    return place


def _composes(character: str) -> bool:
    """Whether it may become one with the character before it: a mark, or a vowel or final of Korean.

    Narrow Japanese marks do where they are folded (folding.py).
    """
    return unicodedata.category(character).startswith("M") or "\u1161" <= character <= "\u11ff" or character in "ﾞﾟ"


def _recognised(sample: bytes, path: Path) -> str:
    """The encoding of a text by its beginning."""
    unreadable = unreadable_by_content(path, sample) or unreadable_by_name(path)
    if unreadable is not None:
        raise CorpusError(unreadable)
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if sample.startswith(mark):
            return encoding
    if b"\0" in sample:
        encoding = _of_two_bytes(sample, path)
        if encoding is not None:
            return encoding
        sample = sample.replace(b"\0", b"")
    if not _is_text(sample.decode("latin-1").translate(_NOT_FOR_MACHINES)):
        raise CorpusError(f"{path} is not a text. wordgen reads plain text files, gzipped or not.")
    plain, broken = _read_as("utf-8", sample)
    letters = len(plain) - plain.count("\ufffd") - sum(map(str.isascii, plain))
    if not broken or (broken * _MOST_UNDECODABLE <= len(sample) and letters > broken):
        return "utf-8"
    from charset_normalizer import from_bytes

    lines = sample[: sample.rfind(b"\n") + 1] or sample  # the sample may end in the middle of a letter
    best = from_bytes(lines, cp_isolation=["cp932", "euc_jp", "cp1252"]).best()
    found = _japanese_with_faults(sample) if best is None else best.encoding
    if found is None:
        raise CorpusError(
            f"{path} is in no encoding that wordgen recognises: say which with --encoding, or save it as UTF-8 in an "
            "editor."
        )
    return found


def _japanese_with_faults(sample: bytes) -> str | None:
    """The Japanese encoding of a text in which few bytes are broken, and much of the rest is kana."""
    for encoding in ("cp932", "euc_jp"):
        text, broken = _read_as(encoding, sample)
        kana = sum("\u3040" <= letter <= "\u30ff" for letter in text)
        if broken * _MOST_UNDECODABLE <= len(sample) and kana > len(text) / 10:
            return encoding
    return None


def _read_as(encoding: str, sample: bytes) -> tuple[str, int]:
    """What a sample is in an encoding, and how many of its bytes are broken; its end may be half a letter."""
    before = _FAULTS.bytes
    text = codecs.getincrementaldecoder(encoding)(_FAULTS.name).decode(sample)
    return text, _FAULTS.bytes - before


def _is_text(text: str) -> bool:
    """Whether hardly any of its characters are for machines."""
    looked_at = text[:_LOOKED_AT]
    odd = sum(unicodedata.category(each) in ("Cc", "Cn", "Co", "Cs") and each not in "\t\n\r\f" for each in looked_at)
    return odd + looked_at.count("\ufffd") <= len(looked_at) / 100


def _byte_order(sample: bytes) -> str:
    """UTF-16 of either order: as its mark says, else the one in which more of it is ASCII or kana."""
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    common = {"utf-16-le": 0, "utf-16-be": 0}
    for encoding in common:
        text = sample[: len(sample) // 2 * 2].decode(encoding, "ignore")
        common[encoding] = sum(letter.isascii() or "\u3000" <= letter <= "\u30ff" for letter in text[:_LOOKED_AT])
    return max(common, key=common.__getitem__)


def _of_two_bytes(sample: bytes, path: Path) -> str | None:
    """UTF-16 without its mark has a zero byte in every other place; a few alone are a fault of the text."""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    if max(even, odd) > _ZEROS_OF_UTF16 * len(sample) / 2 and _is_text(sample.decode(encoding, "replace")):
        return encoding
    if (even + odd) * 100 > len(sample):
        raise CorpusError(
            f"{path} is not a text: it is full of zero bytes. wordgen reads plain text files, gzipped or not."
        )
    return None
