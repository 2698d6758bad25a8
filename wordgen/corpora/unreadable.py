"""Kinds of files that wordgen does not read, known by their names or first bytes, and what to do about each."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

_WORD = "open it in Word or LibreOffice, and save it as .docx or as plain text"
_UNPACK = "unpack it, and give the folder with the texts"
_PICTURE = "a program that recognises letters (OCR) can make a text of it"
_BOOK = "turn it into EPUB or plain text, as Calibre does"
_SHEET = "save its column of text as .txt, one passage a line"

_ENDINGS = {
    ".pdf": ("a PDF", "save its text as .txt, as pdftotext or the menu of a PDF viewer does"),
    ".doc": ("an old Word document", _WORD), ".odt": ("an OpenDocument text", _WORD), ".rtf": ("a rich text", _WORD),
    ".pages": ("a Pages document", "export it as Word, EPUB or plain text"),
    ".mobi": ("a Kindle book", _BOOK), ".azw": ("a Kindle book", _BOOK), ".azw3": ("a Kindle book", _BOOK),
    ".fb2": ("a FictionBook", _BOOK), ".djvu": ("a scan", _PICTURE),
    ".xls": ("a table", _SHEET), ".xlsx": ("a table", _SHEET), ".ods": ("a table", _SHEET),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".zst"), ("an archive", _UNPACK)),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp"), ("a picture", _PICTURE)),
}  # fmt: skip
_NAMED = 3
_FIRST_BYTES = {
    b"%PDF-": ".pdf", b"{\\rtf": ".rtf", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ".doc", b"PK\x03\x04": ".zip",
    b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"GIF8": ".gif", b"7z\xbc\xaf": ".7z", b"Rar!": ".rar",
    b"BZh": ".bz2", b"\xfd7zXZ": ".xz", b"\x28\xb5\x2f\xfd": ".zst",
}  # fmt: skip


def unreadable_by_name(path: Path) -> str | None:
    """What is said of a file whose name tells that it cannot be read."""
    return _sentence(path, path.suffix.lower())


def unreadable_by_content(path: Path, beginning: bytes) -> str | None:
    """What is said of a file that begins as no text does, whatever its name."""
    ending = next((ending for first, ending in _FIRST_BYTES.items() if beginning.startswith(first)), "")
    return _sentence(path, ending)


def left_out_in_words(files: Sequence[Path]) -> tuple[str, ...]:
    """What is said of files that lie beside texts: which they are, and how their text would be read."""
    kinds: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for path in files:
        kinds[_ENDINGS.get(path.suffix.lower(), ("", ""))].append(path.name)
    return tuple(_left_out(names, *kind) for kind, names in kinds.items())


def _left_out(names: Sequence[str], what: str, to_do: str) -> str:
    shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")
    if not what:
        if_text = "its name in .txt if it is" if len(names) == 1 else "their names in .txt if they are"
        return f"left out {shown}: end {if_text} plain text"
    if len(names) == 1:
        return f"left out {shown}, {what}: {to_do}"
    return f"left out {shown}, {len(names):,} {what.partition(' ')[2]}s: with each, {to_do}"


def _sentence(path: Path, ending: str) -> str | None:
    if ending not in _ENDINGS:
        return None
    what, to_do = _ENDINGS[ending]
    return f"{path} is {what}, which wordgen does not read: {to_do}."
