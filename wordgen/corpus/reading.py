"""Read files as lines of text: unpack them, recognise encodings, and remove what digital libraries add.

These additions are Project Gutenberg's licence and Aozora Bunko's marks. A removed line becomes an empty line, so that
line numbers stay those of the file.
"""

import codecs
import gzip
import io
import re
import threading
import unicodedata
import zlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

from wordgen.corpus.documents import (
    HtmlText,
    Kind,
    Unpacked,
    html_text,
    is_midi,
    kind_of,
    markdown_text,
    packed_text,
    unreadable,
)
from wordgen.corpus.settings import Encoding, ReadingSettings
from wordgen.errors import CorpusError
from wordgen.music.midi import midi_text

Line = tuple[int, str]
"""The number of a line in its file, from 1, and its text. A very long line comes in several pieces with one number."""

_BLOCK = 1 << 18
_SAMPLE = 1 << 20
_CHARACTERS_CHECKED = 20_000
MAX_PIECE_CHARACTERS = 100_000
_COMPOSED_AT_ONCE = 1000
_SENTENCE_END = re.compile(r".*[。．！？!?.]", re.DOTALL)
_LAST_SPACE = re.compile(r".*\s", re.DOTALL)
_MIN_BYTES_PER_ERROR = 1000
"""At most one byte in 1,000 may fail to decode."""
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # checked before the mark of UTF-16, because it begins with that
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_NAMES = {"utf-8-sig": "UTF-8", "utf-8": "UTF-8", "utf-16": "UTF-16", "utf-32": "UTF-32", "utf-16-le": "UTF-16",
          "utf-16-be": "UTF-16", "cp932": "Shift JIS", "shift_jis": "Shift JIS", "euc_jp": "EUC-JP", "cp1252": "CP1252",
          "latin-1": "Latin-1"}  # fmt: skip
_ZEROS_OF_UTF16 = 0.1
_CONTROLS_OF_LATIN_1 = dict.fromkeys(range(0x80, 0xA0), "a")  # because they are letters in other encodings


@dataclass
class TextFile:
    """A text file (plain or gzipped) or a document. It can be read line by line several times."""

    path: Path
    chosen_encoding: Encoding = "auto"
    content: bytes | None = None
    """The bytes of a text that is not in a file, for example from standard input; None if it is in a file."""
    chords: bool = False
    """Whether a MIDI file is read as pitches without lengths."""
    undecodable: int = field(default=0, init=False)
    """Number of bytes read so far that could not be decoded."""
    bytes_read: int = field(default=0, init=False)
    """Number of bytes of the file read so far, before unpacking."""
    document: HtmlText = field(default_factory=HtmlText, init=False)
    """What the text of a document is extracted with. It counts what was left out, and footnotes."""
    _long_lines: set[int] = field(default_factory=set, init=False)

    @property
    def kind(self) -> Kind | None:
        """The kind of document; None for plain text."""
        return kind_of(self.path) if self.content is None else None

    @cached_property
    def encoding(self) -> str:
        if self.kind in ("Word", "EPUB", "MIDI"):
            return "utf-8"  # only a default: each part of a document declares its encoding, and MIDI has none
        if self.chosen_encoding == "auto":
            return _recognised_encoding(self._sample(), self.path)
        if self.chosen_encoding == "utf-16":  # without a mark, Python would assume the byte order of this machine
            return _byte_order(self._sample())
        return "utf-8-sig" if self.chosen_encoding == "utf-8" else self.chosen_encoding  # the mark is no text

    @property
    def encoding_name(self) -> str:
        return _NAMES[self.encoding]

    @property
    def long_lines(self) -> int:
        """Number of lines read so far that were so long that they came in pieces."""
        return len(self._long_lines)

    def lines(self) -> Iterator[Line]:
        """Yield all lines without their line ends.

        Raise CorpusError if the file cannot be read, is not a text, or has too many bytes that do not decode.
        """
        number, rest = 1, ""
        for text in self._text_pieces():
            lines = _with_line_feeds(text).split("\n")
            lines[0] = rest + lines[0]
            rest = lines.pop()
            for line in lines:
                if len(line) > MAX_PIECE_CHARACTERS:
                    line = yield from self._cut_pieces(number, line)
                yield number, composed(line)
                number += 1
            if len(rest) > MAX_PIECE_CHARACTERS:
                rest = yield from self._cut_pieces(number, rest)
        yield number, composed(rest)

    def _text_pieces(self) -> Iterator[str]:
        """Yield the text in pieces of any length. The text of a document is extracted from it."""
        if self.kind is None:
            yield from self._decoded()
            return
        self.document = HtmlText()
        if self.kind == "MIDI":
            texts = iter([midi_text(self.path, chords=self.chords)])
        elif self.kind == "HTML":
            texts = html_text(self.path, self._decoded(), self.document)
        elif self.kind == "Markdown":
            texts = markdown_text(self.path, self._decoded(), self.document)
        else:
            texts = packed_text(self.path, self.kind, self.document)
        for text in texts:
            self.bytes_read = max(self.bytes_read, self.document.bytes_read)
            yield text
        self.bytes_read = self.path.stat().st_size

    def text(self) -> str:
        return "\n".join("".join(text for _, text in pieces) for _, pieces in groupby(self.lines(), itemgetter(0)))

    def _cut_pieces(self, number: int, line: str) -> Generator[Line, None, str]:
        """Yield pieces of a line while it is longer than 100,000 characters. Return the rest."""
        self._long_lines.add(number)
        while len(line) > MAX_PIECE_CHARACTERS:
            piece, line = _split_long_line(line)
            yield number, composed(piece)
        return line

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes of the file in blocks, unpacked if it is gzipped. Raise CorpusError if it cannot be read."""
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
            raise CorpusError(
                f"{self.path} cannot be read: it is not a gzip file, although its name ends in .gz."
            ) from error
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or "the archive is incomplete or damaged"
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
        """Yield the decoded text in pieces. A carriage return at the end of a piece moves to the next piece.

        So the two characters of a line end are always together. Raise CorpusError if too many bytes do not decode.
        """
        decoder = codecs.getincrementaldecoder(self.encoding)(_DecodingErrors.name)
        self.undecodable = read = 0
        waiting = ""
        for block in self.blocks():
            read += len(block)
            text = waiting + self._decode(decoder, block)
            waiting = "\r" if text.endswith("\r") else ""
            yield text.removesuffix("\r")
            self._check(read)
        yield waiting + self._decode(decoder, b"", final=True)
        self._check(max(read, 1), ended=True)

    def _decode(self, decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> str:
        before = _DECODING_ERRORS.bytes
        text = decoder.decode(block, final)
        self.undecodable += _DECODING_ERRORS.bytes - before
        return text

    def _check(self, read: int, *, ended: bool = False) -> None:
        if self.undecodable * _MIN_BYTES_PER_ERROR > read and (ended or read >= _SAMPLE):
            raise CorpusError(
                f"{self.path} is not {self.encoding_name} text: {self.undecodable:,} of its first {read:,} bytes "
                "cannot be decoded. Give its encoding with --encoding, or save it as UTF-8 in an editor."
            )


class _DecodingErrors(threading.local):
    """The error handler of decoders. Replaces bytes that do not decode by U+FFFD, and counts them for each thread."""

    name = "wordgen-count"

    def __init__(self) -> None:
        self.bytes = 0

    def count(self, error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeDecodeError)
        self.bytes += error.end - error.start
        return "\ufffd", error.end


_DECODING_ERRORS = _DecodingErrors()
codecs.register_error(_DecodingErrors.name, _DECODING_ERRORS.count)


def clean(text: str) -> str:
    """Return a text as it would be read from a file: with line feeds as line ends, and with composed characters."""
    return "\n".join(composed(line) for line in _with_line_feeds(text).split("\n"))


def _with_line_feeds(text: str) -> str:
    """Return a text with each line end replaced by a line feed."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _split_long_line(line: str) -> tuple[str, str]:
    """Cut a very long line in two: its first 100,000 characters at most, and the rest.

    The cut is after the last white space, else after the last end of a sentence, else at any position that does not
    separate a letter from its marks.
    """
    beginning = line[:MAX_PIECE_CHARACTERS]
    place = _LAST_SPACE.match(beginning) or _SENTENCE_END.match(beginning)
    end = place.end() if place else _before_marks(line, MAX_PIECE_CHARACTERS)
    return line[:end], line[end:]


def composed(line: str) -> str:
    """Return a line with composed characters (NFC).

    About 1,000 characters are composed at a time, because composing thousands of marks on one letter takes time that
    grows with the square of their number.
    """
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
    """Return the last position up to `place` at which the line can be cut without separating composing characters.

    Return `place` if there is none within 500 characters before it.
    """
    for earlier in range(place, place - _COMPOSED_AT_ONCE // 2, -1):
        if earlier >= len(line) or not _composes(line[earlier]):
            return earlier
    return place


def _composes(character: str) -> bool:
    """Return whether a character may compose with the one before it: a mark, or a Korean vowel or final consonant.

    Narrow Japanese voicing marks count, because they compose when they are folded (`folded` in passages.py).
    """
    return unicodedata.category(character).startswith("M") or "\u1161" <= character <= "\u11ff" or character in "ﾞﾟ"


def _recognised_encoding(sample: bytes, path: Path) -> str:
    """Return the encoding of a text, recognised by its beginning. Raise CorpusError for what is not a text."""
    message = unreadable(path, sample)
    if message is not None:
        raise CorpusError(message)
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if sample.startswith(mark):
            return encoding
    if b"\0" in sample:
        encoding = _utf16_without_mark(sample, path)
        if encoding is not None:
            return encoding
        sample = sample.replace(b"\0", b"")
    if not _looks_like_text(sample.decode("latin-1").translate(_CONTROLS_OF_LATIN_1)):
        raise CorpusError(f"{path} is not a text: give a plain text file, gzipped or not.")
    plain, broken = _read_as("utf-8", sample)
    letters = len(plain) - plain.count("\ufffd") - sum(map(str.isascii, plain))
    if not broken or (broken * _MIN_BYTES_PER_ERROR <= len(sample) and letters > broken):
        return "utf-8"
    from charset_normalizer import from_bytes

    lines = sample[: sample.rfind(b"\n") + 1] or sample  # the sample may end within a character
    best = from_bytes(lines, cp_isolation=["cp932", "euc_jp", "cp1252"]).best()
    found = _japanese_with_errors(sample) if best is None else best.encoding
    if found is None:
        raise CorpusError(
            f"{path} has an encoding that wordgen does not recognise: give it with --encoding, or save the file as "
            "UTF-8 in an editor."
        )
    return found


def _japanese_with_errors(sample: bytes) -> str | None:
    """Return the Japanese encoding in which few bytes are broken and more than a tenth of the characters are kana.

    Return None if there is none.
    """
    for encoding in ("cp932", "euc_jp"):
        text, broken = _read_as(encoding, sample)
        kana = sum("\u3040" <= letter <= "\u30ff" for letter in text)
        if broken * _MIN_BYTES_PER_ERROR <= len(sample) and kana > len(text) / 10:
            return encoding
    return None


def _read_as(encoding: str, sample: bytes) -> tuple[str, int]:
    """Decode a sample. Return its text and its number of broken bytes, without an incomplete character at its end."""
    before = _DECODING_ERRORS.bytes
    text = codecs.getincrementaldecoder(encoding)(_DECODING_ERRORS.name).decode(sample)
    return text, _DECODING_ERRORS.bytes - before


def _looks_like_text(text: str) -> bool:
    """Return whether at most 1% of the first 20,000 characters are control characters or otherwise not text."""
    beginning = text[:_CHARACTERS_CHECKED]
    others = (each for each in beginning if each not in "\t\n\r\f")
    not_text = sum(unicodedata.category(each) in ("Cc", "Cn", "Co", "Cs") for each in others)
    return not_text + beginning.count("\ufffd") <= len(beginning) / 100


def _byte_order(sample: bytes) -> str:
    """Return the name of UTF-16 with the right byte order.

    It is that of the byte order mark, else the one in which more characters are ASCII or kana.
    """
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    common = {"utf-16-le": 0, "utf-16-be": 0}
    for encoding in common:
        text = sample[: len(sample) // 2 * 2].decode(encoding, "ignore")
        beginning = text[:_CHARACTERS_CHECKED]
        common[encoding] = sum(letter.isascii() or "\u3000" <= letter <= "\u30ff" for letter in beginning)
    return max(common, key=common.__getitem__)


def _utf16_without_mark(sample: bytes, path: Path) -> str | None:
    """Return the encoding of UTF-16 without a byte order mark; None for a text with a few zero bytes by mistake.

    In UTF-16, the zero bytes are at every other position. Raise CorpusError if more than 1% of the bytes are zero for
    another reason.
    """
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    if max(even, odd) > _ZEROS_OF_UTF16 * len(sample) / 2 and _looks_like_text(sample.decode(encoding, "replace")):
        return encoding
    if (even + odd) * 100 > len(sample):
        raise CorpusError(
            f"{path} is not a text, because it has too many zero bytes: give a plain text file, gzipped or not."
        )
    return None


_MAX_HEADER_LINES = 1000  # lines
_MAX_HEADER_CHARACTERS = 1_000_000  # characters

# Project Gutenberg: the forms of its markers since 1991. Markers are in English whatever the language of the book,
# except for some old end markers.
_GUTENBERG = re.compile(r"Project\s+Gutenberg", re.IGNORECASE)
_GUTENBERG_BEGINS = re.compile(
    r"^\s*+\*{2,}+\s*+START\s+OF\s+(?:THE|THIS)?\s*+PROJECT\s+GUTENBERG"
    r"|^\s*+\*?END\s?\*?\s*+THE\s+SMALL\s+PRINT",
    re.IGNORECASE,
)
_GUTENBERG_ENDS = re.compile(
    r"^\s*+\*{2,}+\s*+END\s+OF\s+(?:THE|THIS)?\s*+PROJECT\s+GUTENBERG"
    r"|^\s*+\**+\s*+(?:End|The end)\s+of\s+(?:the\s+|this\s+)?Project\s+Gutenberg"
    r"|^\s*+Ende\s+(?:des|dieses|von)\b.*Project\s+Gutenberg"
    r"|^\s*+Fin\s+(?:de|du)\b.*Project\s+Gutenberg"
    r"|^\s*+(?:Fine|Fim|Final|Einde|Slut|Loppu)\b.*Project\s+Gutenberg"
    r"|^\s*+\*{3}\s*+START:?\s+FULL\s+LICENSE",
    re.IGNORECASE,
)
# End markers of a text without a header: only phrases that no author writes by chance.
_UNAMBIGUOUS_END = re.compile(
    r"^\s*+\*{3}\s*+END\s+OF\b.*PROJECT\s+GUTENBERG"
    r"|^\s*+\**+\s*+(?:The )?End\s+of\s+(?:the\s+|this\s+)?Project\s+Gutenberg(?:['’]s|\s+E-?(?:text|book))\b",
    re.IGNORECASE,
)
_CREDITS = re.compile(
    r"^\s*+\[?(?:Produced by|E-?text prepared by|This e-?text was|Transcribed (?:from|by)|Prepared by|HTML version|"
    r"Credits:|Produit par|Hergestellt von|Produzido por|Prodotto da|Tuottanut)",
    re.IGNORECASE,
)
_CREDITS_WITHIN = 40
_FEW_MARKS = 3

# Aozora Bunko: first a legend between two rules (rows of hyphens), then the text with ruby (readings) and editors'
# notes, then the edition that the text was taken from.
_RULE = re.compile(r"^-{20,}$")
_LEGEND = "【テキスト中に現れる記号について】"
_EDITION = re.compile(r"^(?:底本[：:]|［＃本文終わり］)")
_MARKS = re.compile(r"※［＃(?P<sign>[^］]{0,200})］|《[^《》]{0,200}》|［＃[^］]{0,200}］|｜")
_AOZORA_MARK = re.compile(r"［＃[^］]{1,200}］|[一-鿿々]《[ぁ-ゖァ-ヺー]{1,50}》")
_CODE_POINT = re.compile(r"U\+([0-9A-Fa-f]{4,6})")
_PLANE_ROW_CELL = re.compile(r"(?<![\d-])([12])-(\d{1,2})-(\d{1,2})(?![\d-])")
_MISSING_CHARACTER = "〓"


@dataclass
class Boilerplate:
    """What a digital library added to a text, and what was removed."""

    library: str = ""
    """The library that the text is from; an empty string if it is from neither of the two."""
    lines: int = 0
    """Number of lines of header, footer and credits that were removed."""
    marks: int = 0
    """Number of marks within the text that were removed or replaced: ruby and editors' notes."""
    missing_characters: int = 0
    """Number of characters that a note only describes and that were not found in Unicode; 〓 takes their place."""


def lines_of(file: TextFile, reading_settings: ReadingSettings, boilerplate: Boilerplate) -> Iterator[Line]:
    """Yield the lines of a file, without what its library added unless the settings keep that."""
    lines = file.lines()
    return lines if reading_settings.keep_boilerplate or is_midi(file.path) else without_boilerplate(lines, boilerplate)


def without_boilerplate(lines: Iterable[Line], boilerplate: Boilerplate) -> Iterator[Line]:
    """Yield the lines of a text without what its library added.

    Removed lines are yielded as empty lines. `boilerplate` counts what was removed; it is complete after the last line.
    """
    lines = iter(lines)
    beginning = _beginning(lines)
    legend = _legend_end(beginning)
    if legend is None and sum(bool(_AOZORA_MARK.search(line)) for _, line in beginning) >= _FEW_MARKS:
        legend = 0  # somebody has already removed what comes before the text
    if legend is not None:
        boilerplate.library = "Aozora Bunko"
        yield from _without_aozora(chain(beginning, lines), legend, boilerplate)
    elif any(_GUTENBERG.search(line) for _, line in beginning):
        boilerplate.library = "Project Gutenberg"
        yield from _without_gutenberg(chain(beginning, lines), _last_marker(beginning), boilerplate)
    else:
        yield from beginning
        yield from lines


def _beginning(lines: Iterator[Line]) -> list[Line]:
    """Return the first lines of a text, up to 1,000 lines or about a million characters. A header ends within them.

    The limit in characters is for texts with very long lines, or with one line in many pieces.
    """
    beginning: list[Line] = []
    size = 0
    for line in lines:
        beginning.append(line)
        size += len(line[1])
        if len(beginning) == _MAX_HEADER_LINES or size > _MAX_HEADER_CHARACTERS:
            break
    return beginning


def _last_marker(beginning: list[Line]) -> int:
    """Return the number of the header's last line: that of the last start marker before the book ends.

    Return 0 if there is no start marker.
    """
    last = 0
    for number, line in beginning:
        if _GUTENBERG_BEGINS.search(line):
            last = number
        elif last and _GUTENBERG_ENDS.search(line):
            break
    return last


def _without_gutenberg(lines: Iterator[Line], header: int, boilerplate: Boilerplate) -> Iterator[Line]:
    ended = in_credits = False
    for number, line in lines:
        if ended and _GUTENBERG_BEGINS.search(line):  # another book begins in the same file
            ended, header = False, number
        ends = _GUTENBERG_ENDS if header else _UNAMBIGUOUS_END
        ended = ended or (number > header and bool(ends.search(line)))
        if header < number <= header + _CREDITS_WITHIN and header:
            in_credits = bool(line.strip()) and (in_credits or bool(_CREDITS.search(line)))
        else:
            in_credits = False
        if ended or number <= header or in_credits:
            boilerplate.lines += 1
            yield number, ""
        else:
            yield number, line


def _legend_end(beginning: list[Line]) -> int | None:
    """Return the number of the line that ends the legend of Aozora Bunko; None if the text has no legend."""
    in_legend = False
    for number, line in beginning:
        in_legend = in_legend or line.strip() == _LEGEND
        if in_legend and _RULE.match(line.strip()):
            return number
    return None


def _without_aozora(lines: Iterator[Line], legend: int, boilerplate: Boilerplate) -> Iterator[Line]:
    ended = False
    for number, line in lines:
        ended = ended or (number > legend and bool(_EDITION.match(line)))
        if ended or number <= legend:
            boilerplate.lines += 1
            yield number, ""
            continue
        plain, marks = _MARKS.subn(_replacement, line)
        boilerplate.marks += marks
        boilerplate.missing_characters += plain.count(_MISSING_CHARACTER) - line.count(_MISSING_CHARACTER)
        yield number, plain


def _replacement(mark: "re.Match[str]") -> str:
    """Return the replacement of a mark: an empty string, or the character that it describes, or 〓 if not found."""
    described = mark["sign"]
    if described is None:
        return ""
    code = _CODE_POINT.search(described)
    if code:
        number = int(code[1], 16)
        return chr(number) if number < 0xD800 or 0xE000 <= number < 0x110000 else _MISSING_CHARACTER
    place = _PLANE_ROW_CELL.search(described)
    return _jis_character(*map(int, place.groups())) if place else _MISSING_CHARACTER


def _jis_character(plane: int, row: int, cell: int) -> str:
    """Return the character at a position of the JIS X 0213 standard; 〓 if there is none.

    Aozora Bunko names characters in this way if the encoding of its files does not have them.
    """
    if not (1 <= row <= 94 and 1 <= cell <= 94):
        return _MISSING_CHARACTER
    encoded = bytes((0x8F,) * (plane == 2) + (0xA0 + row, 0xA0 + cell))
    return encoded.decode("euc_jis_2004", "ignore") or _MISSING_CHARACTER
