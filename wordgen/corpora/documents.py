"""The text of documents: Word, EPUB, HTML and Markdown. Marks go, paragraphs stay, each as a line between blank ones.

Text comes piece by piece, so memory does not grow with the document, and no part of one is trusted: nothing is
executed, fetched or expanded, and what unpacks to far more than it is gets refused.
"""

import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path
from typing import Literal
from urllib.parse import unquote
from xml.parsers import expat

from wordgen.corpora.packed import Unpacked
from wordgen.errors import CorpusError

Kind = Literal["Word", "EPUB", "HTML", "Markdown"]
KINDS: dict[str, Kind] = {
    ".docx": "Word", ".epub": "EPUB", ".html": "HTML", ".htm": "HTML", ".xhtml": "HTML", ".md": "Markdown",
    ".markdown": "Markdown",
}  # fmt: skip

_BLOCK = 1 << 16
_LARGEST_MARKDOWN = 1 << 24
_LONGEST_TAG = 1 << 22
_MOST_PARTS = 0xFFFF
_BREAKS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote body center dd details dialog div dl dt fieldset figcaption figure footer "
        "form h1 h2 h3 h4 h5 h6 header hr html legend li main ol p pre section summary table td th tr ul",
    )
)
_LEFT_OUT = frozenset(
    re.findall(
        r"\w+",
        "audio button canvas iframe math nav noscript object rp rt script select style svg template textarea title "
        "video",
    )
)
_SPACE = re.compile(r"[ \t\n\r\f]+")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n.*?\n(?:---|\.\.\.)[ \t]*\n", re.DOTALL)
_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}encoding=["']([\w.-]{1,40})["']""")


class HtmlText(HTMLParser):
    """The text of HTML as it comes: `taken` gives what has come since it was last asked."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.left_out = 0
        """How many scripts, styles, navigations and the like were left out."""
        self.footnotes = 0
        """How many footnotes and endnotes of a Word document were put behind its text."""
        self._text: list[str] = []
        self._within: str | None = None
        self._depth = self._preformatted = 0
        self._written, self._space = False, False

    def taken(self) -> str:
        text = "".join(self._text)
        self._text.clear()
        return text

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if self._within is not None:
            self._depth += tag == self._within
        elif tag in _LEFT_OUT:
            self._within, self._depth = tag, 1
            self.left_out += 1
        elif tag == "br":
            self._text.append("\n")
            self._space = False
        elif tag in _BREAKS:
            self._preformatted += tag == "pre"
            self._break()

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        if tag not in _LEFT_OUT:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if self._within is not None:
            self._depth -= tag == self._within
            self._within = self._within if self._depth else None
        elif tag in _BREAKS:
            self._preformatted = max(0, self._preformatted - (tag == "pre"))
            self._break()

    def handle_data(self, data: str) -> None:
        if self._within is not None:
            return
        if self._preformatted:
            self._text.append(data)
            self._written = self._written or bool(data.strip())
            return
        words = _SPACE.sub(" ", data)
        if words.startswith(" ") and (self._space or not self._written):
            words = words[1:]
        if words:
            self._text.append(words)
            self._written, self._space = True, words.endswith(" ")

    def _break(self) -> None:
        if self._written:
            self._text.append("\n\n")
        self._written = self._space = False


def kind_of(path: Path) -> Kind | None:
    """The kind of document that a file is by its name; None for plain text."""
    return KINDS.get(path.suffix.lower())


def html_text(path: Path, decoded: Iterable[str], parser: HtmlText) -> Iterator[str]:
    """The text of HTML that comes in pieces."""
    waiting = ""
    for piece in chain(decoded, [""]):
        waiting += piece
        if piece and len(waiting) < max(_BLOCK, len(parser.rawdata)):
            continue  # the parser begins anew with a tag that has no end yet, so each time it is given twice as much
        if parser.rawdata and len(parser.rawdata) + len(waiting) > _LONGEST_TAG:
            raise CorpusError(f"{path} cannot be read: one of its tags has no end. Save the text as .txt instead.")
        parser.feed(waiting)
        waiting = ""
        yield parser.taken()
    parser.close()
    yield parser.taken()


def markdown_text(path: Path, decoded: Iterable[str], parser: HtmlText) -> Iterator[str]:
    """The text of Markdown; it is read as a whole, so it may not be huge."""
    from markdown_it import MarkdownIt

    text = ""
    for piece in decoded:
        text += piece
        if len(text) > _LARGEST_MARKDOWN:
            raise CorpusError(
                f"{path} is too large for Markdown (more than {_LARGEST_MARKDOWN >> 20} million characters): "
                "name it .txt to read it as plain text, or cut it into several files."
            )
    text = _FRONT_MATTER.sub("", text.replace("\r\n", "\n"))
    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)
    yield from html_text(path, [html], parser)


class _Parts:
    """The parts of a zipped document, as far as they can be trusted."""

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
        """What stands in a part, in order: ("<", name) with attributes, (">", name), ("", text)."""
        found: list[tuple[str, dict[str, str] | str]] = []
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.StartElementHandler = lambda tag, given: found.append((f"<{_local(tag)}", given))
        parser.EndElementHandler = lambda tag: found.append((f">{_local(tag)}", ""))
        parser.CharacterDataHandler = lambda text: found.append(("", text))
        for block in self.blocks(name):
            parser.Parse(block)
            yield from found
            found.clear()
        parser.Parse(b"", True)
        yield from found

    def _refuse_doctype(self, *_: object) -> None:
        """Entities are declared there, and nothing in these documents needs any."""
        raise CorpusError(f"{self.path} cannot be read: it declares entities, as no word processor or publisher does.")


def packed_text(path: Path, kind: Kind, parser: HtmlText, progress: list[int]) -> Iterator[str]:
    """The text of a Word document or an EPUB; `progress` is told how many bytes of the file have been read."""
    a_kind = {"Word": "a Word document", "EPUB": "an EPUB"}[kind]
    try:
        _check_directory(path)
        with zipfile.ZipFile(path) as archive:
            parts = _Parts(path, archive)
            for text in _word_text(parts, parser) if kind == "Word" else _epub_text(parts, parser):
                progress[0] = min(parts.bytes_read, path.stat().st_size)
                yield text
    except (KeyError, zipfile.BadZipFile, expat.ExpatError, zlib.error, EOFError, ValueError, struct.error) as error:
        raise CorpusError(
            f"{path} cannot be read: it is not {a_kind}, whatever its name says, or it is damaged."
        ) from error
    except (RuntimeError, NotImplementedError) as error:
        raise CorpusError(
            f"{path} cannot be read: it is protected by a password, or packed in a way that is not known. Save it anew."
        ) from error
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror or 'it is damaged'}.") from error


def _check_directory(path: Path) -> None:
    """An archive with a huge list of parts would fill memory with it."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _MOST_PARTS - 22))
        end = file.read()
    place = end.rfind(b"PK\x05\x06")
    if place >= 0 and len(end) >= place + 12 and struct.unpack_from("<H", end, place + 10)[0] == _MOST_PARTS:
        raise CorpusError(f"{path} cannot be read: it has more parts than any document.")


def _local(tag: str) -> str:
    return tag.rpartition(" ")[2]


def _word_text(parts: _Parts, parser: HtmlText) -> Iterator[str]:
    """Paragraphs of a Word document; footnotes and endnotes follow the text, as paragraphs of their own.

    What was deleted, comments, and what stands there twice for older programs is left out.
    """
    yield from _word_paragraphs(parts, "word/document.xml", parser)
    for name in sorted(parts.names() & {"word/footnotes.xml", "word/endnotes.xml"}, reverse=True):
        yield from _word_paragraphs(parts, name, parser)


def _word_paragraphs(parts: _Parts, name: str, parser: HtmlText) -> Iterator[str]:
    left_out = in_text = 0
    written = False
    for what, text in parts.xml(name):
        match what:
            case "<del" | "<moveFrom" | "<Fallback":
                parser.left_out += not left_out
                left_out += 1
            case "<footnote" | "<endnote":
                written = False
            case ">footnote" | ">endnote":
                parser.footnotes += written  # the lines between text and footnotes are such, too, with nothing in them
            case ">del" | ">moveFrom" | ">Fallback":
                left_out -= 1
            case _ if left_out:
                pass
            case "<t" | ">t":
                in_text += 1 if what == "<t" else -1
            case "" if in_text:
                written = True
                yield str(text)
            case "<br" | "<cr":
                yield "\n"
            case "<tab":
                yield "\t"
            case ">p":
                yield "\n\n"


def _epub_text(parts: _Parts, parser: HtmlText) -> Iterator[str]:
    """The chapters of an EPUB, in their order."""
    if parts.names() & {"META-INF/rights.xml", "META-INF/license.lcpl"}:
        raise CorpusError(f"{parts.path} cannot be read: it is protected against copying.")
    for chapter in _chapters(parts):
        blocks = parts.blocks(chapter)
        first = next(blocks, b"")
        declared = _DECLARED.match(first.lstrip())
        encoding = declared[1].decode() if declared else "utf-8"
        decoded = _decoded(first, blocks, "utf-16" if first[:2] in (b"\xff\xfe", b"\xfe\xff") else encoding)
        yield from html_text(parts.path, decoded, parser)
        parser.reset()
        yield "\n\n"


def _decoded(first: bytes, blocks: Iterable[bytes], encoding: str) -> Iterator[str]:
    import codecs

    try:
        decoder = codecs.getincrementaldecoder(encoding)("replace")
    except LookupError:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
    yield decoder.decode(first)
    for block in blocks:
        yield decoder.decode(block)
    yield decoder.decode(b"", True)


def _chapters(parts: _Parts) -> Iterator[str]:
    """The names of the parts that hold the text, each once."""
    package = next(
        given["full-path"]
        for what, given in parts.xml("META-INF/container.xml")
        if what == "<rootfile" and isinstance(given, dict)
    )
    files: dict[str, str] = {}
    order: dict[str, None] = {}
    for what, given in parts.xml(package):
        if what == "<item" and isinstance(given, dict) and "html" in given.get("media-type", "html"):
            files[given["id"]] = given["href"]
        elif what == "<itemref" and isinstance(given, dict):
            order[given["idref"]] = None
    for each in order:
        if each in files:
            yield posixpath.normpath(posixpath.join(posixpath.dirname(package), unquote(files[each])))
