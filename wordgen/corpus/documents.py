"""The files that wordgen reads: which they are, and the text of documents (HTML, Markdown, DOCX, EPUB).

Also limits what packed files (gzip, zip) unpack to.
"""

import codecs
import posixpath
import re
import struct
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path
from typing import Literal
from urllib.parse import unquote
from xml.parsers import expat

from wordgen.errors import CorpusError, in_a_sentence, reason_of

Kind = Literal["Word", "EPUB", "HTML", "Markdown", "MIDI"]
KINDS: dict[str, Kind] = {
    ".docx": "Word", ".epub": "EPUB", ".html": "HTML", ".htm": "HTML", ".xhtml": "HTML", ".md": "Markdown",
    ".markdown": "Markdown", ".mid": "MIDI", ".midi": "MIDI",
}  # fmt: skip
ABC_ENDINGS = (".abc", ".abc.gz")
TEXT_ENDINGS = (".txt", ".txt.gz", ".tokens", *KINDS, *ABC_ENDINGS)
"""The endings of the files that are read."""


def kind_of(path: Path) -> Kind | None:
    """Return the kind of a document by the ending of its file name; None for plain text."""
    return KINDS.get(path.suffix.lower())


def is_midi(path: Path) -> bool:
    """Return whether the name of a file is that of a MIDI file."""
    return kind_of(path) == "MIDI"


def is_abc(path: Path) -> bool:
    """Return whether the name of a file is that of tunes in ABC, gzipped or not."""
    return path.name.lower().endswith(ABC_ENDINGS)


def texts_in(folder: Path) -> list[Path]:
    """Return all texts and documents in a folder and its subfolders, also gzipped texts, sorted by path.

    A model learns either music or text. If there are ABC tunes, return only these, because the texts describe them.
    Else return the MIDI files if they are more than the texts, or the texts.
    """
    texts = (path for path in _visible_paths(folder) if path.name.lower().endswith(TEXT_ENDINGS))
    # A broken link is kept, so that the user gets an error.
    found = [path for path in texts if path.is_file() or path.is_symlink()]
    midi = [path for path in found if is_midi(path)]
    others = [path for path in found if not is_midi(path)]
    return [path for path in found if is_abc(path)] or (midi if len(midi) > len(others) else others)


def unread_files_in(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return all files in some folders that `texts_in` does not return, except hidden ones."""
    others: list[Path] = []
    for folder in filter(Path.is_dir, paths):
        texts = set(texts_in(folder))
        others += (path for path in _visible_paths(folder) if path.is_file() and path not in texts)
    return tuple(others)


def _visible_paths(folder: Path) -> list[Path]:
    """Return all that is in a folder and its subfolders, sorted by path.

    Hidden files, and all files in hidden folders, are left out: programs made them (.git, .trash), not the user.
    """
    depth = len(folder.parts)
    return sorted(path for path in folder.rglob("*") if not any(part[0] == "." for part in path.parts[depth:]))


_WORD = "open it in Word or LibreOffice, and save it as .docx or plain text"
_UNPACK = "unpack it, and give the folder of the texts"
_PICTURE = "convert it to text with a program for text recognition (OCR)"
_BOOK = "convert it to EPUB or plain text, for example with Calibre"
_SHEET = "save its column with the text as .txt, one passage per line"
_ENDINGS = {
    ".pdf": ("a PDF", "save its text as .txt, for example with pdftotext or from a PDF viewer"),
    ".doc": ("an old Word document", _WORD), ".odt": ("an OpenDocument file", _WORD), ".rtf": ("an RTF file", _WORD),
    ".pages": ("a Pages document", "export it as Word, EPUB or plain text"),
    ".mobi": ("a Kindle book", _BOOK), ".azw": ("a Kindle book", _BOOK), ".azw3": ("a Kindle book", _BOOK),
    ".fb2": ("a FictionBook file", _BOOK), ".djvu": ("a scanned document", _PICTURE),
    ".xls": ("a table", _SHEET), ".xlsx": ("a table", _SHEET), ".ods": ("a table", _SHEET),
    "MIDI": ("a MIDI file under another name", "end its name in .mid"),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".zst"), ("an archive", _UNPACK)),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp"), ("a picture", _PICTURE)),
}  # fmt: skip
_MUSIC_OR_TEXT = "a model learns either music or text, so give it alone"
"""What to do with text in a folder of music, and with music in a folder of texts."""
MAX_NAMED_FILES = 3
_FIRST_BYTES = {
    b"%PDF-": ".pdf", b"{\\rtf": ".rtf", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ".doc", b"PK\x03\x04": ".zip",
    b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"GIF8": ".gif", b"7z\xbc\xaf": ".7z", b"Rar!": ".rar",
    b"BZh": ".bz2", b"\xfd7zXZ": ".xz", b"\x28\xb5\x2f\xfd": ".zst", b"MThd": "MIDI",
}  # fmt: skip


def unreadable(path: Path, beginning: bytes = b"") -> str | None:
    """Return the message for a file whose first bytes or name show that it is not a text; None for other files."""
    kinds = [kind for first, kind in _FIRST_BYTES.items() if beginning.startswith(first)]
    for kind in (*kinds, path.suffix.lower()):
        if kind in _ENDINGS:
            what, to_do = _ENDINGS[kind]
            return f"{path} is {what}, which wordgen does not read: {to_do}."
    return None


def left_out_in_words(files: Sequence[Path]) -> tuple[str, ...]:
    """Return sentences about files that are left out: which they are, and how their text could be read."""
    kinds: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for path in files:
        kinds[_readable_kind(path) or _ENDINGS.get(path.suffix.lower(), ("", ""))].append(path.name)
    return tuple(_left_out(names, *kind) for kind, names in kinds.items())


def _readable_kind(path: Path) -> tuple[str, str] | None:
    """Return what a readable file is that is left out of a folder, and what to do with it; None for other files."""
    if is_midi(path):
        return "a MIDI file", _MUSIC_OR_TEXT
    is_text = kind_of(path) is not None or path.name.lower().endswith((".txt", ".txt.gz"))
    return ("a text", _MUSIC_OR_TEXT) if is_text else None


def _left_out(names: Sequence[str], what: str, to_do: str) -> str:
    shown = in_a_sentence(names, limit=MAX_NAMED_FILES)
    if not what:
        rename = "it is plain text, rename it" if len(names) == 1 else "they are plain text, rename them"
        return f"left out {shown}: if {rename} to .txt"
    if len(names) == 1:
        return f"left out {shown}, {what}: {to_do}"
    for_each = "" if to_do == _MUSIC_OR_TEXT else "for each of them, "
    return f"left out {shown}, {len(names):,} {what.partition(' ')[2]}s: {for_each}{to_do}"


_MAX_UNCHECKED_BYTES = 1 << 26
"""Number of bytes that any packed file may unpack to (64 MiB)."""
_MAX_TIMES_ITS_SIZE = 200
"""How many times its size a packed file may unpack to, if that is more.

Packing reduces prose to a third or a fifth of its size, and a log that repeats one line to a hundredth.
"""


@dataclass
class Unpacked:
    """Counts the bytes that a packed file unpacks to. Raises CorpusError if there are more than a text can have."""

    path: Path
    packed: int
    """Size of the packed file in bytes."""
    bytes: int = 0
    """Number of bytes unpacked so far."""

    def add(self, size: int) -> None:
        self.bytes += size
        if self.bytes > max(_MAX_UNCHECKED_BYTES, _MAX_TIMES_ITS_SIZE * self.packed):
            raise CorpusError(
                f"{self.path} cannot be read: unpacked, it is more than {_MAX_TIMES_ITS_SIZE} times as large, which is "
                "unusual for a text. If it is a text, unpack it yourself and give the plain file."
            )


_BLOCK = 1 << 16
_MAX_MARKDOWN_CHARACTERS = 1 << 24
_MAX_TAG_CHARACTERS = 1 << 22
_MAX_PARTS = 0xFFFF
_BLOCK_ELEMENTS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote body center dd details dialog div dl dt fieldset figcaption figure footer "
        "form h1 h2 h3 h4 h5 h6 header hr html legend li main ol p pre section summary table td th tr ul",
    )
)
_SKIPPED_ELEMENTS = frozenset(
    re.findall(
        r"\w+",
        "audio button canvas iframe math nav noscript object rp rt script select style svg template textarea title "
        "video",
    )
)
_RUBY = ("rp", "rt")
"""Readings above Japanese words, and the brackets around them."""
_SPACE = re.compile(r"[ \t\n\r\f]+")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?![ \t]*\n).*?\n(?:---|\.\.\.)[ \t]*\n", re.DOTALL)
_DECLARED_ENCODING = re.compile(rb"""<\?xml[^>]{0,200}encoding=["']([\w.-]{1,40})["']""")


class HtmlText(HTMLParser):
    """Extracts the text of HTML while it is parsed. `take_text` returns the text found since its last call."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)  # which calls reset
        self.left_out = 0
        """Number of parts left out: scripts, styles, navigation and the like; deletions in a Word document."""
        self.footnotes = 0
        """Number of footnotes and endnotes of a Word document that were put after its text."""
        self.bytes_read = 0
        """Number of bytes of a packed document read so far."""
        self._text: list[str] = []

    def reset(self) -> None:
        """Forget the open elements: the next document begins outside of all of them."""
        super().reset()
        self._skipped_tag: str | None = None
        self._depth = self._preformatted = 0
        self._has_text = self._ends_with_space = False

    def take_text(self) -> str:
        text = "".join(self._text)
        self._text.clear()
        return text

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if self._skipped_tag in _RUBY and tag in _RUBY:  # HTML allows to leave out their end tags
            self._skipped_tag = tag
        elif self._skipped_tag is not None:
            self._depth += tag == self._skipped_tag
        elif tag in _SKIPPED_ELEMENTS:
            self._skipped_tag, self._depth = tag, 1
            self.left_out += 1
        elif tag == "br":
            self._text.append("\n")
            self._ends_with_space = True  # the source often goes on in a new line, whose indentation is no text
        elif tag in _BLOCK_ELEMENTS:
            self._preformatted += tag == "pre"
            self._break()

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        if tag not in _SKIPPED_ELEMENTS:
            self.handle_starttag(tag, attrs)
        if tag == "pre":
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._skipped_tag in _RUBY and tag == "ruby":
            self._skipped_tag = None
        elif self._skipped_tag is not None:
            self._depth -= tag == self._skipped_tag
            self._skipped_tag = self._skipped_tag if self._depth else None
        elif tag in _BLOCK_ELEMENTS:
            self._preformatted = max(0, self._preformatted - (tag == "pre"))
            self._break()

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        """Skip `<![...]>` like a browser. Python's parser raises AssertionError for keywords that it does not know."""
        try:
            return super().parse_marked_section(i, report)
        except AssertionError:
            return self.parse_bogus_comment(i)

    def handle_data(self, data: str) -> None:
        if self._skipped_tag is not None:
            return
        if self._preformatted:
            self._text.append(data)
            self._has_text = self._has_text or bool(data.strip())
            return
        words = _SPACE.sub(" ", data)
        if words.startswith(" ") and (self._ends_with_space or not self._has_text):
            words = words[1:]
        if words:
            self._text.append(words)
            self._has_text, self._ends_with_space = True, words.endswith(" ")

    def _break(self) -> None:
        if self._has_text:
            self._text.append("\n\n")
        self._has_text = self._ends_with_space = False


def html_text(path: Path, decoded: Iterable[str], parser: HtmlText) -> Iterator[str]:
    """Yield the text of HTML that is given in pieces.

    Raise CorpusError if a tag or a script has no end within 2**22 characters.
    """
    waiting = ""
    for piece in chain(decoded, [""]):
        waiting += piece
        if piece and len(waiting) < max(_BLOCK, len(parser.rawdata)):
            continue  # the parser rescans a tag without an end from its start, so each time it gets twice as much
        if parser.rawdata and len(parser.rawdata) + len(waiting) > _MAX_TAG_CHARACTERS:
            raise CorpusError(
                f"{path} cannot be read: one of its tags or scripts has no end, or more than "
                f"{_MAX_TAG_CHARACTERS >> 20} million characters. Save the text as .txt."
            )
        parser.feed(waiting)
        waiting = ""
        yield parser.take_text()
    parser.close()
    yield parser.take_text()


def markdown_text(path: Path, decoded: Iterable[str], parser: HtmlText) -> Iterator[str]:
    """Yield the text of Markdown. Raise CorpusError above 2**24 characters, because it is held in memory as a whole."""
    from markdown_it import MarkdownIt

    text = ""
    for piece in decoded:
        text += piece
        if len(text) > _MAX_MARKDOWN_CHARACTERS:
            raise CorpusError(
                f"{path} is too large for Markdown (more than {_MAX_MARKDOWN_CHARACTERS >> 20} million characters): "
                "rename it to .txt to read it as plain text, or split it into several files."
            )
    text = _FRONT_MATTER.sub("", text.replace("\r\n", "\n"))
    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)
    yield from html_text(path, [html], parser)


class _ZippedParts:
    """The parts of a zipped document. Raises CorpusError if they are too large, or declare a document type."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self._archive = path, archive
        self._unpacked = Unpacked(path, path.stat().st_size)
        self.bytes_read = 0

    def names(self) -> set[str]:
        return set(self._archive.namelist())

    def blocks(self, name: str) -> Iterator[bytes]:
        part = self._archive.getinfo(name)
        with self._archive.open(part) as file:
            while block := file.read(_BLOCK):
                self._unpacked.add(len(block))
                yield block
        self.bytes_read += part.compress_size

    def xml(self, name: str) -> Iterator[tuple[str, dict[str, str] | str]]:
        """Yield the content of an XML part in order: ("<name", attributes), (">name", "") and ("", text)."""
        found: list[tuple[str, dict[str, str] | str]] = []
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.StartElementHandler = lambda tag, attributes: found.append((f"<{_local_name(tag)}", attributes))
        parser.EndElementHandler = lambda tag: found.append((f">{_local_name(tag)}", ""))
        parser.CharacterDataHandler = lambda text: found.append(("", text))
        for block in self.blocks(name):
            parser.Parse(block)
            yield from found
            found.clear()
        parser.Parse(b"", True)
        yield from found

    def _refuse_doctype(self, *_: object) -> None:
        """Raise CorpusError for a document type: it can declare entities, and these documents do not need any."""
        raise CorpusError(
            f"{self.path} cannot be read: it declares XML entities, which ordinary documents do not. Save it again, "
            "or save its text as .txt."
        )


def packed_text(path: Path, kind: Kind, parser: HtmlText) -> Iterator[str]:
    """Yield the text of a Word document or an EPUB.

    Raise CorpusError if the file is damaged, protected or of another kind.
    """
    a_kind = {"Word": "a Word document", "EPUB": "an EPUB"}[kind]
    try:
        _check_directory(path)
        with zipfile.ZipFile(path) as archive:
            parts = _ZippedParts(path, archive)
            for text in _word_text(parts, parser) if kind == "Word" else _epub_text(parts, parser):
                parser.bytes_read = min(parts.bytes_read, path.stat().st_size)
                yield text
    except (LookupError, zipfile.BadZipFile, expat.ExpatError, zlib.error, EOFError, ValueError, struct.error) as error:
        raise CorpusError(
            f"{path} cannot be read: it is damaged, or it is not {a_kind}, although its name says so."
        ) from error
    except (RuntimeError, NotImplementedError) as error:
        raise CorpusError(
            f"{path} cannot be read: it has a password, or is packed by an unknown method. Save it again without them."
        ) from error
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {reason_of(error) or 'it is damaged'}.") from error


def _check_directory(path: Path) -> None:
    """Raise CorpusError if an archive has 65,535 parts or more: their list could fill the memory."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _MAX_PARTS - 22))
        end = file.read()
    place = end.rfind(b"PK\x05\x06")
    if place >= 0 and len(end) >= place + 12 and struct.unpack_from("<H", end, place + 10)[0] == _MAX_PARTS:
        raise CorpusError(f"{path} cannot be read: it has too many parts for a document.")


def _local_name(tag: str) -> str:
    return tag.rpartition(" ")[2]


def _word_text(parts: _ZippedParts, parser: HtmlText) -> Iterator[str]:
    """Yield the text of a Word document. Footnotes and endnotes follow it as separate paragraphs.

    Comments, deleted text, and the second version of content for older programs are left out.
    """
    yield from _word_paragraphs(parts, "word/document.xml", parser)
    for name in sorted(parts.names() & {"word/footnotes.xml", "word/endnotes.xml"}, reverse=True):
        yield from _word_paragraphs(parts, name, parser)


def _word_paragraphs(parts: _ZippedParts, name: str, parser: HtmlText) -> Iterator[str]:
    left_out = in_text = 0
    written = False
    for event, text in parts.xml(name):
        match event:
            case "<pPr":  # the properties of a paragraph; a <tab> in them is a tab stop
                left_out += 1
            case "<del" | "<moveFrom" | "<Fallback":
                parser.left_out += not left_out
                left_out += 1
            case "<footnote" | "<endnote":
                written = False
            case ">footnote" | ">endnote":
                parser.footnotes += written  # the separator lines above footnotes are stored as footnotes without text
            case ">pPr" | ">del" | ">moveFrom" | ">Fallback":
                left_out -= 1
            case _ if left_out:
                pass
            case "<t" | ">t":
                in_text += 1 if event == "<t" else -1
            case "" if in_text:
                written = True
                yield str(text)
            case "<br" | "<cr":
                yield "\n"
            case "<tab" | "<ptab":
                yield "\t"
            case "<noBreakHyphen":
                yield "-"
            case ">p":
                yield "\n\n"
            case _:
                pass


def _epub_text(parts: _ZippedParts, parser: HtmlText) -> Iterator[str]:
    """Yield the text of the chapters of an EPUB, in reading order. Raise CorpusError if it is copy-protected."""
    if parts.names() & {"META-INF/rights.xml", "META-INF/license.lcpl"}:
        raise CorpusError(f"{parts.path} cannot be read: it has copy protection. Use a copy without it.")
    for chapter in _chapters(parts):
        blocks = parts.blocks(chapter)
        first = next(blocks, b"")
        declared = _DECLARED_ENCODING.match(first.lstrip())
        encoding = declared[1].decode() if declared else "utf-8-sig"
        encoding = "utf-16" if first[:2] in (b"\xff\xfe", b"\xfe\xff") else encoding
        decoded = _decoded(chain([first], blocks), encoding)
        yield from html_text(parts.path, decoded, parser)
        parser.reset()
        yield "\n\n"


def _decoded(blocks: Iterable[bytes], encoding: str) -> Iterator[str]:
    try:
        b"a".decode(encoding, "replace")
    except (LookupError, UnicodeError):  # an unknown name, or that of a codec that does not make text, such as hex
        encoding = "utf-8-sig"
    return codecs.iterdecode(blocks, encoding, "replace")


def _chapters(parts: _ZippedParts) -> Iterator[str]:
    """Yield the names of the parts with the text, each once, in reading order."""
    packages = [
        attributes["full-path"]
        for event, attributes in parts.xml("META-INF/container.xml")
        if event == "<rootfile" and isinstance(attributes, dict)
    ]
    package = packages[0]
    files: dict[str, str] = {}
    order: dict[str, None] = {}
    for event, attributes in parts.xml(package):
        if event == "<item" and isinstance(attributes, dict) and "html" in attributes.get("media-type", "html"):
            files[attributes["id"]] = attributes["href"]
        elif event == "<itemref" and isinstance(attributes, dict):
            order[attributes["idref"]] = None
    for each in order:
        if each in files:
            yield posixpath.normpath(posixpath.join(posixpath.dirname(package), unquote(files[each])))
