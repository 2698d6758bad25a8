"""The text of Word documents, EPUB, HTML and Markdown is read; damaged and hostile files give one-sentence errors."""

import gzip
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from tests.helpers.texts import passage_texts, write_text
from wordgen.corpus import documents
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.settings import ReadingSettings
from wordgen.errors import CorpusError

PARAGRAPHS = ["The road went on.", "He said: stay & rest.", "Morning came.\nIt rained."]
HTML = """<!DOCTYPE html><html><head><title>Not this</title><style>p {color: red}</style>
<script>if (a < b) { document.write("<p>no</p>") }</script></head><body><nav><ul><li>Home</li></ul></nav>
<p>The <b>road</b>
went   <i>on</i>.</p><div>He said: stay &amp; rest.<p>Morning came.<br>It rained.</div></body></html>"""
MARKDOWN = """---
title: no
---
The **road**
went [on](https://example.org).

He said: stay & rest.

Morning came.<br>It rained.
"""
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
WORD = (
    f'<?xml version="1.0" encoding="UTF-8"?><w:document {W}><w:body><w:p><w:r><w:t>The road </w:t></w:r>'
    "<w:del><w:r><w:delText>never</w:delText></w:r></w:del><w:r><w:t>went on.</w:t></w:r></w:p>"
    "<w:p><w:r><w:t>He said: stay &amp; rest.</w:t></w:r></w:p>"
    "<w:p><w:r><w:t>Morning came.</w:t><w:br/><w:t>It rained.</w:t></w:r></w:p></w:body></w:document>"
)
CONTAINER = '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf"><manifest>
<item id="b" href="b%20c.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>
<item id="pic" href="p.png" media-type="image/png"/></manifest>
<spine><itemref idref="a"/><itemref idref="pic"/><itemref idref="b"/><itemref idref="b"/></spine></package>"""


def word(path: Path, document: str = WORD) -> str:
    return archive(path, {"word/document.xml": document})


def epub(path: Path, package: str = PACKAGE, **more: str) -> str:
    chapters = {
        "OEBPS/a.xhtml": "<html><body><p>The road went on.</p></body></html>",
        "OEBPS/b c.xhtml": "<html><p>He said: stay &amp; rest.</p><p>Morning came.<br/>It rained.</p></html>",
    }
    return archive(path, {"META-INF/container.xml": CONTAINER, "OEBPS/book.opf": package, **chapters, **more})


def archive(path: Path, parts: dict[str, str]) -> str:
    path.parent.mkdir(exist_ok=True, parents=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return str(path)


def read_passages(path: str) -> list[str]:
    corpus = open_corpus(path)
    return [text.replace(" It rained", "\nIt rained") for text in passage_texts(corpus)]


def test_all_kinds_of_documents_give_equal_text(tmp_path: Path):
    folder = tmp_path / "all"
    word(folder / "a.docx")
    epub(folder / "b.epub")
    write_text(folder / "c.html", HTML)
    write_text(folder / "d.md", MARKDOWN)
    write_text(folder / "e.txt", "\n\n".join(PARAGRAPHS))
    for path in sorted(folder.iterdir()):
        assert read_passages(str(path)) == PARAGRAPHS, path
    assert read_passages(str(folder)) == PARAGRAPHS * 5
    reading = open_corpus(str(folder)).reading()
    assert list(reading.passages())
    assert reading.notes[-1] == (
        "took the text from Word (1 file), EPUB (1 file), HTML (1 file), Markdown (1 file): formatting is left out, "
        "and so are 5 scripts, styles, navigation parts and the like"
    )


def test_ruby_annotations_are_left_out(tmp_path: Path):
    path = write_text(tmp_path / "a.html", "<p><ruby>夜<rp>（</rp><rt>よる</rt><rp>）</rp></ruby>の街。</p>")
    assert read_passages(path) == ["夜の街。"]


@pytest.mark.parametrize(
    "ruby", ["夜<rt>よる", "夜<rp>（<rt>よる<rp>）", "夜<rt>よる<rt>よ", "夜<rp>（</rp><rt>よる</rt><rp>）</rp>"]
)
def test_ruby_annotations_need_no_end_tags(tmp_path: Path, ruby: str):
    path = write_text(tmp_path / "a.html", f"<p><ruby>{ruby}</ruby>の街。</p><p>朝。</p>")
    assert read_passages(path) == ["夜の街。", "朝。"]


@pytest.mark.parametrize("name", ["a.html", "a.md"])
def test_indentation_of_source_after_line_break_is_no_text(tmp_path: Path, name: str):
    path = write_text(tmp_path / name, "Roses are red,<br>\n   violets are blue.")
    corpus = open_corpus(path, ReadingSettings(passage="paragraph", line_breaks="kept"))
    assert passage_texts(corpus) == ["Roses are red,\nviolets are blue."]


def test_rule_at_the_beginning_of_markdown_is_not_front_matter(tmp_path: Path):
    path = write_text(tmp_path / "a.md", "---\n\nThe road went on.\n\n---\n\nIt rained.\n")
    assert passage_texts(open_corpus(path)) == ["The road went on.", "It rained."]


@pytest.mark.parametrize("section", ["<![endif]>", "<![ endif]>", "<![foo]>", "<![if !mso]>"])
def test_marked_sections_are_skipped(tmp_path: Path, section: str):
    assert read_passages(write_text(tmp_path / "a.html", f"<p>The road {section}went on.</p>")) == ["The road went on."]


@pytest.mark.parametrize("unclosed", ["<script>lost", "<title>lost", "<pre/>", "<ruby>a<rt>lost"])
def test_unclosed_tag_does_not_affect_next_chapter(tmp_path: Path, unclosed: str):
    first = f"<html><body><p>The road went on.</p>{unclosed}</body></html>"
    passages = read_passages(epub(tmp_path / "a.epub", **{"OEBPS/a.xhtml": first}))
    assert [passage for passage in passages if passage not in ("a", "")] == [
        "The road went on.",
        "He said: stay & rest.",
        "Morning came.\nIt rained.",
    ]


def test_html_read_in_small_blocks_gives_equal_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_text(tmp_path / "a.html", HTML)
    monkeypatch.setattr(documents, "_BLOCK", 3)
    assert read_passages(path) == PARAGRAPHS


ENTITIES = '<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.docx", b"PK\x03\x04 and no more", "it is damaged, or it is not a Word document, although its name says so"),
        ("a.docx", b"plain text", "is not a Word document"),
        ("a.epub", b"", "is not an EPUB"),
        ("a.pdf", b"%PDF-1.7", r"is a PDF, which wordgen does not read: save its text as \.txt"),
        ("a.txt", b"%PDF-1.7 obj", "is a PDF, which"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"is an old Word document, .* save it as \.docx"),
        ("a.odt", b"PK\x03\x04", "is an OpenDocument file"),
        ("a.rtf", b"{\\rtf1", "is an RTF file"),
        ("a.zip", b"PK\x03\x04", "is an archive, .* unpack it"),
        ("a.txt", b"PK\x03\x04zip", "is an archive, .* unpack it"),
        ("a.jpg", b"\xff\xd8\xff", "is a picture"),
        ("a.html", b"<p>one</p><img src='" + b"x" * 5_000_000, "one of its tags or scripts has no end"),
        ("a.html", b"<script>" + b"x" * 5_000_000 + b"</script>", "scripts has no end, or more than 4 million"),
        ("a.md", b"word " * 4_000_000, "too large for Markdown"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_unreadable_document_is_refused(tmp_path: Path, name: str, content: bytes, message: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=message):
        passage_texts(open_corpus(str(tmp_path / name)))


def test_footnotes_of_word_document_follow_the_text(tmp_path: Path):
    """Separators, comments and deleted text are left out."""
    note = "<w:{0}note w:id='{1}'><w:p><w:r><w:{0}noteRef/></w:r><w:r><w:t>{2}</w:t></w:r></w:p></w:{0}note>"
    separator = "<w:footnote w:type='separator' w:id='-1'><w:p><w:r><w:separator/></w:r></w:p></w:footnote>"
    deleted = "<w:footnote w:id='3'><w:p><w:del><w:r><w:t>Never.</w:t></w:r></w:del></w:p></w:footnote>"
    footnotes = separator + note.format("foot", 1, "Of stone.") + note.format("foot", 2, "In May.") + deleted
    parts = {
        "word/document.xml": WORD.replace("went on.</w:t>", "went on.</w:t><w:footnoteReference w:id='1'/>"),
        "word/endnotes.xml": f"<w:endnotes {W}>{note.format('end', 1, 'See above.')}</w:endnotes>",
        "word/footnotes.xml": f"<w:footnotes {W}>{footnotes}</w:footnotes>",
        "word/comments.xml": f"<w:comments {W}><w:comment><w:p><w:t>Who?</w:t></w:p></w:comment></w:comments>",
    }
    path = archive(tmp_path / "a.docx", parts)
    assert read_passages(path) == [*PARAGRAPHS, "Of stone.", "In May.", "See above."]
    reading = open_corpus(path).reading()
    assert list(reading.passages())
    assert reading.notes[-1] == "3 footnotes and endnotes are placed after the text"


def test_unreadable_files_of_folder_are_left_out_with_notes(tmp_path: Path):
    """Hidden files are left out without a note."""
    for name in ("a.txt", "b.txt", "deep/c.txt"):
        write_text(tmp_path / "texts" / name, "The road went on.\n\nIt rained.\n")
    assert open_corpus(str(tmp_path / "texts")).notes == ()
    others = ("d.pdf", "deep/e.doc", "f.ODT", "g.tex", ".hidden", ".git/config", *(f"{n}.png" for n in range(5)))
    for name in (*others, ".trash/h.txt", "deep/.i/j.txt"):
        write_text(tmp_path / "texts" / name, "no text")
    corpus = open_corpus(str(tmp_path / "texts"))
    assert len(passage_texts(corpus)) == 6
    assert set(corpus.notes) == {
        "left out d.pdf, a PDF: save its text as .txt, for example with pdftotext or from a PDF viewer",
        "left out e.doc, an old Word document: open it in Word or LibreOffice, and save it as .docx or plain text",
        "left out f.ODT, an OpenDocument file: open it in Word or LibreOffice, and save it as .docx or plain text",
        "left out g.tex: if it is plain text, rename it to .txt",
        "left out 0.png, 1.png, 2.png and 2 more, 5 pictures: for each of them, convert it to text with a program for "
        "text recognition (OCR)",
    }


def test_folder_of_unreadable_files_is_refused(tmp_path: Path):
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    with pytest.raises(CorpusError, match=r"contains no \.txt, .*a\.pdf is a PDF, which wordgen does not read"):
        open_corpus(str(tmp_path))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (WORD.replace("<w:document", f"{ENTITIES}<w:document").replace("The road", "&b;"), "declares XML entities"),
        (WORD[:300], "is not a Word document"),
        ("<w:document>", "is not a Word document"),
    ],
)
def test_hostile_word_documents_are_refused(tmp_path: Path, document: str, message: str):
    path = word(tmp_path / "a.docx", document)
    with pytest.raises(CorpusError, match=message):
        passage_texts(open_corpus(path))


@pytest.mark.parametrize(
    ("package", "more", "message"),
    [
        (PACKAGE.replace("a.xhtml", "gone.xhtml"), {}, "is not an EPUB"),
        (PACKAGE.replace("a.xhtml", "../../../../etc/passwd"), {}, "is not an EPUB"),
        (ENTITIES + PACKAGE, {}, "declares XML entities"),
        (PACKAGE, {"META-INF/rights.xml": "<r/>"}, "has copy protection"),
        ("", {}, "is not an EPUB"),
        (PACKAGE, {"META-INF/container.xml": "<container/>"}, "is not an EPUB"),
    ],
)
def test_hostile_epubs_are_refused(tmp_path: Path, package: str, more: dict[str, str], message: str):
    path = epub(tmp_path / "a.epub", package, **more)
    with pytest.raises(CorpusError, match=message):
        passage_texts(open_corpus(path))


@pytest.mark.parametrize(
    "beginning", ["\ufeff", "\ufeff<?xml version='1.0' encoding='utf-8'?>", "<?xml version='1.0' encoding='hex'?>"]
)
def test_beginning_of_chapter_is_no_text(tmp_path: Path, beginning: str):
    chapter = f"{beginning}<html><body><p>The road went on.</p></body></html>"
    assert read_passages(epub(tmp_path / "a.epub", **{"OEBPS/a.xhtml": chapter})) == PARAGRAPHS


def test_tab_stops_of_word_document_are_no_text(tmp_path: Path):
    tabs = "<w:pPr><w:tabs><w:tab w:pos='720'/></w:tabs><w:rPr><w:del/></w:rPr></w:pPr>"
    path = word(
        tmp_path / "a.docx", WORD.replace("<w:p>", f"<w:p>{tabs}").replace("<w:t>It rained", "<w:tab/><w:t>It rained")
    )
    corpus = open_corpus(path, ReadingSettings(passage="section", line_breaks="kept"))
    assert passage_texts(corpus) == ["\n\n".join([*PARAGRAPHS[:2], "Morning came.\n\tIt rained."])]


def test_nonbreaking_hyphen_of_word_document_is_text(tmp_path: Path):
    path = word(tmp_path / "a.docx", WORD.replace("The road ", "The high</w:t><w:noBreakHyphen/><w:t>road "))
    assert read_passages(path)[0] == "The high-road went on."


def test_deeply_nested_tags_are_read(tmp_path: Path):
    deep = "<div>" * 10_000 + "The road went on." + "</div>" * 10_000
    assert read_passages(write_text(tmp_path / "a.html", deep)) == ["The road went on."]
    assert read_passages(write_text(tmp_path / "a.md", "> " * 5_000 + "The road\n\n" + "[" * 5_000 + "went on."))
    nested = "<w:x>" * 10_000 + "</w:x>" * 10_000
    assert read_passages(word(tmp_path / "a.docx", WORD.replace("<w:body>", f"<w:body>{nested}"))) == PARAGRAPHS


@pytest.mark.parametrize("name", ["a.docx", "a.txt.gz"])
def test_decompression_bomb_is_refused_with_little_memory(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(documents, "_MAX_UNCHECKED_BYTES", 1 << 20)
    path = tmp_path / name
    bomb = "The road went on. " * 2_000_000
    if name == "a.docx":
        word(path, WORD.replace("The road", bomb))
    else:
        path.write_bytes(gzip.compress(bomb.encode()))
    tracemalloc.start()
    with pytest.raises(CorpusError, match="unpacked, it is more than 200 times as large"):
        open_corpus(str(path)).digest() if name == "a.txt.gz" else passage_texts(open_corpus(str(path)))
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
